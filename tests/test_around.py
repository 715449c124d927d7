"""What an application puts around every run of a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import pytest
from flask import Flask, current_app, g, has_app_context

from flask_queues import ConfigError, Discard, Job, Outcome, Queues, RateLimited, Retry, Status
from flask_queues.manager import Manager
from tests.support.runs import run_next

#: What happened, in its order.
seen: list[str] = []


class Work(Job):
    type = "t:work"
    tries = 2
    backoff = 0

    def handle(self, wrong: bool = False) -> str:
        seen.append(f"handle:{g.get('tenant')}")
        if wrong:
            raise ValueError("the job's own")
        return "well"

    def failed(self, exception: BaseException) -> None:
        seen.append(f"failed:{type(exception).__name__}")


class AsyncWork(Job):
    type = "t:async"

    async def handle(self) -> None:
        seen.append(f"handle:{g.get('tenant')}")


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


@pytest.fixture
def queues() -> Queues:
    queues = Queues()
    queues.register(Work, AsyncWork)
    return queues


@pytest.fixture
def manager(tmp_path, queues: Queues) -> Iterator[Manager]:
    site = Flask("site", instance_path=str(tmp_path))
    queues.init_app(site)
    yield queues.manager
    queues.manager.storage.close()


def throw(error: Exception) -> None:
    """Raise, in the middle of what would go on."""
    raise error


@contextmanager
def noting(name: str) -> Iterator[None]:
    """Note when a block is entered, and how it is left."""
    seen.append(f"{name}>")
    try:
        yield
    except BaseException as error:
        seen.append(f"{name}!{type(error).__name__}")
        raise
    seen.append(f"<{name}")


def refusing(job: Job) -> Iterator[None]:
    throw(OSError("refused"))
    yield


def plain_wrapper(job: Job) -> AbstractContextManager[None]:
    return nullcontext()


def test_every_run_happens_inside_in_the_order_of_registration(queues, manager):
    """The first is the outermost; a function that yields and one that returns a context manager do the same."""

    @queues.around
    def outer(job: Job) -> Iterator[None]:
        with noting("outer"):
            yield

    @queues.around
    def inner(job: Job) -> AbstractContextManager[None]:
        return noting("inner")

    manager.push(Work)
    assert run_next(manager).status is Status.COMPLETED
    assert seen == ["outer>", "inner>", "handle:None", "<inner", "<outer"]


@pytest.mark.parametrize("job", [Work, AsyncWork])
def test_it_has_the_job_and_its_application_context(queues, manager, job):
    """What it leaves in `g` the job finds there, and both go with the run."""

    @queues.around
    def tenant(running: Job) -> Iterator[None]:
        seen.append(f"{running.type} {running.attempt} {running.payload} {running.job.status} {current_app.name}")
        g.tenant = "acme"
        yield
        assert g.tenant == "acme"

    manager.push(job)
    assert run_next(manager).status is Status.COMPLETED
    payload = {"wrong": False} if job is Work else {}
    assert seen == [f"{job.type} 1 {payload} running site", "handle:acme"]
    assert not has_app_context()


def test_the_exception_of_a_job_passes_through_and_failed_runs_outside(queues, manager):
    """Each sees it; the run has failed, and after the last try `failed` is called once, inside nothing."""

    @queues.around
    def outer(job: Job) -> Iterator[None]:
        with noting("outer"):
            yield

    handle = manager.push(Work, {"wrong": True})
    assert run_next(manager).status is Status.SCHEDULED
    assert run_next(manager).status is Status.FAILED
    assert seen == [*["outer>", "handle:None", "outer!ValueError"] * 2, "failed:ValueError"]
    error = handle.record.error
    assert error.message == "the job's own"
    assert "attempt.py" not in error.traceback


WORDS: list[tuple[Exception, Status, Outcome]] = [
    (OSError("as asked"), Status.SCHEDULED, Outcome.FAILED),
    (Retry(delay=9), Status.SCHEDULED, Outcome.PUT_OFF),
    (RateLimited(after=9), Status.PENDING, Outcome.PUT_OFF),
    (Discard("no tenant"), Status.CANCELLED, Outcome.DISCARDED),
]


@pytest.mark.parametrize(("word", "status", "outcome"), WORDS)
def test_what_it_raises_before_the_job_is_what_the_run_ends_in(queues, manager, word, status, outcome):
    """The job itself does not begin then; words such as `Discard` mean what they mean in a job."""

    @queues.around
    def refuse(job: Job) -> Iterator[None]:
        throw(word)
        yield

    manager.push(Work)
    settlement = run_next(manager)
    assert (settlement.status, settlement.outcome) == (status, outcome)
    assert seen == []


@pytest.mark.parametrize(("word", "status", "outcome"), WORDS)
def test_what_it_raises_after_the_job_is_what_the_run_ends_in(queues, manager, word, status, outcome):
    """It is part of the run: a job whose commit fails has failed."""

    @queues.around
    def commit(job: Job) -> Iterator[None]:
        yield
        raise word

    manager.push(Work)
    settlement = run_next(manager)
    assert (settlement.status, settlement.outcome) == (status, outcome)
    assert settlement.result is None
    assert seen == ["handle:None"]


def test_it_may_make_another_exception_of_the_jobs(queues, manager):
    """Such as a word of ours of what a library raises."""

    @queues.around
    def translate(job: Job) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise Discard("not worth another try") from error

    handle = manager.push(Work, {"wrong": True})
    run_next(manager)
    assert (handle.status, handle.record.reason) == (Status.CANCELLED, "not worth another try")


def test_an_exception_that_it_swallows_counts_all_the_same(queues, manager):
    """A job that failed has not completed, whatever is around it; what is outside sees the exception no more."""
    for wrapper in (lambda job: noting("outer"), lambda job: suppress(ValueError)):
        queues.around(wrapper)

    handle = manager.push(Work, {"wrong": True})
    assert run_next(manager).outcome is Outcome.FAILED
    assert seen == ["outer>", "handle:None", "<outer"]
    assert handle.record.error.message == "the job's own"


def test_what_an_inner_one_raises_an_outer_one_cannot_swallow(queues, manager):
    """Nor does the job count as done that never began."""
    for wrapper in (lambda job: suppress(OSError), refusing):
        queues.around(wrapper)

    handle = manager.push(Work)
    assert run_next(manager).outcome is Outcome.FAILED
    assert seen == []
    assert handle.record.error.type == "OSError"


@pytest.mark.parametrize("times", [0, 2])
def test_one_that_does_not_yield_once_fails_the_run(queues, manager, times):
    """The error of the run says so, in Python's words."""

    @queues.around
    def odd(job: Job) -> Iterator[None]:
        for _ in range(times):
            yield

    handle = manager.push(Work)
    assert run_next(manager).outcome is Outcome.FAILED
    assert handle.record.error.type == "RuntimeError"
    assert "generator didn't" in handle.record.error.message


