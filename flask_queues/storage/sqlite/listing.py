"""Pages of jobs: walks along one index, a line (queue and type) and a status each, that are merged."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from ...errors import OptionError
from ...record import Page
from ..values import Query
from .rows import COLUMNS, NUMBERS, RUNNING, STATUSES, record

#: How many rows a filter without an index looks at before it offers to go on.
LOOK_AT = 4_000
#: How many jobs of a line are read at first.
FIRST_LOOK = 8

LINES = """
SELECT queue, type FROM counts WHERE status=?1 AND n>0 AND (?2 IS NULL OR queue=?2) AND (?3 IS NULL OR type=?3)
"""
WALK_DOWN = """
SELECT stamp, seq FROM jobs WHERE queue=? AND type=? AND status=? AND status<>1 AND (stamp,seq)<(?,?)
    AND typeof(stamp)='integer'
ORDER BY stamp DESC, seq DESC LIMIT ?
"""
WALK_UP = """
SELECT stamp, seq FROM jobs WHERE queue=? AND type=? AND status=? AND status<>1 AND (stamp,seq)>(?,?)
    AND typeof(stamp)='integer'
ORDER BY stamp, seq LIMIT ?
"""
RUNNING_DOWN = """
SELECT stamp, seq FROM jobs WHERE status=1 AND (?1 IS NULL OR queue=?1) AND (?2 IS NULL OR type=?2)
    AND (stamp,seq)<(?3,?4) AND typeof(stamp)='integer' ORDER BY stamp DESC, seq DESC LIMIT ?5
"""
RUNNING_UP = """
SELECT stamp, seq FROM jobs WHERE status=1 AND (?1 IS NULL OR queue=?1) AND (?2 IS NULL OR type=?2)
    AND (stamp,seq)>(?3,?4) AND typeof(stamp)='integer' ORDER BY stamp, seq LIMIT ?5
"""
#: How far a look along a tag goes, and what it finds there: one walk along the index, in SQL, since most may be others.
FAR_DOWN = "SELECT job FROM tags WHERE tag=? AND job<? ORDER BY job DESC LIMIT 1 OFFSET ?"
FAR_UP = "SELECT job FROM tags WHERE tag=? AND job>? ORDER BY job LIMIT 1 OFFSET ?"
FITTING = """
FROM tags CROSS JOIN jobs ON seq=job WHERE tag=?1 AND {range}
    AND (?4 IS NULL OR queue=?4) AND (?5 IS NULL OR type=?5)
    AND (1 << CASE WHEN status IN (0,1,2,3,4,5) THEN status ELSE 4 END) & ?6
"""
TAGGED_DOWN = f"SELECT job {FITTING.format(range='job<?2 AND job>=?3')} ORDER BY job DESC LIMIT ?7"
TAGGED_UP = f"SELECT job {FITTING.format(range='job>?2 AND job<=?3')} ORDER BY job LIMIT ?7"

Position = tuple[int, int]
Row = tuple[Any, ...]


class Way(NamedTuple):
    """One of the two ways along a list: where it begins, and what reads on from a place."""

    start: Position
    walk: str
    running: str
    tagged: str
    far: str
    end: int


DOWN = Way((2**62, 2**62), WALK_DOWN, RUNNING_DOWN, TAGGED_DOWN, FAR_DOWN, -(2**62))
UP = Way((-(2**62), -(2**62)), WALK_UP, RUNNING_UP, TAGGED_UP, FAR_UP, 2**62)


def page(connection: sqlite3.Connection, query: Query) -> Page:
    """Read one page; newest in their status first, or last."""
    way = UP if query.oldest else DOWN
    begin = first_position(query, way) if query.after is None else read_position(query.after)
    if query.tag is not None:
        rows, last = tagged(connection, query, way, begin)
    else:
        rows, last = merged(connection, query, way, begin)
    return Page(tuple(record(row[2:]) for row in rows), f"{last[0]}:{last[1]}" if last else None)


def first_position(query: Query, way: Way) -> Position:
    """Where the first page begins: jobs of a moment stand on the later side of its edge."""
    return way.start if query.begin is None or query.tag is not None else (query.begin, -(2**62))


def read_position(text: str) -> Position:
    """Read where the page before ended."""
    stamp, _, seq = text.partition(":")
    try:
        return int(stamp), int(seq)
    except ValueError:
        raise OptionError(f"after: {text[:64]!r} is not where a page ended; hand in a page's own after.") from None


def merged(
    connection: sqlite3.Connection, query: Query, way: Way, begin: Position
) -> tuple[list[Row], Position | None]:
    """Merge the walks of all wanted statuses."""
    walks: list[Iterable[Position]] = []
    for number in {NUMBERS[status] for status in query.statuses or STATUSES}:
        if number == RUNNING:
            walks.append(running(connection, query, way, begin))
        else:
            found = lines(connection, number, query.queue, query.type)
            walks += [walk(connection, way, line, number, begin) for line in found]
    places = list(islice(heapq.merge(*walks, reverse=way is DOWN), query.limit + 1))
    rows = [row_at(connection, seq) for _, seq in places[: query.limit]]
    return rows, places[query.limit - 1] if len(places) > query.limit else None


def walk(
    connection: sqlite3.Connection, way: Way, line: tuple[str, str], number: int, begin: Position
) -> Iterator[Position]:
    """Walk one line of one status; of many lines a page needs but a few jobs of each."""
    limit = FIRST_LOOK
    while True:
        places: list[Position] = connection.execute(way.walk, (*line, number, *begin, limit)).fetchall()
        yield from places
        if len(places) < limit:
            return
        begin = places[-1]
        limit *= 8


def lines(
    connection: sqlite3.Connection, number: int, queue: str | None = None, type_: str | None = None
) -> list[tuple[str, str]]:
    """Tell from the kept counts which queues hold jobs of which type in a status that is not running."""
    return connection.execute(LINES, (number, queue, type_)).fetchall()


def running(connection: sqlite3.Connection, query: Query, way: Way, begin: Position) -> list[Position]:
    """Look at all running jobs, which are few."""
    return connection.execute(way.running, (query.queue, query.type, *begin, query.limit + 1)).fetchall()


def tagged(
    connection: sqlite3.Connection, query: Query, way: Way, begin: Position
) -> tuple[list[Row], Position | None]:
    """Walk the jobs of one tag in the order of their pushes, looking at a bounded number."""
    far = connection.execute(way.far, (query.tag, begin[1], LOOK_AT - 1)).fetchone()
    end = far[0] if far else way.end
    wanted = sum({1 << NUMBERS[status] for status in query.statuses or STATUSES})
    found = connection.execute(
        way.tagged, (query.tag, begin[1], end, query.queue, query.type, wanted, query.limit)
    ).fetchall()
    rows = [row_at(connection, seq) for (seq,) in found]
    if len(found) == query.limit:
        return rows, (0, found[-1][0])
    return rows, (0, end) if far else None


def row_at(connection: sqlite3.Connection, seq: int) -> Row:
    """Read one row of a walk."""
    row: Row = connection.execute(
        f"SELECT stamp, seq, {COLUMNS} FROM jobs WHERE seq=?",  # noqa: S608 - no value of a user is in it
        (seq,),
    ).fetchone()
    return row
