"""The steps by which jobs leave a file for another storage, and arrive: each is called within a transaction."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

from ...errors import DamagedRecord, StorageError
from ...record import LogLine, Memory, Outcome, Progress
from ..hurried import plain
from ..parcels import Load, Parcel, Run, SchedulePost, known_parcel, whole_parcel
from ..unique import Unique, holds
from ..values import Occurrence, Schedule
from . import gates, schedules, uniques
from .rows import NUMBERS, dump, log_line, status_of
from .steps import KEEP, add_logs, add_run, delete_one, tags_of
from .tallies import Deltas

#: Characters of JSON after which a load is full, however few its jobs are.
FULL = 4_000_000
META = "SELECT value FROM meta WHERE name=?"
SET_META = "INSERT INTO meta VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value=excluded.value"
UNSET_META = "DELETE FROM meta WHERE name=?"
#: Those pushed first first: so each keeps its place in every line.
LEAVING = """
SELECT seq, id, queue, type, payload, options, priority, tags, status, stamp, created, due, expires, attempts, runs,
    history, worker, started, ended, outcome, error, progress, result, reason, alone, uniq, limits, changes, memory
FROM jobs WHERE seq>? AND status<>1 ORDER BY seq LIMIT ?
"""
ARRIVE = """
INSERT INTO jobs (id, queue, type, payload, options, priority, tags, status, stamp, created, due, expires, attempts,
    runs, history, worker, started, error, progress, result, reason, alone, uniq, limits, changes)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING
