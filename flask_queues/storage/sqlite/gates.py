"""The gates of a file: what passes them, what waits at them, and what is let through."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from ..limits import AGAIN, NEVER, RATE, Gate, Limit, bounded, left, opens, passed, room

READ = "SELECT used, next FROM gates WHERE queue=? AND name=?"
WRITE = """
INSERT INTO gates VALUES (:queue, :name, :about, :used, :next, :opens) ON CONFLICT (queue, name) DO UPDATE
SET about=excluded.about, used=excluded.used, next=excluded.next, opens=coalesce(excluded.opens, opens)
"""
SET_OPENS = "UPDATE gates SET opens=? WHERE queue=? AND name=?"
LOOK_SOONER = "UPDATE gates SET opens=? WHERE queue=? AND name=? AND opens IS NOT NULL"
DUE = "SELECT queue, name, about, used, next FROM gates WHERE opens<=? ORDER BY opens LIMIT 20"
LET_THROUGH = """
UPDATE jobs SET held=NULL WHERE seq IN (
    SELECT seq FROM jobs WHERE queue=? AND held=? ORDER BY priority DESC, due LIMIT ?
)
"""
WAITS = "SELECT 1 FROM jobs WHERE queue=? AND held=? LIMIT 1"
SET_ASIDE = "UPDATE jobs SET held=? WHERE seq=?"
IN_LINE = """
SELECT -priority, due, seq, type, alone, limits FROM jobs
WHERE queue=? AND status=0 AND held IS NULL ORDER BY priority DESC, due, seq LIMIT ?
"""
AT_GATE = """
SELECT -priority, due, seq, type, alone, limits FROM jobs
WHERE queue=? AND held=? ORDER BY priority DESC, due, seq LIMIT ?
"""
FIRST_OPEN = "SELECT opens FROM gates WHERE opens IS NOT NULL ORDER BY opens LIMIT 1"
#: Those that open last: a clock that was set back leaves some that open too late.
LAST_OPEN = "SELECT queue, name, about, used, next, opens FROM gates WHERE opens>? ORDER BY opens DESC LIMIT 1000"
#: A gate that holds nothing and nothing waits at.
FORGOTTEN = "SELECT 1 FROM gates WHERE used=0 AND opens IS NULL AND next<? LIMIT 1"
FORGET = "DELETE FROM gates WHERE used=0 AND opens IS NULL AND next<?"


def limits_of(text: str) -> list[Limit]:
    """Read the limits of a job; it is under none where they cannot be read, so that it keeps nobody from the others."""
    try:
        return [Limit(*one) for one in json.loads(text)]
    except (ValueError, TypeError):
        return []


def read(db: sqlite3.Connection, queue: str, name: str) -> Gate:
    """Read a gate; one that is not stored has not been passed yet."""
    row = db.execute(READ, (queue, name)).fetchone()
    return Gate(*row) if row else Gate()


def write(db: sqlite3.Connection, queue: str, limit: Limit, gate: Gate, moment: int | None = None) -> None:
    """Store a gate, and the moment at which somebody has to look at it."""
    about = json.dumps(limit)
    said = {"queue": queue, "name": limit.gate, "about": about, "used": gate.used, "next": gate.next, "opens": moment}
    db.execute(WRITE, said)


def closed(db: sqlite3.Connection, queue: str, text: str, now: int) -> Limit | None:
    """The first gate that a job cannot pass now; it is looked at again when it opens."""
    for limit in limits_of(text):
        gate = bounded(limit, read(db, queue, limit.gate), now)
        moment = opens(limit, gate, now)
        if moment:
            write(db, queue, limit, gate, moment if moment < NEVER else None)
            return limit
    return None


def enter(db: sqlite3.Connection, queue: str, text: str, now: int) -> None:
    """A job is claimed."""
    for limit in limits_of(text):
        gate = passed(limit, read(db, queue, limit.gate), now)
        write(db, queue, limit, gate)
        if limit.kind == RATE:
            db.execute(LOOK_SOONER, (opens(limit, gate, now) or now, queue, limit.gate))


def leave(db: sqlite3.Connection, queue: str, text: str | None, now: int) -> None:
    """A job's claim is over: who waits for its place comes back into the line."""
    for limit in limits_of(text) if text is not None else ():
        if limit.kind != RATE:
            gate = left(read(db, queue, limit.gate))
            write(db, queue, limit, gate)
            db.execute(LET_THROUGH, (queue, limit.gate, room(limit, gate, now)))


def alike(db: sqlite3.Connection, queue: str, text: str, types: Collection[str], most: int) -> list[int]:
    """Find the jobs of these types under just these limits among the first of the line and of those at their gates."""
    found = db.execute(IN_LINE, (queue, most)).fetchall()
    for limit in limits_of(text):
        found += db.execute(AT_GATE, (queue, limit.gate, most)).fetchall()
    return [seq for _, _, seq, type_, alone, limits in sorted(found) if limits == text and type_ in types and not alone]


def let_through(db: sqlite3.Connection, now: int) -> int:
    """Put those back into their lines that wait at gates which have opened; returns how many."""
    count = 0
    for queue, name, about, used, after in db.execute(DUE, (now,)).fetchall():
        limit, gate = Limit(*json.loads(about)), Gate(used, after)
        count += db.execute(LET_THROUGH, (queue, name, room(limit, gate, now))).rowcount
        waits = db.execute(WAITS, (queue, name)).fetchone()
        moment = (opens(limit, gate, now) or now + AGAIN) if waits else None
        db.execute(SET_OPENS, (moment, queue, name))
    return count


def mend(db: sqlite3.Connection, now: int) -> int:
    """Let through what waits at gates with room, since the job that was let through before never got there."""
    hasten(db, now)
    count = 0
    for queue, name, about, used, after in db.execute(
        "SELECT queue, name, about, used, next FROM gates WHERE opens IS NULL LIMIT 1000"
    ).fetchall():
        free = room(Limit(*json.loads(about)), Gate(used, after), now)
        if free:
            count += db.execute(LET_THROUGH, (queue, name, free)).rowcount
    return count


def hasten(db: sqlite3.Connection, now: int) -> None:
    """Let no gate open later than it could by the clock as it is now."""
    for queue, _, about, used, after, moment in db.execute(LAST_OPEN, (now,)).fetchall():
        limit = Limit(*json.loads(about))
        gate = bounded(limit, Gate(used, after), now)
        sooner = opens(limit, gate, now) or now
        if gate.next < after and sooner < moment:
            write(db, queue, limit, gate, sooner)
