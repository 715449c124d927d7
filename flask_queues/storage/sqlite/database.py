"""The SQLite file: one connection a process, a fair gate for writers, nothing carried over a fork."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from ...errors import StorageError, StorageFormatError, StorageFull, StorageUnavailable
from .gate import Gate, of_another

#: `PRAGMA user_version` of the file. `schema.sql` makes format 1, `format-<n>.sql` makes n of the one before.
FORMAT = 5
#: Brought up to date when opened: the next version reads what the last one wrote.
OLDEST = 1
#: Marks the file as ours ("fQue"); `PRAGMA application_id`.
APPLICATION_ID = 0x66517565
ELSEWHERE = "Set QUEUES_CACHE_DIR to a folder that this user may write."
#: How long a foreign program may hold the file locked before a call gives up.
BUSY_SECONDS = 10
#: How long a checkpoint waits, with the gate shut, for a reader of an old moment; then it leaves off.
READER_MILLISECONDS = 50
#: Pages of WAL after which a process without a keeper checkpoints by itself.
CHECKPOINT_PAGES = 4000
DATA_VERSION = "PRAGMA data_version"
BOOT = "SELECT value FROM meta WHERE name='boot'"
#: Seconds between two looks at whether the open file is still the one at its path.
LOOK_SECONDS = 1.0
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"})

_databases: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """One SQLite file in WAL mode.

    Every write takes the gate first, since SQLite's own waiting lets one writer starve for seconds.
    The connection is closed before any fork and reopened lazily on both sides: locks do not pass
    to a child, but SQLite's in-process table of them does, and the child would delete a live WAL.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Set in the processes of a worker, whose keeper checkpoints.
        self.maintained = False
        self._gate = Gate(path.with_name(path.name + ".lock"))
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        #: Closes the connection, at the latest when nobody uses this object any more.
        self._let_go: Callable[[], object] = lambda: None
        #: How often the file was opened: numbers that SQLite keeps for a connection end with it.
        self.openings = 0
        self._durable: bool | None = None
        self._owner: int | None = None
        self._place: tuple[int, int] | None = None
        self._looked = 0.0
        _databases.add(self)

    @property
    def busy(self) -> bool:
        """Whether the calling thread is inside a transaction or a read."""
        return self._owner == threading.get_ident()

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Run one write transaction; `durable` has it on the disk before this returns."""
        with self._exclusive(), self._errors():
            connection = self._open()
            with self._gate:
                self._set_durable(connection, durable)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read; fetch all rows before leaving, since an open cursor keeps the WAL from shrinking."""
        with self._exclusive(), self._errors():
            yield self._open()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read with several statements what was there at one moment."""
        with self.read() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def version(self) -> tuple[int, int]:
        """Another pair after each commit of another connection, or where the file was opened again.

        Asked hundreds of times a second while nothing happens, so it does without what other reads go through.
        """
        with self._lock:
            connection = self._connection
            if connection is None or time.monotonic() - self._looked >= LOOK_SECONDS:
                with self.read() as connection:
                    return self.openings, connection.execute(DATA_VERSION).fetchone()[0]
            try:
                return self.openings, connection.execute(DATA_VERSION).fetchone()[0]
            except sqlite3.Error as error:
                raise translate(error, self.path) from error

    def checkpoint(self, *, restart: bool) -> None:
        """Copy the WAL into the file; with `restart` also make writers begin it anew.

        Behind the gate, always: SQLite before 3.51.3 may corrupt a file whose WAL is begun anew by a
        commit at the moment at which a checkpoint starts (sqlite.org/wal.html#walresetbug).
        """
        with self._exclusive(), self._errors():
            connection = self._open()
            with self._gate:
                if not restart:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    return
                connection.execute(f"PRAGMA busy_timeout={READER_MILLISECONDS}")
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
                connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")

    def wal_size(self) -> int:
        """Bytes in the write-ahead log."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            self._close()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._lock:
            outer, self._owner = self._owner, threading.get_ident()
            try:
                if outer is None:
                    self._look_for_file()
                yield
            finally:
                self._owner = outer

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def _set_durable(self, connection: sqlite3.Connection, durable: bool) -> None:
        if durable is not self._durable:
            connection.execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL")
            self._durable = durable

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
            self._let_go = weakref.finalize(self, self._connection.close)
            self._place = place_of(self.path)
            self._looked = time.monotonic()
            self.openings += 1
        return self._connection

    def _look_for_file(self) -> None:
        """Let go of a file that was replaced; refuse to go on where it was moved or deleted.

        Asked once a second: the connection would go on with a file that nobody else finds.
        """
        now = time.monotonic()
        if self._connection is None or now - self._looked < LOOK_SECONDS:
            return
        place = place_of(self.path)
        if place is None:
            raise StorageUnavailable(
                f"{self.path} is gone: it was moved or deleted while in use. Put it back, "
                "or restart the application to begin with a new one."
            )
        self._looked = now
        if place != self._place:
            self._close()

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(
                f"The folder of {self.path} cannot be made: {error.strerror}. {ELSEWHERE}"
            ) from error
        refuse_network_file_system(self.path.parent)
        self._gate.open()
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            self._gate.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._durable = None
        if pragma(connection, "application_id") != APPLICATION_ID or pragma(connection, "user_version") != FORMAT:
            with self._gate:
                self._create_or_refuse(connection)
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-16000")
        connection.execute(f"PRAGMA wal_autocheckpoint={0 if self.maintained else CHECKPOINT_PAGES}")
        self._adopt_boot(connection)

    def refuse_newer(self, connection: sqlite3.Connection) -> None:
        """Raise `StorageFormatError` where a newer version has made the file its own."""
        version = pragma(connection, "user_version")
        if version > FORMAT:
            raise StorageFormatError(
                f"{self.path} has format {version}; this version of Flask-Queues reads up to {FORMAT}. "
                "Install the newer version that wrote it."
            )

    def _create_or_refuse(self, connection: sqlite3.Connection) -> None:
        if pragma(connection, "application_id") == APPLICATION_ID:
            self.refuse_newer(connection)
            run_script(connection, *upgrades(pragma(connection, "user_version")))
            return
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StorageFormatError(
                f"{self.path} is a SQLite database of something else. Set QUEUES_CACHE_DIR to another folder."
            )
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        run_script(connection, "schema.sql", *upgrades(OLDEST))

    def _adopt_boot(self, connection: sqlite3.Connection) -> None:
        """Leases count by this boot's monotonic clock; those of another boot have run out."""
        boot = boot_id()
        if connection.execute(BOOT).fetchone()[0] == boot:
            return
        with self._gate:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute(BOOT).fetchone()[0] != boot:  # nobody was faster
                connection.execute("UPDATE jobs SET lease=0 WHERE status=1")
                connection.execute("UPDATE meta SET value=? WHERE name='boot'", (boot,))
            connection.execute("COMMIT")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._let_go()
        self._gate.close()

    def before_fork(self) -> None:
        """Close, and let no thread reopen before the fork is over."""
        self._lock.acquire()
        self._close()

    def after_fork(self) -> None:
        """Let threads use the file again."""
        self._lock.release()


def upgrades(version: int) -> list[str]:
    """Name the scripts that bring a file of this format up to date."""
    return [f"format-{n}.sql" for n in range(version + 1, FORMAT + 1)]


def run_script(connection: sqlite3.Connection, *names: str) -> None:
    """Bring the file to the current format in one transaction, if there is anything to do."""
    folder = resources.files(__package__)
    script = "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
    if script:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={FORMAT};\n"
            f"PRAGMA application_id={APPLICATION_ID};\nCOMMIT;"
        )


