"""Which port stands on which backend."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from cachelib import FileSystemCache, MemcachedCache, SimpleCache

from ...errors import ConfigError
from ..values import Finding
from .files import FilePort
from .memcached import MemcachedPort
from .port import Port
from .unpickling import without_code


class MemoryPort(Port):
    """`SimpleCache`: a dictionary of this process, for development and tests."""

    shared = False
    forgets = False
    exclusive = True
    limit = None
    interval = 0.005
    promise = "SimpleCache loses everything with its process."

    #: Several logs over one dictionary wait for one another.
    _locks: ClassVar[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        backend._threshold = sys.maxsize  # it takes 0 for 500, above which what never expires goes first
        self._lock: AbstractContextManager[object] = self._locks.setdefault(backend, threading.RLock())

    def describe(self) -> str:
        """Whose memory it is."""
        return f"memory of process {os.getpid()} (SimpleCache)"

    def gate(self) -> AbstractContextManager[object]:
        """Wait for the other threads."""
        return self._lock

    def findings(self) -> list[Finding]:
        """Its `add` holds a lock."""
        return []


def port_for(backend: Any) -> Port:
    """Return the port for a backend; raises `ConfigError` for one in which jobs would be lost."""
    if type(backend).__name__ == "NullCache":  # flask-caching's is not cachelib's
        raise ConfigError(
            "The jobs cannot be kept in NullCache, which stores nothing. Name another backend in QUEUES_CACHE_TYPE; "
            "flask_queues.SQLiteCache is the default."
        )
    if isinstance(backend, FileSystemCache):
        return FilePort(without_code(backend))
    if isinstance(backend, SimpleCache):
        return MemoryPort(backend)
    if isinstance(backend, MemcachedCache):
        return MemcachedPort(backend)
    return Port(without_code(backend))
