"""Flask-Queues, as its users use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from flask_queues import GatheredJob, Queues
from flask_queues.manager import Manager
from flask_queues.storage.sqlite.cache import FILE_NAME
from flask_queues.worker import pace

from .system import FOLDER, TEXT, note_start, reader

#: Set in a worker that is to claim strictly one by one, as it does with jobs that are not short.
ONE_BY_ONE = "BENCHMARKS_ONE_BY_ONE"
#: More jobs than any measurement has.
UNLIMITED = 1_000_000_000
LEFT = "SELECT coalesce(sum(n), 0) FROM counts WHERE status IN (0, 1, 2)"

queues = Queues()


@queues.job("bench:noop")
def noop(text: str) -> None:
    """Do nothing."""


@queues.job("bench:start")
def start(number: int, text: str) -> None:  # noqa: ARG001 - as long as that of a no-op
    """Note when it began."""
    note_start(number)


@queues.register
class Gathered(GatheredJob):
    """Do nothing, for many payloads at once."""

    type = "bench:gathered"
    window = 1

    def key(self, payload: dict[str, Any]) -> int:
        """One of a hundred."""
        return int(payload["number"]) % 100

    def handle(self, payloads: list[dict[str, Any]]) -> None:
        """Do nothing."""


def create_app(folder: str | None = None) -> Flask:
    """Make an application whose jobs are in the folder; a worker finds it in its environment."""
    if os.environ.get(ONE_BY_ONE):
        pace.AHEAD_CLAIMS = 1
    app = Flask(__name__)
    app.config["QUEUES_CACHE_DIR"] = folder or os.environ[FOLDER]
    queues.init_app(app)
    return app


class FlaskQueues:
    """Flask-Queues on its default storage."""

    name = "Flask-Queues"

    def __init__(self, folder: Path, *, one_by_one: bool = False, max_jobs: int | None = None) -> None:
        self.folder = folder
        self.app = create_app(str(folder))
        self._one_by_one = one_by_one
        self._max_jobs = max_jobs

    @property
    def manager(self) -> Manager:
        """The application's queues."""
        manager: Manager = self.app.extensions["queues"]
        return manager

    def push(self) -> None:
        """Push one no-op; it is on the disk when this returns."""
        self.manager.push(noop, {"text": TEXT})

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self.manager.push(start, {"number": number, "text": TEXT})

    def fill(self, jobs: int) -> None:
        """Push many at once."""
        self.manager.push_many((noop, {"text": TEXT}) for _ in range(jobs))

    def worker(self) -> tuple[list[str], dict[str, str]]:
        """`flask queues work`, with all its defaults but the number of jobs of a child."""
        command = ["-m", "flask", "--app", "benchmarks.ours:create_app", "queues", "work", "--processes", "1"]
        if self._max_jobs is not None:
            command += ["--max-jobs", str(self._max_jobs)]
        return command, {ONE_BY_ONE: "yes" if self._one_by_one else ""}

    @contextmanager
    def counter(self) -> Iterator[Callable[[], int]]:
        """Read the kept counts of pending, running and scheduled jobs."""
        with reader(self.file()) as connection:
            yield lambda: int(connection.execute(LEFT).fetchone()[0])

    def file(self) -> Path:
        """The database."""
        return self.folder / FILE_NAME

    def close(self) -> None:
        """Let go of the database."""
        self.manager.storage.close()
