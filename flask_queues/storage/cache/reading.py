"""How what a state holds is read by those who asked."""

from __future__ import annotations

import json

from ...damaged import whole, whole_line
from ...record import (
    Attempt,
    JobError,
    JobRecord,
    LogLine,
    Memory,
    Outcome,
    Progress,
    fields_of_push,
    to_datetime,
)
from ..stops import held_back
from ..values import Claim
from .job import RUNNING, STATUSES, Job
from .state import State
from .work import in_hand


def claim_of(job: Job) -> Claim:
    """The claim in force."""
    assert job.started is not None
    assert job.worker is not None
    return Claim(
        job.id, job.queue, job.type, job.payload, job.options, job.created, job.expires, job.attempts, job.runs,
        job.error, job.cancel, job.token, job.started, job.worker, job.ahead, job.changes, job.along,
    )  # fmt: skip


def record_of(job: Job) -> JobRecord:
    """The job as people read it, as far as it can be read."""
    return whole(lambda: read_record(job), job.id, job.queue, job.type, STATUSES[job.status])


def read_record(job: Job) -> JobRecord:
    """The job as people read it."""
    status = STATUSES[job.status]
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
        attempts=job.attempts,
        history=past,
        worker=job.worker,
        started=to_datetime(job.started) if job.started is not None else None,
        finished=to_datetime(job.stamp) if status.final else None,
        progress=Progress(*job.progress) if job.progress else None,
        error=next((run.error for run in reversed(past) if run.error), None),
        result=json.loads(job.result) if job.result is not None else None,
        reason=job.reason,
        held=held_back(job.held) if job.held else None,
        **fields_of_push(job.options),
    )


def runs_of(job: Job) -> tuple[Attempt, ...]:
    """Every run, with the one in hand."""
    runs = list(job.history)
    if job.status == RUNNING:
        runs.append([job.runs + 1, job.worker, job.started, None, None, None])
    elif job.outcome is not None:
        runs.append(job.last_run())
    return tuple(attempt(*run) for run in runs)


def attempt(
    run: int,
    worker: str,
    started: int,
    ended: int | None,
    outcome: str | None,
    error: str | None,
    memory: list[float] | None = None,
) -> Attempt:
    """Read one run."""
    return Attempt(
        run=run,
        worker=worker,
        started=to_datetime(started),
        ended=to_datetime(ended) if ended is not None else None,
        outcome=Outcome(outcome) if outcome is not None else None,
        error=JobError(*json.loads(error)) if error else None,
        memory=Memory(*memory) if memory else None,
    )


def log_line(time: int, level: str, message: str, context: str | None, run: int) -> LogLine:
    """Read one line of a job's log, as far as it can be read; the context is JSON text."""
    return whole_line(lambda: LogLine(to_datetime(time), level, message, json.loads(context) if context else {}, run))


def ids_in(state: State, worker: str) -> list[str]:
    """The ids of the jobs in one child's hands."""
    return [job.id for _, job in state.shelves.hands.get(worker, ())]


def claims_in(state: State, worker: str) -> list[Claim]:
    """The claims in one child's hands."""
    return [claim_of(job) for _, job in state.shelves.hands.get(worker, ())]


def still_held(state: State, job_id: str, token: int) -> Claim | None:
    """The claim of an answer, unless it is over already."""
    job = in_hand(state, job_id, token)
    return claim_of(job) if job is not None else None
