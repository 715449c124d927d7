"""What the file holds, and the steps that change it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import msgspec

from flask_queues.damaged import whole
from flask_queues.errors import QueueFull, UniqueTaken
from flask_queues.record import (
    Attempt,
    JobError,
    JobRecord,
    LogLine,
    Progress,
    Status,
    WorkerRecord,
    fields_of_push,
    to_datetime,
)
from flask_queues.storage.limits import Gate, Limit, bounded, left, opens, passed
from flask_queues.storage.parcels import Parcel, Run
from flask_queues.storage.stops import Stop, held_back, raised
from flask_queues.storage.tallies import deleted
from flask_queues.storage.unique import END, START, TIME, Unique, holds, replaced, taken
from flask_queues.storage.values import Claim, NewJob, Occurrence, Settlement, Wanted

#: The form of the file. A file of a higher one was written by a newer version of this module.
FORMAT = 1
#: A worker that was silent so long (ms) is not asked which job types it knows.
SILENCE = 60_000
WAITING = (Status.PENDING, Status.SCHEDULED)


@dataclass(kw_only=True)
class StoredJob:
    """A job in the file: what a parcel has, and the claim in force."""

    id: str
    queue: str
    type: str
    payload: str
    options: str | None = None
    priority: int = 0
    tags: tuple[str, ...] = ()
    unique: tuple[str, str, int, bool] | None = None
    limits: tuple[Limit, ...] = ()
    status: Status
    since: int
    created: int
    due: int
    expires: int | None = None
    attempts: int = 0
    runs: tuple[Run, ...] = ()
    worker: str | None = None
    started: int | None = None
    progress: Progress | None = None
    result: str | None = None
    reason: str | None = None
    alone: bool = False
    logs: tuple[LogLine, ...] = ()
    changes: int = 0
    kept: str | None = None
    #: The order of pushes.
    order: int = 0
    token: int = 0
    lease: int = 0
    ahead: bool = False
    #: Whether the claim in force came along with one that is under limits.
    along: bool = False
    cancel: str | None = None
    #: Why it is set aside: its type, or a gate.
    held: str | None = None
    batch: str | None = None
    #: The group with which it waits for its time.
    gather: str | None = None
    #: Above 0 for one that waits before all others.
    hurried: int = 0

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Where it stands in its line: less is earlier."""
        return (-self.hurried, -self.priority, self.due, self.order)

    def texts(self) -> list[str]:
        """All that is said of it."""
        said = [self.payload, self.options, self.result, self.kept, self.progress and self.progress.message]
        told = [*said, *(run.error for run in self.runs), *(line.message for line in self.logs)]
        return [text for text in told if text]

    def turn(self, turned: dict[str, str]) -> bool:
        """Put other texts in the place of those; tells whether that has changed anything."""
        before = self.texts()
        self.payload = turned.get(self.payload, self.payload)
        self.options, self.result, self.kept = (
            text and turned.get(text, text) for text in (self.options, self.result, self.kept)
        )
        if self.progress:
            self.progress = self.progress._replace(message=turned.get(self.progress.message, self.progress.message))
        self.runs = tuple(run._replace(error=run.error and turned.get(run.error, run.error)) for run in self.runs)
        self.logs = tuple(line._replace(message=turned.get(line.message, line.message)) for line in self.logs)
        return before != self.texts()

    def enter(self, status: Status, now: int) -> None:
        """Come into a status."""
        self.status, self.since, self.gather, self.hurried = status, now, None, 0

    def renew(self, due: int, status: Status = Status.PENDING) -> None:
        """Begin anew, with the history."""
        self.enter(status, due)
        self.due, self.attempts, self.held = due, 0, None
        self.expires = self.reason = self.cancel = None

    def parcel(self) -> Parcel:
        """Make what another storage can read."""
        return Parcel(**{name: getattr(self, name) for name in Parcel._fields})

    def claim(self) -> Claim:
        """Say what a worker needs."""
        return Claim(
            self.id, self.queue, self.type, self.payload, self.options, self.created, self.expires, self.attempts,
            len(self.runs), self.parcel().last_error, self.cancel, self.token, self.started or 0, self.worker or "",
            self.ahead, self.changes, self.along,
        )  # fmt: skip

    def record(self) -> JobRecord:
        """Say what people read, as far as it can be read."""
        return whole(self.read_record, self.id, self.queue, self.type, self.status)

    def read_record(self) -> JobRecord:
        """Say what people read."""
        past = [attempt(run) for run in self.runs]
        errors = [one.error for one in past if one.error]
        if self.status is Status.RUNNING:
            past.append(Attempt(run=len(past) + 1, worker=self.worker or "", started=to_datetime(self.started or 0)))
        return JobRecord(
            id=self.id,
            type=self.type,
            queue=self.queue,
            status=self.status,
            payload=msgspec.json.decode(self.payload),
            priority=self.priority,
            tags=self.tags,
            created=to_datetime(self.created),
            due=to_datetime(self.due),
            expires=None if self.expires is None else to_datetime(self.expires),
            attempts=self.attempts,
            history=tuple(past),
            worker=self.worker,
            started=None if self.started is None else to_datetime(self.started),
            finished=to_datetime(self.since) if self.status.final else None,
            progress=self.progress,
            error=errors[-1] if errors else None,
            result=msgspec.json.decode(self.result) if self.result else None,
            reason=self.reason,
            held=held_back(self.held) if self.held else None,
            **fields_of_push(self.options),
        )


