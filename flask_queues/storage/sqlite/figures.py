"""What has ended within a time, and the sheets on which the sums of it are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from ..figures import Ended, every
from ..hurried import TIER, TIERS
from . import listing
from .rows import CANCELLED, COLUMNS, COMPLETED, FAILED, PENDING, STATUSES, record

ENDED = """
SELECT seq FROM jobs WHERE queue=? AND type=? AND status=? AND status<>1 AND stamp>=? AND stamp<? ORDER BY stamp
"""
READ = f"SELECT {COLUMNS} FROM jobs WHERE seq=?"  # noqa: S608 - no value of a user is in it
HIGHEST = "SELECT max(priority) FROM jobs WHERE queue=? AND status=0 AND held IS NULL AND priority<?"
FIRST = "SELECT due FROM jobs WHERE queue=? AND status=0 AND held IS NULL AND priority=? ORDER BY due LIMIT 1"
#: More than any job stands by.
ABOVE_ALL = TIER * (TIERS + 1)
NAMES = "SELECT name FROM sheets ORDER BY name"
#: As bytes: what something else has written may be no text.
SHEET = "SELECT CAST(text AS BLOB) FROM sheets WHERE name=?"
PUT = "INSERT INTO sheets VALUES (?,?) ON CONFLICT (name) DO UPDATE SET text=excluded.text"
DELETE = "DELETE FROM sheets WHERE name=?"


def ended(db: sqlite3.Connection, since: int, until: int, sample: int) -> Ended:
    """Walk the part of each line that ended within the time."""
    counts: dict[Any, int] = {}
    seqs: list[int] = []
    for number in (COMPLETED, FAILED, CANCELLED):
        for queue, type_ in listing.lines(db, number):
            found = db.execute(ENDED, (queue, type_, number, since, until)).fetchall()
            if found:
                counts[queue, type_, STATUSES[number]] = len(found)
                seqs += [seq for (seq,) in found]
    step = every(len(seqs), sample)
    return Ended(counts, [(record(db.execute(READ, (seq,)).fetchone()), step) for seq in seqs[::step]])


def oldest(db: sqlite3.Connection) -> dict[str, int]:
    """Look at the first job of each priority in each queue that has pending ones."""
    found: dict[str, int] = {}
    for queue in {queue for queue, _ in listing.lines(db, PENDING)}:
        priority = db.execute(HIGHEST, (queue, ABOVE_ALL)).fetchone()[0]
        while priority is not None:
            due = db.execute(FIRST, (queue, priority)).fetchone()[0]
            found[queue] = min(due, found.get(queue, due))
            priority = db.execute(HIGHEST, (queue, priority)).fetchone()[0]
    return found


def names(db: sqlite3.Connection) -> list[str]:
    """Read the names of all sheets."""
    return [name for (name,) in db.execute(NAMES).fetchall()]


def sheets(db: sqlite3.Connection, names: Collection[str]) -> dict[str, str]:
    """Read sheets by name."""
    found = ((name, db.execute(SHEET, (name,)).fetchone()) for name in names)
    return {name: (row[0] or b"").decode(errors="surrogateescape") for name, row in found if row is not None}


def write(db: sqlite3.Connection, seen: tuple[str, str | None], texts: Mapping[str, str | None]) -> bool:
    """Write sheets, unless one was changed."""
    name, text = seen
    if sheets(db, [name]).get(name) != text:
        return False
    for changed, now in texts.items():
        if now is None:
            db.execute(DELETE, (changed,))
        else:
            db.execute(PUT, (changed, now))
    return True
