"""Failures by cause: counted with what has ended, kept beside it, and right again after retries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_queues import Outcome, Status
from flask_queues.causes import cause_of, cause_of_job
from flask_queues.metrics import Causes, gather
from flask_queues.metrics.causes import HOUR, MOST
from flask_queues.metrics.ledger import INDEX, MINUTE, Index
from flask_queues.storage import Storage
from flask_queues.storage.sealed import sealed
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import error_text, fill, settle, take
from tests.storage.engines import SQLiteEngine
from tests.storage.test_sealed import KEY, OTHER


@pytest.fixture
def engine(tmp_path: Path) -> SQLiteEngine:
    """A file in the test's folder."""
    return SQLiteEngine(tmp_path)


@pytest.fixture
def clock(engine: SQLiteEngine) -> Iterator[Clock]:
    """The storage's clock, at the beginning of an hour."""
    with engine.clock() as clock:
        clock.advance(HOUR - clock.now() % HOUR)
        yield clock


@pytest.fixture
def storage(engine: SQLiteEngine, clock: Clock) -> Iterator[Storage]:
    """A storage in which counting has begun."""
    storage = engine.open()
    storage.write_sheets((INDEX, None), {INDEX: Index(clock.now(), {}).dump()})
    yield storage
    storage.close()


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
    causes = {one.cause.message: one for one in Causes.read(storage).known.values()}
    assert (causes["disk full"].queues, causes["disk full"].types) == (["r"], ["t"])


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


def test_the_last_causes_are_kept(storage: Storage, clock: Clock) -> None:
    """Errors that are all different never fill the storage."""
    causes = Causes()
    fail(storage, "a")
    job = storage.get("a")
    assert job is not None
    assert job.error is not None
    for n in range(MOST + 10):
        word = "".join(chr(ord("a") + int(digit)) for digit in f"{n:05}")
        causes.add(job, cause_of(job.error._replace(message=word), ""), 1)
    causes.forget(clock.now())
    assert len(causes.known) == MOST


def test_behind_encryption_nobody_reads_what_errors_said(engine: SQLiteEngine, clock: Clock) -> None:
    """Whoever has the key does; with another key there are no causes, and no failure."""
    storage = sealed(engine.open(), [KEY])
    fail(storage, "a", message="user anna not found")
    assert count(storage, clock) == {"user anna not found": 1}
    plain = engine.open()
    assert "anna" not in plain.sheets(["causes"])["causes"]
    assert "ValueError" not in plain.sheets(["causes"])["causes"]
    assert Causes.read(plain).known == {}
    assert Causes.read(sealed(plain, [OTHER])).known == {}
    assert Causes.read(sealed(plain, [KEY])).known != {}
    storage.close()
    plain.close()


def test_what_is_written_is_read_as_it_was(storage: Storage, clock: Clock) -> None:
    """Causes as text."""
    fail(storage, "a", message='quotes " and \n lines')
    count(storage, clock)
    text = storage.sheets(["causes"])["causes"]
    assert Causes.load(text).dump() == text
    assert len(json.loads(text)) == 1
