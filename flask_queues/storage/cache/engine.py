"""The engine over any flask-caching backend: every change is one entry of a log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from ...errors import OptionsChanged, PayloadChanged, StorageError, UniqueTaken
from ...record import (
    Counts,
    JobRecord,
    LogLine,
    Page,
    Progress,
    Status,
    WorkerRecord,
)
from ..base import Storage
from ..figures import Ended
from ..outdated import Outdated
from ..parcels import Load
from ..payloads import changed, differs, followed
from ..stops import Stop
from ..unique import taken
from ..values import (
    Claim,
    Finding,
    Heartbeat,
    NewJob,
    Occurrence,
    Query,
    Schedule,
    Settlement,
    Severity,
    Step,
    Wanted,
    Watcher,
)
from ..workers import about_children, about_worker, worker_record
from . import figures, gates, line, listing, moves, moving, stops, work
from .bounds import unless_full, within
from .clock import Clock
from .job import (
    CANCELLED,
    COMPLETED,
    FAILED,
    NUMBERS,
    PENDING,
    RUNNING,
    SCHEDULED,
    STATUSES,
    Job,
)
from .log import Known, Log
from .port import Port
from .reading import claim_of, claims_in, ids_in, log_line, record_of, still_held
from .state import State
from .words import line_words, push_words, settle_words, wanted_words

FOREVER = 2**62
#: Held jobs of a type that are let go at a time.
RELEASE_SLICE = 500
#: Jobs that this engine is made for.
PROMISED = 10_000


class CacheStorage(Storage):
    """Keeps the jobs in a flask-caching backend, by its `get`, `set`, `add` and `delete` alone.

    Each process has all jobs in memory and reads what others have changed since. Made for up to
    10,000 jobs, kept ones too. Its time is the highest that any process has seen.
    """

    made_for = PROMISED

    def __init__(self, port: Port, clock: Clock | None = None) -> None:
        self._port = port
        self._log = Log(port, clock)
        self.shared = port.shared

    @property
    def maintained(self) -> bool:
        """Whether the keeper of this process's worker writes the snapshots."""
        return self._log.maintained

    @maintained.setter
    def maintained(self, value: bool) -> None:
        self._log.maintained = value

    @property
    def busy(self) -> bool:
        """Whether this thread is inside a call."""
        return self._log.busy

    def describe(self) -> str:
        """What backend it is."""
        return self._port.describe()

    def close(self) -> None:
        """Let go of connections; what is in memory stays."""
        self._log.disconnect()

    def now(self) -> int:
        """The highest time that any process has seen."""
        with self._log.read() as (_, now):
            return now

    def examine(self) -> list[Finding]:
        """Say what the backend promises, and for how many jobs this engine is made."""
        with self._log.read() as (state, _):
            n = len(state.shelves.jobs)
        return [promise(self._port), load(n), *self._port.findings()]

    # The pusher's side

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """Store the jobs with one entry."""
        if not jobs:
            return []
        said = [push_words(job) for job in jobs]
        with self._log.change(within(bounds, jobs, ["push", said]), ("push", said)) as (answer, _):
            created: list[bool] = unless_full(answer)
        return created

    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Store the job with one entry, or read who holds its key."""
        said = push_words(job)
        with self._log.change(within(bounds, [job], ["push unique", said]), ("push unique", said)) as (answer, _):
            return str(unless_full(answer))

    # The worker's side

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle and claim with one entry; with none where there is nothing to do."""
        said = [settle_words(one) for one in settled]

        def write(state: State, now: int) -> list[Any] | Known:
            if not said and (wanted is None or not work.claimable(state, wanted, now)):
                return Known([[], [], 0])
            return ["step", worker, said] if wanted is None else ["step", worker, said, wanted_words(state, wanted)]

        with self._log.change(write, ("step", worker, said, wanted is None)) as (answer, state):
            claims, lost, held, *outdated = answer
            found = [claim for pair in claims if (claim := still_held(state, *pair))]
            anew = [claim for pairs in outdated for pair in pairs if (claim := still_held(state, *pair))]
            return Step(found, lost, held, tuple(anew))

    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Claim one job whatever its place in the line."""

        def write(state: State, _now: int) -> list[Any] | Known:
            job = state.shelves.jobs.get(job_id)
            if job is None or job.status in (RUNNING, COMPLETED):
                return Known(None)
            return ["claim", worker, job_id, lease]

        with self._log.change(write, ("claim", worker, job_id)) as (answer, state):
            if isinstance(answer, str):
                raise UniqueTaken(taken(job_id, answer))
            return still_held(state, *answer) if answer else None

    def note(self, job_id: str, token: int, progress: Progress | None = None, logs: Sequence[LogLine] = ()) -> bool:
        """Keep progress and log lines while the claim is in force."""
        said = [list(progress) if progress is not None else None, [line_words(line) for line in logs]]

        def write(state: State, _now: int) -> list[Any] | Known:
            if work.in_hand(state, job_id, token) is None:
                return Known(False)
            return ["note", job_id, token, *said]

        with self._log.change(write) as (answer, _):
            return bool(answer)

    def keep(self, job_id: str, token: int, text: str) -> bool:
        """Keep a text while the claim is in force."""

        def write(state: State, _now: int) -> list[Any] | Known:
            if work.in_hand(state, job_id, token) is None:
                return Known(False)
            return ["keep", job_id, token, text]

        with self._log.change(write) as (answer, _):
            return bool(answer)

    def kept(self, job_id: str) -> str | None:
        """Read what the job has kept."""
        with self._log.read() as (state, _):
            job = state.shelves.jobs.get(job_id)
            return job.kept if job is not None else None

    # The keeper's side

    def heartbeat(self, worker: WorkerRecord, lease: int) -> Heartbeat:
        """Extend the claims of the worker's children; the entry says of the worker what has changed."""
        about, children = about_worker(worker), about_children(worker)

        def write(state: State, _now: int) -> list[Any]:
            known = state.workers.get(worker.name)
            same = known is not None and [one[:2] for one in known.children] == [one[:2] for one in children]
            return [
                "beat",
                worker.name,
                lease,
                None if known is not None and known.about == about else about,
                None if same else children,
                [one[2] for one in children] if same else [],
            ]

        with self._log.change(write) as (_, state):
            held = {child.name: claims_in(state, child.name) for child in worker.children}
        return Heartbeat(
            [claim for claims in held.values() for claim in claims if claim.cancel is not None],
            {child: [claim.id for claim in claims] for child, claims in held.items()},
        )

    def forget_worker(self, name: str) -> None:
        """Take the worker off the list."""
        with self._log.change(lambda state, _: ["forget", name] if name in state.workers else Known(None)):
            pass

    def claims_of(self, worker: str) -> list[Claim]:
        """Look into the child's hand."""
        with self._log.read() as (state, _):
            return claims_in(state, worker)

    def stalled(self) -> list[Claim]:
        """Look through all hands."""
        with self._log.read() as (state, now):
            return [claim_of(job) for job in state.shelves.running() if job.lease < now]

    def release_held(self, types: Collection[str]) -> int:
        """Put a slice of the held jobs of these types back into their lines."""

        def write(state: State, now: int) -> list[Any] | Known:
            both = sorted(set(state.shelves.held).intersection(types))
            known = [type_ for type_ in both if moves.awake(state, type_, now)]
            return ["release", known, RELEASE_SLICE] if known or gates.to_mend(state, now) else Known(0)

        with self._log.change(write) as (answer, _):
            return int(answer)

    def maintain(self) -> None:
        """Write a snapshot when the log has become long."""
        self._log.maintain()

    def watcher(self) -> Watcher:
        """Look for the next entry now and then."""
        return NextEntry(self._log)

    def pending(self, queues: Sequence[str], types: Collection[str]) -> bool:
        """Look at the head of each line, and at the first scheduled job of any."""
        with self._log.read() as (state, now):
            moments = (state.shelves.next_due(), gates.first_open(state))
            return any(due is not None and due <= now for due in moments) or any(
                work.has_one(state, queue, types, now) for queue in queues
            )

    def next_due(self) -> int | None:
        """Look at the first scheduled job, and at what is stopped for a time."""
        with self._log.read() as (state, now):
            ends = [stop.until for stop in stops.in_force(state, now)] if state.stops else []
            moments = [state.shelves.next_due(), gates.first_open(state), *ends]
        return min((max(0, moment - now) for moment in moments if moment is not None), default=None)

    def stop(
        self, queue: str, job_type: str | None = None, *, lasts: int | None = None, reason: str = "", by: str = ""
    ) -> None:
        """Stop it with one entry."""
        with self._log.change(lambda *_: ["stop", queue, job_type or "", lasts, reason, by]):
            pass

    def go_on(self, queue: str, job_type: str | None = None) -> bool:
        """End the stop with one entry, which lets the first of its jobs go; the keeper does so with the others."""

        def write(state: State, _now: int) -> list[Any] | Known:
            there = (job_type or "") in state.stops.get(queue, {})
            return ["go on", queue, job_type or "", RELEASE_SLICE] if there else Known(False)

        with self._log.change(write, ("go on", queue, job_type)) as (answer, _):
            return bool(answer)

    def stops(self) -> list[Stop]:
        """Read the stops."""
        with self._log.read() as (state, now):
            return stops.in_force(state, now)

    # What was done

    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Look into the lists."""
        with self._log.read() as (state, _):
            return figures.ended(state.shelves, since, until, sample)

    def oldest(self) -> dict[str, int]:
        """Look through the lines."""
        with self._log.read() as (state, _):
            return {queue: min(place[-1].due for place in line) for queue, line in state.shelves.lines.items()}

    def rewrite(self, job_id: str, turn: Callable[[str], str]) -> bool:
        """Say in one entry which texts are to stand for which."""

        with self._log.read() as (state, _):
            job = state.shelves.jobs.get(job_id)
            texts = job.texts() if job is not None else []
        changed = {text: new for text in texts if (new := turn(text)) != text}
        if not changed:
            return False
        with self._log.change(lambda *_: ["rewrite", job_id, changed]) as (answer, _):
            return bool(answer)

    def sheet_names(self) -> list[str]:
        """Read what is in memory."""
        with self._log.read() as (state, _):
            return sorted(state.sheets)

    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """Read what is in memory."""
        with self._log.read() as (state, _):
            return {name: state.sheets[name] for name in names if name in state.sheets}

    def write_sheets(self, seen: tuple[str, str | None], sheets: Mapping[str, str | None]) -> bool:
        """Compare and write with one entry; with none where they say something else already."""
        name, text = seen
        said = [name, figures.digest(text), dict(sheets)]

        def write(state: State, _now: int) -> list[Any] | Known:
            return ["sheets", *said] if state.sheets.get(name) == text else Known(False)

        with self._log.change(write, ("sheets", said)) as (answer, _):
            return bool(answer)

    # The operator's side

    def cancel(self, job_id: str, reason: str) -> Status | None:
        """Cancel a waiting job; leave word with a running one."""

        def refuse(job: Job) -> None:
            if job.changes and job.status != RUNNING:
                raise OptionsChanged(followed(job_id))

        return self._change_one(job_id, (PENDING, SCHEDULED, RUNNING), ["cancel", job_id, reason], refuse)

    def retry(self, job_id: str, delay: int = 0) -> Status | None:
        """Make the job pending, or scheduled; its history stays."""
        entry = ["retry", job_id, delay] if delay else ["retry", job_id]
        return self._change_one(job_id, (FAILED, CANCELLED, SCHEDULED), entry)

    def hurry(self, job_id: str) -> Status | None:
        """Give the job a place before the first."""
        return self._change_one(job_id, (PENDING, SCHEDULED), ["hurry", job_id])

    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Compare and write with one entry, which names the very text that it replaces."""

        def write(state: State, _now: int) -> list[Any] | Known:
            job = state.shelves.jobs.get(job_id)
            if job is None or job.status == RUNNING or not differs(job_id, job.payload, payload, seen):
                return Known(None if job is None else job.status)
            return ["payload", job_id, payload, job.payload]

        with self._log.change(write, ("payload", job_id, payload, seen)) as (answer, _):
            if answer is False:
                raise PayloadChanged(changed(job_id))
            return None if answer is None else STATUSES[answer]

    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Turn what the job has, and write it with one entry; where somebody was quicker, turn that."""

        def write(state: State, _now: int) -> list[Any] | Known:
            job = state.shelves.jobs.get(job_id)
            options = turn(job.options) if job is not None else None
            if job is None or options == job.options:
                return Known(None if job is None else job.status)
            return ["options", job_id, options]

        with self._log.change(write) as (answer, _):
            return None if answer is None else STATUSES[answer]

    def delete(self, job_id: str) -> Status | None:
        """Delete the job with its log and tags."""
        return self._change_one(job_id, (PENDING, SCHEDULED, COMPLETED, FAILED, CANCELLED), ["delete", job_id])

    def _change_one(
        self, job_id: str, numbers: Collection[int], entry: list[Any], check: Callable[[Job], None] | None = None
    ) -> Status | None:
        def write(state: State, _now: int) -> list[Any] | Known:
            job = state.shelves.jobs.get(job_id)
            if job is None or job.status not in numbers:
                return Known(None if job is None else job.status)
            if check is not None:
                check(job)
            return entry

        with self._log.change(write, entry) as (answer, _):
            if isinstance(answer, str):
                raise UniqueTaken(taken(job_id, answer))
            return None if answer is None else STATUSES[answer]

    def purge(self, statuses: Sequence[Status], *, older: int = 0, queue: str | None = None, limit: int = 500) -> int:
        """Delete one slice with one entry."""
        numbers = sorted({NUMBERS[status] for status in statuses if status is not Status.RUNNING})

        def write(state: State, now: int) -> list[Any] | Known:
            until = now - older if older else FOREVER
            if not moves.old_ones(state, numbers, until, queue, 1):
                return Known(0)
            return ["purge", numbers, until, queue, limit]

        with self._log.change(write) as (answer, _):
            return int(answer)

    def outdated(self, which: Outdated, limit: int = 100) -> list[JobRecord]:
        """Read the beginning of a list."""
        with self._log.read() as (state, now):
            return [record_of(job) for job in outdated_ones(state, which, now, limit)]

    def drop_outdated(self, which: Outdated, limit: int = 500, among: Collection[str] | None = None) -> int:
        """Delete one slice with one entry."""

        def write(state: State, now: int) -> list[Any] | Known:
            found = [job.id for job in outdated_ones(state, which, now, limit) if among is None or job.id in among]
            return ["drop", NUMBERS[which.status], found] if found else Known(0)

        with self._log.change(write) as (answer, _):
            return int(answer)

    def tallies(self, batches: Mapping[str, Collection[str]]) -> dict[str, dict[Status, int]]:
        """Read what the shelves count; a tally here is over all queues."""
        with self._log.read() as (state, _):
            found = {batch: list(state.shelves.tallies[batch]) for batch in batches if batch in state.shelves.tallies}
        return {batch: {STATUSES[n]: many for n, many in enumerate(tally) if many} for batch, tally in found.items()}

    def forget_tallies(self, batches: Mapping[str, Collection[str]]) -> None:
        """Forget them with one entry."""
        with self._log.change(lambda *_: ["untally", sorted(batches)], sorted(batches)):
            pass

    # The scheduler's side

    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Compare, set and push with one entry."""
        said = [
            *(schedule.name, schedule.queue, schedule.about, schedule.revision),
            [push_words(job) for job in jobs],
            [[one.due, one.outcome, one.job] for one in occurrences],
        ]
        with self._log.change(lambda *_: ["schedule", *said], said) as (answer, _):
            return int(answer)

    def delete_schedule(self, schedule: Schedule) -> bool:
        """Compare and delete with one entry."""
        said = [schedule.name, schedule.queue, schedule.revision]
        with self._log.change(lambda *_: ["unschedule", *said], said) as (answer, _):
            return bool(answer)

    def schedules(self) -> list[Schedule]:
        """Read all schedules."""
        with self._log.read() as (state, _):
            found = sorted(state.schedules.items())
        return [Schedule(name, queue, about, revision) for name, (queue, about, revision, _) in found]

    def schedules_changed(self) -> int:
        """Read the number of changes."""
        with self._log.read() as (state, _):
            return state.changes

    def occurrences(self, schedule: Schedule, limit: int = 100) -> list[Occurrence]:
        """Read the end of the schedule's history."""
        with self._log.read() as (state, _):
            stored = state.schedules.get(schedule.name)
            return [Occurrence(*one) for one in stored[3][: -limit - 1 : -1]] if stored else []

    # The mover's side

    def identity(self) -> str:
        """The name of the log: one that begins anew is another storage."""
        with self._log.change(lambda state, _: Known(state.lineage)) as (answer, _):
            return str(answer)

    def hand_out(self, to: str, limit: int = 100) -> Load | None:
        """Take jobs out with one entry."""

        def write(state: State, _now: int) -> list[Any] | Known:
            if state.leaving is None and not moving.has_some(state):
                return Known(None)
            return ["depart", to, limit] if state.leaving is None else Known(state.leaving[0])

        while True:
            with self._log.change(write, ("depart", to)) as (answer, state):
                kept = state.leaving
            if answer is None:
                return None
            if kept is not None:  # somebody may have let it go in between
                return read_load(kept, to)

    def take_in(self, source: str, load: Load) -> int:
        """Put a load in with one entry."""
        text = load.dump()

        def write(state: State, _now: int) -> list[Any] | Known:
            return Known(0) if state.arrived.get(source, 0) >= load.number else ["arrive", source, text]

        with self._log.change(write, ("arrive", source, load.number)) as (answer, _):
            return int(answer)

    def let_go(self, number: int) -> bool:
        """Forget the load with one entry."""

        def write(state: State, _now: int) -> list[Any] | Known:
            return ["let go", number] if state.leaving and state.leaving[0] == number else Known(False)

        with self._log.change(write, ("let go", number)) as (answer, _):
            return bool(answer)

    def on_the_way(self) -> int:
        """Look into the load."""
        with self._log.read() as (state, _):
            return len(Load.parse(state.leaving[2]).jobs) if state.leaving else 0

    # Reading

    def get(self, job_id: str) -> JobRecord | None:
        """Read one job."""
        with self._log.read() as (state, _):
            job = state.shelves.jobs.get(job_id)
            return record_of(job) if job is not None else None

    def page(self, query: Query) -> Page:
        """Read one page along the sorted lists."""
        with self._log.read() as (state, _):
            return line.page(state.shelves, query) if query.line else listing.page(state.shelves, query)

    def places(self, queue: str, job_ids: Collection[str]) -> dict[str, int]:
        """Look where they stand in the sorted line."""
        with self._log.read() as (state, _):
            return line.places(state.shelves, queue, job_ids)

    def counts(self) -> Counts:
        """Read how long the lists are."""
        with self._log.read() as (state, _):
            lists = state.shelves.lists.items()
            return Counts({(queue, type_, STATUSES[number].value): len(line) for (queue, type_, number), line in lists})

    def queues(self) -> list[str]:
        """Read which queues have pending or scheduled jobs."""
        with self._log.read() as (state, _):
            return sorted({queue for queue, _, number in state.shelves.lists if number in (PENDING, SCHEDULED)})

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """Read the end of the job's log."""
        with self._log.read() as (state, _):
            job = state.shelves.jobs.get(job_id)
            return [log_line(*line) for line in job.logs[-limit:]] if job is not None and limit else []

    def workers(self) -> list[WorkerRecord]:
        """Read the workers and what their children hold."""
        with self._log.read() as (state, _):
            return [
                worker_record(name, worker.heartbeat, worker.about, worker.children, partial(ids_in, state))
                for name, worker in sorted(state.workers.items())
            ]


