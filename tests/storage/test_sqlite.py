"""What only SQLite can get wrong: forks, gates, plans, disks, copies, what lies in the way of the file."""

from __future__ import annotations

import ast
import errno
import functools
import itertools
import json
import os
import pickle
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

import flask_queues.storage
from flask_queues import Queues, QueuesError, SQLiteCache
from flask_queues.backend import build_backend
from flask_queues.errors import ConfigError, StorageFormatError, StorageFull, StorageUnavailable
from flask_queues.record import ChildRecord, Outcome, Status
from flask_queues.storage import SQLiteStorage, Storage
from flask_queues.storage import sqlite as sqlite_package
from flask_queues.storage.limits import CONCURRENCY, RATE, Limit
from flask_queues.storage.sqlite import database as database_module
from flask_queues.storage.sqlite import engine as engine_module
from flask_queues.storage.sqlite import gates, gathering, listing, moving, rewriting, steps
from flask_queues.storage.sqlite import line as next_line
from flask_queues.storage.sqlite.database import APPLICATION_ID, FORMAT, Database
from flask_queues.storage.values import Gather, Occurrence, Query, Schedule, Settlement, Wanted
from flask_queues.testing.storage.contract import (
    LONG,
    a_worker,
    complete,
    counted,
    everything,
    fill,
    ids,
    new,
    push_slices,
    take,
    take_one,
)
from flask_queues.testing.storage.processes import eventually, python, running, together

from .engines import SQLiteEngine

#: Begins a program for `python`: `storage` stands on the file that its first argument names.
#: Plans over running jobs, held ones, counts or schedules go over few rows.
SMALL = r"jobs_running|jobs_held|jobs_at_gates|SCAN counts|schedules"
OPEN = """
import os, sys, threading, time
from pathlib import Path
from flask_queues.storage import SQLiteStorage
from flask_queues.storage.values import NewJob, Query, Wanted
from flask_queues.storage.sqlite.database import Database
path = Path(sys.argv[1])
storage = SQLiteStorage(Database(path))
def push(*ids):
    storage.push([NewJob(id, "q", "t", "{}") for id in ids])
def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0, "a child failed"
"""


@pytest.fixture
def engine(tmp_path: Path) -> SQLiteEngine:
    """A file that is not there yet."""
    return SQLiteEngine(tmp_path)


@pytest.fixture
def path(engine: SQLiteEngine) -> Path:
    """The file."""
    return engine.path


def opened(path: Path) -> SQLiteStorage:
    """Open a file."""
    return SQLiteStorage(Database(path))


def stored(path: Path) -> int:
    """How many jobs a new process finds, in a file that is whole."""
    told = python(f"{OPEN}print(storage.counts().statuses['pending'])", path)
    assert python(
        "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check'))", path
    ) == ("('ok',)\n")
    return int(told)


class TestForks:
    """SQLite's locks do not pass a fork; its in-process table of them does."""

    @pytest.mark.parametrize("first", ["parent", "child"])
    @pytest.mark.parametrize("again", [False, True], ids=["the same object", "another object"])
    def test_a_fork_with_an_open_file_loses_nothing(self, path: Path, first: str, again: bool) -> None:
        """Parent and child go on with the file, whoever closes first: every acknowledged job is there."""
        python(
            f"""{OPEN}
push(*[f"before {{n}}" for n in range(100)])
to_child, to_parent = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    if {again}:
        storage = SQLiteStorage(Database(path))
    push("child 1")
    os.write(to_parent[1], b"x")
    if {first == "parent"}:
        os.read(to_child[0], 1)
    push("child 2")
    storage.close()
    os._exit(0)
os.read(to_parent[0], 1)
if {first == "child"}:
    wait(pid)
push("parent")
storage.close()
os.write(to_child[1], b"x")
if {first == "parent"}:
    wait(pid)
""",
            path,
        )
        assert stored(path) == 103

    def test_a_thread_may_fork_while_another_pushes(self, path: Path) -> None:
        """The fork waits for the transaction; the child opens the file anew."""
        python(
            f"""{OPEN}
stop = threading.Event()
pushed = 0
def work():
    global pushed
    while not stop.is_set():
        push(f"thread {{pushed}}")
        pushed += 1
thread = threading.Thread(target=work)
thread.start()
for n in range(30):
    pid = os.fork()
    if pid == 0:
        push(f"child {{n}}")
        os._exit(0)
    wait(pid)
stop.set()
thread.join()
storage.close()
Path(sys.argv[2]).write_text(str(pushed + 30))
""",
            path,
            path.with_name("pushed"),
        )
        assert stored(path) == int(path.with_name("pushed").read_text())

    def test_two_threads_may_fork_at_the_same_moment(self, path: Path) -> None:
        """Each lets go of what it held itself, so that nobody waits for ever afterwards."""
        told = python(
            f"""{OPEN}
sys.setswitchinterval(1e-6)
others = [SQLiteStorage(Database(path.with_name(f"other {{n}}"))) for n in range(3)]
failures = []
sys.unraisablehook = lambda failure: failures.append(failure.exc_value)
def work(name):
    for n in range(150):
        pid = os.fork()
        if pid == 0:
            os._exit(bool(failures))
        wait(pid)
        others[n % 3].queues()
        if n % 10 == 0:
            push(f"{{name}} {{n}}")
threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in "abc"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
print(failures, [thread.is_alive() for thread in threads], flush=True)
os._exit(0)
""",
            path,
        )
        assert told == "[] [False, False, False]\n"
        assert stored(path) == 45

    def test_no_open_file_crosses_a_fork(self, path: Path) -> None:
        """A child begins without the database, its log, its shared memory and the gate."""
        told = python(
            f"""{OPEN}
def ours():
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{{fd}}"))
        except OSError:
            pass
    return sorted(Path(link).name for link in links if link.startswith(str(path)))
push("a")
print(ours(), flush=True)
pid = os.fork()
if pid == 0:
    print(ours(), flush=True)
    os._exit(0)
wait(pid)
""",
            path,
        )
        name = path.name
        assert told.splitlines() == [str([name, f"{name}-shm", f"{name}-wal", f"{name}.lock"]), "[]"]


