"""Failures by cause: counted with what has ended, kept beside it, and right again after retries."""

from __future__ import annotations

import json

import pytest

from flask_queues import Outcome, Status
from flask_queues.causes import cause_of, cause_of_job
from flask_queues.metrics import Causes, Ledger, causes, gather
from flask_queues.metrics.causes import HOUR, MOST
from flask_queues.metrics.ledger import MINUTE
from flask_queues.storage import Storage
from flask_queues.storage.sealed import sealed
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import error_text, fill, settle, take
from tests.storage.engines import SQLiteEngine
from tests.storage.test_sealed import KEY, OTHER


def fail(storage: Storage, *jobs: str, message: str = "No user 17", queue: str = "q") -> None:
    """Push jobs that fail for good."""
    fill(storage, *jobs, queue=queue)
    for claim in take(storage, queue, limit=len(jobs), short=["t"]):
        settle(storage, claim, Status.FAILED, Outcome.FAILED, counted=True, error=error_text(message))


def count(storage: Storage, clock: Clock, pass_time: int = 2000) -> dict[str, int]:
    """Let time pass and count; returns the number of failed jobs by what their errors say."""
    clock.advance(pass_time)
    while gather(storage, cause_of_job):
        pass
    return {one.cause.message: one.number for one in Causes.read(storage).known.values()}


def test_a_thousand_equal_failures_are_one_cause(storage: Storage, clock: Clock) -> None:
    """However much their numbers and names differ; another error is another cause."""
    for n in range(10):
        fail(storage, *(f"j{n}-{m}" for m in range(100)), message=f"No user {n}")
    fail(storage, "other", message="disk full", queue="r")
    assert count(storage, clock) == {"No user #": 1000, "disk full": 1}
    (other,) = [one for one in Causes.read(storage).known.values() if one.cause.message == "disk full"]
    assert (other.queues, other.types) == (["r"], ["t"])


def test_a_cause_tells_the_release_in_which_it_was_seen_first(storage: Storage, clock: Clock) -> None:
    """A later one changes nothing; what was kept before releases were has none."""
    for n, release in enumerate(["", ":v:1", ":v2"]):
        message = "old" if n == 0 else "new"
        fill(storage, f"j{n}")
        (claim,) = take(storage, "q", worker=f"h:1:2{release}")
        settle(storage, claim, Status.FAILED, Outcome.FAILED, counted=True, error=error_text(message))
        count(storage, clock)
    known = Causes.read(storage)
    assert {one.cause.message: one.release for one in known.known.values()} == {"old": "", "new": "v:1"}
    before = json.dumps([row[:-1] for row in json.loads(known.dump())])
    assert {one.release for one in Causes.load(before).known.values()} == {""}
    assert [one.number for one in Causes.load(before).known.values()] == [1, 2]


def test_a_cause_tells_since_when_and_when_last(storage: Storage, clock: Clock) -> None:
    """And how many there were in each of the last hours, whatever became of them."""
    fail(storage, "a", "b")
    begin = clock.now()
    count(storage, clock)
    clock.advance(2 * HOUR)
    fail(storage, "c")
    end = clock.now()
    count(storage, clock)
    storage.delete("a")
    (cause,) = Causes.read(storage).known.values()
    assert (cause.first, cause.last) == (begin, end)
    assert cause.lately(cause.end, hours=4) == [0, 2, 0, 1]


def test_what_was_retried_or_deleted_is_counted_no_more(storage: Storage, clock: Clock) -> None:
    """Within a minute or two; a cause without jobs is remembered for a week."""
    fail(storage, "a", "b", "c")
    fail(storage, "x", message="disk full")
    assert count(storage, clock) == {"No user #": 3, "disk full": 1}
    storage.retry("a")
    storage.delete("b")
    assert count(storage, clock, MINUTE) == {"No user #": 1, "disk full": 1}
    storage.delete("c")
    storage.delete("x")
    assert count(storage, clock, MINUTE) == {"No user #": 0, "disk full": 0}
    for _ in range(8):
        count(storage, clock, 24 * HOUR)
    assert count(storage, clock, MINUTE) == {}


def test_a_job_that_fails_again_counts_once(storage: Storage, clock: Clock) -> None:
    """For the cause of its last failure."""
    fail(storage, "a")
    count(storage, clock)
    storage.retry("a")
    (claim,) = take(storage)
    settle(storage, claim, Status.FAILED, Outcome.FAILED, counted=True, error=error_text("disk full"))
    assert count(storage, clock, MINUTE) == {"No user #": 0, "disk full": 1}


def test_of_very_many_failures_some_are_read(storage: Storage, clock: Clock) -> None:
    """In one look; these stand for the others."""
    for n in range(3):
        fail(storage, *(f"j{n}-{m}" for m in range(200)))
    assert count(storage, clock) == {"No user #": 600}


