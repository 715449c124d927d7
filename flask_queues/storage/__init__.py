"""Where jobs are kept: the contract, and an engine for each backend that can keep it."""

from __future__ import annotations

from typing import Any

from cachelib.base import BaseCache

from ..errors import ConfigError
from .base import Storage
from .cache import CacheStorage
from .cache.backends import port_for
from .sqlite import SQLiteCache, SQLiteStorage

__all__ = ["CacheStorage", "SQLiteCache", "SQLiteStorage", "Storage", "storage_for"]


def storage_for(backend: Any) -> Storage:
    """Return the engine that stands on this flask-caching backend.

    Raises `ConfigError` for a backend on which jobs would be lost.
    """
    if isinstance(backend, SQLiteCache):
        return SQLiteStorage(backend.database)
    name = type(backend).__name__
    if isinstance(backend, BaseCache) and not name.startswith("Redis"):
        return CacheStorage(port_for(backend))
    raise ConfigError(f"QUEUES_CACHE_TYPE: jobs cannot be kept in {name}. Use flask_queues.SQLiteCache, the default.")
