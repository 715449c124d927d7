"""What each kind of entry does to the state, and what it answers to whoever wrote it.

The answer is JSON too: it is kept, so that a process that could not hear it may ask again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from . import moving
from .job import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, SCHEDULED, Job
from .shelves import Line
from .state import State, Worker

#: How far a worker looks past jobs of types that it does not know.
LOOK_PAST = 1000
#: Occurrences that a schedule's history keeps.
OCCURRENCES = 100


class Wanted(NamedTuple):
    """Which jobs a worker would take, as the base contract has it."""

    queues: list[str]
    types: frozenset[str]
    lease: int
    limit: int
    short: frozenset[str]
    behind: bool


class Choice(NamedTuple):
    """What a worker would get now."""

    jobs: list[Job]
    #: Whether they are claimed ahead.
    ahead: bool
    #: What is to be set aside, since no worker knows its type.
    foreign: list[Job]


def apply(state: State, entry: list[Any]) -> Any:
    """Let an entry happen and return its answer."""
    name, _, state.time, kind, *said = entry
    answer = MOVES[kind](state, *said)
    author, _, count = name.partition(".")
    state.authors[author] = (int(count), state.epoch, answer)
    state.last = name
    state.n += 1
    return answer


# Pushes


def push(state: State, jobs: list[list[Any]]) -> list[bool]:
    """Store those jobs that are not there yet."""
    return [push_one(state, *job) for job in jobs]


def push_one(
    state: State,
    id_: str,
    queue: str,
    type_: str,
    payload: str,
    priority: int = 0,
    delay: int = 0,
    at: int | None = None,
    expires: int | None = None,
    tags: Any = (),
    options: str | None = None,
) -> bool:
    """Store one job; False if its id is there already."""
    if id_ in state.shelves.jobs:
        return False
    now = state.time
    due = at if at is not None else now + delay
    status, stamp = (SCHEDULED, due) if due > now else (PENDING, now)
    until = max(due, now) + expires if expires is not None else None
    state.pushes += 1
    state.shelves.add(
        Job(state.pushes, id_, queue, type_, payload, priority, list(tags), options, now, due, until, status, stamp)
    )
    return True


# Settling and claiming


def step(state: State, worker: str, settled: list[list[Any]], wanted: list[Any] | None = None) -> list[Any]:
    """Settle, then claim: `[[[id, token], …], [ids of what was lost], how many were set aside]`."""
    lost = [one[0] for one in settled if not settle(state, *one)]
    if wanted is None:
        return [[], lost, 0]
    want = read_wanted(state, wanted)
    for queue in want.queues:
        promote(state, queue)
    choice = choose(state, want, state.time)
    for job in choice.foreign:
        set_aside(state, job)
    claims = [take(state, job, worker, want.lease, ahead=choice.ahead) for job in choice.jobs]
    return [claims, lost, len(choice.foreign)]


def settle(
    state: State,
    id_: str,
    token: int,
    status: int,
    outcome: str | None = None,
    counted: bool = False,
    delay: int = 0,
    error: str | None = None,
    result: str | None = None,
    reason: str | None = None,
    progress: list[Any] | None = None,
    logs: Any = (),
    alone: bool = False,
    follows: Any = (),
) -> bool:
    """End one claim; False if it is not in force."""
    job = in_hand(state, id_, token)
    if job is None:
        return False
    asked_for = status
    if job.cancel is not None and status in (PENDING, SCHEDULED):
        status, reason = CANCELLED, None
    if status == CANCELLED and reason is None:
        reason = job.cancel
    again = status in (PENDING, SCHEDULED)
    state.shelves.take(job)
    job.status, job.outcome = status, outcome
    job.stamp = job.ended = state.time
    if status == SCHEDULED:
        job.stamp = job.due = state.time + delay
    if outcome is not None:
        job.runs += 1
        job.error, previous = error, job.error
        if again:
            job.close_run()
            job.error = error or previous
    else:
        job.error = error or job.error
    job.attempts += counted
    job.alone = job.alone or alone
    job.result, job.reason, job.cancel = result, reason, None
    job.progress = progress or job.progress
    job.logs += logs
    state.shelves.put(job)
    if status == asked_for:
        push(state, follows)
    return True


def in_hand(state: State, id_: str, token: int) -> Job | None:
    """The job, if this is the token of its claim."""
    job = state.shelves.jobs.get(id_)
    return job if job is not None and job.status == RUNNING and job.token == token else None


def promote(state: State, queue: str) -> None:
    """Make the due jobs of a queue pending."""
    while (line := state.shelves.waiting.get(queue)) and line[0][0] <= state.time:
        job = line[0][-1]
        state.shelves.take(job)
        job.status, job.stamp = PENDING, state.time
        state.shelves.put(job)


def read_wanted(state: State, wanted: list[Any]) -> Wanted:
    """Read what a step says that it wants."""
    queues, types, lease, limit, short, behind = wanted
    return Wanted(queues, state.read_kinds(types), lease, limit, state.read_kinds(short), behind)


def choose(state: State, wanted: Wanted, now: int) -> Choice:
    """Find the first jobs of the first line that has one, and what stands in front and is to be set aside."""
    foreign: list[Job] = []
    for queue in wanted.queues:
        line = state.shelves.lines.get(queue, [])
        jobs = [place[-1] for place in line[: wanted.limit]]
        if any(job.type not in wanted.types for job in jobs):
            jobs, unknown = look_past(state, line, wanted, now)
            foreign += unknown
        if jobs:
            return together(jobs, foreign, wanted)
    return Choice([], False, foreign)


def look_past(state: State, line: Line, wanted: Wanted, now: int) -> tuple[list[Job], list[Job]]:
    """Find what this worker knows behind what it does not, and what no worker knows."""
    head = [place[-1] for place in line[:LOOK_PAST]]
    unknown = {job.type for job in head} - wanted.types
    foreign = {type_ for type_ in unknown if not state.knows(type_, now)}
    known = [job for job in head if job.type in wanted.types]
    return known[: wanted.limit], [job for job in head if job.type in foreign]


def together(jobs: list[Job], foreign: list[Job], wanted: Wanted) -> Choice:
    """Cut the head of a line to what may be claimed in one go."""
    along = list(itertools.takewhile(lambda job: job.type in wanted.short and not job.alone, jobs))
    if wanted.behind:
        return Choice(along, True, foreign)
    return Choice(along or jobs[:1], len(along) > 1, foreign)


def set_aside(state: State, job: Job) -> None:
    """Hold a job, since no worker knows its type."""
    state.shelves.take(job)
    job.held = job.type
    state.shelves.put(job)


def take(state: State, job: Job, worker: str, lease: int, *, ahead: bool = False) -> list[Any]:
    """Claim a job and return its id with the token."""
    state.shelves.take(job)
    state.token += 1
    job.status = RUNNING
    job.stamp = job.started = state.time
    job.token, job.worker, job.lease, job.ahead = state.token, worker, state.time + lease, ahead
    job.held = job.progress = None
    state.shelves.put(job)
    return [job.id, job.token]


def claim(state: State, worker: str, id_: str, lease: int) -> list[Any] | None:
    """Claim one job, whatever its place in the line."""
    job = state.shelves.jobs.get(id_)
    if job is None or job.status in (RUNNING, COMPLETED):
        return None
    if job.status in (FAILED, CANCELLED):
        renew(state, job)
    return take(state, job, worker, lease)


def renew(state: State, job: Job) -> None:
    """Make a job pending as if it were new, with its history."""
    state.shelves.take(job)
    job.close_run()
    job.status, job.attempts = PENDING, 0
    job.stamp = job.due = state.time
    job.reason = job.cancel = job.held = job.expires = None
    state.shelves.put(job)


def note(state: State, id_: str, token: int, progress: list[Any] | None, logs: list[list[Any]]) -> bool:
    """Keep what a running job says."""
    job = in_hand(state, id_, token)
    if job is None:
        return False
    job.progress = progress or job.progress
    job.logs += logs
    return True


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
    jobs = [place[-1] for type_ in types for place in state.shelves.held.get(type_, [])[:limit]]
    for job in jobs:
        state.shelves.take(job)
        job.held = None
        state.shelves.put(job)
    return len(jobs)


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
        state.shelves.take(job)
        job.status, job.stamp, job.reason, job.held = CANCELLED, state.time, reason, None
        state.shelves.put(job)
    return status


def retry(state: State, id_: str) -> int | None:
    """Make a job pending again; answers the status it had."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    status = job.status
    if status in (FAILED, CANCELLED, SCHEDULED):
        renew(state, job)
    return status


def delete(state: State, id_: str) -> int | None:
    """Delete a job unless it runs; answers the status it had."""
    job = state.shelves.jobs.get(id_)
    if job is None:
        return None
    if job.status != RUNNING:
        state.shelves.remove(job)
    return job.status


def purge(state: State, numbers: list[int], until: int, queue: str | None, limit: int) -> int:
    """Delete a slice of the jobs that have been in these statuses since before a moment."""
    jobs = old_ones(state, numbers, until, queue, limit)
    for job in jobs:
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
    "step": step,
    "claim": claim,
    "note": note,
    "beat": heartbeat,
    "forget": forget,
    "release": release,
    "cancel": cancel,
    "retry": retry,
    "delete": delete,
    "purge": purge,
    "schedule": put_schedule,
    "unschedule": delete_schedule,
    "depart": moving.depart,
    "arrive": moving.arrive,
    "let go": moving.let_go,
    "close": close,
}
