"""Whether there is room in a queue for what is pushed: asked of the state before the entry is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import QueueFull
from ..values import NewJob
from . import uniques
from .job import PENDING, SCHEDULED
from .log import Known, Writer
from .state import State


def within(bounds: Mapping[str, int] | None, jobs: Sequence[NewJob], entry: list[Any]) -> Writer:
    """Write an entry that pushes jobs, unless a queue would be over its bound: then the answer is a `QueueFull`."""

    def write(state: State, now: int) -> list[Any] | Known:
        full = first_full(state, now, bounds, jobs) if bounds else None
        return entry if full is None else Known(full)

    return write


def unless_full(answer: Any) -> Any:
    """Return what a push was answered, or raise it."""
    if isinstance(answer, QueueFull):
        raise answer
    return answer


def first_full(state: State, now: int, bounds: Mapping[str, int], jobs: Sequence[NewJob]) -> QueueFull | None:
    """The first queue in which more would wait than may."""
    for queue, bound in bounds.items():
        more = grows(state, now, [job for job in jobs if job.queue == queue])
        waiting = waits(state, queue) if more else 0
        if waiting + more > bound and more:
            return QueueFull(queue, bound, waiting, more)
    return None


def waits(state: State, queue: str) -> int:
    """How many jobs of a queue are pending or scheduled."""
    lists = state.shelves.lists.items()
    return sum(len(line) for (name, _, status), line in lists if name == queue and status in (PENDING, SCHEDULED))


def grows(state: State, now: int, jobs: Sequence[NewJob]) -> int:
    """By how many jobs a queue becomes longer: not by one that is stored, nor by one whose key another holds.

    The one that holds it waits no more where it is replaced.
    """
    ids: set[str] = set()
    keys: set[str] = set()
    for job in jobs:
        key = job.unique.key if job.unique is not None else None
        held = key is not None and (key in keys or uniques.holder(state, job.queue, key, now) is not None)
        if job.id in state.shelves.jobs or job.id in ids or held:
            continue
        ids.add(job.id)
        if key is not None:
            keys.add(key)
    return len(ids)
