"""Celery: a list, and a hash of what is fetched and not acknowledged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery
from redis import Redis

from ..system import TEXT
from .jobs import noop, start
from .peer import URL, Peer

#: Set in a worker that acknowledges a job when it is done, and fetches no other before.
STRICT = "BENCHMARKS_STRICT"


def make(url: str) -> Any:
    """Make an application that keeps no results, and its two tasks."""
    made = Celery("benchmarks", broker=url)
    made.conf.task_ignore_result = True
    made.conf.broker_connection_retry_on_startup = True
    if os.environ.get(STRICT):
        made.conf.task_acks_late = True
        made.conf.worker_prefetch_multiplier = 1
    made.benchmark_tasks = (made.task(name="noop")(noop), made.task(name="start")(start))
    return made


#: What its worker imports.
app = make(os.environ[URL]) if URL in os.environ else None


class CeleryOnRedis(Peer):
    """One pool process; it fetches four jobs at a time and acknowledges a job before it runs."""

    name = "Celery"
    keeps = "job gone when it begins, no result, a log line only with -l INFO"

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._app = make(url)
        self._noop, self._start = self._app.benchmark_tasks

    def push(self) -> None:
        """Push one no-op."""
        self._noop.delay(TEXT)

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self._start.delay(number, TEXT)

    def command(self) -> list[str]:
        """`celery worker` with one pool process and all other defaults."""
        return ["-m", "celery", "-A", "benchmarks.redis.with_celery:app", "worker", "--concurrency", "1"]

    def waiting(self, client: Redis) -> int:
        """The length of the list, and what is fetched and not acknowledged."""
        pipeline = client.pipeline(transaction=False)
        pipeline.llen("celery")
        pipeline.hlen("unacked")
        return sum(int(n) for n in pipeline.execute())

    def close(self) -> None:
        """Let go of the connections."""
        self._app.close()


class StrictCelery(CeleryOnRedis):
    """It acknowledges a job when it is done, and fetches the next one then."""

    name = "Celery, acks_late, one by one"
    keeps = "job kept until it is done, no result"

    def surroundings(self) -> dict[str, str]:
        """Say so to the worker."""
        return {STRICT: "yes"}
