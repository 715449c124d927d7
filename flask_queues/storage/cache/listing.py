"""Pages of jobs: walks down the sorted lists, merged."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from ...errors import OptionError
from ...record import Page
from ..values import Query
from .job import NUMBERS, STATUSES, Job
from .reading import record_of
from .shelves import Line, Shelves

#: How many jobs a filter that no list serves looks at before it offers to go on.
LOOK_AT = 10_000
#: Above and below every place.
TOP, BOTTOM = (2**62, 2**62), (-(2**62), -(2**62))

Position = tuple[int, int]


def page(shelves: Shelves, query: Query) -> Page:
    """Read one page; newest in their status first, or last."""
    begin = read_position(query)
    if query.tag is not None:
        jobs, last = tagged(shelves, query, begin[1])
    else:
        jobs, last = merged(shelves, query, begin)
    return Page(tuple(record_of(job) for job in jobs), f"{last[0]}:{last[1]}" if last else None)


def read_position(query: Query) -> Position:
    """Read where the page before ended; no text is before the first."""
    text = query.after
    if text is None and query.begin is not None and query.tag is None:
        return query.begin, BOTTOM[1]
    if text is None:
        return BOTTOM if query.oldest else TOP
    stamp, _, seq = text.partition(":")
    try:
        return int(stamp), int(seq)
    except ValueError:
        raise OptionError(f"after: {text[:64]!r} is not where a page ended; hand in a page's own after.") from None


def merged(shelves: Shelves, query: Query, begin: Position) -> tuple[list[Job], Position | None]:
    """Merge the lists of all wanted queues, types and statuses."""
    numbers = {NUMBERS[status] for status in query.statuses or STATUSES}
    along = up if query.oldest else down
    walks = [
        along(line, begin)
        for (queue, type_, number), line in shelves.lists.items()
        if number in numbers and query.queue in (None, queue) and query.type in (None, type_)
    ]
    places = heapq.merge(*walks, key=lambda place: place[:2], reverse=not query.oldest)
    found = list(islice(places, query.limit + 1))
    shown = found[: query.limit]
    return [job for _, _, job in shown], shown[-1][:2] if len(found) > query.limit else None


def down(line: Line, before: Position) -> Iterator[tuple[int, int, Job]]:
    """Walk a list from the last place before a position to its first."""
    for n in range(bisect_left(line, before) - 1, -1, -1):
        stamp, seq, job = line[n]
        yield stamp, seq, job


def up(line: Line, begin: Position) -> Iterator[tuple[int, int, Job]]:
    """Walk a list from the first place above a position to its last."""
    for n in range(bisect_left(line, (begin[0], begin[1] + 1)), len(line)):
        stamp, seq, job = line[n]
        yield stamp, seq, job


def tagged(shelves: Shelves, query: Query, begin: int) -> tuple[list[Job], Position | None]:
    """Walk the jobs of one tag in the order of their pushes, looking at a bounded number."""
    line = shelves.tags.get(str(query.tag), [])
    if query.oldest:
        way = range(bisect_left(line, (begin + 1,)), len(line))
    else:
        way = range(bisect_left(line, (begin,)) - 1, -1, -1)
    jobs: list[Job] = []
    for n in way[:LOOK_AT]:
        seq, job = line[n]
        if fits(job, query):
            jobs.append(job)
            if len(jobs) == query.limit:
                return jobs, (0, seq)
    return jobs, (0, line[way[LOOK_AT - 1]][0]) if len(way) > LOOK_AT else None


def fits(job: Job, query: Query) -> bool:
    """Whether a job of the tag is wanted."""
    return (
        query.queue in (None, job.queue)
        and query.type in (None, job.type)
        and (not query.statuses or STATUSES[job.status] in query.statuses)
    )
