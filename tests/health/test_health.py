"""The check for probes: what is not well is said in a sentence, by an exit code, as JSON and over HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_queues.health import Demands, Health, check
from flask_queues.record import ChildRecord, WorkerRecord, to_datetime
from flask_queues.storage import Storage
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import complete, fill, take_one
from tests.storage.engines import SQLiteEngine
from tests.support.site import ROOT, Site, eventually

LEASE = 30_000
ALL = Demands()


@pytest.fixture
def engine(tmp_path: Path) -> SQLiteEngine:
    """A file in the test's folder."""
    return SQLiteEngine(tmp_path)


@pytest.fixture
def clock(engine: SQLiteEngine) -> Any:
    """The storage's clock, which stands still."""
    with engine.clock() as clock:
        yield clock


@pytest.fixture
def storage(engine: SQLiteEngine, clock: Clock) -> Any:
    """An empty storage."""
    storage = engine.open()
    yield storage
    storage.close()


def live(storage: Storage, *, queues: tuple[str, ...] = (), types: tuple[str, ...] = ("t",), pid: int = 9) -> None:
    """A worker with one child gives a sign of life."""
    now = to_datetime(storage.now())
    child = ChildRecord(name=f"host:{pid}1:1", pid=pid * 10 + 1)
    worker = WorkerRecord(
        name=f"host:{pid}:1", host="host", pid=pid, started=now, heartbeat=now,
        queues=queues, types=types, children=(child,),
    )  # fmt: skip
    storage.heartbeat(worker, LEASE)


def look(storage: Storage, demands: Demands = ALL) -> Health:
    return check(lambda: storage, demands)


def codes(storage: Storage, demands: Demands = ALL) -> list[str]:
    """What is wrong."""
    return [one.code for one in look(storage, demands).problems]


def test_a_worker_that_lives_and_nothing_that_waits_is_well(storage: Storage) -> None:
    """Nothing has ever run here, and nothing has to."""
    live(storage)
    health = look(storage)
    assert health.good
    assert health.scene is not None
    assert (health.scene.processes, health.scene.busy, health.scene.longest_wait) == (1, 0, None)


def test_no_worker_within_the_lease_is_not_well(storage: Storage, clock: Clock) -> None:
    """Its sign of life counts for as long as its claims would."""
    assert codes(storage) == ["worker"]
    live(storage)
    clock.advance(LEASE)
    assert codes(storage) == []
    clock.advance(1)
    assert codes(storage) == ["worker"]


def test_a_worker_of_another_host_does_not_make_this_one_well(storage: Storage) -> None:
    """A container's probe asks about the container."""
    live(storage)
    assert codes(storage, Demands(host="host")) == []
    (problem,) = look(storage, Demands(host="elsewhere")).problems
    assert problem.problem == "No worker on elsewhere has given a sign of life for 30 s."
    assert problem.fix == "Start one: flask queues work"


def test_a_job_that_waits_beside_an_idle_process_is_not_well(storage: Storage, clock: Clock) -> None:
    """After a minute in which nothing was claimed."""
    fill(storage, "a")
    clock.advance(60_000)
    live(storage)
    assert codes(storage) == []
    clock.advance(1_000)
    live(storage)
    assert codes(storage) == ["claims"]


def test_whoever_claims_is_well_however_long_others_wait(storage: Storage, clock: Clock) -> None:
    """One was claimed a minute ago, and one of another queue has just ended."""
    fill(storage, "a", "b")
    clock.advance(100_000)
    take_one(storage)
    live(storage)
    assert codes(storage) == []
    clock.advance(60_001)
    live(storage)
    assert codes(storage) == ["claims"]
    fill(storage, "c", queue="other")
    complete(storage, take_one(storage, "other"))
    assert codes(storage) == []


def test_a_wait_that_nobody_could_end_is_not_the_workers_fault(storage: Storage, clock: Clock) -> None:
    """It serves another queue, does not know the type, has its hands full, or the queue is paused."""
    fill(storage, "a", "b")
    clock.advance(100_000)
    live(storage, queues=("other",))
    assert codes(storage) == []
    live(storage, types=("else",))
    assert codes(storage) == []
    live(storage)
    assert codes(storage) == ["claims"]
    storage.stop("q", None, reason="wait")
    assert codes(storage) == []
    storage.go_on("q")
    take_one(storage, worker="host:91:1")
    clock.advance(100_000)
    live(storage)
    assert codes(storage) == []


def test_a_longest_wait_is_demanded_only_where_somebody_says_so(storage: Storage, clock: Clock) -> None:
    """And the sentence names the queue."""
    fill(storage, "a", queue="mail")
    live(storage)
    clock.advance(10_000)
    assert codes(storage, Demands(wait=10)) == []
    clock.advance(1_000)
    (problem,) = look(storage, Demands(wait=10)).problems
    assert (problem.code, problem.problem) == ("wait", "A job in mail has waited for 11 s, more than 10 s.")


def probe(*arguments: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the check where no application is."""
    return subprocess.run(
        [sys.executable, "-m", "flask_queues.health", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_tells_it_of_a_real_worker(site: Site, tmp_path: Path) -> None:
    """Exit code 1 before it works and after it was stopped, 0 meanwhile; the same without the application."""
    site.push("noop")
    before = site.run("health")
    assert (before.returncode, before.stdout) == (
        1, "No worker has given a sign of life for 2 s. Start one: flask queues work\n",
    )  # fmt: skip
    worker = site.work()
    eventually(lambda: site.run("health", "--here").returncode == 0)
    told = json.loads(site.run("health", "--json").stdout)
    assert told["healthy"] is True
    assert (told["workers"], told["processes"], told["problems"]) == (1, 1, [])
    alone = probe(str(site.database), "--here", folder=tmp_path)
    assert alone.returncode == 0, alone
    assert alone.stdout.startswith("Healthy: 1 worker, ")
    named = probe("--json", "--max-wait", "60", folder=tmp_path, QUEUES_PLACE=str(site.database))
    assert json.loads(named.stdout)["workers"] == 1
    worker.stop()
    assert probe(str(site.database), folder=tmp_path).returncode == 1


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A probe with a wrong path says so for ever, instead of finding an empty file of its own."""
    done = probe(str(tmp_path / "queues.sqlite3"), folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("There is no file ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.servers
def test_a_redis_is_asked_by_its_address(servers: Any, make_site: Callable[..., Site], tmp_path: Path) -> None:
    """With the application's name, by which its keys are found, or its prefix too."""
    redis = servers.empty("redis")
    site = make_site(**redis.settings, QUEUES_LEASE=2)
    site.work()
    eventually(lambda: probe(redis.url(), "--app", "sample", "--here").returncode == 0)
    assert probe(redis.url(), "--app", "sample", "--prefix", "queues:sample:").returncode == 0
    told = json.loads(probe(redis.url(), "--app", "sample", "--json").stdout)
    assert told["workers"] == 1
    wrong = probe(redis.url(), "--app", "shop", "--prefix", "jobs")
    assert wrong.stdout.startswith("Nothing of the application shop is in ")
    with redis.client() as client:
        assert client.keys("{jobs*") == []
    unnamed = probe(redis.url())
    assert (unnamed.returncode, "--app NAME" in unnamed.stdout) == (1, True)


def test_a_storage_that_is_away_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    """Nobody listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        done = probe(f"redis://:secret@127.0.0.1:{free.getsockname()[1]}/0", "--app", "sample", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["healthy"], told["workers"]) == (1, False, None)
    assert [one["code"] for one in told["problems"]] == ["storage"]
    assert "secret" not in done.stdout + done.stderr
