"""The gate before every write: one process at a time, in turn, freed by the kernel when its holder dies."""

from __future__ import annotations

import _thread
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


#: Seconds that one waits for the gate; only a process that is frozen, or a dying disk, holds it for so long.
PATIENCE = 10.0


class Gate:
    """A lock on a file beside the database.

    Not reentrant and not for threads; the caller holds a lock of its own for those. SQLite's busy
    handler sleeps and asks again, so a busy writer starves the others; `flock` queues them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._line = Line(path)
        #: What it is held by, where it had to be waited for.
        self._held_by: int | None = None
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
                f"{self.path} cannot be locked ({error.strerror}). {of_another(self.path)}"
                "Set QUEUES_CACHE_DIR to a folder that this user may write, on a file system with locks."
            ) from error

    def close(self) -> None:
        """Close the file; whoever holds the gate through it lets go."""
        self._line.forget()
        if self._file is not None:
            self._file = None
            self._let_go()

    def __enter__(self) -> None:
        if self._file is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held_by = self._line.wait()

    def __exit__(self, *_: object) -> None:
        if self._held_by is not None:
            leave(self._held_by)
            self._held_by = None
        elif self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def of_another(path: Path) -> str:
    """The sentence that a file is another user's, where it is: a worker was once started as root."""
    try:
        if path.stat().st_uid == os.geteuid():
            return ""
        return f"It belongs to {path.owner()}: run the application and its workers as one user. "
    except (OSError, KeyError, AttributeError, NotImplementedError):  # gone, of nobody, or no such system
        return ""


class Line:
    """The line before a lock on a file, in which one process waits for so long and no longer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        #: The place of whoever waited in vain, which the next one takes over.
        self._turn: Turn | None = None

    def wait(self) -> int:
        """Wait for the lock; returns the file that holds it, to be handed to `leave`."""
        turn, self._turn = self._stand(), None
        try:
            if turn.comes(PATIENCE / 2):
                return turn.file
            holder = holder_of(self._path)
            if turn.comes(PATIENCE / 2):
                return turn.file
        except BaseException:
            if not turn.give_up():
                leave(turn.file)
            raise
        if not turn.give_up():
            return turn.file
        self._turn = turn
        raise held_too_long(self._path, holder if holder == holder_of(self._path) else None)

    def _stand(self) -> Turn:
        if self._turn is not None and self._turn.take_over():
            return self._turn
        try:
            return Turn(self._path)
        except OSError as error:
            raise StorageUnavailable(f"{self._path} cannot be opened: {error.strerror}.") from error

    def forget(self) -> None:
        """Leave the place of whoever waited in vain to itself, as after a fork: its thread is not here."""
        self._turn = None


class Turn:
    """A place in the line before the gate, which a thread keeps: `flock` itself knows no end of waiting.

    It has a file of its own, so that a turn which comes when nobody waits any more lets go of nothing else.
    """

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._guard = _thread.allocate_lock()
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._wanted = True
        self._over = False
        try:
            _thread.start_new_thread(self._stand_in_line, ())
        except RuntimeError:  # the system gives no more of them
            self._stand_in_line()

    def comes(self, seconds: float) -> bool:
        """Wait so long for it."""
        return self._bell.acquire(timeout=seconds)

    def give_up(self) -> bool:
        """Wait no more, but stay in line; False where the turn has come after all."""
        with self._guard:
            if self._over:
                return False
            self._wanted = False
            return True

    def take_over(self) -> bool:
        """Wait for it in place of whoever gave up; False where it has come meanwhile and is over."""
        with self._guard:
            self._wanted = not self._over
            return self._wanted

    def _stand_in_line(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)
        with self._guard:
            self._over = True
            if self._wanted:
                self._bell.release()
                return
        leave(self.file)


def leave(file: int) -> None:
    """Let go of the gate that is held by a file of its own."""
    fcntl.flock(file, fcntl.LOCK_UN)  # a process that was forked may have the file, too
    os.close(file)


def holder_of(path: Path) -> int | None:
    """The process that holds the gate, where the system tells."""
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
        found = path.stat()
    except OSError:
        return None
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    holders = [fields[4] for line in lines if (fields := line.split())[1] == "FLOCK" and place in fields]
    return int(holders[0]) if len(holders) == 1 and holders[0].isdigit() else None


def held_too_long(path: Path, holder: int | None) -> StorageUnavailable:
    """Say who holds the gate."""
    who = "another process" if holder is None else f"process {holder}"
    what = "it" if holder is None else f"it (kill {holder})"
    return StorageUnavailable(
        f"{path} has been held for {PATIENCE:g} s by {who}, which is stopped or hangs in the middle of a write; "
        f"nothing was changed. Let it go on, or end {what}."
    )
