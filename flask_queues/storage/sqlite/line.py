"""The jobs that are claimed next: walks along the indexes of what is ready and of what is held back."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

from ...record import Page
from ..spots import Spot, read_spot
from ..values import Query
from .listing import row_at
from .rows import record

#: So many of a line are looked at for the places of several jobs, and of one, which is counted and not read.
LOOK_AT, COUNT = 1000, 100_000
#: Above every priority.
TOP = 2**62
#: The rest of a priority, and all that stands below it.
READY_ALIKE = """
SELECT priority, due, seq FROM jobs WHERE queue=? AND status=0 AND held IS NULL AND priority=? AND (due,seq)>(?,?)
    AND typeof(due)='integer'
ORDER BY due, seq LIMIT ?
"""
READY_BELOW = """
SELECT priority, due, seq FROM jobs WHERE queue=? AND status=0 AND held IS NULL AND priority<?
    AND typeof(due)='integer' AND typeof(priority)='integer'
ORDER BY priority DESC, due, seq LIMIT ?
"""
HELD_ALIKE = """
SELECT priority, due, seq FROM jobs WHERE queue=? AND held=? AND priority=? AND (due,seq)>(?,?)
    AND typeof(due)='integer' AND status=0
ORDER BY due, seq LIMIT ?
"""
HELD_BELOW = """
SELECT priority, due, seq FROM jobs WHERE queue=? AND held=? AND priority<?
    AND typeof(due)='integer' AND typeof(priority)='integer' AND status=0
ORDER BY priority DESC, due, seq LIMIT ?
"""
#: What else holds jobs of a queue back.
HOLDS_NEXT = "SELECT held FROM jobs WHERE queue=? AND held>? AND typeof(held)='text' ORDER BY held LIMIT 1"
READY = """
SELECT id FROM jobs WHERE queue=? AND status=0 AND held IS NULL ORDER BY priority DESC, due, seq LIMIT ?
"""
STANDS = "SELECT queue, priority, due, seq FROM jobs WHERE id=? AND status=0 AND held IS NULL"
READY_ABOVE = """
SELECT count(*) FROM (SELECT 1 FROM jobs WHERE queue=? AND status=0 AND held IS NULL AND priority>? LIMIT ?)
"""
READY_BEFORE = """
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE queue=? AND status=0 AND held IS NULL AND priority=? AND (due,seq)<(?,?) LIMIT ?
)
"""

#: The priority by which it stands, when it was due, and the number of its push.
Place = tuple[int, int, int]


class Stretch(NamedTuple):
    """What is ready of a queue, or held back by one thing."""

    queue: str
    held: str = ""

    def after(self, db: sqlite3.Connection, begin: tuple[int, ...] | None, limit: int) -> list[Place]:
        """Read on from a place."""
        alike, below = (HELD_ALIKE, HELD_BELOW) if self.held else (READY_ALIKE, READY_BELOW)
        which = (self.queue, self.held) if self.held else (self.queue,)
        found: list[Place] = db.execute(alike, (*which, *begin, limit)).fetchall() if begin else []
        if len(found) < limit:
            found += db.execute(below, (*which, begin[0] if begin else TOP, limit - len(found))).fetchall()
        return found


def page(db: sqlite3.Connection, query: Query) -> Page:
    """Read one page: first what is ready of each queue, then what is held back of each."""
    spot = read_spot(query.after, 3)
    found: list[Spot] = []
    for stretch in stretches(db, query, spot):
        begin = spot.place if spot is not None and stretch == (spot.queue, spot.held) else None
        places = stretch.after(db, begin, query.limit + 1 - len(found))
        found += [Spot(place, *stretch) for place in places]
        if len(found) > query.limit:
            break
    shown = found[: query.limit]
    jobs = tuple(record(row_at(db, spot.place[-1])[2:]) for spot in shown)
    return Page(jobs, str(shown[-1]) if len(found) > query.limit else None)


def stretches(db: sqlite3.Connection, query: Query, spot: Spot | None) -> Iterator[Stretch]:
    """What is to be read, from where the page before ended."""
    queues, held = query.line if spot is None else spot.onward(query.line), ""
    if spot is not None and spot.held:
        held = spot.held
        yield Stretch(spot.queue, held)
    else:
        yield from (Stretch(queue) for queue in queues)
        queues = query.line
    for queue in queues:
        while row := db.execute(HOLDS_NEXT, (queue, held)).fetchone():
            held = row[0]
            yield Stretch(queue, held)
        held = ""


def places(db: sqlite3.Connection, queue: str, job_ids: Collection[str]) -> dict[str, int]:
    """Find the places of jobs in their line, as far as that costs less than a page."""
    if len(job_ids) != 1:
        return walk(db, queue, set(job_ids))
    (job_id,) = job_ids
    place = count(db, queue, job_id)
    return {} if place is None else {job_id: place}


def walk(db: sqlite3.Connection, queue: str, wanted: Collection[str]) -> dict[str, int]:
    """Walk down a line until all are found, or it is long enough."""
    found: dict[str, int] = {}
    for place, (job_id,) in enumerate(db.execute(READY, (queue, LOOK_AT)).fetchall() if wanted else (), 1):
        if job_id in wanted:
            found[job_id] = place
            if len(found) == len(wanted):
                break
    return found


def count(db: sqlite3.Connection, queue: str, job_id: str) -> int | None:
    """Count who stands before a job; None where these are too many, or it does not stand there."""
    stands = db.execute(STANDS, (job_id,)).fetchone()
    if stands is None or stands[0] != queue:
        return None
    before: int = db.execute(READY_ABOVE, (*stands[:2], COUNT)).fetchone()[0]
    if before < COUNT:
        before += db.execute(READY_BEFORE, (*stands, COUNT - before)).fetchone()[0]
    return before + 1 if before < COUNT else None
