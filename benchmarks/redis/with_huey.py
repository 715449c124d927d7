"""Huey on Redis: a list; a job is out of it, and nowhere else, once it is handed out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from huey import RedisHuey
from redis import Redis

from ..system import TEXT
from .jobs import noop, start
from .peer import URL, Peer


def make(url: str) -> Any:
    """Make a Huey with its default settings, and its two tasks."""
    made = RedisHuey("benchmarks", url=url)
    made.benchmark_tasks = (made.task(name="noop")(noop), made.task(name="start")(start))
    return made


#: What its consumer imports.
huey = make(os.environ[URL]) if URL in os.environ else None


class Huey(Peer):
    """One process; it takes one job at a time, and keeps no result of a job that returns None."""

    name = "Huey"
    keeps = "job gone when taken, no result, two log lines a job"

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._huey = make(url)
        self._noop, self._start = self._huey.benchmark_tasks

    def push(self) -> None:
        """Push one no-op."""
        self._noop(TEXT)

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self._start(number, TEXT)

    def command(self) -> list[str]:
        """`huey_consumer` with one worker process and all other defaults."""
        return ["-m", "huey.bin.huey_consumer", "benchmarks.redis.with_huey.huey", "-w", "1", "-k", "process"]

    def waiting(self, client: Redis) -> int:
        """The length of the list."""
        return int(client.llen(self._huey.storage.queue_key))
