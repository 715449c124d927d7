"""The contract: what the keeper does for its worker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from ....record import Outcome, Status, to_datetime
from ....storage import Storage
from ....storage.limits import CONCURRENCY, Limit
from ....storage.parcels import Load
from ....storage.values import Claim, Schedule
from ..engine import Clock, Engine
from ..fixtures import OpenedTwice
from ..processes import eventually, running
from .others import push_when_told
from .words import LATER, LONG, SHORT, a_worker, complete, fill, ids, in_status, new, settle, take, take_one, the


def claimed(storage: Storage, **options: Any) -> Claim:
    """A job in a hand, and another one behind it in the same queue."""
    fill(storage, "1", "2", **options)
    return take_one(storage)


def at_a_gate(storage: Storage) -> Claim:
    """A job in a hand, and another one that waits for its place."""
    claim = claimed(storage, limits=[Limit(CONCURRENCY, "k", 1)])
    assert take(storage) == []
    return claim


def held(storage: Storage) -> None:
    """A job of a type that nobody knows."""
    fill(storage, "1", type="unknown")
    assert take(storage) == []


def on_its_way(storage: Storage) -> Load:
    """A job that has left."""
    fill(storage, "1")
    load = storage.hand_out("elsewhere")
    assert load is not None
    return load


#: By which ways a job may come to be claimable, or due sooner: what was there before, and what is done.
COMES: dict[str, tuple[Callable[[Storage], Any], Callable[[Storage, Any], object]]] = {
    "a push": (lambda storage: None, lambda storage, _: fill(storage, "1")),
    "a job given back": (claimed, lambda storage, claim: settle(storage, claim, Status.PENDING)),
    "a job put off": (claimed, lambda storage, claim: settle(storage, claim, Status.SCHEDULED, delay=SHORT)),
    "what follows": (claimed, lambda storage, claim: complete(storage, claim, follows=[new("3")])),
    "a place at a gate": (at_a_gate, complete),
    "a retry": (lambda storage: in_status(storage, "1", Status.FAILED), lambda storage, _: storage.retry("1")),
    "held jobs that came back": (held, lambda storage, _: storage.release_held(["unknown"])),
    "the end of a stop": (lambda storage: storage.stop("q"), lambda storage, _: storage.go_on("q")),
    "the job of a schedule": (
        lambda storage: None, lambda storage, _: storage.put_schedule(Schedule("s", "q", "{}"), [new("1")]),
    ),
    "a load": (on_its_way, lambda storage, load: storage.take_in("elsewhere", load)),
}  # fmt: skip


class KeeperContract(OpenedTwice):
    """What the keeper does for its worker."""

    def test_a_claim_is_stalled_once_its_lease_has_run_out(
        self, storage: Storage, other: Storage, clock: Clock
    ) -> None:
        """Any process sees it then, and not before."""
        fill(storage, "a", "b")
        short, long = take_one(storage, lease=SHORT), take_one(storage, lease=LONG)
        assert other.stalled() == []
        clock.advance(LATER)
        assert other.stalled() == [short]
        settle(other, short, Status.PENDING, Outcome.LOST)
        assert other.stalled() == []
        assert complete(storage, long).lost == []

    def test_a_claim_by_id_has_a_lease_too(self, storage: Storage, clock: Clock) -> None:
        """It stalls like any other."""
        fill(storage, "a")
        claim = storage.claim("w", "a", SHORT)
        clock.advance(LATER)
        assert storage.stalled() == [claim]

    def test_a_heartbeat_extends_the_claims_of_its_children(self, storage: Storage, clock: Clock) -> None:
        """Theirs only, all of theirs, and tells which."""
        fill(storage, *"abcd")
        for worker in ("one", "two", "two", "stranger"):
            take(storage, worker=worker, lease=SHORT)
        beat = storage.heartbeat(a_worker("boss", "one", "two", "idle"), LONG)
        assert {child: sorted(jobs) for child, jobs in beat.jobs.items()} == {
            "one": ["a"],
            "two": ["b", "c"],
            "idle": [],
        }
        assert beat.to_cancel == []
        clock.advance(LATER)
        assert ids(storage.stalled()) == ["d"]

    def test_a_heartbeat_can_cut_no_token(self, storage: Storage) -> None:
        """The claim stays what it was: its holder settles it."""
        fill(storage, "a")
        claim = take_one(storage, worker="one")
        storage.heartbeat(a_worker("boss", "one"), LONG)
        assert complete(storage, claim).lost == []

    def test_a_heartbeat_tells_what_is_to_be_cancelled(self, storage: Storage, other: Storage) -> None:
        """Claims of its children that somebody asked to cancel, with the word."""
        fill(storage, *"abc")
        for worker in ("one", "one", "stranger"):
            take(storage, worker=worker)
        for job_id in "bc":
            other.cancel(job_id, f"why {job_id}")
        beat = storage.heartbeat(a_worker("boss", "one"), LONG)
        assert [(claim.id, claim.cancel) for claim in beat.to_cancel] == [("b", "why b")]

    def test_workers_are_listed_by_name_with_the_jobs_they_hold(
        self, storage: Storage, other: Storage, clock: Clock
    ) -> None:
        """Each as it last described itself; the time of its heartbeat is the storage's."""
        fill(storage, *"abc")
        take(storage, worker="child 1")
        take(storage, worker="child 1")
        take(storage, worker="nobody's")
        before = clock.now()
        storage.heartbeat(a_worker("z", "gone"), LONG)
        storage.heartbeat(a_worker("z", "child 1", "child 2", queues=(), version="2", quiet=True, completed=7), LONG)
        storage.heartbeat(a_worker("a", stopping=True), LONG)

        first, last = other.workers()
        assert (first.name, first.children, first.queues) == ("a", (), ("q", "r"))
        assert (last.name, last.host, last.pid, last.queues, last.version) == ("z", "höst", 7, (), "2")
        assert (first.release, first.quiet, last.release, last.quiet) == ("2026.11:β", False, "2026.11:β", True)
        assert (first.stopping, first.completed, last.stopping, last.completed) == (True, 0, False, 7)
        assert last.started == datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
        assert to_datetime(before) <= last.heartbeat <= to_datetime(clock.now())
        assert [(child.name, child.pid, child.memory) for child in last.children] == [
            ("child 1", 8, 12.5),
            ("child 2", 8, 12.5),
        ]
        assert [sorted(child.jobs) for child in last.children] == [["a", "b"], []]

    def test_a_worker_that_stopped_is_taken_off_the_list(self, storage: Storage) -> None:
        """Forgotten, it is not listed; its jobs stay where they are."""
        fill(storage, "a")
        take(storage, worker="child")
        storage.heartbeat(a_worker("boss", "child"), LONG)
        storage.heartbeat(a_worker("other"), LONG)
        storage.forget_worker("boss")
        storage.forget_worker("unknown")
        assert [worker.name for worker in storage.workers()] == ["other"]
        assert ids(storage.claims_of("child")) == ["a"]

    def test_the_claims_of_a_child_are_found_by_its_name(self, storage: Storage, other: Storage) -> None:
        """All it holds, as it got them; what it settled is not among them."""
        fill(storage, *"abcd")
        held = [take_one(storage, worker="one") for _ in range(3)]
        take(storage, worker="two")
        complete(storage, held[1])
        other.cancel("c", "why")
        assert sorted(other.claims_of("one")) == sorted([held[0], held[2]._replace(cancel="why")])
        assert other.claims_of("nobody") == []

    def test_housekeeping_changes_no_job(self, storage: Storage) -> None:
        """`maintain` may be called at any time."""
        for status in Status:
            in_status(storage, status.value, status)
        before = [the(storage, status.value) for status in Status]
        for maintained in (False, True):
            storage.maintained = maintained
            storage.maintain()
            assert storage.maintained is maintained
        assert [the(storage, status.value) for status in Status] == before

    def test_a_watcher_sees_what_another_process_changed(self, engine: Engine, storage: Storage) -> None:
        """Nothing happened: nothing changed. A push elsewhere: changed, once."""
        with running(push_when_told, engine) as pusher:
            assert pusher.hear() == "ready"
            watcher = storage.watcher()
            watcher.changed()
            assert watcher.changed() is False
            assert watcher.interval > 0
            for name in "abc":
                pusher.tell(name)
                assert pusher.hear() == "pushed"
                eventually(watcher.changed, "the watcher sees the push")
                assert watcher.changed() is False
            pusher.tell(None)

    @pytest.mark.parametrize("what", list(COMES))
    def test_a_watcher_sees_whatever_may_be_claimed(self, storage: Storage, other: Storage, what: str) -> None:
        """Not only what is pushed: nobody looks for the others until `QUEUES_SLEEP` is over."""
        prepare, do = COMES[what]
        prepared = prepare(storage)
        watcher = other.watcher()
        watcher.changed()
        assert watcher.changed() is False
        do(storage, prepared)
        eventually(watcher.changed, f"the watcher sees {what}")
        watcher.close()

    def test_a_watcher_misses_nothing_while_the_storage_was_closed(self, storage: Storage, other: Storage) -> None:
        """What was pushed between two looks is seen, whatever happened to the connection."""
        fill(storage, "before")
        for n in range(4):
            watcher = storage.watcher()
            for m in range(n):
                fill(other, f"{n}.{m}")
            watcher.changed()
            assert watcher.changed() is False
            fill(other, f"{n}")
            storage.close()
            eventually(watcher.changed, "the watcher sees the push")

    def test_pending_tells_whether_a_claim_may_find_a_job(self, storage: Storage, clock: Clock) -> None:
        """True while one waits in one of the queues, or has become due."""
        assert storage.pending(["q", "r"], ["t"]) is False
        fill(storage, "a", queue="r")
        assert storage.pending(["q", "r"], ["t"]) is True
        assert storage.pending(["q"], ["t"]) is False
        complete(storage, take_one(storage, "r"))
        assert storage.pending(["q", "r"], ["t"]) is False
        fill(storage, "of another type", "of another type too", queue="r", type="u")
        assert storage.pending(["q", "r"], ["t"]) is False
        fill(storage, "behind them", queue="r")
        assert storage.pending(["q", "r"], ["t"]) is True
        storage.delete("behind them")
        fill(storage, "b", delay=SHORT)
        assert storage.pending(["q"], ["t"]) is False
        clock.advance(LATER)
        assert storage.pending(["q"], ["t"]) is True

    def test_next_due_tells_how_long_until_a_scheduled_job_is_due(self, storage: Storage, clock: Clock) -> None:
        """None where none is scheduled, the time until the first, 0 once it is due."""
        fill(storage, "pending")
        assert storage.next_due() is None
        fill(storage, "later", delay=LONG)
        fill(storage, "soon", delay=SHORT)
        due = storage.next_due()
        assert due is not None
        assert 0 < due <= SHORT
        clock.advance(LATER)
        assert storage.next_due() == 0
        for _ in range(2):
            complete(storage, take_one(storage))
        due = storage.next_due()
        assert due is not None
        assert SHORT < due <= LONG - SHORT
