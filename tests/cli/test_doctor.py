"""`flask queues doctor`, and what a worker says of it when it starts: each finding in the situation it names.

What the engines find in themselves is tried beside them, in `tests/storage`.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

from flask_queues import ConfigError, Queues
from flask_queues.cli.doctor import exit_code
from flask_queues.cli.work import findings_at_start
from flask_queues.doctor import UNUSABLE, examine
from flask_queues.doctor.caches import clearable
from flask_queues.record import to_datetime
from flask_queues.storage import SQLiteStorage
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.values import Finding, Schedule, Severity
from flask_queues.worker import version_here
from flask_queues.worker.plan import this_worker
from tests.storage.test_sqlite_findings import MACHINE
from tests.support.servers.memcached import Memcached
from tests.support.site import Site, Worker, eventually

NOTE, DELAYS, DOUBLES, LOSES = Severity


@pytest.fixture(autouse=True)
def _small_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with all tests in it is larger than any that starts a worker."""
    monkeypatch.setattr(sys.modules["flask_queues.doctor.examine"], "own_memory", lambda: 40.0)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A sample application without any settings."""
    return make_site()


def by_code(site: Site) -> dict[str, Finding]:
    """What the doctor names, without what lies in the machine that the tests run on; each code once."""
    found = examine(site.manager)
    assert [finding.severity for finding in found] == sorted((finding.severity for finding in found), reverse=True)
    assert all(finding.problem and (finding.fix or finding.severity is NOTE) for finding in found)
    return {finding.code: finding for finding in found if finding.code not in MACHINE}


def named(site: Site, code: str, severity: Severity, *words: str) -> Finding:
    """Return the finding with this code; it says these words."""
    finding = by_code(site)[code]
    assert finding.severity is severity
    for word in words:
        assert word in finding.problem + " " + finding.fix
    return finding


def at_work(site: Site, *arguments: str) -> Worker:
    """Start a worker and wait until it has given a sign of life."""
    worker = site.work(*arguments)
    eventually(lambda: any(one.pid == worker.pid for one in site.manager.workers()))
    return worker


def let_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Put the storage's clock forward, or back, as this process sees it."""
    monkeypatch.setattr(sqlite_engine, "wall", lambda: round((time.time() + seconds) * 1000))


# --- The command ------------------------------------------------------------------------------------------------------


def test_where_all_is_well_it_says_so(site):
    """With a worker that serves what waits there are notes alone."""
    at_work(site)
    site.ended(site.push("add", {"a": 1}))
    assert {finding.severity for finding in by_code(site).values()} <= {NOTE}
    answer = site.run("doctor")
    assert str(site.database) in answer.stdout
    assert answer.stderr == ""
    if not MACHINE & {finding.code for finding in examine(site.manager)}:
        assert answer.returncode == 0
        assert answer.stdout.endswith("Nothing here would lose, double or delay jobs.\n")


@pytest.mark.parametrize("name", ["not_there:tell", "json:tell"])
def test_a_receiver_of_alerts_that_there_is_not_is_named(make_site, name):
    """Before an alert has nobody to go to; a worker that starts says it too."""
    site = make_site(QUEUES_ALERT_RECEIVER=name)
    found = named(site, "alert-receiver", NOTE, repr(name))
    assert "package.module:function" in found.fix
    assert "alert-receiver" in {finding.code for finding in findings_at_start(site.manager)}
    assert "alert-receiver" not in by_code(make_site(QUEUES_ALERT_RECEIVER="json:dumps"))


def test_a_retention_of_no_known_type_is_named(make_site):
    """It is most likely misspelt."""
    site = make_site(QUEUES_RETENTION={"ad": {"completed": 1}, "add": {"completed": 1}, "*": {"completed": 1}})
    found = named(site, "retention-type", NOTE, "does not know: ad.")
    assert "registered" in found.fix


def test_it_prints_what_a_person_reads(make_site):
    """Worst first, each with its fix, within the width of the terminal and without colours in a pipe."""
    site = make_site(QUEUES_GRACE=0, QUEUES_LEASE=3600, QUEUES_CACHE_THRESHOLD=500)
    site.environment["COLUMNS"] = "80"
    answer = site.run("doctor")
    assert answer.returncode == 2
    assert answer.stderr == ""
    shown = answer.stdout
    assert "\x1b" not in shown
    lines = shown.removeprefix(f"SQLite file {site.database}\n").splitlines()
    assert max(len(line) for line in lines) <= 80
    places = [shown.index(code) for code in ("grace-short", "lease-long", "cache-threshold")]
    assert places == sorted(places)
    assert "Fix: Set QUEUES_LEASE to 30" in " ".join(shown.split())
    assert "1 may run jobs twice, 1 may delay jobs." in lines[-1]


