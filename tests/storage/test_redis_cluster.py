"""What is Redis Cluster's and Sentinel's own: failover, slots on their way, what is caused in another partition."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from flask_queues.backend import build_backend
from flask_queues.errors import ConfigError, StorageUnavailable
from flask_queues.ids import new_id
from flask_queues.record import Outcome, Status
from flask_queues.storage import Storage, storage_for
from flask_queues.storage.redis import RedisStorage
from flask_queues.storage.redis.outbox import Outbox
from flask_queues.storage.values import NewJob, Settlement, Wanted
from flask_queues.testing.storage.contract import LONG, complete, take, take_one, the
from flask_queues.testing.storage.processes import eventually
from tests.support.servers.cluster import Cluster
from tests.support.servers.sentinel import Sentinel

pytestmark = pytest.mark.servers

PREFIX = "jobs"


def job(queue: str = "q", **options: Any) -> NewJob:
    """A job with an id as the manager makes it."""
    return NewJob(**{"id": new_id(f"{queue}:0"), "queue": queue, "type": "t", "payload": "{}", **options})


def opened(settings: dict[str, Any]) -> Storage:
    """The storage of an application with these settings."""
    given = {name.removeprefix("QUEUES_"): value for name, value in settings.items()}
    return storage_for(build_backend(Flask(__name__), {**given, "CACHE_KEY_PREFIX": PREFIX}))


def push_to_many_queues(storage: Storage) -> None:
    """Reach a queue on every node."""
    for n in range(30):
        storage.push([job(f"q{n}")])


def key_of(queue: str) -> str:
    """A key of a queue's partition."""
    return f"{{{PREFIX}:{queue}:0}}:ready"


