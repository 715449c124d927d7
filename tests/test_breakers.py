"""Circuit breakers: what several processes that run jobs make of successes and failures, moment by moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from flask_queues import (
    Breaker,
    ConfigError,
    GatheredJob,
    Job,
    OptionError,
    Outcome,
    Queues,
    Status,
    StorageUnavailable,
)
from flask_queues.breakers import FRESH
from flask_queues.circuits import MOST, Circuit, dump, load
from flask_queues.record import JobError
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.values import Claim, Wanted
from flask_queues.testing.storage import FrozenClock
from flask_queues.transitions import Terms, completed, failed, given_back, put_off
from flask_queues.worker.report import event_of

#: One try more does no harm, and each comes at once.
TERMS = Terms(tries=100, timeout=30, backoff=lambda _: 0)
ERROR = json.dumps(["smtplib.SMTPException", "450 busy", ""])


class Mail(Job):
    type = "shop:mail"
    breaker = Breaker(failures=3, within=60, pause=120)

    def handle(self) -> None: ...


class Fetch(Job):
    type = "shop:fetch"
    breaker = Breaker(failures=2, pause=120, key=lambda payload: payload["host"])

    def handle(self, host: str) -> None: ...


class Digest(GatheredJob):
    type = "shop:digest"
    breaker = Breaker(failures=2, pause=120)

    def handle(self, payloads: list[dict[str, Any]]) -> None: ...


class Process:
    """A process that runs jobs of the application."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.queues = Queues(Flask("shop", instance_path=str(folder)))
        self.queues.register(Mail, Fetch, Digest)
        self.manager = self.queues.manager

    def claim(self) -> Claim | None:
        """The next job."""
        manager = self.manager
        wanted = Wanted(manager.queue_order(), manager.jobs.keys(), 60_000)
        return next(iter(manager.step(self.name, (), wanted).claims), None)

    def begin(self, claim: Claim) -> bool:
        """Whether a claimed job may run; where it may not, it is settled as the breaker says."""
        held = self.manager.breakers.admit(claim, TERMS.timeout)
        if held is not None:
            self.manager.step(self.name, [held])
        return held is None

    def end(self, claim: Claim, *, well: bool) -> None:
        """Settle a run."""
        settlement = completed(claim, None) if well else failed(claim, TERMS, ERROR)
        self.manager.breakers.learn(claim, settlement)
        self.manager.step(self.name, [settlement])

    def run(self, *, well: bool) -> str | None:
        """Run the next job; returns its id, None where there is none that may run."""
        claim = self.claim()
        if claim is None or not self.begin(claim):
            return None
        self.end(claim, well=well)
        return claim.id

    @property
    def state(self) -> str:
        """The state of the only breaker that has something to tell."""
        return next((one.state for one in self.manager.breakers.states()), "closed")


@pytest.fixture
def clock() -> Iterator[FrozenClock]:
    """The clock of the storage, and that by which processes believe what they have read."""
    clock = FrozenClock()
    patched = mock.patch.multiple(sqlite_engine, wall=clock.now, steady=clock.steady)
    with patched, mock.patch("flask_queues.breakers.time", mock.Mock(monotonic=lambda: clock.now() / 1000)):
        yield clock


@pytest.fixture
def one(tmp_path: Path, clock: FrozenClock) -> Iterator[Process]:
    process = Process(tmp_path, "one")
    with closing(process.manager.storage):
        yield process


@pytest.fixture
def other(tmp_path: Path, one: Process) -> Iterator[Process]:
    process = Process(tmp_path, "other")
    with closing(process.manager.storage):
        yield process


def opened(process: Process) -> None:
    """Fail until the breaker opens, with more jobs that wait."""
    process.queues.push_many([(Mail, None)] * 6)
    for _ in range(3):
        process.run(well=False)
    assert process.state == "open"


