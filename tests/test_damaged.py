"""Stored records that cannot be read: shown and settled as failed, one by one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import GatheredJob, Queues, Status
from flask_queues.batches.book import shard_of
from flask_queues.moving import move
from flask_queues.record import ChildRecord, LogLine, Outcome, WorkerRecord
from flask_queues.storage import Storage
from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite.database import Database
from flask_queues.storage.values import NewJob, Query, Settlement
from flask_queues.testing.storage.contract import everything, new, take_one

BROKEN = [
    {"options": "{"},
    {"options": '{"chain":'},
    {"options": '{"tries":1e308,"timeout":1e308}'},
    {"options": '{"occurrence":1e308}'},
]


class Digest(GatheredJob):
    """Gathers what it gets."""

    type = "digest"
    window = 1

    def handle(self, payloads: list[dict[str, Any]]) -> None: ...


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(Digest)

    @queues.job("mail", tries=5)
    def mail(text: str = "") -> None: ...

    return queues


@pytest.mark.parametrize("said", BROKEN)
@pytest.mark.parametrize("job_type", ["mail", "digest"])
def test_a_job_whose_options_cannot_be_read_fails_at_once(queues: Queues, said: dict[str, Any], job_type: str) -> None:
    """It takes no try more, and nobody down with it."""
    with queues.fake() as fake:
        jobs = [NewJob(job_id, "default", job_type, '{"text":"x"}') for job_id in ("a", "b", "c")]
        jobs[1] = jobs[1]._replace(**said)
        queues.manager.storage.push(jobs)
        fake.drain(raises=False)
        records = {job.id: job for job in queues.jobs_of().jobs}
        assert {job_id: job.status for job_id, job in records.items()} == {
            "a": Status.COMPLETED,
            "b": Status.FAILED,
            "c": Status.COMPLETED,
        }
        assert "cannot be read" in str(records["b"].error)


def test_a_gathered_job_whose_payload_is_no_json_fails_alone(queues: Queues) -> None:
    """The others of its window run together."""
    with queues.fake() as fake:
        payloads = ['{"text":"x"}', "{", '{"text":"y"}']
        queues.manager.storage.push([NewJob(f"{n}", "default", "digest", text) for n, text in enumerate(payloads)])
        fake.drain(raises=False)
        ends = {job.id: job.status for job in queues.jobs_of().jobs}
        assert ends == {"0": Status.COMPLETED, "1": Status.SCHEDULED, "2": Status.COMPLETED}


def test_a_time_that_is_none_keeps_nobody_from_a_list(queues: Queues, tmp_path: Path) -> None:
    """As after a page of the disk was lost."""
    with queues.manager.app.app_context():
        handles = [queues.push("mail") for _ in range(3)]
        with closing(sqlite3.connect(next(tmp_path.glob("**/*.sqlite3")))) as file, file:
            file.execute("UPDATE jobs SET created='soon', error='{' WHERE id=?", (handles[1].id,))
        assert len(queues.jobs_of().jobs) == 3
        assert [handle.record.error is None for handle in handles] == [True, False, True]


@pytest.mark.parametrize("column", ["limits", "uniq", "tags"])
def test_what_holds_a_job_back_and_cannot_be_read_holds_nobody_back(
    queues: Queues, tmp_path: Path, column: str
) -> None:
    """It is claimed, ends and is deleted as if it had none."""
    with queues.manager.app.app_context():
        first = queues.push("mail", unique="k", concurrency=1, tags=["x"])
        second = queues.push("mail")
        with closing(sqlite3.connect(next(tmp_path.glob("**/*.sqlite3")))) as file, file:
            file.execute(f"UPDATE jobs SET {column}='{{' WHERE id=?", (first.id,))
        storage = queues.manager.storage
        claims = [take_one(storage, "default", types=["mail"]) for _ in range(2)]
        assert [claim.id for claim in claims] == [first.id, second.id]
        assert storage.step("w", [Settlement(claim.id, claim.token, Status.FAILED) for claim in claims]).lost == []
        storage.retry(first.id)
        assert storage.delete(first.id) is Status.PENDING


NOW = datetime(2030, 1, 2, tzinfo=timezone.utc)
#: What a foreign hand, or a lost page, may leave in a column.
GARBAGE: list[Any] = ["{", b"\xff\xfe", 2**62, 1.5, -5]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with three jobs, of which the middle one has failed once and waits again, with a log, and a worker."""
    path = tmp_path / "jobs.sqlite3"
    storage = SQLiteStorage(Database(path))
    storage.push([new(name, tags=("x",)) for name in "abc"])
    claim = storage.claim("host:1:2", "b", 30_000)
    assert claim is not None
    storage.note("b", claim.token, logs=[LogLine(NOW, "info", word, {}, 1) for word in ("one", "two")])
    storage.step("host:1:2", [Settlement("b", claim.token, Status.PENDING, Outcome.FAILED, error='["E","m",""]')])
    for name in ("dead:1:1", "here:1:1"):
        children = (ChildRecord(name=f"{name}.1", pid=2),)
        about = WorkerRecord(name=name, host="h", pid=1, started=NOW, heartbeat=NOW, queues=("q",), children=children)
        storage.heartbeat(about, 30_000)
    storage.close()
    return path


