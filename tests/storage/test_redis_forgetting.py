"""Queues that hold nothing any more are forgotten, at no moment at which somebody pushes to one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from flask_queues.errors import StorageUnavailable
from flask_queues.record import Status
from flask_queues.storage import Storage
from flask_queues.storage.redis import forgetting
from flask_queues.storage.redis.names import QueueNames
from flask_queues.storage.values import Occurrence, Query, Schedule
from flask_queues.testing.storage.contract import LONG, complete, ids, take, take_one
from tests.support.redis_jobs import PREFIX, job, key_of, opened
from tests.support.servers.cluster import Cluster
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.servers

NAMES = f"{{{PREFIX}}}:queues"


@pytest.fixture(scope="module", params=["redis", "cluster"])
def running_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One Redis, then a cluster."""
    kind: Any = {"redis": RedisServer, "cluster": Cluster}[request.param]
    with kind(tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def server(running_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server, empty; queues to forget are looked for each time."""
    monkeypatch.setattr(forgetting, "EVERY", 0.0)
    running_server.empty()
    return running_server


@pytest.fixture
def storage(server: Any) -> Iterator[Storage]:
    """The storage on it."""
    made = opened(server.settings)
    yield made
    made.close()


def names(server: Any) -> set[str]:
    """The names that are stored."""
    with server.client() as client:
        return {str(name) for name in client.smembers(NAMES)}


def keys_of(server: Any, queue: str) -> list[str]:
    """What a queue keeps."""
    with server.client() as client:
        found = client.keys(key_of(queue, "*"), target_nodes="primaries") if isinstance(server, Cluster) else (
            client.keys(key_of(queue, "*"))
        )  # fmt: skip
        return [str(key) for key in found]


def use(storage: Storage, queue: str) -> None:
    """Push a job, run it, and delete it."""
    storage.push([job(queue)])
    claim = take_one(storage, queue)
    complete(storage, claim)
    assert storage.delete(claim.id) is Status.COMPLETED


def test_names_used_once_are_forgotten(server: Any, storage: Storage) -> None:
    """Nothing is kept of them."""
    for n in range(20):
        use(storage, f"user-{n}")
    storage.maintain()
    assert names(server) == set()
    assert [key for n in range(20) for key in keys_of(server, f"user-{n}")] == []


def test_what_a_queue_holds_keeps_it(server: Any, storage: Storage) -> None:
    """A job in any status, a schedule, a load that is on its way."""
    storage.push([job("pending"), job("scheduled", delay=LONG), job("running"), job("completed"), job("cancelled")])
    take_one(storage, "running")
    complete(storage, take_one(storage, "completed"))
    storage.cancel(storage.page(Query(queue="cancelled")).jobs[0].id, "")
    storage.put_schedule(Schedule("s", "schedule", "{}"))
    storage.push([job("leaving")])
    if isinstance(server, RedisServer):
        before = names(server)
        storage.maintain()
        assert names(server) == before
        storage.hand_out("elsewhere")
    before = names(server)
    storage.maintain()
    assert names(server) == before
    assert {"pending", "scheduled", "running", "completed", "cancelled", "schedule", "leaving"} <= before


def test_a_deleted_schedule_does_not_keep_it(server: Any, storage: Storage) -> None:
    """And a namesake in the forgotten queue gets a revision of its own."""
    first = storage.put_schedule(Schedule("s", "q", "{}"), [], [Occurrence(1, 0, "fired")])
    assert storage.delete_schedule(Schedule("s", "q", "{}", first))
    storage.maintain()
    assert names(server) == set()
    seen = storage.schedules_changed()
    second = storage.put_schedule(Schedule("s", "q", "{}"))
    assert second > first
    assert storage.schedules_changed() != seen
    assert [one.revision for one in storage.schedules()] == [second]


def test_a_forgotten_queue_begins_anew(server: Any, storage: Storage) -> None:
    """Everybody sees what is pushed to it, and no claim has the token of an earlier one."""
    other = opened(server.settings)
    storage.push([job()])
    first = take_one(storage)
    complete(storage, first)
    storage.delete(first.id)
    other.maintain()
    again = job()
    storage.push([again])
    assert other.queues() == ["q"]
    claim = take_one(other)
    assert claim.id == again.id
    assert claim.token > first.token
    assert ids(storage.claims_of("w")) == [again.id]
    other.close()


def test_what_is_put_into_a_queue_that_another_process_has_forgotten_is_seen(server: Any, storage: Storage) -> None:
    """At once: a pause and a schedule too, by a process that has just stored the name itself."""
    other = opened(server.settings)
    for queue in ("paused", "planned"):
        use(storage, queue)
    other.maintain()
    assert names(server) == set()
    storage.stop("paused")
    assert storage.put_schedule(Schedule("nightly", "planned", "{}"))
    assert [stop.queue for stop in other.stops()] == ["paused"]
    assert [one.queue for one in other.schedules()] == ["planned"]
    assert other.schedules_changed() > 0
    other.close()


def test_pushes_at_the_same_moment_are_not_lost(server: Any, storage: Storage) -> None:
    """While the queue is emptied and forgotten again and again, whatever is pushed is found."""
    pushed: list[str] = []
    over = threading.Event()

    def push() -> None:
        mine = opened(server.settings)
        for _ in range(150):
            one = job()
            mine.push([one])
            pushed.append(one.id)
        mine.close()
        over.set()

    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    done: list[str] = []
    while True:
        last = over.is_set()
        claims = take(storage, *storage.queues(), limit=8, short=["t"]) if storage.queues() else []
        for claim in claims:
            complete(storage, claim)
            storage.delete(claim.id)
            done.append(claim.id)
        storage.maintain()
        if last and not claims:
            break
    thread.join(60)
    assert sorted(done) == sorted(pushed)


def test_on_a_cluster_a_pusher_may_die_before_it_stores_the_name_again(
    server: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked at once more later, and the job is found."""
    if not isinstance(server, Cluster):
        pytest.skip("on one server the push and the name are one step")
    pusher = opened(server.settings)
    use(pusher, "q")
    storage.maintain()
    assert names(server) == set()
    dies = mock.patch.object(QueueNames, "add", side_effect=[None, StorageUnavailable("dies here")])
    with dies, pytest.raises(StorageUnavailable):
        pusher.push([job()])
    assert storage.queues() == []
    storage.maintain()
    assert storage.queues() == []
    monkeypatch.setattr(forgetting, "SETTLED_AFTER", -1)
    storage.maintain()
    assert storage.queues() == ["q"]
    pusher.close()
