"""The steps that transactions are made of: each is called within one and moves jobs from status to status."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any

from ...errors import QueueFull, UniqueTaken
from ...record import LogLine, Memory, Status, to_milliseconds
from ..hurried import above
from ..stops import raised
from ..unique import END, START, replaced, taken
from ..values import Claim, NewJob, Settlement, Wanted
from . import gates, gathering, listing, stops, uniques
from .rows import (
    CANCELLED,
    COMPLETED,
    NUMBERS,
    PENDING,
    RUNNING,
    SCHEDULED,
    dump,
)
from .tallies import Deltas

#: Due jobs of all queues, and of each wanted one, made pending in one claim: its cost is bounded.
PROMOTE = 100
#: How far a worker looks past jobs of types that it does not know.
LOOK_PAST = 1000
#: Jobs that one step sets aside, about; the next one goes on.
LOOK_ASIDE = 1000
#: A worker that has been silent so long (ms) does not count among those that know a type.
SILENCE = 60_000
#: How a job was claimed: by itself, ahead together with others, or along with one under limits.
SINGLE, AHEAD, ALONG = range(3)
CLAIM = (
    "id, queue, type, payload, options, created, expires, attempts, runs, error, cancel, token, started, worker, "
    "ahead, changes"
)
CLAIM_AT = f"SELECT {CLAIM} FROM jobs WHERE seq=?"  # noqa: S608 - no value of a user is in it
CLAIMS_OF = f"SELECT {CLAIM} FROM jobs WHERE status=1 AND worker=?"  # noqa: S608
CLAIM_OF = f"SELECT {CLAIM} FROM jobs WHERE id=?"  # noqa: S608
INSERT = """
INSERT INTO jobs (
    id, queue, type, status, stamp, priority, due, created, expires, tags, options, payload, uniq, limits, batch, gather
) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING
"""
NEXT = """
SELECT seq, id, queue, type, payload, options, created, expires, attempts, runs, error, alone, uniq, limits, batch,
    changes
FROM jobs WHERE queue=? AND status=0 AND held IS NULL ORDER BY priority DESC, due, seq LIMIT ?
"""
NEXT_AT = """
SELECT seq, id, queue, type, payload, options, created, expires, attempts, runs, error, alone, uniq, limits, batch,
    changes
FROM jobs WHERE seq=?
"""
HEAD = """
SELECT seq, type FROM jobs WHERE queue=? AND status=0 AND held IS NULL ORDER BY priority DESC, due, seq LIMIT ?
"""
KNOWN = "SELECT 1 FROM workers, json_each(about, '$.types') WHERE heartbeat>? AND value=? LIMIT 1"
TAKE = """
UPDATE jobs SET status=1, stamp=?, token=?, worker=?, lease=?, ahead=?, started=?, progress=NULL,
    priority=(priority+128)%256-128
WHERE seq=?
"""
FIRST = "SELECT priority FROM jobs WHERE queue=? AND status=0 AND held IS NULL ORDER BY priority DESC LIMIT 1"
PUT_FIRST = """
UPDATE jobs SET status=0, stamp=CASE status WHEN 0 THEN stamp ELSE ?1 END, due=min(due, ?1), priority=?2, held=NULL,
    gather=NULL
WHERE seq=?3
"""
#: The limits of which a claim holds a place: none where it came along with another.
HELD_PLACE = f"CASE ahead WHEN {ALONG} THEN NULL ELSE limits END"
IN_HAND = f"""
SELECT seq, queue, type, uniq, {HELD_PLACE}, batch, cancel, changes FROM jobs WHERE id=? AND token=? AND status=1
"""  # noqa: S608
COMPLETE = """
UPDATE jobs SET status=3, stamp=?1, ended=?1, outcome=?2, attempts=attempts+?3, runs=runs+1, error=NULL,
    result=?4, reason=?5, cancel=NULL
