"""Records that the server has evicted, or somebody has deleted: nothing is left of their jobs, and nobody stumbles."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_queues.errors import StorageUnavailable
from flask_queues.record import Status
from flask_queues.storage import Storage
from flask_queues.storage.values import Query, Settlement, Wanted
from flask_queues.testing.storage.contract import LONG, complete, ids, take, take_one
from flask_queues.testing.storage.processes import eventually
from tests.support.redis_jobs import job, key_of, opened
from tests.support.servers.cluster import Cluster
from tests.support.servers.proxy import Proxy
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=["redis", "cluster"])
def running_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One Redis, then a cluster."""
    kind: Any = {"redis": RedisServer, "cluster": Cluster}[request.param]
    with kind(tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def server(running_server: Any) -> Any:
    """The server, empty."""
    running_server.empty()
    return running_server


@pytest.fixture
def storage(server: Any) -> Iterator[Storage]:
    """The storage on it."""
    made = opened(server.settings)
    yield made
    made.close()


def evict(server: Any, *job_ids: str) -> None:
    """Delete the records of jobs as a full server does."""
    with server.client() as client:
        for job_id in job_ids:
            assert client.delete(key_of("q", f"j:{job_id}")) == 1


def nothing_is_left(storage: Storage) -> bool:
    """Whether the counts, the lists and the workers agree that there is no job."""
    return not any(storage.counts().statuses.values()) and not storage.page(Query()).jobs


class TestGone:
    """On one server, and on a cluster whose slots stay where they are."""

    def test_a_claim_that_has_run_out_is_dropped(
        self, server: Any, storage: Storage, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The others are rescued; it is said once, and nothing is counted that is not there."""
        storage.push([job(), job()])
        gone, there = take(storage, lease=1, limit=2, short=["t"])
        evict(server, gone.id)
        with caplog.at_level(logging.WARNING):
            eventually(lambda: ids(storage.stalled()) == [there.id], "the other one is rescued")
            assert ids(storage.stalled()) == [there.id]
        assert [gone.id in record.getMessage() for record in caplog.records] == [True]
        assert storage.counts().statuses["running"] == 1

    def test_the_claims_of_a_dead_child(self, server: Any, storage: Storage) -> None:
        """What it held and is gone is not handed to whoever buries it."""
        storage.push([job(), job()])
        gone, there = take(storage, limit=2, short=["t"])
        evict(server, gone.id)
        assert ids(storage.claims_of("w")) == [there.id]
        assert complete(storage, there).lost == []
        assert storage.counts().statuses["running"] == 0

    def test_a_settlement_is_told_as_lost(self, server: Any, storage: Storage) -> None:
        """It does not make a record of its own out of the end alone."""
        storage.push([job()])
        claim = take_one(storage)
        evict(server, claim.id)
        assert complete(storage, claim).lost == [claim.id]
        assert storage.get(claim.id) is None
        assert nothing_is_left(storage)

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED, Status.COMPLETED])
    def test_a_job_on_a_list_is_not_shown_and_is_deleted_with_the_others(
        self, server: Any, storage: Storage, status: Status
    ) -> None:
        """Retention is not held up by it."""
        jobs = [job(delay=LONG if status is Status.SCHEDULED else 0) for _ in range(3)]
        storage.push(jobs)
        if status is Status.COMPLETED:
            for claim in take(storage, limit=3, short=["t"]):
                complete(storage, claim)
        evict(server, jobs[0].id, jobs[1].id)
        assert [one.id for one in storage.page(Query()).jobs] == [jobs[2].id]
        assert storage.purge([status]) == 3
        assert nothing_is_left(storage)


def test_a_claim_whose_answer_was_lost_and_whose_record_is_gone(tmp_path: Path) -> None:
    """Neither the step that asks again nor the next one stumbles over it; the line goes on."""
    with RedisServer(tmp_path) as server, Proxy(server.port) as network:
        storage = opened({**server.settings, "QUEUES_CACHE_REDIS_URL": f"redis://127.0.0.1:{network.port}/0"})
        gone, there = job(), job()
        storage.push([gone, there])
        network.drop_replies(1000, to=b"EVAL")
        with pytest.raises(StorageUnavailable):
            storage.step("w", (), Wanted(["q"], ["t"], LONG))
        network.drop_replies(0)
        evict(server, gone.id)
        assert [one.id for _ in range(2) for one in storage.step("w", (), Wanted(["q"], ["t"], LONG)).claims] == [
            there.id
        ]
        assert storage.counts().statuses["running"] == 1
        storage.close()


def test_a_record_on_its_way_to_another_node_is_waited_for(tmp_path: Path) -> None:
    """While its slot moves, a claim whose record is on the other node already is in force; nothing is dropped."""
    with Cluster(tmp_path) as cluster:
        storage = opened(cluster.settings)
        storage.push([job(), job()])
        claims = take(storage, lease=1, limit=2, short=["t"])
        eventually(lambda: len(storage.stalled()) == 2, "both have run out")
        source = cluster.master_of(key_of("q"))
        target = next(node for node in cluster.masters() if node is not source)
        slot = source.do("CLUSTER", "KEYSLOT", key_of("q"))
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        source.do("MIGRATE", "127.0.0.1", target.port, key_of("q", f"j:{claims[0].id}"), 0, 5000)
        with pytest.raises(StorageUnavailable, match="moving the queue"):
            storage.stalled()
        sum(cluster.migrate(key_of("q"), target))
        assert sorted(ids(storage.stalled())) == sorted(ids(claims))
        lost = [Settlement(one.id, one.token, Status.COMPLETED) for one in claims]
        assert storage.step("w", lost).lost == []
        storage.close()
