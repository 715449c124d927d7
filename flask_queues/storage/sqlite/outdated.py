"""The jobs of a line that were kept long enough: read along the index of the lists, the oldest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from ..outdated import Outdated
from .rows import COLUMNS, NUMBERS
from .steps import delete_one
from .tallies import Deltas

FIND = """
SELECT seq, id FROM jobs WHERE queue=? AND type=? AND status=? AND status<>1 AND stamp<=? ORDER BY stamp LIMIT ?
"""
COUNT = "SELECT n FROM counts WHERE queue=? AND type=? AND status=?"
READ = f"SELECT {COLUMNS} FROM jobs WHERE seq=?"  # noqa: S608 - no value of a user is in it


def find(db: sqlite3.Connection, which: Outdated, until: int, limit: int) -> list[tuple[int, str]]:
    """Read numbers and ids of some of them."""
    line = (which.queue, which.type, NUMBERS[which.status])
    counted = db.execute(COUNT, line).fetchone()
    most = min(limit, (counted[0] if counted else 0) - which.spare)
    return db.execute(FIND, (*line, until, most)).fetchall() if most > 0 else []


def delete(
    db: sqlite3.Connection, which: Outdated, until: int, limit: int, among: Collection[str] | None, deltas: Deltas
) -> int:
    """Delete some of them, of these ids if some are given."""
    seqs = [seq for seq, id_ in find(db, which, until, limit) if among is None or id_ in among]
    for seq in seqs:
        delete_one(db, seq, deltas)
    return len(seqs)