WHERE seq=?6
"""
IN_FORCE = f"""
SELECT seq, queue, type, worker, started, runs, history, cancel, error, uniq, {HELD_PLACE}, batch, changes FROM jobs
WHERE id=? AND token=? AND status=1
"""  # noqa: S608
SETTLE = """
UPDATE jobs SET status=:status, stamp=:stamp, due=coalesce(:due, due), ended=:now, outcome=:outcome,
    attempts=attempts+:counted, runs=runs+:ran, error=:error, result=:result, reason=:reason,
    history=:history, alone=max(alone, :alone), cancel=NULL
WHERE seq=:seq
"""
DUE = "SELECT seq, queue, type, batch FROM jobs WHERE status=2 AND stamp<=? ORDER BY stamp LIMIT ?"
DUE_IN_QUEUE = "SELECT seq, queue, type, batch FROM jobs WHERE queue=? AND status=2 AND stamp<=? ORDER BY stamp LIMIT ?"
PROMOTE_ONE = "UPDATE jobs SET status=0, stamp=?, gather=NULL WHERE seq=?"
CANCEL = "UPDATE jobs SET status=5, stamp=?, reason=?, held=NULL WHERE seq=?"
OLD = """
SELECT seq FROM jobs WHERE queue=? AND type=? AND status=? AND status<>1 AND stamp<=? ORDER BY stamp LIMIT ?
"""
DELETE = "DELETE FROM jobs WHERE seq=? RETURNING queue, type, status, tags, id, uniq, batch"
TOKENS = "UPDATE meta SET value=value+? WHERE name='token' RETURNING value"
WAITING = "SELECT coalesce(sum(n), 0) FROM counts WHERE queue=? AND status IN (0,2)"
#: The types that are stopped in most queues.
NONE: frozenset[str] = frozenset()
Row = tuple[Any, ...]


class Fate(Enum):
    """What became of a settlement."""

    DONE = 0
    #: The claim was not in force.
    LOST = 1
    #: The job has other options by now.
    OUTDATED = 2


#: Rows to claim, and how.
Taken = tuple[list[Row], int]


def insert(db: sqlite3.Connection, job: NewJob, now: int, deltas: Deltas) -> bool:
    """Put one job into its line; False if its id is there already."""
    due = job.at if job.at is not None else now + job.delay
    status, stamp = (SCHEDULED, due) if due > now else (PENDING, now)
    expires = max(due, now) + job.expires if job.expires is not None else None
    tags = dump(job.tags) if job.tags else None
    where = (status, stamp, job.priority, due, now, expires)
    if job.unique is not None and not make_room(db, job, now, deltas):
        return False
    uniq = dump(job.unique) if job.unique is not None else None
    limits = dump(job.limits) if job.limits else None
    gather = job.gather if status == SCHEDULED else None
    what = (tags, job.options, job.payload, uniq, limits, job.batch, gather and gather.group)
    cursor = db.execute(INSERT, (job.id, job.queue, job.type, *where, *what))
    if not cursor.rowcount:
        return False
    if job.unique is not None:
        uniques.hold(db, job.queue, job.unique, job.id, now)
    if job.tags:
        tagged = [(tag, cursor.lastrowid) for tag in job.tags]
        db.executemany("INSERT OR IGNORE INTO tags VALUES (?,?)", tagged)
    deltas.pushed(job.queue, job.type, status, job.batch)
    if gather is not None:
        gathering.join(db, job.queue, gather, now, deltas)
    return True


def make_room(db: sqlite3.Connection, job: NewJob, now: int, deltas: Deltas) -> bool:
    """Whether a unique job may be stored; one that waits in its place goes where it asks for that."""
    assert job.unique is not None
    if db.execute("SELECT 1 FROM jobs WHERE id=?", (job.id,)).fetchone():
        return False
    holder = uniques.holder(db, job.queue, job.unique.key, now)
    if holder is None:
        return True
    if not job.unique.replace:
        return False
    row = db.execute("SELECT seq, type, status, batch FROM jobs WHERE id=?", (holder,)).fetchone()
    if row is not None and row[2] not in (PENDING, SCHEDULED):
        return False
    if row is not None:
        seq, type_, status, batch = row
        db.execute(CANCEL, (now, replaced(job.id), seq))
        deltas.gathered.clear()
        deltas.moved(job.queue, type_, status, CANCELLED, batch)
    return True


def insert_all(db: sqlite3.Connection, jobs: Sequence[NewJob], now: int, deltas: Deltas) -> list[bool]:
    """Put jobs into their lines, and tell of each whether it is new."""
    return [insert(db, job, now, deltas) for job in jobs]


def refuse_beyond(db: sqlite3.Connection, bounds: Mapping[str, int] | None, deltas: Deltas) -> None:
    """Raise `QueueFull`, which undoes the push, where more wait in a queue now than may."""
    for queue, bound in (bounds or {}).items():
        more = deltas.more_waiting(queue)
        waiting = db.execute(WAITING, (queue,)).fetchone()[0] if more > 0 else 0
        if waiting + more > bound and more > 0:
            raise QueueFull(queue, bound, waiting, more)


def settle_all(
    db: sqlite3.Connection, settled: Sequence[Settlement], now: int, deltas: Deltas
) -> tuple[list[str], tuple[Claim, ...]]:
    """End claims; returns ids of those that were not in force, and the claims whose jobs have other options by now."""
    lost: list[str] = []
    outdated: list[Claim] = []
    for one in settled:
        fate = settle(db, one, now, deltas)
        if fate is Fate.LOST:
            lost.append(one.id)
        elif fate is Fate.OUTDATED:
            outdated.append(read_claim(db.execute(CLAIM_OF, (one.id,)).fetchone()))
    return lost, tuple(outdated)


def settle(db: sqlite3.Connection, one: Settlement, now: int, deltas: Deltas) -> Fate:
    """End one claim, if it is in force and its job's options are those that were heeded."""
    if one.status is Status.COMPLETED and not one.stop:
        return complete(db, one, now, deltas)
    row = db.execute(IN_FORCE, (one.id, one.token)).fetchone()
    if row is None or row[-1] != one.changes:
        return Fate.LOST if row is None else Fate.OUTDATED
    seq, queue, type_, worker, started, runs, history, cancel, error, uniq, limits, batch, _ = row
    gates.leave(db, queue, limits, now)
    status, reason = NUMBERS[one.status], one.reason
    if cancel is not None and status in (PENDING, SCHEDULED):
        status, reason = CANCELLED, None
    if reason is None and (status == CANCELLED or one.if_cancelled is not None):
        reason = cancel
    again = status in (PENDING, SCHEDULED)
    if not again:
        uniques.free(db, queue, uniq, one.id, END)
    due = now + one.delay if status == SCHEDULED else None
    ran = one.outcome is not None
    outcome = one.outcome.value if one.outcome is not None else None
    if outcome is not None and again:
        history = add_run(history, (runs + 1, worker, started, now, outcome), one.error, one.memory)
        outcome = None
    db.execute(
        SETTLE,
        {
            "seq": seq,
            "status": status,
            "stamp": due if status == SCHEDULED else now,
            "due": due,
            "now": now,
            "outcome": outcome,
            "counted": int(one.counted),
            "ran": int(ran),
            "error": one.error if ran and not again else one.error or error,
            "result": one.result,
            "reason": reason,
            "history": history,
            "alone": int(one.alone),
        },
    )
    if one.stop:
        stops.extend(db, queue, now + one.stop, raised(one.id), now)
    add_words(db, seq, one)
    if ran and not again:
        add_memory(db, seq, one.memory)
    deltas.moved(queue, type_, RUNNING, status, batch)
    if not again:
        insert_all(db, one.pushes(asked=cancel is not None), now, deltas)
    return Fate.DONE


