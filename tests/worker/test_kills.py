"""Whatever is killed, whenever: nothing that was pushed is lost.

Moments and victims come from a seed that is printed; QUEUES_TEST_SEED sets it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from flask_queues import JobHandle, JobRecord, Outcome, Status
from flask_queues.manager import Manager
from tests.support.pushers import Pusher
from tests.support.site import Site, Worker, eventually
from tests.support.stock import listed, take_stock, unfinished

LEASE = 2.0
WORKERS = 3
PROCESSES = 2
PUSHERS = 2
#: What one child may have run without having settled it, and so runs again.
AHEAD = 32


class Havoc:
    """Workers and pushers at work, and kills among them."""

    def __init__(self, site: Site, seed: int, pushers: int = PUSHERS) -> None:
        self.site = site
        self.chance = random.Random(seed)
        self.workers = [self.start() for _ in range(WORKERS)]
        self.pushers = [Pusher(site, self.chance.randrange(10**6)) for _ in range(pushers)]
        self.past: list[Pusher] = []
        self.kills: Counter[str] = Counter()
        #: Children that may have died with a job in hand.
        self.victims = 0

    def start(self) -> Worker:
        return self.site.start("--processes", str(PROCESSES), "--json")

    def go_on(self, seconds: float) -> None:
        """Kill at random for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(self.chance.uniform(0.05, 0.7))
            kills = [self.kill_a_worker, self.kill_a_process, self.kill_a_supervisor]
            kill = self.chance.choice([*kills, self.kill_a_pusher] if self.pushers else kills)
            kill(self.chance.randrange(WORKERS))
            self.kills[kill.__name__] += 1

    def kill_a_worker(self, index: int) -> None:
        """Everything of a worker, all at once."""
        self.workers[index].kill_all()
        self.victims += PROCESSES
        self.workers[index] = self.start()

    def kill_a_process(self, index: int) -> None:
        """A child or the keeper."""
        with suppress(psutil.Error, IndexError, ProcessLookupError):
            children = psutil.Process(self.workers[index].pid).children()
            os.kill(self.chance.choice(children).pid, signal.SIGKILL)
            self.victims += 1

    def kill_a_supervisor(self, index: int) -> None:
        """The supervisor alone; its children must follow."""
        worker = self.workers[index]
        worker.process.kill()
        worker.wait()
        eventually(lambda: not worker.session(), what="The end of the orphans")
        self.victims += PROCESSES
        self.workers[index] = self.start()

    def kill_a_pusher(self, index: int) -> None:
        """A process that pushes."""
        index %= PUSHERS
        self.pushers[index].kill()
        self.past.append(self.pushers[index])
        self.pushers[index] = Pusher(self.site, self.chance.randrange(10**6))

    def end(self) -> list[str]:
        """Kill the pushers, the last kill; returns the ids of all acknowledged jobs."""
        for pusher in self.pushers:
            pusher.kill()
        return [job for pusher in (*self.past, *self.pushers) for job in pusher.acknowledged()]


