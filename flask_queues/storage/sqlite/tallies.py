"""Counts that a transaction changes: of jobs by queue, type and status, and of batches by status."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable

from ...record import Status
from ..tallies import deleted
from .rows import NUMBERS, PENDING, SCHEDULED, STATUSES

COUNT = """
INSERT INTO counts VALUES (?,?,?,?) ON CONFLICT (queue, type, status) DO UPDATE SET n=n+excluded.n
"""
BEGIN = "INSERT INTO tallies VALUES (?,?,?) ON CONFLICT (batch, status) DO UPDATE SET n=n+excluded.n"
#: A batch that was forgotten is counted no more.
GO_ON = """
INSERT INTO tallies SELECT ?1,?2,?3 WHERE EXISTS (SELECT 1 FROM tallies WHERE batch=?1)
ON CONFLICT (batch, status) DO UPDATE SET n=n+excluded.n
"""
READ = "SELECT status, n FROM tallies WHERE batch=? AND n<>0"
FORGET = "DELETE FROM tallies WHERE batch=?"


class Deltas:
    """How many jobs a transaction brings from where to where; written at its end, most moves cancel each other out."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._tallies: defaultdict[tuple[str, int], int] = defaultdict(int)
        #: Batches of which jobs are pushed.
        self._begun: set[str] = set()
        #: By queue and group: how many wait for each other, where that is known.
        self.gathered: dict[tuple[str, str], int] = {}

    def pushed(self, queue: str, type_: str, status: int, batch: str | None = None) -> None:
        """A job is new."""
        self._counts[queue, type_, status] += 1
        if batch is not None:
            self._begun.add(batch)
            self._tallies[batch, status] += 1

    def moved(self, queue: str, type_: str, before: int, after: int, batch: str | None = None) -> None:
        """A job went from one status to another."""
        self._counts[queue, type_, before] -= 1
        self._counts[queue, type_, after] += 1
        if batch is not None:
            self._tallies[batch, before] -= 1
            self._tallies[batch, after] += 1

    def deleted(self, queue: str, type_: str, status: int, batch: str | None = None) -> None:
        """A job is gone."""
        self._counts[queue, type_, status] -= 1
        if batch is not None:
            self._tallies[batch, status] -= 1
            self._tallies[batch, NUMBERS[deleted(STATUSES[status])]] += 1

    def more_waiting(self, queue: str) -> int:
        """How many more jobs of a queue wait than before."""
        return sum(
            n for (name, _, status), n in self._counts.items() if name == queue and status in (PENDING, SCHEDULED)
        )

    def write(self, db: sqlite3.Connection) -> None:
        """Bring the kept counts up to date."""
        changes = [(*key, n) for key, n in self._counts.items() if n]
        if changes:
            db.executemany(COUNT, changes)
        for (batch, status), n in self._tallies.items():
            if n:
                db.execute(BEGIN if batch in self._begun else GO_ON, (batch, status, n))


def read(db: sqlite3.Connection, batches: Iterable[str]) -> dict[str, dict[Status, int]]:
    """Read the tallies of batches."""
    found = {batch: db.execute(READ, (batch,)).fetchall() for batch in batches}
    return {batch: {STATUSES[status]: n for status, n in rows} for batch, rows in found.items() if rows}


def forget(db: sqlite3.Connection, batches: Iterable[str]) -> None:
    """Delete tallies."""
    db.executemany(FORGET, [(batch,) for batch in batches])
