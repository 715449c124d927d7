"""Jobs that follow one that was pushed before anybody knew of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from flask_queues import (
    JobCancelled,
    JobNotFound,
    OptionError,
    PayloadError,
    Queues,
    ResultNotReady,
    Status,
)
from flask_queues.chains import followed
from flask_queues.handles import JobHandle
from flask_queues.record import Outcome
from flask_queues.storage.values import Claim, Settlement, Wanted
from flask_queues.transitions import dump_error


def make(folder: Path, **settings: Any) -> Queues:
    """An application's queues, kept in a folder."""
    app = Flask("shop", instance_path=str(folder))
    app.config.update(settings)
    queues = Queues(app)

    @queues.job("fetch")
    def fetch() -> int:
        return 7

    @queues.job("any")
    def anything(**payload: Any) -> None: ...

    return queues


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    return make(tmp_path)


def claimed(queues: Queues) -> Claim:
    """Claim the next job."""
    (claim,) = queues.manager.step("child", (), Wanted(["default"], ["fetch", "any"], 30_000)).claims
    return claim


def settle(queues: Queues, claim: Claim, status: Status = Status.COMPLETED, result: Any = 7) -> None:
    """Settle a job as a worker does, and let a keeper look."""
    error = dump_error("ValueError", "no") if status is Status.FAILED else None
    text = json.dumps(result) if status is Status.COMPLETED else None
    settlement = Settlement(claim.id, claim.token, status, Outcome.COMPLETED, True, error=error, result=text)
    assert queues.manager.step("child", [followed(claim, settlement)]).lost == []
    queues.manager.tend_followers(at_once=True)


def end(queues: Queues, status: Status = Status.COMPLETED) -> str:
    """Claim the next job and settle it; returns its id."""
    claim = claimed(queues)
    settle(queues, claim, status)
    return claim.id


def kept(queues: Queues) -> list[str]:
    """What is kept of jobs that follow others, beside the lists."""
    return [name for name in queues.manager.storage.sheet_names() if name.startswith("follower:")]


def stored(queues: Queues) -> int:
    """How many jobs there are."""
    return sum(queues.counts().statuses.values())


def test_a_job_follows_one_that_was_pushed_before(queues: Queues) -> None:
    """Once that has completed, with its result."""
    first = queues.push("fetch")
    second = first.then("any", {"a": 1}, result_as="file", tags=["late"])
    assert (second.status, stored(queues)) == (Status.SCHEDULED, 1)
    with pytest.raises(ResultNotReady):
        second.result()
    with pytest.raises(JobNotFound):
        second.record  # noqa: B018
    end(queues)
    assert second.record.payload == {"a": 1, "file": 7}
    assert (second.status, second.record.tags) == (Status.PENDING, ("late",))
    assert second.record.chain is not None
    assert (second.record.chain.at, second.record.chain.before) == (2, first.id)
    assert end(queues) == second.id
    assert second.result() == 7
    assert kept(queues) == []


def test_a_job_that_is_attached_while_the_other_runs_is_not_lost(queues: Queues) -> None:
    """Whatever the worker has read of it before."""
    first = queues.push("fetch")
    claim = claimed(queues)
    second = first.then("any")
    settle(queues, claim)
    assert second.status is Status.PENDING


def test_a_job_that_has_ended_is_followed_at_once(queues: Queues) -> None:
    """Nobody has to look."""
    first = queues.push("fetch")
    end(queues)
    second = first.then("any", result_as="file")
    assert second.record.payload == {"file": 7}
    other = first.then("any", on="failure")
    assert (other.status, kept(queues)) == (Status.CANCELLED, [])
    with pytest.raises(JobCancelled, match="has ended otherwise"):
        other.result()


@pytest.mark.parametrize(
    ("status", "ran"),
    [(Status.COMPLETED, "success"), (Status.FAILED, "failure"), (Status.CANCELLED, "end")],
)
def test_it_is_pushed_after_the_end_for_which_it_waits_alone(queues: Queues, status: Status, ran: str) -> None:
    """Each of several; on any end one comes always."""
    first = queues.push("fetch")
    waiting = {on: first.then("any", {"on": on}, on=on) for on in ("success", "failure", "end")}
    end(queues, status)
    assert {on for on, handle in waiting.items() if handle.status is Status.PENDING} == {ran, "end"}
    assert {on for on, handle in waiting.items() if handle.status is Status.CANCELLED} == (
        {"success", "failure"} - {ran}
    )


def test_several_follow_one_another_as_in_a_chain(queues: Queues) -> None:
    """One that does not fit is passed over; whoever comes after it is looked at."""
    first = queues.push("fetch")
    second = first.then("any", {"n": 2})
    third = second.then("any", {"n": 3}, on="failure")
    last = third.then("any", {"n": 4})
    end(queues, Status.FAILED)
    assert [one.status for one in (second, third, last)] == [Status.CANCELLED, Status.PENDING, Status.SCHEDULED]
    assert end(queues) == third.id
    assert last.status is Status.PENDING
    assert end(queues) == last.id
    assert last.then("any").status is Status.PENDING


