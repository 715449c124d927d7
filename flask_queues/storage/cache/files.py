"""`FileSystemCache`: a file for each text, and a lock beside the folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import ConfigError, StorageFull, StorageUnavailable
from ..sqlite.database import NETWORK_FILE_SYSTEMS, file_system_of
from ..sqlite.findings import on_container, on_full_disk, on_memory
from ..sqlite.gate import Line, leave
from ..values import Finding, Severity
from .port import Port

try:
    import fcntl
except ImportError:
    HAS_FLOCK = False
else:
    HAS_FLOCK = True

#: Bytes left on a disk below which a write that failed is taken for a full one.
ROOM = 1_000_000
#: For how long (s) a new file may be its owner's alone, before it gets its mode.
MODE_TIME = 0.2


class FilePort(Port):
    """Files, written whole and then renamed by the backend.

    Its `add` is a look and then a write, of two processes both may succeed: so every change waits for
    the lock. Failures look like "nothing there", so the files themselves are asked.
    """

    forgets = False
    exclusive = True
    limit = None
    slice = 8
    interval = 0.005
    promise = (
        "FileSystemCache: jobs survive the end of every process and a restart; "
        "a power cut may lose what was pushed or done last."
    )

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        if not HAS_FLOCK:
            raise ConfigError(
                "QUEUES_CACHE_TYPE: for FileSystemCache the system has no file locks. "
                "Use flask_queues.SQLiteCache, the default."
            )
        if backend._threshold != 0:
            raise ConfigError(
                f"The FileSystemCache for the jobs has a threshold of {backend._threshold}: above it jobs would be "
                "deleted. Leave QUEUES_CACHE_THRESHOLD out; in a cache of your own, set CACHE_THRESHOLD to 0."
            )
        self._folder = Path(backend._path).resolve()
        #: What was peeked at, with what tells its file from another.
        self._peeked: dict[str, tuple[tuple[int, int, int], str | None]] = {}
        self._lock = FileLock(self._folder.with_name(self._folder.name + ".lock"))

    def describe(self) -> str:
        """The folder: two containers may have two."""
        return f"files in {self._folder}"

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Wait in turn for the lock."""
        self._lock.take()
        try:
            yield
        finally:
            self._lock.free()

    def get(self, key: str) -> str | None:
        """Read a file; raises where it is there and not for us."""
        path = self._backend._get_filename(key)
        if not os.access(path, os.R_OK):
            if not os.access(path, os.F_OK):
                return None
            self._wait_until_readable(path)
        return super().get(key)

    def peek(self, key: str) -> str | None:
        """Read a file if it is another one than the last time."""
        try:
            there = Path(self._backend._get_filename(key)).stat()
        except FileNotFoundError:
            return None
        sign = (there.st_ino, there.st_mtime_ns, there.st_size)
        seen = self._peeked.get(key)
        if seen is None or seen[0] != sign:
            seen = self._peeked[key] = (sign, self.get(key))
        return seen[1]

    def get_many(self, keys: Any) -> list[str | None]:
        """Read several files."""
        return [self.get(key) for key in keys]

    def _wait_until_readable(self, path: str) -> None:
        until = time.monotonic() + MODE_TIME
        while not os.access(path, os.R_OK) and os.access(path, os.F_OK):
            if time.monotonic() > until:
                raise StorageUnavailable(
                    f"{path} cannot be read by this user. Let all processes run as one user, "
                    'or set QUEUES_CACHE_OPTIONS = {"mode": 0o660} and give the folder to a common group.'
                )
            time.sleep(0.002)

    def add(self, key: str, text: str) -> str | None:
        """Look and write, while the lock is ours."""
        found = self.get(key)
        if found is None:
            self.put(key, text)
        return found

    def put(self, key: str, text: str) -> None:
        """Write a file and make sure of it."""
        if self._backend.set(key, text, timeout=0):
            return
        if not self._folder.is_dir():
            raise StorageUnavailable(f"{self._folder} is gone. Put it back, or restart the application.")
        if shutil.disk_usage(self._folder).free < ROOM:
            raise StorageFull(f"No room left on the disk of {self._folder}; nothing was changed. Free some space.")
        raise StorageUnavailable(
            f"A file in {self._folder} cannot be written by this user; nothing was changed. "
            "Set QUEUES_CACHE_DIR to a folder that this user may write."
        )

    def disconnect(self) -> None:
        """Let go of the lock's file, which a child must not inherit: a lock belongs to whoever has the file open."""
        self._lock.close()

    def findings(self) -> list[Finding]:
        """Whether disk and lock can be relied on."""
        found = [on_memory(self._folder), on_container(self._folder), on_full_disk(self._folder), self._on_network()]
        return [one._replace(code=one.code.replace("sqlite", "files")) for one in found if one is not None]

    def _on_network(self) -> Finding | None:
        kind = file_system_of(self._folder)
        if kind not in NETWORK_FILE_SYSTEMS:
            return None
        return Finding(
            Severity.DOUBLES,
            "files-network",
            f"{self._folder} is on a network file system ({kind}), whose locks may not hold between machines.",
            "Set QUEUES_CACHE_DIR to a local folder, or use Redis.",
        )


class FileLock:
    """A lock on a file: the kernel gives it to one after the other, and frees that of the dead.

    Not reentrant and not for threads; the caller holds a lock of its own for those.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._line = Line(path)
        #: What it is held by, where it had to be waited for.
        self._held_by: int | None = None

    def take(self) -> None:
        """Wait for the lock, on the file that is there now: somebody may have deleted the one we had."""
        while True:
            file = self._open()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file = self._held_by = self._line.wait()
            try:
                there = self._path.stat()
            except FileNotFoundError:
                there = None
            if there is not None and os.path.samestat(there, os.fstat(file)):
                return
            self.free()
            self.close()

    def free(self) -> None:
        """Let the next one have it."""
        if self._held_by is not None:
            leave(self._held_by)
            self._held_by = None
        elif self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        self._line.forget()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()

    def _open(self) -> int:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise StorageUnavailable(
                    f"{self._path} cannot be opened ({error.strerror}): beside its folder, FileSystemCache needs a "
                    f"lock. Let this user write in {self._path.parent}, or set QUEUES_CACHE_DIR."
                ) from error
        return self._file
