"""How an `async def handle` is run: by the application's own bridge where it has one, else by asyncio."""

from __future__ import annotations

import functools
import threading
from collections.abc import Coroutine
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    import asyncio


def run_coroutine(app: Flask, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end; context variables, the application context among them, are seen in it."""
    if has_bridge(app):
        return Crossing(coroutine).run(app)
    import asyncio  # costs memory that most workers never need

    return asyncio.run(coroutine)


def has_bridge(app: Flask) -> bool:
    """Whether Flask can await something: with asgiref, or in a way that the application has of its own."""
    own = any(getattr(type(app), name) is not getattr(Flask, name) for name in ("ensure_sync", "async_to_sync"))
    return own or has_asgiref()


@functools.cache
def has_asgiref() -> bool:
    """Whether Flask's extra `async` is installed."""
    return find_spec("asgiref") is not None


class Crossing:
    """A coroutine that runs on the other side of a bridge, which may be another thread.

    What interrupts this thread cancels the coroutine there, and waits for its end: it is not to go on beside the next
    job.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._over = threading.Event()
        self._given_up = False
        self._there: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None] | None = None

    def run(self, app: Flask) -> Any:
        """Run it by the application's bridge."""
        try:
            return app.ensure_sync(self._work)()
        except BaseException:
            self._give_up()
            raise
        finally:
            self._coroutine.close()  # of one that was never begun nothing is told then

    async def _work(self) -> Any:
        import asyncio

        self._there = asyncio.get_running_loop(), asyncio.current_task()
        try:
            # Who gives up says so before it looks whether there is something to cancel.
            return None if self._given_up else await self._coroutine
        finally:
            self._over.set()

    def _give_up(self) -> None:
        self._given_up = True
        if self._there is None or self._over.is_set():
            return
        loop, task = self._there
        if task is not None:
            with suppress(RuntimeError):  # it has ended meanwhile, and its loop is closed
                loop.call_soon_threadsafe(task.cancel)
        self._over.wait()
