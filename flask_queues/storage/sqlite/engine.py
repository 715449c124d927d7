"""The SQLite engine: every transition is one transaction on one file."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from ...errors import OptionsChanged
from ...record import Counts, JobRecord, LogLine, Page, Progress, Status, WorkerRecord
from ..base import Storage
from ..figures import Ended
from ..outdated import Outdated
from ..parcels import Load
from ..payloads import differs, followed
from ..stops import Stop
from ..unique import END, START
from ..values import Claim, Finding, Heartbeat, NewJob, Occurrence, Query, Schedule, Settlement, Step, Wanted, Watcher
from ..workers import read_worker, whole_about
from . import figures, findings, gates, line, listing, moving, outdated, rewriting, schedules, stops, tallies, uniques
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
    dump,
    log_line,
    record,
    status_of,
)
from .steps import (
    CANCEL,
    CLAIM,
    CLAIM_AT,
    IN_HAND,
    KEEP,
    KEPT,
    TAKE,
    add_logs,
    claim_next,
    claims_of,
    delete_one,
    has_one,
    hold_again,
    insert,
    insert_all,
    next_tokens,
    old_ones,
    promote,
    put_first,
    read_claim,
    refuse_beyond,
    retry_one,
    settle_all,
)
from .tallies import Deltas

#: Bytes of WAL above which the keeper makes writers begin it anew.
WAL_LIMIT = 16 * 1024 * 1024
#: Free pages given back to the disk in one slice.
VACUUM_PAGES = 500
#: No lease is so long (ms): one that ends later was made by a clock that is not ours.
LONGEST_LEASE = 3_600_000
FOREVER = 2**62
#: Held jobs of a type that are let go in one transaction.
RELEASE_SLICE = 500
STALLED = f"SELECT {CLAIM} FROM jobs WHERE status=1 AND (lease<? OR lease>?)"  # noqa: S608
WHERE = "SELECT seq, queue, type, status, uniq, limits, batch FROM jobs WHERE id=?"
CHANGES = "SELECT changes FROM jobs WHERE seq=?"
OPTIONS = "SELECT status, options FROM jobs WHERE id=?"
PUT_OPTIONS = "UPDATE jobs SET options=?, changes=changes+1 WHERE id=? AND options IS ? RETURNING status"
PAYLOAD = "SELECT seq, status, payload FROM jobs WHERE id=?"
NEXT_DUE = "SELECT stamp FROM jobs WHERE status=2 ORDER BY stamp LIMIT 1"
HELD = "SELECT DISTINCT queue, held FROM jobs WHERE held IS NOT NULL"


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

    def now(self) -> int:
        """The time of day on this machine."""
        return wall()

    def examine(self) -> list[Finding]:
        """Look at the file, its disk and its log."""
        return findings.examine(self._database)

    # The pusher's side

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """Store the jobs in one transaction that is on the disk when this returns."""
        now = wall()
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            created = insert_all(db, jobs, now, deltas)
            refuse_beyond(db, bounds, deltas)
            deltas.write(db)
        return created

    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Store the job, or read who holds its key, in one transaction that is on the disk when this returns."""
        now = wall()
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            new = insert(db, job, now, deltas)
            refuse_beyond(db, bounds, deltas)
            deltas.write(db)
            if new or job.unique is None or db.execute(WHERE, (job.id,)).fetchone():
                return job.id
            return uniques.holder(db, job.queue, job.unique.key, now) or job.id

    # The worker's side

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle and claim in one transaction."""
        now = wall()
        deltas = Deltas()
        claims: list[Claim] = []
        held = 0
        with self._database.write() as db:
            lost, outdated = settle_all(db, settled, now, deltas)
            if wanted is not None:
                promote(db, wanted.queues, now, deltas)
                gates.let_through(db, now)
                claims, held = claim_next(db, worker, wanted, steady() + wanted.lease, now, deltas)
            deltas.write(db)
        return Step(claims, lost, held, outdated)

    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Claim one job whatever its place in the line."""
        now = wall()
        deltas = Deltas()
        with self._database.write() as db:
            row = db.execute(WHERE, (job_id,)).fetchone()
            if row is None or row[3] in (RUNNING, COMPLETED):
                return None
            seq, queue, type_, status, uniq, limits, batch = row
            if status in (FAILED, CANCELLED):
                hold_again(db, queue, uniq, job_id, now)
                retry_one(db, seq, now)
            uniques.free(db, queue, uniq, job_id, START)
            if limits is not None:
                gates.enter(db, queue, limits, now)
            token = next_tokens(db, 1)
            db.execute(TAKE, (now, token, worker, steady() + lease, 0, now, seq))
            db.execute("UPDATE jobs SET held=NULL, gather=NULL WHERE seq=?", (seq,))
            deltas.moved(queue, type_, status, RUNNING, batch)
            deltas.write(db)
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

    def keep(self, job_id: str, token: int, text: str) -> bool:
        """Keep a text while the claim is in force."""
        with self._database.write() as db:
            row = db.execute(IN_HAND, (job_id, token)).fetchone()
            if row is not None:
                db.execute(KEEP, (row[0], text))
        return row is not None

    def kept(self, job_id: str) -> str | None:
        """Read what the job has kept."""
        with self._database.read() as db:
            row = db.execute(KEPT, (job_id,)).fetchone()
        return row[0] if row is not None else None

    # The keeper's side

    def heartbeat(self, worker: WorkerRecord, lease: int) -> Heartbeat:
        """Extend the claims of the worker's children, on the disk and with all that came before.

        Raises `StorageFormatError` once a newer version has made the file its own.
        """
        jobs: dict[str, list[str]] = {}
        to_cancel: list[Claim] = []
        until = steady() + lease
        with self._database.write(durable=True) as db:
            self._database.refuse_newer(db)
            db.execute(
                "INSERT INTO workers VALUES (?,?,?) ON CONFLICT (name) DO UPDATE "
                "SET heartbeat=excluded.heartbeat, about=excluded.about",
                (worker.name, wall(), dump(whole_about(worker))),
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
        """Put a slice of the held jobs of these types back into their lines."""
        now = wall()
        with self._database.read() as db:
            held = set(db.execute(HELD).fetchall())
            stopped = stops.stopped(db, now).types
        known = [(queue, type_) for queue, type_ in held if type_ in types and type_ not in stopped.get(queue, ())]
        at_gates = any(isinstance(name, str) and " " in name for _, name in held)
        if not known and not at_gates:
            return 0
        with self._database.write() as db:
            mended = gates.mend(db, now) if at_gates else 0
            stopped = stops.stopped(db, now).types
            return mended + sum(
                db.execute(stops.LET_GO, (type_, queue, RELEASE_SLICE)).rowcount
                for queue, type_ in known
                if type_ not in stopped.get(queue, ())
            )

    def maintain(self) -> None:
        """Checkpoint the WAL and give free pages back to the disk."""
        self._database.checkpoint(restart=self._database.wal_size() > WAL_LIMIT)
        self._forget_gates()
        with self._database.read() as db:
            free = db.execute("PRAGMA freelist_count").fetchone()[0]
        if free > VACUUM_PAGES:
            with self._database.write() as db:
                for _ in range(VACUUM_PAGES):
                    db.execute("PRAGMA incremental_vacuum(1)")  # Python steps it once: one page, whatever it says

    def _forget_gates(self) -> None:
        """Delete gates that nobody passes any more; each key that ever had one would stay."""
        old = wall() * 1000
        with self._database.read() as db:
            if not db.execute(gates.FORGOTTEN, (old,)).fetchone():
                return
        with self._database.write() as db:
            db.execute(gates.FORGET, (old,))

    def watcher(self) -> Watcher:
        """Watch the number that SQLite raises with every commit of another connection."""
        return DataVersion(self._database)

    def pending(self, queues: Sequence[str], types: Collection[str]) -> bool:
        """Look at the head of each line, and at the first scheduled job of any."""
        now = wall()
        with self._database.read() as db:
            stopped = stops.stopped(db, now)
            for queue in queues:
                asleep = stopped.types.get(queue)
                awake = types if not asleep else set(types) - asleep
                if queue not in stopped.queues and has_one(db, queue, awake):
                    return True
            first = db.execute(NEXT_DUE).fetchone()
            gate = db.execute(gates.FIRST_OPEN).fetchone()
        return any(one is not None and one[0] <= now for one in (first, gate))

    def next_due(self) -> int | None:
        """Look at the first scheduled job, and at what is stopped for a time."""
        now = wall()
        with self._database.read() as db:
            row = db.execute(NEXT_DUE).fetchone()
            ends = [stop.until for stop in stops.in_force(db, now) if stop.until is not None]
            ends += db.execute(gates.FIRST_OPEN).fetchone() or ()
        return min((max(0, moment - now) for moment in [*ends, *(row or ())]), default=None)

    def stop(
        self, queue: str, job_type: str | None = None, *, lasts: int | None = None, reason: str = "", by: str = ""
    ) -> None:
        """Write the stop, on the disk when this returns."""
        now = wall()
        with self._database.write(durable=True) as db:
            stops.put(db, Stop(queue, job_type, None if lasts is None else now + lasts, reason, by, now))

    def go_on(self, queue: str, job_type: str | None = None) -> bool:
        """Delete the stop and let the first of its jobs go; the keeper does so with the others."""
        with self._database.write(durable=True) as db:
            return stops.end(db, queue, job_type, wall(), RELEASE_SLICE)

    def stops(self) -> list[Stop]:
        """Read the stops."""
        with self._database.read() as db:
            return stops.in_force(db, wall())

    # What was done

    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Walk the ends of the lines."""
        with self._database.read() as db:
            return figures.ended(db, since, until, sample)

    def oldest(self) -> dict[str, int]:
        """Look along the index of what may be claimed."""
        with self._database.read() as db:
            return figures.oldest(db)

    def rewrite(self, job_id: str, turn: Callable[[str], str]) -> bool:
        """Turn what was read outside of the transaction that writes it."""
        with self._database.read() as db:
            change = rewriting.look(db, job_id, turn)
        if change is None or change.empty:
            return False
        with self._database.write() as db:
            return rewriting.write(db, change)

    def sheet_names(self) -> list[str]:
        """Read rows."""
        with self._database.read() as db:
            return figures.names(db)

    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """Read rows."""
        with self._database.read() as db:
            return figures.sheets(db, names)

    def write_sheets(self, seen: tuple[str, str | None], sheets: Mapping[str, str | None]) -> bool:
        """Compare and write in one transaction."""
        with self._database.write() as db:
            return figures.write(db, seen, sheets)

    def tallies(self, batches: Mapping[str, Collection[str]]) -> dict[str, dict[Status, int]]:
        """Read rows; a tally here is over all queues."""
        with self._database.read() as db:
            return tallies.read(db, batches)

    def forget_tallies(self, batches: Mapping[str, Collection[str]]) -> None:
        """Delete rows."""
        with self._database.write() as db:
            tallies.forget(db, batches)

    # The operator's side

    def cancel(self, job_id: str, reason: str) -> Status | None:
        """Cancel a waiting job; leave word with a running one."""
        now = wall()
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            row = db.execute(WHERE, (job_id,)).fetchone()
            if row is None:
                return None
            seq, queue, type_, status, uniq, _, batch = row
            if status == RUNNING:
                db.execute("UPDATE jobs SET cancel=? WHERE seq=?", (reason, seq))
            elif status in (PENDING, SCHEDULED):
                if db.execute(CHANGES, (seq,)).fetchone()[0]:
                    raise OptionsChanged(followed(job_id))
                db.execute(CANCEL, (now, reason, seq))
                uniques.free(db, queue, uniq, job_id, END)
                deltas.moved(queue, type_, status, CANCELLED, batch)
            deltas.write(db)
        return status_of(status)

    def retry(self, job_id: str, delay: int = 0) -> Status | None:
        """Make the job pending, or scheduled; its history stays."""
        now = wall()
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            row = db.execute(WHERE, (job_id,)).fetchone()
            if row is None:
                return None
            seq, queue, type_, status, uniq, _, batch = row
            if status in (FAILED, CANCELLED):
                hold_again(db, queue, uniq, job_id, now)
            if status in (FAILED, CANCELLED, SCHEDULED):
                retry_one(db, seq, now + delay, SCHEDULED if delay else PENDING)
                deltas.moved(queue, type_, status, SCHEDULED if delay else PENDING, batch)
            deltas.write(db)
        return status_of(status)

    def hurry(self, job_id: str) -> Status | None:
        """Give the job a place above all priorities."""
        now = wall()
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            row = db.execute(WHERE, (job_id,)).fetchone()
            if row is None:
                return None
            seq, queue, type_, status, _, _, batch = row
            if status in (PENDING, SCHEDULED):
                put_first(db, seq, queue, now)
                deltas.moved(queue, type_, status, PENDING, batch)
            deltas.write(db)
        return status_of(status)

    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Compare and write in one transaction that is on the disk when this returns."""
        with self._database.write(durable=True) as db:
            row = db.execute(PAYLOAD, (job_id,)).fetchone()
            if row is None:
                return None
            seq, status, stored = row
            if status != RUNNING and differs(job_id, stored, payload, seen):
                db.execute("UPDATE jobs SET payload=? WHERE seq=?", (payload, seq))
        return status_of(status)

    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Turn what was read outside of the transaction that writes it, on the disk when this returns."""
        while True:
            with self._database.read() as db:
                row = db.execute(OPTIONS, (job_id,)).fetchone()
            if row is None:
                return None
            status, before = row
            after = turn(before)
            if after == before:
                return status_of(status)
            with self._database.write(durable=True) as db:
                written = db.execute(PUT_OPTIONS, (after, job_id, before)).fetchone()
            if written is not None:
                return status_of(written[0])

    def delete(self, job_id: str) -> Status | None:
        """Delete the job with its log and tags."""
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            row = db.execute("SELECT seq, status FROM jobs WHERE id=?", (job_id,)).fetchone()
            if row is None:
                return None
            if row[1] != RUNNING:
                delete_one(db, row[0], deltas)
            deltas.write(db)
        return status_of(row[1])

    def purge(self, statuses: Sequence[Status], *, older: int = 0, queue: str | None = None, limit: int = 500) -> int:
        """Delete one slice in one transaction."""
        until = until_then(older)
        numbers = sorted({NUMBERS[status] for status in statuses if status is not Status.RUNNING})
        with self._database.read() as db:
            if not old_ones(db, numbers, until, queue, 1):
                return 0
        deltas = Deltas()
        with self._database.write() as db:
            seqs = old_ones(db, numbers, until, queue, limit)
            for seq in seqs:
                delete_one(db, seq, deltas)
            deltas.write(db)
        return len(seqs)

    def outdated(self, which: Outdated, limit: int = 100) -> list[JobRecord]:
        """Read them along an index."""
        with self._database.snapshot() as db:
            found = outdated.find(db, which, until_then(which.older), limit)
            return [record(db.execute(outdated.READ, (seq,)).fetchone()) for seq, _ in found]

    def drop_outdated(self, which: Outdated, limit: int = 500, among: Collection[str] | None = None) -> int:
        """Delete one slice in one transaction."""
        until = until_then(which.older)
        with self._database.snapshot() as db:
            if not outdated.find(db, which, until, 1):
                return 0
        deltas = Deltas()
        with self._database.write() as db:
            deleted = outdated.delete(db, which, until, limit, among, deltas)
            deltas.write(db)
        return deleted

    # The scheduler's side

    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Compare, set and push in one transaction that is on the disk when this returns."""
        now = wall()
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            revision = schedules.put(db, schedule)
            if not revision:
                return 0
            insert_all(db, jobs, now, deltas)
            deltas.write(db)
            schedules.add_occurrences(db, schedule.name, occurrences, now)
        return revision

    def delete_schedule(self, schedule: Schedule) -> bool:
        """Compare and delete in one transaction."""
        with self._database.write(durable=True) as db:
            return schedules.delete(db, schedule)

    def schedules(self) -> list[Schedule]:
        """Read all schedules."""
        with self._database.read() as db:
            return schedules.stored(db)

    def schedules_changed(self) -> int:
        """Read the number of changes."""
        with self._database.read() as db:
            return schedules.changes(db)

    def occurrences(self, schedule: Schedule, limit: int = 100) -> list[Occurrence]:
        """Read the end of the schedule's history."""
        with self._database.read() as db:
            return schedules.history(db, schedule.name, limit)

    # The mover's side

    def identity(self) -> str:
        """Read the name that the file was given when it was first asked for."""
        with self._database.write(durable=True) as db:
            return moving.identity(db)

    def hand_out(self, to: str, limit: int = 100) -> Load | None:
        """Take jobs out in one transaction that is on the disk when this returns."""
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            load = moving.kept_load(db, to)
            if load is None:
                load = moving.load_up(db, to, limit, deltas)
                deltas.write(db)
        return load

    def take_in(self, source: str, load: Load) -> int:
        """Put a load in, in one transaction that is on the disk when this returns."""
        deltas = Deltas()
        with self._database.write(durable=True) as db:
            new = moving.unload(db, source, load, deltas, wall())
            deltas.write(db)
        return new

    def let_go(self, number: int) -> bool:
        """Delete the load; after a power cut it may come again, which does no harm."""
        with self._database.write() as db:
            return moving.forget(db, number)

    def on_the_way(self) -> int:
        """Read how many jobs the kept load has."""
        with self._database.read() as db:
            return moving.kept_jobs(db)

    # Reading

    def get(self, job_id: str) -> JobRecord | None:
        """Read one job."""
        with self._database.read() as db:
            row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE id=?", (job_id,)).fetchone()  # noqa: S608
        return record(row) if row else None

    def page(self, query: Query) -> Page:
        """Read one page along an index."""
        with self._database.snapshot() as db:
            return line.page(db, query) if query.line else listing.page(db, query)

    def places(self, queue: str, job_ids: Collection[str]) -> dict[str, int]:
        """Count along the index of what is ready."""
        with self._database.snapshot() as db:
            return line.places(db, queue, job_ids)

    def counts(self) -> Counts:
        """Read the kept counts."""
        with self._database.read() as db:
            rows = db.execute("SELECT queue, type, status, n FROM counts WHERE n<>0").fetchall()
        cells = {(queue, type_, status_of(status).value): n for queue, type_, status, n in rows if isinstance(n, int)}
        return Counts(cells)

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
        return [read_worker(name, heartbeat, about, jobs) for name, heartbeat, about in rows]


class DataVersion(Watcher):
    """Compares `PRAGMA data_version`, which costs microseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether another connection has committed since the last call, or may have while there was none."""
        before, self._seen = self._seen, self._database.version()
        return self._seen != before


def wall() -> int:
    """The time of day, in milliseconds."""
    return time.time_ns() // 1_000_000


def until_then(older: int) -> int:
    """The moment before which a job must have come into its status to be so old."""
    return wall() - older if older else FOREVER


def steady() -> int:
    """The clock of leases, in milliseconds: it never jumps."""
    return time.monotonic_ns() // 1_000_000
