"""The engines that the storage contract is tried on, and the clock that each of them goes by.

A new engine is a subclass of `Engine` and a line in `ENGINES`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from unittest import mock

from flask_caching.backends import FileSystemCache, SimpleCache

from flask_queues.storage import Storage
from flask_queues.storage.cache import CacheStorage
from flask_queues.storage.cache import clock as cache_clock
from flask_queues.storage.cache.backends import port_for
from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.sqlite.database import Database


class Clock:
    """The storage's clock, where nobody can set it: letting time pass means waiting."""

    #: Whether `advance` alone moves it, so that a test may let hours pass and knows each moment.
    frozen = False

    def now(self) -> int:
        """The storage's time in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        time.sleep(milliseconds / 1000)


class FrozenClock(Clock):
    """A clock that stands still until it is told to move on."""

    frozen = True

    def __init__(self) -> None:
        self._now = time.time_ns() // 1_000_000
        self._offset = self._now - time.monotonic_ns() // 1_000_000

    def now(self) -> int:
        """The time of day."""
        return self._now

    def steady(self) -> int:
        """The clock of leases: another zero, the same pace."""
        return self._now - self._offset

    def advance(self, milliseconds: int) -> None:
        """Move on."""
        self._now += milliseconds


@dataclass(frozen=True)
class Engine(ABC):
    """How to open one kind of storage; handed to other processes, so it must pickle."""

    #: Stands in the names of the tests.
    name: ClassVar[str]
    #: Whether other processes see its jobs.
    shared: ClassVar[bool] = True
    #: An empty folder of this test's own.
    place: Path

    @abstractmethod
    def open(self) -> Storage:
        """Open the jobs at this place, each time with an object of its own, as another process would."""

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """The clock of every storage that this process opens here, set by us where it can be."""
        yield Clock()


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


class CacheEngine(Engine):
    """A flask-caching backend that can only get, set, add and delete."""

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """Replace both clocks that a log reads."""
        clock = FrozenClock()
        with mock.patch.multiple(cache_clock, wall=clock.now, steady=clock.steady):
            yield clock


class FileCacheEngine(CacheEngine):
    """Files in the test's folder."""

    name = "files"

    def open(self) -> Storage:
        """Open the folder once more."""
        return CacheStorage(port_for(FileSystemCache(str(self.place / "jobs"), threshold=0, default_timeout=0)))


class MemoryCacheEngine(CacheEngine):
    """A dictionary of this process."""

    name = "memory"
    shared = False
    _caches: ClassVar[dict[Path, SimpleCache]] = {}

    def open(self) -> Storage:
        """Read the dictionary of this place once more."""
        return CacheStorage(port_for(self._caches.setdefault(self.place, SimpleCache())))


ENGINES: list[type[Engine]] = [SQLiteEngine, FileCacheEngine, MemoryCacheEngine]