def test_failures_in_a_row_hold_the_type(one: Process, other: Process) -> None:
    """Of all processes together; other types go on, and what is held loses no try."""
    one.queues.push_many([(Mail, None)] * 6)
    assert one.run(well=False)
    assert other.run(well=False)
    assert one.state == "closed"
    assert one.run(well=False)
    (state,) = other.manager.breakers.states()
    assert (state.type, state.state, state.failures, state.error) == ("shop:mail", "open", 3, "SMTPException")
    assert state.until is not None
    assert state.since is not None
    assert (state.until - state.since).total_seconds() == 120
    assert other.claim() is None
    free = one.queues.push(Fetch, {"host": "a"})
    assert other.run(well=True) == free.id
    assert sum(job.attempts for job in one.queues.every(type="shop:mail")) == 3
    (pause,) = one.manager.pauses()
    assert (pause.type, pause.by, pause.until) == ("shop:mail", "", state.until)
    assert pause.reason == "Circuit breaker: 3 failures in a row, the last one SMTPException; then one job is tried."


def test_a_success_between_them_ends_the_row(one: Process, clock: FrozenClock) -> None:
    """Two, a success, two more."""
    one.queues.push_many([(Mail, None)] * 9)
    for well in (False, False, True, False, False):
        clock.advance(10)
        assert one.run(well=well)
    assert one.state == "closed"
    assert one.run(well=False)
    assert one.state == "open"


def test_a_success_of_a_process_that_fails_next_ends_the_row(one: Process, other: Process, clock: FrozenClock) -> None:
    """It was told nobody, since a success costs the storage nothing; the failure tells it."""
    one.queues.push_many([(Mail, None)] * 9)
    one.run(well=False)
    one.run(well=False)
    clock.advance(10)
    assert other.run(well=True)
    clock.advance(10)
    other.run(well=False)
    assert one.state == "closed"
    assert one.manager.breakers.states()[0].failures == 1


def test_failures_of_long_ago_do_not_count(one: Process, clock: FrozenClock) -> None:
    """Only those within the time."""
    one.queues.push_many([(Mail, None)] * 6)
    for _ in range(4):
        assert one.run(well=False)
        clock.advance(40_000)
    assert one.state == "closed"


def test_one_job_is_tried_and_its_success_lets_the_others_go(one: Process, other: Process, clock: FrozenClock) -> None:
    """Whoever else has claimed one by then gives it back, without a try, and gets no other one."""
    opened(one)
    clock.advance(119_999)
    one.manager.release_held()
    assert one.claim() is None
    clock.advance(1)
    one.manager.release_held()
    trial, late = one.claim(), other.claim()
    assert trial is not None
    assert late is not None
    assert one.begin(trial)
    assert not other.begin(late)
    assert (one.state, other.claim()) == ("trying", None)
    assert one.queues.find(late.id).history == ()
    one.end(trial, well=True)
    assert one.state == "closed"
    assert one.manager.pauses() == []
    assert len([None for _ in range(9) if other.run(well=True)]) == 5
    assert [job.attempts for job in one.queues.every()].count(2) <= 3
    assert {job.status for job in one.queues.every()} == {Status.COMPLETED}


def test_a_trial_that_fails_holds_them_for_as_long_again(one: Process, clock: FrozenClock) -> None:
    """One try in each pause."""
    opened(one)
    for n in range(4, 7):
        clock.advance(120_000)
        one.manager.release_held()
        assert one.run(well=False)
        assert one.claim() is None
        (state,) = one.manager.breakers.states()
        assert (state.state, state.failures) == ("open", n)
    assert sum(job.attempts for job in one.queues.every()) == 6


def test_a_trial_that_says_nothing_is_followed_by_another(one: Process, clock: FrozenClock) -> None:
    """As one that raises Retry, or whose worker stops."""
    opened(one)
    clock.advance(120_000)
    one.manager.release_held()
    trial = one.claim()
    assert trial is not None
    assert one.begin(trial)
    settlement = put_off(trial, 3600)
    one.manager.breakers.learn(trial, settlement)
    one.manager.step("one", [settlement])
    assert one.claim() is None
    clock.advance(1000)
    one.manager.release_held()
    second = one.claim()
    assert second is not None
    assert one.begin(second)
    assert [claim.id for claim in one.manager.rescuer.give_back("one")] == [second.id]
    clock.advance(1000)
    one.manager.release_held()
    assert one.run(well=True)
    assert one.state == "closed"


