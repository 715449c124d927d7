"""What an operator does in Python: find, list, cancel, retry, delete, clear, flush."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import JobCancelled, JobFailed, JobNotFound, OptionError, Queues, Status, TransitionError, transitions
from flask_queues.manager import Manager
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.values import Claim, Settlement, Wanted
from flask_queues.worker.plan import this_worker


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("shop:work", tries=1)
    def work(n: int = 0) -> None: ...

    @queues.job("shop:mail", queue="mail", tries=1)
    def mail(n: int = 0) -> None: ...

    return queues


def claim(manager: Manager) -> Claim:
    wanted = Wanted(queues=manager.queue_order(), types=manager.jobs.keys(), lease=manager.lease)
    [one] = manager.step("test", (), wanted).claims
    return one


def settle(manager: Manager, settlement: Settlement) -> None:
    assert manager.step("test", [settlement]).lost == []


def fail_one(queues: Queues, **options: Any) -> str:
    handle = queues.push("shop:work", **options)
    manager = queues.manager
    held = claim(manager)
    settle(manager, transitions.failed(held, manager.terms(held), transitions.dump_error("ValueError", "no")))
    return handle.id


def test_a_job_is_found_by_its_id_and_an_unknown_id_is_named(queues: Queues) -> None:
    """`find` never returns None."""
    handle = queues.push("shop:work", {"n": 3})

    assert queues.find(handle.id).payload == {"n": 3}
    assert queues.handle(handle.id).status is Status.PENDING
    for act in (queues.find, queues.handle, queues.cancel, queues.retry, queues.delete):
        with pytest.raises(JobNotFound, match="There is no job nonsense"):
            act("nonsense")


def test_a_result_is_kept_with_the_job(queues: Queues) -> None:
    """And a job without one tells what became of it."""
    done, failed, cancelled = (queues.push("shop:work") for _ in range(3))
    manager = queues.manager
    held = claim(manager)
    settle(manager, transitions.completed(held, manager.dump_result(held, {"bytes": 3})))
    held = claim(manager)
    settle(manager, transitions.failed(held, manager.terms(held), transitions.dump_error("ValueError", "no")))
    cancelled.cancel("not wanted")

    assert done.result() == {"bytes": 3}
    with pytest.raises(JobFailed, match="ValueError: no"):
        failed.result()
    with pytest.raises(JobCancelled, match="not wanted"):
        cancelled.result()


def test_a_failed_job_that_is_retried_keeps_its_history_and_has_all_its_tries(queues: Queues) -> None:
    """A retry by hand is not one of the tries."""
    job_id = fail_one(queues)

    queues.retry(job_id)

    record = queues.find(job_id)
    assert (record.status, record.attempts, record.finished) == (Status.PENDING, 0, None)
    assert [str(attempt.error) for attempt in record.history] == ["ValueError: no"]
    with pytest.raises(TransitionError, match="is pending; only failed, cancelled or scheduled jobs are retried"):
        queues.retry(job_id)


def test_a_retry_may_wait_for_its_time(queues: Queues) -> None:
    """One job by a delay, all of them spread over a time; no time is below nothing."""
    ids = [fail_one(queues) for _ in range(4)]
    queues.retry(ids[0], delay=60)
    record = queues.find(ids[0])
    assert record.status is Status.SCHEDULED
    assert 0 < (record.due - queues.manager.now()).total_seconds() <= 60
    assert queues.retry_all(spread=600) == 3
    assert [queues.find(one).status for one in ids].count(Status.PENDING) == 1
    with pytest.raises(OptionError, match="spread: -1 s is out of range"):
        queues.retry_all(spread=-1)


def test_all_failed_jobs_that_match_are_retried(queues: Queues) -> None:
    """By queue, type and tag, and only failed ones."""
    ids = [fail_one(queues, queue=queue, tags=[tag]) for queue in ("a", "b") for tag in ("x", "y")]
    waiting = queues.push("shop:work", delay=60)

    assert queues.retry_all(queue="a", tag="x") == 1
    assert queues.find(ids[0]).status is Status.PENDING
    assert queues.retry_all(type="shop:mail") == 0
    assert queues.retry_all() == 3
    assert waiting.status is Status.SCHEDULED


def test_a_handle_hurries_its_job(queues: Queues) -> None:
    """While it waits; its attempts and its expiry stay."""
    late, other = queues.push("shop:work", delay=60, expires=600, priority=-5), queues.push("shop:work")
    before = late.record
    late.hurry()
    assert (late.status, late.record.expires, late.record.priority) == (Status.PENDING, before.expires, -5)
    queues.hurry(other.id)
    wanted = Wanted(("default",), ("shop:work",), 60_000)
    storage = queues.manager.storage
    assert [storage.step("w", (), wanted).claims[0].id for _ in range(2)] == [other.id, late.id]
    with pytest.raises(TransitionError, match="only pending or scheduled jobs are put first"):
        late.hurry()
    with pytest.raises(JobNotFound):
        queues.hurry("none")


def test_a_handle_retries_its_job(queues: Queues) -> None:
    """At once or later, and only where it has ended without success."""
    handle = queues.handle(fail_one(queues))
    handle.retry(delay=60)
    assert str(handle.status) == "scheduled"
    handle.retry()
    assert str(handle.status) == "pending"
    with pytest.raises(TransitionError, match="only failed, cancelled or scheduled jobs are retried"):
        handle.retry()


def test_a_running_job_is_asked_to_end_and_not_deleted(queues: Queues) -> None:
    """Its worker ends it; until then it runs."""
    handle = queues.push("shop:work")
    held = claim(queues.manager)

    assert handle.cancel("enough") is True
    assert handle.status is Status.RUNNING
    with pytest.raises(TransitionError, match="is running; cancel it first"):
        queues.delete(handle.id)
    settle(queues.manager, transitions.cancelled(held))
    assert (handle.status, handle.record.reason) == (Status.CANCELLED, "enough")
    assert handle.cancel() is False


def test_a_job_that_ran_a_last_time_cannot_run_again_by_claiming_it(queues: Queues) -> None:
    """`claim` of a completed job says what to do instead."""
    handle = queues.push("shop:work")
    held = claim(queues.manager)
    settle(queues.manager, transitions.completed(held, None))

    with pytest.raises(TransitionError, match="is completed; it cannot be run again"):
        queues.manager.claim("test", handle.id)


def test_clear_deletes_what_ended_long_enough_ago(queues: Queues) -> None:
    """By age and status; jobs that wait stay."""
    failed = fail_one(queues)
    waiting = queues.push("shop:work")

    assert queues.clear(hours=1) == 0
    assert queues.clear(hours=0, statuses=["completed"]) == 0
    assert queues.clear(hours=0, statuses=["failed"]) == 1
    with pytest.raises(JobNotFound):
        queues.find(failed)
    assert waiting.status is Status.PENDING


def test_flush_deletes_everything_but_running_jobs(queues: Queues) -> None:
    """Of one queue or of all, scheduled ones with a time to come too."""
    queues.push_many([("shop:work", {"n": n}) for n in range(700)])
    queues.push("shop:mail", delay=3600)
    running = claim(queues.manager)

    assert queues.flush("mail") == 1
    assert queues.flush() == 699
    assert queues.counts().statuses["running"] == 1
    assert queues.find(running.id).status is Status.RUNNING


def test_a_page_continues_only_where_one_ended(queues: Queues) -> None:
    """A place that no page gave is refused in words."""
    with pytest.raises(OptionError, match="after: 'nonsense' is not where a page ended"):
        queues.jobs_of(after="nonsense")


def test_what_is_claimed_next_is_listed(queues: Queues) -> None:
    """Of all queues as a worker serves them, those of paused ones last; by what is asked of each, and by queue."""
    last = queues.push("shop:mail", priority=9, queue="low")
    jobs = [queues.push("shop:work", {"n": n}, priority=n) for n in (0, 2, 1)]
    queues.hurry(jobs[0].id)
    line = [jobs[0].id, jobs[1].id, jobs[2].id, last.id]
    assert [job.id for job in queues.every(next_first=True)] == line
    assert [job.id for job in queues.jobs_of(next_first=True, queue="low", statuses=["pending"]).jobs] == [last.id]
    assert [job.id for job in queues.jobs_of(next_first=True, text="shop:work").jobs] == line[:3]
    queues.manager.pause(queues.find(jobs[0].id).queue)
    assert [job.id for job in queues.every(next_first=True)] == [line[3], *line[:3]]


@pytest.mark.parametrize("filters", [{"type": "t"}, {"tag": "x"}, {"statuses": ["failed"]}, {"after": "1:2"}])
def test_what_is_claimed_next_has_few_filters(queues: Queues, filters: dict[str, Any]) -> None:
    """None that no index serves in that order."""
    with pytest.raises(OptionError):
        queues.jobs_of(next_first=True, **filters)


def test_the_walk_through_all_jobs_shows_each_once(queues: Queues) -> None:
    """Page by page, over every status."""
    pushed = {handle.id for handle in queues.push_many([("shop:work", {"n": n}) for n in range(450)])}
    pushed |= {queues.push("shop:mail", delay=60).id, fail_one(queues)}

    seen = [record.id for record in queues.every()]

    assert len(seen) == len(set(seen))
    assert set(seen) == pushed
    assert [record.type for record in queues.every(queue="mail")] == ["shop:mail"]


@pytest.mark.parametrize("ahead", [-86_400_000, 86_400_000], ids=["behind", "ahead"])
def test_a_worker_is_judged_by_the_clock_of_the_storage(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """A worker that has just given a sign of life is on the list, however far this host's clock is off."""
    monkeypatch.setattr(sqlite_engine, "wall", lambda: time.time_ns() // 1_000_000 + ahead)
    manager = queues.manager
    worker = this_worker((), (), "1")
    manager.heartbeat(worker)
    manager.forget_vanished()
    assert [one.name for one in manager.workers()] == [worker.name]
    assert abs((manager.now() - manager.workers()[0].heartbeat).total_seconds()) < 60
    monkeypatch.setattr(sqlite_engine, "wall", lambda: time.time_ns() // 1_000_000 + ahead + 7_200_000)
    manager.forget_vanished()
    assert manager.workers() == []