def complete(db: sqlite3.Connection, one: Settlement, now: int, deltas: Deltas) -> Fate:
    """End one claim well: the common case, in the least that it takes."""
    row = db.execute(IN_HAND, (one.id, one.token)).fetchone()
    if row is None or row[-1] != one.changes:
        return Fate.LOST if row is None else Fate.OUTDATED
    seq, queue, type_, uniq, limits, batch, cancel, _ = row
    if limits is not None:
        gates.leave(db, queue, limits, now)
    if uniq is not None:
        uniques.free(db, queue, uniq, one.id, END)
    outcome = one.outcome.value if one.outcome is not None else None
    reason = cancel if one.if_cancelled is not None and one.reason is None else one.reason
    db.execute(COMPLETE, (now, outcome, int(one.counted), one.result, reason, seq))
    add_words(db, seq, one)
    add_memory(db, seq, one.memory)
    deltas.moved(queue, type_, RUNNING, COMPLETED, batch)
    if one.follows or one.if_cancelled:
        insert_all(db, one.pushes(asked=cancel is not None), now, deltas)
    return Fate.DONE


def add_words(db: sqlite3.Connection, seq: int, said: Settlement) -> None:
    """Keep what the job said at its end."""
    if said.progress is not None:
        db.execute("UPDATE jobs SET progress=? WHERE seq=?", (dump(said.progress), seq))
    add_logs(db, seq, said.logs)


