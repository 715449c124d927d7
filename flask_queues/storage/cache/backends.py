"""What each kind of flask-caching backend needs so that it keeps what it is given, or why it cannot."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from cachelib import FileSystemCache, MemcachedCache, NullCache, SimpleCache

from ...errors import ConfigError, StorageFull, StorageUnavailable
from ..base import Finding, Severity
from ..disk import of_disk
from ..sqlite.gate import HAS_FLOCK, Gate

#: Bytes left on a disk below which a write that failed is taken for a full one.
ROOM = 1_000_000


class Port:
    """A backend as the log uses it: texts by key, which never expire, and no failure that is not told."""

    #: Whether other processes see the same.
    shared = True
    #: Whether entries may vanish while their neighbours stay.
    forgets = True
    #: Whether whoever is within `gate` is alone in writing.
    exclusive = False
    #: Characters that one value may have; None for any number.
    limit: int | None = None
    #: Values that are read at a time, at most.
    slice = 64
    #: How often (s) to look for news.
    interval = 0.02
    #: What it promises, for an operator.
    promise = "Whatever this cache forgets, by a restart, an eviction or a full memory, is lost."

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def describe(self) -> str:
        """What and where it is, in a few words."""
        return type(self._backend).__name__

    def gate(self) -> AbstractContextManager[object]:
        """Wait for one's turn to write, where there is such a thing."""
        return nullcontext()

    def get(self, key: str) -> str | None:
        """The text, None where there is none."""
        value = self._backend.get(key)
        return value if isinstance(value, str) else None

    def get_many(self, keys: Sequence[str]) -> list[str | None]:
        """The texts of several keys, in their order."""
        return [self.get(key) for key in keys]

    def add(self, key: str, text: str) -> bool:
        """Store a text where none is; False where one is. Raises where nobody knows, or nothing is stored."""
        if self._backend.add(key, text, timeout=0):
            return True
        found = self.get(key)
        if found is None:
            raise StorageUnavailable(f"The {self.describe()} stored nothing; nothing was changed.")
        return found == text

    def put(self, key: str, text: str) -> None:
        """Store a text over any other."""
        if self._backend.set(key, text, timeout=0) is False:
            raise StorageUnavailable(f"The {self.describe()} stored nothing; nothing was changed.")

    def delete(self, key: str) -> None:
        """Delete a text; it may be gone."""
        self._backend.delete(key)

    def disconnect(self) -> None:
        """Let go of connections; they are made again with the next call."""

    def findings(self) -> list[Finding]:
        """What an operator should know."""
        if not self.forgets:
            return [Finding(Severity.NOTE, "cache-promise", self.promise)]
        fix = "Use flask_queues.SQLiteCache, the default, or Redis, for jobs that must not be lost."
        return [Finding(Severity.LOSES, "cache-forgets", self.promise, fix)]


class FilePort(Port):
    """`FileSystemCache`: a file each, written whole and renamed.

    Its `add` is a look and then a write, so two processes may both succeed: every `add` happens behind
    a gate, a lock on a file beside the folder. Failures are only written to the log, so they are asked for.
    """

    forgets = False
    exclusive = True
    slice = 8
    interval = 0.005
    promise = (
        "FileSystemCache: jobs survive the end of every process and a restart; a power cut may lose what was written "
        "last."
    )

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        if not HAS_FLOCK:
            raise ConfigError(
                "QUEUES_CACHE_TYPE: FileSystemCache needs file locks, which this system has not. "
                "Use flask_queues.SQLiteCache, the default."
            )
        if backend._threshold != 0:
            raise ConfigError(
                f"CACHE_THRESHOLD of the FileSystemCache for jobs is {backend._threshold}: above it jobs would be "
                "deleted. Leave out QUEUES_CACHE_THRESHOLD, or set it, or CACHE_THRESHOLD of a cache of your own, to 0."
            )
        self._folder = Path(backend._path).resolve()
        self._gate = Gate(self._folder.with_name(self._folder.name + ".lock"))

    def describe(self) -> str:
        """The folder: two containers may have two."""
        return f"files of {self._folder}"

    @contextmanager
    def gate(self) -> Any:
        """Wait in turn for the lock beside the folder; the kernel frees that of the dead."""
        self._gate.open()
        with self._gate:
            yield

    def get(self, key: str) -> str | None:
        """Read a file; raises where it is there and not for us."""
        path = self._backend._get_filename(key)
        if not os.access(path, os.F_OK):
            return None
        self._wait_until_readable(path)
        return super().get(key)

    def _wait_until_readable(self, path: str) -> None:
        """A new file is its owner's alone for a moment, before it gets its mode."""
        until = time.monotonic() + 0.2
        while not os.access(path, os.R_OK) and os.access(path, os.F_OK):
            if time.monotonic() > until:
                raise StorageUnavailable(
                    f"{path} cannot be read by this user. Let all processes run as one user, "
                    'or set QUEUES_CACHE_OPTIONS = {"mode": 0o660} and give the folder to a common group.'
                )
            time.sleep(0.002)

    def add(self, key: str, text: str) -> bool:
        """Look and write behind the gate; a file that a power cut has left broken is written anew."""
        if self.get(key) is not None:
            return False
        self.put(key, text)
        return True

    def put(self, key: str, text: str) -> None:
        """Write a file and make sure of it."""
        if self._backend.set(key, text, timeout=0):
            return
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise StorageUnavailable(f"{self._folder} is gone ({error.strerror}). Put it back.") from error
        if free < ROOM:
            raise StorageFull(f"No room left on the disk of {self._folder}; nothing was changed. Free some space.")
        raise StorageUnavailable(
            f"{self._folder} cannot be written by this user; nothing was changed. The log above says why."
        )

    def findings(self) -> list[Finding]:
        """What may become of the folder."""
        return [*of_disk(self._folder), *super().findings()]

    def disconnect(self) -> None:
        """Let go of the lock file, which must not be shared with a child."""
        self._gate.close()


class MemoryPort(Port):
    """`SimpleCache`: a dictionary of this process, for development and tests."""

    shared = False
    forgets = False
    exclusive = True
    interval = 0.005
    promise = "SimpleCache loses everything with its process."

    #: Several logs over one backend, as in tests, wait for one another.
    _locks: ClassVar[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        backend._threshold = sys.maxsize  # 0 would mean 500, above which what never expires goes first
        self._lock: AbstractContextManager[object] = self._locks.setdefault(backend, threading.RLock())

    def describe(self) -> str:
        """Whose memory it is."""
        return f"memory of process {os.getpid()}"

    def gate(self) -> AbstractContextManager[object]:
        """Wait for the other threads."""
        return self._lock


class MemcachedPort(Port):
    """`MemcachedCache`: one `add` is atomic, but what it says when it fails is not to be trusted."""

    limit = 1_000_000
    promise = "Memcached loses everything with its server, and some of it when its memory is full."


def port_for(backend: Any) -> Port:
    """Return the port for a backend; raises `ConfigError` for one in which jobs would be lost."""
    if isinstance(backend, NullCache) or type(backend).__name__ == "NullCache":
        raise ConfigError(
            "QUEUES_CACHE_TYPE: jobs cannot be kept in NullCache, which stores nothing. "
            "Use flask_queues.SQLiteCache, the default."
        )
    if isinstance(backend, FileSystemCache):
        return FilePort(backend)
    if isinstance(backend, SimpleCache):
        return MemoryPort(backend)
    if isinstance(backend, MemcachedCache):
        return MemcachedPort(backend)
    return Port(backend)
