"""What an application is told when it listens: each change once, with what belongs to it, at no job's cost."""

from __future__ import annotations

import contextvars
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask, current_app, g, has_app_context

from flask_queues import (
    Discard,
    Job,
    JobError,
    Outcome,
    Queues,
    RateLimited,
    Retry,
    Status,
    StorageUnavailable,
    signals,
)
from flask_queues.manager import Manager
from flask_queues.storage.values import Settlement, Wanted
from tests.support.runs import run_next

EVERY = {name: signal for name, signal in vars(signals).items() if isinstance(signal, NamedSignal)}


class Work(Job):
    type = "t:work"
    tries = 2
    backoff = 5
    jitter = 0

    def handle(self, how: str = "well") -> list[int]:
        self.progress(50, "half way")
        if how in WAYS:
            raise WAYS[how]
        return [1, 2]


WAYS: dict[str, Exception] = {
    "wrong": ValueError("as asked"),
    "later": Retry(delay=7),
    "limited": RateLimited(after=3),
    "discard": Discard("not wanted"),
}


class Heard(list[tuple[str, dict[str, Any]]]):
    """What the receivers got, in its order."""

    def names(self, *, but: str = "job_progressed") -> list[str]:
        """The names of the signals."""
        return [name for name, _ in self if name != but]

    def of(self, name: str) -> dict[str, Any]:
        """What the only signal of this name said."""
        [fields] = [fields for one, fields in self if one == name]
        return fields


@pytest.fixture
def queues() -> Queues:
    queues = Queues()
    queues.register(Work)
    return queues


@pytest.fixture
def site(tmp_path, queues: Queues) -> Iterator[Flask]:
    site = Flask("site", instance_path=str(tmp_path))
    queues.init_app(site)
    yield site
    site.extensions["queues"].storage.close()


@pytest.fixture
def manager(site: Flask) -> Manager:
    manager: Manager = site.extensions["queues"]
    return manager


@contextmanager
def listening(app: Flask) -> Iterator[Heard]:
    """Listen to every signal of an application."""
    heard = Heard()

    def receiver(name: str) -> Callable[..., None]:
        return lambda sender, **fields: heard.append((name, fields))

    with ExitStack() as stack:
        for name, signal in EVERY.items():
            stack.enter_context(signal.connected_to(receiver(name), app))
        yield heard


@pytest.fixture
def heard(site: Flask) -> Iterator[Heard]:
    with listening(site) as heard:
        yield heard


def test_all_fourteen_are_there():
    """The names that are documented, and no two signals with one name."""
    assert set(EVERY) == {
        *(f"job_{what}" for what in ("pushed", "claimed", "progressed", "completed", "retried", "failed")),
        *("job_cancelled", "job_rescued", "worker_started", "child_started", "worker_stopped"),
        *("schedule_fired", "schedule_left_out", "alert_changed"),
    }
    assert len({signal.name for signal in EVERY.values()}) == 14


# --- Pushes -----------------------------------------------------------------------------------------------------------


def test_a_push_is_told_once_it_is_stored(site, manager):
    """With id, type and queue; the job can be read then."""
    told: list[Any] = []

    def receiver(app: Flask, *, job_id: str, **more: Any) -> None:
        told.append((app, more, manager.find(job_id).status))

    with signals.job_pushed.connected_to(receiver):
        manager.push(Work, queue="images")
    assert told == [(site, {"type": "t:work", "queue": "images"}, Status.PENDING)]


def test_many_pushes_are_told_one_by_one(manager, heard):
    """Each of them, also over the slices in which they are stored."""
    handles = manager.push_many([(Work, {})] * 501)
    assert [fields["job_id"] for _, fields in heard] == [handle.id for handle in handles]
    assert set(heard.names()) == {"job_pushed"}


def test_a_push_that_stored_nothing_is_not_told(manager, heard):
    """One that led to the job that holds its unique key already."""
    first = manager.push(Work, unique=True)
    assert not manager.push(Work, unique=True).created
    manager.push_many([(Work, {})], unique=True)
    assert heard.of("job_pushed")["job_id"] == first.id


