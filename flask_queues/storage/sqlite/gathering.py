"""Jobs that wait for each other: once there are enough of a group, they wait for their time no more."""

from __future__ import annotations

import sqlite3

from ..values import Gather
from .rows import PENDING, SCHEDULED
from .tallies import Deltas

COUNT = "SELECT count(*) FROM jobs WHERE queue=? AND gather=? AND status=2 AND stamp>?"
TOGETHER = "SELECT seq, type, batch FROM jobs WHERE queue=? AND gather=? AND status=2 AND stamp>?"
LET_GO = "UPDATE jobs SET status=0, stamp=?1, due=?1, gather=NULL WHERE seq=?2"


def join(db: sqlite3.Connection, queue: str, gather: Gather, now: int, deltas: Deltas) -> None:
    """One more of a group waits, stored just now; if it makes the group complete, all of it is pending.

    Counted once for each group in a transaction, not again for each of its jobs.
    """
    place = (queue, gather.group)
    if place in deltas.gathered:
        deltas.gathered[place] += 1
    else:
        deltas.gathered[place] = db.execute(COUNT, (*place, now)).fetchone()[0]
    if deltas.gathered[place] >= gather.size:
        let_go(db, place, now, deltas)


def let_go(db: sqlite3.Connection, place: tuple[str, str], now: int, deltas: Deltas) -> None:
    """Make all of a group pending that wait for a time still ahead."""
    for seq, type_, batch in db.execute(TOGETHER, (*place, now)).fetchall():
        db.execute(LET_GO, (now, seq))
        deltas.moved(place[0], type_, SCHEDULED, PENDING, batch)
    deltas.gathered[place] = 0
