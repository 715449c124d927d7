"""What stops a queue, or one job type of it: a row each, so few that they are read whole."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import NamedTuple

from ..stops import Stop, is_moment, read_stop

STOPS = "SELECT queue, type, until, reason, author, since FROM stops ORDER BY queue, type"
PUT = "INSERT OR REPLACE INTO stops VALUES (?,?,?,?,?,?)"
#: What a job asks for gives way to a stop that lasts longer, or for ever.
EXTEND = """
INSERT INTO stops VALUES (?,'',?,?,'',?) ON CONFLICT (queue, type) DO UPDATE
SET until=excluded.until, reason=excluded.reason, author='', since=excluded.since WHERE until<excluded.until
"""
END = "DELETE FROM stops WHERE queue=? AND type=? RETURNING until"
LET_GO = "UPDATE jobs SET held=NULL WHERE seq IN (SELECT seq FROM jobs WHERE held=? AND queue=? LIMIT ?)"


class Stopped(NamedTuple):
    """What may not be claimed now."""

    queues: frozenset[str]
    #: By queue.
    types: dict[str, set[str]]


NONE = Stopped(frozenset(), {})


def in_force(db: sqlite3.Connection, now: int) -> list[Stop]:
    """Read the stops that are not over."""
    stops = [read_stop(*row) for row in db.execute(STOPS).fetchall()]
    return [stop for stop in stops if stop.until is None or stop.until > now]


def stopped(db: sqlite3.Connection, now: int) -> Stopped:
    """Read what may not be claimed; mostly nothing."""
    stops = in_force(db, now)
    if not stops:
        return NONE
    types: dict[str, set[str]] = defaultdict(set)
    for stop in stops:
        if stop.type is not None:
            types[stop.queue].add(stop.type)
    return Stopped(frozenset(stop.queue for stop in stops if stop.type is None), types)


def put(db: sqlite3.Connection, stop: Stop) -> None:
    """Store a stop in the place of an earlier one."""
    db.execute(PUT, (stop.queue, stop.type or "", *stop[2:]))


def extend(db: sqlite3.Connection, queue: str, until: int, reason: str, now: int) -> None:
    """Stop a queue until a moment, unless it is stopped for longer."""
    db.execute(EXTEND, (queue, until, reason, now))


def end(db: sqlite3.Connection, queue: str, type_: str | None, now: int, limit: int) -> bool:
    """Delete a stop and let the first of its jobs go; False where it was over, or not there."""
    row = db.execute(END, (queue, type_ or "")).fetchone()
    if row is None:
        return False
    if type_ is not None:
        db.execute(LET_GO, (type_, queue, limit))
    return not is_moment(row[0]) or row[0] > now