def test_pushes_that_were_stored_are_told_although_a_later_one_was_not(manager, heard, monkeypatch):
    """A storage that fails in the middle leaves the first slice stored, and told."""
    push = manager.storage.push
    calls: list[int] = []

    def fail_at_the_second(jobs: Any) -> Any:
        calls.append(len(jobs))
        if len(calls) == 2:
            raise StorageUnavailable("as asked")
        return push(jobs)

    monkeypatch.setattr(manager.storage, "push", fail_at_the_second)
    with pytest.raises(StorageUnavailable):
        manager.push_many([(Work, {})] * 501)
    assert len(heard) == manager.counts().statuses["pending"] == 500


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_a_job_that_completes(manager, heard):
    """Claimed, its progress, completed with its result; the status is in the storage by then."""
    handle = manager.push(Work)
    statuses = []
    with signals.job_completed.connected_to(lambda app, job_id, **_: statuses.append(manager.find(job_id).status)):
        run_next(manager)

    common = {"job_id": handle.id, "type": "t:work", "queue": "default"}
    run = {**common, "worker": "host:1:1", "attempt": 1}
    seconds = heard[-1][1].pop("seconds")
    assert heard == [
        ("job_pushed", common),
        ("job_claimed", run),
        ("job_progressed", {**run, "percent": 50.0, "message": "half way"}),
        ("job_completed", {**run, "result": [1, 2]}),
    ]
    assert 0 < seconds < 60
    assert statuses == [Status.COMPLETED]


def test_a_job_that_fails_and_has_failed(manager, heard):
    """The exception itself, and as it is kept; first it will run again, then it will not."""
    handle = manager.push(Work, {"how": "wrong"})
    run_next(manager)
    retried = heard.of("job_retried")
    assert retried["exception"] is WAYS["wrong"]
    assert (retried["outcome"], retried["attempt"], retried["delay"]) == (Outcome.FAILED, 1, 5.0)
    assert retried["error"] == handle.record.error == JobError("ValueError", "as asked", retried["error"].traceback)
    assert retried["seconds"] > 0

    manager.retry(handle.id)
    manager.push(Work, {"how": "wrong"}, tries=1, priority=9)
    heard.clear()
    run_next(manager)
    assert heard.names() == ["job_claimed", "job_failed"]
    failed = heard.of("job_failed")
    assert failed["exception"] is WAYS["wrong"]
    assert (failed["outcome"], failed["error"].message) == (Outcome.FAILED, "as asked")


@pytest.mark.parametrize(("how", "delay"), [("later", 7.0), ("limited", 0.0)])
def test_a_job_that_is_put_off(manager, heard, how, delay):
    """It will run again, and nothing was wrong."""
    manager.push(Work, {"how": how})
    run_next(manager)
    told = heard.of("job_retried")
    assert (told["outcome"], told["delay"], told["error"], told["exception"]) == (Outcome.PUT_OFF, delay, None, None)


def test_a_job_that_is_discarded_or_expires(manager, heard):
    """Cancelled, with the reason."""
    manager.push(Work, {"how": "discard"})
    run_next(manager)
    assert heard.of("job_cancelled")["reason"] == "not wanted"

    heard.clear()
    late = manager.push(Work, expires=0.001)
    while manager.now() <= late.record.expires:
        pass
    run_next(manager)
    assert heard.names() == ["job_pushed", "job_claimed", "job_cancelled"]
    assert heard.of("job_cancelled")["job_id"] == late.id
    assert heard.of("job_cancelled")["reason"] == "It did not start before it expired."


def test_a_run_that_would_be_repeated_but_was_cancelled(manager, heard):
    """Whoever was asked to end it meanwhile: the storage cancels it, and that is what is told."""
    handle = manager.push(Work, {"how": "wrong"})

    def cancel(app: Flask, job_id: str, **_: Any) -> None:
        manager.cancel(job_id, "not any more")

    with signals.job_claimed.connected_to(cancel):
        run_next(manager)
    assert handle.status is Status.CANCELLED
    assert heard.names() == ["job_pushed", "job_claimed", "job_cancelled"]
    assert heard.of("job_cancelled")["reason"] == "not any more"


def test_a_settlement_that_came_too_late_is_not_told_by_whoever_lost_the_job(manager, heard):
    """The process that took the job away tells of it."""
    handle = manager.push(Work)
    wanted = Wanted(["default"], manager.jobs.keys(), 1)
    (claim,) = manager.step("host:1:1", (), wanted).claims
    while not (rescued := manager.rescuer.rescue()):
        pass
    assert rescued == [claim]
    run = {"job_id": handle.id, "type": "t:work", "queue": "default", "worker": "host:1:1", "attempt": 1}
    assert heard[1] == ("job_rescued", run)
    assert heard.names() == ["job_pushed", "job_rescued", "job_retried"]
    told = heard.of("job_retried")
    assert (told["outcome"], told["exception"], told["seconds"]) == (Outcome.LOST, None, None)
    assert told["error"].type == "flask_queues.errors.WorkerLost"
    assert manager.step("host:1:1", [Settlement(claim.id, claim.token, Status.COMPLETED)]).lost == [handle.id]


