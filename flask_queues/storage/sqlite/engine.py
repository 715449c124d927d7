"""The SQLite engine: every transition is one transaction on one file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from ...record import Counts, JobRecord, LogLine, Page, Progress, Status, WorkerRecord, to_milliseconds
from ..base import Claim, Heartbeat, NewJob, Query, Settlement, Step, Storage, Wanted, Watcher
from . import listing
from .database import Database
from .rows import (
    CANCELLED,
    COLUMNS,
    COMPLETED,
    FAILED,
    NUMBERS,
    PENDING,
    RUNNING,
    SCHEDULED,
    STATUSES,
    dump,
    log_line,
    record,
    worker_about,
    worker_record,
)

#: Bytes of WAL above which the keeper makes writers begin it anew.
WAL_LIMIT = 16 * 1024 * 1024
#: Due jobs of all queues, and of each wanted one, made pending in one claim: its cost is bounded.
PROMOTE = 100
#: Free pages given back to the disk in one slice.
VACUUM_PAGES = 500
#: No lease is so long (ms): one that ends later was made by a clock that is not ours.
LONGEST_LEASE = 3_600_000
FOREVER = 2**62

CLAIM = (
    "id, queue, type, payload, options, created, expires, attempts, runs, error, cancel, token, started, worker, ahead"
)
CLAIM_AT = f"SELECT {CLAIM} FROM jobs WHERE seq=?"  # noqa: S608 - no value of a user is in it
CLAIMS_OF = f"SELECT {CLAIM} FROM jobs WHERE status=1 AND worker=?"  # noqa: S608
STALLED = f"SELECT {CLAIM} FROM jobs WHERE status=1 AND (lease<? OR lease>?)"  # noqa: S608

INSERT = """
INSERT INTO jobs (id, queue, type, status, stamp, priority, due, created, expires, tags, options, payload)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING
"""
NEXT = """
SELECT seq, id, queue, type, payload, options, created, expires, attempts, runs, error, alone FROM jobs
WHERE queue=? AND status=0 AND held IS NULL ORDER BY priority DESC, due, seq LIMIT ?
"""
TAKE = """
UPDATE jobs SET status=1, stamp=?, token=?, worker=?, lease=?, ahead=?, started=?, progress=NULL WHERE seq=?
"""
IN_HAND = "SELECT seq, queue, type FROM jobs WHERE id=? AND token=? AND status=1"
COMPLETE = """
UPDATE jobs SET status=3, stamp=?1, ended=?1, outcome=?2, attempts=attempts+?3, runs=runs+1, error=NULL,
    result=?4, cancel=NULL
WHERE seq=?5
"""
IN_FORCE = """
SELECT seq, queue, type, worker, started, runs, history, cancel, error FROM jobs
WHERE id=? AND token=? AND status=1
"""
SETTLE = """
UPDATE jobs SET status=:status, stamp=:stamp, due=coalesce(:due, due), ended=:now, outcome=:outcome,
    attempts=attempts+:counted, runs=runs+:ran, error=:error, result=:result, reason=:reason,
    history=:history, alone=max(alone, :alone), cancel=NULL