def add_memory(db: sqlite3.Connection, seq: int, memory: Memory | None) -> None:
    """Keep the memory of the run that was the last, if it was measured."""
    if memory is not None:
        db.execute("UPDATE jobs SET memory=? WHERE seq=?", (dump(memory), seq))


def add_run(history: str | None, run: tuple[Any, ...], error: str | None, memory: Sequence[float] | None) -> str:
    """Add a line to the history; `error` is JSON text already."""
    head = json.dumps(run, ensure_ascii=False, separators=(",", ":"), default=repr)[:-1]
    line = f"{head},{error or 'null'}{f',{dump(memory)}' if memory else ''}]"
    return f"{history}\n{line}" if history else line


def promote(db: sqlite3.Connection, queues: Sequence[str], now: int, deltas: Deltas) -> None:
    """Make due jobs pending; where many are due, each line's first, so that none hides another's."""
    if promote_some(db, DUE, (now, PROMOTE), now, deltas) == PROMOTE:
        for queue in queues:
            promote_some(db, DUE_IN_QUEUE, (queue, now, PROMOTE), now, deltas)


def promote_some(db: sqlite3.Connection, which: str, parameters: tuple[Any, ...], now: int, deltas: Deltas) -> int:
    """Make the jobs that a statement finds pending; returns how many."""
    rows = db.execute(which, parameters).fetchall()
    for seq, queue, type_, batch in rows:
        db.execute(PROMOTE_ONE, (now, seq))
        deltas.moved(queue, type_, SCHEDULED, PENDING, batch)
    return len(rows)


def claim_next(
    db: sqlite3.Connection, worker: str, wanted: Wanted, until: int, now: int, deltas: Deltas
) -> tuple[list[Claim], int]:
    """Take the first jobs of the first line that has one, and tell how many were set aside before."""
    held = 0
    stopped = stops.stopped(db, now)
    if wanted.along_with is not None:
        first = db.execute(IN_HAND, wanted.along_with).fetchone()
        if first is None or first[4] is not None:
            return claim_along(db, worker, wanted, first, stopped, until, now, deltas), 0
    for queue in wanted.queues:
        if queue in stopped.queues:
            continue
        asleep = stopped.types.get(queue, NONE)
        while held <= LOOK_ASIDE:
            rows: list[Row] = db.execute(NEXT, (queue, wanted.limit)).fetchall()
            if any(row[3] not in wanted.types or row[3] in asleep for row in rows):
                rows, unknown = look_past(db, queue, wanted, now, asleep)
                held += unknown
            if not rows:
                break
            limit = gates.closed(db, queue, rows[0][13], now) if rows[0][13] is not None and not wanted.behind else None
            if limit is None:
                return take(db, worker, together(rows, wanted), until, now, deltas), held
            db.execute(gates.SET_ASIDE, (limit.gate, rows[0][0]))
            held += 1
    return [], held


def claim_along(
    db: sqlite3.Connection,
    worker: str,
    wanted: Wanted,
    first: Row | None,
    stopped: stops.Stopped,
    until: int,
    now: int,
    deltas: Deltas,
) -> list[Claim]:
    """Take those that are under the same limits as a claim in force, wherever they wait for these."""
    if first is None or first[1] in stopped.queues:
        return []
    _, queue, _, _, limits, *_ = first
    types = set(wanted.types) - set(stopped.types.get(queue, NONE))
    seqs = gates.alike(db, queue, limits, types, LOOK_PAST)[: wanted.limit]
    rows: list[Row] = [db.execute(NEXT_AT, (seq,)).fetchone() for seq in seqs]
    db.executemany(gates.SET_ASIDE, [(None, seq) for seq in seqs])
    return take(db, worker, (rows, ALONG), until, now, deltas)


