"""A storage in a few dictionaries: what every engine must do, without a word on how."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...record import JobRecord, LogLine, Memory, Outcome, Progress, Status
from ...storage.limits import RATE, Limit
from ...storage.stops import Stop
from ...storage.tallies import deleted
from ...storage.unique import holds
from ...storage.values import Claim, Gather, NewJob, Occurrence, Query, Schedule, Settlement, Wanted

TYPE, GATE = "type", "gate"
WAITING = (Status.PENDING, Status.SCHEDULED)


@dataclass
class ModelJob:
    """A job as the contract sees it."""

    pushed: NewJob
    order: int
    status: Status
    due: int
    #: Since when it is in its status.
    since: int
    created: int
    expires: int | None
    attempts: int = 0
    #: Ended runs: worker, outcome, error and memory.
    runs: list[tuple[str, Outcome, str | None, Memory | None]] = field(default_factory=list)
    token: int | None = None
    worker: str | None = None
    lease: int = 0
    #: Whether its claim came along with another, whose place at a gate is theirs.
    along: bool = False
    cancel: str | None = None
    alone: bool = False
    #: Why it is set aside: for its `type`, or at a `gate`.
    held: str | None = None
    reason: str | None = None
    result: str | None = None
    progress: Progress | None = None
    logs: list[LogLine] = field(default_factory=list)
    kept: str | None = None
    #: The batch in whose tally it is counted.
    batch: str | None = None
    #: The group with which it waits for its time.
    gather: str | None = None
    #: The time for which it would have waited, where its group was complete before.
    would_wait: int | None = None
    #: How often its options were changed.
    changes: int = 0
    #: Above 0 for one that waits before all others.
    hurried: int = 0

    @property
    def rank(self) -> tuple[int, int, int]:
        """Its place in the line: less is earlier."""
        return (-self.hurried, -self.pushed.priority, self.due)

    @property
    def error(self) -> list[str] | None:
        """Of the last run that had one."""
        return next((json.loads(error) for _, _, error, _ in reversed(self.runs) if error), None)

    def enter(self, status: Status, now: int) -> None:
        """Come into a status."""
        self.status, self.since, self.gather, self.hurried = status, now, None, 0

    def renew(self, due: int, status: Status = Status.PENDING) -> None:
        """Begin anew, with the history."""
        self.enter(status, due)
        self.due, self.attempts, self.held, self.would_wait = due, 0, None, None
        self.expires = self.reason = self.cancel = None


@dataclass
class ModelSchedule:
    """A schedule as the contract sees it."""

    queue: str
    about: str
    revision: int
    #: The last decided first.
    occurrences: list[Occurrence] = field(default_factory=list)


class Model:
    """All jobs, and what may be done to them."""

    def __init__(self) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.schedules: dict[str, ModelSchedule] = {}
        #: Every revision that a schedule of this name ever had.
        self.revisions: defaultdict[str, list[int]] = defaultdict(lambda: [0])
        #: By queue and type, None for all: those in force, and others.
        self.stops: dict[tuple[str, str | None], Stop] = {}
        #: By queue and key: the id of the job that holds it, and until when.
        self.keys: dict[tuple[str, str], tuple[str, int | None]] = {}
        #: By batch with a tally: where its jobs stood that are gone.
        self.gone: dict[str, list[Status]] = {}
        #: By queue and key of a rate: the microsecond at which the next job would begin if they came evenly.
        self.paces: dict[tuple[str, str], int] = {}
        self.last_token = 0
        self._pushes = 0

    def push(self, new: NewJob, now: int) -> bool:
        """Put the job in, if its id is new."""
        if new.id in self.jobs or (new.unique and not self.make_room(new, now)):
            return False
        due = new.at if new.at is not None else now + new.delay
        status = Status.SCHEDULED if due > now else Status.PENDING
        expires = None if new.expires is None else max(due, now) + new.expires
        self._pushes += 1
        self.jobs[new.id] = ModelJob(new, self._pushes, status, due, now, now, expires, batch=new.batch)
        if new.batch is not None:
            self.gone.setdefault(new.batch, [])
        if new.gather is not None and status is Status.SCHEDULED:
            self.gather(self.jobs[new.id], new.gather, now)
        return True

    def gather(self, job: ModelJob, gather: Gather, now: int) -> None:
        """A job waits with its group; all of that are due now if they are enough."""
        job.gather = gather.group
        group = [
            one
            for one in self.jobs.values()
            if (one.pushed.queue, one.gather) == (job.pushed.queue, gather.group) and one.due > now
        ]
        for one in group if len(group) >= gather.size else ():
            one.would_wait, one.due = one.due, now
            one.enter(Status.PENDING, now)

    def make_room(self, new: NewJob, now: int) -> bool:
        """Whether the key of a job is free, or becomes so since it takes another's place; then it holds it."""
        assert new.unique
        other = self.jobs.get(self.holder(new.queue, new.unique.key, now) or "")
        if other is not None and not (new.unique.replace and other.status in WAITING):
            return False
        if other is not None:
            other.enter(Status.CANCELLED, now)
            other.reason, other.held = f"Replaced by job {new.id}.", None
        self.hold(new, now)
        return True

    def hold(self, job: NewJob, now: int) -> None:
        """Let a job hold its key."""
        if job.unique:
            expires = now + job.unique.lasts if job.unique.until == "time" else None
            self.keys[job.queue, job.unique.key] = (job.id, expires)

    def holder(self, queue: str, key: str, now: int) -> str | None:
        """Who holds a key."""
        job_id, expires = self.keys.get((queue, key), (None, None))
        return job_id if expires is None or expires > now else None

    def free(self, job: ModelJob, at: str) -> None:
        """A job has started, ended or is gone."""
        unique, place = job.pushed.unique, (job.pushed.queue, job.pushed.unique.key if job.pushed.unique else "")
        if unique and unique.released(at) and self.keys.get(place, ("", None))[0] == job.pushed.id:
            del self.keys[place]

    def taken(self, job: ModelJob, now: int) -> bool:
        """Whether another job holds an ended job's key."""
        key = job.pushed.unique.key if job.pushed.unique and job.status in (Status.FAILED, Status.CANCELLED) else None
        other = self.holder(job.pushed.queue, key, now) if key else None
        return other not in (None, job.pushed.id)

    def renew(self, job: ModelJob, now: int, delay: int = 0) -> None:
        """Put a job into its line again, or let it wait for its time."""
        if job.status.final:
            self.hold(job.pushed, now)
        job.renew(now + delay, Status.SCHEDULED if delay else Status.PENDING)

    def hurry(self, job: ModelJob, now: int) -> None:
        """Let a job that waits stand before all others of its line."""
        line = [one for one in self.jobs.values() if one.status is Status.PENDING and not one.held]
        first = max((one.hurried for one in line if one.pushed.queue == job.pushed.queue), default=0)
        if job.due > now:
            job.would_wait, job.due = job.due, now
        if job.status is Status.SCHEDULED:
            job.enter(Status.PENDING, now)
        job.held, job.hurried = None, first + 1

    def delete(self, job_id: str) -> None:
        """A job is gone."""
        self.free(self.jobs[job_id], "gone")
        self.leave_tally(self.jobs[job_id])
        del self.jobs[job_id]

    def leave_tally(self, job: ModelJob) -> None:
        """A job of a batch is gone, and counts as what it was."""
        if job.batch is not None:
            self.gone[job.batch].append(deleted(job.status))
        job.batch = None

    def tallies(self) -> dict[str, dict[Status, int]]:
        """Where the jobs of each batch stand, or stood."""
        return {
            batch: dict(Counter([*gone, *(job.status for job in self.jobs.values() if job.batch == batch)]))
            for batch, gone in self.gone.items()
        }

    def moved(self, now: int) -> None:
        """All jobs but the running ones have been elsewhere: those hold their keys that still do; none has a batch."""
        for job in self.jobs.values():
            if job.status is not Status.RUNNING:
                self.leave_tally(job)
                job.gather, job.hurried = None, 0
        elsewhere = [job for job in self.jobs.values() if job.pushed.unique and job.status is not Status.RUNNING]
        for job in elsewhere:
            self.free(job, "gone")
        for job in elsewhere:
            unique, pushed, final = job.pushed.unique, job.pushed, job.status.final
            assert unique
            started = job.token is not None
            if self.holder(pushed.queue, unique.key, now) is None and holds(
                unique, final=final, started=started, created=job.created, now=now, reason=job.reason
            ):
                self.hold(pushed, job.created)

    def revision(self, name: str) -> int:
        """The revision of a schedule that is stored, 0 where there is none."""
        return self.schedules[name].revision if name in self.schedules else 0

    def put_schedule(self, schedule: Schedule, revision: int, occurrences: Sequence[Occurrence], now: int) -> None:
        """A schedule has been stored: check its new revision and note it."""
        name = schedule.name
        assert revision not in self.revisions[name]
        self.revisions[name].append(revision)
        past = self.schedules[name].occurrences if name in self.schedules else []
        past = [*(one._replace(decided=now) for one in reversed(occurrences)), *past]
        self.schedules[name] = ModelSchedule(schedule.queue, schedule.about, revision, past[:100])

    def in_force(self, job_id: str, token: int) -> ModelJob | None:
        """The job, if this is the token of its claim."""
        job = self.jobs.get(job_id)
        return job if job and job.status is Status.RUNNING and job.token == token else None

    def is_outdated(self, one: Settlement) -> bool:
        """Whether a settlement was made from other options than the job has."""
        job = self.in_force(one.id, one.token)
        return job is not None and job.changes != one.changes

    def settle(self, one: Settlement, now: int) -> bool:
        """End a claim, if it is in force."""
        job = self.in_force(one.id, one.token)
        if job is None:
            return False
        status, reason = one.status, one.reason
        if job.cancel is not None and status in WAITING:
            status, reason = Status.CANCELLED, None
        asked = job.cancel is not None
        if reason is None and (status is Status.CANCELLED or one.if_cancelled is not None):
            reason = job.cancel
        if one.outcome is not None:
            assert job.worker is not None
            job.runs.append((job.worker, one.outcome, one.error, one.memory))
        if status is Status.SCHEDULED:
            job.due, job.would_wait = now + one.delay, None
        job.attempts += one.counted
        job.alone = job.alone or one.alone
        job.result = one.result if status is Status.COMPLETED else None
        job.progress = one.progress or job.progress
        job.logs += one.logs
        job.reason, job.cancel = reason, None
        job.enter(status, now)
        if status.final:
            self.free(job, "end")
        if one.stop:
            self.stop_for(job.pushed.queue, one.stop, now)
        if status.final:
            for follower in one.pushes(asked=asked):
                self.push(follower, now)
        return True

    def stop_for(self, queue: str, lasts: int, now: int) -> None:
        """A job has stopped its queue."""
        there = self.stops.get((queue, None))
        if there is None or not in_force(there, now) or (there.until is not None and there.until < now + lasts):
            self.stops[queue, None] = Stop(queue, None, now + lasts, "", "", now)

    def stopped(self, queue: str, type_: str | None, now: int) -> bool:
        """Whether a queue, or one type in it, is stopped."""
        there = self.stops.get((queue, type_))
        return there is not None and in_force(there, now)

    def claimed(self, claim: Claim, lease: int, now: int) -> None:
        """A job has been claimed: check the claim and note it."""
        job = self.jobs[claim.id]
        assert claim.token > self.last_token
        self.last_token = claim.token
        pushed = job.pushed
        assert claim[:5] == (pushed.id, pushed.queue, pushed.type, pushed.payload, pushed.options)
        assert (claim.attempts, claim.runs) == (job.attempts, len(job.runs))
        assert (claim.cancel, claim.changes) == (None, job.changes)
        if job.runs and job.runs[-1][2]:
            assert claim.error is not None
            assert json.loads(claim.error) == json.loads(job.runs[-1][2])
        job.token, job.worker, job.lease, job.along = claim.token, claim.worker, now + lease, claim.along
        job.held, job.progress = None, None
        job.enter(Status.RUNNING, now)
        for limit in () if claim.along else pushed.limits:
            if limit.kind == RATE:
                place = pushed.queue, limit.key
                ahead = (limit.burst - 1) * limit.per * 1000 // limit.n
                after = max(self.paces.get(place, 0), now * 1000) + limit.per * 1000 // limit.n
                self.paces[place] = min(after, now * 1000 + limit.per * 1000 + ahead)
        self.free(job, "start")

    def check_line(self, claims: Sequence[Claim], wanted: Wanted, now: int) -> None:
        """The claims are the head of the first line with a job of a known type; ties in any order."""
        if wanted.along_with is not None and not self.has_no_place(*wanted.along_with):
            self.check_along(claims, wanted, now)
            return
        assert not any(claim.along for claim in claims)
        if wanted.behind and not claims:
            assert self.nobody_goes_along(wanted, now)
            return
        for queue in wanted.queues:
            line = self.line(queue, wanted.types, now)
            if claims and claims[0].queue == queue:
                line = self.with_gated(queue, wanted.types, now, line, claims[0])
            if line:
                break
        else:
            assert not claims
            return
        assert claims, "nothing was claimed although there are jobs"
        assert len(claims) <= wanted.limit
        assert all(claim.ahead is (wanted.behind or len(claims) > 1) for claim in claims)
        for claim in claims:
            assert any(job.pushed.id == claim.id for job in line), f"{claim.id} is not to be claimed"
            job = self.jobs[claim.id]
            assert job.rank == line[0].rank
            assert (len(claims) == 1 and not wanted.behind) or self.goes_along(job, wanted)
            line.remove(job)
        if len(claims) < wanted.limit and self.goes_along(self.jobs[claims[-1].id], wanted):
            rank = self.jobs[claims[0].id].rank
            first = [job for job in [*line, *self.let_through(queue, wanted.types, now)] if job.rank == rank]
            assert not first or not all(self.goes_along(job, wanted) for job in first)

    def has_no_place(self, job_id: str, token: int) -> bool:
        """Whether a claim is in force and holds no place at a gate."""
        job = self.in_force(job_id, token)
        return job is not None and (job.along or not job.pushed.limits)

    def check_along(self, claims: Sequence[Claim], wanted: Wanted, now: int) -> None:
        """The claims are the first of those that are under the same limits as a claim in force; ties in any order."""
        assert wanted.along_with is not None
        first = self.in_force(*wanted.along_with)
        alike = [job for job in self.jobs.values() if first and self.is_alike(job, first, wanted.types, now)]
        ranks = sorted(job.rank for job in alike)
        assert [self.jobs[claim.id].rank for claim in claims] == ranks[: wanted.limit]
        assert {claim.id for claim in claims} <= {job.pushed.id for job in alike}
        assert all(claim.along and claim.ahead for claim in claims)

    def is_alike(self, job: ModelJob, first: ModelJob, types: Collection[str], now: int) -> bool:
        """Whether a job may come along with another that runs."""
        pushed, queue = job.pushed, first.pushed.queue
        waits = job.status is Status.PENDING or (job.status is Status.SCHEDULED and job.due <= now)
        alike = (pushed.queue, pushed.limits) == (queue, first.pushed.limits) and pushed.type in types
        free = not self.stopped(queue, None, now) and not self.stopped(queue, pushed.type, now)
        return waits and alike and free and not job.alone and job.held != TYPE

    def nobody_goes_along(self, wanted: Wanted, now: int) -> bool:
        """Whether nothing may be claimed behind another: no job is there, or one of the first must be claimed alone."""
        for queue in wanted.queues:
            line = self.line(queue, wanted.types, now)
            through = self.let_through(queue, wanted.types, now)
            first = [job for job in line if job.rank == line[0].rank]
            if any(not line or job.rank <= line[0].rank for job in through):
                return True  # which are under a limit
            if first:
                return not all(self.goes_along(job, wanted) for job in first)
        return True

    def line(self, queue: str, types: Collection[str], now: int) -> list[ModelJob]:
        """The jobs of a queue that may be claimed, the first one first."""
        jobs = [
            job
            for job in self.jobs.values()
            if job.pushed.queue == queue
            and not job.held
            and job.pushed.type in types
            and not self.stopped(queue, None, now)
            and not self.stopped(queue, job.pushed.type, now)
            and (job.status is Status.PENDING or (job.status is Status.SCHEDULED and job.due <= now))
            and not self.closed(job, now)
        ]
        return sorted(jobs, key=lambda job: job.rank)

    def with_gated(
        self, queue: str, types: Collection[str], now: int, line: list[ModelJob], claim: Claim
    ) -> list[ModelJob]:
        """The line with a claimed job that waited at a gate, which may have opened in the step that claimed it."""
        job = self.jobs[claim.id]
        if job.held != GATE:
            return line
        job.held = None
        return self.line(queue, types, now)

    def let_through(self, queue: str, types: Collection[str], now: int) -> list[ModelJob]:
        """The jobs that waited at a gate and may be back in the line, since it is open in the step that looks."""
        waited = [job for job in self.jobs.values() if job.held == GATE]
        for job in waited:
            job.held = None
        through = [job for job in self.line(queue, types, now) if job in waited]
        for job in waited:
            job.held = GATE
        return through

    def closed(self, job: ModelJob, now: int) -> bool:
        """Whether a limit keeps a job from being claimed."""
        return any(not self.has_room(job.pushed.queue, limit, now) for limit in job.pushed.limits)

    def has_room(self, queue: str, limit: Limit, now: int) -> bool:
        """Whether one more may run, or begin, of a limit's key."""
        if limit.kind == RATE:
            ahead = (limit.burst - 1) * limit.per * 1000 // limit.n
            return self.paces.get((queue, limit.key), 0) - ahead <= now * 1000
        runs = [job for job in self.under(queue, limit) if job.status is Status.RUNNING and not job.along]
        return len(runs) < limit.n

    def under(self, queue: str, limit: Limit) -> list[ModelJob]:
        """The jobs of a queue that are under a limit."""
        return [job for job in self.jobs.values() if job.pushed.queue == queue and limit.gate in gates_of(job)]

    @staticmethod
    def goes_along(job: ModelJob, wanted: Wanted) -> bool:
        """Whether it may be claimed together with others."""
        return job.pushed.type in wanted.short and not job.alone and not job.pushed.limits

    def stalled(self, now: int) -> set[str]:
        """Jobs whose lease has run out."""
        return {key for key, job in self.jobs.items() if job.status is Status.RUNNING and job.lease < now}

    def held_by(self, worker: str) -> set[str]:
        """Jobs in a child's hands."""
        return {key for key, job in self.jobs.items() if job.status is Status.RUNNING and job.worker == worker}

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Jobs by queue, type and status."""
        cells = ((job.pushed.queue, job.pushed.type, job.status.value) for job in self.jobs.values())
        return dict(Counter(cells))

    def fitting(self, query: Query) -> list[str]:
        """The ids that a list shows."""
        return sorted(
            key
            for key, job in self.jobs.items()
            if query.queue in (None, job.pushed.queue)
            and query.type in (None, job.pushed.type)
            and (query.tag is None or query.tag in job.pushed.tags)
            and (not query.statuses or job.status in query.statuses)
        )

    def check(self, record: JobRecord) -> None:
        """The record says what the model knows, moments apart."""
        job = self.jobs[record.id]
        runs: list[tuple[Any, ...]] = [
            (n, worker, outcome, json.loads(error) if error else None, memory)
            for n, (worker, outcome, error, memory) in enumerate(job.runs, 1)
        ]
        if job.status is Status.RUNNING:
            runs.append((len(runs) + 1, job.worker, None, None, None))
            assert record.worker == job.worker
        told = [
            (run.run, run.worker, run.outcome, list(run.error) if run.error else None, run.memory)
            for run in record.history
        ]
        assert told == runs
        assert all((run.ended is None) is (run.outcome is None) for run in record.history)
        assert (record.status, record.queue, record.type) == (job.status, job.pushed.queue, job.pushed.type)
        assert record.payload == json.loads(job.pushed.payload)
        assert (record.priority, record.tags) == (job.pushed.priority, job.pushed.tags)
        assert record.attempts == job.attempts
        assert record.progress == job.progress
        assert (list(record.error) if record.error else None) == job.error
        assert record.result == (json.loads(job.result) if job.result else None)
        assert record.reason == job.reason
        assert held_how(record) == job.held
        assert (record.finished is not None) is job.status.final


def gates_of(job: ModelJob) -> set[str]:
    """The gates that a job has to pass."""
    return {limit.gate for limit in job.pushed.limits}


def in_force(stop: Stop, now: int) -> bool:
    """Whether a stop is not over."""
    return stop.until is None or stop.until > now


def held_how(record: JobRecord) -> str | None:
    """Why a job is set aside."""
    return None if record.held is None else GATE if record.held.startswith("Only ") else TYPE