def test_json_is_for_programs(make_site):
    """--json prints the same findings, the severity as a word; the exit code is the same."""
    site = make_site(QUEUES_LEASE=3600)
    answer = site.run("doctor", "--json")
    found = json.loads(answer.stdout)
    assert all(finding.keys() == {"severity", "code", "problem", "fix"} for finding in found)
    severities = {finding["code"]: finding["severity"] for finding in found}
    assert severities["lease-long"] == "delays"
    assert severities["sqlite-promise"] == "note"
    if not MACHINE & severities.keys():
        assert answer.returncode == 1
        assert found[0]["code"] == "lease-long"


@pytest.mark.parametrize(
    ("severities", "code"),
    [((), 0), ((NOTE, NOTE), 0), ((NOTE, DELAYS), 1), ((DOUBLES, DELAYS), 2), ((LOSES,), 2)],
)
def test_the_exit_code_is_that_of_the_worst(severities, code):
    """As monitoring plugins have it: 0 fine, 1 a warning, 2 critical."""
    assert exit_code([Finding(severity, "x", "X.") for severity in severities]) == code


# --- A storage that cannot be used ------------------------------------------------------------------------------------


def unusable(site: Site, *words: str) -> None:
    """Check that it is a finding, with an exit code of its own, and no traceback."""
    answer = site.run("doctor", "--json")
    assert answer.returncode == 3
    assert answer.stderr == ""
    finding = next(one for one in json.loads(answer.stdout) if one["code"] == UNUSABLE)
    assert finding["severity"] == "loses"
    for word in words:
        assert word in finding["problem"]
    text = site.run("doctor")
    assert text.returncode == 3
    assert text.stderr == ""
    assert "1 may lose jobs" in text.stdout


def test_a_file_that_is_no_database(make_site):
    """What lies in the way of the storage is told as a finding."""
    site = make_site()
    site.database.parent.mkdir()
    site.database.write_bytes(b"no database at all" * 1000)
    unusable(site, "is not a SQLite database", "QUEUES_CACHE_DIR")


def test_a_folder_that_cannot_be_made(make_site):
    """So is a folder that cannot be made."""
    site = make_site()
    site.database.parent.touch()
    unusable(site, "cannot be made")


def test_a_backend_that_keeps_no_jobs(make_site):
    """So is a backend on which jobs would be lost."""
    site = make_site()
    site.configure(QUEUES_CACHE_TYPE="NullCache", QUEUES_CACHE_NO_NULL_WARNING=True)
    unusable(site, "NullCache")


def test_a_network_file_system(site, monkeypatch):
    """So is a folder on a network file system, with what to do instead."""
    monkeypatch.setattr("flask_queues.storage.sqlite.database.file_system_of", lambda folder: "nfs4")
    named(site, UNUSABLE, LOSES, "network file system (nfs4)", "local folder", "Redis")


# --- Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code", "severity", "words"),
    [
        ({"QUEUES_LEASE": 2}, "lease-short", DOUBLES, ["QUEUES_LEASE is 2 s", "run twice"]),
        ({"QUEUES_LEASE": 3600}, "lease-long", DELAYS, ["QUEUES_LEASE is 3600 s", "vanishes"]),
        ({"QUEUES_GRACE": 0}, "grace-short", DOUBLES, ["QUEUES_GRACE is 0 s", "from the beginning"]),
        ({"QUEUES_RETENTION_FAILED": 0}, "retention-failed", LOSES, ["0 h", "retry them"]),
        ({"QUEUES_RETENTION_COMPLETED": 0}, "retention-completed", NOTE, ["0 h", "JobNotFound"]),
        ({"QUEUES_CACHE_DEFAULT_TIMEOUT": 300}, "cache-timeout", NOTE, ["QUEUES_CACHE_DEFAULT_TIMEOUT = 300"]),
        ({"QUEUES_CACHE_THRESHOLD": 500}, "cache-threshold", NOTE, ["QUEUES_CACHE_THRESHOLD = 500"]),
        ({"QUEUES_MEMORY": 5}, "memory-small", NOTE, ["QUEUES_MEMORY is 5 MB", "when it starts"]),
    ],
)
def test_a_setting(make_site, site, settings, code, severity, words):
    """Each is named with its value, and is not named with the default."""
    assert code not in by_code(site)
    named(make_site(**settings), code, severity, *settings, *words)


