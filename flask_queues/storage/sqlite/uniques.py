"""The keys of unique jobs: a row each as long as one is held."""

from __future__ import annotations

import json
import sqlite3

from ..unique import TIME, Unique

HOLDER = "SELECT job, expires FROM uniques WHERE queue=? AND key=?"
HOLD = "INSERT OR REPLACE INTO uniques VALUES (?,?,?,?)"
FREE = "DELETE FROM uniques WHERE queue=? AND key=? AND job=?"


def holder(db: sqlite3.Connection, queue: str, key: str, now: int) -> str | None:
    """The id of the job that holds a key; None where it is free."""
    row = db.execute(HOLDER, (queue, key)).fetchone()
    return None if row is None or (row[1] is not None and row[1] <= now) else row[0]


def hold(db: sqlite3.Connection, queue: str, unique: Unique, job_id: str, now: int) -> None:
    """Let a job hold its key."""
    db.execute(HOLD, (queue, unique.key, job_id, now + unique.lasts if unique.until == TIME else None))


def free(db: sqlite3.Connection, queue: str, text: str | None, job_id: str, at: str) -> None:
    """A job has come so far (`start`, `end`, `gone`) that it may have to let go of its key."""
    if text is not None and (unique := read(text)) is not None and unique.released(at):
        db.execute(FREE, (queue, unique.key, job_id))


def read(text: str) -> Unique | None:
    """Read what makes a job unique; None where that cannot be read."""
    try:
        return Unique(*json.loads(text))
    except (ValueError, TypeError):
        return None
