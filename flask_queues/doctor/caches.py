"""Caches of the application whose `clear()` would delete the jobs with its pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cachelib import FileSystemCache, MemcachedCache
from cachelib.redis import RedisCache

from ..manager import Manager
from ..storage import CacheStorage
from ..storage.sealed import unsealed
from ..storage.values import Finding, Severity

CODE = "cache-shared"


def clearable(manager: Manager) -> Finding | None:
    """A cache that somebody may empty who does not think of jobs."""
    jobs = manager.storage.backend
    if manager.shares_cache and isinstance(unsealed(manager.storage), CacheStorage):
        return Finding(
            Severity.LOSES,
            CODE,
            "The jobs are in a cache that the application has made: `clear()`, called anywhere, deletes them all.",
            "Describe a cache of its own for them with QUEUES_CACHE_*, in another folder or on another server.",
        )
    caches = manager.app.extensions.get("cache", {}).values()
    if jobs is None or not any(cache is not jobs and empties(cache, jobs) for cache in caches):
        return None
    return Finding(
        Severity.LOSES,
        CODE,
        "The application has a cache in the same place as the jobs: `clear()`, called on it anywhere, deletes them.",
        fix_for(jobs),
    )


def fix_for(jobs: Any) -> str:
    """What parts the two, by the kind of backend."""
    if isinstance(jobs, RedisCache):
        return "Set a CACHE_KEY_PREFIX, without which `clear()` empties the database, or take another database for one."
    if isinstance(jobs, FileSystemCache):
        return "Set CACHE_DIR or QUEUES_CACHE_DIR to another folder."
    return "Take another server for one of them: `clear()` empties all of it, whatever the prefix."


def empties(cache: Any, jobs: Any) -> bool:
    """Whether `clear()` of one backend deletes what is in the other, as cachelib does it."""
    if isinstance(cache, RedisCache) and isinstance(jobs, RedisCache):
        return not cache._get_prefix() and not databases(cache).isdisjoint(databases(jobs))
    if isinstance(cache, FileSystemCache) and isinstance(jobs, FileSystemCache):
        return Path(cache._path).resolve() == Path(jobs._path).resolve()
    if isinstance(cache, MemcachedCache) and isinstance(jobs, MemcachedCache):
        return not servers(cache).isdisjoint(servers(jobs))
    return False


def databases(backend: RedisCache) -> set[tuple[str, ...]]:
    """Which databases a backend reaches, without asking anybody."""
    client = backend._write_client
    if hasattr(client, "nodes_manager"):
        return {(local(node.host), str(node.port)) for node in client.get_nodes()}
    pool = client.connection_pool
    given = pool.connection_kwargs
    database = str(given.get("db") or 0)
    if hasattr(pool, "service_name"):
        return {("master", pool.service_name, database)}
    if "path" in given:
        return {(given["path"], database)}
    return {(local(given.get("host", "localhost")), str(given.get("port", 6379)), database)}


def servers(backend: MemcachedCache) -> set[str]:
    """Which servers a backend reaches."""
    client = backend._client
    first = next(iter(getattr(client, "queue", [client])))
    hosts: Iterable[Any] = getattr(first, "addresses", ()) or getattr(first, "servers", ())
    return {local(str(getattr(host, "address", host))) for host in hosts}


def local(host: str) -> str:
    """One name for this machine."""
    return host.replace("localhost", "127.0.0.1")
