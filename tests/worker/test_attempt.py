"""One run of a job in this process: what it is told, what it says, and what becomes of it when something is thrown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Flask, current_app

from flask_queues import Job, Outcome, Queues, Retry, Status, current_job
from flask_queues.manager import Manager
from flask_queues.record import JobError
from flask_queues.storage.values import Settlement, Wanted
from flask_queues.worker.attempt import Attempt
from flask_queues.worker.interrupts import CancelNow, Interrupt, StopNow, TimeUp
from tests.support.runs import NoLimits, run_next


class Work(Job):
    type = "work"
    tries = 2
    backoff = 0
    timeout = 77

    #: What it does.
    does: Callable[[], Any] = staticmethod(lambda: None)
    last_words: list[str] = []  # noqa: RUF012 - emptied for each test

    def handle(self) -> Any:
        return type(self).does()

    def failed(self, exception: BaseException) -> None:
        self.last_words.append(f"{type(exception).__name__} in {current_app.name}")
        raise OSError("nobody is told of this")


class Thrown(NoLimits):
    """An interrupt that comes while the job runs; the job may let it through or not."""

    def __init__(self, kind: type[Interrupt], *, swallowed: bool) -> None:
        self.kind, self.swallowed = kind, swallowed

    @contextmanager
    def armed(self, seconds: float) -> Iterator[None]:
        assert seconds == 77
        yield
        self.thrown = self.kind
        if not self.swallowed:
            raise self.kind


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    Work.last_words.clear()
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(Work)
    yield queues.manager
    queues.manager.storage.close()


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Say what the job does."""
    return lambda what: monkeypatch.setattr(Work, "does", staticmethod(what))


def interrupted(manager: Manager, limits: Thrown) -> Settlement:
    """Claim the next job, and run it under these limits."""
    (claim,) = manager.step("w", (), Wanted(["default"], ["work"], 60_000)).claims
    return Attempt(manager, claim, limits, lambda: None).run()


def raises(error: BaseException) -> Callable[[], NoReturn]:
    def raising() -> NoReturn:
        raise error

    return raising


@pytest.mark.parametrize("swallowed", [True, False])
@pytest.mark.parametrize(
    ("kind", "status", "outcome", "counted"),
    [
        (StopNow, Status.PENDING, Outcome.GIVEN_BACK, False),
        (CancelNow, Status.CANCELLED, Outcome.CANCELLED, True),
        (TimeUp, Status.SCHEDULED, Outcome.TIMED_OUT, True),
    ],
)
def test_what_was_thrown_into_a_job_decides(
    manager: Manager, kind: type[Interrupt], status: Status, outcome: Outcome, *, counted: bool, swallowed: bool
) -> None:
    """Also where the job has swallowed it and returned as if nothing had been."""
    manager.push(Work)
    end = interrupted(manager, Thrown(kind, swallowed=swallowed))
    assert (end.status, end.outcome, end.counted) == (status, outcome, counted)
    if kind is TimeUp:
        assert "JobTimeout" in str(end.error)
        assert "longer than its timeout of 77 s" in str(end.error)
        assert end.delay == 0
    assert Work.last_words == []


def test_the_last_try_that_fails_says_its_last_words(manager: Manager, does: Any) -> None:
    """In the application's context, and only then; whatever they raise."""
    does(raises(ValueError("no")))
    manager.push(Work)
    assert run_next(manager).status is Status.SCHEDULED
    assert Work.last_words == []
    assert run_next(manager).status is Status.FAILED
    assert Work.last_words == ["ValueError in shop"]


def test_a_timeout_of_the_last_try_is_told_as_one(manager: Manager) -> None:
    """To `failed`, and in the record."""
    manager.push(Work, tries=1)
    assert interrupted(manager, Thrown(TimeUp, swallowed=False)).status is Status.FAILED
    assert Work.last_words == ["JobTimeout in shop"]


@pytest.mark.parametrize(
    ("error", "heard"),
    [("flask_queues.errors.WorkerLost", "WorkerLost"), ("flask_queues.errors.JobTimeout", "JobTimeout")],
)
def test_last_words_are_said_for_a_job_whose_last_try_died_with_its_process(
    manager: Manager, does: Any, error: str, heard: str
) -> None:
    """By the next process, which does nothing else of it: it hears of the kind of death."""
    does(raises(AssertionError("it does not run")))
    manager.push(Work, tries=1)
    (claim,) = manager.step("dead", (), Wanted(["default"], ["work"], 60_000)).claims
    manager.rescuer.bury("dead", Outcome.KILLED, JobError(error, "gone"), claim.token)
    end = run_next(manager)
    assert (end.status, end.outcome, end.counted) == (Status.FAILED, None, False)
    assert Work.last_words == [f"{heard} in shop"]


