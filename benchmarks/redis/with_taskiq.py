"""taskiq with the broker of its own that acknowledges: a stream, which keeps what was run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from redis import Redis
from taskiq_redis import RedisStreamBroker

from ..system import TEXT
from .jobs import noop_async, start_async
from .peer import URL, Peer

#: Set in a worker that fetches no other job before one is done.
STRICT = "BENCHMARKS_STRICT"
#: Pushes on their way at a time.
SLICE = 100


def make(url: str) -> tuple[Any, Any, Any]:
    """Make a broker with its default settings, and its two tasks."""
    made = RedisStreamBroker(url, xread_count=1 if os.environ.get(STRICT) else 100)
    return made, made.task("noop")(noop_async), made.task("start")(start_async)


#: What its worker imports.
broker = make(os.environ[URL])[0] if URL in os.environ else None


class Taskiq(Peer):
    """One process with up to a hundred jobs at a time, each a coroutine."""

    name = "taskiq"
    keeps = "job kept until it is done and, in its stream, after; no result, a log line a job"
    options: tuple[str, ...] = ()

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._loop = asyncio.new_event_loop()
        self._broker, self._noop, self._start = make(url)
        self._loop.run_until_complete(self._broker.startup())

    def push(self) -> None:
        """Push one no-op."""
        self._loop.run_until_complete(self._noop.kiq(TEXT))

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self._loop.run_until_complete(self._start.kiq(number, TEXT))

    def push_each(self, jobs: int) -> None:
        """Push one after the other, in one coroutine."""

        async def push() -> None:
            for _ in range(jobs):
                await self._noop.kiq(TEXT)

        self._loop.run_until_complete(push())

    def fill(self, jobs: int) -> None:
        """Push some at a time."""

        async def push() -> None:
            for begin in range(0, jobs, SLICE):
                await asyncio.gather(*(self._noop.kiq(TEXT) for _ in range(min(SLICE, jobs - begin))))

        self._loop.run_until_complete(push())

    def command(self) -> list[str]:
        """`taskiq worker` with one process and all other defaults."""
        return ["-m", "taskiq", "worker", "benchmarks.redis.with_taskiq:broker", "--workers", "1", *self.options]

    def waiting(self, client: Redis) -> int:
        """What its group has not read, and what it has read and not acknowledged."""
        (group,) = client.xinfo_groups("taskiq")
        return int(group["lag"] or 0) + int(group["pending"])

    def close(self) -> None:
        """Let go of the connections."""
        self._loop.run_until_complete(self._broker.shutdown())
        self._loop.close()


class StrictTaskiq(Taskiq):
    """One job at a time, and one message a read."""

    name = "taskiq, one by one"
    keeps = "the same"
    options = ("--max-async-tasks", "1")

    def surroundings(self) -> dict[str, str]:
        """Fetch no other before one is done."""
        return {STRICT: "yes"}
