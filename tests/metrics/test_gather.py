"""Counting what has ended: each end once, in its minute, whoever counts and whoever dies meanwhile."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from flask_queues import Outcome, Status
from flask_queues.causes import cause_of_job
from flask_queues.metrics import Bucket, Gatherer, Ledger, gather
from flask_queues.metrics.ledger import INDEX, MINUTE, SPANS
from flask_queues.record import to_datetime
from flask_queues.storage import Storage
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import a_worker, complete, error_text, fill, settle, take, take_one
from tests.storage.engines import SQLiteEngine

HOUR = 60 * MINUTE


def count(storage: Storage, clock: Clock) -> None:
    """Let a look's time pass, and count all that there is."""
    clock.advance(2000)
    while gather(storage, cause_of_job):
        pass


def minutes(storage: Storage, span: int = 1) -> dict[int, Bucket]:
    """All buckets of a span."""
    return Ledger(storage).buckets(span, 0, 2**40)


def run(storage: Storage, clock: Clock, *jobs: str, wait: int = 0, takes: int = 0, queue: str = "q") -> None:
    """Push jobs that wait so long and take so long, one after another."""
    for job in jobs:
        fill(storage, job, queue=queue)
        clock.advance(wait)
        claim = take_one(storage, queue)
        clock.advance(takes)
        complete(storage, claim)


def test_the_first_who_counts_begins_with_the_last_minutes(engine: SQLiteEngine, clock: Clock) -> None:
    """A worker has run jobs already when it first counts."""
    storage = engine.open()
    run(storage, clock, "a")
    count(storage, clock)
    assert sum(bucket.some().completed for bucket in minutes(storage).values()) == 1
    storage.close()


def test_each_end_is_counted_once(storage: Storage, clock: Clock) -> None:
    """By queue, job type and status, whatever is counted how often."""
    fill(storage, "a", "b", "c", "d")
    first, second, third = (take_one(storage) for _ in range(3))
    complete(storage, first)
    count(storage, clock)
    settle(storage, second, Status.FAILED, Outcome.FAILED, counted=True, error=error_text("no"))
    settle(storage, third, Status.CANCELLED, Outcome.CANCELLED)
    run(storage, clock, "e", queue="r")
    count(storage, clock)
    count(storage, clock)
    (bucket,) = minutes(storage).values()
    cell = bucket.some("q")
    assert (cell.completed, cell.failed, cell.cancelled) == (1, 1, 1)
    assert cell.failure_rate == 0.5
    assert [bucket.some(queue).ended for queue in ("q", "r")] == [3, 1]
    assert bucket.by_type("r")["t"].completed == 1
    assert bucket.depth == {"q": 1}


