"""The steps of schedules: each is called within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..values import Occurrence, Schedule

#: Occurrences that a schedule's history keeps.
KEPT = 100
ALL = "SELECT name, queue, about, revision FROM schedules ORDER BY name"
INSERT = "INSERT INTO schedules VALUES (?,?,?,?) ON CONFLICT (name) DO NOTHING"
UPDATE = "UPDATE schedules SET about=?, revision=? WHERE name=? AND queue=? AND revision=?"
DELETE = "DELETE FROM schedules WHERE name=? AND queue=? AND revision=?"
CHANGES = "SELECT value FROM meta WHERE name='schedules'"
CHANGED = "UPDATE meta SET value=? WHERE name='schedules'"
LAST = "SELECT coalesce(max(n), 0) FROM occurrences WHERE schedule=?"
HISTORY = "SELECT due, decided, outcome, job FROM occurrences WHERE schedule=? ORDER BY n DESC LIMIT ?"


def stored(db: sqlite3.Connection) -> list[Schedule]:
    """Read all schedules."""
    return [Schedule(*row) for row in db.execute(ALL).fetchall()]


def put(db: sqlite3.Connection, schedule: Schedule) -> int:
    """Write a schedule over the revision that it names; returns the new one, 0 where another is stored."""
    name, queue, about, revision = schedule
    new = changes(db) + 1
    if revision == 0:
        cursor = db.execute(INSERT, (name, queue, about, new))
    else:
        cursor = db.execute(UPDATE, (about, new, name, queue, revision))
    if not cursor.rowcount:
        return 0
    db.execute(CHANGED, (new,))
    return new


def delete(db: sqlite3.Connection, schedule: Schedule) -> bool:
    """Delete a schedule of this revision with its history."""
    cursor = db.execute(DELETE, (schedule.name, schedule.queue, schedule.revision))
    if not cursor.rowcount:
        return False
    db.execute(CHANGED, (changes(db) + 1,))
    db.execute("DELETE FROM occurrences WHERE schedule=?", (schedule.name,))
    return True


def changes(db: sqlite3.Connection) -> int:
    """How many changes of schedules there were: the last revision given out."""
    number: int = db.execute(CHANGES).fetchone()[0]
    return number


def add_occurrences(db: sqlite3.Connection, name: str, occurrences: Sequence[Occurrence], now: int) -> None:
    """Add to a schedule's history what was decided now."""
    add_history(db, name, [one._replace(decided=now) for one in occurrences])


def add_history(db: sqlite3.Connection, name: str, occurrences: Sequence[Occurrence]) -> None:
    """Add to a schedule's history what was decided when it says, and forget what is too long ago."""
    if not occurrences:
        return
    last: int = db.execute(LAST, (name,)).fetchone()[0]
    rows = [(name, n, *one) for n, one in enumerate(occurrences[-KEPT:], last + 1)]
    db.executemany("INSERT INTO occurrences VALUES (?,?,?,?,?,?)", rows)
    db.execute("DELETE FROM occurrences WHERE schedule=? AND n<=?", (name, rows[-1][1] - KEPT))


def history(db: sqlite3.Connection, name: str, limit: int) -> list[Occurrence]:
    """Read the end of a schedule's history, the last first."""
    return [Occurrence(*row) for row in db.execute(HISTORY, (name, limit)).fetchall()]
