"""Batches as an application pushes them, and what a keeper does when their jobs have ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from flask_queues import (
    BatchHandle,
    BatchNotFound,
    NotAllowed,
    OptionError,
    PayloadError,
    Queues,
    Status,
    StorageFormatError,
    StorageUnavailable,
    TransitionError,
    doctor,
)
from flask_queues.batches import tag_of
from flask_queues.batches.book import Line, Listed, shard_of
from flask_queues.manager import Manager
from flask_queues.record import Outcome, WorkerRecord
from flask_queues.storage.sealed import names_of
from flask_queues.storage.values import Settlement, Wanted
from flask_queues.transitions import dump_error
from flask_queues.worker.plan import this_worker
from tests.support.runs import run_next


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    return sample(Flask("shop", instance_path=str(tmp_path)))


def sample(app: Flask) -> Queues:
    """The queues of an application with two job types."""
    queues = Queues(app)

    @queues.job("work", tries=1)
    def work(n: int = 0) -> None: ...

    @queues.job("report", priority=-100)
    def report(what: str) -> None: ...

    return queues


def numbers(n: int) -> Iterator[tuple[str, dict[str, int]]]:
    """So many jobs."""
    return (("work", {"n": i}) for i in range(n))


def end(manager: Manager, status: Status = Status.COMPLETED) -> str:
    """Claim the next job and settle it, as a worker does; returns its id."""
    wanted = Wanted(manager.queue_order(), manager.jobs.keys(), 30_000)
    (claim,) = manager.step("child", (), wanted).claims
    error = dump_error("ValueError", "no") if status is Status.FAILED else None
    settled = Settlement(claim.id, claim.token, status, Outcome.COMPLETED, counted=True, error=error)
    assert manager.step("child", [settled]).lost == []
    return claim.id


def tend(manager: Manager) -> list[str]:
    """Do what a keeper does; returns what the callbacks say that wait now."""
    manager.tend_batches(at_once=True)
    return sorted(job.payload["what"] for job in manager.jobs_of(type="report", statuses=[Status.PENDING]).jobs)


def reporting(queues: Queues, n: int, **options: Any) -> BatchHandle:
    """Push a batch with every callback."""
    batch = queues.batch(numbers(n), name="Numbers")
    for name, method in (("then", batch.then), ("catch", batch.catch), ("finally", batch.finally_)):
        method("report", {"what": name}, priority=-100)
    return batch.push(**options)


def test_callbacks_come_when_all_jobs_have_completed(queues: Queues) -> None:
    """`then` and `finally`, once, and not before."""
    batch = reporting(queues, 3)
    assert (batch.status, batch.record.name, batch.record.total) == (Status.PENDING, "Numbers", 3)
    end(queues.manager)
    end(queues.manager)
    assert tend(queues.manager) == []
    assert (batch.status, round(batch.percent)) == (Status.RUNNING, 67)
    end(queues.manager)
    assert tend(queues.manager) == ["finally", "then"]
    assert tend(queues.manager) == ["finally", "then"]
    record = batch.record
    assert (record.status, record.percent, record.done) == (Status.COMPLETED, 100, 3)
    assert record.ended is not None
    assert set(record.fired) == {"then", "finally"}
    assert queues.find(record.callbacks["then"]).batch == batch.id


def test_catch_comes_with_the_first_failure(queues: Queues) -> None:
    """While others still run; `then` does not come."""
    batch = reporting(queues, 3)
    end(queues.manager, Status.FAILED)
    assert tend(queues.manager) == ["catch"]
    assert batch.status is Status.RUNNING
    end(queues.manager, Status.FAILED)
    end(queues.manager)
    assert tend(queues.manager) == ["catch", "finally"]
    assert (batch.status, batch.record.counts["failed"]) == (Status.FAILED, 2)


def test_failures_are_retried_together(queues: Queues) -> None:
    """And when all have completed then, `then` comes; the others not again."""
    batch = reporting(queues, 3)
    for status in (Status.FAILED, Status.COMPLETED, Status.FAILED):
        end(queues.manager, status)
    tend(queues.manager)
    assert batch.retry() == 2
    assert batch.record.status is Status.RUNNING
    end(queues.manager)
    end(queues.manager)
    assert tend(queues.manager) == ["catch", "finally", "then"]
    assert batch.status is Status.COMPLETED
    assert batch.retry() == 0


def test_a_job_that_is_retried_by_itself_opens_its_batch_again(queues: Queues) -> None:
    """Also from the panel or at the terminal."""
    batch = reporting(queues, 1)
    failed = end(queues.manager, Status.FAILED)
    tend(queues.manager)
    queues.retry(failed)
    assert batch.record.ended is None
    end(queues.manager)
    assert "then" in tend(queues.manager)


def test_a_cancelled_batch_cancels_what_waits(queues: Queues) -> None:
    """`finally` comes, `then` and `catch` do not; nothing can be added."""
    batch = reporting(queues, 4)
    end(queues.manager)
    assert batch.cancel("enough")
    with pytest.raises(TransitionError, match="is cancelled; no job can be added"):
        batch.add(numbers(1))
    assert tend(queues.manager) == ["finally"]
    record = batch.record
    assert (record.status, record.reason, record.counts["cancelled"]) == (Status.CANCELLED, "enough", 3)
    assert not batch.cancel()


def test_a_batch_grows_while_its_jobs_run(queues: Queues) -> None:
    """It is not over before what was added is; then nothing can be added."""
    batch = reporting(queues, 1)
    wanted = Wanted(["default"], ["work"], 30_000)
    (claim,) = queues.manager.step("child", (), wanted).claims
    assert batch.add(numbers(2), queue="other") == 2
    queues.manager.step("child", [Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED, counted=True)])
    assert tend(queues.manager) == []
    assert (batch.record.total, batch.record.queues) == (3, ("default", "other"))
    end(queues.manager)
    end(queues.manager)
    assert tend(queues.manager) == ["finally", "then"]
    with pytest.raises(TransitionError, match="is over; no job can be added"):
        batch.add(numbers(1))


def test_what_is_added_while_a_keeper_looks_is_waited_for(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper has read that all is done, and somebody was quicker."""
    batch = reporting(queues, 1)
    end(queues.manager)
    storage = queues.manager.storage
    tallies = storage.tallies

    def tallies_and_more(batches: Any) -> Any:
        monkeypatch.undo()
        found = tallies(batches)
        batch.add(numbers(1))
        return found

    monkeypatch.setattr(storage, "tallies", tallies_and_more)
    assert tend(queues.manager) == []
    end(queues.manager)
    assert tend(queues.manager) == ["finally", "then"]