@pytest.mark.parametrize(
    "settings",
    [
        {"QUEUES_LEASE": 5},
        {"QUEUES_LEASE": 600},
        {"QUEUES_GRACE": 1},
        {"QUEUES_RETENTION_FAILED": 1, "QUEUES_RETENTION_COMPLETED": 1},
        {"QUEUES_CACHE_DEFAULT_TIMEOUT": 0, "QUEUES_CACHE_THRESHOLD": 0},
    ],
    ids=str,
)
def test_a_setting_that_is_fit(make_site, settings):
    """What an operator may well want is not named."""
    assert by_code(make_site(**settings)).keys() == {"sqlite-promise"}


# --- Workers and what waits for them ----------------------------------------------------------------------------------


def test_jobs_wait_and_no_worker_runs(site):
    """Whether they are pending or have their time before them; without jobs it is nothing."""
    assert "worker-none" not in by_code(site)
    site.push("noop", delay=3600)
    named(site, "worker-none", DELAYS, "1 job waits", "flask queues work")
    site.push("noop")
    named(site, "worker-none", DELAYS, "2 jobs wait")
    at_work(site)
    assert "worker-none" not in by_code(site)


def test_schedules_wait_and_no_worker_runs(site):
    """A schedule needs somebody who fires it."""
    assert site.manager.storage.put_schedule(Schedule("nightly", "default", "{}"))
    named(site, "worker-none", DELAYS, "1 schedule waits")
    site.push("noop")
    named(site, "worker-none", DELAYS, "1 job and 1 schedule wait")


def test_a_queue_that_no_worker_serves(site):
    """Jobs that wait in a queue which every worker was told to leave out are named, with how to serve it."""
    at_work(site, "--queue", "default,high")
    site.push("noop", queue="images")
    site.push("noop", queue="films", delay=3600)
    named(site, "queue-unserved", DELAYS, "2 jobs in films, images", "--queue films,images")
    at_work(site, "--queue", "films,images")
    assert "queue-unserved" not in by_code(site)


def test_a_type_that_no_worker_knows(make_site):
    """Jobs of a type that the workers of their queue have no code of are named; the fix depends on who has it."""
    site = make_site(SAMPLE_KNOWS_MORE=True)
    site.push("more")
    site.configure()
    at_work(site)
    named(site, "type-unknown", DELAYS, "1 job of type more", "Restart the workers")
    answer = site.run("doctor", "--json")
    finding = next(one for one in json.loads(answer.stdout) if one["code"] == "type-unknown")
    assert finding["fix"].startswith("Deploy the code")


def test_jobs_behind_more_of_another_worker_than_one_looks_past(site):
    """A worker that may not see its own is named, with its types and the queue."""
    some = replace(this_worker((), ["noop"], version_here()), name="some")
    site.manager.heartbeat(some)
    site.manager.heartbeat(replace(this_worker((), list(site.manager.jobs), version_here()), name="all"))
    site.manager.push_many([("add", {"a": 1})] * 1001)
    assert "type-hidden" not in by_code(site)
    site.push("noop")
    named(site, "type-hidden", DELAYS, "1,001 jobs in default", "1,000", "those of noop", "a queue of their own")


def test_a_worker_that_is_held_up(site, monkeypatch):
    """One that gives no sign of life for half its lease is about to lose its jobs to another."""
    worker = at_work(site)
    worker.signal_all(signal.SIGSTOP)
    let_pass(monkeypatch, 20)
    named(site, "worker-silent", DOUBLES, "15 s", f"worker {worker.pid} on", "run twice")


def test_a_worker_that_vanished(site, monkeypatch):
    """One that was killed is told as a note while it is remembered."""
    at_work(site).kill_all()
    let_pass(monkeypatch, 31)
    assert "worker-silent" not in by_code(site)
    named(site, "worker-lost", NOTE, f"worker {site.processes[0].pid} on", "killed")


def test_jobs_of_a_worker_that_vanished(make_site):
    """With nobody left to give them back they stall; a new worker takes care of them."""
    site = make_site(QUEUES_LEASE=2)
    job = site.push("gate")
    worker = at_work(site)
    site.began(job)
    worker.kill_all()
    eventually(lambda: "jobs-stalled" in by_code(site))
    named(site, "jobs-stalled", DELAYS, "1 job ran when their worker vanished", "flask queues work")
    site.open()
    at_work(site)
    site.ended(job)
    assert "jobs-stalled" not in by_code(site)


def test_workers_of_another_version(site):
    """A worker of another release than the one installed here is named."""
    at_work(site)
    assert "worker-versions" not in by_code(site)
    site.manager.heartbeat(this_worker((), (), "0.0.9"))
    named(site, "worker-versions", DELAYS, "0.0.9", version_here(), "restart the workers")


