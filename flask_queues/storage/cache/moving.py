"""What the entries do by which jobs leave for another storage, and arrive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...record import Memory, Outcome, Progress
from ..parcels import Load, Parcel, Run, SchedulePost
from ..unique import Unique, holds
from ..values import Occurrence
from . import uniques
from .job import NUMBERS, RUNNING, STATUSES, Job
from .reading import log_line
from .state import State
from .words import line_words

#: Characters after which a load is full, however few its jobs are.
FULL = 4_000_000


def has_some(state: State) -> bool:
    """Whether anything could leave."""
    return bool(state.schedules) or any(job.status != RUNNING for job in state.shelves.jobs.values())


def depart(state: State, to: str, limit: int) -> int:
    """Take all schedules and the first jobs out, unless a load is kept; answers the number of the load that is."""
    if state.leaving is None:
        jobs = list(first_ones(state, limit))
        for job in jobs:
            uniques.free(state, job, "gone")
            state.shelves.remove(job)
        posts = [
            SchedulePost(name, queue, about, tuple(Occurrence(*one) for one in past))
            for name, (queue, about, _, past) in sorted(state.schedules.items())
        ]
        state.changes += len(posts)
        state.schedules.clear()
        state.loads += 1
        load = Load(state.loads, tuple(map(parcel_of, jobs)), tuple(posts))
        state.leaving = (load.number, to, load.dump())
    return state.leaving[0]


def first_ones(state: State, limit: int) -> Iterator[Job]:
    """The jobs that were pushed first, until they make a load."""
    size = 0
    for job in islice((job for job in state.shelves.jobs.values() if job.status != RUNNING), limit):
        yield job
        size += len(job.payload) + sum(len(line[2]) for line in job.logs)
        if size > FULL:
            return


def arrive(state: State, source: str, text: str) -> int:
    """Put a load in, unless it has arrived before; answers how many of its jobs were new."""
    load = Load.parse(text)
    if state.arrived.get(source, 0) >= load.number:
        return 0
    state.arrived[source] = load.number
    for post in load.schedules:
        if post.name not in state.schedules:
            state.changes += 1
            past = [list(one) for one in post.occurrences]
            state.schedules[post.name] = (post.queue, post.about, state.changes, past)
    new = [parcel for parcel in load.jobs if parcel.id not in state.shelves.jobs]
    for parcel in new:
        state.pushes += 1
        state.shelves.add(job_of(state.pushes, parcel))
        if parcel.unique:
            take_key(state, parcel, Unique(*parcel.unique))
    return len(new)


def take_key(state: State, parcel: Parcel, unique: Unique) -> None:
    """Let a unique job hold its key here, if it still does and nobody else has it."""
    still = holds(
        unique,
        final=parcel.status.final,
        started=parcel.started is not None,
        created=parcel.created,
        now=state.time,
        reason=parcel.reason,
    )
    if still and uniques.holder(state, parcel.queue, unique.key, state.time) is None:
        uniques.hold(state, parcel.queue, unique, parcel.id, parcel.created)


def let_go(state: State, number: int) -> bool:
    """Forget the load with this number."""
    if state.leaving is None or state.leaving[0] != number:
        return False
    state.leaving = None
    return True


def parcel_of(job: Job) -> Parcel:
    """Write a job as another storage can read it."""
    past = list(job.history)
    if job.outcome is not None:
        past.append(job.last_run())
    return Parcel(
        id=job.id, queue=job.queue, type=job.type, payload=job.payload, options=job.options, priority=job.priority,
        tags=tuple(job.tags), status=STATUSES[job.status], since=job.stamp, created=job.created, due=job.due,
        expires=job.expires, attempts=job.attempts, runs=tuple(run_of(*run) for run in past), worker=job.worker,
        started=job.started, progress=Progress(*job.progress) if job.progress else None, result=job.result,
        reason=job.reason, alone=job.alone, logs=tuple(log_line(*line) for line in job.logs), kept=job.kept,
        unique=tuple(job.unique) if job.unique else None, limits=tuple(tuple(one) for one in job.limits),
        changes=job.changes,
    )  # fmt: skip


def run_words(run: Run) -> list[Any]:
    """Write a run as the history has it."""
    words = [*run[:4], run.outcome.value, run.error]
    return [*words, list(run.memory)] if run.memory else words


def run_of(
    run: int, worker: str, started: int, ended: int, outcome: str, error: str | None, memory: list[float] | None = None
) -> Run:
    """Read a run of the history."""
    return Run(run, worker, started, ended, Outcome(outcome), error, Memory(*memory) if memory else None)


def job_of(seq: int, parcel: Parcel) -> Job:
    """Read what another storage wrote."""
    return Job(
        seq=seq, id=parcel.id, queue=parcel.queue, type=parcel.type, payload=parcel.payload, priority=parcel.priority,
        tags=list(parcel.tags), options=parcel.options, created=parcel.created, due=parcel.due, expires=parcel.expires,
        status=NUMBERS[parcel.status], stamp=parcel.since, attempts=parcel.attempts,
        runs=parcel.runs[-1].run if parcel.runs else 0, alone=parcel.alone, worker=parcel.worker,
        started=parcel.started, error=parcel.last_error, reason=parcel.reason,
        progress=list(parcel.progress) if parcel.progress else None, result=parcel.result,
        history=[run_words(run) for run in parcel.runs],
        logs=[line_words(line) for line in parcel.logs], kept=parcel.kept,
        unique=list(parcel.unique) if parcel.unique else None, limits=[list(one) for one in parcel.limits],
        changes=parcel.changes,
    )  # fmt: skip
