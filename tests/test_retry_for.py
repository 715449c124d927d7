"""A job that is retried for a time: no failure ends it before, whatever its tries; a kill may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from flask_queues import ConfigError, OptionError, Outcome, Queues, Status, transitions
from flask_queues.job import Job
from flask_queues.record import JobRecord
from flask_queues.storage.values import Claim
from flask_queues.testing import Fake
from flask_queues.transitions import Terms
from flask_queues.worker.report import Report

#: A window of ten seconds that is open when the claim below begins, and one that is not.
OPEN = Terms(tries=3, timeout=60, backoff=lambda attempt: attempt * 10, until=10_000)
OVER = OPEN._replace(until=999)
FAILED = transitions.describe_exception(ValueError("no"))
KILLED = transitions.dump_error("flask_queues.errors.WorkerLost", "killed by SIGKILL")


def claim(*, attempts: int = 0, runs: int = 0, error: str | None = None) -> Claim:
    return Claim("id", "q", "t", "{}", None, 0, None, attempts, runs, error, None, 5, 1000, "w", False)


@pytest.fixture
def queues(tmp_path: Any) -> Queues:
    app = Flask("shop", instance_path=str(tmp_path))
    queues = Queues(app)

    @queues.job("shop:bank", tries=3, backoff=600, jitter=0, retry_for=3600)
    def bank() -> None:
        raise OSError("the bank does not answer")

    @queues.job("shop:once", tries=1, backoff=60, jitter=0)
    def once() -> None:
        raise OSError("no")

    @queues.job("shop:strict", backoff=60, retry_for=3600, fail_on=OSError)
    def strict() -> None:
        raise OSError("no")

    return queues


@pytest.fixture
def fake(queues: Queues) -> Iterator[Fake]:
    with queues.fake(raises=False) as fake:
        yield fake


def minutes(record: JobRecord, start: Any) -> list[int]:
    """When its runs began, in minutes after a moment."""
    return [round((attempt.started - start).total_seconds() / 60) for attempt in record.history]


def test_it_is_tried_until_its_time_is_over_and_fails_then(queues: Queues, fake: Fake) -> None:
    """Three tries were used up after 20 minutes; the first failure of a run that began later is the last."""
    handle = queues.push("shop:bank")
    fake.drain(within=timedelta(days=1))

    record = handle.record
    assert record.status is Status.FAILED
    assert minutes(record, record.created) == [0, 10, 20, 30, 40, 50, 60]
    assert record.attempts == 3


def test_a_push_says_it_over_its_job_type(queues: Queues, fake: Fake) -> None:
    """In seconds or as a timedelta, also where the type says nothing of it."""
    short = queues.push("shop:bank", retry_for=timedelta(minutes=5))
    longer = queues.push("shop:once", retry_for=150)
    fake.drain(within=timedelta(days=1))

    assert (short.record.retry_for, longer.record.retry_for) == (300, 150)
    assert minutes(short.record, short.record.created) == [0, 10, 20]
    assert minutes(longer.record, longer.record.created) == [0, 1, 2, 3]


@pytest.mark.parametrize("later", ["delay", "at", "link"])
def test_the_time_begins_when_it_was_first_due(queues: Queues, fake: Fake, later: str) -> None:
    """Not when it was pushed: a job for tonight is not given up this afternoon."""
    start = fake.clock.now
    if later == "link":
        queues.chain().then("shop:once", tries=1).then("shop:bank", on="end", delay=7200).push()
    else:
        when = {"delay": 7200} if later == "delay" else {"at": start + timedelta(hours=2)}
        queues.push("shop:bank", **when)
    fake.drain(within=timedelta(days=1))

    [job] = [job for job in fake.jobs if job.type == "shop:bank"]
    assert minutes(job, start) == [120, 130, 140, 150, 160, 170, 180]
    assert queues.manager.retry_until_of(job) == start + timedelta(hours=3)


def test_a_retry_by_hand_gets_all_its_tries(queues: Queues, fake: Fake) -> None:
    """Though its time was over long before: it does not fail at once."""
    handle = queues.push("shop:bank")
    fake.drain(within=timedelta(days=1))
    runs = len(handle.record.history)

    queues.manager.retry(handle.id)
    fake.drain()
    assert handle.record.status is Status.SCHEDULED
    fake.drain(within=timedelta(days=1))

    assert handle.status is Status.FAILED
    assert len(handle.record.history) == runs + 3


def test_some_errors_are_still_no_reason_to_try_again(queues: Queues, fake: Fake) -> None:
    """`fail_on` ends it at once."""
    handle = queues.push("shop:strict", tries=5)
    fake.drain(within=timedelta(days=1))

    assert handle.status is Status.FAILED
    assert len(handle.record.history) == 1


def test_what_is_pushed_again_has_it_too(queues: Queues, fake: Fake) -> None:
    """Among its other terms, and with a time of its own."""
    old = queues.push("shop:once", retry_for=150)
    fake.drain(within=timedelta(days=1))
    fake.forget()

    again = queues.manager.push_again(old.id)
    fake.drain(within=timedelta(days=1))

    assert len(again.record.history) == 4


def test_programs_read_until_when(queues: Queues, fake: Fake) -> None:
    """The job as JSON tells it, null for one that was not given any."""
    from flask_queues.shapes import job_fields

    bank, once = queues.push("shop:bank").record, queues.push("shop:once").record

    with queues.manager.app.app_context():
        assert job_fields(queues.manager, once)["retry_until"] is None
        assert job_fields(queues.manager, bank)["retry_until"] == (
            (bank.created + timedelta(hours=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )


def test_nothing_else_is_kept_of_a_delayed_job(queues: Queues, fake: Fake) -> None:
    """Its first due time only matters to one that is retried for a time."""
    from flask_queues.options import Options
    from flask_queues.pushing.intake import new_job

    manager = queues.manager
    plain = new_job(manager.jobs, manager.config, "shop:once", None, Options.of(delay=60))
    timed = new_job(manager.jobs, manager.config, "shop:once", None, Options.of(delay=60, retry_for=5))

    assert plain.options is None
    assert json.loads(timed.options or "") == {"retry_for": 5.0, "first_due": [60_000, 0]}


def test_it_is_checked() -> None:
    """At the push and where a job type is registered."""
    from flask_queues.options import Options

    with pytest.raises(OptionError, match="retry_for: 0 s is out of range"):
        Options.of(retry_for=0)
    bad = type("Bad", (Job,), {"type": "bad", "retry_for": "1 h", "handle": lambda self: None})
    with pytest.raises(ConfigError, match="retry_for: '1 h' is not a number of seconds"):
        Queues().register(bad)


# What becomes of one run


def test_within_the_time_failures_leave_the_last_try() -> None:
    """So nothing has to be given back by a retry, and the usual end comes when the time is over."""
    ends = [transitions.failed(claim(attempts=min(n, 2), runs=n), OPEN, FAILED) for n in range(5)]

    assert {end.status for end in ends} == {Status.SCHEDULED}
    assert [end.counted for end in ends] == [True, True, False, False, False]
    assert [end.delay for end in ends] == [10_000, 20_000, 30_000, 40_000, 50_000]
    assert transitions.failed(claim(attempts=2, runs=9), OVER, FAILED).status is Status.FAILED
    assert transitions.failed(claim(attempts=1, runs=9), OVER, FAILED).status is Status.SCHEDULED


def test_the_worker_says_until_when(capfd: pytest.CaptureFixture[str]) -> None:
    """So that "attempt 3 of 3" is not taken for the last."""
    held, done = claim(attempts=2, runs=7), transitions.failed(claim(attempts=2, runs=7), OPEN, FAILED)
    for json_lines in (False, True):
        report = Report(json_lines=json_lines, colour=False)
        report.settled(held, OPEN, done, 0.5, lost=False)
        report.flush()
    line, told = capfd.readouterr().out.splitlines()

    assert "attempt 3 of 3  or more, until 1970-01-01T00:00:10.000Z  again in 1 min 20 s" in line
    assert json.loads(told)["retry_until"] == "1970-01-01T00:00:10.000Z"


@pytest.mark.parametrize("outcome", [Outcome.KILLED, Outcome.LOST, Outcome.TIMED_OUT])
def test_what_kills_its_processes_stops_all_the_same(outcome: Outcome) -> None:
    """Each death costs a try, and the last leaves it for its `failed`."""
    first = transitions.died(claim(), OPEN, KILLED, outcome, 5)
    last = transitions.died(claim(attempts=2, runs=2, error=KILLED), OPEN, KILLED, outcome, 5)

    assert first.counted
    assert (last.status, last.counted) == (Status.PENDING, True)
    assert transitions.is_last_words(claim(attempts=3), OPEN)


@pytest.mark.parametrize(
    ("outcome", "status"), [(Outcome.KILLED, Status.PENDING), (Outcome.TIMED_OUT, Status.SCHEDULED)]
)
def test_one_death_after_failures_of_its_own_does_not_end_it(outcome: Outcome, status: Status) -> None:
    """A deploy that kills a worker must not end what is to be tried for a day; a second death in a row does."""
    held = claim(attempts=2, runs=20, error=FAILED)

    spared = transitions.died(held, OPEN, KILLED, outcome, 5)

    assert (spared.status, spared.counted, spared.alone) == (status, False, True)
    assert transitions.died(held, OVER, KILLED, outcome, 5).counted
    assert transitions.died(held._replace(error=KILLED), OPEN, KILLED, outcome, 5).counted
