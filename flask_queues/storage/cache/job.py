"""A job in memory, and how it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from ...record import Attempt, JobError, JobRecord, LogLine, Outcome, Progress, Status, to_datetime, to_milliseconds
from ..base import Claim

#: Statuses by the number that stands for each in the log.
STATUSES = (
    Status.PENDING,
    Status.RUNNING,
    Status.SCHEDULED,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
)
NUMBERS = {status: number for number, status in enumerate(STATUSES)}
PENDING, RUNNING, SCHEDULED, COMPLETED, FAILED, CANCELLED = range(6)


@dataclass(slots=True, eq=False)
class Job:
    """What is known of a job. Times are milliseconds; texts of JSON stay texts."""

    #: The order of pushes.
    seq: int
    id: str
    queue: str
    type: str
    payload: str
    priority: int
    tags: list[str]
    options: str | None
    created: int
    due: int
    expires: int | None
    status: int
    #: Since when it is pending, running or final; when it is due, if scheduled.
    stamp: int
    attempts: int = 0
    runs: int = 0
    alone: bool = False
    #: From here on: the claim in force, or the last.
    token: int = 0
    worker: str | None = None
    lease: int = 0
    ahead: bool = False
    started: int | None = None
    #: Of the last run, as are `outcome` and `error`.
    ended: int | None = None
    outcome: str | None = None
    error: str | None = None
    #: Why somebody asked to cancel it while it ran.
    cancel: str | None = None
    reason: str | None = None
    #: The job type that no worker knew.
    held: str | None = None
    progress: list[Any] | None = None
    result: str | None = None
    #: A list for each run but the last: its number, worker, start, end, outcome and error.
    history: list[list[Any]] = field(default_factory=list)
    #: A list for each line: its time, level, message, context and run.
    logs: list[list[Any]] = field(default_factory=list)

    def row(self) -> tuple[Any, ...]:
        """Everything, as `Job` takes it."""
        row: tuple[Any, ...] = ROW(self)
        return row

    def close_run(self) -> None:
        """Put the run that ended last into the history."""
        if self.outcome is not None:
            self.history.append([self.runs, self.worker, self.started, self.ended, self.outcome, self.error])
            self.outcome = None


ROW = attrgetter(*[one.name for one in fields(Job)])


def claim_of(job: Job) -> Claim:
    """The claim in force."""
    assert job.started is not None
    assert job.worker is not None
    return Claim(
        job.id, job.queue, job.type, job.payload, job.options, job.created, job.expires, job.attempts, job.runs,
        job.error, job.cancel, job.token, job.started, job.worker, job.ahead,
    )  # fmt: skip


def record_of(job: Job) -> JobRecord:
    """The job as people read it."""
    status = STATUSES[job.status]
    chosen = json.loads(job.options) if job.options else {}
    past = runs_of(job)
    return JobRecord(
        id=job.id,
        type=job.type,
        queue=job.queue,
        status=status,
        payload=json.loads(job.payload),
        priority=job.priority,
        tags=tuple(job.tags),
        created=to_datetime(job.created),
        due=to_datetime(job.due),
        expires=to_datetime(job.expires) if job.expires is not None else None,
        tries=chosen.get("tries"),
        timeout=chosen.get("timeout"),
        backoff=tuple(chosen["backoff"]) if "backoff" in chosen else None,
        attempts=job.attempts,
        history=past,
        worker=job.worker,
        started=to_datetime(job.started) if job.started is not None else None,
        finished=to_datetime(job.stamp) if status.final else None,
        progress=Progress(*job.progress) if job.progress else None,
        error=next((run.error for run in reversed(past) if run.error), None),
        result=json.loads(job.result) if job.result is not None else None,
        reason=job.reason,
        held=f"No worker that looked at it knows the job type {job.held}." if job.held else None,
    )


def runs_of(job: Job) -> tuple[Attempt, ...]:
    """Every run, with the one in hand."""
    runs = list(job.history)
    if job.status == RUNNING:
        runs.append([job.runs + 1, job.worker, job.started, None, None, None])
    elif job.outcome is not None:
        runs.append([job.runs, job.worker, job.started, job.ended, job.outcome, job.error])
    return tuple(attempt(*run) for run in runs)


def attempt(run: int, worker: str, started: int, ended: int | None, outcome: str | None, error: str | None) -> Attempt:
    """Read one run."""
    return Attempt(
        run=run,
        worker=worker,
        started=to_datetime(started),
        ended=to_datetime(ended) if ended is not None else None,
        outcome=Outcome(outcome) if outcome is not None else None,
        error=JobError(*json.loads(error)) if error else None,
    )


def log_line(time: int, level: str, message: str, context: str | None, run: int) -> LogLine:
    """Read one line of a job's log; the context is JSON text."""
    return LogLine(to_datetime(time), level, message, json.loads(context) if context else {}, run)


def line_words(line: LogLine) -> list[Any]:
    """What an entry says of a line that a job logged."""
    context = json.dumps(line.context, ensure_ascii=False, separators=(",", ":")) if line.context else None
    return [to_milliseconds(line.time), line.level, line.message, context, line.run]