def push_for(engine: SQLiteEngine, name: str, seconds: float) -> int:
    """Push one by one for so long; returns how many."""
    storage = engine.open()
    until = time.monotonic() + seconds
    n = 0
    while time.monotonic() < until:
        storage.push([new(f"{name} {n}")])
        n += 1
    storage.close()
    return n


class TestWriters:
    """Several processes write, in turn."""

    def test_no_writer_starves(self, engine: SQLiteEngine, path: Path) -> None:
        """Of several writers at the same time, none is left with next to nothing."""
        engine.open().counts()
        pushed = together(push_for, *[(engine, f"w{n}", 2.0) for n in range(3)])
        assert min(pushed) > max(pushed) / 20, pushed
        assert stored(path) == sum(pushed)

    def test_the_file_is_made_by_ten_processes_at_once(self, path: Path) -> None:
        """Whoever comes first makes it, the others find it whole."""
        python(
            f"""{OPEN}
for attempt in range(6):
    gate = os.pipe()
    pids = []
    for n in range(10):
        pid = os.fork()
        if pid == 0:
            os.close(gate[1])
            os.read(gate[0], 1)
            storage = SQLiteStorage(Database(path.parent / f"folder {{attempt}}" / "deep" / path.name))
            push(f"{{n}}")
            os._exit(0)
        pids.append(pid)
    os.close(gate[0])
    os.close(gate[1])
    for pid in pids:
        wait(pid)
""",
            path,
        )
        for attempt in range(6):
            assert stored(path.parent / f"folder {attempt}" / "deep" / path.name) == 10

    def test_the_gate_is_free_once_its_holder_was_killed(self, engine: SQLiteEngine, path: Path) -> None:
        """The kernel lets go of what a dead process held: the next write waits for nobody."""
        with running(hold_the_gate, engine) as holder:
            assert holder.hear() == "holding"
            storage = engine.open()
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
            holder.kill()
            assert storage.push([new("a")]) == [True]
            storage.close()

    def test_a_holder_that_hangs_is_named_and_waited_for_in_vain(
        self, engine: SQLiteEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write gives up in a sentence, as often as it is tried; the gate is free for all once the holder is gone."""
        monkeypatch.setattr("flask_queues.storage.sqlite.gate.PATIENCE", 0.2)
        with running(hold_the_gate, engine) as holder:
            assert holder.hear() == "holding"
            os.kill(holder.pid, signal.SIGSTOP)
            first, second = engine.open(), engine.open()
            for storage in (first, first, second):
                with pytest.raises(
                    StorageUnavailable, match=rf"for 0.2 s by process {holder.pid}, .*kill {holder.pid}"
                ):
                    storage.push([new("a")])
            holder.kill()
            monkeypatch.setattr("flask_queues.storage.sqlite.gate.PATIENCE", 60)
            for storage in (second, first, second):
                storage.push([new("a")])
            assert ids(everything(first)) == ["a", "before"]
            first.close()
            second.close()

    def test_reading_goes_on_while_somebody_writes(self, engine: SQLiteEngine, path: Path) -> None:
        """No read waits for a transaction that is open elsewhere, nor sees anything of it."""
        storage = engine.open()
        fill(storage, "a")
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM jobs")
            assert ids(everything(storage)) == ["a"]
            assert storage.counts().statuses["pending"] == 1
            assert storage.pending(["q"], ["t"])
            assert storage.stalled() == []
            assert storage.workers() == []
            writer.execute("ROLLBACK")
        storage.close()

    def test_a_thread_is_busy_while_it_is_inside_a_call(self, engine: SQLiteEngine) -> None:
        """And only that thread: a signal that comes then is not to be turned into an exception."""
        storage = engine.open()
        told: dict[str, bool] = {}

        class Jobs(list[Any]):
            def __iter__(self) -> Iterator[Any]:
                told["inside"] = storage.busy
                thread = threading.Thread(target=lambda: told.update(elsewhere=storage.busy))
                thread.start()
                thread.join()
                return super().__iter__()

        storage.push(Jobs([new("a")]))
        assert told == {"inside": True, "elsewhere": False}
        assert storage.busy is False
        storage.close()


def hold_the_gate(pipe: Any, engine: SQLiteEngine) -> None:
    """Stay inside a write for ever."""
    database = Database(engine.path)
    SQLiteStorage(database).push([new("before")])
    with database.write():
        pipe.send("holding")
        pipe.recv()


class Recorder(sqlite3.Connection):
    """A connection that notes every statement, and how durable each commit was."""

    statements: dict[str, Any]
    commits: list[int]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Note it and run it."""
        if sql == "COMMIT":
            self.commits.append(super().execute("PRAGMA synchronous").fetchone()[0])
        self.statements.setdefault(sql, parameters)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """Note it with its first parameters and run it."""
        rows = list(parameters)
        if rows:
            self.statements.setdefault(sql, rows[0])
        return super().executemany(sql, rows)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    """What every connection of this test notes."""
    fresh = type("Fresh", (Recorder,), {"statements": {}, "commits": []})
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=fresh))
    return fresh