@pytest.mark.parametrize("wrong", [None, "text", 3])
def test_what_cannot_be_called_is_refused(queues, wrong):
    """At once, with a sentence."""
    with pytest.raises(ConfigError, match="cannot be put around jobs"):
        queues.around(wrong)


def test_an_async_function_is_refused(queues):
    """Nobody would wait for it."""

    async def wrapper(job: Job) -> Any:
        yield

    async def plain(job: Job) -> Any: ...

    for one in (wrapper, plain):
        with pytest.raises(ConfigError, match="plain function"):
            queues.around(one)


def test_one_of_a_module_holds_for_every_application(tmp_path, queues):
    """Whether that is set up before or after."""
    before, after = Flask("before", instance_path=str(tmp_path)), Flask("after", instance_path=str(tmp_path))
    queues.init_app(before)
    queues.around(plain_wrapper)
    queues.init_app(after)
    assert [len(app.extensions["queues"].wrappers) for app in (before, after)] == [1, 1]


def test_nothing_leaks_from_one_factory_to_the_next(tmp_path, queues):
    """What a function defines after `init_app` belongs to its application alone."""

    def create_app(name: str) -> Flask:
        app = Flask(name, instance_path=str(tmp_path))
        queues.init_app(app)

        @queues.around
        def wrapper(job: Job) -> Iterator[None]:
            yield

        return app

    apps = [create_app(name) for name in ("one", "two", "three")]
    assert [len(app.extensions["queues"].wrappers) for app in apps] == [1, 1, 1]
    with apps[0].app_context():

        @queues.around
        def wrapper(job: Job) -> Iterator[None]:
            yield

    assert [len(app.extensions["queues"].wrappers) for app in apps] == [2, 1, 1]
