"""The engines that the storage contract is tried on, and the clock that each of them goes by.

A new engine is a subclass of `Engine` and a line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from flask_queues.storage import Storage
from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.sqlite.database import Database
from flask_queues.testing.storage import Clock, Engine, FrozenClock


class SQLiteEngine(Engine):
    """A file in the test's folder."""

    name = "sqlite"

    @property
    def path(self) -> Path:
        """The file."""
        return self.place / "queues.sqlite3"

    def open(self) -> Storage:
        """Open the file once more."""
        return SQLiteStorage(Database(self.path))

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """Replace both clocks that the engine reads."""
        clock = FrozenClock()
        with mock.patch.multiple(sqlite_engine, wall=clock.now, steady=clock.steady):
            yield clock


ENGINES: list[type[Engine]] = [SQLiteEngine]