def do_everything(storage: Storage, clock: Any) -> None:
    """Call every method of the storage, in the ways that take different statements."""
    fill(storage, *[f"{n}" for n in range(30)], tags=("x", "y"), priority=1)
    fill(storage, "strange", type="strange", priority=2)
    storage.push([new(f"due {n}", delay=5) for n in range(120)])
    storage.push([new("bound")], {"q": 1000})
    storage.push([new(f"gathered {n}", delay=LONG, gather=Gather("g", 2)) for n in range(2)])
    storage.change_payload("strange", '{"n":1}', "{}")
    limits = [Limit(RATE, "r", 1, LONG), Limit(CONCURRENCY, "c", 1)]
    fill(storage, "limited 1", "limited 2", queue="limited", limits=limits)
    first = take_one(storage, "limited", worker="v")
    assert take(storage, "limited") == []
    wanted = Wanted(["limited"], ["t"], LONG, 2, only=True, along_with=(first.id, first.token))
    assert len(storage.step("v", [], wanted).claims) == 1
    complete(storage, first)
    clock.advance(10)
    storage.heartbeat(a_worker("boss", "w"), LONG)
    for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.SCHEDULED, Status.PENDING):
        claim = take_one(storage)
        storage.cancel(claim.id, "why") if status is Status.CANCELLED else None
        claims = storage.claims_of("w")
        storage.note(claim.id, claim.token, logs=[])
        settled = Settlement(claim.id, claim.token, status, Outcome.FAILED, progress=(1.0, ""))  # type: ignore[arg-type]
        assert storage.step("w", [settled]).lost == []
        assert len(claims) == 1
    take(storage, limit=3, short=["t"])
    for job in storage.page(Query(statuses=[Status.RUNNING])).jobs[:1]:
        (claim,) = (one for one in storage.claims_of("w") if one.id == job.id)
        from flask_queues.record import Progress
        from flask_queues.testing.storage.contract import line

        storage.note(job.id, claim.token, Progress(1), [line("x")])
        storage.keep(job.id, claim.token, "x")
        assert storage.rewrite(job.id, lambda text: text.replace("x", "y").replace("{}", '{"n":1}'))
        assert storage.kept(job.id) == "y"
        storage.change_options(job.id, lambda _: '{"tries":4}')
        assert storage.step("w", [Settlement(job.id, claim.token, Status.FAILED)]).outdated
        storage.cancel(job.id, "why")
        storage.logs(job.id)
        storage.get(job.id)
    storage.release_held(["strange"])
    for status in (Status.FAILED, Status.PENDING, Status.CANCELLED):
        for job in storage.page(Query(statuses=[status], limit=2)).jobs:
            storage.cancel(job.id, "why")
            storage.retry(job.id)
            storage.hurry(job.id)
            storage.claim("w", job.id, LONG)
    storage.stalled()
    storage.workers()
    storage.forget_worker("boss")
    storage.watcher().changed()
    storage.pending(["q", "nowhere"], ["t"])
    storage.next_due()
    storage.counts()
    storage.queues()
    for queue, type_, tag, oldest in itertools.product((None, "q"), (None, "t"), (None, "x"), (False, True)):
        everything(storage, queue=queue, type=type_, tag=tag, oldest=oldest)
    fill(storage, "limited 3", "limited 4", queue="limited", limits=limits)
    take(storage, "limited")
    everything(storage, 1, line=["q", "limited"])
    storage.places("q", ["5", "none"])
    fill(storage, "counted")
    assert storage.places("q", ["counted"])
    storage.maintain()
    storage.delete("5")
    storage.purge([Status.COMPLETED])
    storage.purge([Status.PENDING], queue="q")
    storage.put_schedule(Schedule("s", "q", "{}"), [], [Occurrence(1, 0, "fired")])
    fill(storage, "leaves", tags=("x",))
    load = storage.hand_out("elsewhere")
    assert load is not None
    storage.take_in(storage.identity(), load)
    storage.let_go(load.number)


