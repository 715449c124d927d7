"""What entries do that stop a queue or one job type of it."""

from __future__ import annotations

from ..stops import Stop
from .job import Job
from .state import State

#: The types that are stopped in most queues.
NONE: frozenset[str] = frozenset()


def stop(state: State, queue: str, type_: str, lasts: int | None, reason: str, by: str) -> None:
    """Stop a queue or one type of it."""
    until = None if lasts is None else state.time + lasts
    state.stops.setdefault(queue, {})[type_] = [until, reason, by, state.time]


def extend(state: State, queue: str, lasts: int, reason: str) -> None:
    """Stop a queue for so long, unless it is stopped for longer."""
    there = state.stops.get(queue, {}).get("")
    if there is None or (there[0] is not None and there[0] < state.time + lasts):
        stop(state, queue, "", lasts, reason, "")


def go_on(state: State, queue: str, type_: str, limit: int) -> bool:
    """End a stop, and let the first of its jobs go; answers whether it was in force."""
    there = state.stops.get(queue, {}).pop(type_, None)
    if not state.stops.get(queue, True):
        del state.stops[queue]
    if there is None:
        return False
    if type_:
        for place in [one for one in state.shelves.held.get(type_, []) if one[-1].queue == queue][:limit]:
            let_go(state, place[-1])
    return there[0] is None or there[0] > state.time


def let_go(state: State, job: Job) -> None:
    """Put a held job back into its line."""
    state.shelves.take(job)
    job.held = None
    state.shelves.put(job)


def is_stopped(state: State, queue: str, type_: str, now: int) -> bool:
    """Whether a queue, or one type of it, is stopped."""
    there = state.stops.get(queue, {}).get(type_)
    return there is not None and (there[0] is None or there[0] > now)


def asleep(state: State, queue: str, now: int) -> frozenset[str]:
    """The types that are stopped in a queue."""
    if queue not in state.stops:
        return NONE
    return frozenset(type_ for type_ in state.stops[queue] if type_ and is_stopped(state, queue, type_, now))


def in_force(state: State, now: int) -> list[Stop]:
    """The stops that are not over."""
    return [
        Stop(queue, type_ or None, until, reason, by, since)
        for queue, types in sorted(state.stops.items())
        for type_, (until, reason, by, since) in sorted(types.items())
        if until is None or until > now
    ]