def test_a_trial_of_which_nobody_hears_is_given_up(one: Process, other: Process, clock: FrozenClock) -> None:
    """Its machine is gone: after its timeout another job is tried, and the first says nothing any more."""
    opened(one)
    clock.advance(120_000)
    one.manager.release_held()
    trial = one.claim()
    assert trial is not None
    assert one.begin(trial)
    clock.advance(120_000)
    other.manager.release_held()
    second = other.claim()
    assert second is not None
    assert other.begin(second)
    one.manager.breakers.learn(trial, failed(trial, TERMS, ERROR))
    assert one.manager.breakers.states()[0].trial == second.id
    other.end(second, well=True)
    assert one.state == "closed"


def test_a_job_that_began_before_says_nothing(one: Process, clock: FrozenClock) -> None:
    """Neither its success nor its failure: what it met was before the pause."""
    one.queues.push_many([(Mail, None)] * 9)
    early, earlier = one.claim(), one.claim()
    assert early is not None
    assert earlier is not None
    for _ in range(3):
        one.run(well=False)
    before = one.manager.breakers.states()
    clock.advance(1000)
    one.end(early, well=True)
    one.end(earlier, well=False)
    assert one.manager.breakers.states() == before


def test_a_killed_process_is_a_failure_and_a_vanished_machine_is_none(one: Process) -> None:
    """The keeper tells, for the process that cannot."""
    one.queues.push_many([(Mail, None)] * 9)
    died = JobError("flask_queues.errors.WorkerLost", "Killed.")
    for _ in range(2):
        assert one.claim()
        one.manager.rescuer.bury("one", Outcome.KILLED, died, None)
    claim = one.claim()
    assert claim is not None
    one.manager.rescuer.bury("one", Outcome.LOST, died, None)
    assert one.manager.breakers.states()[0].failures == 2
    assert one.claim()
    one.manager.rescuer.bury("one", Outcome.TIMED_OUT, died, None)
    assert (one.state, one.manager.breakers.states()[0].error) == ("open", "WorkerLost")


def test_each_job_that_ran_in_a_killed_process_is_a_failure(one: Process) -> None:
    """As in threads, of which nobody knows how far each one was."""
    one.queues.push_many([(Mail, None)] * 3)
    for _ in range(2):
        claim = one.claim()
        assert claim is not None
        assert one.begin(claim)
    one.manager.rescuer.bury("one", Outcome.KILLED, JobError("flask_queues.errors.WorkerLost", "Killed."), None)
    assert [state.failures for state in one.manager.breakers.states()] == [2]


def test_each_key_has_its_own(one: Process, clock: FrozenClock) -> None:
    """A host that is down does not hold the others; its jobs step aside and come back."""
    one.queues.push_many([(Fetch, {"host": "down"})] * 4, priority=1)
    one.queues.push_many([(Fetch, {"host": "up"})] * 2)
    assert one.run(well=False)
    assert one.run(well=False)
    assert [one.run(well=True) for _ in range(4)] == [None] * 4
    done = [one.run(well=True) for _ in range(2)]
    assert {one.queues.find(job or "").payload["host"] for job in done} == {"up"}
    assert (one.claim(), one.manager.pauses()) == (None, [])
    (state,) = one.manager.breakers.states()
    assert (state.key, state.state) == ("down", "open")
    assert one.queues.counts().statuses["scheduled"] == 4
    clock.advance(120_000)
    trial, late = one.claim(), one.claim()
    assert trial is not None
    assert late is not None
    assert one.begin(trial)
    assert not one.begin(late)
    one.end(trial, well=True)
    assert one.state == "closed"
    clock.advance(120_000)
    assert len([None for _ in range(9) if one.run(well=True)]) == 3
    assert sum(job.attempts for job in one.queues.every()) == 8