WHERE seq=:seq
"""
DUE = "SELECT seq, queue, type FROM jobs WHERE status=2 AND stamp<=? ORDER BY stamp LIMIT ?"
DUE_IN_QUEUE = "SELECT seq, queue, type FROM jobs WHERE queue=? AND status=2 AND stamp<=? ORDER BY stamp LIMIT ?"
PROMOTE_ONE = "UPDATE jobs SET status=0, stamp=? WHERE seq=?"
NEXT_DUE = "SELECT stamp FROM jobs WHERE status=2 ORDER BY stamp LIMIT 1"
RELEASE = "UPDATE jobs SET held=NULL WHERE held=?"
READY = "SELECT 1 FROM jobs WHERE queue=? AND status=0 AND held IS NULL LIMIT 1"
OLD = """
SELECT seq FROM jobs WHERE queue=? AND type=? AND status=? AND status<>1 AND stamp<=? ORDER BY stamp LIMIT ?
"""
TOKENS = "UPDATE meta SET value=value+? WHERE name='token' RETURNING value"
COUNT = """
INSERT INTO counts VALUES (?,?,?,?) ON CONFLICT (queue, type, status) DO UPDATE SET n=n+excluded.n
"""

Deltas = defaultdict[tuple[str, str, int], int]


class SQLiteStorage(Storage):
    """Keeps the jobs in one SQLite file, for any number of processes on one machine.

    An acknowledged push is on the disk. What workers did is on the disk after the keeper's next
    heartbeat, at most a second later: a power cut repeats the jobs of that second.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def maintained(self) -> bool:
        """Whether the keeper of this process's worker checkpoints the file."""
        return self._database.maintained

    @maintained.setter
    def maintained(self, value: bool) -> None:
        self._database.maintained = value
        self._database.close()

    @property
    def busy(self) -> bool:
        """Whether this thread is inside a transaction or a read."""
        return self._database.busy

    def describe(self) -> str:
        """The file's absolute path: two containers may have two instance folders."""
        return f"SQLite file {self._database.path.resolve()}"

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._database.close()

    # The pusher's side

    def push(self, jobs: Sequence[NewJob]) -> list[bool]:
        """Store the jobs in one transaction that is on the disk when this returns."""
        now = wall()
        deltas: Deltas = defaultdict(int)
        with self._database.write(durable=True) as db:
            created = [insert(db, job, now, deltas) for job in jobs]
            write_counts(db, deltas)
        return created

    # The worker's side

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle and claim in one transaction."""
        now = wall()
        deltas: Deltas = defaultdict(int)
        claims: list[Claim] = []
        with self._database.write() as db:
            lost = [one.id for one in settled if not settle(db, one, now, deltas)]
            if wanted is not None:
                promote(db, wanted.queues, now, deltas)
                claims = claim_next(db, worker, wanted, now, deltas)
            write_counts(db, deltas)
        return Step(claims, lost)

    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Claim one job whatever its place in the line."""
        now = wall()
        deltas: Deltas = defaultdict(int)
        with self._database.write() as db:
            row = db.execute("SELECT seq, queue, type, status FROM jobs WHERE id=?", (job_id,)).fetchone()
            if row is None or row[3] in (RUNNING, COMPLETED):
                return None
            seq, queue, type_, status = row
            if status in (FAILED, CANCELLED):
                retry_one(db, seq, now)
            token = next_tokens(db, 1)
            db.execute(TAKE, (now, token, worker, steady() + lease, 0, now, seq))
            db.execute("UPDATE jobs SET held=NULL WHERE seq=?", (seq,))
            count_move(deltas, queue, type_, status, RUNNING)
            write_counts(db, deltas)
            return read_claim(db.execute(CLAIM_AT, (seq,)).fetchone())

    def note(self, job_id: str, token: int, progress: Progress | None = None, logs: Sequence[LogLine] = ()) -> bool:
        """Keep progress and log lines while the claim is in force."""
        with self._database.write() as db:
            row = db.execute(IN_HAND, (job_id, token)).fetchone()
            if row is None:
                return False
            if progress is not None:
                db.execute("UPDATE jobs SET progress=? WHERE seq=?", (dump(progress), row[0]))
            add_logs(db, row[0], logs)
        return True

    # The keeper's side

    def heartbeat(self, worker: WorkerRecord, lease: int) -> Heartbeat:
        """Extend the claims of the worker's children, on the disk and with all that came before."""
        jobs: dict[str, list[str]] = {}
        to_cancel: list[Claim] = []
        until = steady() + lease
        with self._database.write(durable=True) as db:
            db.execute(
                "INSERT INTO workers VALUES (?,?,?) ON CONFLICT (name) DO UPDATE "
                "SET heartbeat=excluded.heartbeat, about=excluded.about",
                (worker.name, wall(), worker_about(worker)),
            )
            for child in worker.children:
                db.execute("UPDATE jobs SET lease=? WHERE status=1 AND worker=?", (until, child.name))
                held = claims_of(db, child.name)
                jobs[child.name] = [claim.id for claim in held]
                to_cancel += [claim for claim in held if claim.cancel is not None]
        return Heartbeat(to_cancel, jobs)

    def forget_worker(self, name: str) -> None:
        """Delete the worker's row."""
        with self._database.write() as db:
            db.execute("DELETE FROM workers WHERE name=?", (name,))

    def claims_of(self, worker: str) -> list[Claim]:
        """Read the claims that carry the child's name."""
        with self._database.read() as db:
            return claims_of(db, worker)

    def stalled(self) -> list[Claim]:
        """Read the claims whose lease has run out by this boot's monotonic clock."""
        now = steady()
        with self._database.read() as db:
            rows = db.execute(STALLED, (now, now + LONGEST_LEASE)).fetchall()
        return [read_claim(row) for row in rows]

    def release_held(self, types: Collection[str]) -> int:
        """Put held jobs of these types back into their lines."""
        with self._database.read() as db:
            held = {row[0] for row in db.execute("SELECT DISTINCT held FROM jobs WHERE held IS NOT NULL")}
        known = held.intersection(types)
        if not known:
            return 0
        with self._database.write() as db:
            return sum(db.execute(RELEASE, (type_,)).rowcount for type_ in known)

    def maintain(self) -> None:
        """Checkpoint the WAL and give free pages back to the disk."""
        self._database.checkpoint(restart=self._database.wal_size() > WAL_LIMIT)
        with self._database.read() as db:
            free = db.execute("PRAGMA freelist_count").fetchone()[0]
        if free > VACUUM_PAGES:
            with self._database.write() as db:
                for _ in range(VACUUM_PAGES):
                    db.execute("PRAGMA incremental_vacuum(1)")  # Python steps it once: one page, whatever it says

    def watcher(self) -> Watcher:
        """Watch the number that SQLite raises with every commit of another connection."""
        return DataVersion(self._database)

    def pending(self, queues: Sequence[str]) -> bool:
        """Look at the head of each line, and at the first scheduled job of any."""
        with self._database.read() as db:
            if any(db.execute(READY, (queue,)).fetchone() for queue in queues):
                return True
            first = db.execute(NEXT_DUE).fetchone()
        return first is not None and first[0] <= wall()

    def next_due(self) -> int | None:
        """Look at the first scheduled job."""
        with self._database.read() as db:
            row = db.execute(NEXT_DUE).fetchone()
        return max(0, row[0] - wall()) if row else None

    # The operator's side

    def cancel(self, job_id: str, reason: str) -> Status | None:
        """Cancel a waiting job; leave word with a running one."""
        now = wall()
        deltas: Deltas = defaultdict(int)
        with self._database.write(durable=True) as db:
            row = db.execute("SELECT seq, queue, type, status FROM jobs WHERE id=?", (job_id,)).fetchone()
            if row is None:
                return None
            seq, queue, type_, status = row
            if status == RUNNING:
                db.execute("UPDATE jobs SET cancel=? WHERE seq=?", (reason, seq))
            elif status in (PENDING, SCHEDULED):
                db.execute("UPDATE jobs SET status=5, stamp=?, reason=?, held=NULL WHERE seq=?", (now, reason, seq))
                count_move(deltas, queue, type_, status, CANCELLED)
            write_counts(db, deltas)
        return STATUSES[status]

    def retry(self, job_id: str) -> Status | None:
        """Make the job pending; its history stays."""
        now = wall()
        deltas: Deltas = defaultdict(int)
        with self._database.write(durable=True) as db:
            row = db.execute("SELECT seq, queue, type, status FROM jobs WHERE id=?", (job_id,)).fetchone()
            if row is None:
                return None
            seq, queue, type_, status = row
            if status in (FAILED, CANCELLED, SCHEDULED):
                retry_one(db, seq, now)
                count_move(deltas, queue, type_, status, PENDING)
            write_counts(db, deltas)
        return STATUSES[status]

    def delete(self, job_id: str) -> Status | None:
        """Delete the job with its log and tags."""
        deltas: Deltas = defaultdict(int)
        with self._database.write(durable=True) as db:
            row = db.execute("SELECT seq, status FROM jobs WHERE id=?", (job_id,)).fetchone()
            if row is None:
                return None
            if row[1] != RUNNING:
                delete_one(db, row[0], deltas)
            write_counts(db, deltas)
        return STATUSES[row[1]]

    def purge(self, statuses: Sequence[Status], *, older: int = 0, queue: str | None = None, limit: int = 500) -> int:
        """Delete one slice in one transaction."""
        until = wall() - older if older else FOREVER
        numbers = sorted({NUMBERS[status] for status in statuses if status is not Status.RUNNING})
        with self._database.read() as db:
            if not old_ones(db, numbers, until, queue, 1):
                return 0
        deltas: Deltas = defaultdict(int)
        with self._database.write() as db:
            seqs = old_ones(db, numbers, until, queue, limit)
            for seq in seqs:
                delete_one(db, seq, deltas)
            write_counts(db, deltas)
        return len(seqs)

    # Reading

    def get(self, job_id: str) -> JobRecord | None:
        """Read one job."""
        with self._database.read() as db:
            row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE id=?", (job_id,)).fetchone()  # noqa: S608
        return record(row) if row else None

    def page(self, query: Query) -> Page:
        """Read one page along an index."""
        with self._database.snapshot() as db:
            return listing.page(db, query)

    def counts(self) -> Counts:
        """Read the kept counts."""
        with self._database.read() as db:
            rows = db.execute("SELECT queue, type, status, n FROM counts WHERE n<>0").fetchall()
        return Counts({(queue, type_, STATUSES[status].value): n for queue, type_, status, n in rows})

    def queues(self) -> list[str]:
        """Read which queues have pending or scheduled jobs from the kept counts."""
        with self._database.read() as db:
            rows = db.execute("SELECT DISTINCT queue FROM counts WHERE n>0 AND status IN (0,2)").fetchall()
        return [row[0] for row in rows]

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """Read the end of the job's log."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT time, level, message, context, run FROM logs "
                "WHERE job=(SELECT seq FROM jobs WHERE id=?) ORDER BY n DESC LIMIT ?",
                (job_id, limit),
            ).fetchall()
        return [log_line(row) for row in reversed(rows)]

    def workers(self) -> list[WorkerRecord]:
        """Read the workers and, from the claims, what their children hold."""
        with self._database.snapshot() as db:
            rows = db.execute("SELECT name, heartbeat, about FROM workers ORDER BY name").fetchall()
            claims = db.execute("SELECT worker, id FROM jobs WHERE status=1").fetchall()
        jobs: dict[str, list[str]] = defaultdict(list)
        for worker, job_id in claims:
            jobs[worker].append(job_id)
        return [worker_record(name, heartbeat, about, jobs) for name, heartbeat, about in rows]


class DataVersion(Watcher):
    """Compares `PRAGMA data_version`, which costs microseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether another connection has committed since the last call, or may have while there was none."""
        with self._database.read() as db:
            seen = (self._database.openings, db.execute("PRAGMA data_version").fetchone()[0])
        changed, self._seen = seen != self._seen, seen
        return bool(changed)


def wall() -> int:
    """The time of day, in milliseconds."""
    return time.time_ns() // 1_000_000


def steady() -> int:
    """The clock of leases, in milliseconds: it never jumps."""
    return time.monotonic_ns() // 1_000_000


def insert(db: sqlite3.Connection, job: NewJob, now: int, deltas: Deltas) -> bool:
    """Put one job into its line; False if its id is there already."""
    due = job.at if job.at is not None else now + job.delay
    status, stamp = (SCHEDULED, due) if due > now else (PENDING, now)
    expires = max(due, now) + job.expires if job.expires is not None else None
    tags = dump(job.tags) if job.tags else None
    where = (status, stamp, job.priority, due, now, expires)
    cursor = db.execute(INSERT, (job.id, job.queue, job.type, *where, tags, job.options, job.payload))
    if not cursor.rowcount:
        return False
    if job.tags:
        tagged = [(tag, cursor.lastrowid) for tag in job.tags]
        db.executemany("INSERT OR IGNORE INTO tags VALUES (?,?)", tagged)
    deltas[job.queue, job.type, status] += 1
    return True


def settle(db: sqlite3.Connection, one: Settlement, now: int, deltas: Deltas) -> bool:
    """End one claim; False if it is not in force."""
    if one.status is Status.COMPLETED:
        return complete(db, one, now, deltas)
    row = db.execute(IN_FORCE, (one.id, one.token)).fetchone()
    if row is None:
        return False
    seq, queue, type_, worker, started, runs, history, cancel, error = row
    status, reason = NUMBERS[one.status], one.reason
    if cancel is not None and status in (PENDING, SCHEDULED):
        status, reason = CANCELLED, None
    if status == CANCELLED and reason is None:
        reason = cancel
    again = status in (PENDING, SCHEDULED)
    due = now + one.delay if status == SCHEDULED else None
    ran = one.outcome is not None
    outcome = one.outcome.value if one.outcome is not None else None
    if outcome is not None and again:
        history = add_run(history, (runs + 1, worker, started, now, outcome), one.error)
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
    add_words(db, seq, one)
    count_move(deltas, queue, type_, RUNNING, status)
    return True


def complete(db: sqlite3.Connection, one: Settlement, now: int, deltas: Deltas) -> bool:
    """End one claim well: the common case, in the least that it takes."""
    row = db.execute(IN_HAND, (one.id, one.token)).fetchone()
    if row is None:
        return False
    seq, queue, type_ = row
    outcome = one.outcome.value if one.outcome is not None else None
    db.execute(COMPLETE, (now, outcome, int(one.counted), one.result, seq))
    add_words(db, seq, one)
    count_move(deltas, queue, type_, RUNNING, COMPLETED)
    return True


def add_words(db: sqlite3.Connection, seq: int, said: Settlement) -> None:
    """Keep what the job said at its end."""
    if said.progress is not None:
        db.execute("UPDATE jobs SET progress=? WHERE seq=?", (dump(said.progress), seq))
    add_logs(db, seq, said.logs)


def add_run(history: str | None, run: tuple[Any, ...], error: str | None) -> str:
    """Add a line to the history; `error` is JSON text already."""
    line = f"{dump(run)[:-1]},{error or 'null'}]"
    return f"{history}\n{line}" if history else line


def promote(db: sqlite3.Connection, queues: Sequence[str], now: int, deltas: Deltas) -> None:
    """Make due jobs pending; where many are due, each line's first, so that none hides another's."""
    if promote_some(db, DUE, (now, PROMOTE), now, deltas) == PROMOTE:
        for queue in queues:
            promote_some(db, DUE_IN_QUEUE, (queue, now, PROMOTE), now, deltas)


def promote_some(db: sqlite3.Connection, which: str, parameters: tuple[Any, ...], now: int, deltas: Deltas) -> int:
    """Make the jobs that a statement finds pending; returns how many."""
    rows = db.execute(which, parameters).fetchall()
    for seq, queue, type_ in rows:
        db.execute(PROMOTE_ONE, (now, seq))
        count_move(deltas, queue, type_, SCHEDULED, PENDING)
    return len(rows)


def claim_next(db: sqlite3.Connection, worker: str, wanted: Wanted, now: int, deltas: Deltas) -> list[Claim]:
    """Take the first jobs of the first line that has one."""
    for queue in wanted.queues:
        rows = next_rows(db, queue, wanted)
        if rows:
            return take(db, worker, rows, wanted.lease, now, deltas)
    return []


def next_rows(db: sqlite3.Connection, queue: str, wanted: Wanted) -> list[tuple[Any, ...]]:
    """Look at the head of a line, and set aside what this worker does not know."""
    while True:
        rows = db.execute(NEXT, (queue, wanted.limit)).fetchall()
        unknown = [(row[3], row[0]) for row in rows if row[3] not in wanted.types]
        if not unknown:
            return together(rows, wanted.short)
        db.executemany("UPDATE jobs SET held=? WHERE seq=?", unknown)


def together(rows: list[tuple[Any, ...]], short: Collection[str]) -> list[tuple[Any, ...]]:
    """Cut the head of a line to what may be claimed in one go."""
    for n, row in enumerate(rows):
        if row[3] not in short or row[11]:
            return rows[: max(n, 1)]
    return rows


def take(
    db: sqlite3.Connection, worker: str, rows: list[tuple[Any, ...]], lease: int, now: int, deltas: Deltas
) -> list[Claim]:
    """Claim these rows."""
    first = next_tokens(db, len(rows))
    until = steady() + lease
    ahead = len(rows) > 1
    claims = []
    for token, row in enumerate(rows, first):
        seq, id_, queue, type_, payload, options, created, expires, attempts, runs, error, _ = row
        db.execute(TAKE, (now, token, worker, until, ahead, now, seq))
        deltas[queue, type_, PENDING] -= 1
        deltas[queue, type_, RUNNING] += 1
        claims.append(
            Claim(
                id_, queue, type_, payload, options, created, expires, attempts, runs, error,
                None, token, now, worker, ahead,
            )
        )  # fmt: skip
    return claims


def next_tokens(db: sqlite3.Connection, n: int) -> int:
    """Set `n` claim tokens aside and return the first."""
    last: int = db.execute(TOKENS, (n,)).fetchone()[0]
    return last - n + 1


def read_claim(row: tuple[Any, ...]) -> Claim:
    """Read a row of `CLAIM`."""
    return Claim(*row)._replace(ahead=bool(row[-1]))


def claims_of(db: sqlite3.Connection, worker: str) -> list[Claim]:
    """Read the claims in one child's hands."""
    return [read_claim(row) for row in db.execute(CLAIMS_OF, (worker,)).fetchall()]


