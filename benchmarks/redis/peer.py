"""What is common to the job systems on Redis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

#: Tells a worker's process where the server is.
URL = "BENCHMARKS_REDIS"


class Peer(ABC):
    """A job system on one Redis server, with a folder for what its worker writes."""

    name: str
    #: What its worker does beside running a job, in a few words.
    keeps: str

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    @abstractmethod
    def push(self) -> None:
        """Push one no-op."""

    @abstractmethod
    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""

    def push_each(self, jobs: int) -> None:
        """Push so many no-ops one by one."""
        for _ in range(jobs):
            self.push()

    def fill(self, jobs: int) -> None:
        """Push so many no-ops, as fast as the system can."""
        self.push_each(jobs)

    @abstractmethod
    def command(self) -> list[str]:
        """The arguments to Python that start its worker with one process."""

    def surroundings(self) -> dict[str, str]:
        """Variables of the worker's environment."""
        return {}

    def worker(self) -> tuple[list[str], dict[str, str]]:
        """The command of its worker, and variables of its environment."""
        return self.command(), {URL: self.url, **self.surroundings()}

    @abstractmethod
    def waiting(self, client: Redis) -> int:
        """Count the jobs that wait or run."""

    @contextmanager
    def counter(self) -> Iterator[Callable[[], int]]:
        """Count on a connection that does nothing else; of a cluster, to its first node."""
        with Redis.from_url(self.url.partition(",")[0]) as client:
            yield lambda: self.waiting(client)

    def close(self) -> None:  # noqa: B027 - some have nothing to let go of
        """Let go of the connection."""
