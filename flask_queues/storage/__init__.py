"""Where jobs are kept: the contract, and an engine for each backend that can keep it."""

from __future__ import annotations

from typing import Any

from cachelib.base import BaseCache
from cachelib.redis import RedisCache

from ..errors import ConfigError
from .base import Storage
from .cache import CacheStorage
from .cache.backends import port_for
from .sqlite import SQLiteCache, SQLiteStorage

__all__ = ["CacheStorage", "SQLiteCache", "SQLiteStorage", "Storage", "storage_for"]


def storage_for(backend: Any, *, owner: str = "", wait: int = 0) -> Storage:
    """Return the engine that stands on this flask-caching backend.

    `owner` is the application's name, by which two on one server are told apart; `wait` is how many
    replicas a push waits for. Raises `ConfigError` for a backend on which jobs would be lost.
    """
    if isinstance(backend, SQLiteCache):
        return SQLiteStorage(backend.database)
    if isinstance(backend, RedisCache):
        from .redis import RedisStorage  # redis-py is an extra

        return RedisStorage(backend, owner=owner, wait=wait)
    if isinstance(backend, BaseCache):
        return CacheStorage(port_for(backend))
    name = type(backend).__name__
    raise ConfigError(f"QUEUES_CACHE_TYPE: jobs cannot be kept in {name}. Use flask_queues.SQLiteCache, the default.")