def damage(path: Path, table: str, column: str, value: Any, where: str) -> Storage:
    """Write something into a column, and open the file."""
    with closing(sqlite3.connect(path)) as file, file:
        assert file.execute(f"UPDATE {table} SET {column}=? WHERE {where}", (value,)).rowcount
    return SQLiteStorage(Database(path))


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize(
    "column",
    ["status", "stamp", "due", "created", "attempts", "runs", "started", "outcome", "history", "priority", "tags",
     "payload", "options", "progress", "uniq", "limits"],
)  # fmt: skip
def test_a_damaged_column_takes_no_list_and_no_move_down(file: Path, tmp_path: Path, column: str, value: Any) -> None:
    """The others are listed, and all of them arrive in another storage."""
    source = damage(file, "jobs", column, value, "id='b'")
    assert {"a", "c"} <= {job.id for job in source.page(Query()).jobs}
    assert {"a", "c"} <= {job.id for job in source.page(Query(oldest=True)).jobs}
    for limit in (1, 50):
        assert {"a", "c"} <= {job.id for job in everything(source, limit, line=["q"])}
    assert {"a", "c"} <= source.places("q", ["a", "b", "c"]).keys()
    assert len(source.places("q", ["b"])) <= 1
    assert source.get("b") is not None
    target = SQLiteStorage(Database(tmp_path / "other.sqlite3"))
    assert sum(len(load.jobs) for load in move(source, target)) == 3
    assert source.page(Query()).jobs == ()
    assert {job.id for job in target.page(Query()).jobs} == {"a", "b", "c"}


@pytest.mark.parametrize("column", ["attempts", "tags", "worker", "reason", "priority"])
def test_a_record_of_another_shape_is_told_as_damaged(file: Path, column: str) -> None:
    """Also where it can be read as something: nobody who shows it stumbles."""
    value = "[1]" if column == "tags" else b"\xff"
    record = damage(file, "jobs", column, value, "id='a'").get("a")
    assert record is not None
    assert "cannot be read" in str(record.error)


@pytest.mark.parametrize("value", ["{", "[]", b"\xff", 5])
def test_a_job_whose_past_is_damaged_arrives_and_runs(file: Path, tmp_path: Path, value: Any) -> None:
    """Its payload is whole; its log says that the past is lost."""
    source = damage(file, "jobs", "history", value, "id='b'")
    target = SQLiteStorage(Database(tmp_path / "other.sqlite3"))
    assert list(move(source, target))
    moved = target.get("b")
    assert moved is not None
    assert (moved.error, moved.status) == (None, Status.PENDING)
    *before, last = target.logs("b")
    assert [line.message for line in before] == ["one", "two"]
    assert "cannot be read" in last.message


@pytest.mark.parametrize(
    ("column", "value"), [("time", "soon"), ("time", 2**62), ("context", "{"), ("context", "[]"), ("message", None)]
)
def test_a_damaged_line_of_a_log_says_so_between_the_others(file: Path, column: str, value: Any) -> None:
    """Wherever it is read: alone, and in a move."""
    storage = damage(file, "logs", column, value, "n=1")
    first, second = storage.logs("b")
    assert ("cannot be read" in first.message, second.message) == (True, "two")