def test_what_a_dead_process_held(manager, heard):
    """The job that it ran will run again; what it had not begun says nothing, since nothing was told of it."""
    for _ in range(2):
        manager.push(Work)
    wanted = Wanted(["default"], manager.jobs.keys(), 60_000, limit=2, short={"t:work"})
    ran, waiting = manager.step("host:1:1", (), wanted).claims
    heard.clear()
    manager.rescuer.bury("host:1:1", Outcome.KILLED, JobError("x.Killed", "killed"), ran.token)
    assert heard.names() == ["job_retried"]
    assert (heard.of("job_retried")["job_id"], heard.of("job_retried")["outcome"]) == (ran.id, Outcome.KILLED)
    assert manager.find(waiting.id).status is Status.PENDING


def test_what_was_not_begun_and_was_cancelled_in_somebodys_hand(manager, heard):
    """Given back, it ends as cancelled, which is told."""
    for _ in range(2):
        manager.push(Work)
    wanted = Wanted(["default"], manager.jobs.keys(), 60_000, limit=2, short={"t:work"})
    ran, waiting = manager.step("host:1:1", (), wanted).claims
    manager.cancel(waiting.id, "not wanted")
    heard.clear()
    manager.rescuer.bury("host:1:1", Outcome.KILLED, JobError("x.Killed", "killed"), ran.token)
    assert [(name, fields["job_id"]) for name, fields in heard] == [
        ("job_retried", ran.id),
        ("job_cancelled", waiting.id),
    ]
    assert heard.of("job_cancelled")["reason"] == "not wanted"


# --- By hand ----------------------------------------------------------------------------------------------------------


def test_a_cancellation_by_hand(manager, heard):
    """Of a job that waits at once; of one that has ended nothing is told."""
    handle = manager.push(Work)
    heard.clear()
    assert manager.cancel(handle.id, "not wanted")
    assert not manager.cancel(handle.id)
    told = {"job_id": handle.id, "type": "t:work", "queue": "default", "reason": "not wanted"}
    assert heard == [("job_cancelled", told)]


def test_a_retry_by_hand(manager, heard):
    """One job or all that failed: it will run again, at nobody's instance but a person's."""
    handles = [manager.push(Work, {"how": "wrong"}, tries=1) for _ in range(3)]
    for _ in handles:
        run_next(manager)
    heard.clear()
    manager.retry(handles[0].id)
    assert manager.retry_all() == 2
    assert {fields["job_id"] for _, fields in heard} == {handle.id for handle in handles}
    for name, fields in heard:
        assert (name, fields["outcome"], fields["delay"], fields["error"].message) == (
            "job_retried",
            None,
            0,
            "as asked",
        )


# --- Schedules --------------------------------------------------------------------------------------------------------


def test_a_schedule_that_fires(manager, heard):
    """With its name, when it was due, its job, and that this was pushed."""
    manager.scheduler.add("0 0 1 1 *", Work, name="new year")
    job_id = manager.scheduler.run("new year")
    common = {"job_id": job_id, "type": "t:work", "queue": "default"}
    due = heard[-1][1].pop("due")
    assert abs(manager.now() - due) < timedelta(seconds=5)
    assert heard == [
        ("job_pushed", common),
        ("schedule_fired", {**common, "name": "new year", "outcome": "run by hand"}),
    ]


def test_a_schedule_that_leaves_out(manager, heard):
    """With why; nothing is pushed."""
    manager.scheduler.add(1, Work, name="often", queue="other")
    manager.scheduler.pause("often")
    ticker = manager.scheduler.ticker()
    while not heard:
        ticker.tick()
    assert set(heard.names()) == {"schedule_left_out"}
    fields = heard[0][1]
    assert (fields["name"], fields["outcome"]) == ("often", "left out: paused")
    assert [line.due for line in manager.scheduler.history("often")][-1] == fields["due"]


# --- Receivers --------------------------------------------------------------------------------------------------------


def test_a_broken_receiver_is_logged_and_harms_nobody(manager, heard, caplog):
    """Neither the push, nor the job, nor the other receivers; the log names it."""

    def broken(app: Flask, **fields: Any) -> None:
        raise RuntimeError("the receiver's own")

    with ExitStack() as stack:
        for signal in EVERY.values():
            stack.enter_context(signal.connected_to(broken))
        handle = manager.push(Work)
        run_next(manager)
    assert handle.status is Status.COMPLETED
    assert heard.names(but="") == ["job_pushed", "job_claimed", "job_progressed", "job_completed"]
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 4
    assert all(
        "test_a_broken_receiver_is_logged_and_harms_nobody.<locals>.broken, a receiver of" in line for line in lines
    )
    assert "queues-job-pushed" in lines[0]
    assert "the receiver's own" in caplog.text