@dataclass
class StoredSchedule:
    """A schedule in the file."""

    queue: str
    about: str
    revision: int
    #: The first one first.
    occurrences: list[Occurrence] = field(default_factory=list)


@dataclass
class State:
    """All that the file holds, and the steps that change it."""

    format: int = FORMAT
    #: The name of this storage.
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    jobs: dict[str, StoredJob] = field(default_factory=dict)
    workers: dict[str, WorkerRecord] = field(default_factory=dict)
    schedules: dict[str, StoredSchedule] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    sheets: dict[str, str] = field(default_factory=dict)
    #: By queue and key, with a tab between: the id of the job that holds it, and until when.
    keys: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    #: By queue and gate, with a tab between.
    gates: dict[str, Gate] = field(default_factory=dict)
    #: By batch that is counted: where its jobs stood that were deleted.
    gone: dict[str, list[Status]] = field(default_factory=dict)
    #: Numbers that were given out last.
    pushes: int = 0
    tokens: int = 0
    changes: int = 0
    loads: int = 0
    #: Number, destination and text of the load that has left.
    leaving: tuple[int, str, str] | None = None
    #: The last load that arrived, by the storage it came from.
    arrived: dict[str, int] = field(default_factory=dict)

    def add(self, job: StoredJob) -> bool:
        """Put a job in, if its id is new."""
        if job.id in self.jobs:
            return False
        self.pushes += 1
        job.order = self.pushes
        self.jobs[job.id] = job
        return True

    def push_within(self, jobs: Sequence[NewJob], bounds: Mapping[str, int], now: int) -> list[bool]:
        """Put jobs in; raises `QueueFull` where more would wait than may."""
        before = {queue: self.waiting(queue) for queue in bounds}
        told = [self.push(job, now) for job in jobs]
        for queue, bound in bounds.items():
            more = self.waiting(queue) - before[queue]
            if more > 0 and before[queue] + more > bound:
                raise QueueFull(queue, bound, before[queue], more)
        return told

    def waiting(self, queue: str) -> int:
        """How many jobs of a queue wait."""
        return sum(job.queue == queue and job.status in WAITING for job in self.jobs.values())

    def push(self, new: NewJob, now: int) -> bool:
        """Put a new job in, if its id is new."""
        due = new.at if new.at is not None else now + new.delay
        status, since = (Status.SCHEDULED, due) if due > now else (Status.PENDING, now)
        expires = None if new.expires is None else max(due, now) + new.expires
        given = {
            name: getattr(new, name)
            for name in ("id", "queue", "type", "payload", "options", "priority", "tags", "unique", "limits", "batch")
        }
        if new.id in self.jobs or not self.make_room(new, now):
            return False
        self.hold(new, now)
        if new.batch is not None:
            self.gone.setdefault(new.batch, [])
        job = StoredJob(**given, status=status, since=since, created=now, due=due, expires=expires)
        self.add(job)
        if new.gather is not None and status is Status.SCHEDULED:
            job.gather = new.gather.group
            self.let_gathered_go(job, new.gather.size, now)
        return True

    def let_gathered_go(self, job: StoredJob, size: int, now: int) -> None:
        """Make all of a job's group pending that wait for a time still ahead, if these are enough."""
        group = [
            one
            for one in self.jobs.values()
            if (one.queue, one.gather) == (job.queue, job.gather) and one.status is Status.SCHEDULED and one.due > now
        ]
        if len(group) >= size:
            for one in group:
                one.due = now
                one.enter(Status.PENDING, now)

    def put_first(self, job: StoredJob, now: int) -> None:
        """Let a job that waits stand before all others of its line."""
        line = [
            one for one in self.jobs.values() if (one.queue, one.status) == (job.queue, Status.PENDING) and not one.held
        ]
        first = max((one.hurried for one in line), default=0)
        if job.status is Status.SCHEDULED:
            job.due = min(job.due, now)
            job.enter(Status.PENDING, now)
        job.held, job.hurried = None, first + 1

    def make_room(self, new: NewJob, now: int) -> bool:
        """Whether the key of a job is free, or becomes so since it takes another's place."""
        other = self.jobs.get(self.holder(new, now) or "")
        if new.unique is None or other is None:
            return True
        if not new.unique.replace or other.status not in WAITING:
            return False
        other.enter(Status.CANCELLED, now)
        other.reason, other.held = replaced(new.id), None
        return True

    def holder(self, job: NewJob | StoredJob, now: int) -> str | None:
        """Who holds a job's key."""
        if job.unique is None:
            return None
        job_id, expires = self.keys.get(f"{job.queue}\t{job.unique[0]}", (None, None))
        return job_id if expires is None or expires > now else None

    def hold(self, job: NewJob | StoredJob, now: int) -> None:
        """Let a job hold its key."""
        if job.unique is not None:
            key, until, lasts, _ = job.unique
            self.keys[f"{job.queue}\t{key}"] = (job.id, now + lasts if until == TIME else None)

    def hold_again(self, job: StoredJob, now: int) -> None:
        """Give an ended job its key again; raises `UniqueTaken` where another holds it."""
        other = self.holder(job, now)
        if other not in (None, job.id):
            raise UniqueTaken(taken(job.id, other))
        self.hold(job, now)

    def arrive(self, job: StoredJob, now: int) -> bool:
        """Put a job in that comes from elsewhere; it holds its key if it still does and nobody else has it."""
        if not self.add(job):
            return False
        if job.unique is not None and self.holder(job, now) is None:
            started, final = job.started is not None, job.status.final
            if holds(
                Unique(*job.unique), final=final, started=started, created=job.created, now=now, reason=job.reason
            ):
                self.hold(job, job.created)
        return True

    def free(self, job: StoredJob, at: str) -> None:
        """A job has started, ended or is gone."""
        if job.unique is not None and Unique(*job.unique).released(at):
            place = f"{job.queue}\t{job.unique[0]}"
            if self.keys.get(place, ("", None))[0] == job.id:
                del self.keys[place]

    def remove(self, job: StoredJob) -> None:
        """Take a job out for good."""
        self.free(job, "gone")
        if job.batch is not None:
            self.gone[job.batch].append(deleted(job.status))
        del self.jobs[job.id]

    def tally(self, batch: str) -> dict[Status, int]:
        """Where the jobs of a batch stand, or stood."""
        return dict(Counter([*(job.status for job in self.jobs.values() if job.batch == batch), *self.gone[batch]]))

    def forget_tally(self, batch: str) -> None:
        """Count the jobs of a batch no more."""
        self.gone.pop(batch, None)
        for job in self.jobs.values():
            job.batch = None if job.batch == batch else job.batch

    def in_force(self, job_id: str, token: int) -> StoredJob | None:
        """The job, if this is the token of its claim."""
        job = self.jobs.get(job_id)
        return job if job is not None and job.status is Status.RUNNING and job.token == token else None

    def settle_all(self, settled: Sequence[Settlement], now: int) -> tuple[list[str], tuple[Claim, ...]]:
        """End claims; returns ids of those not in force, and the claims whose jobs have other options by now."""
        lost, outdated = [], []
        for one in settled:
            job = self.in_force(one.id, one.token)
            if job is not None and job.changes != one.changes:
                outdated.append(job.claim())
            elif not self.settle(one, now):
                lost.append(one.id)
        return lost, tuple(outdated)

    def settle(self, one: Settlement, now: int) -> bool:
        """End a claim, if it is in force."""
        job = self.in_force(one.id, one.token)
        if job is None:
            return False
        status, reason = one.status, one.reason
        if job.cancel is not None and status in WAITING:
            status, reason = Status.CANCELLED, None
        if one.outcome is not None:
            run = Run(len(job.runs) + 1, job.worker or "", job.started or 0, now, one.outcome, one.error, one.memory)
            job.runs += (run,)
        job.due = now + one.delay if status is Status.SCHEDULED else job.due
        job.attempts += one.counted
        job.alone = job.alone or one.alone
        job.result = one.result if status is Status.COMPLETED else None
        asked = job.cancel is not None
        told = status is Status.CANCELLED or one.if_cancelled is not None
        job.reason = job.cancel if told and reason is None else reason
        job.progress = one.progress or job.progress
        job.logs += tuple(one.logs)
        job.cancel = None
        job.enter(status, job.due if status is Status.SCHEDULED else now)
        for limit in () if job.along else job.limits:
            place = f"{job.queue}\t{limit.gate}"
            self.gates[place] = left(self.gates[place])
        if status.final:
            self.free(job, END)
        if one.stop:
            self.stop_for(job, now + one.stop, now)
        if status.final:
            for follower in one.pushes(asked=asked):
                self.push(follower, now)
        return True

    def stopped(self, queue: str, type_: str | None, now: int) -> Stop | None:
        """The stop of a queue, or of one type in it, that is in force."""
        return next((one for one in self.stops if one[:2] == (queue, type_) and in_force(one, now)), None)

    def stop_for(self, job: StoredJob, until: int, now: int) -> None:
        """Stop a job's queue, unless it is stopped for longer."""
        there = self.stopped(job.queue, None, now)
        if there is None or (there.until is not None and there.until < until):
            self.put_stop(Stop(job.queue, None, until, raised(job.id), "", now))

    def put_stop(self, stop: Stop) -> None:
        """Keep a stop in the place of an earlier one."""
        self.stops = sorted(
            [*(one for one in self.stops if one[:2] != stop[:2]), stop], key=lambda one: (one.queue, one.type or "")
        )

    def promote(self, now: int) -> None:
        """Make due jobs pending."""
        for job in self.jobs.values():
            if job.status is Status.SCHEDULED and job.due <= now:
                job.enter(Status.PENDING, now)

    def line(self, queue: str) -> list[StoredJob]:
        """The pending jobs of a queue that nothing holds, the first one first."""
        jobs = [
            job for job in self.jobs.values() if job.queue == queue and job.status is Status.PENDING and not job.held
        ]
        return sorted(jobs, key=lambda job: job.place)

    def take(
        self, job: StoredJob, worker: str, lease: int, now: int, *, ahead: bool = False, along: bool = False
    ) -> Claim:
        """Claim a job; `along` with another one it passes no gate."""
        self.tokens += 1
        job.token, job.worker, job.started, job.lease = self.tokens, worker, now, now + lease
        job.ahead, job.along, job.held, job.progress = ahead, along, None, None
        for limit in () if along else job.limits:
            place = f"{job.queue}\t{limit.gate}"
            self.gates[place] = passed(limit, self.gates.get(place, Gate()), now)
        job.enter(Status.RUNNING, now)
        self.free(job, START)
        return job.claim()

    def claim_next(self, worker: str, wanted: Wanted, now: int) -> tuple[list[Claim], int]:
        """Claim the first jobs of the first line that has one; tells too how many were set aside before."""
        along = self.come_along(wanted, now)
        if along is not None:
            return [self.take(job, worker, wanted.lease, now, ahead=True, along=True) for job in along], 0
        aside = 0
        for queue in wanted.queues:
            if self.stopped(queue, None, now):
                continue
            self.set_aside_at_gates(queue, now)
            line = self.line(queue)
            asleep = [job for job in line if self.stopped(queue, job.type, now)]
            line = [job for job in line if job not in asleep]
            known = [job for job in line if job.type in wanted.types][: wanted.limit]
            if not wanted.only:
                for job in asleep:
                    job.held = job.type
                strange = takewhile(lambda job: job.type not in wanted.types, line)
                aside += len(asleep) + self.set_aside(list(strange), now)
            along = list(takewhile(lambda job: job.type in wanted.short and not job.alone and not job.limits, known))
            taken = along if wanted.behind else along or known[:1]
            if known:
                ahead = wanted.behind or len(taken) > 1
                return [self.take(job, worker, wanted.lease, now, ahead=ahead) for job in taken], aside
        return [], aside

    def come_along(self, wanted: Wanted, now: int) -> list[StoredJob] | None:
        """The jobs that may come along with a claim that has a place; None where no such claim is named."""
        if wanted.along_with is None:
            return None
        first = self.in_force(*wanted.along_with)
        if first is not None and (first.along or not first.limits):
            return None
        if first is None or self.stopped(first.queue, None, now):
            return []
        alike = [
            job
            for job in self.jobs.values()
            if (job.queue, job.limits, job.status) == (first.queue, first.limits, Status.PENDING)
            and job.type in wanted.types
            and (job.held is None or " " in job.held)
            and not job.alone
            and not self.stopped(job.queue, job.type, now)
        ]
        return sorted(alike, key=lambda job: job.place)[: wanted.limit]

    def closed(self, job: StoredJob, now: int) -> tuple[str, int]:
        """The gate that a job cannot pass now, and when it opens; 0 where all are open."""
        for limit in job.limits:
            place = f"{job.queue}\t{limit.gate}"
            gate = bounded(limit, self.gates.get(place, Gate()), now)
            if place in self.gates:
                self.gates[place] = gate
            moment = opens(limit, gate, now)
            if moment:
                return limit.gate, moment
        return "", 0

    def opens_for(self, job: StoredJob, now: int) -> int:
        """When a job that waits at a gate may pass; 0 for others."""
        return self.closed(job, now)[1] if job.status is Status.PENDING and job.limits else 0

    def claimable(self, job: StoredJob, now: int) -> bool:
        """Whether nothing holds a pending job back."""
        at_gate = job.held is not None and " " in job.held
        return (job.held is None or at_gate) and not self.opens_for(job, now)

    def set_aside_at_gates(self, queue: str, now: int) -> None:
        """Hold those that cannot pass, and let those into the line that can."""
        for job in self.jobs.values():
            waits = job.held is None or " " in job.held
            if job.queue == queue and job.limits and job.status is Status.PENDING and waits:
                job.held = self.closed(job, now)[0] or None

    def let_through(self, now: int) -> int:
        """Let those into the line that wait at a gate which is open; returns how many."""
        through = [job for job in self.jobs.values() if job.held is not None and " " in job.held]
        through = [job for job in through if job.status is Status.PENDING and not self.opens_for(job, now)]
        for job in through:
            job.held = None
        return len(through)

    def set_aside(self, jobs: list[StoredJob], now: int) -> int:
        """Hold those whose type no worker knows; returns how many."""
        awake = [one for one in self.workers.values() if one.silence(to_datetime(now)) * 1000 < SILENCE]
        known = {type_ for worker in awake for type_ in worker.types}
        held = [job for job in jobs if job.type not in known]
        for job in held:
            job.held = job.type
        return len(held)

    def in_hands(self, child: str) -> list[StoredJob]:
        """The jobs that a child holds."""
        return [job for job in self.jobs.values() if job.status is Status.RUNNING and job.worker == child]


def in_force(stop: Stop, now: int) -> bool:
    """Whether it is not over."""
    return stop.until is None or stop.until > now


def attempt(run: Run) -> Attempt:
    """Say what people read of a run."""
    return Attempt(
        run=run.run,
        worker=run.worker,
        started=to_datetime(run.started),
        ended=to_datetime(run.ended),
        outcome=run.outcome,
        error=JobError(*msgspec.json.decode(run.error)) if run.error else None,
        memory=run.memory,
    )