def test_a_batch_stays_open_while_a_callback_adds_to_it(queues: Queues) -> None:
    """A callback is none of its jobs: all of those may end meanwhile."""
    batch = reporting(queues, 2)
    end(queues.manager, Status.FAILED)
    assert tend(queues.manager) == ["catch"]
    (catch,) = queues.manager.jobs_of(type="report").jobs

    def growing() -> Iterator[tuple[str, dict[str, int]]]:
        end(queues.manager)
        assert tend(queues.manager) == ["catch"]
        yield ("work", {"n": 9})

    assert queues.batches.add(batch.id, growing(), {}, by=catch.id) == 1
    end(queues.manager)
    assert tend(queues.manager) == ["catch", "finally"]
    assert batch.record.counts["completed"] == 2


def test_an_empty_batch_is_done_at_once(queues: Queues) -> None:
    """As is one whose generator had nothing to give."""
    batch = reporting(queues, 0)
    assert tend(queues.manager) == ["finally", "then"]
    assert (batch.status, batch.percent) == (Status.COMPLETED, 100)


def test_options_of_all_jobs_and_of_callbacks(queues: Queues) -> None:
    """Each has its own."""
    batch = queues.batch(numbers(2)).then("report", {"what": "x"}, queue="reports").push(queue="slow", priority=5)
    assert {(job.queue, job.priority, job.tags) for job in batch.jobs()} == {("slow", 5, (tag_of(batch.id),))}
    end(queues.manager)
    end(queues.manager)
    tend(queues.manager)
    assert queues.find(batch.record.callbacks["then"]).queue == "reports"


def test_a_large_batch_is_pushed_in_slices(queues: Queues) -> None:
    """No more than a slice is taken from a generator before it is stored."""
    ahead = 0

    def counted() -> Iterator[tuple[str, dict[str, int]]]:
        nonlocal ahead
        for n in range(1300):
            ahead = max(ahead, n - queues.counts().statuses["pending"])
            yield ("work", {"n": n})

    batch = queues.batch(counted()).push()
    assert batch.record.total == 1300
    assert ahead < 500


def test_a_job_that_cannot_be_pushed_cancels_the_batch(queues: Queues) -> None:
    """What was pushed before it is cancelled, and `finally` comes."""
    jobs = [*numbers(500), ("work", {"m": 1})]
    with pytest.raises(PayloadError, match="no argument 'm'"):
        queues.batch(jobs).finally_("report", {"what": "finally"}).push()
    (record,), _, total = queues.batches.all()
    assert (total, record.counts["cancelled"], record.reason) == (1, 500, "Its push broke off.")
    assert tend(queues.manager) == ["finally"]


