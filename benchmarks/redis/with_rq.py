"""RQ: a list of ids and a hash a job; a fork for each job, or none."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from rq import Queue

from ..system import TEXT
from .peer import Peer

NOOP = "benchmarks.redis.jobs.noop"
START = "benchmarks.redis.jobs.start"
#: Jobs that one pipeline takes.
SLICE = 500


class RQ(Peer):
    """One worker that forks for each job, and keeps its hash and its result for 500 s."""

    name = "RQ"
    keeps = "job and result kept for 500 s, two log lines a job"
    #: Of worker; None is the default, which forks.
    kind: str | None = None

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._client = Redis.from_url(url)
        self._queue = Queue(connection=self._client)

    def push(self) -> None:
        """Push one no-op."""
        self._queue.enqueue(NOOP, TEXT)

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self._queue.enqueue(START, number, TEXT)

    def fill(self, jobs: int) -> None:
        """Push in pipelines."""
        for begin in range(0, jobs, SLICE):
            prepared = [Queue.prepare_data(NOOP, (TEXT,)) for _ in range(min(SLICE, jobs - begin))]
            self._queue.enqueue_many(prepared)

    def command(self) -> list[str]:
        """`rq worker` with all its defaults but, perhaps, the kind."""
        return ["-m", "rq.cli", "worker", "--url", self.url, *(["--worker-class", self.kind] if self.kind else [])]

    def waiting(self, client: Redis) -> int:
        """The length of the list."""
        return int(client.llen(self._queue.key))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


class SimpleRQ(RQ):
    """One worker that runs the jobs itself."""

    name = "RQ, SimpleWorker"
    keeps = "the same, and no process of its own for a job"
    kind = "rq.worker.SimpleWorker"