#: How many seconds of kills, and on which kind of storage.
HAVOC = [
    pytest.param(10, "sqlite", id="sqlite"),
    pytest.param(10, "files", id="files"),
    *(
        pytest.param(10, kind, id=kind, marks=pytest.mark.servers)
        for kind in ("redis", "sentinel", "cluster", "memcached")
    ),
    pytest.param(120, "sqlite", id="sqlite-long", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
]


def settings_for(kind: str, request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    """The configuration of an empty place for jobs on a kind of storage."""
    if kind == "sqlite":
        return {}
    if kind == "files":
        return {"QUEUES_CACHE_TYPE": "FileSystemCache", "QUEUES_CACHE_DIR": str(folder / "jobs")}
    settings: dict[str, Any] = request.getfixturevalue("servers").empty(kind).settings
    return settings


@pytest.fixture
def seed(capsys) -> int:
    chosen = int(os.environ.get("QUEUES_TEST_SEED") or random.SystemRandom().randrange(10**6))
    with capsys.disabled():
        print(f"\nQUEUES_TEST_SEED={chosen}")
    return chosen


@pytest.mark.parametrize(("seconds", "kind"), HAVOC)
def test_nothing_is_lost_whatever_is_killed(make_site, seed, request, tmp_path, seconds, kind):
    """Every acknowledged job ends, what was in hand at the last kill too; only that may repeat."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    site.manager.counts()
    havoc = Havoc(site, seed)
    eventually(lambda: len(site.runs()) > 50)
    havoc.go_on(seconds)

    acknowledged = havoc.end()
    in_hand = [record.id for record in listed(site.manager, Status.RUNNING)]
    eventually(lambda: all(site.status(job).final for job in in_hand), what="The end of what was in hand")
    eventually(lambda: unfinished(site.manager) == 0, what="The end of every job")

    print(len(acknowledged), "jobs;", dict(havoc.kills))
    assert len(acknowledged) == len(set(acknowledged)) > 50
    runs = Counter(run.job for run in site.runs())
    stock = take_stock(site.manager)
    records = [stock[job] for job in acknowledged]
    assert {record.status for record in records} == {Status.COMPLETED}
    assert [record for record in records if not 1 <= runs[record.id] <= 1 + cut_short(record)] == []
    assert sum(runs[job] - 1 for job in acknowledged) <= AHEAD * havoc.victims
    eventually(lambda: counted(site) >= len(stock), what=f"The count of {len(stock)} jobs")
    assert counted(site) == len(stock)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("redis", marks=pytest.mark.servers)])
def test_a_killed_child_repeats_no_more_than_it_had_claimed(make_site, seed, request, tmp_path, kind):
    """Of a long line of short jobs a killed child repeats 32 at most, and all others run once."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    jobs = [handle.id for handle in site.manager.push_many([("mark", {})] * 6000)]
    worker = site.work()
    chance = random.Random(seed)
    kills = 0
    while unfinished(site.manager) and kills < 5:
        time.sleep(chance.uniform(0.02, 0.3))
        kills += kill_the_child(site, worker)
    assert kills > 0
    eventually(lambda: unfinished(site.manager) == 0)
    runs = Counter(run.job for run in site.runs())
    assert set(runs) == set(jobs)
    assert sum(runs.values()) - len(jobs) <= AHEAD * kills
    take_stock(site.manager)


@pytest.mark.parametrize(("seconds", "kind"), [each for each in HAVOC if each.id in ("sqlite", "redis", "cluster")])
def test_no_slot_stays_taken_and_no_key_stays_held(make_site, seed, request, tmp_path, seconds, kind):
    """Two at a time, each unique: whoever is killed, never more run, all end, and then every slot and key is free."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))

    def push(n: int, seconds: float) -> JobHandle:
        manager: Manager = site.manager
        return manager.push("mark", {"seconds": seconds}, concurrency=2, limit_key="k", unique=f"key {n}")

    jobs = [push(n, 0.02) for n in range(400)]
    havoc = Havoc(site, seed, pushers=0)
    until = time.monotonic() + seconds / 2
    while time.monotonic() < until:
        havoc.go_on(0.3)
        assert len(listed(site.manager, Status.RUNNING)) <= 2
    assert not push(399, 0.02).created or site.status(jobs[399].id).final
    eventually(lambda: unfinished(site.manager) == 0, what="The end of every job")
    assert {site.status(job.id) for job in jobs} == {Status.COMPLETED}
    print(dict(havoc.kills))

    again = [push(n, 0.02 if n > 1 else 2.0) for n in range(400)]
    assert all(job.created for job in again)
    eventually(lambda: len(listed(site.manager, Status.RUNNING)) == 2, what="Two at a time")
    eventually(lambda: unfinished(site.manager) == 0, what="The end of every job")
    take_stock(site.manager)


def counted(site: Site) -> int:
    """How many completed jobs the keepers have counted."""
    return site.manager.report("1h").whole.some().completed


def cut_short(record: JobRecord) -> int:
    """How many of a job's runs ended with their process."""
    return sum(1 for run in record.history if run.outcome in (Outcome.KILLED, Outcome.LOST))


def kill_now_and_then(site: Site, chance: random.Random, times: int) -> None:
    """Start two workers; each time a few more jobs have run, kill the child that ran the last, or a whole worker."""
    workers = [site.work("--processes", "2") for _ in range(2)]
    for _ in range(times):
        go_on(site)
        if chance.random() < 0.6:
            kill_the_child(site, workers[0])
        else:
            victim = chance.randrange(2)
            workers[victim].kill_all()
            workers[victim] = site.work("--processes", "2")


def go_on(site: Site) -> None:
    """Wait until a few more jobs have run, or all have."""
    before = len(site.runs())
    eventually(lambda: len(site.runs()) > before + 3 or unfinished(site.manager) == 0)


def kill_the_child(site: Site, worker: Worker) -> int:
    """Kill the process that ran the last job; tells whether it was there."""
    runs = site.runs()
    try:
        os.kill(runs[-1].pid, signal.SIGKILL)
    except (IndexError, ProcessLookupError):
        return 0
    return 1