def test_last_words_know_the_payload(manager: Manager) -> None:
    """Also where no process is left that has read it; one that fits no more is left out."""
    heard: list[dict[str, Any]] = []

    class Told(Job):
        type = "told"
        tries = 1

        def handle(self, who: str, size: int = 3) -> None: ...

        def failed(self, exception: BaseException) -> None:
            heard.append(self.payload)

    manager.jobs.add(Told)
    for payload in ({"who": "ada"}, {"who": "bob", "size": 4}):
        manager.push(Told, payload)
        (claim,) = manager.step("dead", (), Wanted(["default"], ["told"], 60_000)).claims
        manager.rescuer.bury("dead", Outcome.KILLED, JobError("flask_queues.errors.WorkerLost", "gone"), claim.token)
        if "size" in payload:
            manager.storage.change_payload(claim.id, '{"whom": "bob"}', claim.payload)
        (claim,) = manager.step("next", (), Wanted(["default"], ["told"], 60_000)).claims
        assert Attempt(manager, claim, NoLimits(), lambda: None).run().status is Status.FAILED
    assert heard == [{"who": "ada", "size": 3}, {}]


@pytest.mark.parametrize(
    ("count", "total", "told"),
    [(3, 4, (75.0, "3 of 4")), (9, 4, (100.0, "9 of 4")), (1234, None, (0.0, "1,234")), (0, 0, (0.0, "0"))],
)
def test_a_loop_tells_how_many_of_its_items_are_done(
    manager: Manager, count: int, total: int | None, told: tuple[float, str]
) -> None:
    """Never more than all; in numbers alone where nobody knows how many there will be."""
    manager.push(Work)
    (claim,) = manager.step("w", (), Wanted(["default"], ["work"], 60_000)).claims
    attempt = Attempt(manager, claim, NoLimits(), lambda: None)
    attempt.passed(count, total)
    assert attempt.run().progress == told


class Unspeakable(Exception):
    """Its message would end the process."""

    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(("discards", "status"), [(Unspeakable, Status.CANCELLED), ((), Status.FAILED)])
def test_an_error_whose_message_would_end_the_process_ends_the_job_alone(
    tmp_path: Path, does: Any, discards: Any, status: Status
) -> None:
    """Whether it discards the job or is its failure."""
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("unspeakable", tries=1, discard_on=discards)
    def work() -> None:
        raise Unspeakable

    work.push()
    end = run_next(queues.manager)
    assert (end.status, "(its message could not be made)" in f"{end.error}{end.reason}") == (status, True)
    queues.manager.storage.close()


def test_a_job_that_cannot_be_made_has_failed(tmp_path: Path) -> None:
    """Its `failed` neither: there is nothing to call it on."""
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.register
    class Broken(Job):
        type = "broken"
        tries = 1

        def __init__(self) -> None:
            raise OSError("no licence")

        def handle(self) -> None: ...

    queues.push(Broken)
    end = run_next(queues.manager)
    assert (end.status, "no licence" in str(end.error)) == (Status.FAILED, True)
    queues.manager.storage.close()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_job_that_would_end_the_process_has_failed(manager: Manager, does: Any, error: BaseException) -> None:
    """Its worker goes on."""
    does(raises(error))
    manager.push(Work)
    end = run_next(manager)
    assert (end.status, end.outcome, end.counted) == (Status.SCHEDULED, Outcome.FAILED, True)
    assert type(error).__name__ in str(end.error)


def test_what_a_job_has_said_is_kept_with_its_run(manager: Manager, does: Any) -> None:
    """The lines of each run by themselves; progress also where there are no lines."""

    def speak_and_wait() -> None:
        current_job.log("info", "hello")
        raise Retry(delay=0)

    does(speak_and_wait)
    job = manager.push(Work)
    for _ in range(2):
        run_next(manager)
    assert [(line.run, line.message, line.context) for line in manager.logs(job.id)] == [
        (1, "hello", {}), (2, "hello", {}),
    ]  # fmt: skip
    does(lambda: current_job.progress(75))
    run_next(manager)
    assert job.record.progress == (75, "")


def test_a_job_of_a_schedule_is_told_when_it_was_due(manager: Manager, does: Any) -> None:
    """The others are told nothing."""
    told: list[datetime | None] = []
    does(lambda: told.append(current_job.occurrence))
    manager.push(Work)
    run_next(manager)
    manager.scheduler.add("@hourly", Work, name="s")
    manager.scheduler.run("s")
    run_next(manager)
    assert told[0] is None
    assert told[1] is not None
    assert abs((datetime.now(timezone.utc) - told[1]).total_seconds()) < 3600