def test_the_worker_says_of_a_held_job_that_it_was_put_off(one: Process) -> None:
    """It has not run, so there is no attempt to tell of."""
    for _ in range(3):
        one.queues.push(Fetch, {"host": "down"})
    for _ in range(2):
        claim = one.claim()
        assert claim is not None
        one.end(claim, well=False)
    claim = one.claim()
    assert claim is not None
    held = one.manager.breakers.admit(claim, TERMS.timeout)
    assert held is not None
    assert event_of(held, lost=False) == "put off"
    assert event_of(failed(claim, TERMS, ERROR), lost=False) == "retry"


def test_a_key_that_cannot_be_told_is_the_type_s_own(one: Process) -> None:
    """The method's exception is logged, and the job runs."""
    with mock.patch.object(Fetch, "breaker", Breaker(failures=1, key=lambda payload: payload["none"])):
        process = Process(Path(one.manager.app.instance_path), "third")
    one.queues.push(Fetch, {"host": "a"})
    assert process.run(well=False)
    assert [(state.key, state.state) for state in process.manager.breakers.states()] == [("", "open")]
    process.manager.storage.close()


def test_of_too_many_keys_those_are_remembered_that_are_open_or_failed_last() -> None:
    """Whatever they are called."""
    many = {f"host {MOST - n:03}": Circuit(failures=(n,)) for n in range(MOST + 1)}
    is_open = Circuit(failures=(0,), since=0, until=1000, error="E")
    kept = load(dump({"an open one": is_open, **many}))
    assert kept["an open one"] == is_open
    assert set(many) - set(kept) == {name for name, one in many.items() if one.failures[0] < 2}


def test_a_person_who_resumes_the_type_closes_it(one: Process, other: Process, clock: FrozenClock) -> None:
    """At once and for everybody."""
    opened(one)
    assert other.claim() is None
    assert one.manager.resume(type="shop:mail") is True
    assert one.state == "closed"
    clock.advance(round(FRESH * 1000))
    assert other.run(well=True)
    assert one.manager.resume(type="shop:mail") is False


def test_a_person_s_pause_that_lasts_longer_stays(one: Process, clock: FrozenClock) -> None:
    """A breaker that opens or closes does not end what somebody else has said."""
    one.queues.push_many([(Mail, None)] * 4)
    claims = [one.claim() for _ in range(3)]
    one.manager.pause(type="shop:mail", reason="night", by="Ann")
    for claim in claims:
        assert claim is not None
        one.end(claim, well=False)
    assert (one.state, one.manager.pauses()[0].by) == ("open", "Ann")
    clock.advance(120_000)
    assert one.claim() is None
    record = one.queues.jobs_of(statuses=["pending"], limit=1).jobs[0]
    by_hand = one.manager.claim("one", record.id)
    one.manager.breakers.begin_trial(by_hand, 30)
    one.end(by_hand, well=True)
    assert (one.state, one.manager.pauses()[0].by) == ("closed", "Ann")


def test_a_queue_that_nobody_knew_is_held_too(one: Process) -> None:
    """A job in it is claimed once, given back, and the type is paused there."""
    opened(one)
    one.queues.push(Mail, queue="fresh")
    assert one.run(well=True) is None
    assert one.claim() is None
    assert {stop.queue for stop in one.manager.storage.stops()} >= {"fresh", "default"}


def test_the_keeper_ends_what_a_process_that_died_has_left(one: Process, other: Process, clock: FrozenClock) -> None:
    """It changed the sheet, and the pauses no more: after a trial that failed, and after one that went well."""
    opened(one)
    for well, state in ((False, "open"), (True, "closed")):
        clock.advance(120_000)
        one.manager.release_held()
        trial = one.claim()
        assert trial is not None
        assert one.manager.breakers.admit(trial, 600) is None
        with mock.patch.multiple(one.manager.breakers, _hold=mock.DEFAULT, _let_go=mock.DEFAULT):
            one.end(trial, well=well)
        assert (one.state, one.claim(), len(one.manager.pauses())) == (state, None, 1)
        other.manager.breakers.mend()
        left = [pause.until for pause in other.manager.pauses()]
        assert left == [breaker.until for breaker in other.manager.breakers.states()]
    assert other.run(well=True)