def test_of_more_than_a_recount_reads_the_number_stays_right(
    storage: Storage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that failed last stand for the others, in sum exactly as many as there are."""
    monkeypatch.setattr(causes, "RECOUNT", 400)
    for n in range(9):
        fail(storage, *(f"j{n}-{m}" for m in range(100)))
        count(storage, clock)
    fail(storage, *(f"k{m}" for m in range(100)), message="disk full")
    assert count(storage, clock) == {"No user #": 900, "disk full": 100}
    storage.retry("j0-0")
    assert count(storage, clock, MINUTE) == {"No user #": 750, "disk full": 249}
    text = storage.sheets(["causes"])
    count(storage, clock, MINUTE)
    assert storage.sheets(["causes"]) == text


def test_failures_of_before_anybody_counted_are_counted(storage: Storage, clock: Clock) -> None:
    """As after a move, or the first start of a version that counts."""
    fail(storage, "a", "b")
    clock.advance(HOUR)
    assert count(storage, clock) == {"No user #": 2}


def test_the_last_causes_are_kept(storage: Storage, clock: Clock) -> None:
    """Errors that are all different never fill the storage."""
    known = Causes()
    fail(storage, "a")
    job = storage.get("a")
    assert job is not None
    assert job.error is not None
    for n in range(MOST + 10):
        word = "".join(chr(ord("a") + int(digit)) for digit in f"{n:05}")
        known.add(job, cause_of(job.error._replace(message=word), ""), 1)
    known.forget(clock.now())
    assert len(known.known) == MOST


def test_behind_encryption_nobody_reads_what_errors_said(engine: SQLiteEngine, clock: Clock) -> None:
    """Whoever has the key does; with another key there are no causes. Figures say nothing that is a secret."""
    storage = sealed(engine.open(), [KEY])
    fail(storage, "a", message="user anna not found")
    assert count(storage, clock) == {"user anna not found": 1}
    plain = engine.open()
    assert "anna" not in plain.sheets(["causes"])["causes"]
    assert "ValueError" not in plain.sheets(["causes"])["causes"]
    assert "anna" not in str(plain.sheets(plain.sheet_names()))
    assert Causes.read(sealed(plain, [KEY])).known != {}
    for stranger in (plain, sealed(plain, [OTHER])):
        assert Causes.read(stranger).known == {}
        assert Ledger(stranger).totals().some().failed == 1


@pytest.mark.parametrize("keys", [[], [OTHER]])
def test_between_workers_of_other_keys_no_figure_and_no_cause_is_lost(
    engine: SQLiteEngine, clock: Clock, keys: list[str]
) -> None:
    """As while one after another is restarted with a new key: the old one counts, and leaves causes to the other."""
    new, old = sealed(engine.open(), [KEY, *keys]), sealed(engine.open(), keys) if keys else engine.open()
    fail(new, "a", message="no room")
    count(new, clock)
    before = engine.open().sheets(["causes"])
    for n in range(3):
        fail(old, f"b{n}", message="no key")
        assert count(old, clock, MINUTE) == {}
        assert Ledger(new).totals().some().failed == Ledger(old).totals().some().failed == n + 2
    assert engine.open().sheets(["causes"]) == before
    clock.advance(MINUTE)
    known = count(new, clock)
    assert known["no room"] == 1
    assert sum(known.values()) == 4


def test_the_sheets_that_are_encrypted_are_compared_as_they_were_read(engine: SQLiteEngine) -> None:
    """Of two who have seen the same, one writes."""
    one, other = sealed(engine.open(), [KEY]), sealed(engine.open(), [KEY])
    assert one.write_sheets(("s", None), {"s": "1"})
    assert not other.write_sheets(("s", None), {"s": "2"})
    assert other.sheets(["s"]) == {"s": "1"}
    assert other.write_sheets(("s", "1"), {"s": "2"})
    assert not one.write_sheets(("s", "1"), {"s": "3"})
    assert one.sheets(["s"]) == {"s": "2"}
    one.close()
    other.close()


def test_what_is_written_is_read_as_it_was(storage: Storage, clock: Clock) -> None:
    """Causes as text."""
    fail(storage, "a", message='quotes " and \n lines')
    count(storage, clock)
    text = storage.sheets(["causes"])["causes"]
    assert Causes.load(text).dump() == text
    assert len(json.loads(text)) == 1


def test_what_failed_behind_the_window_is_counted_once(storage: Storage, clock: Clock) -> None:
    """A recount reads all failed jobs, also those that only the next window counts."""
    fail(storage, "a")
    clock.advance(2000)
    fail(storage, "late")
    clock.advance(500)
    while gather(storage, cause_of_job, lag=1000):
        pass
    (cause,) = Causes.read(storage).known.values()
    assert cause.number == 1
    assert count(storage, clock) == {"No user #": 2}