@pytest.fixture(scope="module")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for all tests here."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """The cluster, empty."""
    running_cluster.empty()
    return running_cluster


@pytest.fixture
def storage(cluster: Cluster) -> Iterator[Storage]:
    """The storage on it."""
    made = opened(cluster.settings)
    yield made
    made.close()


def queues_apart(cluster: Cluster) -> tuple[str, str]:
    """Two queues on different nodes."""
    first = "q0"
    home = cluster.master_of(key_of(first))
    return first, next(f"q{n}" for n in range(1, 99) if cluster.master_of(key_of(f"q{n}")) is not home)


class Pusher(threading.Thread):
    """Pushes one job after another until it is told to stop; keeps the ids of those that were acknowledged."""

    def __init__(self, storage: Storage, queue: str) -> None:
        super().__init__(daemon=True)
        self.storage, self.queue = storage, queue
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.stop = False

    def run(self) -> None:
        """Push."""
        while not self.stop:
            one = job(self.queue)
            try:
                self.storage.push([one])
            except StorageUnavailable as error:
                self.failed.append(str(error))
            else:
                self.acknowledged.append(one.id)
            time.sleep(0.002)


def drain(storage: Storage, queue: str, until: Any) -> list[str]:
    """Claim and complete until nothing is left and `until` says so; returns the ids in their order."""
    done: list[str] = []
    settled: list[Settlement] = []
    while True:
        over = until()
        step = storage.step("w", settled, Wanted([queue], ["t"], LONG, 4, ["t"]))
        assert step.lost == []
        done += [one.id for one in step.claims]
        settled = [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED) for one in step.claims]
        if not step.claims and over:
            return done


class TestOutbox:
    """What a job's end causes on another node."""

    def test_what_follows_elsewhere_is_pushed_by_the_keeper_if_its_worker_died(
        self, cluster: Cluster, storage: Storage
    ) -> None:
        """It stands beside the settled job from the same step on."""
        here, there = queues_apart(cluster)
        storage.push([job(here)])
        next_one = job(there)
        with mock.patch.object(Outbox, "deliver"):
            complete(storage, take_one(storage, here), follows=[next_one])
        assert storage.get(next_one.id) is None

        def delivered() -> bool:
            storage.maintain()
            return storage.get(next_one.id) is not None

        eventually(delivered, "the keeper delivers it")
        assert the(storage, next_one.id).queue == there

    def test_it_leaves_with_a_move_if_its_worker_died(self, cluster: Cluster, storage: Storage) -> None:
        """No keeper is there to deliver it: workers are stopped before."""
        here, there = queues_apart(cluster)
        storage.push([job(here)])
        next_one = job(there)
        with mock.patch.object(Outbox, "deliver"):
            complete(storage, take_one(storage, here), follows=[next_one])
        left: list[str] = []
        while (load := storage.hand_out("elsewhere")) is not None:
            left += [one.id for one in load.jobs]
            storage.let_go(load.number)
        assert next_one.id in left

    def test_it_is_delivered_once_although_the_word_of_it_was_lost(self, cluster: Cluster, storage: Storage) -> None:
        """Even where the job has run and was deleted meanwhile."""
        here, there = queues_apart(cluster)
        storage.push([job(here)])
        next_one = job(there)
        complete(storage, take_one(storage, here), follows=[next_one])
        complete(storage, take_one(storage, there))
        assert storage.delete(next_one.id) is Status.COMPLETED
        assert isinstance(storage, RedisStorage)
        storage._outbox.deliver(here, [next_one])
        assert storage.get(next_one.id) is None

    def test_its_queue_is_known_though_it_was_empty_and_forgotten_a_moment_ago(
        self, cluster: Cluster, storage: Storage
    ) -> None:
        """By another process, while this one still took its name for stored."""
        here, there = queues_apart(cluster)
        first, next_one = job(there), job(there)
        storage.push([job(here), first])
        complete(storage, take_one(storage, there))
        assert storage.delete(first.id) is Status.COMPLETED
        another = opened(cluster.settings)
        another.maintain()
        assert list(another.queues()) == [here]
        complete(storage, take_one(storage, here), follows=[next_one])
        assert list(another.queues()) == [there]
        another.close()

    def test_nothing_is_left_in_the_outbox(self, cluster: Cluster, storage: Storage) -> None:
        """Whoever settled delivers at once."""
        here, there = queues_apart(cluster)
        storage.push([job(here)])
        complete(storage, take_one(storage, here), follows=[job(there, tags=("x",), priority=3, delay=LONG)])
        with cluster.client() as client:
            assert client.exists(f"{{{PREFIX}:{here}:0}}:out") == 0
        assert storage.counts().queues[there]["scheduled"] == 1