def look_past(
    db: sqlite3.Connection, queue: str, wanted: Wanted, now: int, asleep: Collection[str]
) -> tuple[list[Row], int]:
    """Find what this worker may claim behind what it may not; set aside what no worker knows, or is `asleep`."""
    head: list[tuple[int, str]] = db.execute(HEAD, (queue, LOOK_PAST)).fetchall()
    known = [seq for seq, type_ in head if type_ in wanted.types and type_ not in asleep]
    rows: list[Row] = [db.execute(NEXT_AT, (seq,)).fetchone() for seq in known[: wanted.limit]]
    return rows, 0 if wanted.only else set_aside(db, head, wanted, now, asleep)


def set_aside(
    db: sqlite3.Connection, head: list[tuple[int, str]], wanted: Wanted, now: int, asleep: Collection[str]
) -> int:
    """Set those aside that no worker knows, or are `asleep`; returns how many."""
    types = {type_ for _, type_ in head}
    unknown = types - set(wanted.types) - set(asleep)
    foreign = types.intersection(asleep) | {
        type_ for type_ in unknown if not db.execute(KNOWN, (now - SILENCE, type_)).fetchone()
    }
    held = [(type_, seq) for seq, type_ in head if type_ in foreign]
    db.executemany("UPDATE jobs SET held=? WHERE seq=?", held)
    return len(held)


def has_one(db: sqlite3.Connection, queue: str, types: Collection[str]) -> bool:
    """Whether the head of a line holds a job of these types; the common case is its first job."""
    for limit in (1, LOOK_PAST):
        head = db.execute(HEAD, (queue, limit)).fetchall()
        if any(type_ in types for _, type_ in head):
            return True
        if len(head) < limit:
            return False
    return False


def together(rows: list[Row], wanted: Wanted) -> Taken:
    """Cut the head of a line to what may be claimed in one go, and tell how it is claimed."""
    along = list(itertools.takewhile(lambda row: row[3] in wanted.short and not row[11] and row[13] is None, rows))
    if wanted.behind:
        return along, AHEAD
    return along or rows[:1], AHEAD if len(along) > 1 else SINGLE


def take(db: sqlite3.Connection, worker: str, taken: Taken, until: int, now: int, deltas: Deltas) -> list[Claim]:
    """Claim these rows."""
    rows, how = taken
    if not rows:
        return []
    first = next_tokens(db, len(rows))
    claims = []
    for token, row in enumerate(rows, first):
        (
            seq, id_, queue, type_, payload, options, created, expires, attempts, runs, error, _, uniq, limits, batch,
            changes,
        ) = row  # fmt: skip
        if limits is not None and how != ALONG:
            gates.enter(db, queue, limits, now)
        if uniq is not None:
            uniques.free(db, queue, uniq, id_, START)
        db.execute(TAKE, (now, token, worker, until, how, now, seq))
        deltas.moved(queue, type_, PENDING, RUNNING, batch)
        claims.append(
            Claim(
                id_, queue, type_, payload, options, created, expires, attempts, runs, error,
                None, token, now, worker, how != SINGLE, changes, how == ALONG,
            )
        )  # fmt: skip
    return claims


def next_tokens(db: sqlite3.Connection, n: int) -> int:
    """Set `n` claim tokens aside and return the first."""
    last: int = db.execute(TOKENS, (n,)).fetchone()[0]
    return last - n + 1


def read_claim(row: tuple[Any, ...]) -> Claim:
    """Read a row of `CLAIM`."""
    claim = Claim(*row)
    return claim._replace(ahead=claim.ahead != SINGLE, along=claim.ahead == ALONG)


def claims_of(db: sqlite3.Connection, worker: str) -> list[Claim]:
    """Read the claims in one child's hands."""
    return [read_claim(row) for row in db.execute(CLAIMS_OF, (worker,)).fetchall()]


