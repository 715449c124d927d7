"""What the pages tell of a job."""

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flask_queues import BatchNotFound, BatchRecord, JobNotFound, JobRecord, Status
from flask_queues.shapes import job_fields

from .database import Row
from .extensions import queues

if TYPE_CHECKING:
    from flask_queues.record import LogLine


def record(job_id: str | None) -> JobRecord | None:
    """The record, or None once it is cleared: what is needed later is in the application's own tables."""
    if job_id is None:
        return None
    try:
        return queues.find(job_id)
    except JobNotFound:
        return None


def batch(batch_id: str | None) -> BatchRecord | None:
    """A batch with its counts, or None once it is forgotten."""
    if batch_id is None:
        return None
    try:
        return queues.batches.find(batch_id)
    except BatchNotFound:
        return None


def with_records(rows: Iterable[Row]) -> list[tuple[Row, JobRecord | None]]:
    """Rows with the records of their jobs; rows that need no job any more cost nothing."""
    return [(row, None if row["state"] in ("ready", "sent") else record(row["job_id"])) for row in rows]


def log(job_id: str | None) -> "list[LogLine]":
    try:
        return queues.logs(job_id) if job_id else []
    except JobNotFound:
        return []


def saying(job: JobRecord | None) -> str:
    """Where a job stands, in a few words: "waiting", "72 % · medium", "tries again in 12 s"."""
    if job is None or job.status is Status.PENDING:
        return "waiting"
    if job.status is Status.RUNNING:
        return f"{job.progress.percent:.0f} % · {job.progress.message}" if job.progress else "running"
    if job.status is Status.SCHEDULED:
        verb = "tries again" if job.attempts else "starts"
        return f"{verb} in {max(0, round((job.due - datetime.now(timezone.utc)).total_seconds()))} s"
    return str(job.status)


def name_of(job: JobRecord) -> str:
    return str(queues.manager.name_of(job.type))


def masked(job: JobRecord) -> dict[str, Any]:
    """A job as the panel's JSON tells it: what its type hides is hidden, wherever it is repeated."""
    return job_fields(queues.manager, job)


def outcome(job: JobRecord) -> str:
    """What came of it, or why nothing did."""
    fields = masked(job)
    if fields["error"] and job.status is not Status.COMPLETED:
        return f"{fields['error']['type']}: {fields['error']['message']}"
    return str(fields["reason"] or fields["result"] or fields["held"] or "")
