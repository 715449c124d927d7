"""What may lose or delay jobs in a SQLite file: the disk it is on, its log, who may write it."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import sys
from pathlib import Path

from ..values import Finding, Severity
from .database import Database, file_system_of, pragma
from .gate import HAS_FLOCK

PROMISE = (
    "Jobs survive a restart and, on a disk that honours fsync, a power cut, which repeats at most the jobs of its last "
    "second."
)
#: Bytes of free disk below which it is time to act.
FREE = 100_000_000
#: Bytes of write-ahead log that only a reader which never lets go explains; the keeper begins it anew long before.
LARGE_LOG = 64 * 1024 * 1024
MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})
#: The versions that mended the damage which a checkpoint may do beside a commit, by their minor number.
MENDED = {44: (3, 44, 6), 50: (3, 50, 7)}
MENDED_SINCE = (3, 51, 3)


def examine(database: Database) -> list[Finding]:
    """Look at the file, its disk and its log; raises `StorageError` where it cannot be opened."""
    with database.read() as connection:
        journal: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
        vacuum = pragma(connection, "auto_vacuum")
    path = database.path
    found = [
        on_memory(path.parent),
        on_container(path.parent),
        in_environment(path.parent),
        on_full_disk(path.parent),
        written_by_others(path),
        not_mended(),
        with_large_log(path, database.wal_size()),
        without_log(path, journal),
        without_vacuum(path, vacuum),
        Finding(Severity.NOTE, "sqlite-promise", PROMISE),
    ]
    return [finding for finding in found if finding is not None]


def on_memory(folder: Path) -> Finding | None:
    """A disk that is none."""
    kind = file_system_of(folder)
    if kind not in MEMORY_FILE_SYSTEMS:
        return None
    return Finding(
        Severity.LOSES,
        "sqlite-memory-disk",
        f"{folder} is in memory ({kind}): every job in it is gone when the machine or the container restarts.",
        "Set QUEUES_CACHE_DIR to a folder on a disk.",
    )


def on_container(folder: Path) -> Finding | None:
    """A disk that goes with its container."""
    if file_system_of(folder) != "overlay":
        return None
    return Finding(
        Severity.LOSES,
        "sqlite-container",
        f"{folder} is in the container itself, not on a volume: every job in it is gone with the container.",
        "Mount a volume and set QUEUES_CACHE_DIR to a folder on it.",
    )


def in_environment(folder: Path) -> Finding | None:
    """A folder in the virtual environment, as the instance folder of an application that was installed as a package."""
    if sys.prefix == sys.base_prefix or not folder.resolve().is_relative_to(Path(sys.prefix).resolve()):
        return None
    return Finding(
        Severity.LOSES,
        "sqlite-environment",
        f"{folder} is in the virtual environment: a deploy that makes that anew leaves every job in it behind.",
        "Set QUEUES_CACHE_DIR to a folder that outlives a deploy.",
    )


def on_full_disk(folder: Path) -> Finding | None:
    """A disk with hardly any room left."""
    free = shutil.disk_usage(folder).free
    if free >= FREE:
        return None
    return Finding(
        Severity.LOSES,
        "sqlite-disk-full",
        f"Only {free / 1e6:.0f} MB are free on the disk of {folder}. Once it is full, every push is refused.",
        "Free some space, or set QUEUES_CACHE_DIR to a folder on a larger disk.",
    )


def written_by_others(path: Path) -> Finding | None:
    """A file that any user of the machine may change."""
    if not path.stat().st_mode & stat.S_IWOTH:
        return None
    return Finding(
        Severity.LOSES,
        "sqlite-writable",
        f"Every user of this machine may write {path}, and so delete jobs or add their own.",
        f"Take that right away: chmod o-w {path}",
    )


def not_mended() -> Finding | None:
    """A SQLite that may damage the file; where there is a gate, no checkpoint meets a commit."""
    version = sqlite3.sqlite_version_info
    if HAS_FLOCK or version >= MENDED.get(version[1], MENDED_SINCE):
        return None
    return Finding(
        Severity.LOSES,
        "sqlite-version",
        f"SQLite {sqlite3.sqlite_version} may, very rarely, damage a file that several processes write.",
        "Install a Python with SQLite 3.51.3 or newer, or run one process only.",
    )


def with_large_log(path: Path, size: int) -> Finding | None:
    """A log that cannot shrink."""
    if size <= LARGE_LOG:
        return None
    return Finding(
        Severity.DELAYS,
        "sqlite-log",
        f"The write-ahead log of {path} has {size / 1e6:,.0f} MB, which slows every change: a program that "
        "reads the file and does not let go keeps it from shrinking, or no worker runs.",
        f"Run a worker, and end what has the file open: fuser {path}",
    )


def without_log(path: Path, journal: str) -> Finding | None:
    """A file that somebody took out of WAL mode."""
    if journal == "wal":
        return None
    return Finding(
        Severity.DELAYS,
        "sqlite-journal",
        f"Another program set the journal mode of {path} to {journal}: readers and writers wait for each other.",
        f'Stop the workers and run: sqlite3 {path} "PRAGMA journal_mode=WAL"',
    )


def without_vacuum(path: Path, vacuum: int) -> Finding | None:
    """A file that never shrinks."""
    if vacuum == 2:  # INCREMENTAL
        return None
    return Finding(
        Severity.NOTE,
        "sqlite-vacuum",
        f"Another program made {path} such that it does not shrink when jobs are deleted.",
        f'Stop the workers and run: sqlite3 {path} "PRAGMA auto_vacuum=INCREMENTAL; VACUUM"',
    )
