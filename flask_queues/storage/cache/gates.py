"""What entries do to the gates of limits."""

from __future__ import annotations

from typing import Any

from ..limits import AGAIN, NEVER, RATE, Gate, Limit, bounded, left, opens, passed, room
from .job import Job
from .state import State
from .stops import let_go


def gate_of(state: State, queue: str, limit: Limit, now: int) -> Gate:
    """The gate of a limit; one that is not there has not been passed yet."""
    found = state.gates.get(queue, {}).get(limit.gate)
    return bounded(limit, Gate(*found[0]), now) if found else Gate()


def put(state: State, queue: str, limit: Limit, gate: Gate, moment: int | None = None) -> None:
    """Keep a gate, and the moment at which somebody has to look at it."""
    gates = state.gates.setdefault(queue, {})
    before = gates.get(limit.gate)
    if moment is None and before is not None:
        moment = before[2]
    gates[limit.gate] = [list(gate), list(limit), moment]


def closed(state: State, job: Job, now: int) -> tuple[Limit, int] | None:
    """The first gate that a job cannot pass now, and when it opens."""
    for one in job.limits:
        limit = Limit(*one)
        moment = opens(limit, gate_of(state, job.queue, limit, now), now)
        if moment:
            return limit, moment
    return None


def set_aside(state: State, job: Job, limit: Limit, moment: int) -> None:
    """Let a job wait at a gate."""
    put(state, job.queue, limit, gate_of(state, job.queue, limit, state.time), moment if moment < NEVER else None)
    state.shelves.take(job)
    job.held = limit.gate
    state.shelves.put(job)


def enter(state: State, job: Job) -> None:
    """A job is claimed."""
    for one in job.limits:
        limit = Limit(*one)
        gate = passed(limit, gate_of(state, job.queue, limit, state.time), state.time)
        put(state, job.queue, limit, gate)
        found = state.gates[job.queue][limit.gate]
        if limit.kind == RATE and found[2] is not None:
            found[2] = opens(limit, gate, state.time) or state.time


def leave(state: State, job: Job) -> None:
    """A job's claim is over: who waits for its place comes back into the line. What came along has none."""
    for one in () if job.along else job.limits:
        limit = Limit(*one)
        if limit.kind != RATE:
            gate = left(gate_of(state, job.queue, limit, state.time))
            put(state, job.queue, limit, gate)
            through(state, job.queue, limit, gate)


def waiting(state: State, queue: str, name: str) -> list[Job]:
    """Who waits at a gate, the first one first."""
    return [place[-1] for place in state.shelves.held.get(name, []) if place[-1].queue == queue]


def limits_of(job: Job) -> list[Limit]:
    """The limits that a job is under."""
    return [Limit(*one) for one in job.limits]


def alike(state: State, first: Job) -> list[Job]:
    """The jobs that wait in the line or at a gate and are under just the same limits, the first one first."""
    at_gates = [job for one in limits_of(first) for job in waiting(state, first.queue, one.gate)]
    in_line = [place[-1] for place in state.shelves.lines.get(first.queue, [])]
    limits = limits_of(first)
    found = [job for job in [*in_line, *at_gates] if limits_of(job) == limits]
    return sorted(found, key=lambda job: job.place)


def through(state: State, queue: str, limit: Limit, gate: Gate) -> int:
    """Let as many through as there is room for."""
    jobs = waiting(state, queue, limit.gate)[: room(limit, gate, state.time)]
    for job in jobs:
        let_go(state, job)
    return len(jobs)


def let_through(state: State) -> None:
    """Put those back into their lines that wait at gates which have opened."""
    for queue, gates in state.gates.items():
        for name, found in gates.items():
            if found[2] is None or found[2] > state.time:
                continue
            gate, limit = Gate(*found[0]), Limit(*found[1])
            through(state, queue, limit, gate)
            waits = bool(waiting(state, queue, name))
            found[2] = (opens(limit, gate, state.time) or state.time + AGAIN) if waits else None


def first_open(state: State) -> int | None:
    """When somebody has to look at a gate."""
    return min((one[2] for gates in state.gates.values() for one in gates.values() if one[2] is not None), default=None)


def mend(state: State) -> int:
    """Let through what waits at gates with room; forget gates that nobody passes any more."""
    count = 0
    for queue, gates in list(state.gates.items()):
        for name, found in list(gates.items()):
            limit = Limit(*found[1])
            gate = hastened(found, limit, state.time)
            if found[2] is None:
                count += through(state, queue, limit, gate)
            if not gate.used and gate.next < state.time * 1000 and not waiting(state, queue, name):
                del gates[name]
        if not gates:
            del state.gates[queue]
    return count


def hastened(found: list[Any], limit: Limit, now: int) -> Gate:
    """A gate that opens no later than it could by the clock as it is now."""
    gate = bounded(limit, Gate(*found[0]), now)
    if found[2] is not None and gate.next < found[0][1]:
        found[2] = min(found[2], opens(limit, gate, now) or now)
    found[0] = list(gate)
    return gate


def is_late(found: list[Any], now: int) -> bool:
    """Whether a gate that somebody waits at opens later than it could."""
    return found[2] is not None and bounded(Limit(*found[1]), Gate(*found[0]), now).next < found[0][1]


def to_mend(state: State, now: int) -> bool:
    """Whether `mend` would do anything."""
    return any(
        is_late(found, now)
        or (found[2] is None and room(Limit(*found[1]), Gate(*found[0]), now) and waiting(state, queue, name))
        or (not found[0][0] and found[0][1] < now * 1000 and not waiting(state, queue, name))
        for queue, gates in state.gates.items()
        for name, found in gates.items()
    )
