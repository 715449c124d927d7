"""A flask-caching backend that keeps everything in one SQLite file."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching.backends.base import BaseCache

from .database import Database

FILE_NAME = "queues.sqlite3"


class SQLiteCache(BaseCache):
    """Keeps cached values in `queues.sqlite3` in a folder, shared by all processes of one machine.

    `CACHE_DIR` is the folder, the application's instance folder by default; `CACHE_KEY_PREFIX` and
    `CACHE_DEFAULT_TIMEOUT` mean what they mean for other backends. `CACHE_THRESHOLD` does not apply:
    nothing is evicted before its time. As with every backend of flask-caching, what the application
    caches is pickled. The jobs of Flask-Queues in the same file are not: they are JSON text in
    tables of their own, which `clear` does not touch.
    """

    def __init__(
        self, folder: str | Path, default_timeout: int | timedelta = 300, key_prefix: str = "", **options: Any
    ) -> None:
        super().__init__(seconds(default_timeout), **options)
        self.database = Database(Path(folder) / FILE_NAME)
        #: What turns values into bytes; `CACHE_SERIALIZER` replaces it.
        self.serializer: Any = BaseSerializer()
        self._prefix = key_prefix

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> SQLiteCache:
        """Build the backend from flask-caching's configuration."""
        folder = config.get("CACHE_DIR") or app.instance_path
        options = {"key_prefix": config.get("CACHE_KEY_PREFIX") or "", **kwargs}
        return cls(folder, *args, **options)

    def get(self, key: str) -> Any:
        """Return the value, None where there is none or its time is over."""
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        """Return the values of the keys in their order, None for those missing."""
        now = time.time()
        with self.database.read() as db:
            rows = [
                db.execute(
                    "SELECT value FROM cache WHERE key=? AND (expires IS NULL OR expires>?)",
                    (self._name(key), now),
                ).fetchone()
                for key in keys
            ]
        return [self.serializer.loads(row[0]) if row else None for row in rows]

    def has(self, key: str) -> bool:
        """Whether the key holds a value."""
        with self.database.read() as db:
            row = db.execute(
                "SELECT 1 FROM cache WHERE key=? AND (expires IS NULL OR expires>?)",
                (self._name(key), time.time()),
            ).fetchone()
        return row is not None

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store the value for `timeout` seconds, or a timedelta; 0 is for ever, None the default timeout."""
        return self.set_many({key: value}, timeout) == [key]

    def set_many(self, mapping: dict[str, Any], timeout: int | timedelta | None = None) -> list[Any]:
        """Store several values in one transaction."""
        expires = self._expires(timeout)
        rows = [(self._name(key), self.serializer.dumps(value), expires) for key, value in mapping.items()]
        with self.database.write() as db:
            self._drop_expired(db)
            db.executemany("INSERT OR REPLACE INTO cache VALUES (?,?,?)", rows)
        return list(mapping)

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store the value unless the key holds one; one winner, whoever asks at the same moment."""
        row = (self._name(key), self.serializer.dumps(value), self._expires(timeout))
        with self.database.write() as db:
            self._drop_expired(db)
            return bool(db.execute("INSERT OR IGNORE INTO cache VALUES (?,?,?)", row).rowcount)

    def delete(self, key: str) -> bool:
        """Delete the key; False where it held nothing."""
        with self.database.write() as db:
            self._drop_expired(db)
            return bool(db.execute("DELETE FROM cache WHERE key=?", (self._name(key),)).rowcount)

    def delete_many(self, *keys: str) -> list[Any]:
        """Delete several keys in one transaction; returns them all, since none is there any more."""
        with self.database.write() as db:
            db.executemany("DELETE FROM cache WHERE key=?", [(self._name(key),) for key in keys])
        return list(keys)

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a number in one step; a missing key counts as 0."""
        name = self._name(key)
        with self.database.write() as db:
            self._drop_expired(db)
            row = db.execute("SELECT value FROM cache WHERE key=?", (name,)).fetchone()
            value: int = (self.serializer.loads(row[0]) if row else 0) + delta
            db.execute(
                "INSERT INTO cache VALUES (?,?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value",
                (name, self.serializer.dumps(value), self._expires(None)),
            )
        return value

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtract from a number in one step; a missing key counts as 0."""
        return self.inc(key, -delta)

    def clear(self) -> bool:
        """Delete every cached value under this prefix; jobs stay."""
        with self.database.write() as db:
            if self._prefix:
                db.execute("DELETE FROM cache WHERE substr(key, 1, ?)=?", (len(self._prefix), self._prefix))
            else:
                db.execute("DELETE FROM cache")
        return True

    def _name(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def _expires(self, timeout: int | timedelta | None) -> float | None:
        valid = self.default_timeout if timeout is None else seconds(timeout)
        return time.time() + valid if valid else None

    @staticmethod
    def _drop_expired(db: Any) -> None:
        db.execute("DELETE FROM cache WHERE expires IS NOT NULL AND expires<=?", (time.time(),))


def seconds(timeout: int | timedelta) -> int:
    """Return a timeout in seconds, a part of one rounded up, so that 0 alone means for ever."""
    return math.ceil(timeout.total_seconds()) if isinstance(timeout, timedelta) else timeout
