"""Who holds the keys of unique jobs."""

from __future__ import annotations

from ..unique import END, TIME, Unique, replaced
from .job import CANCELLED, PENDING, SCHEDULED, Job
from .state import State


def unique_of(job: Job) -> Unique | None:
    """What makes a job unique."""
    return Unique(*job.unique) if job.unique else None


def holder(state: State, queue: str, key: str, now: int) -> str | None:
    """The id of the job that holds a key; None where it is free."""
    found = state.uniques.get(queue, {}).get(key)
    return None if found is None or (found[1] is not None and found[1] <= now) else found[0]


def hold(state: State, queue: str, unique: Unique, job_id: str, now: int) -> None:
    """Let a job hold its key."""
    expires = now + unique.lasts if unique.until == TIME else None
    state.uniques.setdefault(queue, {})[unique.key] = [job_id, expires]


def free(state: State, job: Job, at: str) -> None:
    """A job has come so far (`start`, `end`, `gone`) that it may have to let go of its key."""
    unique = unique_of(job)
    if unique is None or not unique.released(at):
        return
    keys = state.uniques.get(job.queue, {})
    if keys.get(unique.key, [None])[0] == job.id:
        del keys[unique.key]
    if not keys:
        state.uniques.pop(job.queue, None)


def make_room(state: State, queue: str, unique: Unique, job_id: str) -> bool:
    """Whether a unique job may be stored; one that waits in its place goes where it asks for that."""
    other = holder(state, queue, unique.key, state.time)
    if other is None:
        return True
    waiting = state.shelves.jobs.get(other)
    if not unique.replace or (waiting is not None and waiting.status not in (PENDING, SCHEDULED)):
        return False
    if waiting is not None:
        end(state, waiting, replaced(job_id))
    return True


def end(state: State, job: Job, reason: str) -> None:
    """Cancel a waiting job."""
    state.shelves.take(job)
    job.status, job.stamp, job.reason, job.held = CANCELLED, state.time, reason, None
    state.shelves.put(job)
    free(state, job, END)


def taken_by(state: State, job: Job, now: int) -> str | None:
    """The id of another job that holds an ended job's key, so that it cannot go back into its line."""
    unique = unique_of(job)
    other = holder(state, job.queue, unique.key, now) if unique else None
    return other if other != job.id else None
