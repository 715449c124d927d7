"""Random sequences of everything a storage can do, compared step by step with a model in memory.

`MODEL_STEPS=1000000` in the environment takes so many steps on each engine; the normal run a few
hundred. Hypothesis shrinks a failure to the shortest sequence that shows it.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ...errors import OptionsChanged, PayloadChanged, UniqueTaken
from ...record import ChildRecord, LogLine, Memory, Outcome, Progress, Status, WorkerRecord, to_datetime
from ...storage.limits import CONCURRENCY, RATE, Limit
from ...storage.outdated import Outdated
from ...storage.stops import Stop
from ...storage.unique import START, TIME, Unique
from ...storage.values import Claim, Gather, NewJob, Occurrence, Query, Schedule, Settlement, Wanted
from .engine import Engine
from .model import GATE, TYPE, WAITING, Model, held_how
from .moving import neighbour

STEPS = int(os.environ.get("MODEL_STEPS", "600"))
STEPS_EACH = 60

HOUR = 3_600_000
LEASE = HOUR // 2
MOMENT = datetime(2030, 1, 1, tzinfo=timezone.utc)

NOT_RUNNING = [status for status in Status if status is not Status.RUNNING]
#: An id belongs to a queue, as those do that Flask-Queues makes; or it is any, as a caller may choose it for a push.
IDS = st.sampled_from([f"{kind}{n}" for kind in "qrj" for n in range(6)])
QUEUES = st.sampled_from(["q", "r"])
TYPES = st.sampled_from(["t", "u", "short"])
WORKERS = st.sampled_from(["w0", "w1", "w2"])
WORDS = st.none() | st.sampled_from(["wörd", "זה", "nul\x00", "sep\u2028\x85"])
PROGRESS = st.none() | st.builds(Progress, st.sampled_from([0.0, 12.5, 100.0]), WORDS.map(lambda word: word or ""))
LOGS = st.lists(WORDS.map(lambda word: LogLine(MOMENT, "info", word or "", {"w": word}, 1)), max_size=3)
UNIQUE = [Unique("k"), Unique("k", START), Unique("k", TIME, HOUR), Unique("k", START, 0, True), Unique("wörd\t")]
ONE, TWO = Limit(CONCURRENCY, "one", 1), Limit(CONCURRENCY, "zwei\t2", 2)
HOURLY = Limit(RATE, "hourly", 1, HOUR, 1)
#: At the gate of another, and not along with it.
GROUPED = ONE._replace(group="g")
NEW = st.builds(
    lambda n, queue, **said: NewJob(id=f"{queue}{n}", queue=queue, **said),
    n=st.integers(0, 5),
    queue=QUEUES,
    type=TYPES,
    payload=WORDS.map(lambda word: json.dumps({"w": word}, ensure_ascii=False)),
    priority=st.integers(-1, 1),
    delay=st.sampled_from([0, 0, HOUR, 2 * HOUR]),
    at=st.sampled_from([None, None, 1_000_000_000_000, 4_000_000_000_000]),
    expires=st.sampled_from([None, HOUR]),
    tags=st.sampled_from([(), ("x",), ("x", "nul\x00"), ("nul", "nul\x00")]),
    options=st.sampled_from([None, '{"tries":3}']),
    unique=st.sampled_from([None, None, None, *UNIQUE]),
    batch=st.sampled_from([None, None, "b", "c"]),
    limits=st.sampled_from([(), (), (), (ONE,), (TWO,), (HOURLY,), (HOURLY, ONE), (GROUPED,)]),
    gather=st.sampled_from([None, None, None, Gather("g", 1), Gather("g", 2), Gather("wörd\n\t", 2)]),
)
PUSHED = NEW | NEW.map(lambda job: job._replace(id=f"j{job.id[1:]}", unique=None))
ENDS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(NOT_RUNNING),
        "outcome": st.sampled_from([None, *Outcome]),
        "counted": st.booleans(),
        "delay": st.sampled_from([0, HOUR]),
        "error": WORDS,
        "result": WORDS,
        "reason": WORDS,
        "progress": PROGRESS,
        "logs": LOGS,
        "alone": st.booleans(),
        "follows": st.lists(NEW, max_size=2),
        "stop": st.sampled_from([0, 0, 0, HOUR // 2, 2 * HOUR]),
        "if_cancelled": st.none() | st.lists(NEW, max_size=2),
        "memory": st.sampled_from([None, Memory(187.4, 120.0), Memory(64.0, 0.0)]),
    }
)
SCHEDULES = {"nightly": "q", "hourly": "r", "wörd": "q"}
OCCURRENCES = st.lists(
    st.builds(Occurrence, st.sampled_from([1, 2]), st.just(0), st.sampled_from(["fired", "late"]), st.none() | IDS),
    max_size=2,
)
WANTED = st.builds(
    Wanted,
    queues=st.sampled_from([["q", "r"], ["q"], ["r"], ["r", "q"], []]),
    types=st.sampled_from([("t", "u", "short"), ("t", "short"), ("u",), ("short",), ()]),
    lease=st.just(LEASE),
    limit=st.integers(1, 4),
    short=st.sampled_from([("short", "t", "u"), ("short",), ()]),
    behind=st.booleans(),
    only=st.booleans(),
    along_with=st.none(),
)


class StorageMachine(RuleBasedStateMachine):
    """Does the same to a storage and to the model, and compares."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        engine.place.mkdir()
        self._clock_context = engine.clock()
        self.clock = self._clock_context.__enter__()
        #: Two views of the same jobs, used in turn.
        self.opened = [engine.open(), engine.open()]
        self.views = itertools.cycle(self.opened)
        self.model = Model()
        #: Another storage, to move everything to and back.
        self.elsewhere = neighbour(engine).open()
        #: Every claim there was: one that is over stays, to be settled late.
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        """Remove the place."""
        for storage in (*self.opened, self.elsewhere):
            storage.close()
        self._clock_context.__exit__(None, None, None)
        self.engine.remove()

    @property
    def storage(self) -> Any:
        """One view, then the other."""
        return next(self.views)

    def storage_of(self, worker: str) -> Any:
        """The view of a child, always the same: it is one process, which adopts unknown claims in its name."""
        return self.opened[int(worker[-1]) % 2]

    def note_what_became_due(self) -> None:
        """An engine may make due jobs pending when it likes."""
        for key, job in self.model.jobs.items():
            if job.status is Status.SCHEDULED and job.due <= self.clock.now():
                record = self.storage.get(key)
                if record.status is Status.PENDING:
                    job.enter(Status.PENDING, self.clock.now())

    # Rules

    @rule(jobs=st.lists(PUSHED, min_size=1, max_size=6))
    def push(self, jobs: list[NewJob]) -> None:
        """Push some jobs, of which some are there already."""
        now = self.clock.now()
        assert self.storage.push(jobs) == [self.model.push(job, now) for job in jobs]

    @rule(job=NEW)
    def push_unique(self, job: NewJob) -> None:
        """Push a job and hear who holds its key."""
        now = self.clock.now()
        told = self.storage.push_unique(job)
        self.model.push(job, now)
        stored = job.id in self.model.jobs
        holder = self.model.holder(job.queue, job.unique.key, now) if job.unique and not stored else None
        assert told == (holder or job.id)

    @rule(
        worker=WORKERS,
        which=st.lists(st.tuples(st.integers(0, 7), ENDS), max_size=3),
        wanted=st.none() | WANTED,
    )
    def step(self, worker: str, which: list[tuple[int, dict[str, Any]]], wanted: Wanted | None) -> None:
        """Settle some claims, in force or not, and claim."""
        recent = self.claims[::-1]
        settled = [settlement(recent[n % len(recent)], end) for n, end in which if recent]
        self.settle_and_claim(worker, settled, wanted)

    @rule(worker=WORKERS, end=ENDS, wanted=WANTED)
    def work_on(self, worker: str, end: dict[str, Any], wanted: Wanted) -> None:
        """Settle all that is in hand alike and claim the next."""
        held = [claim for claim in self.claims if self.model.in_force(claim.id, claim.token)]
        self.settle_and_claim(worker, [settlement(claim, end) for claim in held], wanted)

    @rule(worker=WORKERS, queue=QUEUES, limit=st.sampled_from([ONE, TWO, HOURLY, GROUPED]), end=ENDS)
    def work_under_a_limit(self, worker: str, queue: str, limit: Limit, end: dict[str, Any]) -> None:
        """Push some jobs of a key, claim until there is no room, and settle one."""
        jobs = [NewJob(f"{queue}{n}", queue, "t", "{}", priority=1, limits=(limit,)) for n in range(3, 6)]
        now = self.clock.now()
        assert self.storage.push(jobs) == [self.model.push(job, now) for job in jobs]
        wanted = Wanted([queue], ("t", "u", "short"), LEASE)
        for _ in range(3):
            self.settle_and_claim(worker, [], wanted)
        held = [claim for claim in self.claims if self.model.in_force(claim.id, claim.token)]
        if held:
            together = Wanted([held[-1].queue], ("t", "u", "short"), LEASE, 2, along_with=known_by(held[-1]))
            self.settle_and_claim(worker, [], together)
        self.settle_and_claim(worker, [settlement(claim, end) for claim in held[-1:]], wanted)

    @precondition(lambda self: self.claims)
    @rule(
        worker=WORKERS,
        n=st.integers(0, 7),
        types=st.sampled_from([("t", "u", "short"), ("t",)]),
        limit=st.integers(1, 4),
        end=st.none() | ENDS,
    )
    def claim_along(self, worker: str, n: int, types: tuple[str, ...], limit: int, end: dict[str, Any] | None) -> None:
        """Claim what may run together with a claim, in force or not, and settle some of that or not."""
        claim = self.claims[-1 - n % len(self.claims)]
        wanted = Wanted([claim.queue], types, LEASE, limit, only=True, along_with=known_by(claim))
        self.settle_and_claim(worker, [], wanted)
        if end is not None:
            held = [one for one in self.claims if self.model.in_force(one.id, one.token)]
            self.settle_and_claim(worker, [settlement(one, end) for one in held[-2:]], None)

    @rule(
        queue=QUEUES,
        group=st.sampled_from(["g", "wörd\n\t"]),
        sizes=st.lists(st.integers(2, 4), min_size=2, max_size=6),
        delay=st.sampled_from([HOUR, 2 * HOUR]),
    )
    def push_to_gather(self, queue: str, group: str, sizes: list[int], delay: int) -> None:
        """Push some jobs that wait for each other, beside those of the group that wait already."""
        jobs = [
            NewJob(f"{queue}{n}", queue, "t", "{}", delay=delay, gather=Gather(group, size))
            for n, size in enumerate(sizes)
        ]
        now = self.clock.now()
        assert self.storage.push(jobs) == [self.model.push(job, now) for job in jobs]

    def settle_and_claim(self, worker: str, settled: list[Settlement], wanted: Wanted | None) -> None:
        """Take one step."""
        now = self.clock.now()
        step = self.storage_of(worker).step(worker, settled, wanted)
        outdated = [one for one in settled if self.model.is_outdated(one)]
        assert [known_by(claim) for claim in step.outdated] == [(one.id, one.token) for one in outdated]
        assert step.lost == [one.id for one in settled if one not in outdated and not self.model.settle(one, now)]
        self.take_anew(step.outdated)
        if wanted is None:
            assert step.claims == []
        else:
            self.model.check_line(step.claims, wanted, now)
            for claim in step.claims:
                self.model.claimed(claim, wanted.lease, now)
            self.claims += step.claims
            self.note_who_is_held(wanted)
        self.note_what_became_due()

    def take_anew(self, outdated: Sequence[Claim]) -> None:
        """Take claims as they were told in the place of those that are known."""
        for told in outdated:
            job = self.model.jobs[told.id]
            assert (told.options, told.changes, told.cancel) == (job.pushed.options, job.changes, job.cancel)
            self.claims = [told if known_by(claim) == known_by(told) else claim for claim in self.claims]

    def note_who_is_held(self, wanted: Wanted) -> None:
        """Only a job of a type that was not wanted, or at a closed gate, may have been set aside."""
        now = self.clock.now()
        for key, job in self.model.jobs.items():
            how = held_how(self.storage.get(key))
            if how not in (None, job.held):
                assert job.held != TYPE
                assert how == GATE or not wanted.only
                assert job.pushed.queue in wanted.queues
                stopped = self.model.stopped(job.pushed.queue, job.pushed.type, now)
                assert self.model.closed(job, now) if how == GATE else stopped or job.pushed.type not in wanted.types
                job.held = how

    def note_who_was_let_through(self) -> int:
        """A job that waits at a gate may be let through whenever a claim ends or time has passed; returns how many."""
        through = [job for job in self.model.jobs.values() if job.held == GATE and self.is_free(job.pushed.id)]
        for job in through:
            job.held = None
        return len(through)

    def is_free(self, job_id: str) -> bool:
        """Whether a job is not set aside."""
        return self.storage.get(job_id).held is None

    @rule(worker=WORKERS, job_id=IDS)
    def claim(self, worker: str, job_id: str) -> None:
        """Claim one job."""
        now = self.clock.now()
        job = self.model.jobs.get(job_id)
        if job is not None and self.model.taken(job, now):
            with pytest.raises(UniqueTaken):
                self.storage_of(worker).claim(worker, job_id, LEASE)
            return
        claim = self.storage_of(worker).claim(worker, job_id, LEASE)
        if job is None or job.status in (Status.RUNNING, Status.COMPLETED):
            assert claim is None
            return
        assert claim is not None
        assert not claim.ahead
        if job.status.final:
            self.model.renew(job, now)
        self.model.claimed(claim, LEASE, now)
        self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(n=st.integers(0, 30), progress=PROGRESS, logs=LOGS)
    def note(self, n: int, progress: Progress | None, logs: list[LogLine]) -> None:
        """Say something with a claim, in force or not."""
        claim = self.claims[-1 - n % len(self.claims)]
        job = self.model.in_force(claim.id, claim.token)
        assert self.storage.note(claim.id, claim.token, progress, logs) is (job is not None)
        if job is not None:
            job.progress = progress or job.progress
            job.logs += logs

    @precondition(lambda self: self.claims)
    @rule(n=st.integers(0, 30), text=WORDS)
    def keep(self, n: int, text: str | None) -> None:
        """Keep a text with a claim, in force or not."""
        claim = self.claims[-1 - n % len(self.claims)]
        job = self.model.in_force(claim.id, claim.token)
        assert self.storage.keep(claim.id, claim.token, text or "") is (job is not None)
        if job is not None:
            job.kept = text or ""

    @rule(job_id=IDS)
    def read_what_is_kept(self, job_id: str) -> None:
        """It goes with the job."""
        job = self.model.jobs.get(job_id)
        assert self.storage.kept(job_id) == (job.kept if job is not None else None)

    @rule(job_id=IDS, reason=WORDS)
    def cancel(self, job_id: str, reason: str | None) -> None:
        """Cancel a job."""
        job = self.model.jobs.get(job_id)
        reason = reason or "no reason"
        if job is not None and job.changes and job.status in WAITING:
            with pytest.raises(OptionsChanged):
                self.storage.cancel(job_id, reason)
            return
        assert self.storage.cancel(job_id, reason) == (job and job.status)
        if job is not None and job.status is Status.RUNNING:
            job.cancel = reason
        elif job is not None and job.status in WAITING:
            job.enter(Status.CANCELLED, self.clock.now())
            job.reason, job.held = reason, None
            self.model.free(job, "end")

    @rule(job_id=IDS, delay=st.sampled_from([0, 0, HOUR]))
    def retry(self, job_id: str, delay: int) -> None:
        """Retry a job, now or later."""
        job = self.model.jobs.get(job_id)
        if job is not None and self.model.taken(job, self.clock.now()):
            with pytest.raises(UniqueTaken):
                self.storage.retry(job_id, delay)
            return
        assert self.storage.retry(job_id, delay) == (job and job.status)
        if job is not None and job.status in (Status.FAILED, Status.CANCELLED, Status.SCHEDULED):
            self.model.renew(job, self.clock.now(), delay)

    @rule(job_id=IDS)
    def hurry(self, job_id: str) -> None:
        """Put a job first."""
        job = self.model.jobs.get(job_id)
        assert self.storage.hurry(job_id) == (job and job.status)
        if job is not None and job.status in WAITING:
            self.model.hurry(job, self.clock.now())

    @rule(job_id=IDS, word=WORDS, stale=st.booleans(), spaces=st.booleans())
    def change_payload(self, job_id: str, word: str | None, stale: bool, spaces: bool) -> None:
        """Give a job another payload, over the one that it has, or over one that it never had."""
        job = self.model.jobs.get(job_id)
        payload = json.dumps({"w": word, "n": 1}, indent=1 if spaces else None, ensure_ascii=False)
        seen = '{"w":"never"}' if stale or job is None else json.dumps(json.loads(job.pushed.payload))
        known = job is not None and json.loads(job.pushed.payload) == json.loads(payload)
        if job is not None and stale and not known and job.status is not Status.RUNNING:
            with pytest.raises(PayloadChanged):
                self.storage.change_payload(job_id, payload, seen)
            return
        assert self.storage.change_payload(job_id, payload, seen) == (job and job.status)
        if job is not None and job.status is not Status.RUNNING and not known:
            job.pushed = job.pushed._replace(payload=payload)

    @rule(job_id=IDS, options=st.sampled_from([None, '{"tries":3}', '{"locale":"de"}']))
    def change_options(self, job_id: str, options: str | None) -> None:
        """Give a job other options, or those that it has."""
        job = self.model.jobs.get(job_id)
        asked: list[str | None] = []

        def turn(text: str | None) -> str | None:
            asked.append(text)
            return options

        assert self.storage.change_options(job_id, turn) == (job and job.status)
        assert asked[-1:] == ([] if job is None else [job.pushed.options])
        if job is not None:
            job.changes += options != job.pushed.options
            job.pushed = job.pushed._replace(options=options)

    @rule(job_id=IDS)
    def delete(self, job_id: str) -> None:
        """Delete a job."""
        job = self.model.jobs.get(job_id)
        assert self.storage.delete(job_id) == (job and job.status)
        if job is not None and job.status is not Status.RUNNING:
            self.model.delete(job_id)

    @rule(
        statuses=st.lists(st.sampled_from(Status), max_size=3),
        queue=st.none() | QUEUES,
        limit=st.integers(1, 5),
        older=st.sampled_from([0, HOUR]),
    )
    def purge(self, statuses: list[Status], queue: str | None, limit: int, older: int) -> None:
        """Delete a slice of old jobs."""
        if older:
            statuses = [status for status in statuses if status is not Status.SCHEDULED]
        old = {
            key
            for key, job in self.model.jobs.items()
            if job.status in statuses
            and job.status is not Status.RUNNING
            and queue in (None, job.pushed.queue)
            and (not older or job.since <= self.clock.now() - older)
        }
        assert self.storage.purge(statuses, older=older, queue=queue, limit=limit) == min(limit, len(old))
        gone = {key for key in self.model.jobs if self.storage.get(key) is None}
        assert gone <= old
        for key in gone:
            self.model.delete(key)

    @rule(
        queue=QUEUES,
        kind=TYPES,
        status=st.sampled_from([status for status in Status if status.final]),
        older=st.sampled_from([0, HOUR]),
        spare=st.sampled_from([0, 1]),
        among=st.none() | st.sets(IDS, max_size=3),
    )
    def drop_outdated(
        self, queue: str, kind: str, status: Status, older: int, spare: int, among: set[str] | None
    ) -> None:
        """Delete what of a line was kept long enough; of jobs that ended at one moment any may be the last."""
        line = {
            key: job
            for key, job in self.model.jobs.items()
            if (job.pushed.queue, job.pushed.type, job.status) == (queue, kind, status)
        }
        old = {key for key, job in line.items() if not older or job.since <= self.clock.now() - older}
        which = Outdated(queue, kind, status, older, spare)
        found = [job.id for job in self.storage.outdated(which)]
        assert len(found) == min(len(old), max(0, len(line) - spare))
        assert max((line[key].since for key in found), default=0) <= min(
            (line[key].since for key in line.keys() - set(found)), default=2**62
        )
        gone = {key for key in found if among is None or key in among}
        assert self.storage.drop_outdated(which, among=among) == len(gone)
        for key in gone:
            assert self.storage.get(key) is None
            self.model.delete(key)

    @rule(end=ENDS)
    def rescue(self, end: dict[str, Any]) -> None:
        """Settle every stalled claim, whoever held it."""
        now = self.clock.now()
        stalled = self.storage.stalled()
        assert {claim.id for claim in stalled} == self.model.stalled(now)
        settled = [settlement(claim, end) for claim in stalled]
        assert self.storage.step("rescuer", settled).lost == []
        assert all(self.model.settle(one, now) for one in settled)

    @rule(
        name=st.sampled_from(sorted(SCHEDULES)),
        about=WORDS,
        stale=st.none() | st.integers(0, 5),
        jobs=st.lists(NEW, max_size=2),
        occurrences=OCCURRENCES,
    )
    def put_schedule(
        self, name: str, about: str | None, stale: int | None, jobs: list[NewJob], occurrences: list[Occurrence]
    ) -> None:
        """Store a schedule over what is stored, or over what is stored no more."""
        now, queue = self.clock.now(), SCHEDULES[name]
        schedule = Schedule(name, queue, json.dumps(about), self.some_revision(name, stale))
        pushed = [job._replace(id=f"{queue}{job.id[1:]}", queue=queue) for job in jobs]
        before = self.storage.schedules_changed()
        revision = self.storage.put_schedule(schedule, pushed, occurrences)
        assert (revision > 0) is (schedule.revision == self.model.revision(name))
        assert (self.storage.schedules_changed() != before) is (revision > 0)
        if revision:
            self.model.put_schedule(schedule, revision, occurrences, now)
            for job in pushed:
                self.model.push(job, now)

    @rule(name=st.sampled_from(sorted(SCHEDULES)), stale=st.none() | st.integers(0, 5))
    def delete_schedule(self, name: str, stale: int | None) -> None:
        """Delete a schedule, or what is stored no more."""
        schedule = Schedule(name, SCHEDULES[name], "{}", self.some_revision(name, stale))
        there = name in self.model.schedules and schedule.revision == self.model.revision(name)
        assert self.storage.delete_schedule(schedule) is there
        if there:
            del self.model.schedules[name]

    def some_revision(self, name: str, stale: int | None) -> int:
        """The revision that is stored, or one that was."""
        ever = self.model.revisions[name]
        return self.model.revision(name) if stale is None else ever[stale % len(ever)]

    @rule(size=st.integers(1, 5), again=st.booleans())
    def move_there_and_back(self, size: int, again: bool) -> None:
        """Move everything that is not running to another storage, whose loads may arrive twice, and back."""
        for source, target in ((self.storage, self.elsewhere), (self.elsewhere, self.storage)):
            here, there = source.identity(), target.identity()
            while load := source.hand_out(there, size):
                target.take_in(here, load)
                assert not again or target.take_in(here, load) == 0
                assert source.let_go(load.number)
        for job in self.model.jobs.values():
            job.held = None
        self.model.moved(self.clock.now())
        for one in self.storage.schedules():
            assert one.revision not in self.model.revisions[one.name]
            self.model.revisions[one.name].append(one.revision)
            self.model.schedules[one.name].revision = one.revision

    @rule(types=st.sets(TYPES))
    def release_held(self, types: set[str]) -> None:
        """Put held jobs back."""
        now = self.clock.now()
        held = [
            job
            for job in self.model.jobs.values()
            if job.held == TYPE
            and job.pushed.type in types
            and not self.model.stopped(job.pushed.queue, job.pushed.type, now)
        ]
        released = self.storage.release_held(types)
        for job in held:
            job.held = None
        assert released == len(held) + self.note_who_was_let_through()
        self.check_gates()

    def check_gates(self) -> None:
        """Nobody waits at a gate with room, but behind others that have been let through."""
        now = self.clock.now()
        for queue, limit in itertools.product("qr", (ONE, TWO)):
            jobs = self.model.under(queue, limit)
            free = [job for job in jobs if job.held is None and job.status is Status.PENDING]
            waits = [job for job in jobs if job.held == GATE and job.pushed.limits == (limit,)]
            assert free or not waits or not self.model.has_room(queue, limit, now)

    @rule(queue=QUEUES, type_=st.none() | TYPES, lasts=st.sampled_from([None, HOUR // 2, 2 * HOUR]), reason=WORDS)
    def stop(self, queue: str, type_: str | None, lasts: int | None, reason: str | None) -> None:
        """Stop a queue or a type of it."""
        now = self.clock.now()
        self.storage.stop(queue, type_, lasts=lasts, reason=reason or "", by="somebody")
        until = None if lasts is None else now + lasts
        self.model.stops[queue, type_] = Stop(queue, type_, until, reason or "", "somebody", now)

    @rule(queue=QUEUES, type_=st.none() | TYPES)
    def go_on(self, queue: str, type_: str | None) -> None:
        """End a stop, if there is one."""
        ends = self.model.stopped(queue, type_, self.clock.now())
        assert self.storage.go_on(queue, type_) is ends
        if self.model.stops.pop((queue, type_), None) is not None:
            for job in self.model.jobs.values():
                if job.pushed.queue == queue and job.pushed.type == type_ and job.held == TYPE:
                    job.held = None

    @rule(children=st.sets(WORKERS))
    def heartbeat(self, children: set[str]) -> None:
        """Extend the claims of some children."""
        records = tuple(ChildRecord(name=child, pid=1) for child in children)
        worker = WorkerRecord(
            name="boss", host="h", pid=1, started=MOMENT, heartbeat=MOMENT, queues=(), children=records
        )
        beat = self.storage.heartbeat(worker, LEASE)
        held = {child: self.model.held_by(child) for child in children}
        assert {child: set(jobs) for child, jobs in beat.jobs.items()} == held
        mine = set().union(*held.values())
        asked = {(key, job.cancel) for key, job in self.model.jobs.items() if key in mine and job.cancel is not None}
        assert {(claim.id, claim.cancel) for claim in beat.to_cancel} == asked
        for key in mine:
            self.model.jobs[key].lease = self.clock.now() + LEASE

    @precondition(lambda self: self.clock.frozen)
    @rule(hours=st.integers(1, 2))
    def advance(self, hours: int) -> None:
        """Let time pass: leases run out, jobs become due."""
        self.clock.advance(hours * HOUR)

    @rule()
    def housekeeping(self) -> None:
        """Maintain and close: nothing changes."""
        self.storage.maintain()
        self.storage.close()

    @rule(
        queue=st.none() | QUEUES,
        type_=st.none() | TYPES,
        tag=st.sampled_from([None, None, "x", "nul", "nul\x00"]),
        statuses=st.lists(st.sampled_from(Status), max_size=3),
        limit=st.integers(1, 6),
    )
    def turn_pages(
        self, queue: str | None, type_: str | None, tag: str | None, statuses: list[Status], limit: int
    ) -> None:
        """Walk through a list, and through the same from its other end."""
        query = Query(queue, type_, tag, statuses, limit)
        found = self.walk(query)
        assert sorted(found) == self.model.fitting(query)
        assert self.walk(query._replace(oldest=True)) == found[::-1]
        if tag is None:
            early = query._replace(begin=self.clock.now())
            assert self.walk(early._replace(oldest=True))[::-1] + self.walk(early) == found

    def walk(self, query: Query) -> list[str]:
        """The ids of a list, page by page."""
        found: list[str] = []
        while True:
            page = self.storage.page(query)
            assert len(page.jobs) <= query.limit
            found += [job.id for job in page.jobs]
            query = query._replace(after=page.after)
            if page.after is None:
                return found

    @rule(queues=st.permutations(["q", "r", "none"]), limit=st.integers(1, 6))
    def read_the_line(self, queues: list[str], limit: int) -> None:
        """Look what is claimed next, and where each job stands; ties in any order."""
        queues.remove("none") if limit % 2 else None
        found = [self.storage.get(key) for key in self.walk(Query(line=queues, limit=limit))]
        jobs = [record for record in found if record is not None]
        assert sorted(job.id for job in jobs) == sorted(
            key for key, job in self.model.jobs.items() if job.status is Status.PENDING and job.pushed.queue in queues
        )
        order = [(job.held is not None, queues.index(job.queue)) for job in jobs]
        assert order == sorted(order)
        for queue in queues:
            line = [job.id for job in jobs if job.queue == queue and job.held is None]
            ranks = [self.model.jobs[key].rank for key in line]
            assert ranks == sorted(ranks)
            assert self.storage.places(queue, [*self.model.jobs]) == {key: n for n, key in enumerate(line, 1)}

    # What holds after each rule

    @invariant()
    def counts_are_kept(self) -> None:
        """Kept counts are counted ones."""
        storage = self.storage
        assert storage.counts().cells == self.model.counts()
        waiting = {job.pushed.queue for job in self.model.jobs.values() if job.status in WAITING}
        assert set(storage.queues()) == waiting

    @invariant()
    def tallies_agree(self) -> None:
        """Each batch has a tally that was kept, not counted."""
        assert self.storage.tallies({"b": ["q", "r"], "c": ["q", "r"]}) == self.model.tallies()

    @invariant()
    def records_agree(self) -> None:
        """Every job is as the model has it, with its log."""
        self.note_who_was_let_through()
        storage = self.storage
        for key, job in self.model.jobs.items():
            record = storage.get(key)
            assert record is not None
            self.model.check(record)
            assert storage.logs(key) == job.logs
            if self.clock.frozen:
                assert record.due in (to_datetime(job.due), to_datetime(job.would_wait or job.due))
                assert record.created == to_datetime(job.created)
                assert record.expires == (None if job.expires is None else to_datetime(job.expires))
                assert record.finished == (to_datetime(job.since) if job.status.final else None)

    @invariant()
    def claims_agree(self) -> None:
        """Each child holds what the model says."""
        storage = self.storage
        for worker in ("w0", "w1", "w2"):
            assert {claim.id for claim in storage.claims_of(worker)} == self.model.held_by(worker)

    @invariant()
    def schedules_agree(self) -> None:
        """Every schedule is as the model has it, with its history."""
        told = {one.name: one for one in self.storage.schedules()}
        assert list(told) == sorted(self.model.schedules)
        for name, schedule in self.model.schedules.items():
            assert told[name][1:] == (schedule.queue, schedule.about, schedule.revision)
            past = self.storage.occurrences(told[name])
            assert [one[::2] for one in past] == [one[::2] for one in schedule.occurrences]
            if self.clock.frozen:
                assert past == schedule.occurrences

    @invariant()
    def stops_agree(self) -> None:
        """Every stop is as the model has it."""
        now = self.clock.now()
        told = {stop[:2]: stop for stop in self.storage.stops()}
        ours = {key: stop for key, stop in self.model.stops.items() if self.model.stopped(*key, now)}
        assert told.keys() == ours.keys()
        for key, stop in ours.items():
            if stop.by:
                assert told[key][3:5] == stop[3:5]
            if self.clock.frozen:
                assert (told[key].until, told[key].since) == (stop.until, stop.since)

    @invariant()
    def waiting_jobs_are_announced(self) -> None:
        """`pending` misses no job that could be claimed; `next_due` names the first."""
        storage = self.storage
        now = self.clock.now()
        for queue in "qr":
            if self.model.line(queue, ["t", "u", "short"], now):
                assert storage.pending([queue], ["t", "u", "short"])
        due = [job.due for job in self.model.jobs.values() if job.status is Status.SCHEDULED]
        if self.clock.frozen:
            due += [
                stop.until for key, stop in self.model.stops.items() if stop.until and self.model.stopped(*key, now)
            ]
            told, first = storage.next_due(), max(0, min(due) - now) if due else None
            assert told == first or (self.model.paces and told is not None and told < (first or 100 * HOUR))
            for job in self.model.jobs.values():
                pace = self.model.paces.get((job.pushed.queue, HOURLY.key), 0) // 1000 - now
                if job.held == GATE and job.pushed.limits == (HOURLY,) and pace > 0:
                    assert told is not None
                    assert told <= pace + 1000


def known_by(claim: Claim) -> tuple[str, int]:
    """What tells a claim from all others."""
    return claim.id, claim.token


def settlement(claim: Claim, end: dict[str, Any]) -> Settlement:
    """Make a settlement that a worker could send."""
    end = dict(end)
    if end["status"] is Status.COMPLETED:
        end |= {"outcome": Outcome.COMPLETED, "error": None}
    ran = end["outcome"] is not None
    error = json.dumps(["E", end["error"], ""], ensure_ascii=False) if end["error"] and ran else None
    end["reason"] = end["reason"] if end["status"] is Status.CANCELLED else None
    result = json.dumps(end["result"], ensure_ascii=False) if end["status"] is Status.COMPLETED else None
    end |= {"error": error, "result": result, "counted": end["counted"] and ran, "changes": claim.changes}
    return Settlement(claim.id, claim.token, **end)


def run_model(engine: Engine) -> None:
    """Take `STEPS` random steps on storages in folders below the engine's; fail where one differs from the model."""
    places = itertools.count()
    run_state_machine_as_test(
        lambda: StorageMachine(replace(engine, place=engine.place / str(next(places)))),  # type: ignore[arg-type]
        settings=settings(
            max_examples=max(1, STEPS // STEPS_EACH),
            stateful_step_count=STEPS_EACH,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=set(Phase) - {Phase.explain},  # which traces every line, and has nothing to say of sequences
        ),
    )