def test_it_comes_when_the_job_before_was_retried(queues: Queues) -> None:
    """And what had come for the failure does not come again."""
    first = queues.push("fetch")
    second, mourner = first.then("any"), first.then("any", on="failure")
    end(queues, Status.FAILED)
    assert (second.status, mourner.status) == (Status.CANCELLED, Status.PENDING)
    queues.delete(mourner.id)
    queues.retry(first.id)
    assert second.status.value == "scheduled"
    queues.manager.followers._rarely = 0.0
    end(queues)
    assert second.status.value == "pending"
    assert (stored(queues), len(kept(queues))) == (2, 0)


def test_who_dies_in_between_loses_and_doubles_nothing(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the end was noted, and after the job was pushed."""
    second = queues.push("fetch").then("any")
    manager, storage = queues.manager, queues.manager.storage
    push = storage.push

    def died_before(*_: Any) -> Any:
        raise KeyboardInterrupt

    def died_after(*arguments: Any) -> Any:
        push(*arguments)
        raise KeyboardInterrupt

    claim = claimed(queues)
    for death in (died_before, died_after):
        with monkeypatch.context() as patch:
            patch.setattr(storage, "push", death)
            with pytest.raises(KeyboardInterrupt):
                settle(queues, claim) if death is died_before else manager.tend_followers(at_once=True)
    manager.tend_followers(at_once=True)
    assert (second.status, stored(queues), kept(queues)) == (Status.PENDING, 2, [])


def test_it_is_not_pushed_where_the_job_before_was_deleted(queues: Queues, caplog: pytest.LogCaptureFixture) -> None:
    """Which is said."""
    first = queues.push("fetch")
    second = first.then("any")
    queues.delete(first.id)
    queues.manager.tend_followers(at_once=True)
    assert "what follows it is not pushed" in caplog.text
    assert kept(queues) == []
    with pytest.raises(JobNotFound):
        second.status  # noqa: B018


def test_it_is_cancelled_before_and_after_it_was_pushed(queues: Queues) -> None:
    """With those that follow it, as long as it waits."""
    first = queues.push("fetch")
    second = first.then("any")
    third = second.then("any")
    assert third.cancel()
    assert second.cancel()
    assert (second.status, third.status) == (Status.CANCELLED, Status.CANCELLED)
    assert not second.cancel()
    fourth = first.then("any")
    end(queues)
    assert stored(queues) == 2
    assert fourth.cancel("enough")
    assert fourth.record.reason == "enough"


def test_each_keeper_looks_at_some_of_many(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn, so that none waits for ever."""
    monkeypatch.setattr("flask_queues.chains.followers.LOOKED_AT", 2)
    waiting = [queues.push("fetch").then("any") for _ in range(5)]
    claims = [claimed(queues) for _ in range(5)]
    for claim in claims:
        settle(queues, claim)
    assert {one.status for one in waiting} == {Status.PENDING}


Wrong = Callable[[JobHandle], Any]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda first: first.then("any", on="whenever"), OptionError, "none of success, failure, end"),
        (lambda first: first.then("any", unique=True), OptionError, "unique"),
        (lambda first: first.then("any", id=first.id), OptionError, "only a push of one job takes an id"),
        (lambda first: first.then("fetch", {"a": 1}), PayloadError, "no argument 'a'"),
        (lambda first: [one := first, *(one := one.then("any") for _ in range(11))], OptionError, "push a chain"),
    ],
)
def test_what_cannot_follow_is_refused(queues: Queues, wrong: Wrong, error: type[Exception], says: str) -> None:
    """Before anything is kept."""
    with pytest.raises(error, match=says):
        wrong(queues.push("fetch"))


def test_nothing_follows_what_is_not_there(tmp_path: Path) -> None:
    """Or what nobody may see once it has ended."""
    queues = make(tmp_path, QUEUES_RETENTION_COMPLETED=0)
    first = queues.push("fetch")
    with pytest.raises(OptionError, match="Push a chain instead"):
        first.then("any")
    assert first.then("any", on="failure").status is Status.SCHEDULED
    queues.delete(first.id)
    with pytest.raises(JobNotFound, match="that another could follow"):
        first.then("any", on="failure")


def test_what_waits_is_encrypted_but_for_the_lists(tmp_path: Path) -> None:
    """Whoever has another key cannot read it, and lets it wait."""
    queues = make(tmp_path, QUEUES_ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    second = queues.push("fetch").then("any", {"word": "mountain"})
    on_disk = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"mountain" not in on_disk
    stranger = make(tmp_path, QUEUES_ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    stranger.manager.tend_followers(at_once=True)
    end(queues)
    assert second.record.payload == {"word": "mountain"}


def test_a_drain_runs_what_follows(queues: Queues) -> None:
    """In a fake, too."""
    with queues.fake() as fake:
        last = queues.push("fetch").then("fetch").then("any", result_as="file")
        assert [run.type for run in fake.drain()] == ["fetch", "fetch", "any"]
        assert last.record.payload == {"file": 7}
