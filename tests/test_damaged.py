"""Stored records that cannot be read: shown and settled as failed, one by one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import GatheredJob, Queues, Status
from flask_queues.storage.values import NewJob, Settlement
from flask_queues.testing.storage.contract import take_one

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
