"""The part of the contract that lets everything move from one storage to another."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ...errors import ConfigError, OptionsChanged, StorageError
from ...moving import move
from ...record import Memory, Outcome, Progress, Status
from ...storage import Storage
from ...storage.unique import Unique
from ...storage.values import Occurrence, Schedule
from .contract import (
    LATER,
    LONG,
    SHORT,
    TEXTS,
    a_worker,
    complete,
    counted,
    error_text,
    everything,
    fill,
    ids,
    in_status,
    line,
    new,
    settle,
    take,
    take_one,
    the,
)
from .engine import Clock, Engine
from .fixtures import OpenedTwice
from .processes import running, together

NOT_RUNNING = [status for status in Status if status is not Status.RUNNING]


def neighbour(engine: Engine) -> Engine:
    """The same kind of storage at another place."""
    place: Path = engine.place / "elsewhere"
    place.mkdir(exist_ok=True)
    return replace(engine, place=place)


def move_all(source: Storage, target: Storage, size: int = 3) -> int:
    """Move everything in small loads; returns how many jobs that were."""
    return sum(len(load.jobs) for load in move(source, target, size))


def history_of(storage: Storage) -> dict[str, Any]:
    """Everything that can be read of every job, but why it is held."""
    jobs = everything(storage)
    return {job.id: (replace(job, held=None), storage.logs(job.id, 10_000), storage.kept(job.id)) for job in jobs}


def eventful(storage: Storage, clock: Clock, job_id: str, status: Status) -> None:
    """Make a job to which everything has happened, and bring it into a status."""
    text = TEXTS[2]
    options = json.dumps({"tries": 9, "timeout": 2.5, "backoff": [1, 2.5]})
    queue = f"of {job_id}"
    fill(storage, job_id, queue=queue, payload='{ "a":[ ], "b":1.10 }', priority=-7, tags=(text, "x"),
         expires=LONG, options=options)  # fmt: skip
    for n in range(2):
        clock.advance(1)
        claim = take_one(storage, queue)
        assert storage.note(job_id, claim.token, Progress(n, text), [line(text, n + 1, context={text: [n]})])
        assert storage.keep(job_id, claim.token, text)
        put_off: dict[str, Any] = {"counted": n == 0, "error": error_text(text, trace=text), "alone": True}
        put_off["memory"] = Memory(187.4, 120.0) if n else None
        settle(storage, claim, Status.PENDING, Outcome.FAILED, **put_off)
    clock.advance(1)
    if status is Status.PENDING:
        return
    more: dict[str, Any] = {"progress": Progress(60, text), "logs": [line("end", 3)], "memory": Memory(64.0, 0.5)}
    if status is Status.COMPLETED:
        more["result"] = json.dumps({text: [None]}, ensure_ascii=False)
    elif status is Status.SCHEDULED:
        more["delay"] = LONG
    elif status is Status.CANCELLED:
        more["reason"] = text
    outcome = Outcome.COMPLETED if status is Status.COMPLETED else Outcome.FAILED
    settle(storage, take_one(storage, queue), status, outcome, counted=True, **more)


# What runs in other processes


def move_in_process(engine: Engine) -> int:
    """Move everything to the neighbour, beside others who do the same."""
    source, target = engine.open(), neighbour(engine).open()
    moved = move_all(source, target)
    source.close()
    target.close()
    return moved


def move_and_tell(pipe: Any, engine: Engine) -> None:
    """Move everything to the neighbour, one job at a time, and tell of each."""
    for _ in move(engine.open(), neighbour(engine).open(), 1):
        pipe.send("moved")
    pipe.send("done")


class MoveContract(OpenedTwice):
    """What a move to another storage promises."""

    @pytest.fixture
    def elsewhere(self, engine: Engine) -> Iterator[Storage]:
        """Another storage, empty."""
        opened = neighbour(engine).open()
        yield opened
        opened.close()

    def test_a_storage_has_a_name_of_its_own(self, storage: Storage, other: Storage, elsewhere: Storage) -> None:
        """The same for all who open it, and no other storage's."""
        name = storage.identity()
        assert other.identity() == name
        storage.close()
        assert storage.identity() == name
        assert elsewhere.identity() not in ("", name)

    @pytest.mark.parametrize("status", NOT_RUNNING)
    def test_a_job_arrives_as_it_left(self, storage: Storage, elsewhere: Storage, clock: Clock, status: Status) -> None:
        """Whatever can be read of it: payload, moments, every run, log, progress, result, tags."""
        eventful(storage, clock, "a", status)
        fill(storage, "never ran")
        before = history_of(storage)
        assert len(before["a"][0].history) == (2 if status is Status.PENDING else 3)
        counts = storage.counts()
        clock.advance(5)

        assert move_all(storage, elsewhere) == 2

        assert history_of(elsewhere) == before
        assert elsewhere.counts() == counts
        assert ids(everything(elsewhere, tag=TEXTS[2])) == ["a"]
        assert everything(storage) == []
        assert storage.get("a") is None
        assert storage.logs("a") == []
        assert storage.counts().cells == {}

    def test_a_moved_job_goes_on_as_if_nothing_had_been(
        self, storage: Storage, elsewhere: Storage, clock: Clock
    ) -> None:
        """Its payload to the last space, its tries, its error, and that it runs alone."""
        eventful(storage, clock, "a", Status.PENDING)
        fill(storage, "b", queue="of a", priority=-8)
        move_all(storage, elsewhere)
        claim = take_one(elsewhere, "of a", limit=2, short=["t"])
        assert claim.payload == '{ "a":[ ], "b":1.10 }'
        assert (claim.attempts, claim.runs, claim.ahead) == (1, 2, False)
        assert claim.expires is not None
        assert json.loads(claim.error or "") == ["builtins.ValueError", TEXTS[2], TEXTS[2]]
        assert complete(elsewhere, claim).lost == []
        assert [run.run for run in the(elsewhere, "a").history] == [1, 2, 3]
        assert elsewhere.counts().cells == counted(elsewhere)

    def test_a_failed_job_can_be_retried_where_it_arrived(
        self, storage: Storage, elsewhere: Storage, clock: Clock
    ) -> None:
        """With its history."""
        eventful(storage, clock, "a", Status.FAILED)
        move_all(storage, elsewhere)
        assert elsewhere.retry("a") is Status.FAILED
        claim = take_one(elsewhere, "of a")
        assert (claim.attempts, claim.runs) == (0, 3)

    def test_changed_options_move_with_what_is_known_of_them(self, storage: Storage, elsewhere: Storage) -> None:
        """Nobody ends such a job unless he knows what that causes."""
        fill(storage, "a")
        storage.change_options("a", lambda _: '{"tries":4}')
        move_all(storage, elsewhere)
        with pytest.raises(OptionsChanged):
            elsewhere.cancel("a", "no")
        claim = take_one(elsewhere)
        assert (claim.options, claim.changes) == ('{"tries":4}', 1)
        assert len(complete(elsewhere, claim, changes=0).outdated) == 1
        assert complete(elsewhere, claim, changes=1).outdated == ()

    def test_a_delayed_job_keeps_its_time(self, storage: Storage, elsewhere: Storage, clock: Clock) -> None:
        """It is due when it was to be, no sooner."""
        fill(storage, "a", delay=SHORT)
        move_all(storage, elsewhere)
        assert elsewhere.next_due() is not None
        clock.advance(LATER)
        assert ids(take(elsewhere)) == ["a"]

    def test_jobs_stay_in_line(self, storage: Storage, elsewhere: Storage, clock: Clock) -> None:
        """By priority, by the time they were due, and then as they were pushed, over many loads."""
        dice = random.Random(7)
        moment = clock.now() - 10_000
        names = [f"{n:03}" for n in range(60)]
        jobs = [
            new(name, type=dice.choice("tu"), priority=dice.choice([0, 0, 1]), at=moment + dice.choice([0, 0, 0, 9]))
            for name in names
        ]
        storage.push(jobs[:40])
        storage.push(jobs[40:])
        move_all(storage, elsewhere, 7)
        line = sorted(jobs, key=lambda job: (-job.priority, job.at, job.id))
        assert [take_one(elsewhere, types="tu").id for _ in names] == [job.id for job in line]

    def test_a_job_that_took_the_place_of_another_keeps_its_key(self, storage: Storage, elsewhere: Storage) -> None:
        """The other one, cancelled for it, may have held the key for a time that is not over."""
        fill(storage, "a", unique=Unique("k", "time", LONG))
        fill(storage, "b", delay=LONG, unique=Unique("k", "end", replace=True))
        assert the(storage, "a").status is Status.CANCELLED
        move_all(storage, elsewhere, 1)
        assert elsewhere.push_unique(new("c", unique=Unique("k"))) == "b"
        elsewhere.cancel("b", "no")
        assert elsewhere.push_unique(new("c", unique=Unique("k"))) == "c"

    def test_a_key_that_a_job_holds_until_its_start_is_free_then(self, storage: Storage, elsewhere: Storage) -> None:
        """Where it has arrived, too."""
        key = Unique("k", "start")
        fill(storage, "a", unique=key)
        move_all(storage, elsewhere)
        assert elsewhere.push_unique(new("b", unique=key)) == "a"
        take_one(elsewhere)
        assert elsewhere.push_unique(new("b", unique=key)) == "b"

    def test_what_was_handed_out_is_in_no_line_and_on_no_list(self, storage: Storage, other: Storage) -> None:
        """Nobody claims, sees or counts it; the others stay."""
        fill(storage, *"abc")
        load = storage.hand_out("elsewhere", 2)
        assert load is not None
        assert other.on_the_way() == 2
        gone = {job.id for job in load.jobs}
        (left,) = set("abc") - gone
        assert ids(everything(other)) == [left]
        assert {other.claim("w", job_id, LONG) for job_id in gone} == {None}
        assert ids([*take(other), *take(other)]) == [left]
        assert other.counts().cells == counted(other)

    def test_a_load_comes_again_until_it_is_let_go(self, storage: Storage, other: Storage) -> None:
        """Whoever died in between, the same jobs come first; then the next ones, under a higher number."""
        fill(storage, *"abc", tags=("x",))
        complete(storage, take_one(storage), result="[1]", logs=[line(TEXTS[0])], progress=Progress(12.5, "x"))
        storage.put_schedule(Schedule("s", "q", "{}"), [], [Occurrence(1, 0, "fired", "a")])
        first = storage.hand_out("elsewhere", 2)
        assert first is not None
        assert other.hand_out("elsewhere", 1) == first
        assert not other.let_go(first.number + 1)
        assert storage.hand_out("elsewhere") == first
        assert other.let_go(first.number)
        assert not storage.let_go(first.number)
        second = storage.hand_out("elsewhere")
        assert second is not None
        assert second.number > first.number
        assert sorted(job.id for job in first.jobs + second.jobs) == list("abc")
        assert storage.on_the_way() == len(second.jobs)
        assert storage.let_go(second.number)
        assert storage.on_the_way() == 0
        assert storage.hand_out("elsewhere") is None
        fill(storage, "d")
        third = storage.hand_out("elsewhere")
        assert third is not None
        assert third.number > second.number

    def test_a_load_arrives_once_whatever_becomes_of_it(self, storage: Storage, elsewhere: Storage) -> None:
        """A mover that does not know whether its load has arrived may bring it again: nothing runs twice."""
        fill(storage, *"abc")
        load = storage.hand_out(elsewhere.identity())
        assert load is not None
        assert elsewhere.take_in("there", load) == 3
        complete(elsewhere, take_one(elsewhere))
        elsewhere.delete("a")
        assert elsewhere.take_in("there", load) == 0
        assert sorted(ids(everything(elsewhere))) == ["b", "c"]
        assert elsewhere.take_in("from somewhere else", load) == 1

    def test_a_job_that_is_there_already_is_left_as_it_is(self, storage: Storage, elsewhere: Storage) -> None:
        """As with a push."""
        fill(storage, *"ab", payload='{"n":1}', tags=("x",))
        fill(elsewhere, "a", payload='{"n":2}')
        load = storage.hand_out("there")
        assert load is not None
        assert elsewhere.take_in("here", load) == 1
        assert the(elsewhere, "a").payload == {"n": 2}
        assert ids(everything(elsewhere, tag="x")) == ["b"]
        assert elsewhere.counts().cells == counted(elsewhere)

    def test_running_jobs_stay_and_can_follow(self, storage: Storage, elsewhere: Storage) -> None:
        """Their worker settles them where they are; then they can be moved."""
        fill(storage, "runs", "waits")
        claim = take_one(storage)
        storage.heartbeat(a_worker("boss", "w"), LONG)
        assert move_all(storage, elsewhere) == 1
        assert ids(everything(storage)) == ["runs"]
        assert complete(storage, claim).lost == []
        assert move_all(storage, elsewhere) == 1
        assert the(elsewhere, "runs").status is Status.COMPLETED

    def test_schedules_move_with_their_state_and_history(self, storage: Storage, elsewhere: Storage) -> None:
        """Name, queue, state, and what became of each occurrence, with its times."""
        for name in ("one", "two", "lone"):
            schedule = Schedule(name, "r" if name == "lone" else "q", json.dumps({"x": TEXTS[1]}, ensure_ascii=False))
            revision = storage.put_schedule(schedule, [], [Occurrence(5, 0, "fired", "j")])
            storage.put_schedule(schedule._replace(revision=revision), [], [Occurrence(6, 0, "left out")])
        fill(storage, "a")
        before = storage.schedules()
        told = [storage.occurrences(one) for one in before]
        changed = elsewhere.schedules_changed()

        move_all(storage, elsewhere)

        after = elsewhere.schedules()
        assert [one[:3] for one in after] == [one[:3] for one in before]
        assert [elsewhere.occurrences(one) for one in after] == told
        assert [[one.due for one in past] for past in told] == [[6, 5]] * 3
        assert elsewhere.schedules_changed() != changed
        assert all(elsewhere.put_schedule(one) for one in after)
        assert storage.schedules() == []
        assert storage.put_schedule(before[0]._replace(revision=0))
        assert storage.occurrences(before[0]) == []

    def test_a_schedule_that_is_there_already_is_left_as_it_is(self, storage: Storage, elsewhere: Storage) -> None:
        """It was set up there; what it has decided since is the newer."""
        storage.put_schedule(Schedule("s", "q", '"old"'), [], [Occurrence(1, 0, "fired", "j")])
        elsewhere.put_schedule(Schedule("s", "q", '"new"'))
        move_all(storage, elsewhere)
        (kept,) = elsewhere.schedules()
        assert kept.about == '"new"'
        assert elsewhere.occurrences(kept) == []

    def test_jobs_are_on_their_way_to_one_place_at_a_time(
        self, storage: Storage, elsewhere: Storage, engine: Engine
    ) -> None:
        """A load that may have arrived in one storage is not handed out for another."""
        fill(storage, "a")
        assert storage.hand_out("first") is not None
        with pytest.raises(StorageError, match="an earlier move was interrupted"):
            move_all(storage, elsewhere)
        assert everything(elsewhere) == []

    def test_a_storage_cannot_be_moved_into_itself(self, storage: Storage, other: Storage) -> None:
        """Nothing is handed out."""
        fill(storage, "a")
        with pytest.raises(ConfigError, match="is where the jobs are already"):
            move_all(storage, other)
        assert ids(everything(storage)) == ["a"]

    def test_movers_side_by_side_bring_each_job_once(
        self, engine: Engine, storage: Storage, elsewhere: Storage
    ) -> None:
        """However many move at the same time."""
        names = [f"{n:02}" for n in range(60)]
        fill(storage, *names)
        together(move_in_process, (engine,), (engine,))
        assert everything(storage) == []
        assert [take_one(elsewhere).id for _ in names] == names
        assert elsewhere.counts().cells == counted(elsewhere)

    def test_a_move_that_is_killed_goes_on_where_it_was(
        self, engine: Engine, storage: Storage, elsewhere: Storage
    ) -> None:
        """Killed at any moment, however often: each job is in one storage's lines at most, and lost in none."""
        dice = random.Random(20260101)
        for n, status in enumerate(NOT_RUNNING * 20):
            in_status(storage, f"{n:03}", status)
        before = history_of(storage)
        for _ in range(6):
            with running(move_and_tell, engine) as mover:
                heard = [mover.hear() for _ in range(dice.randrange(1, 4))]
                assert "done" not in heard
                time.sleep(dice.random() * 0.01)  # anywhere in what it does next
                mover.kill()
            left, arrived = set(ids(everything(storage))), set(ids(everything(elsewhere)))
            assert not left & arrived
            assert len(before) - 1 <= len(left) + len(arrived) <= len(before)
        with running(move_and_tell, engine) as mover:
            while mover.hear() != "done":
                pass
        assert history_of(elsewhere) == before
        assert everything(storage) == []
        assert elsewhere.counts().cells == counted(elsewhere)

    def test_there_and_back_nothing_has_changed(self, storage: Storage, elsewhere: Storage, clock: Clock) -> None:
        """A move can be taken back by another."""
        for status in NOT_RUNNING:
            eventful(storage, clock, status.value, status)
        before, counts = history_of(storage), storage.counts()
        for _ in range(2):
            move_all(storage, elsewhere)
            move_all(elsewhere, storage)
        assert history_of(storage) == before
        assert storage.counts() == counts