# --- Clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "severity", "words"),
    [(-10, NOTE, "10 s ahead of"), (10, NOTE, "10 s behind"), (3600, DELAYS, "3,600 s behind")],
)
def test_a_clock_that_is_off(site, monkeypatch, seconds, severity, words):
    """This machine's clock is compared with the storage's; a lease apart, what is computed here comes late."""
    let_pass(monkeypatch, seconds)
    named(site, "clock-skew", severity, words, "NTP")


def test_a_worker_whose_clock_is_ahead(site):
    """A worker that says it started after its last sign of life has another clock than the storage."""
    worker = this_worker((), (), version_here())
    site.manager.heartbeat(worker)
    assert "worker-clock" not in by_code(site)
    later = to_datetime(site.manager.storage.now() + 7_200_000)
    site.manager.heartbeat(replace(worker, started=later))
    named(site, "worker-clock", DELAYS, worker.host, "ahead")


# --- Other storages ---------------------------------------------------------------------------------------------------


def test_a_storage_of_one_process(make_site):
    """Jobs that no other process sees are lost with theirs."""
    site = make_site(QUEUES_CACHE_TYPE="SimpleCache")
    named(site, "storage-private", LOSES, "private to one process", "Redis")


def test_a_cache_that_holds_more_than_it_is_made_for(make_site, tmp_path):
    """A file cache is named beside what suits the load better, which a worker says when it starts."""
    site = make_site(QUEUES_CACHE_TYPE="FileSystemCache", QUEUES_CACHE_DIR=str(tmp_path / "cache"))
    named(site, "storage-load", NOTE, "10,000", "SQLiteCache", "Redis")
    site.manager.push_many([("noop", {})] * 10_001)
    named(site, "storage-load", DELAYS, "10,001", "SQLiteCache", "Redis")
    worker = site.start("--once", "--json")
    assert worker.wait() == 0
    assert "storage-load" in [line.get("code") for line in worker.lines]


@pytest.mark.parametrize(("kind", "lost"), [("FileSystemCache", True), ("flask_queues.SQLiteCache", False)])
def test_a_cache_that_the_application_may_clear(tmp_path, kind, lost):
    """Where `clear()` would delete jobs, a cache that was handed in is named; a SQLite file keeps them apart."""

    def another() -> tuple[Queues, Cache]:
        """The application as another process has it."""
        app = Flask("shop", instance_path=str(tmp_path))
        cache = Cache(app, config={"CACHE_TYPE": kind, "CACHE_DIR": str(tmp_path / "cache"), "CACHE_THRESHOLD": 0})
        queues = Queues(app, cache=cache)
        queues.job("noop")(lambda: None)
        return queues, cache

    (queues, cache), (later, _) = another(), another()
    queues.push("noop")
    assert ("cache-shared" in [finding.code for finding in examine(queues.manager)]) is lost
    queues.manager.storage.close()
    cache.clear()
    assert later.counts().statuses["pending"] == (0 if lost else 1)
    later.manager.storage.close()


@pytest.mark.parametrize(
    ("kind", "pages", "jobs", "lost"),
    [
        ("RedisCache", {"KEY_PREFIX": ""}, {"REDIS_HOST": "127.0.0.1"}, True),
        ("RedisCache", {"KEY_PREFIX": "pages:"}, {}, False),
        ("RedisCache", {"KEY_PREFIX": "", "REDIS_DB": 1}, {}, False),
        ("MemcachedCache", {}, {}, True),
        ("MemcachedCache", {}, {"MEMCACHED_SERVERS": ["127.0.0.1:2"]}, False),
        ("FileSystemCache", {}, {}, True),
        ("FileSystemCache", {}, {"DIR": "elsewhere"}, False),
    ],
)
def test_a_page_cache_in_the_same_place(tmp_path, kind, pages, jobs, lost):
    """One whose `clear()` would delete the jobs is named, without asking any server."""
    folder = str(tmp_path / "cache")
    place = {"TYPE": kind, "DIR": folder, "REDIS_PORT": 1, "MEMCACHED_SERVERS": ["127.0.0.1:1"]}
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update({f"CACHE_{key}": value for key, value in {**place, **pages}.items()})
    jobs = {key: str(tmp_path / value) if key == "DIR" else value for key, value in jobs.items()}
    app.config.update({f"QUEUES_CACHE_{key}": value for key, value in {**place, **jobs}.items()})
    Cache(app)
    finding = clearable(Queues(app).manager)
    assert (finding is not None) is lost
    if finding is not None:
        assert (finding.severity, finding.code) == (LOSES, "cache-shared")


