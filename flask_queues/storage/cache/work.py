"""What pushing, claiming and settling do to a state."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from enum import Enum
from typing import Any, NamedTuple

from .. import values
from ..limits import Limit
from ..stops import raised
from ..unique import END, START, Unique
from . import gates, gathering, stops, uniques
from .job import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, SCHEDULED, Job
from .shelves import Line
from .state import State

#: Where an entry says what makes a job unique.
UNIQUE = values.NewJob._fields.index("unique")
#: How far a worker looks past jobs of types that it does not know.
LOOK_PAST = 1000


class Wanted(NamedTuple):
    """Which jobs a worker would take, as the base contract has it."""

    queues: list[str]
    types: frozenset[str]
    lease: int
    limit: int
    short: frozenset[str]
    behind: bool
    only: bool = False
    along_with: list[Any] | None = None


class Fate(Enum):
    """What became of a settlement."""

    DONE = 0
    #: The claim was not in force.
    LOST = 1
    #: The job has other options by now.
    OUTDATED = 2


class Choice(NamedTuple):
    """What a worker would get now."""

    jobs: list[Job]
    #: Whether they are claimed ahead.
    ahead: bool
    #: What is to be set aside, since no worker knows its type.
    foreign: list[Job]


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
    unique: list[Any] | None = None,
    limits: Any = (),
    batch: str | None = None,
    gather: list[Any] | None = None,
) -> bool:
    """Store one job; False if its id is there already."""
    if id_ in state.shelves.jobs:
        return False
    if unique and not uniques.make_room(state, queue, Unique(*unique), id_):
        return False
    now = state.time
    due = at if at is not None else now + delay
    status, stamp = (SCHEDULED, due) if due > now else (PENDING, now)
    until = max(due, now) + expires if expires is not None else None
    state.pushes += 1
    if unique:
        uniques.hold(state, queue, Unique(*unique), id_, now)
    place = (status, stamp)
    job = Job(state.pushes, id_, queue, type_, payload, priority, list(tags), options, now, due, until, *place)
    job.unique, job.limits, job.batch = unique, list(limits), batch
    job.gather = gather[0] if gather and status == SCHEDULED else None
    state.shelves.add(job)
    if gather and status == SCHEDULED:
        gathering.join(state, queue, *gather)
    return True


def step(state: State, worker: str, settled: list[list[Any]], wanted: list[Any] | None = None) -> list[Any]:
    """Settle, then claim.

    `[[[id, token], …], [ids of what was lost], how many were set aside, [[id, token], … of what was outdated]]`, the
    last where there is some.
    """
    fates = [(settle(state, *one), one[:2]) for one in settled]
    lost = [which[0] for fate, which in fates if fate is Fate.LOST]
    outdated = [which for fate, which in fates if fate is Fate.OUTDATED]
    return [*claim_next(state, worker, wanted, lost), *([outdated] if outdated else ())]


def claim_next(state: State, worker: str, wanted: list[Any] | None, lost: list[str]) -> list[Any]:
    """Claim what a worker wants: claims, what was lost, and how many were set aside."""
    if wanted is None:
        return [[], lost, 0]
    want = read_wanted(state, wanted)
    for queue in want.queues:
        promote(state, queue)
    if state.gates:
        gates.let_through(state)
    along = come_along(state, want, state.time)
    if along is not None:
        return [[take(state, job, worker, want.lease, ahead=True, along=True) for job in along], lost, 0]
    choice = choose(state, want, state.time)
    aside = len(choice.foreign)
    for job in choice.foreign:
        set_aside(state, job)
    while (wall := at_gate(state, choice, want.behind)) is not None and aside <= LOOK_PAST:
        gates.set_aside(state, choice.jobs[0], *wall)
        choice = choose(state, want, state.time)
        aside += 1 + len(choice.foreign)
        for job in choice.foreign:
            set_aside(state, job)
    if wall is not None:
        return [[], lost, aside]
    claims = [take(state, job, worker, want.lease, ahead=choice.ahead) for job in choice.jobs]
    return [claims, lost, aside]


def come_along(state: State, wanted: Wanted, now: int) -> list[Job] | None:
    """The jobs that may come along with the claim that a worker names; None where it names none that has a place."""
    if wanted.along_with is None:
        return None
    first = in_hand(state, *wanted.along_with)
    if first is not None and (first.along or not first.limits):
        return None
    if first is None or stops.is_stopped(state, first.queue, "", now):
        return []
    types = wanted.types - stops.asleep(state, first.queue, now)
    return [job for job in gates.alike(state, first) if job.type in types and not job.alone][: wanted.limit]


def at_gate(state: State, choice: Choice, behind: bool) -> tuple[Limit, int] | None:
    """The gate at which the first job has to wait, and until when; what is claimed behind another is under no limit."""
    return gates.closed(state, choice.jobs[0], state.time) if choice.jobs and not behind else None


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
    stop: int = 0,
    if_cancelled: list[list[Any]] | None = None,
    changes: int = 0,
    memory: list[float] | None = None,
) -> Fate:
    """End one claim, if it is in force and its job's options are those that were heeded."""
    job = in_hand(state, id_, token)
    if job is None or job.changes != changes:
        return Fate.LOST if job is None else Fate.OUTDATED
    if job.cancel is not None and status in (PENDING, SCHEDULED):
        status, reason = CANCELLED, None
    reason = why(job, status, reason, if_cancelled)
    pushes = follows if if_cancelled is None or job.cancel is None else if_cancelled
    again = status in (PENDING, SCHEDULED)
    gates.leave(state, job)
    state.shelves.take(job)
    job.status, job.outcome = status, outcome
    job.stamp = job.ended = state.time
    if status == SCHEDULED:
        job.stamp = job.due = state.time + delay
    if outcome is None:
        job.error = error or job.error
    else:
        end_run(job, error, memory, again=again)
    job.attempts += counted
    job.alone = job.alone or alone
    job.result, job.reason, job.cancel = result, reason, None
    job.progress = progress or job.progress
    job.logs += logs
    state.shelves.put(job)
    if job.unique and not again:
        uniques.free(state, job, END)
    if stop:
        stops.extend(state, job.queue, stop, raised(id_))
    if not again:
        push(state, pushes)
    return Fate.DONE


