"""The gate before every write: one process at a time, in turn, freed by the kernel when its holder dies."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path

from ...errors import StorageUnavailable

try:
    import fcntl
except ImportError:  # SQLite's own busy handler is the gate
    HAS_FLOCK = False
else:
    HAS_FLOCK = True


class Gate:
    """A lock on a file beside the database.

    Not reentrant and not for threads; the caller holds a lock of its own for those. SQLite's busy
    handler sleeps and asks again, so a busy writer starves the others; `flock` queues them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._let_go: Callable[[], object] = lambda: None

    def open(self) -> None:
        """Open the file; raises `StorageUnavailable` where the file system has no locks."""
        if not HAS_FLOCK or self._file is not None:
            return
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._let_go = weakref.finalize(self, os.close, self._file)
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(self._file, fcntl.LOCK_UN)
        except BlockingIOError:
            return
        except OSError as error:
            self.close()
            raise StorageUnavailable(
                f"{self.path} cannot be locked ({error.strerror}). "
                "Set QUEUES_CACHE_DIR to a folder that this user may write, on a file system with locks."
            ) from error

    def close(self) -> None:
        """Close the file; whoever holds the gate through it lets go."""
        if self._file is not None:
            self._file = None
            self._let_go()

    def __enter__(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
