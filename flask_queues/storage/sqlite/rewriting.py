"""Other words in the texts that are stored of a job: each piece is written over what was read, or left as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

TEXTS = "SELECT seq, payload, options, history, error, progress, result FROM jobs WHERE id=?"
LINES = "SELECT n, message FROM logs WHERE job=?"
KEPT = "SELECT text FROM kept WHERE job=?"
PUT_TEXTS = """
UPDATE jobs SET payload=?, options=?, history=?, error=?, progress=?, result=?
WHERE seq=? AND payload IS ? AND options IS ? AND history IS ? AND error IS ? AND progress IS ? AND result IS ?
"""
PUT_LINE = "UPDATE logs SET message=? WHERE job=? AND n=? AND message=?"
PUT_KEPT = "UPDATE kept SET text=? WHERE job=? AND text=?"

Texts = tuple[str | None, ...]


class Change(NamedTuple):
    """What is to be written over what."""

    seq: int
    before: Texts
    after: Texts
    lines: list[tuple[str, int, int, str]]
    kept: tuple[str, int, str] | None

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        return self.before == self.after and not self.lines and self.kept is None


def look(db: sqlite3.Connection, job_id: str, turn: Callable[[str], str]) -> Change | None:
    """Read the texts of a job and turn them; None where there is no such job."""
    row = db.execute(TEXTS, (job_id,)).fetchone()
    if row is None:
        return None
    seq, *before = row
    after = tuple(None if text is None else turn(text) for text in before)
    lines = [(n, text, turn(text)) for n, text in db.execute(LINES, (seq,)).fetchall()]
    kept = db.execute(KEPT, (seq,)).fetchone()
    said = (turn(kept[0]), seq, kept[0]) if kept else None
    return Change(
        seq,
        tuple(before),
        after,
        [(new, seq, n, text) for n, text, new in lines if new != text],
        said if said and said[0] != said[2] else None,
    )


def write(db: sqlite3.Connection, change: Change) -> bool:
    """Write what is still as it was read; tells whether that was anything."""
    written = 0
    if change.before != change.after:
        written += db.execute(PUT_TEXTS, (*change.after, change.seq, *change.before)).rowcount
    if change.lines:
        written += db.executemany(PUT_LINE, change.lines).rowcount
    if change.kept is not None:
        written += db.execute(PUT_KEPT, change.kept).rowcount
    return written > 0