@pytest.mark.parametrize(
    ("column", "value"),
    [("about", "{"), ("about", '{"host":"h"}'), ("about", "[]"), ("about", b"\xff"), ("heartbeat", "soon")],
)
def test_a_damaged_worker_is_shown_as_damaged_until_its_next_sign_of_life(file: Path, column: str, value: Any) -> None:
    """It counts as one that serves nothing, and the other is seen."""
    storage = damage(file, "workers", column, value, "name='dead:1:1'")
    dead, here = storage.workers()
    assert "cannot be read" in dead.damage
    assert (dead.name, dead.serves("q"), here.damage, here.serves("q")) == ("dead:1:1", False, "", True)
    storage.heartbeat(here, 30_000)
    storage.heartbeat(WorkerRecord(name="dead:1:1", host="h", pid=1, started=NOW, heartbeat=NOW, queues=()), 30_000)
    assert [worker.damage for worker in storage.workers()] == ["", ""]


def test_a_damaged_batch_can_be_given_up_and_hides_no_other(queues: Queues) -> None:
    """It is told like one whose key is gone."""
    with queues.manager.app.app_context():
        whole, damaged = (queues.batch([("mail", {"text": "x"})], name=name).push() for name in ("whole", "damaged"))
        storage = queues.manager.storage
        lists = next(iter(storage.sheets([shard_of(damaged.id)])))
        assert storage.write_sheets(
            (lists, storage.sheets([lists])[lists]), {f"batch:{damaged.id}": "{", lists: storage.sheets([lists])[lists]}
        )
        assert [record.name for record in queues.batches.all()[0]] == ["whole"]
        assert queues.batches.closed() == [damaged.id]
        queues.manager.give_up_batch(damaged.id)
        assert queues.batches.open() == 1
        assert whole.record.name == "whole"


@pytest.mark.parametrize("column", ["until", "since", "reason"])
def test_a_damaged_stop_closes_nothing_but_its_queue(queues: Queues, tmp_path: Path, column: str) -> None:
    """Whoever looks sees that it is there."""
    app = queues.manager.app
    with app.app_context():
        queues.manager.pause("slow", reason="why")
        with closing(sqlite3.connect(next(tmp_path.glob("**/*.sqlite3")))) as stored, stored:
            stored.execute(f"UPDATE stops SET {column}=?", (b"\xff" if column == "reason" else 2**62,))
        said = app.test_cli_runner().invoke(args=["queues", "status"])
        assert (said.exit_code, "slow" in said.output) == (0, True)


def test_a_stop_of_which_nobody_can_read_its_end_lasts_until_somebody_ends_it(file: Path) -> None:
    """Better held back than run against somebody's word."""
    storage: Storage = SQLiteStorage(Database(file))
    storage.stop("q", lasts=60_000, reason="why", by="ada")
    storage.close()
    storage = damage(file, "stops", "until", "soon", "queue='q'")
    (stop,) = storage.stops()
    assert (stop.queue, stop.until, stop.reason) == ("q", None, "why")
    assert storage.go_on("q")
    assert take_one(storage).id == "a"


def test_a_damaged_worker_is_told_at_the_terminal_and_to_programs(queues: Queues, tmp_path: Path) -> None:
    """With the word for it, and its name."""
    app = queues.manager.app
    with app.app_context():
        queues.manager.storage.heartbeat(
            WorkerRecord(name="dead:1:1", host="h", pid=1, started=NOW, heartbeat=NOW, queues=()), 30_000
        )
        with closing(sqlite3.connect(next(tmp_path.glob("**/*.sqlite3")))) as stored, stored:
            stored.execute("UPDATE workers SET about='{'")
        said = app.test_cli_runner().invoke(args=["queues", "status"])
        assert (said.exit_code, "dead:1:1" in said.output, "damaged" in said.output) == (0, True, True)
        (worker,) = json.loads(app.test_cli_runner().invoke(args=["queues", "status", "--json"]).output)["workers"]
        assert (worker["status"], "cannot be read" in worker["damage"]) == ("damaged", True)
