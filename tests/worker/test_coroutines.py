"""How an `async def handle` is run: by which bridge, what is seen in it, what becomes of it when it is interrupted."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, g

from flask_queues import Queues, Status, current_job
from flask_queues.worker import coroutines
from flask_queues.worker.coroutines import has_bridge, run_coroutine
from flask_queues.worker.interrupts import TimeUp

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class Elsewhere(Flask):
    """An application that awaits in a thread of its own."""

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            pool, context = ThreadPoolExecutor(1), contextvars.copy_context()
            try:
                return pool.submit(context.run, asyncio.run, func(*args)).result()
            finally:
                pool.shutdown(wait=False)

        return call


@pytest.fixture(params=["asyncio", "asgiref", "its own"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flask:
    """An application with each bridge there is."""
    if request.param == "asgiref":
        pytest.importorskip("asgiref")
    monkeypatch.setattr(coroutines, "has_asgiref", lambda: request.param == "asgiref")
    made = (Elsewhere if request.param == "its own" else Flask)("shop", instance_path=str(tmp_path))
    assert has_bridge(made) is (request.param != "asyncio")
    return made


@pytest.fixture
def alarm() -> Iterator[Callable[[], None]]:
    """What interrupts the main thread, as a timeout does."""

    def throw(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGUSR1, throw)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_a_job_sees_its_contexts_and_is_settled_with_its_result(app: Flask) -> None:
    """The application's, the job's, and what a wrapper around it has set."""
    queues = Queues(app)

    @queues.job("shop:look")
    async def look(n: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        current_job.progress(50)
        return {"app": current_app.name, "job": current_job.job.id, "seen": seen.get(), "g": g.of_wrapper, "n": n}

    @queues.around
    def wrapper(job: Any) -> Iterator[None]:
        seen.set("set")
        g.of_wrapper = job.attempt
        yield

    with queues.fake(app) as fake:
        handle = look.push(n=7)
        fake.drain()
        assert handle.result() == {"app": "shop", "job": handle.id, "seen": "set", "g": 1, "n": 7}
        assert handle.progress is not None


def test_what_it_raises_is_what_the_job_ends_in(app: Flask) -> None:
    """With a traceback that leads to its line."""
    queues = Queues(app)

    @queues.job("shop:break", tries=1)
    async def broken() -> None:
        await asyncio.sleep(0)
        raise LookupError("no such row")

    with queues.fake(app, raises=False) as fake:
        handle = broken.push()
        fake.drain()
        record = handle.record
    assert (record.status, record.error and record.error.type) == (Status.FAILED, "LookupError")
    assert "in broken" in (record.error.traceback if record.error else "")


def test_an_interrupt_ends_it_before_the_next_job(app: Flask, alarm: Callable[[], None]) -> None:
    """It is cancelled where it waits, and has ended when the interrupt goes on: nothing runs beside what comes next."""
    said: list[str] = []

    async def job() -> None:
        try:
            alarm()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("ended")

    with pytest.raises(TimeUp):
        run_coroutine(app, job())
    assert said == ["ended"]


def test_one_that_was_never_begun_is_not_begun_later(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """The interrupt came while the bridge was being crossed."""
    begun: list[Any] = []

    class Slow(Flask):
        def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
            def call() -> None:
                begun.append(func())
                raise TimeUp

            return call

    async def job() -> None:
        begun.append("job")

    with pytest.raises(TimeUp):
        run_coroutine(Slow("shop", instance_path=str(tmp_path)), job())
    [work] = begun
    asyncio.run(work)
    assert begun == [work]
    assert not recwarn.list
