"""What the SQLite engine says of its file, each thing made real; where a fix is a command, it is carried out."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flask_queues.storage import SQLiteStorage
from flask_queues.storage.sqlite import findings
from flask_queues.storage.sqlite.database import Database, file_system_of
from flask_queues.storage.values import Finding, Severity
from flask_queues.testing.storage.contract import fill

#: What depends on the machine that the tests run on.
MACHINE = {"sqlite-memory-disk", "sqlite-container", "sqlite-disk-full", "sqlite-version"}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    """A file with a job."""
    storage = SQLiteStorage(Database(tmp_path / "queues.sqlite3"))
    fill(storage, "a")
    yield storage
    storage.close()


def by_code(storage: SQLiteStorage) -> dict[str, Finding]:
    """What it says, by code."""
    return {finding.code: finding for finding in storage.examine()}


def mended(storage: SQLiteStorage, finding: Finding) -> bool:
    """Run the SQL of a fix, as the command line of SQLite would, and tell whether the finding is gone."""
    command = re.fullmatch(r'Stop the workers and run: sqlite3 (\S+) "(.+)"', finding.fix)
    assert command is not None
    storage.close()
    with closing(sqlite3.connect(command[1], isolation_level=None)) as connection:
        for statement in command[2].split(";"):
            connection.execute(statement).fetchall()
    return finding.code not in by_code(storage)


def test_a_file_in_order_gives_its_promise_alone(storage: SQLiteStorage) -> None:
    """Nothing is named where nothing is wrong."""
    assert by_code(storage).keys() - MACHINE == {"sqlite-promise"}
    assert by_code(storage)["sqlite-promise"].severity is Severity.NOTE


def test_a_folder_in_memory() -> None:
    """A file on a memory disk is gone with the next restart."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or file_system_of(shared) != "tmpfs":
        pytest.skip("there is no memory disk here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        storage = SQLiteStorage(Database(Path(folder) / "queues.sqlite3"))
        finding = by_code(storage)["sqlite-memory-disk"]
        storage.close()
    assert finding.severity is Severity.LOSES
    assert folder in finding.problem
    assert "QUEUES_CACHE_DIR" in finding.fix


def test_a_folder_in_a_container(storage: SQLiteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in a container's own layer is gone with the container."""
    device = tmp_path.stat().st_dev
    line = f"1 0 {os.major(device)}:{os.minor(device)} / / rw,relatime - overlay overlay rw,lowerdir=/l\n"
    read_text = Path.read_text

    def fake(self: Path, *arguments: Any, **options: Any) -> str:
        return line if self == Path("/proc/self/mountinfo") else read_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", fake)
    finding = by_code(storage)["sqlite-container"]
    assert finding.severity is Severity.LOSES
    assert "volume" in finding.fix


def test_a_folder_in_the_virtual_environment(
    storage: SQLiteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is the instance folder of an application that was installed; beside the environment nothing is wrong."""
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert "sqlite-environment" not in by_code(storage)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    finding = by_code(storage)["sqlite-environment"]
    assert finding.severity is Severity.LOSES
    assert "QUEUES_CACHE_DIR" in finding.fix
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert "sqlite-environment" not in by_code(storage)


def test_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    """A disk with less than 100 MB left is named before it refuses a push."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        storage = SQLiteStorage(Database(disk / "queues.sqlite3"))
        finding = by_code(storage)["sqlite-disk-full"]
        storage.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert finding.severity is Severity.LOSES
    assert re.search(r"Only [234] MB are free", finding.problem)


def test_a_file_that_everybody_may_write(storage: SQLiteStorage, tmp_path: Path) -> None:
    """Whoever may write the file may delete jobs, or add one."""
    path = tmp_path / "queues.sqlite3"
    path.chmod(0o666)
    finding = by_code(storage)["sqlite-writable"]
    assert finding.severity is Severity.LOSES
    assert finding.fix.endswith(f"chmod o-w {path}")
    path.chmod(0o664)
    assert "sqlite-writable" not in by_code(storage)


def test_a_log_that_a_reader_keeps_from_shrinking(storage: SQLiteStorage, tmp_path: Path) -> None:
    """A reader that never lets go lets the log grow, which slows every change."""
    storage.maintained = True
    with closing(sqlite3.connect(tmp_path / "queues.sqlite3", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM jobs").fetchone()
        for n in range(12):
            fill(storage, *(f"{n} {m}" for m in range(6)), payload=json.dumps("x" * 1_000_000))
            storage.maintain()
        finding = by_code(storage)["sqlite-log"]
    assert finding.severity is Severity.DELAYS
    assert str(tmp_path / "queues.sqlite3") in finding.fix


def test_a_file_that_was_taken_out_of_wal(storage: SQLiteStorage, tmp_path: Path) -> None:
    """Another journal mode makes readers wait for writers; the command that is given puts it right."""
    storage.close()
    with closing(sqlite3.connect(tmp_path / "queues.sqlite3")) as connection:
        assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    finding = by_code(storage)["sqlite-journal"]
    assert finding.severity is Severity.DELAYS
    assert "delete" in finding.problem
    assert mended(storage, finding)
    assert storage.get("a") is not None


def test_a_file_that_does_not_shrink(storage: SQLiteStorage, tmp_path: Path) -> None:
    """A file that another program vacuumed its own way stays as large as it ever was; the command given mends it."""
    storage.close()
    with closing(sqlite3.connect(tmp_path / "queues.sqlite3", isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum=NONE")
        connection.execute("VACUUM")
    finding = by_code(storage)["sqlite-vacuum"]
    assert finding.severity is Severity.NOTE
    assert mended(storage, finding)
    assert storage.get("a") is not None


@pytest.mark.parametrize(
    ("version", "flock", "named"),
    [
        ((3, 40, 1), False, True),
        ((3, 50, 6), False, True),
        ((3, 51, 2), False, True),
        ((3, 44, 6), False, False),
        ((3, 50, 7), False, False),
        ((3, 51, 3), False, False),
        ((3, 53, 0), False, False),
        ((3, 40, 1), True, False),
    ],
)
def test_a_sqlite_that_may_damage_a_file(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], flock: bool, named: bool
) -> None:
    """Only where there are no locks that keep a checkpoint from meeting a commit, and SQLite is not mended."""
    monkeypatch.setattr(findings, "HAS_FLOCK", flock)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert ("sqlite-version" in by_code(storage)) is named