def test_a_push_that_died_ends_after_ten_minutes(queues: Queues) -> None:
    """What it had pushed runs; the batch counts as cancelled."""
    batch = reporting(queues, 1)
    book = queues.batches._book
    book.change(batch.id, lambda sheet: replace(sheet, pushers=1))
    end(queues.manager)
    assert tend(queues.manager) == []
    assert batch.record.growing
    book.change(batch.id, lambda sheet: replace(sheet, pushed=sheet.pushed - 600_001))
    assert tend(queues.manager) == ["finally"]
    assert (batch.status, batch.record.growing) == (Status.CANCELLED, False)


def test_batches_are_listed_page_by_page(queues: Queues) -> None:
    """The newest first."""
    made = [queues.batch(numbers(1), name=str(n)).push().id for n in range(7)]
    seen: list[str] = []
    after: str | None = None
    while True:
        records, after, total = queues.batches.all(limit=3, after=after)
        seen += [record.id for record in records]
        assert total == 7
        if after is None:
            break
    assert sorted(seen) == sorted(made)
    assert [queues.batches.find(one).created for one in seen] == sorted(
        (queues.batches.find(one).created for one in made), reverse=True
    )


def test_ended_batches_are_forgotten_after_their_retention(queues: Queues) -> None:
    """With what was counted."""
    batch = reporting(queues, 1)
    end(queues.manager)
    tend(queues.manager)
    week = queues.manager.config.retention_failed * 3_600_000
    queues.batches._book.change(batch.id, lambda sheet: replace(sheet, ended=(sheet.ended or 0) - int(week) - 1))
    queues.batches.tending._next_tidy = 0
    tend(queues.manager)
    with pytest.raises(BatchNotFound, match="forgotten after their retention"):
        batch.record  # noqa: B018
    assert queues.manager.storage.tallies({batch.id: ["default"]}) == {}
    assert queues.batches.all() == ([], None, 0)


def test_a_batch_that_cannot_be_is_refused(queues: Queues) -> None:
    """Before anything is stored."""
    with pytest.raises(OptionError, match="one job for then"):
        queues.batch().then("report", {"what": "a"}).then("report", {"what": "b"})
    with pytest.raises(OptionError, match="unique"):
        queues.batch(numbers(1)).then("report", {"what": "a"}, unique=True).push()
    with pytest.raises(PayloadError, match="'what' is missing"):
        queues.batch(numbers(1)).then("report").push()
    with pytest.raises(BatchNotFound):
        queues.batches.find("nonsense")
    assert queues.batches.all() == ([], None, 0)
    assert sum(queues.counts().statuses.values()) == 0


def test_sheets_of_batches_are_encrypted(tmp_path: Path) -> None:
    """Also the payloads of callbacks, which are kept there until they are pushed."""
    from cryptography.fernet import Fernet

    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()]
    queues = sample(app)
    queues.batch(numbers(1), name="mountain").then("report", {"what": "valley"}).push()
    end(queues.manager)
    assert tend(queues.manager) == ["valley"]
    queues.manager.storage.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert not any(word in stored for word in (b"mountain", b"valley"))


def test_open_batches_do_not_move(queues: Queues, tmp_path: Path) -> None:
    """What counts them would stay; said before anything is moved."""
    batch = reporting(queues, 1)
    runner = queues.manager.app.test_cli_runner()
    where = ["--to", "QUEUES_CACHE_TYPE=FileSystemCache", "--to", f"QUEUES_CACHE_DIR={json.dumps(str(tmp_path / 'x'))}"]
    told = runner.invoke(args=["queues", "move", *where])
    assert (told.exit_code, "1 batch on" in told.output) == (1, True)
    batch.cancel()
    end_all(queues.manager)
    assert runner.invoke(args=["queues", "move", *where]).exit_code == 0


def end_all(manager: Manager) -> None:
    """Let a batch end with its callbacks."""
    tend(manager)
    while manager.counts().statuses["pending"]:
        end(manager)


def test_batches_at_the_terminal(queues: Queues) -> None:
    """A table, one of them, and what can be done about it."""
    batch = reporting(queues, 2)
    end(queues.manager, Status.FAILED)
    runner = queues.manager.app.test_cli_runner()

    def run(*args: str) -> str:
        told = runner.invoke(args=["queues", "batches", *args])
        assert told.exit_code == 0, told.output
        return told.output

    assert run().splitlines()[1].split()[1:7] == ["Numbers", "running", "50", "%", "1", "2"]
    assert "2: 1 pending, 1 failed" in run(batch.id)
    assert "then not pushed" in run(batch.id)
    shown = json.loads(run(batch.id, "--json"))
    assert (shown["status"], shown["counts"]["failed"], shown["total"]) == ("running", 1, 2)
    assert json.loads(run("--json"))["batches"] == [shown]
    assert "2 pending" in run(batch.id, "--retry")
    assert "2 cancelled" in run(batch.id, "--cancel")
    assert [act.action for act in queues.manager.acts()] == ["cancel", "retry"]
    assert runner.invoke(args=["queues", "batches", "--retry"]).exit_code == 2
    assert "There is no batch nonsense" in runner.invoke(args=["queues", "batches", "nonsense"]).output