def test_what_nobody_can_ask_does_not_keep_jobs_from_running(one: Process) -> None:
    """While the storage is away for a moment, a job that is claimed runs, and its end is settled."""
    one.queues.push(Mail)
    claim = one.claim()
    assert claim is not None
    with mock.patch.object(one.manager.storage, "sheets", side_effect=StorageUnavailable("away")):
        assert one.manager.breakers.admit(claim, 30) is None
        one.manager.breakers.learn(claim, failed(claim, TERMS, ERROR))
    assert one.manager.breakers.states() == []
    one.manager.breakers.learn(claim, given_back(claim, begun=True))
    one.end(claim, well=True)


def test_a_type_that_works_asks_the_storage_once_in_a_while(one: Process, clock: FrozenClock) -> None:
    """Not for each job."""
    one.queues.push_many([(Mail, None)] * 20)
    with mock.patch.object(one.manager.storage, "sheets", wraps=one.manager.storage.sheets) as asked:
        for _ in range(20):
            assert one.run(well=True)
        assert asked.call_count == 1
        clock.advance(round(FRESH * 1000))
        one.queues.push(Mail)
        one.run(well=True)
        assert asked.call_count == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"failures": 0}, "breaker: failures: 0 is not a whole number"),
        ({"within": "x"}, "breaker: within: 'x' is not a number of seconds"),
        ({"pause": 0.5}, "breaker: pause: 0.5 s is out of range"),
        ({"key": "host"}, "breaker: key is not a function"),
    ],
)
def test_a_breaker_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    """Where it is written."""
    with pytest.raises(OptionError, match=said):
        Breaker(**options)


def test_something_else_is_no_breaker(one: Process) -> None:
    """The type is not registered with it."""
    with pytest.raises(ConfigError, match=r"shop:odd: breaker = 5 is not a Breaker"):
        one.queues.job("shop:odd", breaker=5)(lambda: None)


def test_the_terminal_shows_it(one: Process, clock: FrozenClock) -> None:
    """In a line for a person, and in the fields that the panel's JSON has."""
    run = one.manager.app.test_cli_runner().invoke
    opened(one)
    said = run(args=["queues", "status"]).output
    assert "Circuit breaker of shop:mail is open until " in said
    assert ": 3 failures in a row, the last one SMTPException." in said
    assert "is paused" not in said
    clock.advance(120_000)
    assert "shop:mail is trying the next job: 3 failures" in run(args=["queues", "status"]).output
    one.manager.release_held()
    trial = one.claim()
    assert trial is not None
    assert one.begin(trial)
    assert f"shop:mail is trying job {trial.id}: 3 failures" in run(args=["queues", "status"]).output
    (state,) = json.loads(run(args=["queues", "status", "--json"]).output)["breakers"]
    assert (state["type"], state["state"], state["failures"]) == ("shop:mail", "trying", 3)
    assert (state["trial"], state["error"]) == (trial.id, "SMTPException")
    assert run(args=["queues", "resume", "--type", "shop:mail"]).exit_code == 0
    assert one.state == "closed"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_killed_run_of_many_payloads_is_one_failure(one: Process, *, is_known: bool) -> None:
    """Whether or not the supervisor knows what the process ran, as where it had threads; the next one opens."""
    one.queues.push_many([(Digest, {"n": n}) for n in range(5)], delay=0)
    for state in ("closed", "open"):
        wanted = Wanted(["default"], ["shop:digest"], 60_000, 5, ["shop:digest"])
        claims = one.manager.step("child", (), wanted).claims
        assert len(claims) == 5
        assert one.begin(claims[0])
        mark = claims[0].token if is_known else None
        one.manager.rescuer.bury("child", Outcome.KILLED, JobError("Killed", "by a test"), mark)
        assert (one.state, one.manager.breakers.states()[0].failures) == (state, 1 if state == "closed" else 2)
