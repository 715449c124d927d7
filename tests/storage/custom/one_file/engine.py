"""The engine: every method reads the file, and those that change something put a new one in its place."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask

from flask_queues.errors import (
    OptionError,
    OptionsChanged,
    PayloadChanged,
    StorageFormatError,
    StorageFull,
    StorageUnavailable,
)
from flask_queues.record import (
    Counts,
    JobRecord,
    LogLine,
    Page,
    Progress,
    Status,
    WorkerRecord,
    to_datetime,
)
from flask_queues.storage.base import Storage
from flask_queues.storage.figures import Ended, every
from flask_queues.storage.limits import NEVER
from flask_queues.storage.outdated import Outdated
from flask_queues.storage.parcels import Load, SchedulePost
from flask_queues.storage.spots import Spot, read_spot
from flask_queues.storage.stops import Stop
from flask_queues.storage.unique import END
from flask_queues.storage.values import (
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

from .state import FORMAT, WAITING, State, StoredJob, StoredSchedule, in_force

#: Occurrences that a schedule's history keeps.
KEPT = 100


class OneFileStorage(Storage):
    """Keeps the jobs in one JSON file that processes of one machine share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def from_app(cls, app: Flask) -> OneFileStorage:
        """`ONE_FILE` in the application's configuration is the path; else a file in its instance folder."""
        return cls(Path(app.config.get("ONE_FILE") or Path(app.instance_path, "jobs.json")))

    def clock(self) -> int:
        """The time of day, in milliseconds."""
        return time.time_ns() // 1_000_000

    def read(self) -> State:
        """Read the file; it is never half written, since a new one takes its place."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise StorageUnavailable(f"{self.path} cannot be read: {error.strerror}.") from error
        if msgspec.json.decode(text, type=dict[str, Any])["format"] > FORMAT:
            raise StorageFormatError(f"{self.path} was written by a newer version. Install that one.")
        return msgspec.json.decode(text, type=State)

    @contextmanager
    def change(self) -> Iterator[State]:
        """Let nobody else change the file, and write it if nothing went wrong."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                state = self.read()
                yield state
                self.write(msgspec.json.encode(state))
        except OSError as error:
            kind = StorageFull if error.errno == errno.ENOSPC else StorageUnavailable
            raise kind(f"{self.path} cannot be written: {error.strerror}; nothing was changed.") from error

    def write(self, text: bytes) -> None:
        """Put a new file in the place of the old one, once it is on the disk."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def describe(self) -> str:
        """The file."""
        return f"JSON file {self.path.resolve()}"

    def close(self) -> None:
        """Nothing stays open."""

    def now(self) -> int:
        """The time of day on this machine."""
        return self.clock()

    def examine(self) -> list[Finding]:
        """Say what is promised."""
        return [
            Finding(Severity.NOTE, "one-file-promise", "Jobs survive a restart and, where fsync does, a power cut.")
        ]

    # The pusher's side

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """All or none: the file is written once."""
        with self.change() as state:
            return state.push_within(jobs, bounds or {}, self.clock())

    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Push it, and tell who holds its key."""
        with self.change() as state:
            now = self.clock()
            state.push_within([job], bounds or {}, now)
            return job.id if job.id in state.jobs else state.holder(job, now) or job.id

    # The worker's side

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle, and claim what comes next."""
        with self.change() as state:
            now = self.clock()
            lost, outdated = state.settle_all(settled, now)
            if wanted is None:
                return Step([], lost, outdated=outdated)
            state.promote(now)
            claims, held = state.claim_next(worker, wanted, now)
            return Step(claims, lost, held, outdated)

    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Claim a job wherever it stands."""
        with self.change() as state:
            job, now = state.jobs.get(job_id), self.clock()
            if job is None or job.status in (Status.RUNNING, Status.COMPLETED):
                return None
            if job.status.final:
                state.hold_again(job, now)
                job.renew(now)
            return state.take(job, worker, lease, now)

    def note(self, job_id: str, token: int, progress: Progress | None = None, logs: Sequence[LogLine] = ()) -> bool:
        """Keep what a running job says."""
        with self.change() as state:
            job = state.in_force(job_id, token)
            if job is None:
                return False
            job.progress = progress or job.progress
            job.logs += tuple(logs)
            return True

    def keep(self, job_id: str, token: int, text: str) -> bool:
        """Keep a text for the next run."""
        with self.change() as state:
            job = state.in_force(job_id, token)
            if job is not None:
                job.kept = text
            return job is not None

    def kept(self, job_id: str) -> str | None:
        """What the job has kept."""
        job = self.read().jobs.get(job_id)
        return job.kept if job is not None else None

    # The keeper's side

    def heartbeat(self, worker: WorkerRecord, lease: int) -> Heartbeat:
        """Keep the worker, and extend what its children hold."""
        with self.change() as state:
            now = self.clock()
            state.workers[worker.name] = replace(worker, heartbeat=to_datetime(now))
            held = {child.name: state.in_hands(child.name) for child in worker.children}
            jobs = [job for some in held.values() for job in some]
            for job in jobs:
                job.lease = now + lease
            to_cancel = [job.claim() for job in jobs if job.cancel is not None]
            return Heartbeat(to_cancel, {name: [job.id for job in some] for name, some in held.items()})

    def forget_worker(self, name: str) -> None:
        """Delete the worker."""
        with self.change() as state:
            state.workers.pop(name, None)

    def claims_of(self, worker: str) -> list[Claim]:
        """What a child holds."""
        return [job.claim() for job in self.read().in_hands(worker)]

    def stalled(self) -> list[Claim]:
        """Those whose lease has run out."""
        now = self.clock()
        jobs = self.read().jobs.values()
        return [job.claim() for job in jobs if job.status is Status.RUNNING and job.lease < now]

    def release_held(self, types: Collection[str]) -> int:
        """Put the held jobs of these types back into their lines, and those whose gate is open now."""
        with self.change() as state:
            now = self.clock()
            held = [
                job
                for job in state.jobs.values()
                if job.held == job.type and job.type in types and not state.stopped(job.queue, job.type, now)
            ]
            for job in held:
                job.held = None
            return len(held) + state.let_through(now)

    def maintain(self) -> None:
        """There is nothing to do."""

    def watcher(self) -> Watcher:
        """Watch the file."""
        return NewFile(self.path)

    def pending(self, queues: Sequence[str], types: Collection[str]) -> bool:
        """Whether one of the lines holds such a job, or another is due."""
        state = self.read()
        now = self.clock()
        waits = any(
            job.type in types and not state.stopped(queue, job.type, now)
            for queue in queues
            if not state.stopped(queue, None, now)
            for job in state.jobs.values()
            if job.queue == queue and job.status is Status.PENDING and state.claimable(job, now)
        )
        return waits or any(job.status is Status.SCHEDULED and job.due <= now for job in state.jobs.values())

    def next_due(self) -> int | None:
        """How long until the first scheduled job is due, or the first stop ends."""
        state = self.read()
        due = [job.due for job in state.jobs.values() if job.status is Status.SCHEDULED]
        due += [stop.until for stop in self.stops() if stop.until is not None]
        due += [moment for job in state.jobs.values() if 0 < (moment := state.opens_for(job, self.clock())) < NEVER]
        return max(0, min(due) - self.clock()) if due else None

    def stop(
        self, queue: str, job_type: str | None = None, *, lasts: int | None = None, reason: str = "", by: str = ""
    ) -> None:
        """Keep the stop."""
        with self.change() as state:
            now = self.clock()
            state.put_stop(Stop(queue, job_type, None if lasts is None else now + lasts, reason, by, now))

    def go_on(self, queue: str, job_type: str | None = None) -> bool:
        """Drop the stop and let its jobs go."""
        with self.change() as state:
            found = [one for one in state.stops if one[:2] == (queue, job_type)]
            for one in found:
                state.stops.remove(one)
                for job in state.jobs.values():
                    job.held = None if (job.queue, job.held) == (queue, job_type) else job.held
            return any(in_force(one, self.clock()) for one in found)

    def stops(self) -> list[Stop]:
        """Those that are not over."""
        now = self.clock()
        return [one for one in self.read().stops if in_force(one, now)]

    # What was done

    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Look through all jobs."""
        ends = [job for job in self.read().jobs.values() if job.status.final and since <= job.since < until]
        step = every(len(ends), sample)
        return Ended(
            dict(Counter((job.queue, job.type, job.status) for job in ends)),
            [(job.record(), step) for job in ends[::step]],
        )

    def oldest(self) -> dict[str, int]:
        """Look through all jobs."""
        found: dict[str, int] = {}
        for job in self.read().jobs.values():
            if job.status is Status.PENDING and job.held is None:
                found[job.queue] = min(job.due, found.get(job.queue, job.due))
        return found

    def rewrite(self, job_id: str, turn: Callable[[str], str]) -> bool:
        """Turn each text."""
        job = self.read().jobs.get(job_id)
        turned = {text: turn(text) for text in (job.texts() if job is not None else ())}
        with self.change() as state:
            job = state.jobs.get(job_id)
            return job is not None and job.turn(turned)

    def sheet_names(self) -> list[str]:
        """All there are."""
        return sorted(self.read().sheets)

    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """Those that are there."""
        kept = self.read().sheets
        return {name: kept[name] for name in names if name in kept}

    def write_sheets(self, seen: tuple[str, str | None], sheets: Mapping[str, str | None]) -> bool:
        """Compare, then write."""
        with self.change() as state:
            name, text = seen
            if state.sheets.get(name) != text:
                return False
            kept = {**state.sheets, **sheets}
            state.sheets = {name: text for name, text in kept.items() if text is not None}
            return True

    def tallies(self, batches: Mapping[str, Collection[str]]) -> dict[str, dict[Status, int]]:
        """Count."""
        state = self.read()
        return {batch: state.tally(batch) for batch in batches if batch in state.gone}

    def forget_tallies(self, batches: Mapping[str, Collection[str]]) -> None:
        """Forget which jobs belong to the batches."""
        with self.change() as state:
            for batch in batches:
                state.forget_tally(batch)

    # The operator's side

    def cancel(self, job_id: str, reason: str) -> Status | None:
        """End it, or leave word."""
        with self.change() as state:
            job = state.jobs.get(job_id)
            if job is None:
                return None
            before = job.status
            if before is Status.RUNNING:
                job.cancel = reason
            elif before in WAITING:
                if job.changes:
                    raise OptionsChanged(f"Only who claims {job_id} knows what its end causes.")
                job.enter(Status.CANCELLED, self.clock())
                job.reason, job.held = reason, None
                state.free(job, END)
            return before

    def retry(self, job_id: str, delay: int = 0) -> Status | None:
        """Begin anew."""
        with self.change() as state:
            job = state.jobs.get(job_id)
            if job is None:
                return None
            before = job.status
            if before in (Status.FAILED, Status.CANCELLED):
                state.hold_again(job, self.clock())
            if before in (Status.FAILED, Status.CANCELLED, Status.SCHEDULED):
                job.renew(self.clock() + delay, Status.SCHEDULED if delay else Status.PENDING)
            return before

    def hurry(self, job_id: str) -> Status | None:
        """Put it before the first."""
        with self.change() as state:
            job = state.jobs.get(job_id)
            if job is None:
                return None
            before = job.status
            if before in WAITING:
                state.put_first(job, self.clock())
            return before

    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Compare and write, unless it runs."""
        with self.change() as state:
            job = state.jobs.get(job_id)
            if job is not None and job.status is not Status.RUNNING:
                stored, new, old = (repr(json.loads(text)) for text in (job.payload, payload, seen))
                if stored not in (new, old):
                    raise PayloadChanged(f"The payload of {job_id} is another one by now.")
                job.payload = job.payload if stored == new else payload
            return job.status if job is not None else None

    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Turn them while nobody else can change the file."""
        with self.change() as state:
            job = state.jobs.get(job_id)
            if job is None:
                return None
            options = turn(job.options)
            job.changes += options != job.options
            job.options = options
            return job.status

    def delete(self, job_id: str) -> Status | None:
        """Delete it, unless it runs."""
        with self.change() as state:
            job = state.jobs.get(job_id)
            if job is not None and job.status is not Status.RUNNING:
                state.remove(job)
            return job.status if job is not None else None

    def purge(self, statuses: Sequence[Status], *, older: int = 0, queue: str | None = None, limit: int = 500) -> int:
        """Delete those that have been so for so long."""
        until = self.clock() - older
        with self.change() as state:
            old = [
                job
                for job in state.jobs.values()
                if job.status in statuses
                and job.status is not Status.RUNNING
                and queue in (None, job.queue)
                and (not older or job.since <= until)
            ][:limit]
            for job in old:
                state.remove(job)
            return len(old)

    def outdated(self, which: Outdated, limit: int = 100) -> list[JobRecord]:
        """Sort the line, and cut its beginning off."""
        return [job.record() for job in self.outdated_in(self.read(), which)[:limit]]

    def drop_outdated(self, which: Outdated, limit: int = 500, among: Collection[str] | None = None) -> int:
        """Delete those."""
        with self.change() as state:
            old = self.outdated_in(state, which)[:limit]
            gone = [job for job in old if among is None or job.id in among]
            for job in gone:
                state.remove(job)
            return len(gone)

    def outdated_in(self, state: State, which: Outdated) -> list[StoredJob]:
        """The jobs of a line that were kept long enough, the oldest first."""
        line = [job for job in state.jobs.values() if (job.queue, job.type, job.status) == which[:3]]
        line.sort(key=lambda job: (job.since, job.order))
        until = self.clock() - which.older
        return [job for job in line[: max(0, len(line) - which.spare)] if not which.older or job.since <= until]

    # The scheduler's side

    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Compare, set, push and note."""
        with self.change() as state:
            now = self.clock()
            stored = state.schedules.get(schedule.name)
            if (stored.revision, stored.queue) != (schedule.revision, schedule.queue) if stored else schedule.revision:
                return 0
            state.changes += 1
            past = stored.occurrences if stored else []
            past = [*past, *(one._replace(decided=now) for one in occurrences)][-KEPT:]
            state.schedules[schedule.name] = StoredSchedule(schedule.queue, schedule.about, state.changes, past)
            for new in jobs:
                state.push(new, now)
            return state.changes

    def delete_schedule(self, schedule: Schedule) -> bool:
        """Compare and delete."""
        with self.change() as state:
            stored = state.schedules.get(schedule.name)
            if stored is None or (stored.revision, stored.queue) != (schedule.revision, schedule.queue):
                return False
            state.changes += 1
            del state.schedules[schedule.name]
            return True

    def schedules(self) -> list[Schedule]:
        """All of them."""
        stored = sorted(self.read().schedules.items())
        return [Schedule(name, one.queue, one.about, one.revision) for name, one in stored]

    def schedules_changed(self) -> int:
        """The number of the last change."""
        return self.read().changes

    def occurrences(self, schedule: Schedule, limit: int = 100) -> list[Occurrence]:
        """What became of them, the last first."""
        stored = self.read().schedules.get(schedule.name)
        return stored.occurrences[::-1][:limit] if stored else []

    # The mover's side

    def identity(self) -> str:
        """The name that the file was given when it was made."""
        with self.change() as state:
            return state.identity

    def hand_out(self, to: str, limit: int = 100) -> Load | None:
        """Take jobs out of the file's lines, and keep them as a load."""
        with self.change() as state:
            if state.leaving is not None:
                _, destination, text = state.leaving
                if destination != to:
                    raise StorageUnavailable("Finish the move first: an earlier move was interrupted.")
                return Load.parse(text)
            jobs = [job for job in state.jobs.values() if job.status is not Status.RUNNING][:limit]
            posts = [
                SchedulePost(name, one.queue, one.about, tuple(one.occurrences))
                for name, one in state.schedules.items()
            ]
            if not jobs and not posts:
                return None
            for job in jobs:
                state.remove(job)
            state.changes += len(posts)
            state.schedules.clear()
            state.loads += 1
            load = Load(state.loads, tuple(job.parcel() for job in jobs), tuple(posts))
            state.leaving = (load.number, to, load.dump())
            return load

    def take_in(self, source: str, load: Load) -> int:
        """Put a load in, unless it has arrived before."""
        with self.change() as state:
            if state.arrived.get(source, 0) >= load.number:
                return 0
            state.arrived[source] = load.number
            for post in load.schedules:
                if post.name not in state.schedules:
                    state.changes += 1
                    past = [Occurrence(*one) for one in post.occurrences]
                    state.schedules[post.name] = StoredSchedule(post.queue, post.about, state.changes, past)
            now = self.clock()
            return sum(state.arrive(StoredJob(**parcel._asdict()), now) for parcel in load.jobs)

    def let_go(self, number: int) -> bool:
        """Delete the load."""
        with self.change() as state:
            if state.leaving is None or state.leaving[0] != number:
                return False
            state.leaving = None
            return True

    def on_the_way(self) -> int:
        """How many jobs the load has."""
        leaving = self.read().leaving
        return len(Load.parse(leaving[2]).jobs) if leaving else 0

    # Reading

    def get(self, job_id: str) -> JobRecord | None:
        """One job."""
        job = self.read().jobs.get(job_id)
        return job.record() if job else None

    def page(self, query: Query) -> Page:
        """Sort all that fit, and cut a page out."""
        if query.line:
            return self.line(query)
        begin = position(query)
        places = sorted((place(job, query), job) for job in self.read().jobs.values() if fits(job, query))
        if query.oldest:
            found = [(at, job) for at, job in places if begin is None or at > begin]
        else:
            found = [(at, job) for at, job in reversed(places) if begin is None or at < begin]
        page = found[: query.limit]
        after = "{}.{}".format(*page[-1][0]) if len(found) > query.limit else None
        return Page(tuple(job.record() for _, job in page), after)

    def line(self, query: Query) -> Page:
        """Sort what waits in the queues, and cut a page out."""
        waiting = [job for job in self.read().jobs.values() if job.status is Status.PENDING and job.queue in query.line]
        jobs = sorted(waiting, key=lambda job: (job.held is not None, query.line.index(job.queue), job.place))
        spot = read_spot(query.after, 4)
        if spot is not None:
            begin = (bool(spot.held), query.line.index(spot.onward(query.line)[0]), spot.place)
            jobs = [job for job in jobs if (job.held is not None, query.line.index(job.queue), job.place) > begin]
        page = jobs[: query.limit]
        after = Spot(page[-1].place, page[-1].queue, "" if page[-1].held is None else "1") if page else None
        return Page(tuple(job.record() for job in page), str(after) if len(jobs) > len(page) else None)

    def places(self, queue: str, job_ids: Collection[str]) -> dict[str, int]:
        """Sort the line, and count."""
        line = [
            job
            for job in self.read().jobs.values()
            if (job.queue, job.status, job.held) == (queue, Status.PENDING, None)
        ]
        found = [job.id for job in sorted(line, key=lambda job: job.place)]
        return {job_id: n for n, job_id in enumerate(found, 1) if job_id in job_ids}

    def counts(self) -> Counts:
        """Count them: the file was read anyway."""
        return Counts(dict(Counter((job.queue, job.type, job.status.value) for job in self.read().jobs.values())))

    def queues(self) -> list[str]:
        """Those in which a job waits."""
        return sorted({job.queue for job in self.read().jobs.values() if job.status in WAITING})

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """The end of its log."""
        job = self.read().jobs.get(job_id)
        return list(job.logs[-limit:]) if job else []

    def workers(self) -> list[WorkerRecord]:
        """Who works, with what the children hold."""
        state = self.read()
        return [
            replace(
                worker,
                children=tuple(
                    replace(child, jobs=tuple(job.id for job in state.in_hands(child.name)))
                    for child in worker.children
                ),
            )
            for _, worker in sorted(state.workers.items())
        ]


class NewFile(Watcher):
    """Looks whether another file has taken the place of the one before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether it has since the last call."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        seen = (found.st_ino, found.st_mtime_ns)
        changed, self._seen = seen != self._seen, seen
        return changed


def fits(job: StoredJob, query: Query) -> bool:
    """Whether a job belongs on a list."""
    return (
        query.queue in (None, job.queue)
        and query.type in (None, job.type)
        and (query.tag is None or query.tag in job.tags)
        and (not query.statuses or job.status in query.statuses)
    )


def place(job: StoredJob, query: Query) -> tuple[int, int]:
    """Where a job stands on a list, the lowest last, or first."""
    return (0 if query.tag is not None else job.since, job.order)


def position(query: Query) -> tuple[int, int] | None:
    """Read where the page before ended, or where the first begins."""
    if query.after is None:
        return None if query.begin is None or query.tag is not None else (query.begin, -1)
    try:
        at, order = map(int, query.after.split("."))
    except ValueError as error:
        raise OptionError("after: this is not where a page ended.") from error
    return at, order
