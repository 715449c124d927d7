"""A storage that was away longer than a lease, and a keeper that hangs: nobody who lives is taken for dead."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from flask_queues import Outcome
from tests.support.servers.redis_server import RedisServer
from tests.support.site import Site, Worker, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LEASE = 2.0


def outcomes(site: Site, job: str) -> list[Outcome | None]:
    """How the runs of a job ended, once it has ended."""
    return [attempt.outcome for attempt in site.ended(job).history]


def hold(site: Site, worker: Worker, name: str) -> str:
    """Push a job that waits for a file of this name, and have this worker run it: the others have theirs in hand."""
    job = site.push("gate", {"name": name})
    pid = site.began(job).pid
    assert pid in {child.pid for child in psutil.Process(worker.pid).children()}
    return job


def keeper_of(site: Site, worker: Worker) -> int:
    """The process of a worker that is none of its children."""

    def others() -> set[int]:
        pids = {child.pid for child in psutil.Process(worker.pid).children()}
        known = {child.pid for one in site.manager.workers() if one.pid == worker.pid for child in one.children}
        return pids - known if known & pids else set()

    (keeper,) = eventually(others, what="The keeper's word of its children")
    return keeper


def pass_by(seconds: float) -> None:
    """Let a time pass that is itself what is tried."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until, 2 * seconds + 10)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A server that survives its crash."""
    with RedisServer(tmp_path / "redis", appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.mark.servers
def test_an_outage_longer_than_the_lease_doubles_nothing(make_site, server):
    """When Redis comes back all that live get another lease to say so; then the jobs of the dead are rescued."""
    site = make_site(**server.settings, QUEUES_LEASE=LEASE)
    workers, jobs = {}, {}
    for name in ("first", "late", "dead"):
        workers[name] = site.work()
        jobs[name] = hold(site, workers[name], name)
    late = keeper_of(site, workers["late"])
    workers["dead"].kill_all()
    os.kill(late, signal.SIGSTOP)
    server.kill()
    pass_by(2 * LEASE)
    server.restart()
    back = site.manager.now()
    eventually(lambda: any(one.heartbeat > back for one in site.manager.workers()), what="The first that comes back")
    pass_by(LEASE / 4)
    os.kill(late, signal.SIGCONT)
    eventually(lambda: site.job(jobs["dead"]).history, what="The rescue of the dead worker's job")
    for name in jobs:
        site.open(name)
    assert outcomes(site, jobs.pop("dead")) == [Outcome.LOST, Outcome.COMPLETED]
    for job in jobs.values():
        assert outcomes(site, job) == [Outcome.COMPLETED]
        assert site.words(job).count("began") == 1


@pytest.mark.servers
def test_a_full_server_is_said_once_and_does_not_stop_the_tidying(make_site, server):
    """While memory is full ended jobs are deleted all the same, and each process says once what is wrong."""
    site = make_site(**server.settings, QUEUES_LEASE=LEASE)
    worker = site.work()
    for job in [site.push("noop") for _ in range(20)]:
        site.ended(job)
    worker.stop()
    site.configure(**server.settings, QUEUES_LEASE=LEASE, QUEUES_RETENTION_COMPLETED=0)
    with server.client() as client:
        client.config_set("maxmemory", 1)
        worker = site.work()
        eventually(lambda: site.manager.counts().statuses["completed"] == 0, what="The tidying")
        pass_by(2 * LEASE)
        assert worker.text.count("has no memory left") <= 2
        client.config_set("maxmemory", 0)
    assert outcomes(site, site.push("noop")) == [Outcome.COMPLETED]
    assert "Traceback" not in worker.text


def test_a_keeper_that_hangs_is_replaced(make_site):
    """Before the usual lease is over there is another one, which keeps what runs; it is said in one line."""
    site = make_site()
    worker = site.work()
    job = hold(site, worker, "held")
    keeper = keeper_of(site, worker)
    os.kill(keeper, signal.SIGSTOP)
    eventually(lambda: "The keeper has hung for 25 s and is replaced." in worker.text, what="The replacement")
    silent = site.manager.now()
    eventually(lambda: site.manager.workers()[0].heartbeat > silent, what="A sign of life")
    assert keeper_of(site, worker) != keeper
    assert "keeper died" not in worker.text
    site.open("held")
    assert outcomes(site, job) == [Outcome.COMPLETED]
