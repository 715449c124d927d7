"""The jobs that are claimed next: walks along the sorted lines, one queue after another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from itertools import islice

from ...record import Page
from ..spots import Spot, read_spot
from ..values import Query
from .job import PENDING, Job
from .reading import record_of
from .shelves import Line, Shelves


def page(shelves: Shelves, query: Query) -> Page:
    """Read one page: first what is ready of each queue, then what is held back of each."""
    spot = read_spot(query.after, 4)
    found = list(islice(walk(shelves, query, spot), query.limit + 1))
    shown = found[: query.limit]
    more = len(found) > query.limit
    after = Spot(shown[-1].place, shown[-1].queue, "" if shown[-1].held is None else "1") if more else None
    return Page(tuple(record_of(job) for job in shown), str(after) if after else None)


def walk(shelves: Shelves, query: Query, spot: Spot | None) -> Iterator[Job]:
    """Walk on from where the page before ended."""
    queues = query.line if spot is None else spot.onward(query.line)
    if spot is None or not spot.held:
        for queue in queues:
            yield from jobs_after(shelves.lines.get(queue, []), queue, spot)
        queues, spot = query.line, None
    for queue in queues:
        yield from jobs_after(held_of(shelves, queue), queue, spot)


def jobs_after(line: Line, queue: str, spot: Spot | None) -> Iterator[Job]:
    """The jobs of a line, of that in which a page ended those that come after it."""
    start = bisect_right(line, spot.place, key=lambda one: one[:-1]) if spot is not None and spot.queue == queue else 0
    for n in range(start, len(line)):
        yield line[n][-1]


def held_of(shelves: Shelves, queue: str) -> Line:
    """What is held back of a queue, sorted: of the jobs that this engine is made for these are few."""
    held = (place for line in shelves.held.values() for place in line)
    return sorted(place for place in held if place[-1].queue == queue and place[-1].status == PENDING)


def places(shelves: Shelves, queue: str, job_ids: Collection[str]) -> dict[str, int]:
    """Find the places of jobs in their line."""
    line = shelves.lines.get(queue, [])
    found: dict[str, int] = {}
    for job_id in job_ids:
        job = shelves.jobs.get(job_id)
        if job is not None and (job.queue, job.status, job.held) == (queue, PENDING, None):
            found[job_id] = bisect_left(line, job.place) + 1
    return found