@pytest.mark.parametrize("prefix", ["", "pages:"])
def test_a_cache_that_empties_its_whole_redis(tmp_path, prefix):
    """Handed in without a prefix it is refused; with one it serves, since `clear()` keeps to its own keys."""
    app = Flask("shop", instance_path=str(tmp_path))
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 1, "CACHE_KEY_PREFIX": prefix})
    queues = Queues(app, cache=cache)
    if prefix:
        assert "prefix pages" in queues.manager.storage.describe()
    else:
        with pytest.raises(ConfigError, match=r"has no CACHE_KEY_PREFIX.*Set CACHE_KEY_PREFIX"):
            queues.manager.storage.describe()


@pytest.mark.servers
def test_memcached_keeps_nothing_for_sure(make_site, tmp_path):
    """That jobs may be lost there is what it says first, and what a worker says when it starts."""
    with Memcached(tmp_path / "memcached") as server:
        site = make_site(**server.settings)
        named(site, "cache-promise", LOSES, "loses everything with its server", "SQLiteCache")
        assert site.run("doctor").returncode == 2
        worker = site.start("--stop-when-empty", "--json")
        assert worker.wait() == 0
        assert "cache-promise" in [line.get("code") for line in worker.lines]


@pytest.mark.parametrize("kind", ["flask_queues.SQLiteCache", "FileSystemCache"])
def test_another_application_in_the_same_place(make_site, tmp_path, kind):
    """Where living workers know hardly any of the job types here, doctor and a worker that starts say so."""
    site = make_site(QUEUES_CACHE_TYPE=kind, QUEUES_CACHE_DIR=str(tmp_path / "cache"))
    own = list(site.manager.jobs)
    site.manager.heartbeat(replace(this_worker((), own[: len(own) // 2], version_here()), name="deployed"))
    assert "storage-shared" not in by_code(site)
    stranger = replace(this_worker((), ["of-theirs"], version_here()), name="stranger")
    site.manager.heartbeat(stranger)
    named(site, "storage-shared", LOSES, "Another application", "of-theirs", "QUEUES_CACHE_KEY_PREFIX")
    assert "storage-shared" in [finding.code for finding in findings_at_start(site.manager)]


# --- The worker's start -----------------------------------------------------------------------------------------------


def test_a_worker_says_the_worst_when_it_starts(make_site):
    """One line, once, with the fix; for programs with its severity and its code."""
    site = make_site(QUEUES_GRACE=0, QUEUES_LEASE=3600)
    worker = site.start("--stop-when-empty", "--json")
    assert worker.wait() == 0
    (line,) = [line for line in worker.lines if line["event"] == "finding"]
    if not MACHINE & {finding.code for finding in examine(site.manager)}:
        assert (line["severity"], line["code"]) == ("doubles", "grace-short")
        assert line["text"].startswith("This may run jobs twice: QUEUES_GRACE is 0 s")
        assert line["text"].endswith("More: flask queues doctor")


def test_a_worker_has_nothing_to_say_where_all_is_well(site):
    """Notes are not worth a line, nor are jobs that it is about to run."""
    site.push("noop")
    worker = site.start("--stop-when-empty", "--json")
    assert worker.wait() == 0
    if not MACHINE & {finding.code for finding in examine(site.manager)}:
        assert [line["event"] for line in worker.lines] == ["started", "completed", "stopped"]


def test_an_examination_that_fails_keeps_no_worker_from_its_work(site, monkeypatch, caplog):
    """What goes wrong in it is logged."""

    def broken(self: Any) -> list[Finding]:
        raise RuntimeError("an engine's own fault")

    monkeypatch.setattr(SQLiteStorage, "examine", broken)
    assert findings_at_start(site.manager) == []
    assert "an engine's own fault" in caplog.text


@pytest.mark.parametrize("severity", [NOTE, DELAYS])
def test_a_worker_says_which_storage_suits_the_load_better(make_site, monkeypatch, severity):
    """Beside what is worst, whatever that is, and once if it is that itself."""
    load = Finding(severity, "storage-load", "This storage holds more than it is made for.", "Use Redis.")
    monkeypatch.setattr(SQLiteStorage, "examine", lambda self: [load])
    assert [finding.code for finding in findings_at_start(make_site(QUEUES_GRACE=0).manager)] == [
        "grace-short",
        "storage-load",
    ]
    assert findings_at_start(make_site().manager) == [load]
