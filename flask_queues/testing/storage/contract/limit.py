"""The contract: limits on how many jobs of a key run at once, and how many begin in a time."""

from __future__ import annotations

from collections import Counter

import pytest

from ....record import Outcome, Status
from ....storage import Storage
from ....storage.limits import CONCURRENCY, RATE, Limit
from ....storage.values import Settlement, Wanted
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, LONG, SHORT, complete, counted, fail, fill, ids, new, settle, take, take_one, the

ONE = Limit(CONCURRENCY, "kéy", 1)
TWO = Limit(CONCURRENCY, "two", 2)
#: Two at once, then one in each of these times.
FAST = Limit(RATE, "fast", 1, SHORT, 2)
CLOSED = Limit(RATE, "closed", 1, 3_600_000)


class LimitContract(OpenedTwice):
    """Limits on how many jobs of a key run at once, and how many begin in a time."""

    def test_no_more_of_a_key_run_than_may(self, storage: Storage, other: Storage) -> None:
        """Those behind them in the line are claimed meanwhile, and those that wait come back in their order."""
        fill(storage, "1", "2", "3", "4", limits=[TWO])
        fill(storage, "free")
        first, second = take_one(storage), take_one(other, worker="v")
        assert [first.id, second.id] == ["1", "2"]
        assert ids(take(other, worker="v")) == ["free"]
        assert take(storage) == []
        assert (the(storage, "3").status, "two" in (the(storage, "3").held or "")) == (Status.PENDING, True)
        assert storage.pending(["q"], ["t"]) is False
        complete(other, second)
        assert storage.pending(["q"], ["t"]) is True
        assert ids(take(storage)) == ["3"]
        assert take(storage) == []
        assert storage.counts().cells == counted(storage)

    def test_a_settling_step_takes_the_slot_that_it_frees(self, storage: Storage) -> None:
        """A worker that settles gets the next of the key in the same step."""
        fill(storage, "1", "2", limits=[ONE])
        claim = take_one(storage)
        assert take(storage) == []
        done = Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED, counted=True)
        step = storage.step("w", [done], Wanted(["q"], ["t"], LONG))
        assert ids(step.claims) == ["2"]
        assert the(storage, "2").held is None

    def test_whatever_ends_a_claim_frees_its_slot(self, storage: Storage) -> None:
        """Done, failed, given back, waiting for its next try: nobody holds a slot without a claim."""
        for n, (status, outcome) in enumerate(
            [
                (Status.COMPLETED, Outcome.COMPLETED),
                (Status.FAILED, Outcome.FAILED),
                (Status.CANCELLED, Outcome.CANCELLED),
                (Status.SCHEDULED, Outcome.PUT_OFF),
            ]
        ):
            fill(storage, f"{n}", limits=[ONE])
            claim = take_one(storage)
            assert claim.id == f"{n}"
            settle(storage, claim, status, outcome, delay=LONG if status is Status.SCHEDULED else 0)
        fill(storage, "back", limits=[ONE])
        settle(storage, take_one(storage), Status.PENDING)
        assert ids(take(storage)) == ["back"]

    def test_a_rescued_job_frees_its_slot(self, storage: Storage, clock: Clock) -> None:
        """A worker that vanished holds its slot until its lease ends, and not longer."""
        fill(storage, "1", "2", limits=[ONE])
        take(storage, lease=SHORT)
        assert take(storage) == []
        clock.advance(LATER)
        (claim,) = storage.stalled()
        fail(storage, claim)
        assert ids(take(storage)) == ["2"]

    def test_a_settlement_that_comes_too_late_frees_nothing(self, storage: Storage) -> None:
        """A slot is freed once for each claim."""
        fill(storage, "1", "2", "3", limits=[ONE])
        claim = take_one(storage)
        assert take(storage) == []
        complete(storage, claim)
        assert complete(storage, claim).lost == ["1"]
        assert ids(take(storage)) == ["2"]
        assert take(storage) == []

    def test_a_limit_is_of_one_queue(self, storage: Storage) -> None:
        """The same key in another queue is another's."""
        fill(storage, "1", limits=[ONE])
        fill(storage, "2", limits=[ONE], queue="r")
        assert ids([*take(storage, "q"), *take(storage, "r")]) == ["1", "2"]

    def test_jobs_under_a_limit_are_claimed_alone(self, storage: Storage) -> None:
        """Not behind another, and not together with others, however short they are."""
        fill(storage, "1", "2", "3", limits=[TWO])
        assert take(storage, limit=8, short=["t"], behind=True) == []
        assert ids(take(storage, limit=8, short=["t"])) == ["1"]
        assert ids(take(storage, limit=8, short=["t"])) == ["2"]
        assert take(storage, limit=8, short=["t"]) == []

    def test_no_more_begin_in_a_time_than_may(self, storage: Storage, clock: Clock) -> None:
        """First a burst, then one by one as their time comes; the worker is told when that is."""
        fill(storage, "1", "2", "3", "4", limits=[Limit(RATE, "r", 1, SHORT, 2)])
        fill(storage, "free")
        assert [take_one(storage).id for _ in range(3)] == ["1", "2", "free"]
        assert take(storage) == []
        left = storage.next_due()
        assert left is not None
        assert left <= SHORT
        clock.advance(LATER)
        assert storage.pending(["q"], ["t"]) is True
        assert ids(take(storage)) == ["3"]
        assert take(storage) == []
        clock.advance(LATER)
        assert ids(take(storage)) == ["4"]
        assert storage.counts().cells == counted(storage)

    def test_a_quiet_time_earns_no_more_than_the_burst(self, storage: Storage, clock: Clock) -> None:
        """However long nothing began, only so many begin at once."""
        fill(storage, "0", limits=[FAST])
        take(storage)
        clock.advance(LATER)
        fill(storage, "1", "2", "3", limits=[FAST])
        assert [take_one(storage).id for _ in range(2)] == ["1", "2"]
        assert take(storage) == []

    def test_a_clock_that_is_set_back_keeps_no_gate_closed_for_longer_than_its_time(
        self, storage: Storage, clock: Clock
    ) -> None:
        """Whoever waits at it already is let through in time, and so is who comes to it then."""
        if not clock.frozen:
            pytest.skip("this clock cannot be set back")
        minutely, other = Limit(RATE, "minutely", 1, 60_000), Limit(RATE, "other", 2, 60_000, 2)
        fill(storage, "1", "2", limits=[minutely])
        fill(storage, "3", "4", "5", limits=[other])
        assert [take_one(storage).id for _ in range(3)] == ["1", "3", "4"]
        fill(storage, "6", queue="r", limits=[minutely])
        take_one(storage, "r")
        assert take(storage) == []
        clock.advance(-3_600_000)
        fill(storage, "7", queue="r", limits=[minutely])
        assert take(storage) == take(storage, "r") == []
        storage.release_held(["t"])
        left = storage.next_due()
        assert left is not None
        assert left <= 60_000
        clock.advance(60_010)
        assert ids(take(storage, "q", limit=8, short=["t"]) + take(storage)) == ["2", "5"]
        assert ids(take(storage, "r")) == ["7"]

    def test_a_run_by_hand_keeps_a_gate_closed_for_no_longer_than_its_time(
        self, storage: Storage, clock: Clock
    ) -> None:
        """However many of a key somebody runs so."""
        fill(storage, "1", "2", "3", "4", limits=[Limit(RATE, "r", 1, SHORT)])
        assert all(storage.claim("me", job_id, LONG) for job_id in ("1", "2", "3"))
        assert take(storage) == []
        clock.advance(LATER)
        assert ids(take(storage)) == ["4"]

    def test_jobs_at_a_closed_gate_stay_out_of_the_way(self, storage: Storage) -> None:
        """Any number of them: once set aside, nobody looks at them until the gate opens."""
        fill(storage, *[f"{n}" for n in range(450)], limits=[CLOSED])
        fill(storage, "free")
        assert take_one(storage).id == "0"
        found = [claim.id for _ in range(4) for claim in take(storage)]
        assert found == ["free"]
        assert storage.pending(["q"], ["t"]) is False
        left = storage.next_due()
        assert left is not None
        assert left > 3_500_000

    def test_a_job_may_be_under_several_limits(self, storage: Storage) -> None:
        """It waits at the first that is closed."""
        fill(storage, "1", limits=[ONE])
        claim = take_one(storage)
        fill(storage, "2", limits=[FAST, ONE])
        assert take(storage) == []
        complete(storage, claim)
        assert ids(take(storage)) == ["2"]

    def test_what_waits_at_a_gate_can_be_cancelled_deleted_and_run(self, storage: Storage) -> None:
        """A person may do with it what may be done with any pending job; its place is not lost for the others."""
        fill(storage, "1", "2", "3", "4", "5", limits=[ONE])
        claim = take_one(storage)
        assert take(storage) == []
        assert [storage.cancel("2", "no"), storage.delete("3")] == [Status.PENDING, Status.PENDING]
        by_hand = storage.claim("me", "4", LONG)
        assert by_hand is not None
        complete(storage, claim)
        assert take(storage) == []
        complete(storage, by_hand)
        assert ids(take(storage)) == ["5"]
        assert Counter(storage.counts().statuses)["pending"] == 0

    def test_a_place_that_was_not_taken_goes_to_another(self, storage: Storage) -> None:
        """The one that was let through is cancelled before anybody claims it: the keeper lets the next one go."""
        fill(storage, "1", "2", "3", limits=[ONE])
        claim = take_one(storage)
        assert take(storage) == []
        complete(storage, claim)
        storage.cancel("2", "no")
        assert (storage.release_held(["t"]), storage.release_held(["t"])) == (1, 0)
        assert ids(take(storage)) == ["3"]

    def test_a_moved_job_is_under_its_limits(self, storage: Storage) -> None:
        """What a load carries says them."""
        one = ONE._replace(group="g1")
        storage.push([new("1", limits=[one, FAST])])
        load = storage.hand_out("elsewhere")
        assert load is not None
        assert load.jobs[0].limits == (tuple(one), tuple(FAST))
        storage.let_go(load.number)
        assert storage.take_in("somewhere", load._replace(number=1)) == 1
        fill(storage, "2", limits=[ONE])
        assert ids(take(storage)) == ["1"]
        assert take(storage) == []