class NextEntry(Watcher):
    """Looks whether somebody has added to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._seen = -1
        self.interval = log.port.interval

    def changed(self) -> bool:
        """Whether another process has stored anything since the last call."""
        before, self._seen = self._seen, self._log.foreign_entries()
        return before != self._seen


def read_load(kept: tuple[int, str, str], to: str) -> Load:
    """Read the load that is kept; raises `StorageError` where it went elsewhere."""
    _, destination, text = kept
    if destination != to:
        raise StorageError(
            "Jobs of this storage are on their way to another one than this: an earlier move was interrupted. "
            "Run that one again to its end first."
        )
    return Load.parse(text)


def outdated_ones(state: State, which: Outdated, now: int, limit: int) -> list[Job]:
    """The first jobs of a line that were kept long enough."""
    line = state.shelves.lists.get((which.queue, which.type, NUMBERS[which.status]), [])
    until = now - which.older if which.older else FOREVER
    return [job for stamp, _, job in line[: max(0, min(limit, len(line) - which.spare))] if stamp <= until]


def promise(port: Port) -> Finding:
    """Say what the backend promises; of one that promises nothing, what to take instead."""
    fix = "Use flask_queues.SQLiteCache, the default, or Redis." if port.severity > Severity.NOTE else ""
    return Finding(port.severity, "cache-promise", port.promise, fix)


def load(n: int) -> Finding:
    """Say whether so many jobs are too many."""
    holds = f"Every process that uses this storage has all jobs in its memory; it is made for up to {PROMISED:,}"
    if n <= PROMISED:
        fix = "For more jobs and more speed, use flask_queues.SQLiteCache, the default, or Redis."
        return Finding(Severity.NOTE, "storage-load", f"{holds}.", fix)
    fix = "Use flask_queues.SQLiteCache, the default, or Redis; or keep ended jobs for a shorter time."
    return Finding(Severity.DELAYS, "storage-load", f"{holds}, and there are {n:,}.", fix)
