"""Pages of jobs: each status is one walk along an index, and the walks are merged."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from typing import Any

from ...record import Page
from ..base import Query
from .rows import COLUMNS, NUMBERS, RUNNING, STATUSES, record

#: How many rows a filter without an index looks at before it offers to go on.
LOOK_AT = 10_000

Position = tuple[int, int]
Row = tuple[Any, ...]


def page(connection: sqlite3.Connection, query: Query) -> Page:
    """Read one page; newest in their status first."""
    before = read_position(query.after)
    if query.tag is not None:
        rows, last = tagged(connection, query, before)
    else:
        rows, last = merged(connection, query, before)
    return Page(tuple(record(row[2:]) for row in rows), f"{last[0]}:{last[1]}" if last else None)


def read_position(text: str | None) -> Position:
    """Read where the page before ended; no text is before the first."""
    if text is None:
        return (2**62, 2**62)
    stamp, _, seq = text.partition(":")
    return int(stamp), int(seq)


def merged(connection: sqlite3.Connection, query: Query, before: Position) -> tuple[list[Row], Position | None]:
    """Merge the walks of all wanted statuses."""
    limit = query.limit
    numbers = {NUMBERS[status] for status in query.statuses or STATUSES}
    walks = [walk(connection, query, number, before) for number in numbers]
    rows: list[Row] = []
    stopped = [end for _, end in walks if end is not None]
    horizon = max(stopped, default=(-1, -1))
    for row in heapq.merge(*(rows_ for rows_, _ in walks), key=lambda row: (-row[0], -row[1])):
        if (row[0], row[1]) < horizon:
            break
        if len(rows) == limit:
            return rows, (rows[-1][0], rows[-1][1])
        rows.append(row)
    return rows, horizon if stopped else None


def walk(
    connection: sqlite3.Connection, query: Query, number: int, before: Position
) -> tuple[list[Row], Position | None]:
    """Read up to a page of one status, and where it stopped short of the end (None: it did not)."""
    if query.queue is not None and query.type is not None and number != RUNNING:
        return filtered(connection, query, number, before)
    sql, parameters = statement(query, number)
    rows = connection.execute(sql, (*parameters, *before, query.limit + 1)).fetchall()
    if len(rows) > query.limit:
        return rows[: query.limit], (rows[query.limit - 1][0], rows[query.limit - 1][1])
    return rows, None


def filtered(
    connection: sqlite3.Connection, query: Query, number: int, before: Position
) -> tuple[list[Row], Position | None]:
    """Walk one queue for one type: no index holds both, so the walk is bounded."""
    keys = connection.execute(
        "SELECT stamp, seq, type FROM jobs WHERE queue=? AND status=? AND status<>1 AND (stamp,seq)<(?,?) "
        "ORDER BY stamp DESC, seq DESC LIMIT ?",
        (query.queue, number, *before, LOOK_AT),
    ).fetchall()
    rows: list[Row] = []
    for stamp, seq, type_ in keys:
        if type_ == query.type:
            rows.append(row_at(connection, seq))
            if len(rows) == query.limit:
                return rows, (stamp, seq)
    return rows, (keys[-1][0], keys[-1][1]) if len(keys) == LOOK_AT else None


def statement(query: Query, number: int) -> tuple[str, tuple[Any, ...]]:
    """The statement that walks one status along the index of its filter."""
    head = f"SELECT stamp, seq, {COLUMNS} FROM jobs"  # noqa: S608 - no value of a user is in it
    tail = "AND (stamp,seq)<(?,?) ORDER BY stamp DESC, seq DESC LIMIT ?"
    if number == RUNNING:
        return (
            f"{head} WHERE status=1 AND (?1 IS NULL OR queue=?1) AND (?2 IS NULL OR type=?2) "
            "AND (stamp,seq)<(?3,?4) ORDER BY stamp DESC, seq DESC LIMIT ?5",
            (query.queue, query.type),
        )
    if query.queue is not None:
        return f"{head} WHERE queue=? AND status=? AND status<>1 {tail}", (query.queue, number)
    if query.type is not None:
        return f"{head} WHERE type=? AND status=? AND status<>1 {tail}", (query.type, number)
    return f"{head} WHERE status=? AND status<>1 {tail}", (number,)


def tagged(connection: sqlite3.Connection, query: Query, before: Position) -> tuple[list[Row], Position | None]:
    """Walk the jobs of one tag, newest push first, looking at a bounded number."""
    seqs = connection.execute(
        "SELECT job FROM tags WHERE tag=? AND job<? ORDER BY job DESC LIMIT ?",
        (query.tag, before[1], LOOK_AT),
    ).fetchall()
    rows: list[Row] = []
    for (seq,) in seqs:
        row = row_at(connection, seq)
        if fits(row, query):
            rows.append(row)
            if len(rows) == query.limit:
                return rows, (0, seq)
    return rows, (0, seqs[-1][0]) if len(seqs) == LOOK_AT else None


def fits(row: Row, query: Query) -> bool:
    """Whether a row of `stamp, seq, COLUMNS` is wanted."""
    _, type_, queue, status = row[2:6]
    return (
        (query.queue is None or queue == query.queue)
        and (query.type is None or type_ == query.type)
        and (not query.statuses or STATUSES[status] in query.statuses)
    )


def row_at(connection: sqlite3.Connection, seq: int) -> Row:
    """Read one row of a walk."""
    row: Row = connection.execute(
        f"SELECT stamp, seq, {COLUMNS} FROM jobs WHERE seq=?",  # noqa: S608 - no value of a user is in it
        (seq,),
    ).fetchone()
    return row


def every_statement() -> Iterator[str]:
    """Every statement of a list, for the test that no list scans the jobs."""
    for queue in (None, "q"):
        for type_ in (None, "t"):
            for number in range(len(STATUSES)):
                yield statement(Query(queue=queue, type=type_), number)[0]