def hold_again(db: sqlite3.Connection, queue: str, uniq: str | None, job_id: str, now: int) -> None:
    """Give an ended job its key again; raises `UniqueTaken` where another holds it."""
    if uniq is None:
        return
    unique = uniques.read(uniq)
    if unique is None:
        return
    holder = uniques.holder(db, queue, unique.key, now)
    if holder is not None and holder != job_id:
        raise UniqueTaken(taken(job_id, holder))
    uniques.hold(db, queue, unique, job_id, now)


def retry_one(db: sqlite3.Connection, seq: int, due: int, status: int = PENDING) -> None:
    """Make a job pending or scheduled as if it were new, with its history."""
    runs, worker, started, ended, outcome, error, memory, history = db.execute(
        "SELECT runs, worker, started, ended, outcome, error, memory, history FROM jobs WHERE seq=?", (seq,)
    ).fetchone()
    if outcome is not None:
        told = json.loads(memory) if memory else None
        history = add_run(history, (runs, worker, started, ended, outcome), error, told)
    db.execute(
        "UPDATE jobs SET status=?4, stamp=?1, due=?1, attempts=0, outcome=NULL, reason=NULL, cancel=NULL, "
        "held=NULL, expires=NULL, gather=NULL, memory=NULL, history=?2, priority=(priority+128)%256-128 WHERE seq=?3",
        (due, history, seq, status),
    )


def put_first(db: sqlite3.Connection, seq: int, queue: str, now: int) -> None:
    """Let a job that waits stand before all others of its line."""
    first = db.execute(FIRST, (queue,)).fetchone()
    (priority,) = db.execute("SELECT priority FROM jobs WHERE seq=?", (seq,)).fetchone()
    db.execute(PUT_FIRST, (now, above(priority, first and first[0]), seq))


def old_ones(db: sqlite3.Connection, numbers: Sequence[int], until: int, queue: str | None, limit: int) -> list[int]:
    """Read which jobs have been in one of these statuses since before a moment."""
    seqs: list[int] = []
    for number in numbers:
        for line in listing.lines(db, number, queue):
            rows = db.execute(OLD, (*line, number, until, limit - len(seqs)))
            seqs += [row[0] for row in rows.fetchall()]
    return seqs


def delete_one(db: sqlite3.Connection, seq: int, deltas: Deltas) -> None:
    """Delete a job with all that hangs on it."""
    row = db.execute(
        "DELETE FROM jobs WHERE seq=? RETURNING queue, type, status, tags, id, uniq, batch", (seq,)
    ).fetchone()
    queue, type_, status, tags, id_, uniq, batch = row
    uniques.free(db, queue, uniq, id_, "gone")
    if tags:
        db.executemany("DELETE FROM tags WHERE tag=? AND job=?", [(tag, seq) for tag in tags_of(tags)])
    db.execute("DELETE FROM logs WHERE job=?", (seq,))
    db.execute("DELETE FROM kept WHERE job=?", (seq,))
    deltas.deleted(queue, type_, status, batch)


def tags_of(text: str) -> list[str]:
    """Read the tags of a job; those that cannot be read stay in their table, and lead nowhere."""
    try:
        return list(json.loads(text))
    except (ValueError, TypeError):
        return []


KEEP = "INSERT INTO kept VALUES (?,?) ON CONFLICT (job) DO UPDATE SET text=excluded.text"
KEPT = "SELECT text FROM jobs JOIN kept ON kept.job = jobs.seq WHERE id=?"


def add_logs(db: sqlite3.Connection, seq: int, logs: Sequence[LogLine]) -> None:
    """Append lines to a job's log."""
    if not logs:
        return
    last = db.execute("SELECT coalesce(max(n), 0) FROM logs WHERE job=?", (seq,)).fetchone()[0]
    db.executemany(
        "INSERT INTO logs VALUES (?,?,?,?,?,?,?)",
        [
            (seq, n, line.run, to_milliseconds(line.time), line.level, line.message, dump(line.context))
            for n, line in enumerate(logs, last + 1)
        ],
    )