"""
KEPT_BY = "SELECT text FROM kept WHERE job=?"
LINES = "SELECT time, level, message, context, run FROM logs WHERE job=? ORDER BY n"


def identity(db: sqlite3.Connection) -> str:
    """Read the name of this file, or give it one."""
    row = db.execute(META, ("identity",)).fetchone()
    if row is not None:
        return str(row[0])
    name = uuid.uuid4().hex
    db.execute(SET_META, ("identity", name))
    return name


def kept_load(db: sqlite3.Connection, to: str) -> Load | None:
    """Read the load that left and is not known to have arrived; raises `StorageError` where it went elsewhere."""
    row = db.execute(META, ("leaving",)).fetchone()
    if row is None:
        return None
    _, destination, text = json.loads(row[0])
    if destination != to:
        raise StorageError(
            "Jobs of this storage are on their way to another one than this: an earlier move was interrupted. "
            "Run that one again to its end first."
        )
    return Load.parse(text)


def kept_jobs(db: sqlite3.Connection) -> int:
    """Read how many jobs the kept load has."""
    row = db.execute(META, ("leaving",)).fetchone()
    return len(Load.parse(json.loads(row[0])[2]).jobs) if row else 0


def load_up(db: sqlite3.Connection, to: str, limit: int, deltas: Deltas) -> Load | None:
    """Take all schedules and the first jobs out of the file, and keep them as one load."""
    jobs = tuple(take_out(db, limit, deltas))
    posts = tuple(take_schedules(db))
    if not jobs and not posts:
        return None
    row = db.execute(META, ("loads",)).fetchone()
    load = Load(row[0] + 1 if row else 1, jobs, posts)
    db.execute(SET_META, ("loads", load.number))
    db.execute(SET_META, ("leaving", dump([load.number, to, load.dump()])))
    return load


def take_out(db: sqlite3.Connection, limit: int, deltas: Deltas) -> Iterator[Parcel]:
    """Delete up to `limit` jobs, or as many as make a load full, and hand them over."""
    size = 0
    for row in db.execute(LEAVING, (-1, limit)).fetchall():
        kept = db.execute(KEPT_BY, row[:1]).fetchone()
        lines = [log_line(one) for one in db.execute(LINES, row[:1]).fetchall()]
        parcel = parcel_of(row[1:], lines, kept[0] if kept else None)
        delete_one(db, row[0], deltas)
        yield parcel
        size += len(parcel.payload) + sum(len(line.message) for line in parcel.logs)
        if size > FULL:
            return


def take_schedules(db: sqlite3.Connection) -> Iterator[SchedulePost]:
    """Delete the schedules with their history, and hand them over."""
    for one in schedules.stored(db):
        past = schedules.history(db, one.name, schedules.KEPT)
        yield SchedulePost(one.name, one.queue, one.about, tuple(past[::-1]))
        schedules.delete(db, one)


def forget(db: sqlite3.Connection, number: int) -> bool:
    """Delete the load with this number."""
    row = db.execute(META, ("leaving",)).fetchone()
    if row is None or json.loads(row[0])[0] != number:
        return False
    db.execute(UNSET_META, ("leaving",))
    return True


def unload(db: sqlite3.Connection, source: str, load: Load, deltas: Deltas, now: int) -> int:
    """Put a load in, unless it has arrived before; returns how many of its jobs were new."""
    mark = f"arrived:{source}"
    row = db.execute(META, (mark,)).fetchone()
    if row is not None and row[0] >= load.number:
        return 0
    db.execute(SET_META, (mark, load.number))
    for post in load.schedules:
        put_schedule(db, post)
    return sum(put_in(db, parcel, deltas, now) for parcel in load.jobs)


def put_schedule(db: sqlite3.Connection, post: SchedulePost) -> None:
    """Store a schedule with its history, unless there is one of its name."""
    if schedules.put(db, Schedule(post.name, post.queue, post.about)):
        schedules.add_history(db, post.name, [Occurrence(*one) for one in post.occurrences])


def put_in(db: sqlite3.Connection, parcel: Parcel, deltas: Deltas, now: int) -> bool:
    """Store a job as it was; False if its id is there already."""
    status = NUMBERS[parcel.status]
    cursor = db.execute(
        ARRIVE,
        (
            parcel.id, parcel.queue, parcel.type, parcel.payload, parcel.options, parcel.priority,
            dump(parcel.tags) if parcel.tags else None, status, parcel.since, parcel.created, parcel.due,
            parcel.expires, parcel.attempts, parcel.runs[-1].run if parcel.runs else 0, history_of(parcel),
            parcel.worker, parcel.started, parcel.last_error, dump(parcel.progress) if parcel.progress else None,
            parcel.result, parcel.reason, int(parcel.alone), dump(parcel.unique) if parcel.unique else None,
            dump(parcel.limits) if parcel.limits else None, parcel.changes,
        ),
    )  # fmt: skip
    seq = cursor.lastrowid
    if not cursor.rowcount or seq is None:
        return False
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?,?)", [(tag, seq) for tag in parcel.tags])
    add_logs(db, seq, parcel.logs)
    if parcel.unique:
        take_key(db, parcel, Unique(*parcel.unique), now)
    if parcel.kept is not None:
        db.execute(KEEP, (seq, parcel.kept))
    deltas.pushed(parcel.queue, parcel.type, status)
    return True


def take_key(db: sqlite3.Connection, parcel: Parcel, unique: Unique, now: int) -> None:
    """Let a unique job hold its key here, if it still does and nobody else has it."""
    still = holds(
        unique,
        final=parcel.status.final,
        started=parcel.started is not None,
        created=parcel.created,
        now=now,
        reason=parcel.reason,
    )
    if still and uniques.holder(db, parcel.queue, unique.key, now) is None:
        uniques.hold(db, parcel.queue, unique, parcel.id, parcel.created)


def parcel_of(row: tuple[Any, ...], logs: list[LogLine], kept: str | None) -> Parcel:
    """Make a parcel of a row of `LEAVING` behind its `seq`, as far as it can be read."""
    id_, queue, type_, payload, options, priority, tags, status, stamp, created, due, expires, attempts = row[:13]
    alone, uniq, limits, changes = row[23:27]
    unique = uniques.read(uniq) if uniq else None
    known = known_parcel(
        id_, str(queue), str(type_), status_of(status), stamp, payload, options, created=created, due=due,
        priority=plain(priority) if isinstance(priority, int) else priority,
        expires=expires, attempts=attempts, alone=bool(alone), kept=kept, logs=tuple(logs), changes=changes,
        tags=tuple(map(str, tags_of(tags))) if tags else (), unique=tuple(unique) if unique else None,
        limits=tuple(map(tuple, gates.limits_of(limits))) if limits else (),
    )  # fmt: skip
    return whole_parcel(lambda: read_parcel(row, known), known)


def read_parcel(row: tuple[Any, ...], known: Parcel) -> Parcel:
    """Add to what is known of a job what it has been through; raises whatever is wrong with that."""
    stored = row[:13]
    runs, history, worker, started, ended, outcome, error, progress, result, reason = row[13:23]
    past = [json.loads(line) for line in history.split("\n")] if history else []
    told = [run_of(*line) for line in past]
    if outcome is not None:
        memory = Memory(*json.loads(row[27])) if row[27] else None
        told.append(Run(runs, worker, started, ended, Outcome(outcome), error, memory))
    id_, queue, type_, payload, options, priority, _, status, stamp, created, due, expires, attempts = stored
    if status not in NUMBERS.values():
        raise DamagedRecord(f"Its status is {status!r}.")
    return known._replace(
        id=id_, queue=queue, type=type_, payload=payload, options=options, priority=plain(priority), since=stamp,
        created=created, due=due, expires=expires, attempts=attempts, runs=tuple(told), worker=worker, started=started,
        progress=Progress(*json.loads(progress)) if progress else None, result=result, reason=reason,
    )  # fmt: skip


def run_of(
    run: int,
    worker: str,
    started: int,
    ended: int,
    outcome: str,
    error: list[str] | None,
    memory: list[float] | None = None,
) -> Run:
    """Read a line of the history."""
    told = Memory(*memory) if memory else None
    return Run(run, worker, started, ended, Outcome(outcome), dump(error) if error else None, told)


def history_of(parcel: Parcel) -> str | None:
    """Write the runs as the file keeps them, a line each."""
    history: str | None = None
    for run in parcel.runs:
        history = add_run(history, run[:5], run.error, run.memory)
    return history
