"""What a worker and its jobs go through when something happens to their Redis, or to the network before it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_queues import Outcome, Status
from tests.support.load import Load, running
from tests.support.servers.proxy import Proxy
from tests.support.servers.redis_server import RedisServer
from tests.support.site import Site, Worker, eventually

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(400)]

#: Longer than any fault here, but the one that says otherwise.
LEASE = 15.0

#: Sentences of a worker's three processes, each of which may find the connection broken and then refused.
ONCE_EACH = 6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own that survives its crash: with `everysec` a busy disk puts off even its writes."""
    with RedisServer(tmp_path / "redis", appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.fixture
def settings(server: RedisServer) -> dict[str, Any]:
    """The configuration of an application on it."""
    return {**server.settings, "QUEUES_LEASE": LEASE, "QUEUES_MAX_JOBS": 1_000_000}


def test_a_crash_of_the_server_loses_nothing_and_stops_nobody(make_site, server, settings):
    """With AOF, a kill -9 of Redis and its return lose nothing acknowledged; workers go on, each job runs once."""
    load = Load(make_site(**settings), settings)
    for _ in range(2):
        server.kill()
        time.sleep(1)
        server.restart()
        load.go_on()
    load.assert_nothing_is_lost()
    load.assert_workers_were_not_replaced()


def test_a_server_that_hangs_costs_time_only(make_site, server, settings):
    """Three seconds without an answer lose and double nothing."""
    load = Load(make_site(**settings), settings)
    server.pause()
    time.sleep(3)
    server.resume()
    load.go_on()
    load.assert_nothing_is_lost()
    load.assert_workers_were_not_replaced()


def test_forgotten_scripts_are_no_matter(make_site, server, settings):
    """The scripts may be flushed at any moment."""
    load = Load(make_site(**settings), settings)
    with server.client() as client:
        for _ in range(5):
            client.script_flush()
            load.go_on(10)
    load.assert_nothing_is_lost()
    load.assert_workers_were_not_replaced()


def test_lost_answers_lose_and_double_nothing(make_site, server, settings):
    """Each kind of call may be carried out without its answer's arriving: no job is stuck, none runs twice."""
    with Proxy(server.port) as network:
        through = {**settings, "QUEUES_CACHE_REDIS_URL": f"redis://127.0.0.1:{network.port}/0"}
        load = Load(make_site(**settings), through)
        for _ in range(10):
            network.drop_replies(2, to=b"EVAL")
            eventually(lambda: not network.dropping, what="The loss of two answers")
            load.go_on(10)
        assert network.dropped == 20
        load.assert_nothing_is_lost()
        load.assert_workers_were_not_replaced()


@pytest.mark.parametrize("harm", ["cut", "stall"])
def test_a_network_that_is_away_for_ten_seconds(make_site, server, settings, harm):
    """Whether connections break or packets vanish: workers say so, come back by themselves, and nothing is lost."""
    with Proxy(server.port) as network:
        through = {**settings, "QUEUES_CACHE_REDIS_URL": f"redis://127.0.0.1:{network.port}/0"}
        load = Load(make_site(**settings), settings, through)
        getattr(network, harm)()
        until = time.monotonic() + 10
        eventually(lambda: all(map(complaints, load.workers)) and time.monotonic() > until, what="The complaints")
        said = [complaints(worker) for worker in load.workers]
        network.heal()
        load.go_on()
        load.assert_nothing_is_lost()
        load.assert_workers_were_not_replaced()
    for lines in said:
        assert all(f"Redis at 127.0.0.1:{network.port}" in line for line in lines)
        assert len(lines) <= ONCE_EACH


def complaints(worker: Worker) -> list[str]:
    """The lines in which a worker says that it cannot reach the server."""
    return [line for line in worker.text.splitlines() if "cannot be reached" in line or "does not answer" in line]


def test_a_worker_that_is_cut_off_loses_its_jobs_to_others(make_site, server, settings):
    """Once its lease is over another worker runs them, and what the first one says of them is not heard."""
    short = {**settings, "QUEUES_LEASE": 2}
    with Proxy(server.port) as network:
        site = make_site(**short)
        site.configure(**{**short, "QUEUES_CACHE_REDIS_URL": f"redis://127.0.0.1:{network.port}/0"})
        cut_off = site.work("--json")
        job = site.push("gate", {"name": "first"})
        site.began(job)
        site.configure(**short)
        network.cut()
        site.work()
        eventually(lambda: site.words(job).count("began") == 2, what="The rescue")
        site.open("first")
        record = site.ended(job)
        network.heal()
        eventually(
            lambda: any(line["event"] == "lost" for line in cut_off.lines), what="The word of the one that was cut off"
        )
    assert record.status is Status.COMPLETED
    assert [attempt.outcome for attempt in site.job(job).history] == [Outcome.LOST, Outcome.COMPLETED]


def test_an_emptied_server_is_a_new_beginning(make_site, server, settings):
    """FLUSHALL takes all jobs; a running worker goes on with those that come, and asks no more often than before."""
    site = make_site(**settings)
    with (site.folder / "sample.py").open("a") as sample:
        sample.write("\nfrom flask_queues.worker import keeper\n\nkeeper.ROLL_CALL = 1\n")
    worker = site.work("--processes", "2")
    site.ended(site.push("noop"))
    children = running(worker)
    held = site.push("gate")
    site.began(held)
    before = asked(server)
    server.empty()
    site.open()
    site.began(held, "ended")
    assert site.ended(site.push("noop")).status is Status.COMPLETED
    assert asked(server) < 3 * before + 50
    assert site.manager.counts().statuses == {**{status.value: 0 for status in Status}, "completed": 1}
    assert running(worker) == children
    eventually(lambda: "The storage was emptied" in worker.text, what="Word of it")
    assert worker.text.count("The storage was emptied") == 1
    assert "Traceback" not in worker.text


def asked(server: RedisServer) -> int:
    """How many commands come in two seconds."""
    with server.client() as client:
        before = client.info("stats")["total_commands_processed"]
        time.sleep(2)
        return int(client.info("stats")["total_commands_processed"]) - int(before)


#: Python imports it at its start: sets the clocks of the process, by which nobody should go. (libfaketime does
#: the same from outside, and breaks Python's waits.)
SITECUSTOMIZE = """
import datetime, os, time

shift = int(os.environ["SHIFT"])
real, real_time, real_time_ns = datetime.datetime, time.time, time.time_ns


class Kind(type):
    def __instancecheck__(self, one):
        return isinstance(one, real)


class Shifted(real, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(seconds=shift)


datetime.datetime = Shifted
time.time = lambda: real_time() + shift
time.time_ns = lambda: real_time_ns() + shift * 10**9
"""


def work_with_a_clock(site: Site, shift: int) -> Worker:
    """Start a worker whose clock is so many seconds early, or late."""
    (site.folder / "clock").mkdir(exist_ok=True)
    (site.folder / "clock" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    usual = site.environment
    path = os.pathsep.join([str(site.folder / "clock"), usual["PYTHONPATH"]])
    site.environment = {**usual, "PYTHONPATH": path, "SHIFT": str(shift)}
    worker = site.work("--processes", "1")
    site.environment = usual
    return worker


def test_clocks_that_are_an_hour_off_do_no_harm(make_site, settings):
    """Time is the server's: nothing runs early, late or twice, and no worker takes the other for dead."""
    site = make_site(**{**settings, "QUEUES_LEASE": 2})
    workers = [work_with_a_clock(site, shift) for shift in (-3600, 3600)]
    later = site.push("noop", delay=1800)
    soon = site.push("noop", delay=1)
    held = [site.push("gate") for _ in range(2)]
    for job in held:
        site.began(job)
    eventually(lambda: site.manager.now() > site.job(soon).due, what="The time of the delayed job")
    until = site.manager.storage.now() + 5_000
    eventually(lambda: site.manager.storage.now() > until, what="Two leases")
    assert len(site.manager.workers()) == 2
    site.open()
    for job in [*held, soon]:
        record = site.ended(job)
        assert [attempt.outcome for attempt in record.history] == [Outcome.COMPLETED]
        assert record.created <= record.history[0].started <= record.history[0].ended <= site.manager.now()
    assert site.job(soon).history[0].started >= site.job(soon).due
    assert site.status(later) is Status.SCHEDULED
    for worker in workers:
        assert "Traceback" not in worker.text
