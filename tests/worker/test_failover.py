"""Workers at work while a master dies and its replica takes over, and while a slot moves to another node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.load import Load
from tests.support.servers.cluster import Cluster
from tests.support.servers.sentinel import Sentinel
from tests.support.site import eventually
from tests.support.stock import unfinished

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(400)]

#: Seconds: short, since what only the dead master knew of is run again after it.
LEASE = 3.0
#: Seconds before a master's death in which an acknowledged push may be lost with it.
LAST = 2.0
OWN: dict[str, Any] = {"QUEUES_LEASE": LEASE, "QUEUES_MAX_JOBS": 1_000_000, "QUEUES_CACHE_KEY_PREFIX": "jobs"}
#: A key of the queue that the jobs are in, and one that belongs to no queue.
OF_THE_QUEUE, OF_NO_QUEUE = "{jobs:default:0}:", "{jobs}:"


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Sentinel]:
    """A master, its replica and three Sentinels, for one test."""
    with Sentinel(tmp_path / "sentinel", appendonly="yes") as sentinel:
        yield sentinel


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Six nodes, for one test."""
    with Cluster(tmp_path / "cluster", appendonly="yes") as cluster:
        yield cluster


def assert_only_the_last_moment_is_lost(load: Load, died: float, woke: float = 0.0) -> None:
    """What a failover may cost: pushes acknowledged just before it, and runs that only the dead master knew of.

    Where the old master only slept, those too that it was sent meanwhile and took in the moment after.
    """
    acknowledged, stock = load.end()
    lost = set(acknowledged) - set(stock)
    print(len(lost), "of", len(acknowledged), "acknowledged pushes lost")
    last = max(died, woke + LAST)
    assert [job for job in lost if not died - LAST <= pushed_at(job) <= last] == []
    load.assert_all_completed(stock)
    load.assert_workers_were_not_replaced()


def pushed_at(job: str) -> float:
    """The pusher's time at the push, in seconds, as the id tells it."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    number = 0
    for character in job:
        number = number << 5 | digits.index(character)
    return (number >> 82) / 1000


def test_a_master_dies_under_sentinel(make_site, sentinel):
    """The replica takes over; nothing acknowledged more than a moment before is lost, no job is in two statuses.

    Every job that is left is completed, once, and no worker has to be started again.
    """
    settings = {**sentinel.settings, **OWN}
    load = Load(make_site(**settings), settings)
    gone = sentinel.kill_master()
    died = time.time()
    sentinel.wait_for_failover(gone)
    load.go_on()
    gone.restart()
    load.go_on()
    assert_only_the_last_moment_is_lost(load, died)


def test_a_master_that_was_only_frozen_wakes_up(make_site, tmp_path):
    """With `min-replicas-to-write` it takes no more pushes than those of a moment, until it has become a replica.

    Without it, all that is pushed to it until the Sentinels notice would be lost: seconds, not a moment.
    """
    careful = {"appendonly": "yes", "min-replicas-to-write": 1, "min-replicas-max-lag": 1}
    with Sentinel(tmp_path / "sentinel", **careful) as sentinel:
        settings = {**sentinel.settings, **OWN}
        load = Load(make_site(**settings), settings)
        died = time.time()
        gone = sentinel.master
        gone.pause()
        sentinel.wait_for_failover(gone)
        gone.resume()
        woke = time.time()
        eventually(sentinel.in_step, what="The end of the old master's reign")
        load.go_on()
        assert_only_the_last_moment_is_lost(load, died, woke)


@pytest.mark.parametrize("key", [OF_THE_QUEUE, OF_NO_QUEUE], ids=["of the queue", "of the list of queues"])
def test_a_master_dies_in_the_cluster(make_site, cluster, key):
    """The same, for the node of the queue and for the one that knows which queues there are."""
    settings = {**cluster.settings, **OWN}
    load = Load(make_site(**settings), settings)
    gone = cluster.kill_master_of(key)
    died = time.time()
    cluster.wait_for_failover(gone)
    load.go_on()
    gone.restart()
    load.go_on()
    assert_only_the_last_moment_is_lost(load, died)


def test_a_slot_moves_under_load(make_site, cluster):
    """Key by key, there and back: the queue waits while its keys are in two places, and loses and doubles nothing."""
    settings = {**cluster.settings, **OWN, "QUEUES_LEASE": 15}
    load = Load(make_site(**settings), settings)
    home = cluster.master_of(OF_THE_QUEUE)
    away = next(node for node in cluster.masters() if node is not home)
    for target in (away, home):
        moved = sum(cluster.migrate(OF_THE_QUEUE, target, 10))
        assert moved > 20
        load.go_on()
    load.assert_nothing_is_lost()
    load.assert_workers_were_not_replaced()


def test_a_cluster_that_does_not_serve_every_slot(make_site, cluster):
    """While a master and its replica are away workers say so, in a sentence; then they go on by themselves."""
    settings = {**cluster.settings, **OWN, "QUEUES_LEASE": 15}
    site = make_site(**settings)
    worker = site.work()
    site.ended(site.push("noop"))
    master = cluster.master_of(OF_THE_QUEUE)
    pair = [node for node in cluster.nodes if node is master or node.do("ROLE")[1:3] == ["127.0.0.1", master.port]]
    assert len(pair) == 2
    for node in pair:
        node.kill()
    with ThreadPoolExecutor() as beside:
        asked = beside.submit(site.run, "status")
        eventually(lambda: "Redis Cluster at 127.0.0.1" in worker.text.partition("\n")[2], what="The complaint")
        done = asked.result()
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + worker.text
    assert len(done.stderr.strip().splitlines()) == 1
    for node in pair:
        node.restart()
    eventually(lambda: unfinished(site.manager) == 0)
    assert site.ended(site.push("noop")).status.final
    assert worker.process.poll() is None