def end_run(job: Job, error: str | None, memory: list[float] | None, *, again: bool) -> None:
    """Keep what became of a run; of one that is followed by another, the job keeps the last error there was."""
    job.runs += 1
    job.error, previous = error, job.error
    job.memory = memory
    if again:
        job.close_run()
        job.error = error or previous


def why(job: Job, status: int, reason: str | None, if_cancelled: Any) -> str | None:
    """Why a job ends: in the words of whoever asked for that, where it has none of its own."""
    asked = job.cancel if status == CANCELLED or if_cancelled is not None else None
    return asked if reason is None else reason


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
    queues, types, lease, limit, short, *more = wanted
    return Wanted(queues, state.read_kinds(types), lease, limit, state.read_kinds(short), *more)


def choose(state: State, wanted: Wanted, now: int) -> Choice:
    """Find the first jobs of the first line that has one, and what stands in front and is to be set aside."""
    foreign: list[Job] = []
    for queue in wanted.queues:
        if stops.is_stopped(state, queue, "", now):
            continue
        asleep = stops.asleep(state, queue, now)
        line = state.shelves.lines.get(queue, [])
        jobs = [place[-1] for place in line[: wanted.limit]]
        if any(job.type not in wanted.types or job.type in asleep for job in jobs):
            jobs, unknown = look_past(state, line, wanted, now, asleep)
            foreign += [] if wanted.only else unknown
        if jobs:
            return together(jobs, foreign, wanted)
    return Choice([], False, foreign)


def look_past(
    state: State, line: Line, wanted: Wanted, now: int, asleep: frozenset[str]
) -> tuple[list[Job], list[Job]]:
    """Find what this worker may claim behind what it may not, and what no worker knows or is `asleep`."""
    head = [place[-1] for place in line[:LOOK_PAST]]
    unknown = {job.type for job in head} - wanted.types - asleep
    foreign = asleep | {type_ for type_ in unknown if not state.knows(type_, now)}
    known = [job for job in head if job.type in wanted.types and job.type not in asleep]
    return known[: wanted.limit], [job for job in head if job.type in foreign]


