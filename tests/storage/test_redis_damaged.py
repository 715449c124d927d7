"""What has been written over on a Redis: it is told as damaged, and takes nobody else down."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from flask_queues.moving import move
from flask_queues.record import LogLine, Outcome, Status, WorkerRecord
from flask_queues.storage.limits import CONCURRENCY, Limit
from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite.database import Database
from flask_queues.storage.unique import Unique
from flask_queues.storage.values import Query, Settlement, Wanted
from flask_queues.testing.storage.contract import take_one
from tests.support.redis_jobs import job, opened
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("text", [b"no record", b"", b"\xff\xfe", b"a\tb\tc\nd"])
def test_a_record_of_which_nothing_can_be_read_is_found_and_deleted(server: RedisServer, text: bytes) -> None:
    """By its id, in whatever list it is; and the others are as before."""
    storage = opened(server.settings)
    jobs = [job(tags=("x",)) for _ in range(4)]
    storage.push(jobs)
    storage.cancel(jobs[3].id, "why")
    client: Any = server.client()
    for one in jobs[2:]:
        (key,) = client.keys(f"*j:{one.id}")
        client.set(key, text)
        record = storage.get(one.id)
        assert record is not None
        assert (record.type, record.error is not None) == ("t", True)
    assert storage.cancel(jobs[2].id, "why") is Status.PENDING
    assert storage.retry(jobs[2].id) is Status.CANCELLED
    assert [storage.delete(one.id) for one in jobs[2:]] == [Status.PENDING, Status.CANCELLED]
    assert [record.id for record in storage.page(Query(oldest=True)).jobs] == [jobs[0].id, jobs[1].id]
    assert storage.counts().statuses["pending"] == 2


def test_the_oldest_are_deleted_with_those_of_which_nothing_can_be_read(server: RedisServer) -> None:
    """A purge takes them along."""
    storage = opened(server.settings)
    jobs = [job(tags=("x",)) for _ in range(3)]
    storage.push(jobs)
    client: Any = server.client()
    for one, text in zip(jobs, (b"a\nb", b"\xff", b"\n{"), strict=True):
        (key,) = client.keys(f"*j:{one.id}")
        client.set(key, text)
    assert storage.purge([Status.PENDING]) == 3
    assert storage.counts().statuses["pending"] == 0


@pytest.mark.parametrize("text", [b"soon", b"{", b"\xff", b"5\t{", b"5\t[]"])
def test_damaged_lines_and_workers_are_told_as_such(server: RedisServer, text: bytes) -> None:
    """Between the others, and nobody waits for the types of such a worker."""
    storage = opened(server.settings)
    storage.push([job()])
    claim = take_one(storage)
    moment = datetime.now(timezone.utc)
    storage.note(claim.id, claim.token, logs=[LogLine(moment, "info", word, {}, 1) for word in ("one", "two")])
    for name in ("dead:1:1", "here:1:1"):
        storage.heartbeat(
            WorkerRecord(name=name, host="h", pid=1, started=moment, heartbeat=moment, queues=(), types=("t",)), 30_000
        )
    client: Any = server.client()
    (log,) = client.keys(f"*l:{claim.id}")
    client.lset(log, 0, text)
    (workers,) = client.keys("*workers")
    client.hset(workers, "dead:1:1", text)
    assert ["cannot be read" in line.message for line in storage.logs(claim.id)] == [True, False]
    assert [worker.damage != "" for worker in storage.workers()] == [True, False]
    assert storage.pending(["q"], ["t"]) is False
    storage.push([job(type="nobody's")])
    assert storage.step("w", (), Wanted(("q",), ("t",), 30_000)).claims == []


@pytest.mark.parametrize("text", [b"soon", b"", b"\xff", b"1\t2"])
def test_a_claim_that_cannot_be_read_is_given_back_like_that_of_the_dead(server: RedisServer, text: bytes) -> None:
    """The lists, the workers and the keeper's look at stalled jobs go on, and the job runs again."""
    storage = opened(server.settings)
    jobs = [job(), job()]
    storage.push(jobs)
    claim = take_one(storage)
    client: Any = server.client()
    (run,) = client.keys("*:run")
    client.hset(run, claim.id, text)
    assert {record.id for record in storage.page(Query()).jobs} == {one.id for one in jobs}
    assert storage.workers() == []
    storage.stalled()
    (found,) = storage.stalled()
    assert (found.id, found.type) == (claim.id, "t")
    assert storage.step("keeper", [Settlement(found.id, found.token, Status.PENDING, Outcome.LOST)]).lost == []
    assert {take_one(storage).id for _ in jobs} == {one.id for one in jobs}


@pytest.mark.parametrize("text", [b"no record", b"\xff"])
def test_damaged_jobs_move_and_are_damaged_where_they_arrive(server: RedisServer, tmp_path: Path, text: bytes) -> None:
    """Whatever of them is damaged; a damaged key or limit is left behind."""
    storage = opened(server.settings)
    jobs = [job(), job(unique=Unique("k")), job(limits=[Limit(CONCURRENCY, "k", 1)])]
    storage.push(jobs)
    client: Any = server.client()
    (key,) = client.keys(f"*j:{jobs[0].id}")
    client.set(key, text)
    for name, one in (("keys", jobs[1]), ("limits", jobs[2])):
        (key,) = client.keys(f"*:{name}")
        client.hset(key, one.id, text)
    target = SQLiteStorage(Database(tmp_path / "jobs.sqlite3"))
    assert sum(len(load.jobs) for load in move(storage, target)) == 3
    assert storage.page(Query()).jobs == ()
    arrived = {record.id: record.error is not None for record in target.page(Query()).jobs}
    assert arrived == {jobs[0].id: True, jobs[1].id: False, jobs[2].id: False}
