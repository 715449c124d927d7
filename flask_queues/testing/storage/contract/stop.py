"""The contract: a queue, or one job type of it, that is stopped for a while."""

from __future__ import annotations

from ....record import Outcome, Status
from ....storage import Storage
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, LONG, SHORT, fill, ids, settle, take, take_one, the


class StopContract(OpenedTwice):
    """A queue, or one job type of it, that is stopped for a while."""

    def test_nothing_of_a_stopped_queue_is_claimed_until_it_goes_on(self, storage: Storage, other: Storage) -> None:
        """Whoever claims after the stop sees it; pushes go on, other queues are served."""
        fill(storage, "a", "b")
        fill(storage, "c", queue="r")
        storage.stop("q", reason="provider is down", by="Ann")

        assert ids(take(other, "q", "r")) == ["c"]
        assert storage.pending(["q"], ["t"]) is False
        fill(other, "d")
        assert other.go_on("q") is True
        assert storage.pending(["q"], ["t"]) is True
        assert [take_one(storage).id for _ in range(3)] == ["a", "b", "d"]
        assert storage.go_on("q") is False

    def test_a_stop_tells_why_by_whom_and_until_when(self, storage: Storage, other: Storage) -> None:
        """What people are shown of it is what was said."""
        before = storage.now()
        storage.stop("q", reason='Grüße\tund "mehr"', by="Ann\nLee")
        storage.stop("q", "t", lasts=LONG)
        whole, part = other.stops()
        assert whole[:5] == ("q", None, None, 'Grüße\tund "mehr"', "Ann\nLee")
        assert before <= whole.since <= storage.now()
        assert part == ("q", "t", part.since + LONG, "", "", part.since)

    def test_a_stop_that_is_over_is_none(self, storage: Storage, clock: Clock) -> None:
        """A timed stop ends by itself, and the worker is told when that will be."""
        fill(storage, "a")
        storage.stop("q", lasts=SHORT)
        left = storage.next_due()
        assert left is not None
        assert left <= SHORT
        assert take(storage) == []
        clock.advance(LATER)
        assert storage.stops() == []
        assert storage.pending(["q"], ["t"]) is True
        assert ids(take(storage)) == ["a"]
        assert storage.go_on("q") is False

    def test_jobs_of_a_stopped_type_leave_the_front_of_the_line_and_come_back_in_order(self, storage: Storage) -> None:
        """Those behind them are claimed in the same step; when the type goes on, they have their place other."""
        storage.stop("q", "slow")
        fill(storage, "1", "2", "3", type="slow")
        fill(storage, "4")
        assert ids(take(storage, types=["t", "slow"])) == ["4"]
        assert the(storage, "1").status is Status.PENDING
        fill(storage, "5")
        assert storage.go_on("q", "slow") is True
        assert [take_one(storage, types=["t", "slow"]).id for _ in range(4)] == ["1", "2", "3", "5"]
        assert the(storage, "1").held is None

    def test_a_stopped_type_is_not_released_and_is_after_its_time(self, storage: Storage, clock: Clock) -> None:
        """The keeper, which lets jobs of known types go, waits for the end of the stop."""
        storage.stop("q", "t", lasts=SHORT)
        fill(storage, "a", "b")
        assert take(storage) == []
        assert storage.pending(["q"], ["t"]) is False
        assert storage.release_held(["t"]) == 0
        clock.advance(LATER)
        assert storage.release_held(["t"]) == 2
        assert [take_one(storage).id for _ in range(2)] == ["a", "b"]

    def test_a_type_is_stopped_in_its_queue_alone(self, storage: Storage) -> None:
        """The same type in another queue is claimed."""
        storage.stop("q", "t")
        fill(storage, "a")
        fill(storage, "b", queue="r")
        assert ids(take(storage, "q", "r")) == ["b"]

    def test_a_settlement_stops_its_queue_in_the_same_step(self, storage: Storage) -> None:
        """Not even the step that settles claims another job; the job itself waits at its place, no try lost."""
        fill(storage, "a", "b")
        claim = take_one(storage)
        settle(storage, claim, Status.PENDING, Outcome.PUT_OFF, stop=LONG)
        assert take(storage) == []
        (stop,) = storage.stops()
        assert (stop.queue, stop.type) == ("q", None)
        assert "a" in stop.reason
        assert stop.until == stop.since + LONG
        assert the(storage, "a").attempts == 0
        storage.go_on("q")
        assert take_one(storage).id == "a"

    def test_what_a_job_asks_for_does_not_shorten_a_stop(self, storage: Storage) -> None:
        """A pause without end stays, whatever the jobs that still run say; a shorter one is made longer."""
        fill(storage, "a", "b")
        first, second = take_one(storage), take_one(storage)
        storage.stop("q", lasts=1000, by="Ann")
        settle(storage, first, Status.PENDING, Outcome.PUT_OFF, stop=LONG)
        (stop,) = storage.stops()
        assert stop.until == stop.since + LONG
        storage.stop("q", by="Ann")
        settle(storage, second, Status.PENDING, Outcome.PUT_OFF, stop=LONG)
        assert [(stop.by, stop.until) for stop in storage.stops()] == [("Ann", None)]

    def test_a_job_of_a_stopped_queue_can_be_cancelled_and_deleted(self, storage: Storage) -> None:
        """A stop is for workers; people go on."""
        storage.stop("q")
        storage.stop("r", "t")
        fill(storage, "a", "b")
        fill(storage, "c", "d", queue="r")
        take(storage, "q", "r")
        assert [storage.cancel("a", "no"), storage.delete("b")] == [Status.PENDING] * 2
        assert [storage.cancel("c", "no"), storage.delete("d")] == [Status.PENDING] * 2
        assert storage.go_on("r", "t") is True
        assert take(storage, "r") == []