def retry_one(db: sqlite3.Connection, seq: int, now: int) -> None:
    """Make a job pending as if it were new, with its history."""
    runs, worker, started, ended, outcome, error, history = db.execute(
        "SELECT runs, worker, started, ended, outcome, error, history FROM jobs WHERE seq=?", (seq,)
    ).fetchone()
    if outcome is not None:
        history = add_run(history, (runs, worker, started, ended, outcome), error)
    db.execute(
        "UPDATE jobs SET status=0, stamp=?1, due=?1, attempts=0, outcome=NULL, reason=NULL, cancel=NULL, "
        "held=NULL, expires=NULL, history=?2 WHERE seq=?3",
        (now, history, seq),
    )


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
    row = db.execute("DELETE FROM jobs WHERE seq=? RETURNING queue, type, status, tags", (seq,)).fetchone()
    queue, type_, status, tags = row
    if tags:
        db.executemany("DELETE FROM tags WHERE tag=? AND job=?", [(tag, seq) for tag in json.loads(tags)])
    db.execute("DELETE FROM logs WHERE job=?", (seq,))
    deltas[queue, type_, status] -= 1


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


def count_move(deltas: Deltas, queue: str, type_: str, before: int, after: int) -> None:
    """Note that a job went from one status to another."""
    deltas[queue, type_, before] -= 1
    deltas[queue, type_, after] += 1


def write_counts(db: sqlite3.Connection, deltas: Deltas) -> None:
    """Bring the kept counts up to date."""
    changes = [(*key, n) for key, n in deltas.items() if n]
    if changes:
        db.executemany(COUNT, changes)
