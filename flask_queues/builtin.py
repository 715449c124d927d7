"""Job types that many applications need; known once they are registered: `queues.register(ClearCache, Heartbeat)`."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from typing import Annotated, Any

import msgspec
from cachelib import SimpleCache
from cachelib.redis import RedisCache
from flask import current_app
from flask_caching import Cache

from .doctor.caches import empties
from .errors import ConfigError
from .job import Job
from .manager import Manager, manager_of

#: Bytes of an answer that are read: enough to let the other end finish politely.
READ = 65_536


class ClearCache(Job):
    """Empties a flask-caching cache of the application, as at night or after an import.

    `cache` is where the application keeps it, `"shop.extensions:pages"`; where there is only one, nothing need be said.
    Fails where that would delete jobs.
    """

    type = "queues:clear-cache"
    name = "Clear a cache"
    backoff = 10

    def handle(self, cache: str | None = None) -> None:
        """Empty it."""
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        backends: dict[Cache, Any] = app.extensions.get("cache", {})
        backend = backends[named(cache, backends)]
        refuse(manager_of(app), backend, cache or "of the application")
        done = backend.clear()
        if not done and not isinstance(backend, RedisCache):  # which says so where there was nothing to delete
            raise RuntimeError(f"The {type(backend).__name__} could not be cleared.")


class Heartbeat(Job):
    """Fetches a URL, so that a watchdog elsewhere notices when schedules are fired no more.

    Schedule it every few minutes, with the `url`, http or https, and the seconds that it may take as `timeout`.
    """

    type = "queues:heartbeat"
    name = "Report to a watchdog"
    backoff = 5
    expires = 300

    def handle(
        self,
        url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]")],
        timeout: Annotated[float, msgspec.Meta(gt=0, le=50)] = 10.0,
    ) -> int:
        """Fetch it; returns the status of the answer."""
        request = urllib.request.Request(url, headers={"User-Agent": "Flask-Queues"})  # noqa: S310 - see `fetcher`
        try:
            with fetcher().open(request, timeout=timeout) as answer:
                answer.read(READ)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            raise


def fetcher() -> urllib.request.OpenerDirector:
    """What fetches by HTTP and nothing else, wherever it is led: no file, no FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def named(name: str | None, caches: dict[Cache, Any]) -> Cache:
    """The cache of this name among the application's; nothing is imported for it."""
    if name is None:
        if len(caches) == 1:
            return next(iter(caches))
        there = "several caches" if caches else "no cache of flask-caching"
        raise ConfigError(f"This application has {there}. Say which one to clear: {{'cache': 'package.module:name'}}.")
    module, _, attribute = name.partition(":")
    found = getattr(sys.modules.get(module), attribute, None) if attribute else None
    if not isinstance(found, Cache) or found not in caches:
        raise ConfigError(
            f"{name!r} is no cache of this application. Name the module that holds it and the name it has there, "
            "such as 'shop.extensions:pages'."
        )
    return found


def refuse(manager: Manager, backend: Any, name: str) -> None:
    """Refuse to clear what the jobs are in, what they share a place with, and what only this process has."""
    jobs = manager.storage.backend
    if jobs is not None and (backend is jobs or empties(backend, jobs)):
        raise ConfigError(
            f"The cache {name} holds the jobs of Flask-Queues, or shares their place, and clearing it could delete "
            "them. Give one of them a place of its own; flask queues doctor says how."
        )
    if isinstance(backend, SimpleCache):
        raise ConfigError(
            f"The cache {name} is a SimpleCache, of which each process has its own: clearing the worker's changes "
            "nothing for anybody else. Take another backend."
        )
