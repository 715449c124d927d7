"""The words in which the contract is written: a push, a claim, an end, a look."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import Any

from ....record import ChildRecord, JobRecord, LogLine, Outcome, Status, WorkerRecord
from ....storage import Storage
from ....storage.values import Claim, NewJob, Query, Settlement, Step, Wanted

#: A lease that outlives every test.
LONG = 600_000
#: A lease, delay or age that a test waits for, and within which a busy machine gets to the next line.
SHORT = 1000
LATER = SHORT + 20

#: Ways to ask for a list of jobs of queue `q`, type `t` and tag `x`.
UNTAGGED: list[dict[str, Any]] = [{}, {"queue": "q"}, {"type": "t"}, {"queue": "q", "type": "t"}]
TAGGED: list[dict[str, Any]] = [{"tag": "x"}, {"tag": "x", "queue": "q"}]
UNINDEXED: list[dict[str, Any]] = [{"queue": "q", "type": "rare"}, {"tag": "x", "type": "rare"}]

TEXTS = [
    "Grüße aus Köln",
    "日本語のテキスト",
    "family 👨‍👩‍👧‍👦 and flag 🇺🇳",
    "שלום \u202b עולם \u202c مرحبا",
    "nothing\x00after",
    "lines\u2028and\x85others\u2029and\x1ctoo",
    "quotes ' \" \\ % ; -- {} []",
]


def new(job_id: str, **options: Any) -> NewJob:
    """A job of queue `q` and type `t`, where nothing else is said."""
    return NewJob(**{"id": job_id, "queue": "q", "type": "t", "payload": "{}", **options})


def fill(storage: Storage, *ids: str, **options: Any) -> None:
    """Push a job for each id."""
    storage.push([new(job_id, **options) for job_id in ids])


def take(
    storage: Storage,
    *queues: str,
    types: Collection[str] = ("t",),
    lease: int = LONG,
    limit: int = 1,
    short: Collection[str] = (),
    behind: bool = False,
    worker: str = "w",
) -> list[Claim]:
    """Claim from these queues."""
    return storage.step(worker, (), Wanted(queues or ("q",), types, lease, limit, short, behind)).claims


def take_one(storage: Storage, *queues: str, **options: Any) -> Claim:
    """Claim one job, which must be there."""
    (claim,) = take(storage, *queues, **options)
    return claim


def settle(storage: Storage, claim: Claim, status: Status, outcome: Outcome | None = None, **more: Any) -> Step:
    """Settle one claim and take no other."""
    return storage.step(claim.worker, [Settlement(claim.id, claim.token, status, outcome, **more)])


def complete(storage: Storage, claim: Claim, **more: Any) -> Step:
    """Settle a claim as completed."""
    return settle(storage, claim, Status.COMPLETED, Outcome.COMPLETED, counted=True, **more)


def fail(storage: Storage, claim: Claim, **more: Any) -> Step:
    """Settle a claim as failed for good."""
    return settle(storage, claim, Status.FAILED, Outcome.FAILED, counted=True, **more)


def the(storage: Storage, job_id: str) -> JobRecord:
    """The job, which must be there."""
    record = storage.get(job_id)
    assert record is not None
    return record


def line(message: str, run: int = 1, level: str = "info", context: dict[str, Any] | None = None) -> LogLine:
    """A line of a log."""
    return LogLine(datetime(2030, 1, 2, 3, 4, 5, 678_000, timezone.utc), level, message, context or {}, run)


def error_text(message: str, kind: str = "builtins.ValueError", trace: str = "") -> str:
    """An error as the JSON text in which the storage gets it."""
    return json.dumps([kind, message, trace], ensure_ascii=False)


def everything(storage: Storage, limit: int = 200, **filters: Any) -> list[JobRecord]:
    """Walk all pages of a list."""
    found: list[JobRecord] = []
    after: str | None = None
    while True:
        page = storage.page(Query(**filters, limit=limit, after=after))
        assert len(page.jobs) <= limit
        found += page.jobs
        after = page.after
        if after is None:
            return found


def ids(records: Sequence[Any]) -> list[str]:
    """The ids of records or claims."""
    return [record.id for record in records]


def in_status(storage: Storage, job_id: str, status: Status, **options: Any) -> Claim | None:
    """Push a job and bring it into a status; returns the claim it had last."""
    queue = f"way of {job_id}"
    storage.push([new(job_id, queue=queue, delay=3_600_000 if status is Status.SCHEDULED else 0, **options)])
    if status in (Status.PENDING, Status.SCHEDULED):
        return None
    claim = take_one(storage, queue, types=[options.get("type", "t")])
    if status is not Status.RUNNING:
        outcome = {Status.COMPLETED: Outcome.COMPLETED, Status.FAILED: Outcome.FAILED}.get(status)
        settle(storage, claim, status, outcome or Outcome.CANCELLED, counted=True)
    return claim


def counted(storage: Storage) -> dict[tuple[str, str, str], int]:
    """What `counts` should say, by walking through all jobs."""
    return dict(Counter((job.queue, job.type, job.status.value) for job in everything(storage)))


def a_worker(name: str, *children: str, **about: Any) -> WorkerRecord:
    """A worker with these children, whose own clock is years behind."""
    old = datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
    return WorkerRecord(
        **{
            "name": name,
            "host": "höst",
            "pid": 7,
            "started": old,
            "heartbeat": old,
            "queues": ("q", "r"),
            "version": "1.2",
            "release": "2026.11:β",
            "children": tuple(ChildRecord(name=child, pid=8, memory=12.5) for child in children),
            **about,
        }
    )