class TestStatements:
    """What each statement costs."""

    def test_no_statement_scans_the_jobs_or_sorts_them(
        self, engine: SQLiteEngine, recorder: type[Recorder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each walks along the index of its filter; only the few running or held jobs may be gone over."""
        monkeypatch.setattr(database_module, "boot_id", lambda: "this boot")
        storage = engine.open()
        with engine.clock() as clock:
            do_everything(storage, clock)
        storage.close()

        constants = {
            value
            for module in (engine_module, steps, gathering, next_line, listing, moving, rewriting)
            for value in vars(module).values()
            if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", value)
        }
        assert len(constants) > 10
        constants |= {gates.IN_LINE, gates.AT_GATE}
        assert constants <= set(recorder.statements), "a statement of the engine was not run"
        statements = {
            sql: parameters
            for sql, parameters in recorder.statements.items()
            if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", sql) and "sqlite_master" not in sql
        }
        with closing(sqlite3.connect(engine.path)) as connection:
            for sql, parameters in statements.items():
                plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
                small = any(re.search(SMALL, step) for step in plan)
                for column in re.findall(r"\b(id|queue|type|tag|worker|held|job|gather)=\?", sql.partition("WHERE")[2]):
                    found = any(f"{column}=?" in step or "INTEGER PRIMARY KEY (rowid=?)" in step for step in plan)
                    assert small or found, (sql, plan)
                first = sql.endswith("LIMIT 1") and plan == ["SCAN jobs USING INDEX jobs_due"]
                for step in plan:
                    assert small or first or not re.match(r"SCAN (jobs|logs|tags)\b", step), (sql, plan)
                    assert small or "TEMP B-TREE" not in step, (sql, plan)

    def test_what_people_and_pushers_were_told_is_on_the_disk(
        self, engine: SQLiteEngine, recorder: type[Recorder]
    ) -> None:
        """A push, an operator's change and the keeper's heartbeat are synced; claims and notes are not."""
        full, normal = 2, 1
        storage = engine.open()
        storage.counts()

        def commits_of(call: Callable[[], Any]) -> list[int]:
            recorder.commits.clear()
            call()
            return list(recorder.commits)

        for _ in range(2):
            fill(storage, "once")
            assert commits_of(lambda: fill(storage, "a", "b", "c")) == [full]
            assert commits_of(lambda: take(storage)) == [normal]
            assert commits_of(lambda: storage.note("a", 1)) == [normal]
            assert commits_of(lambda: storage.heartbeat(a_worker("w"), LONG)) == [full]
            assert commits_of(lambda: storage.step("w", (), Wanted(["q"], ["t"], LONG))) == [normal]
            assert commits_of(lambda: storage.cancel("b", "why")) == [full]
            assert commits_of(lambda: storage.retry("b")) == [full]
            assert commits_of(lambda: storage.delete("b")) == [full]
        storage.close()


class TestClocks:
    """Leases go by a clock that never jumps, due times by the time of day."""

    def test_a_step_of_the_time_of_day_ends_no_lease(
        self, engine: SQLiteEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An hour forward or back, and the claim is as good as before."""
        storage = engine.open()
        fill(storage, "a")
        take(storage, lease=60_000)
        now = engine_module.wall()
        for hours in (1, -1, 48):
            monkeypatch.setattr(engine_module, "wall", lambda hours=hours: now + hours * 3_600_000)
            assert storage.stalled() == []
        storage.close()

    def test_a_lease_of_another_boot_has_run_out(self, engine: SQLiteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a restart of the machine its monotonic clock means nothing: what ran then is stalled."""
        storage = engine.open()
        fill(storage, "a", "b")
        take(storage, lease=600_000)
        storage.close()
        monkeypatch.setattr(database_module, "boot_id", lambda: "the next boot")
        assert ids(storage.stalled()) == ["a"]
        take(storage, lease=600_000)
        storage.close()
        assert ids(storage.stalled()) == ["a"]
        storage.close()

    def test_a_lease_that_no_clock_of_ours_made_has_run_out(
        self, engine: SQLiteEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that would last longer than any lease may is of a clock that was ahead."""
        storage = engine.open()
        fill(storage, "a")
        now = engine_module.steady()
        monkeypatch.setattr(engine_module, "steady", lambda: now + 1_000_000_000)
        take(storage, lease=600_000)
        assert storage.stalled() == []
        monkeypatch.setattr(engine_module, "steady", lambda: now)
        assert ids(storage.stalled()) == ["a"]
        storage.close()


def refused(path: Path, error: type[QueuesError], *words: str) -> None:
    """Neither a push nor a read works on this file; each says which file and what to do."""
    for call in (lambda one: one.push([new("a")]), lambda one: one.counts(), lambda one: one.step("w")):
        storage = opened(path)
        with pytest.raises(error) as raised:
            call(storage)
        message = str(raised.value)
        assert str(path) in message or str(path.parent) in message
        for word in words:
            assert word in message
        assert message.endswith(".")
        storage.close()


class TestRefusals:
    """What lies in the way of the file: an error of ours that says what to do, and nothing changed."""

    @pytest.mark.parametrize(
        "content", [b"hello\n", b"%PDF-1.7" * 5000, b"\0" * 10_000], ids=["short", "long", "zeros"]
    )
    def test_a_file_that_is_no_database(self, path: Path, content: bytes) -> None:
        """It is left as it is."""
        path.write_bytes(content)
        refused(path, StorageFormatError, "not a SQLite database", "Move it away", "QUEUES_CACHE_DIR")
        assert path.read_bytes() == content

    def test_the_database_of_another_program(self, path: Path) -> None:
        """It is left as it is."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE bookmarks (url TEXT)")
        content = path.read_bytes()
        refused(path, StorageFormatError, "something else", "QUEUES_CACHE_DIR")
        assert path.read_bytes() == content

    def test_a_file_of_a_newer_version(self, path: Path) -> None:
        """It is never claimed from by older code."""
        storage = opened(path)
        fill(storage, "a")
        storage.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version={FORMAT + 1}")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = path.read_bytes()
        refused(path, StorageFormatError, f"format {FORMAT + 1}", f"reads up to {FORMAT}", "Install the newer version")
        assert path.read_bytes() == content

    def test_a_file_of_the_version_before_is_brought_up_to_date(self, path: Path) -> None:
        """Its jobs stay, and it does what this version can."""
        script = resources.files(sqlite_package).joinpath("schema.sql").read_text("utf-8")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"{script};PRAGMA user_version=1;PRAGMA application_id={APPLICATION_ID};")
            connection.execute(
                "INSERT INTO jobs (id, queue, type, status, stamp, priority, due, created, payload) "
                "VALUES ('old', 'q', 't', 0, 1, 0, 1, 1, '{}')"
            )
            connection.commit()
        storage = opened(path)
        assert take_one(storage).id == "old"
        assert storage.put_schedule(Schedule("s", "q", "{}")) > 0
        assert storage.schedules()[0].name == "s"

    def test_a_damaged_file(self, path: Path) -> None:
        """It is told as damaged, with the way out."""
        storage = opened(path)
        fill(storage, *[f"{n}" for n in range(500)])
        storage.close()
        content = bytearray(path.read_bytes())
        content[4096 : len(content)] = b"\x55" * (len(content) - 4096)
        path.write_bytes(content)
        refused(path, StorageFormatError, "damaged", "Restore a copy")

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        """The reason of the system is in the message."""
        (tmp_path / "file").write_text("not a folder")
        refused(
            tmp_path / "file" / "folder" / "queues.sqlite3",
            StorageUnavailable,
            "cannot be made",
            "QUEUES_CACHE_DIR",
        )

    def test_a_folder_in_place_of_the_file(self, path: Path) -> None:
        """It cannot be opened."""
        path.mkdir()
        refused(path, StorageUnavailable, "cannot be opened", "QUEUES_CACHE_DIR")

    def test_a_network_file_system(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """WAL needs memory that processes share, which no network file system has."""
        device = path.parent.stat().st_dev
        numbers = f"{os.major(device)}:{os.minor(device)}"
        read_text = Path.read_text

        def fake(self: Path, *arguments: Any, **options: Any) -> str:
            if self == Path("/proc/self/mountinfo"):
                return (
                    "22 1 0:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
                    f"36 35 {numbers} / /mnt/share rw,noatime shared:1 - nfs4 server:/share rw,vers=4.2\n"
                )
            return read_text(self, *arguments, **options)

        monkeypatch.setattr(Path, "read_text", fake)
        refused(path, StorageUnavailable, "network file system (nfs4)", "local folder", "Redis")
        assert list(path.parent.iterdir()) == []

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
    def test_a_file_system_without_locks(self, path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        """Without a lock no writer may go on."""

        def no_locks(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("fcntl.flock", no_locks)
        refused(path, StorageUnavailable, "cannot be locked", os.strerror(number), "QUEUES_CACHE_DIR")
        assert not path.exists()

    def test_a_file_of_another_user(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whose it is, and that one user is to run all: a worker was once started as root."""

        def no_rights(*_: Any) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        storage = opened(path)
        storage.push([new("a")])
        storage.close()
        monkeypatch.setattr("fcntl.flock", no_rights)
        stranger = path.stat().st_uid + 1
        monkeypatch.setattr("os.geteuid", lambda: stranger)
        refused(path, StorageUnavailable, f"It belongs to {path.owner()}: run", "as one user. Set QUEUES_CACHE_DIR")

    def test_a_program_that_never_lets_go(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A foreign transaction that lasts is told as such, and the next call works again."""
        monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.2)
        storage = opened(path)
        fill(storage, "a")
        storage.close()
        with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
            foreign.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailable, match="locked by another program"):
                fill(storage, "b")
            foreign.execute("ROLLBACK")
        fill(storage, "b")
        assert sorted(ids(everything(storage))) == ["a", "b"]
        storage.close()

    @pytest.mark.parametrize("what", ["file", "folder", "empty folder", "hidden folder"])
    def test_what_this_user_may_not_write(self, what: str) -> None:
        """Another user's file or folder: a sentence, nothing changed, and reading the file is refused too."""
        place = Path(tempfile.mkdtemp(prefix="queues-"))
        try:
            folder = place / "folder"
            folder.mkdir()
            path = folder / "queues.sqlite3"
            if what != "empty folder":
                storage = opened(path)
                fill(storage, "a")
                storage.close()
                path.chmod(0o444)
            place.chmod(0o755)
            folder.chmod({"file": 0o777, "hidden folder": 0o000}.get(what, 0o555))
            lock = path.with_name(path.name + ".lock")
            if what == "file":
                lock.chmod(0o666)
            before = path.read_bytes() if path.exists() and os.getuid() == 0 else None
            told = python(
                f"""{OPEN}
from flask_queues.errors import StorageUnavailable
from flask_queues.storage.sqlite.database import boot_id
boot_id()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    push("b")
except StorageUnavailable as error:
    print(error)
""",
                path,
            )
            assert str(path) in told
            assert "QUEUES_CACHE_DIR" in told
            folder.chmod(0o755)
            if what == "empty folder":
                assert list(folder.iterdir()) == []
            else:
                assert before in (None, path.read_bytes())
                path.chmod(0o644)
                assert stored(path) == 1
        finally:
            shutil.rmtree(place)


class TestRoom:
    """The file and its log stay as small as they can, and say so where there is no room."""

    def test_a_full_disk_refuses_a_push_and_changes_nothing(self, path: Path) -> None:
        """What was there is there, counted right; with room again, the same push works."""
        database = Database(path)
        storage = SQLiteStorage(database)
        fill(storage, "a", payload=json.dumps("x" * 1000), tags=("x",))
        with database.read() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages + 5}")
        before = storage.get("a")
        jobs = [new(f"{n}", payload=json.dumps("y" * 2000), tags=("x", "y")) for n in range(200)]
        with pytest.raises(StorageFull, match="No room left") as raised:
            storage.push(jobs)
        assert str(path) in str(raised.value)
        assert "Free some space" in str(raised.value)
        assert ids(everything(storage)) == ids(everything(storage, tag="x")) == ["a"]
        assert everything(storage, tag="y") == []
        assert storage.get("a") == before
        assert storage.counts().cells == counted(storage)
        claim = take_one(storage)
        assert complete(storage, claim).lost == []
        with database.read() as connection:
            connection.execute("PRAGMA max_page_count=1000000")
        assert storage.push(jobs) == [True] * 200
        storage.close()

    def test_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        """On a file system of a megabyte: pushes until it is full, then the error; nothing is lost."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        try:
            storage = opened(disk / "queues.sqlite3")
            pushed = 0

            def push_on() -> None:
                nonlocal pushed
                for n in range(10_000):
                    storage.push([new(f"{n}", payload=json.dumps("x" * 500))])
                    pushed += 1

            with pytest.raises(StorageFull, match="No room left"):
                push_on()
            assert pushed > 10
            storage.close()
            assert len(everything(storage)) == pushed
            storage.close()
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)

    def test_deleted_jobs_give_their_room_back(self, path: Path) -> None:
        """The file shrinks in small slices, by the keeper's housekeeping alone."""
        storage = opened(path)
        for n in range(10):
            storage.push([new(f"{n} {m}", payload=json.dumps("x" * 2000)) for m in range(500)])
        storage.maintain()
        full = path.stat().st_size
        while storage.purge([Status.PENDING]):
            pass
        for _ in range(100):
            storage.maintain()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert path.stat().st_size < full / 3
        storage.close()

    def test_the_log_stays_bounded_under_load(
        self, engine: SQLiteEngine, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a keeper that maintains the file, its log does not grow with what is written."""
        monkeypatch.setattr(engine_module, "WAL_LIMIT", 1_000_000)
        keeper = engine.open()
        keeper.maintained = True
        log = path.with_name(path.name + "-wal")
        with running(push_big_slices, engine) as pusher:
            written = largest = 0
            while written < 40_000_000:
                written += pusher.hear()
                keeper.maintain()
                largest = max(largest, log.stat().st_size)
        assert largest < 15_000_000
        keeper.close()

    @pytest.mark.parametrize("limit", [0, 2**40], ids=["from the beginning", "going on"])
    def test_no_checkpoint_meets_a_writer(self, path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        """It is behind the gate: a writer that begins the log anew at its start could damage the file in SQLite."""
        fcntl = pytest.importorskip("fcntl")
        monkeypatch.setattr(engine_module, "WAL_LIMIT", limit)
        database = Database(path)
        storage = SQLiteStorage(database)
        fill(storage, "a")
        shut: list[bool] = []

        def probe(sql: str) -> None:
            if "wal_checkpoint" not in sql:
                return
            with database.path.with_name(path.name + ".lock").open() as gate:
                try:
                    fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    shut.append(True)
                else:
                    shut.append(False)

        with database.read() as connection:
            connection.set_trace_callback(probe)
        storage.maintain()
        assert shut == [True]
        storage.close()

    def test_a_reader_that_stays_does_not_stall_the_workers(
        self, engine: SQLiteEngine, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Housekeeping leaves off where somebody reads an old moment; it does not wait with the gate shut."""
        monkeypatch.setattr(engine_module, "WAL_LIMIT", 0)
        monkeypatch.setattr(database_module, "BUSY_SECONDS", 600)
        keeper, worker = engine.open(), engine.open()
        keeper.maintained = worker.maintained = True
        fill(worker, "a")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
            fill(worker, "b")
            begun = time.monotonic()
            thread = threading.Thread(target=keeper.maintain)
            thread.start()
            for n in range(20):
                fill(worker, f"{n}")
            assert take(worker)
            thread.join()
            assert time.monotonic() - begun < 60
        keeper.close()
        worker.close()


def push_big_slices(pipe: Any, engine: SQLiteEngine) -> None:
    """Push for ever as a process of a worker, telling how many bytes of payload each time."""
    storage = engine.open()
    storage.maintained = True
    payload = json.dumps("x" * 4000)
    for n in itertools.count():
        storage.push([new(f"{n} {m}", payload=payload) for m in range(50)])
        pipe.send(50 * len(payload))


class TestCopies:
    """The file may be read and copied while workers run."""

    def test_a_backup_while_writers_run_is_whole(self, engine: SQLiteEngine, path: Path, tmp_path: Path) -> None:
        """SQLite's own backup holds everything acknowledged before it began, and no push in part."""
        with running(push_slices, engine, 20) as pusher:
            for attempt in range(3):
                acknowledged = [pusher.hear() for _ in range(10)][-1]
                copy = tmp_path / f"copy {attempt}"
                with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
                    source.backup(target)
                    assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                jobs = stored(copy)
                assert jobs % 20 == 0
                assert jobs >= (acknowledged + 1) * 20

    def test_a_plain_copy_between_two_checkpoints_is_whole(
        self, engine: SQLiteEngine, path: Path, tmp_path: Path
    ) -> None:
        """The file first, then its log, copied while writers run and the keeper does not checkpoint."""
        with running(push_as_a_child, engine) as pusher:
            for attempt in range(3):
                acknowledged = [pusher.hear() for _ in range(10)][-1]
                copy = tmp_path / f"copy {attempt}"
                subprocess.run(["cp", path, copy], check=True)
                subprocess.run(["cp", f"{path}-wal", f"{copy}-wal"], check=True)
                jobs = stored(copy)
                assert jobs % 20 == 0
                assert jobs >= (acknowledged + 1) * 20


def push_as_a_child(pipe: Any, engine: SQLiteEngine) -> None:
    """Push as a process of a worker, which never checkpoints."""
    storage = engine.open()
    storage.maintained = True
    for n in itertools.count():
        storage.push([new(f"{n}-{m}") for m in range(20)])
        pipe.send(n)


class Bomb:
    """Makes a file where somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class TestNothingIsUnpickled:
    """What is read from the file is text."""

    def test_no_module_of_the_storage_imports_a_way_to_unpickle(self) -> None:
        """Only the cache's own serializer may, to which its users bring their values, and what refuses classes."""
        folder = Path(flask_queues.storage.__file__).parent
        names: dict[str, set[str]] = {}
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names.setdefault(file.name, set()).update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    names.setdefault(file.name, set()).add(node.module or "")
        dangerous = {
            "pickle",
            "marshal",
            "shelve",
            "dill",
            "cloudpickle",
            "yaml",
            "jsonpickle",
            "cachelib.serializers",
        }
        found = {(file, name) for file, imported in names.items() for name in imported & dangerous}
        refusing = {("unpickling.py", "pickle"), ("unpickling.py", "cachelib.serializers")}
        assert found == {("cache.py", "cachelib.serializers")} | refusing

    @pytest.mark.parametrize("column", ["payload", "result", "options", "history", "progress", "error", "tags"])
    def test_a_pickle_in_the_file_is_never_run(self, path: Path, tmp_path: Path, column: str) -> None:
        """Whoever can write the file cannot run code in who reads it."""
        mark = tmp_path / "was run"
        bomb = pickle.dumps(Bomb(mark))
        pickle.loads(bomb)
        assert mark.exists(), "the bomb does not work"
        mark.unlink()
        storage = opened(path)
        fill(storage, "a")
        complete(storage, take_one(storage))
        storage.close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE jobs SET {column}=?", (bomb,))
        for call in (
            lambda: storage.get("a"),
            lambda: storage.page(Query()),
            lambda: storage.claim("w", "a", LONG),
        ):
            with suppress(ValueError, TypeError, AttributeError):
                call()
        assert not mark.exists()
        storage.close()


class TestBesideTheHost:
    """The jobs' cache and the application's own."""

    @pytest.fixture
    def host(self, tmp_path: Path) -> Flask:
        """An application with a page cache of its own."""
        app = Flask("host", instance_path=str(tmp_path / "instance"))
        app.config |= {
            "CACHE_TYPE": "FileSystemCache",
            "CACHE_DIR": str(tmp_path / "pages"),
            "CACHE_DEFAULT_TIMEOUT": 77,
            "CACHE_KEY_PREFIX": "host_",
            "CACHE_THRESHOLD": 3,
        }
        return app

    def test_the_host_s_settings_never_reach_our_cache(self, host: Flask, tmp_path: Path) -> None:
        """The jobs lie in the instance folder, whatever CACHE_* says."""
        Cache(host)
        queues = Queues(host)
        assert queues.manager.storage.describe() == f"SQLite file {tmp_path / 'instance' / 'queues.sqlite3'}"
        backend = build_backend(host, queues.manager.config.cache)
        assert isinstance(backend, SQLiteCache)
        assert backend.default_timeout == 0
        backend.set("key", "value")
        with closing(sqlite3.connect(tmp_path / "instance" / "queues.sqlite3")) as connection:
            ((key, expires),) = connection.execute("SELECT key, expires FROM cache").fetchall()
        assert "host_" not in key
        assert expires is None
        backend.database.close()
        queues.manager.storage.close()

    def test_our_settings_do_reach_it(self, host: Flask, tmp_path: Path) -> None:
        """QUEUES_CACHE_DIR names the folder."""
        host.config["QUEUES_CACHE_DIR"] = str(tmp_path / "jobs")
        queues = Queues(host)
        assert str(tmp_path / "jobs") in queues.manager.storage.describe()
        assert not (tmp_path / "jobs").exists(), "setting up connects to nothing"

    def test_the_host_s_template_cache_stays_the_host_s(self, host: Flask) -> None:
        """{% cache %} in the application's templates goes to its own cache."""
        cache = Cache(host)
        queues = Queues(host)
        queues.manager.storage.counts()
        with host.app_context():
            assert "flask_caching.jinja2ext.CacheExtension" in host.jinja_env.extensions
            assert host.jinja_env._template_fragment_cache is cache  # type: ignore[attr-defined]
            cache.set("page", "text")
            assert cache.get("page") == "text"
        queues.manager.storage.close()

    def test_clearing_a_cache_in_the_same_file_leaves_the_jobs(self, host: Flask, tmp_path: Path) -> None:
        """The application may keep its pages in the file of the jobs and empty them."""
        for prefix in ("host_", ""):
            app = Flask("host", instance_path=host.instance_path)
            app.config |= {"CACHE_TYPE": "flask_queues.SQLiteCache", "CACHE_DIR": str(tmp_path / "instance")}
            app.config["CACHE_KEY_PREFIX"] = prefix
            cache = Cache(app)
            storage = Queues(app).manager.storage
            fill(storage, prefix or "none", tags=("x",))
            with app.app_context():
                cache.set("page", "text")
                cache.clear()
                assert cache.get("page") is None
                cache.cache.database.close()  # type: ignore[attr-defined]
            assert prefix or "none" in ids(everything(storage, tag="x"))
            storage.close()
        assert stored(tmp_path / "instance" / "queues.sqlite3") == 2

    def test_a_cache_of_the_host_can_be_handed_in(self, host: Flask, tmp_path: Path) -> None:
        """The jobs are kept where that cache is."""
        cache = Cache(host, config={"CACHE_TYPE": "flask_queues.SQLiteCache", "CACHE_DIR": str(tmp_path / "given")})
        storage = Queues(host, cache=cache).manager.storage
        assert storage.describe() == f"SQLite file {tmp_path / 'given' / 'queues.sqlite3'}"
        fill(storage, "a")
        storage.close()

    def test_a_cache_that_cannot_keep_jobs_is_refused(self, host: Flask) -> None:
        """The message names it and the way out."""
        queues = Queues(host, cache=Cache(host, config={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}))
        with pytest.raises(ConfigError, match=r"NullCache.*flask_queues\.SQLiteCache"):
            queues.manager.storage.counts()

    def test_a_cache_of_no_application_is_refused(self, host: Flask) -> None:
        """It has to be initialised first."""
        queues = Queues(host, cache=Cache())
        with pytest.raises(ConfigError, match="init_app"):
            queues.manager.storage.counts()


def test_memory_of_a_child_is_kept_with_it(engine: SQLiteEngine) -> None:
    """A child whose memory the system does not tell has none."""
    storage = engine.open()
    worker = a_worker("w")
    storage.heartbeat(
        type(worker)(
            **{name: getattr(worker, name) for name in worker.__slots__}
            | {"children": (ChildRecord(name="c", pid=1, memory=None),)}
        ),
        LONG,
    )
    assert storage.workers()[0].children[0].memory is None
    storage.close()


def test_a_watcher_costs_no_write(engine: SQLiteEngine, path: Path) -> None:
    """Asking whether something changed leaves the file as it is."""
    storage = engine.open()
    fill(storage, "a")
    watcher = storage.watcher()
    log = path.with_name(path.name + "-wal")
    before = (path.stat().st_mtime_ns, log.stat().st_mtime_ns, log.stat().st_size)
    for _ in range(1000):
        watcher.changed()
    assert (path.stat().st_mtime_ns, log.stat().st_mtime_ns, log.stat().st_size) == before
    eventually(lambda: not watcher.changed(), "nothing changes any more")
    storage.close()