def test_of_two_who_count_the_same_one_has_counted(
    storage: Storage, clock: Clock, engine: SQLiteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other finds the sheets changed and has done nothing."""
    other = engine.open()
    run(storage, clock, "a")
    clock.advance(2000)
    look = storage.ended

    def look_and_be_overtaken(*asked: Any) -> Any:
        found = look(*asked)
        assert not gather(other, cause_of_job)
        return found

    monkeypatch.setattr(storage, "ended", look_and_be_overtaken)
    assert not gather(storage, cause_of_job)
    (bucket,) = minutes(other).values()
    assert bucket.some().completed == 1
    other.close()


def test_an_end_is_in_the_minute_in_which_it_was(storage: Storage, clock: Clock) -> None:
    """Also where the worker that counts comes late; minutes in which there was nothing to count are a gap then."""
    run(storage, clock, "a")
    clock.advance(MINUTE)
    run(storage, clock, "b", "c")
    clock.advance(3 * MINUTE)
    count(storage, clock)
    begin = min(minutes(storage))
    found = {start - begin: bucket.some().completed for start, bucket in minutes(storage).items()}
    assert found == {0: 1, 1: 2, 4: 0}


def test_waiting_and_process_times_are_measured(storage: Storage, clock: Clock) -> None:
    """From due to claimed, from claimed to ended; percentiles are right within five per cent."""
    run(storage, clock, *(f"quick{n}" for n in range(18)), wait=100, takes=40)
    run(storage, clock, "slow", "slower", wait=1000, takes=900)
    count(storage, clock)
    cell = next(iter(minutes(storage).values())).some()
    assert cell.wait.percentile(0.5) == pytest.approx(100, rel=0.05)
    assert cell.process.percentile(0.5) == pytest.approx(40, rel=0.05)
    assert cell.process.percentile(0.95) == pytest.approx(900, rel=0.05)
    assert (cell.runs, cell.total) == (20, 18 * 40 + 2 * 900)
    assert cell.mean == 126


def test_every_attempt_is_measured_and_the_wait_for_the_last(storage: Storage, clock: Clock) -> None:
    """A backoff is no waiting time: the job was not due."""
    fill(storage, "a")
    claim = take_one(storage)
    clock.advance(70)
    settle(storage, claim, Status.SCHEDULED, Outcome.FAILED, counted=True, delay=10_000, error=error_text("no"))
    clock.advance(10_050)
    claim = take_one(storage)
    clock.advance(30)
    complete(storage, claim)
    count(storage, clock)
    cell = next(iter(minutes(storage).values())).some()
    assert (cell.runs, cell.total) == (2, 100)
    assert cell.wait.percentile(1) == pytest.approx(50, rel=0.05)


def test_of_very_many_some_are_measured(storage: Storage, clock: Clock) -> None:
    """What is counted stays exact; those that are read stand for the others."""
    ids = [f"j{n}" for n in range(1000)]
    fill(storage, *ids)
    claims = take(storage, limit=1000, short=["t"])
    clock.advance(250)
    for claim in claims:
        complete(storage, claim)
    count(storage, clock)
    cell = next(iter(minutes(storage).values())).some()
    assert (cell.completed, cell.runs) == (1000, 1000)
    assert cell.process.percentile(0.5) == pytest.approx(250, rel=0.05)


def test_what_comes_is_counted_too(storage: Storage, clock: Clock) -> None:
    """Pushed or retried, whether it has ended since or not."""
    fill(storage, "a", "b", "c")
    settle(storage, take_one(storage), Status.FAILED, Outcome.FAILED, counted=True, error=error_text("no"))
    count(storage, clock)
    storage.retry("a")
    count(storage, clock)
    (bucket,) = minutes(storage).values()
    assert bucket.some("q").came == 4


def test_processes_are_looked_at(storage: Storage, clock: Clock) -> None:
    """How many are alive, and how many busy, on average; a worker that vanished is none."""
    storage.heartbeat(a_worker("w", "one", "two"), 60_000)
    fill(storage, "a")
    take_one(storage, worker="two")
    count(storage, clock)
    (bucket,) = minutes(storage).values()
    assert (bucket.mean_alive, bucket.mean_busy) == (2, 1)
    clock.advance(30_000)
    count(storage, clock)
    (bucket,) = minutes(storage).values()
    assert (bucket.mean_alive, bucket.mean_busy) == (1, 0.5)


def test_minutes_are_added_up(storage: Storage, clock: Clock) -> None:
    """Half hours and two hours hold what their minutes held, the current ones too."""
    for n in range(70):
        run(storage, clock, f"a{n}", takes=10)
        count(storage, clock)
        clock.advance(MINUTE - 2010)
    run(storage, clock, "last")
    count(storage, clock)
    assert sum(bucket.some().completed for bucket in minutes(storage).values()) == 71
    halves = [bucket.some().completed for bucket in minutes(storage, 30).values()]
    assert halves == [30, 30, 11]
    (both,) = minutes(storage, 120).values()
    assert (both.some().completed, both.some().runs) == (71, 71)


def test_what_is_too_old_is_forgotten(storage: Storage, clock: Clock) -> None:
    """Twice the longest range that is shown is kept of each span, and nothing else."""
    for _ in range(40):
        count(storage, clock)
        clock.advance(12 * HOUR)
    count(storage, clock)
    assert {span: len(minutes(storage, span)) <= n + 1 for span, n in SPANS.items()} == dict.fromkeys(SPANS, True)
    oldest = min(minutes(storage, 120))
    assert clock.now() - oldest * MINUTE <= (SPANS[120] * 120 + 240) * MINUTE
    names = [f"{span}:{start}" for span in SPANS for start in range(oldest - 20 * 24 * 60, oldest, span)]
    assert storage.sheets(names) == {}


def test_a_time_without_workers_is_a_gap(storage: Storage, clock: Clock) -> None:
    """Not a time in which nothing was done; what ended longer ago than ten minutes is not counted any more."""
    run(storage, clock, "a")
    count(storage, clock)
    clock.advance(MINUTE)
    run(storage, clock, "lost")
    clock.advance(HOUR)
    run(storage, clock, "b")
    count(storage, clock)
    found = minutes(storage)
    assert sum(bucket.some().completed for bucket in found.values()) == 2
    assert len(found) == 1 + 11
    assert to_datetime(max(found) * MINUTE) <= to_datetime(clock.now())


def test_a_count_that_fails_keeps_nobody_from_his_jobs(
    storage: Storage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The keeper goes on; the log says why nothing is counted."""
    clock.advance(MINUTE)
    with mock.patch.object(storage, "ended", side_effect=ZeroDivisionError):
        Gatherer(lambda: storage, cause_of_job).work_if_due()
    assert "What has ended could not be counted; it is tried again in 60 s" in caplog.text


def test_an_index_that_cannot_be_read_is_kept_aside_and_the_count_goes_on(
    storage: Storage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once."""
    text = storage.sheets([INDEX])[INDEX]
    assert storage.write_sheets((INDEX, text), {INDEX: '{"of": "another version"}'})
    clock.advance(MINUTE)
    gatherer = Gatherer(lambda: storage, cause_of_job)
    gatherer.work_if_due()
    gatherer.work_if_due()
    assert Ledger(storage).index() is not None
    assert caplog.text.count("The sheet index in the storage cannot be read") == 1
    assert '{"of": "another version"}' in storage.sheets(storage.sheet_names()).values()


def test_what_was_counted_is_read_by_all(make_site: Any) -> None:
    """A worker counts while it works; whoever asks gets its figures, without a look at a job."""
    from tests.support.site import eventually

    site = make_site()
    for n in range(5):
        site.push("add", {"a": n})
    site.push("doomed")
    worker = site.work()
    cell = eventually(
        lambda: (found := site.manager.report("1h").whole.some()).completed == 5 and found.failed == 1 and found,
        what="The count",
    )
    worker.stop()
    assert cell.runs == 7
    assert site.manager.report("24h").whole.some().completed == 5
    assert site.manager.report("7d").whole.some().completed == 5
