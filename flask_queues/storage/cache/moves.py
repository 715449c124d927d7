"""What each kind of entry does to the state, and what it answers to whoever wrote it.

The answer is JSON too: it is kept, so that a process that could not hear it may ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import figures, gates, moving, stops, uniques
from .job import CANCELLED, FAILED, PENDING, RUNNING, SCHEDULED, Job
from .state import State, Worker
from .work import claim, keep, note, push, push_unique, renew, step

#: Occurrences that a schedule's history keeps.
OCCURRENCES = 100


def apply(state: State, entry: list[Any]) -> Any:
    """Let an entry happen and return its answer."""
    name, _, state.time, kind, *said = entry
    answer = MOVES[kind](state, *said)
    author, _, count = name.partition(".")
    state.authors[author] = (int(count), state.epoch, answer)
    state.last = name
    state.n += 1
    return answer


# The keeper


def heartbeat(
    state: State,
    name: str,
    lease: int,
    about: dict[str, Any] | None,
    children: list[list[Any]] | None,
    memory: list[Any],
) -> None:
    """Keep a worker's description, of which the entry has what has changed, and extend its claims."""
    worker = state.workers.setdefault(name, Worker(0, {"types": []}, []))
    worker.heartbeat = state.time
    if about is not None:
        worker.about = about
    if children is not None:
        worker.children = children
    for child, size in zip(worker.children, memory, strict=False):
        child[2] = size
    for child in worker.children:
        for _, job in state.shelves.hands.get(child[0], ()):
            job.lease = state.time + lease


def forget(state: State, name: str) -> None:
    """Take a worker off the list."""
    state.workers.pop(name, None)


def release(state: State, types: list[str], limit: int) -> int:
    """Put a slice of the held jobs of each type back into their lines."""
    jobs = [job for type_ in types for job in awake(state, type_, state.time)[:limit]]
    for job in jobs:
        stops.let_go(state, job)
    return len(jobs) + gates.mend(state)


def awake(state: State, type_: str, now: int) -> list[Job]:
    """The held jobs of a type in queues where it is not stopped."""
    jobs = [place[-1] for place in state.shelves.held.get(type_, [])]
    return [job for job in jobs if not stops.is_stopped(state, job.queue, type_, now)]


# The operator


def cancel(state: State, id_: str, reason: str) -> int | None:
    """Cancel a waiting job, or leave word with a running one; answers the status it had."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    status = job.status
    if status == RUNNING:
        job.cancel = reason
    elif status in (PENDING, SCHEDULED):
        uniques.end(state, job, reason)
    return status


def retry(state: State, id_: str, delay: int = 0) -> int | str | None:
    """Make a job pending again, or scheduled; answers the status it had, or the id of who holds its key by now."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    status = job.status
    if status in (FAILED, CANCELLED) and (other := uniques.taken_by(state, job, state.time)):
        return other
    if status in (FAILED, CANCELLED, SCHEDULED):
        renew(state, job, delay)
    return status


def hurry(state: State, id_: str) -> int | None:
    """Let a job that waits stand before all others of its line; answers the status it had."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    status = job.status
    if status in (PENDING, SCHEDULED):
        line = state.shelves.lines.get(job.queue)
        first = line[0][-1].hurried if line else 0
        state.shelves.take(job)
        if status == SCHEDULED:
            job.status, job.stamp, job.due = PENDING, state.time, min(job.due, state.time)
        job.held, job.hurried = None, first + 1
        state.shelves.put(job)
    return status


def rewrite(state: State, id_: str, instead: dict[str, str]) -> bool:
    """Put other texts in the place of those that are stored of a job."""
    job = state.shelves.jobs.get(id_)
    if job is not None:
        job.say(instead)
    return job is not None


def change_payload(state: State, id_: str, payload: str, before: str) -> int | bool | None:
    """Write a job's payload unless it runs; answers the status it had, False where it is not this text any more."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    if job.status != RUNNING:
        if job.payload != before:
            return False
        job.payload = payload
    return job.status


def change_options(state: State, id_: str, options: str | None) -> int | None:
    """Write a job's options; answers the status that it has."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    job.options = options
    job.changes += 1
    return job.status


def delete(state: State, id_: str) -> int | None:
    """Delete a job unless it runs; answers the status it had."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    if job.status != RUNNING:
        uniques.free(state, job, "gone")
        state.shelves.remove(job)
    return job.status


def purge(state: State, numbers: list[int], until: int, queue: str | None, limit: int) -> int:
    """Delete a slice of the jobs that have been in these statuses since before a moment."""
    jobs = old_ones(state, numbers, until, queue, limit)
    for job in jobs:
        uniques.free(state, job, "gone")
        state.shelves.remove(job)
    return len(jobs)


def old_ones(state: State, numbers: list[int], until: int, queue: str | None, limit: int) -> list[Job]:
    """Find some of those jobs."""
    jobs: list[Job] = []
    for key in sorted(state.shelves.lists):
        if key[2] in numbers and queue in (None, key[0]):
            line = state.shelves.lists[key][: limit - len(jobs)]
            jobs += [job for stamp, _, job in line if stamp <= until]
    return jobs


def drop(state: State, number: int, ids: list[str]) -> int:
    """Delete those of these jobs that are still in a status."""
    jobs = [job for job in map(state.shelves.jobs.get, ids) if job is not None and job.status == number]
    for job in jobs:
        uniques.free(state, job, "gone")
        state.shelves.remove(job)
    return len(jobs)


def forget_tallies(state: State, batches: list[str]) -> None:
    """Count these batches no more."""
    for batch in batches:
        state.shelves.tallies.pop(batch, None)


# Schedules


def put_schedule(
    state: State,
    name: str,
    queue: str,
    about: str,
    revision: int,
    jobs: list[list[Any]],
    occurrences: list[list[Any]],
) -> int:
    """Write a schedule over the revision that it names; answers the new one, 0 where another is stored."""
    stored = state.schedules.get(name, (queue, "", 0, []))
    if (stored[0], stored[2]) != (queue, revision):
        return 0
    state.changes += 1
    added = [[due, state.time, outcome, job] for due, outcome, job in occurrences]
    state.schedules[name] = (queue, about, state.changes, [*stored[3], *added][-OCCURRENCES:])
    push(state, jobs)
    return state.changes


def delete_schedule(state: State, name: str, queue: str, revision: int) -> bool:
    """Delete a schedule of this revision."""
    stored = state.schedules.get(name)
    if stored is None or (stored[0], stored[2]) != (queue, revision):
        return False
    state.changes += 1
    del state.schedules[name]
    return True


def close(state: State) -> bool:
    """End the epoch."""
    state.close_epoch()
    return True


MOVES: dict[str, Callable[..., Any]] = {
    "push": push,
    "push unique": push_unique,
    "step": step,
    "claim": claim,
    "note": note,
    "keep": keep,
    "beat": heartbeat,
    "forget": forget,
    "release": release,
    "cancel": cancel,
    "retry": retry,
    "hurry": hurry,
    "rewrite": rewrite,
    "payload": change_payload,
    "options": change_options,
    "delete": delete,
    "purge": purge,
    "drop": drop,
    "untally": forget_tallies,
    "schedule": put_schedule,
    "unschedule": delete_schedule,
    "depart": moving.depart,
    "arrive": moving.arrive,
    "let go": moving.let_go,
    "stop": stops.stop,
    "go on": stops.go_on,
    "sheets": figures.write,
    "close": close,
}
