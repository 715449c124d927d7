"""The jobs that are claimed next: each queue's line is read in its order, and behind all of them what is held back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from ...record import JobRecord, Page
from ..spots import Spot, read_spot
from ..values import Query
from .calls import Calls, Command
from .keys import Keys, of_job, structures
from .listing import read_row
from .scripts import LINE, PLACES

#: Where one line is too short for a page, so many are asked together, and then each time so many times more.
MORE = 4

#: Jobs with where they stand, and where they end if there are more in the same list.
Part = tuple[list[tuple[Spot, JobRecord]], "Spot | None"]


def page(calls: Calls, keys: Keys, query: Query) -> Page:
    """Read one page: first what is ready of each queue, then what is held back of each."""
    found: list[tuple[Spot, JobRecord]] = []
    for rows, last in walk(calls, keys, query, read_spot(query.after, 2)):
        found += rows
        end = last
        if len(found) > query.limit:
            end = found[query.limit - 1][0]
        if end is not None:
            return Page(tuple(job for _, job in found[: query.limit]), str(end))
    return Page(tuple(job for _, job in found))


def walk(calls: Calls, keys: Keys, query: Query, spot: Spot | None) -> Iterator[Part]:
    """Ask for what comes after a place, more and more lines at a time: mostly the first is long enough."""
    ways = stretches(query.line, spot)
    number = 1
    while some := list(islice(ways, number)):
        commands = [command(keys, *way, query.limit, begin_in(way, spot)) for way in some]
        yield from map(read, some, calls.ask_all(commands))
        number *= MORE


def stretches(line: Sequence[str], spot: Spot | None) -> Iterator[tuple[str, str]]:
    """What is to be read, from where the page before ended: queues, and which of their lists."""
    onward = line if spot is None else spot.onward(line)
    if spot is None or not spot.held:
        yield from ((queue, "ready") for queue in onward)
        onward = line
    yield from ((queue, "held") for queue in onward)


def begin_in(way: tuple[str, str], spot: Spot | None) -> Sequence[int | str]:
    """The place in a list after which it is read."""
    if spot is None or way != (spot.queue, "held" if spot.held else "ready"):
        return ("", "")
    return spot.place


def command(keys: Keys, queue: str, name: str, limit: int, begin: Sequence[int | str]) -> Command:
    """Ask a partition."""
    partition = keys.partition(queue)
    return Command(partition, LINE, [keys.root, partition, name, limit, *begin], structures(partition))


def read(way: tuple[str, str], answer: Sequence[Any]) -> Part:
    """Read what a partition said."""
    queue, name = way
    end, *rows = answer

    def spot(row: Sequence[bytes]) -> Spot:
        return Spot((int(row[0]), int(row[1])), queue, "1" if name == "held" else "")

    return [(spot(row), read_row(queue, row)) for row in rows], spot(end) if end else None


def places(calls: Calls, keys: Keys, queue: str, job_ids: Collection[str]) -> dict[str, int]:
    """Ask a partition for the ranks of jobs."""
    partition = keys.partition(queue)
    own = [key for job_id in job_ids for key in of_job(partition, job_id)]
    arguments = [keys.root, partition, *job_ids]
    ranks = calls.ask(Command(partition, PLACES, arguments, [*structures(partition), *own]))
    return {job_id: rank + 1 for job_id, rank in zip(job_ids, ranks, strict=True) if rank >= 0}