def test_whoever_pushes_may_be_ended_in_a_receiver(manager):
    """`sys.exit()` there, as a server's own handler of signals calls it, is not swallowed outside of a worker."""

    def leave(app: Flask, **fields: Any) -> None:
        raise SystemExit(3)

    with signals.job_pushed.connected_to(leave), pytest.raises(SystemExit):
        manager.push(Work)
    assert manager.counts().statuses["pending"] == 1


def test_receivers_run_in_an_application_context(site, manager):
    """In the one that there is, as of a request, or in one of their own, which is left again."""
    found: list[Any] = []

    def receiver(app: Flask, **fields: Any) -> None:
        found.append((current_app.name, g.get("mark")))
        g.mark = "left"
        leaky.set("dirty")

    leaky: contextvars.ContextVar[str] = contextvars.ContextVar("leaky", default="clean")
    with signals.job_pushed.connected_to(receiver):
        manager.push(Work)
        manager.push(Work)
        assert leaky.get() == "clean"
        with site.test_request_context():
            g.mark = "of the request"
            manager.push(Work)
    assert found == [("site", None), ("site", None), ("site", "of the request")]
    assert not has_app_context()


def test_a_context_that_cannot_be_left_harms_nobody(site, manager, caplog):
    """Such as when a database session cannot be closed."""

    @site.teardown_appcontext
    def broken(_error: Any) -> None:
        raise RuntimeError("the teardown's own")

    with signals.job_pushed.connected_to(lambda app, **_: None):
        handle = manager.push(Work)
    assert handle.status is Status.PENDING
    assert "the teardown's own" in caplog.text


def test_each_application_has_its_own_signals(tmp_path, queues, site, manager, heard):
    """A receiver for one application hears nothing of another."""
    other = Flask("other", instance_path=str(tmp_path / "other"))
    queues.init_app(other)
    with listening(other) as heard_there:
        manager.push(Work)
        assert (len(heard), heard_there) == (1, [])
    other.extensions["queues"].push(Work)
    assert len(heard) == 1
    other.extensions["queues"].storage.close()


def test_a_muted_signal_is_not_sent(manager, heard):
    """As blinker has it, for tests."""
    with signals.job_pushed.muted():
        manager.push(Work)
    assert heard == []


def test_receivers_of_every_kind_are_named_and_called(manager, caplog):
    """A method, a partial function, an object."""

    class Listener:
        def hear(self, app: Flask, **fields: Any) -> None:
            raise RuntimeError

        __call__ = hear

    listener = Listener()
    for receiver in (listener.hear, functools.partial(listener.hear, more=1), listener):
        with signals.job_pushed.connected_to(receiver):
            manager.push(Work)
    names = [record.getMessage().partition(", a receiver")[0].rpartition("<locals>.")[2] for record in caplog.records]
    assert names == ["Listener.hear", "functools.partial", "Listener"]


def test_an_async_receiver_is_awaited_where_flask_can(site, manager, monkeypatch):
    """By the application's `ensure_sync`, as Flask does it with its own."""
    found: list[str] = []

    async def receiver(app: Flask, job_id: str, **fields: Any) -> None:
        found.append(job_id)

    def ensure_sync(function: Any) -> Any:
        assert function is receiver

        def run(*args: Any, **kwargs: Any) -> None:
            with pytest.raises(StopIteration):
                function(*args, **kwargs).send(None)

        return run

    monkeypatch.setattr(site, "ensure_sync", ensure_sync)
    with signals.job_pushed.connected_to(receiver):
        handle = manager.push(Work)
    assert found == [handle.id]


def test_a_storage_that_is_away_costs_no_receiver_the_signal(manager, heard, monkeypatch, caplog):
    """Where the record cannot be read, it is told what is known without."""

    def away(job_id: str) -> Any:
        raise StorageUnavailable("as asked")

    manager.push(Work, {"how": "later"})
    monkeypatch.setattr(manager.storage, "get", away)
    run_next(manager)
    assert heard.of("job_retried")["outcome"] is Outcome.PUT_OFF
    assert "cannot be told whole" in caplog.text


def test_where_nobody_listens_nothing_is_read(manager, monkeypatch):
    """No record, for any signal of a run."""
    jobs = [manager.push(Work, {"how": how}) for how in ("well", "later", "discard", "wrong")]

    def read(job_id: str) -> Any:
        raise AssertionError("A record was read.")

    monkeypatch.setattr(manager.storage, "get", read)
    for _ in jobs:
        run_next(manager)