class TestCluster:
    """Nodes come and go."""

    def test_queues_are_served_in_their_order_over_nodes(self, cluster: Cluster, storage: Storage) -> None:
        """And a step on its way does the same."""
        first, second = queues_apart(cluster)
        storage.push([job(second), job(first), job(second)])
        assert take_one(storage, "none", first, second).queue == first
        claim = take_one(storage, "none", first, second)
        assert claim.queue == second
        done = Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED)
        pending = storage.begin_step("w", [done], Wanted([first, second], ["t"], LONG, 1, ["t"], True))
        assert pending is not None
        assert [one.queue for one in pending.answer().claims] == [second]
        assert the(storage, claim.id).status is Status.COMPLETED

    def test_a_slot_that_moves_loses_and_doubles_nothing(self, cluster: Cluster, storage: Storage) -> None:
        """While its keys go to another node one by one, the queue waits; then it goes on there."""
        other = opened(cluster.settings)
        storage.push([job() for _ in range(60)])
        before = 60
        pusher = Pusher(other, "q")
        pusher.start()
        source = cluster.master_of(key_of("q"))
        target = next(node for node in cluster.masters() if node is not source)
        moved = threading.Event()
        done: list[str] = []
        worker = threading.Thread(target=lambda: done.extend(drain(storage, "q", moved.is_set)), daemon=True)
        worker.start()
        for _ in cluster.migrate(key_of("q"), target, batch=3):
            time.sleep(0.002)
        pusher.stop = True
        pusher.join(60)
        moved.set()
        worker.join(60)
        assert not worker.is_alive()
        assert cluster.master_of(key_of("q")) is target
        assert pusher.failed == []
        assert len(done) == len(set(done)) == before + len(pusher.acknowledged)
        assert storage.counts().statuses["completed"] == len(done)
        other.close()

    def test_a_record_that_was_evicted_does_not_stop_the_line(self, cluster: Cluster, storage: Storage) -> None:
        """Its slot does not move, so it will not come back."""
        gone, there = job(), job()
        storage.push([gone, there])
        with cluster.client() as client:
            assert client.delete(f"{{{PREFIX}:q:0}}:j:{gone.id}") == 1
        assert [one.id for _ in range(2) for one in take(storage)] == [there.id]

    @pytest.mark.slow
    def test_a_failover_is_survived(self, cluster: Cluster, storage: Storage) -> None:
        """The replica takes over; nothing has to be restarted here."""
        watcher = storage.watcher()
        watcher.changed()
        storage.push([job() for _ in range(5)])
        claim = take_one(storage)
        for node in cluster.masters():
            node.do("WAIT", 1, 2000)
        gone = cluster.kill_master_of(key_of("q"))
        try:
            storage.push([job()])
            assert complete(storage, claim).lost == []
            assert len({take_one(storage).id for _ in range(5)}) == 5
            eventually(watcher.changed, "the watcher tells that it may have missed something")
        finally:
            watcher.close()
            gone.restart()
            eventually(cluster.whole, "the cluster is whole again")

    def test_a_node_that_is_taken_for_a_redis_alone_is_named(self, cluster: Cluster) -> None:
        """At once, and not as a slot that is on its way: most queues are on other nodes, and always will be."""
        for node in cluster.masters():
            storage = opened({"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_PORT": node.port})
            with pytest.raises(ConfigError, match=r"belongs to a cluster\. Set QUEUES_CACHE_TYPE to RedisClusterCache"):
                push_to_many_queues(storage)
            storage.close()

    @pytest.mark.parametrize("replica", [False, True])
    def test_a_node_of_it_as_the_only_server(self, cluster: Cluster, replica: bool) -> None:
        """Whether it has a part of the keys or none that may be changed: the right backend is named."""
        node = next(node for node in cluster.nodes if node.is_replica() is replica)
        url = f"redis://127.0.0.1:{node.port}/0"
        storage = opened({"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_URL": url})
        with pytest.raises(ConfigError, match=r"belongs to a cluster.*RedisClusterCache"):
            storage.counts()

    def test_an_unreachable_cluster_is_told_in_a_sentence(self) -> None:
        """Also where flask-caching connects at once."""
        with pytest.raises(StorageUnavailable, match="cannot be reached"):
            opened({"QUEUES_CACHE_TYPE": "RedisClusterCache", "QUEUES_CACHE_REDIS_CLUSTER": "127.0.0.1:1"})


@pytest.mark.slow
def test_a_failover_of_sentinel_is_survived(tmp_path: Path) -> None:
    """The new master is found, and nothing is written to the old one."""
    with Sentinel(tmp_path, **{"min-replicas-to-write": 0}) as sentinel:
        storage = opened(sentinel.settings)
        watcher = storage.watcher()
        storage.push([job() for _ in range(5)])
        claim = take_one(storage)
        watcher.changed()
        with sentinel.client() as client:
            client.execute_command("WAIT", 1, 2000)
        gone = sentinel.kill_master()
        storage.push([job()])
        assert complete(storage, claim).lost == []
        assert len({take_one(storage).id for _ in range(5)}) == 5
        eventually(watcher.changed, "the watcher tells that it may have missed something")
        sentinel.wait_for_failover(gone)
        assert str(sentinel.master.port) in storage.describe()
        watcher.close()
        storage.close()