def together(jobs: list[Job], foreign: list[Job], wanted: Wanted) -> Choice:
    """Cut the head of a line to what may be claimed in one go."""
    along = list(itertools.takewhile(lambda job: job.type in wanted.short and not job.alone and not job.limits, jobs))
    if wanted.behind:
        return Choice(along, True, foreign)
    return Choice(along or jobs[:1], len(along) > 1, foreign)


def set_aside(state: State, job: Job) -> None:
    """Hold a job, since no worker knows its type."""
    state.shelves.take(job)
    job.held = job.type
    state.shelves.put(job)


def take(state: State, job: Job, worker: str, lease: int, *, ahead: bool = False, along: bool = False) -> list[Any]:
    """Claim a job and return its id with the token."""
    state.shelves.take(job)
    state.token += 1
    job.status = RUNNING
    job.stamp = job.started = state.time
    job.token, job.worker, job.lease, job.ahead = state.token, worker, state.time + lease, ahead
    job.along = along
    job.held = job.progress = None
    job.hurried = 0
    state.shelves.put(job)
    if job.unique:
        uniques.free(state, job, START)
    if not along:
        gates.enter(state, job)
    return [job.id, job.token]


def push_unique(state: State, job: list[Any]) -> str:
    """Store one job, and answer who holds its key: itself where it is stored."""
    stored = push_one(state, *job) or job[0] in state.shelves.jobs
    other = None if stored else uniques.holder(state, job[1], job[UNIQUE][0], state.time)
    return str(other or job[0])


def claim(state: State, worker: str, id_: str, lease: int) -> list[Any] | str | None:
    """Claim one job, whatever its place in the line; answers the id of another that holds its key."""
    job = state.shelves.jobs.get(id_)
    if job is None or job.status in (RUNNING, COMPLETED):
        return None
    if job.status in (FAILED, CANCELLED) and (other := uniques.taken_by(state, job, state.time)):
        return other
    if job.status in (FAILED, CANCELLED):
        renew(state, job)
    return take(state, job, worker, lease)


def renew(state: State, job: Job, delay: int = 0) -> None:
    """Make a job pending or scheduled as if it were new, with its history."""
    if job.unique:
        uniques.hold(state, job.queue, Unique(*job.unique), job.id, state.time)
    state.shelves.take(job)
    job.close_run()
    job.status, job.attempts = SCHEDULED if delay else PENDING, 0
    job.stamp = job.due = state.time + delay
    job.reason = job.cancel = job.held = job.expires = None
    job.hurried = 0
    state.shelves.put(job)


def note(state: State, id_: str, token: int, progress: list[Any] | None, logs: list[list[Any]]) -> bool:
    """Keep what a running job says."""
    job = in_hand(state, id_, token)
    if job is None:
        return False
    job.progress = progress or job.progress
    job.logs += logs
    return True


def keep(state: State, id_: str, token: int, text: str) -> bool:
    """Keep a text of a running job."""
    job = in_hand(state, id_, token)
    if job is not None:
        job.kept = text
    return job is not None


def claimable(state: State, wanted: values.Wanted, now: int) -> bool:
    """Whether a step that settles nothing would do anything."""
    moment = gates.first_open(state) if state.gates else None
    if moment is not None and moment <= now:
        return True
    due = (state.shelves.waiting.get(queue) for queue in wanted.queues)
    if any(line and line[0][0] <= now for line in due):
        return True
    sets = {"types": frozenset(wanted.types), "short": frozenset(wanted.short)}
    along_with = list(wanted.along_with) if wanted.along_with else None
    want = Wanted(**{**wanted._asdict(), **sets, "queues": list(wanted.queues), "along_with": along_with})
    if (along := come_along(state, want, now)) is not None:
        return bool(along)
    choice = choose(state, want, now)
    return bool(choice.jobs or choice.foreign)


def has_one(state: State, queue: str, types: Collection[str], now: int) -> bool:
    """Whether the head of a line holds a job of these types, none of which is stopped."""
    if stops.is_stopped(state, queue, "", now):
        return False
    types = set(types) - stops.asleep(state, queue, now)
    line = state.shelves.lines.get(queue, [])
    return any(place[-1].type in types for place in line[:LOOK_PAST])