def place_of(path: Path) -> tuple[int, int] | None:
    """Tell which file lies at a path, None where none does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """Read a number that SQLite keeps about a file or a connection."""
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def boot_id() -> str:
    """Name this boot of the machine, so that a monotonic clock of another is not mistaken for ours."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return f"boot at {round((time.time() - time.monotonic()) / 60)}"


def translate(error: sqlite3.Error, path: Path) -> StorageError:
    """Say what an error of SQLite means and what to do."""
    text = str(error)
    if "is full" in text:
        return StorageFull(f"No room left on the disk of {path}; nothing was changed. Free some space.")
    if "not a database" in text:
        return StorageFormatError(f"{path} is not a SQLite database. Move it away, or set QUEUES_CACHE_DIR.")
    if "malformed" in text:
        return StorageFormatError(f"{path} is damaged ({text}). Restore a copy of it.")
    if "readonly" in text:
        return StorageUnavailable(
            f"{path} cannot be written by this user; nothing was changed. {of_another(path)}{ELSEWHERE}"
        )
    if "unable to open" in text:
        return StorageUnavailable(f"{path} cannot be opened by this user. {of_another(path)}{ELSEWHERE}")
    if "locked" in text:
        return StorageUnavailable(
            f"{path} has been locked by another program for {BUSY_SECONDS} s; nothing was changed. "
            "Close what has it open, such as a database browser."
        )
    return StorageUnavailable(f"{path}: {text}.")


def refuse_network_file_system(folder: Path) -> None:
    """Refuse a folder on which a WAL cannot work, since it needs memory shared between processes."""
    kind = file_system_of(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StorageUnavailable(
            f"{folder} is on a network file system ({kind}), "
            "where SQLite cannot share a file between processes. "
            "Set QUEUES_CACHE_DIR to a local folder, or use Redis."
        )


def file_system_of(folder: Path) -> str | None:
    """Tell the type of the file system that holds the folder, None where the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        fields = line.split(" ")
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return None


class _Held(threading.local):
    """The files that the forking thread holds shut; another may fork at the same moment."""

    def __init__(self) -> None:
        self.databases: list[Database] = []


def _before_fork() -> None:
    for database in list(_databases):
        database.before_fork()
        _held.databases.append(database)


def _after_fork() -> None:
    while _held.databases:
        _held.databases.pop().after_fork()


_held = _Held()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
