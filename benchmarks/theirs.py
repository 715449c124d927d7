"""Huey on SQLite, as its users use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from .system import FOLDER, TEXT, note_start, reader

FILE_NAME = "huey.db"
FIRST_AND_LAST = "SELECT (SELECT min(id) FROM task), (SELECT max(id) FROM task)"
#: Set in a consumer that is not to wait for the disk.
UNSYNCED = "BENCHMARKS_UNSYNCED"


def make_huey(folder: str | Path, fsync: bool | None = None) -> Any:
    """Make a Huey with its default settings, and its two tasks."""
    made = SqliteHuey("benchmarks", filename=str(Path(folder) / FILE_NAME), fsync=fsync)

    @made.task(name="noop")  # type: ignore[untyped-decorator]
    def noop(text: str) -> None:
        """Do nothing."""

    @made.task(name="start")  # type: ignore[untyped-decorator]
    def start(number: int, text: str) -> None:  # noqa: ARG001 - as long as that of a no-op
        """Note when it began."""
        note_start(number)

    made.benchmark_tasks = (noop, start)
    return made


#: What its consumer imports.
huey = make_huey(os.environ[FOLDER], False if os.environ.get(UNSYNCED) else None) if FOLDER in os.environ else None


class Huey:
    """SqliteHuey with its defaults, or with the `fsync` that is given."""

    name = "Huey"

    def __init__(self, folder: Path, *, fsync: bool | None = None, quiet: bool = False) -> None:
        self.folder = folder
        self._huey = make_huey(folder, fsync)
        self._noop, self._start = self._huey.benchmark_tasks
        self._fsync = fsync
        self._quiet = quiet

    def push(self) -> None:
        """Push one no-op."""
        self._noop(TEXT)

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self._start(number, TEXT)

    def fill(self, jobs: int) -> None:
        """Push one by one, without the disk's say: it has no call for many."""
        connection = self._huey.storage.conn
        before = connection.execute("PRAGMA synchronous").fetchone()[0]
        connection.execute("PRAGMA synchronous=0")
        for _ in range(jobs):
            self._noop(TEXT)
        connection.execute(f"PRAGMA synchronous={before}")

    def worker(self) -> tuple[list[str], dict[str, str]]:
        """`huey_consumer` with one worker process and all other defaults."""
        command = ["-m", "huey.bin.huey_consumer", "benchmarks.theirs.huey", "-w", "1", "-k", "process"]
        return command + ["-q"] * self._quiet, {UNSYNCED: "yes" if self._fsync is False else ""}

    @contextmanager
    def counter(self) -> Iterator[Callable[[], int]]:
        """Tell by the ids of the first and the last: jobs of one priority leave in their order."""
        with reader(self.file()) as connection:

            def count() -> int:
                first, last = connection.execute(FIRST_AND_LAST).fetchone()
                return 0 if first is None else int(last - first + 1)

            yield count

    def file(self) -> Path:
        """The database."""
        return self.folder / FILE_NAME

    def close(self) -> None:
        """Let go of the database."""
        self._huey.storage.close()