def test_the_status_tells_how_many_are_open(queues: Queues) -> None:
    """At one glance, to people and programs, until they have ended."""
    runner = queues.manager.app.test_cli_runner()
    assert json.loads(runner.invoke(args=["queues", "status", "--json"]).output)["open_batches"] == 0
    batch = reporting(queues, 2)
    assert json.loads(runner.invoke(args=["queues", "status", "--json"]).output)["open_batches"] == 1
    assert "1 batch is not done yet: flask queues batches" in runner.invoke(args=["queues", "status"]).output
    batch.cancel("enough")
    queues.manager.tend_batches(at_once=True)
    assert "not done yet" not in runner.invoke(args=["queues", "status"]).output


def dead(*_: Any) -> None:
    """What a keeper comes to whose process or storage is gone."""
    raise StorageUnavailable("gone")


def test_a_callback_comes_that_another_keeper_has_noted_and_not_pushed(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one keeper pushes `catch`, another notes that `finally` is due, and dies."""
    reporting(queues, 2)
    end(queues.manager, Status.FAILED)
    storage = queues.manager.storage
    push = storage.push

    def push_slowly(jobs: Any) -> Any:
        monkeypatch.setattr(storage, "push", dead)
        end(queues.manager)
        with pytest.raises(StorageUnavailable):
            queues.manager.tend_batches(at_once=True)
        monkeypatch.undo()
        return push(jobs)

    monkeypatch.setattr(storage, "push", push_slowly)
    assert tend(queues.manager) == ["catch"]
    assert tend(queues.manager) == ["catch", "finally"]


def test_a_callback_that_ran_and_is_deleted_is_not_pushed_again_by_who_has_looked_before(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a keeper that was frozen, where nothing is kept of jobs: another has done it all meanwhile."""
    batch = reporting(queues, 1)
    manager, storage = queues.manager, queues.manager.storage
    end(manager)
    monkeypatch.setattr(storage, "push", dead)
    with pytest.raises(StorageUnavailable):
        manager.tend_batches(at_once=True)
    monkeypatch.undo()
    tallies = storage.tallies
    ran: list[str] = []

    def freeze(batches: Any) -> Any:
        monkeypatch.undo()
        found = tallies(batches)
        assert tend(manager) == ["finally", "then"]
        ran.extend(end(manager) for _ in range(2))
        assert storage.purge([Status.COMPLETED]) == 3
        return found

    monkeypatch.setattr(storage, "tallies", freeze)
    assert tend(manager) == []
    assert (len(ran), batch.record.fired) == (2, ("then", "finally"))


def test_a_keeper_that_looks_between_two_retries_does_not_close_the_batch(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them has ended already when the second is retried."""
    batch = reporting(queues, 2)
    for _ in range(2):
        end(queues.manager, Status.FAILED)
    tend(queues.manager)
    storage = queues.manager.storage
    retry = storage.retry

    def retry_and_look(job_id: str) -> Any:
        tend(queues.manager)
        found = retry(job_id)
        end(queues.manager)
        tend(queues.manager)
        return found

    monkeypatch.setattr(storage, "retry", retry_and_look)
    assert batch.retry() == 2
    assert "then" in tend(queues.manager)


def test_a_batch_of_which_a_job_goes_on_is_opened_again(queues: Queues) -> None:
    """Also where somebody retried it and died before he could say so."""
    batch = reporting(queues, 1)
    failed = end(queues.manager, Status.FAILED)
    tend(queues.manager)
    queues.manager.storage.retry(failed)
    queues.batches.tending._next_tidy = 0
    tend(queues.manager)
    assert batch.record.ended is None
    end(queues.manager)
    assert "then" in tend(queues.manager)


def test_a_callback_that_is_retried_does_not_open_its_batch(queues: Queues) -> None:
    """It only reports for it."""
    batch = reporting(queues, 0)
    tend(queues.manager)
    ended = batch.record.ended
    callback = end(queues.manager, Status.FAILED)
    queues.retry(callback)
    assert batch.record.ended == ended is not None


@pytest.mark.parametrize("at", [1, 600])
def test_a_batch_that_is_cancelled_while_it_is_pushed_stays_cancelled(queues: Queues, at: int) -> None:
    """Whoever pushes it is told, and nothing of it waits."""

    def cancelling() -> Iterator[tuple[str, dict[str, int]]]:
        for n, job in enumerate(numbers(1300)):
            if n == at:
                (record,), _, _ = queues.batches.all()
                assert queues.batches.handle(record.id).cancel("enough")
            yield job

    with pytest.raises(TransitionError, match="is cancelled; no job can be added"):
        queues.batch(cancelling()).push()
    (record,), _, _ = queues.batches.all()
    assert (record.reason, record.counts["pending"]) == ("enough", 0)
    assert record.counts["cancelled"] == (500 if at == 1 else 1000)
    assert {job.reason for job in queues.manager.every(tag=tag_of(record.id))} == {"enough"}


def test_a_batch_that_is_cancelled_while_it_grows_stays_cancelled(queues: Queues) -> None:
    """What was added is cancelled as well."""
    batch = queues.batch(numbers(1)).push()

    def cancelling() -> Iterator[tuple[str, dict[str, int]]]:
        batch.cancel("enough")
        yield from numbers(3)

    with pytest.raises(TransitionError, match="is cancelled"):
        batch.add(cancelling())
    assert (batch.record.counts["cancelled"], batch.record.counts["pending"]) == (4, 0)


def test_who_was_taken_for_dead_adds_nothing_to_what_is_over(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that lets its pusher wait for more than ten minutes."""
    monkeypatch.setattr("flask_queues.batches.growing.SLICE", 1)

    def slow() -> Iterator[tuple[str, dict[str, int]]]:
        yield from numbers(1)
        end(queues.manager)
        (record,), _, _ = queues.batches.all()
        queues.batches._book.change(record.id, lambda sheet: replace(sheet, pushed=sheet.pushed - 600_001))
        tend(queues.manager)
        yield from numbers(1)

    with pytest.raises(TransitionError, match="is cancelled; no job can be added"):
        queues.batch(slow()).push()
    (record,), _, _ = queues.batches.all()
    assert (record.counts["completed"], record.counts["cancelled"], record.counts["pending"]) == (1, 1, 0)


def test_a_slow_generator_gives_signs_of_life(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has is pushed, though it is no whole slice."""
    monkeypatch.setattr("flask_queues.batches.growing.SIGN_OF_LIFE", -1)
    pushed: list[int] = []

    def slow() -> Iterator[tuple[str, dict[str, int]]]:
        for job in numbers(3):
            pushed.append(queues.counts().statuses["pending"])
            yield job

    queues.batch(slow()).push()
    assert pushed == [0, 1, 2]


def test_a_batch_that_has_lost_jobs_is_not_completed(queues: Queues) -> None:
    """A Redis that came back without its last writes has lost jobs and their tally; the sheet may be elsewhere."""
    batch = reporting(queues, 2)
    queues.manager.storage.forget_tallies({batch.id: ["default"]})
    assert tend(queues.manager) == ["finally"]
    assert batch.status is Status.CANCELLED


def test_unique_jobs_that_are_there_already_are_not_missed(queues: Queues) -> None:
    """They belong to no batch, or to another."""
    queues.push("work", {"n": 0}, unique=True)
    batch = queues.batch(numbers(2)).then("report", {"what": "then"}).push(unique=True)
    end(queues.manager)
    end(queues.manager)
    assert (tend(queues.manager), batch.record.total, batch.status) == (["then"], 1, Status.COMPLETED)


def test_a_process_with_another_key_does_not_hide_the_batches_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot read them, and lists its own beside them."""
    from cryptography.fernet import Fernet

    monkeypatch.setattr("flask_queues.batches.book.SHARDS", 1)
    both: list[Queues] = []
    for _ in range(2):
        app = Flask("shop", instance_path=str(tmp_path))
        app.config["QUEUES_ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()]
        both.append(sample(app))
    ours, theirs = both
    batch = ours.batch(numbers(1)).then("report", {"what": "then"}).push()
    strange = theirs.batch(numbers(1)).push()
    end(theirs.manager)
    end(theirs.manager)
    theirs.manager.tend_batches(at_once=True)
    assert strange.record.ended is not None
    with pytest.raises(BatchNotFound):
        theirs.batches.handle(batch.id).record  # noqa: B018
    assert tend(ours.manager) == ["then"]
    assert batch.record.ended is not None


def killed(*_: Any) -> bool:
    """Whoever cancels a batch, gone before its first job."""
    return False


def test_a_keeper_goes_on_with_a_cancellation(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, where whoever began with it has died; also with what waits for its time."""
    batch = queues.batch(numbers(70)).finally_("report", {"what": "finally"}).push()
    batch.add(numbers(1), delay=3600)
    monkeypatch.setattr(queues.batches.calling_off, "some", killed)
    assert batch.cancel("enough")
    monkeypatch.undo()
    assert batch.record.counts["cancelled"] == 0
    monkeypatch.setattr("flask_queues.batches.tending.IN_PASSING", 0)
    cancelled = []
    while batch.record.counts["cancelled"] < 71:
        tend(queues.manager)
        cancelled.append(batch.record.counts["cancelled"])
    assert cancelled == [25, 50, 71]
    assert tend(queues.manager) == ["finally"]
    assert {job.reason for job in batch.jobs()} == {"enough"}


def test_a_worker_begins_nothing_of_a_cancelled_batch(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody has come to that job; one that is retried afterwards runs, and so does what reports."""
    batch = queues.batch(numbers(2)).finally_("report", {"what": "finally"}).push()
    monkeypatch.setattr(queues.batches.calling_off, "some", killed)
    assert batch.cancel("enough")
    for _ in range(2):
        run_next(queues.manager)
    jobs = list(batch.jobs())
    assert [(job.status, job.reason, job.attempts) for job in jobs] == [(Status.CANCELLED, "enough", 0)] * 2
    assert tend(queues.manager) == ["finally"]
    assert run_next(queues.manager).status is Status.COMPLETED
    queues.retry(jobs[0].id)
    assert run_next(queues.manager).status is Status.COMPLETED


def test_a_worker_asks_once_a_second_whether_a_batch_goes_on(queues: Queues) -> None:
    """Not for each of its jobs; a second after its cancellation it begins nothing more of it."""
    batch = queues.batch(numbers(3)).push()
    calling_off, storage, clock = queues.batches.calling_off, queues.manager.storage, mock.Mock(monotonic=lambda: 100.0)
    with mock.patch("flask_queues.batches.calling.time", clock):
        with mock.patch.object(storage, "sheets", wraps=storage.sheets) as asked:
            assert [calling_off.reason_for(batch.id, job.id) for job in batch.jobs()] == [None] * 3
        assert asked.call_count == 1
        batch.cancel("enough")
        clock.monotonic = lambda: 101.0
        assert [calling_off.reason_for(batch.id, job.id) for job in batch.jobs()] == ["enough"] * 3


def test_a_retry_passes_over_a_job_whose_key_another_holds(queues: Queues) -> None:
    """The others are retried, and the batch goes on."""
    batch = queues.batch(numbers(2)).push(unique=True)
    for _ in range(2):
        end(queues.manager, Status.FAILED)
    tend(queues.manager)
    queues.push("work", {"n": 0}, unique=True)
    assert batch.retry() == 1
    assert (batch.record.ended, batch.record.counts["failed"]) == (None, 1)


def test_a_retry_in_a_request_asks_who_may_push(queues: Queues) -> None:
    """Before any of its jobs is retried."""
    queues.job("guarded", tries=1, authorize=lambda _user, _payload: False)(lambda: None)
    batch = queues.batch([("work", {"n": 1}), ("guarded", {})]).push()
    for _ in range(2):
        end(queues.manager, Status.FAILED)
    tend(queues.manager)
    with queues.manager.app.test_request_context(), pytest.raises(NotAllowed, match="guarded"):
        batch.retry()
    assert batch.record.counts["failed"] == 2
    assert batch.retry() == 2


def test_then_comes_although_whoever_retried_has_died_before_the_batch_was_opened(queues: Queues) -> None:
    """Also where the job has completed by the time that a keeper looks at ended batches."""
    batch = reporting(queues, 1)
    failed = end(queues.manager, Status.FAILED)
    tend(queues.manager)
    assert queues.manager.storage.retry(failed) is Status.FAILED
    run_next_of(queues.manager, "work")
    queues.batches.tending._next_tidy = 0
    tend(queues.manager)
    assert "then" in tend(queues.manager)
    assert batch.status is Status.COMPLETED


def run_next_of(manager: Manager, job_type: str) -> None:
    """Let the next job of a type complete."""
    (claim,) = manager.step("child", (), Wanted(manager.queue_order(), [job_type], 30_000)).claims
    done = Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED, counted=True)
    assert manager.step("child", [done]).lost == []


def test_the_first_reason_stays_where_a_batch_is_cancelled_twice(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the jobs to which the first had not come."""
    monkeypatch.setattr("flask_queues.batches.batches.AT_ONCE", 0)
    batch = queues.batch(numbers(60)).push()
    assert batch.cancel("enough")
    assert batch.record.counts["pending"] > 0
    assert batch.cancel("once more")
    while batch.record.counts["pending"]:
        tend(queues.manager)
    assert {job.reason for job in batch.jobs()} == {"enough"}


class Reads:
    """Counts the sheets that a storage is asked for, without those that say whether a list has changed."""

    def __init__(self, storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        sheets = storage.sheets

        def counted(names: Any) -> Any:
            self.names += [name for name in names if not name.endswith(":number")]
            return sheets(names)

        monkeypatch.setattr(storage, "sheets", counted)


def test_a_keeper_reads_again_only_what_was_changed(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two open batches and an ended one: the one that somebody has changed, with its list."""
    ended = reporting(queues, 0)
    ours, other = queues.batch(numbers(1)).push(), queues.batch(numbers(1)).push()
    tend(queues.manager)
    tend(queues.manager)
    assert ended.record.ended is not None
    reads = Reads(queues.manager.storage, monkeypatch)
    tend(queues.manager)
    assert reads.names == []
    ours.add(numbers(1))
    reads.names.clear()
    tend(queues.manager)
    assert [name for name in reads.names if name.startswith("batch:")] == [f"batch:{ours.id}"]
    assert sum(name.startswith("batches:") for name in reads.names) == 1
    assert f"batch:{other.id}" not in reads.names


def test_ended_batches_are_read_once(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a keeper looks whether they are to be forgotten."""
    for _ in range(3):
        reporting(queues, 0)
    tend(queues.manager)
    queues.batches.tending._next_tidy = 0
    tend(queues.manager)
    reads = Reads(queues.manager.storage, monkeypatch)
    queues.batches.tending._next_tidy = 0
    tend(queues.manager)
    assert [name for name in reads.names if name.startswith("batch:")] == []


def test_a_keeper_believes_nothing_of_a_storage_that_was_emptied(queues: Queues) -> None:
    """Nor after a server has come back without its last writes, and somebody else has made others."""
    storage = queues.manager.storage
    batch = reporting(queues, 1)
    tend(queues.manager)
    before = {name: text for name, text in storage.sheets(storage.sheet_names()).items() if "batch" in name}
    batch.cancel("lost with the server")
    tend(queues.manager)
    lost = [name for name in storage.sheet_names() if "batch" in name]
    put_back(storage, {name: before.get(name) for name in lost})
    assert batch.record.reason is None
    batch.cancel("again")
    tend(queues.manager)
    record = batch.record
    assert record.reason == "again"
    assert record.fired == ("finally",)
    put_back(storage, dict.fromkeys(lost))
    tend(queues.manager)
    assert queues.batches.tending._memory.look().open == {}


def put_back(storage: Any, texts: dict[str, str | None]) -> None:
    """Let sheets say what they said once, as a server does that has lost its last writes."""
    name = next(iter(texts))
    assert storage.write_sheets((name, storage.sheets([name]).get(name)), texts)


@pytest.mark.parametrize("name", ["batch:", "batches:"])
def test_what_a_newer_version_has_written_of_batches_is_not_read(queues: Queues, name: str) -> None:
    """Whoever comes to it says so and stops, as with a newer storage."""
    batch = reporting(queues, 1)
    storage = queues.manager.storage
    texts = storage.sheets([one for one in storage.sheet_names() if one.startswith(name) and "number" not in one])
    newer = {
        one: text.replace('"format":1', '"format":9,"more":1') if name == "batch:" else f"{text[:-2]}9]"
        for one, text in texts.items()
    }
    put_back(storage, dict(newer))
    with pytest.raises(StorageFormatError, match="has format 9; this version of Flask-Queues reads up to"):
        batch.cancel()
    queues.batches.tending._memory.forget_lists()
    queues.batches.tending._memory._sheets.clear()
    with pytest.raises(StorageFormatError, match="Install the newer version"):
        tend(queues.manager)


def test_what_was_written_of_batches_before_formats_is_read(queues: Queues) -> None:
    """One version back: sheets without a format, lists in which only moments stand."""
    batch = reporting(queues, 1)
    storage = queues.manager.storage
    old: dict[str, str | None] = {}
    for name, text in storage.sheets(storage.sheet_names()).items():
        if name.startswith("batch:"):
            old[name] = text.replace('"format":1,', "")
        elif name.endswith(":number"):
            old[name] = None
        elif name.startswith("batches:"):
            number, opened, ended, _ = json.loads(text)
            old[name] = json.dumps([number, *({key: one[0] for key, one in part.items()} for part in (opened, ended))])
    put_back(storage, old)
    end(queues.manager)
    assert tend(queues.manager) == ["finally", "then"]
    assert batch.status is Status.COMPLETED


def with_lost_key(folder: Path) -> tuple[Queues, str]:
    """An application whose key was replaced by another one while a batch was open; the id of that."""
    from cryptography.fernet import Fernet

    def with_new_key() -> Queues:
        app = Flask("shop", instance_path=str(folder))
        app.config["QUEUES_ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()]
        return sample(app)

    batch = with_new_key().batch(numbers(1)).then("report", {"what": "then"}).push()
    return with_new_key(), batch.id


def test_a_batch_whose_key_is_gone_can_be_given_up(tmp_path: Path) -> None:
    """Doctor and move say so; its jobs stay, and who did it is kept."""
    queues, batch_id = with_lost_key(tmp_path)
    runner = queues.manager.app.test_cli_runner()
    moved = ["queues", "move", "--to", "QUEUES_CACHE_TYPE=FileSystemCache"]
    moved += ["--to", f"QUEUES_CACHE_DIR={json.dumps(str(tmp_path / 'x'))}"]
    (finding,) = [one for one in doctor.examine(queues.manager) if one.code == "batch-closed"]
    assert batch_id in finding.problem
    told = runner.invoke(args=moved)
    assert (told.exit_code, f"flask queues batches {batch_id} --give-up" in told.output) == (1, True)
    assert runner.invoke(args=["queues", "batches", batch_id, "--give-up"]).exit_code == 0
    assert queues.counts().statuses["pending"] == 1
    assert [(act.action, act.name) for act in queues.manager.acts()] == [("delete", batch_id)]
    assert queues.manager.storage.tallies({batch_id: ["default"]}) == {}
    assert [one for one in doctor.examine(queues.manager) if one.code == "batch-closed"] == []
    assert runner.invoke(args=moved).exit_code == 0
    assert "There is no batch" in runner.invoke(args=["queues", "batches", batch_id, "--give-up"]).output


@pytest.mark.parametrize("alive", [True, False])
def test_a_batch_that_a_worker_may_read_is_not_given_up(tmp_path: Path, alive: bool) -> None:
    """Whoever lacks the key is told which worker may have it; one that has vanished holds nothing up."""
    queues, batch_id = with_lost_key(tmp_path)
    manager = queues.manager
    moment = manager.now()
    worker = WorkerRecord(
        name="there:1:1", host="there", pid=1, started=moment, heartbeat=moment, queues=(), keys=("another",)
    )
    manager.heartbeat(worker)
    if not alive:
        manager.forget_worker(worker.name)
    told = manager.app.test_cli_runner().invoke(args=["queues", "batches", batch_id, "--give-up"])
    assert (told.exit_code, "there:1:1 has a key" in told.output) == ((1, True) if alive else (0, False))
    assert queues.batches.open() == (1 if alive else 0)


def test_a_worker_tells_which_keys_it_has_and_not_the_keys(tmp_path: Path) -> None:
    """By names that are the same wherever the key is."""
    queues, _ = with_lost_key(tmp_path)
    (key,) = queues.manager.config.encryption_keys
    worker = this_worker((), (), "1", keys=[key])
    assert worker.keys == names_of([key])
    queues.manager.heartbeat(worker)
    assert [one.keys for one in queues.manager.workers()] == [worker.keys]
    assert not any(name in key for name in worker.keys)


def test_a_batch_that_can_be_read_is_not_given_up(queues: Queues) -> None:
    """It can be cancelled, and then reports."""
    batch = reporting(queues, 1)
    told = queues.manager.app.test_cli_runner().invoke(args=["queues", "batches", batch.id, "--give-up"])
    assert (told.exit_code, "cancel it instead" in told.output) == (1, True)
    assert batch.record.status is Status.PENDING


def test_an_ended_batch_whose_key_is_gone_is_forgotten_like_others(tmp_path: Path) -> None:
    """By when it was made, which its list says."""
    queues, batch_id = with_lost_key(tmp_path)
    book, storage = queues.batches._book, queues.manager.storage
    texts = storage.sheets([shard_of(batch_id)])
    listed = Listed.load(texts[shard_of(batch_id)])
    listed.ended[batch_id] = replace_line(listed.open.pop(batch_id), days=30)
    assert storage.write_sheets((shard_of(batch_id), texts[shard_of(batch_id)]), {shard_of(batch_id): listed.dump()})
    tend(queues.manager)
    assert book.all().ended == {}


def replace_line(line: Line, days: int) -> Line:
    """A line of a batch that was made so much earlier."""
    return line._replace(created=line.created - days * 86_400_000)


@pytest.mark.parametrize("hours", [24 * 30, None])
def test_a_batch_is_kept_as_long_as_its_jobs_may_be(tmp_path: Path, hours: int | None) -> None:
    """A job type may be kept for longer than others, or for ever; one that is retried opens its batch again."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_RETENTION"] = {"work": {"failed": hours}}
    queues = sample(app)
    batch = reporting(queues, 1)
    end(queues.manager, Status.FAILED)
    tend(queues.manager)
    day = 86_400_000
    queues.batches._book.change(batch.id, lambda sheet: replace(sheet, ended=(sheet.ended or 0) - 20 * day))
    queues.batches.tending._next_tidy = 0
    tend(queues.manager)
    assert batch.retry() == 1
    assert batch.record.ended is None
