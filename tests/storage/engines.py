"""The engines that the storage contract is tried on, and the clock that each of them goes by.

A new engine is a subclass of `Engine` and a line in `ENGINES`; one that needs a server, of `ServedEngine`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from flask import Flask
from flask_caching.backends import FileSystemCache, SimpleCache

from flask_queues.backend import build_backend
from flask_queues.storage import CacheStorage, Storage, storage_for
from flask_queues.storage.cache import clock as cache_clock
from flask_queues.storage.cache.archive import POINTER
from flask_queues.storage.cache.backends import port_for
from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.sqlite.database import Database
from flask_queues.testing.storage import Clock, Engine, FrozenClock
from tests.support.servers.kinds import Running, has_valkey


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

    def become_newer(self) -> None:
        """The file carries its format."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA user_version=99")


@dataclass(frozen=True)
class ServedEngine(Engine):
    """Jobs on a server that is empty at first; each place on it is a key prefix of its own."""

    #: Which server it needs, of `tests.support.servers.kinds.KINDS`.
    kind: ClassVar[str]
    #: Where it is; in other processes it may be asked, not ended.
    server: Running

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of an application whose jobs are at this place."""
        return {**self.server.settings, "QUEUES_CACHE_KEY_PREFIX": f"{'/'.join(self.place.parts[-2:])}:"}

    def open(self) -> Storage:
        """Open the place as an application with these settings does."""
        settings = {name.removeprefix("QUEUES_"): value for name, value in self.settings.items()}
        return storage_for(build_backend(Flask(__name__), settings))

    def remove(self) -> None:
        """Empty the whole server: nobody else uses it meanwhile."""
        super().remove()
        self.server.empty()


class OnRedis(ServedEngine):
    """A prefix on whatever speaks as Redis does."""

    def become_newer(self) -> None:
        """Raise the format that stands beside the queues."""
        prefix = self.settings["QUEUES_CACHE_KEY_PREFIX"].rstrip(":")
        server: Any = self.server
        with server.client() as client:
            client.hset(f"{{{prefix}}}:meta", "format", 99)


class RedisEngine(OnRedis):
    """A prefix on one Redis."""

    name = kind = "redis"


class ValkeyEngine(OnRedis):
    """A prefix on one Valkey."""

    name = kind = "valkey"


class SentinelEngine(OnRedis):
    """A prefix on a master that Sentinels watch."""

    name = kind = "sentinel"


class ClusterEngine(OnRedis):
    """A prefix on a cluster of six nodes."""

    name = kind = "cluster"


class OnCache(Engine):
    """A log in a cache."""

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """Replace both clocks that a log reads."""
        clock = FrozenClock()
        with mock.patch.multiple(cache_clock, wall=clock.now, steady=clock.steady):
            yield clock

    def become_newer(self) -> None:
        """Raise the format that stands beside the log."""
        storage: Any = self.open()
        storage._port.put(POINTER, '[99,"newer",0]')
        storage.close()


class FilesEngine(OnCache):
    """A folder of files in the test's folder."""

    name = "files"

    def open(self) -> Storage:
        """Open the folder once more."""
        return CacheStorage(port_for(FileSystemCache(str(self.place / "jobs"), threshold=0)))


class MemoryEngine(OnCache):
    """A dictionary of this process."""

    name = "memory"
    shared = False
    _caches: ClassVar[dict[Path, SimpleCache]] = {}

    def open(self) -> Storage:
        """Use the dictionary of this place once more."""
        return CacheStorage(port_for(self._caches.setdefault(self.place, SimpleCache())))


class MemcachedEngine(OnCache, ServedEngine):
    """A prefix on one Memcached."""

    name = kind = "memcached"


ENGINES: list[type[Engine]] = [
    SQLiteEngine,
    FilesEngine,
    MemoryEngine,
    MemcachedEngine,
    RedisEngine,
    *([ValkeyEngine] if has_valkey() else []),
    SentinelEngine,
    ClusterEngine,
]
