"""A job gets another payload: checked as at the push, and nothing else of it is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import (
    JobNotFound,
    NotAllowed,
    PayloadChanged,
    PayloadError,
    Queues,
    Status,
    TransitionError,
    UnknownJobType,
)
from flask_queues.chains import followed
from flask_queues.ids import new_id
from flask_queues.record import Outcome
from flask_queues.storage.values import Claim, NewJob, Settlement, Wanted


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("refund", tags=["money"], authorize=lambda _user, payload: payload["amount"] < 100)
    def refund(amount: int, note: str = "") -> None: ...

    @queues.job("mail", unique=True, concurrency=1)
    def mail(to: str) -> None: ...

    return queues


def claim(queues: Queues) -> Claim:
    wanted = Wanted(queues.manager.queue_order(), queues.jobs.keys(), 30_000)
    (one,) = queues.manager.step("child", (), wanted).claims
    return one


def end(queues: Queues, status: Status) -> str:
    """Claim the next job and settle it, as a worker does; returns its id."""
    one = claim(queues)
    outcome = Outcome.COMPLETED if status is Status.COMPLETED else Outcome.FAILED
    settled = Settlement(one.id, one.token, status, outcome, counted=True)
    assert queues.manager.step("child", [followed(one, settled)]).lost == []
    return one.id


def test_the_next_run_begins_with_the_new_payload(queues: Queues) -> None:
    """Tags, terms and history stay, and who asks gets the job as it was."""
    job = queues.push("refund", {"amount": 5}, tries=7, priority=3)
    end(queues, Status.FAILED)
    history = job.record.history
    assert queues.change_payload(job.id, {"amount": 6, "note": "twice"}).payload == {"amount": 5}

    record = job.record
    assert (record.status, record.payload, record.history) == (Status.FAILED, {"amount": 6, "note": "twice"}, history)
    assert (record.tries, record.priority, record.tags) == (7, 3, ("money",))
    queues.retry(job.id)
    assert json.loads(claim(queues).payload) == {"amount": 6, "note": "twice"}


@pytest.mark.parametrize(
    "payload", [{"amount": "much"}, {}, {"amount": 5, "sum": 1}, [5], None, {"amount": float("nan")}]
)
def test_a_payload_that_does_not_fit_is_refused(queues: Queues, payload: Any) -> None:
    """As it would be at the push; the job stays as it was."""
    job = queues.push("refund", {"amount": 5})
    with pytest.raises(PayloadError):
        queues.change_payload(job.id, payload)
    assert job.record.payload == {"amount": 5}


def test_whoever_may_not_push_it_may_not_change_it_to_that(queues: Queues) -> None:
    """`authorize` is asked for the new payload, in a request; what the application does by itself is not asked for."""
    job = queues.push("refund", {"amount": 5})
    with queues.manager.app.test_request_context():
        with pytest.raises(NotAllowed):
            queues.change_payload(job.id, {"amount": 500})
        queues.change_payload(job.id, {"amount": 50})
    queues.change_payload(job.id, {"amount": 500})
    assert job.record.payload == {"amount": 500}


def test_what_runs_or_has_completed_keeps_what_it_ran_with(queues: Queues) -> None:
    """Else its page would tell of something that never was."""
    job = queues.push("refund", {"amount": 5})
    one = claim(queues)
    with pytest.raises(TransitionError, match="running"):
        queues.change_payload(job.id, {"amount": 6})
    queues.manager.step("child", [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED, counted=True)])
    with pytest.raises(TransitionError, match="completed"):
        queues.change_payload(job.id, {"amount": 6})
    assert job.record.payload == {"amount": 5}
    again = queues.manager.push_again(job.id, {"amount": 6})
    assert (again.record.payload, again.record.tags) == ({"amount": 6}, ("money",))


def test_a_job_that_is_pushed_again_has_the_same_terms(queues: Queues) -> None:
    """Whatever its push had said, and not what its type says."""
    said: dict[str, Any] = {"queue": "slow", "priority": 7, "tags": ["a"], "tries": 5, "timeout": 77, "backoff": [3, 9]}
    job = queues.push("refund", {"amount": 5}, **said)
    job.cancel()
    old, again = job.record, queues.manager.push_again(job.id).record
    kept = ("type", "queue", "payload", "priority", "tags", "tries", "timeout", "backoff")
    assert [getattr(again, name) for name in kept] == [getattr(old, name) for name in kept]
    assert (again.queue, again.priority, again.tries, again.timeout) == ("slow", 7, 5, 77)
    assert (again.status, old.status) == (Status.PENDING, Status.CANCELLED)


def test_of_two_who_have_seen_the_same_one_is_refused(queues: Queues) -> None:
    """Nobody overwrites what they have not seen."""
    job = queues.push("refund", {"amount": 5})
    change = queues.manager.change_payload
    change(job.id, {"amount": 6}, seen={"amount": 5})
    with pytest.raises(PayloadChanged):
        change(job.id, {"amount": 7}, seen={"amount": 5})
    assert job.record.payload == {"amount": 6}


def test_a_job_keeps_its_unique_key_and_its_limits(queues: Queues) -> None:
    """They are of the push, whatever the payload is now."""
    job = queues.push("mail", {"to": "anna"})
    queues.change_payload(job.id, {"to": "bert"})
    assert queues.push("mail", {"to": "anna"}).id == job.id
    assert queues.push("mail", {"to": "bert"}).id != job.id
    assert claim(queues).id == job.id
    assert queues.manager.step("child", (), Wanted(["default"], ["mail"], 30_000)).claims == []


def test_a_link_of_a_chain_and_a_member_of_a_batch_stay_what_they_are(queues: Queues) -> None:
    """What comes after them still comes."""
    chain = queues.chain([("refund", {"amount": 1})]).then("refund", {"amount": 2}).push()
    queues.change_payload(chain.id, {"amount": 10})
    assert end(queues, Status.COMPLETED) == chain.id
    assert chain.current.payload == {"amount": 2}
    assert end(queues, Status.COMPLETED) == chain.current.id

    batch = queues.batch([("refund", {"amount": 3})]).then("refund", {"amount": 4}).push()
    member = next(queues.batches.jobs(batch.id))
    queues.change_payload(member.id, {"amount": 30})
    changed = queues.find(member.id)
    assert (changed.batch, changed.payload) == (batch.id, {"amount": 30})
    end(queues, Status.COMPLETED)
    queues.manager.tend_batches(at_once=True)
    assert batch.record.fired
    assert json.loads(claim(queues).payload) == {"amount": 4}


def test_a_job_that_cannot_be_changed_is_told(queues: Queues) -> None:
    """One that is gone, and one of a type that is not known here."""
    with pytest.raises(JobNotFound):
        queues.change_payload(new_id("default:0"), {})
    strange = NewJob(new_id("default:0"), "default", "strange", "{}")
    queues.manager.storage.push([strange])
    with pytest.raises(UnknownJobType):
        queues.change_payload(strange.id, {})


def test_an_encrypted_payload_is_changed_as_any_other(make_site: Callable[..., Any]) -> None:
    """A worker runs with it."""
    site = make_site(QUEUES_ENCRYPTION_KEYS=["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="])
    job = site.push("add", {"a": 3}, tries=1)
    site.manager.change_payload(job, {"a": 4, "b": 5})
    assert site.start("--stop-when-empty").wait() == 0
    assert site.job(job).payload == {"a": 4, "b": 5}
    assert site.status(job) is Status.COMPLETED
