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
    StorageError,
    current_job,
)
from flask_queues.chains import followed, given_back
from flask_queues.handles import JobHandle
from flask_queues.record import JobError, Outcome
from flask_queues.signals import job_pushed
from flask_queues.storage.values import Claim, Settlement, Wanted
from flask_queues.testing.storage.moving import move_all
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
    """Settle a job as a worker does."""
    error = dump_error("ValueError", "no") if status is Status.FAILED else None
    text = json.dumps(result) if status is Status.COMPLETED else None
    settlement = Settlement(claim.id, claim.token, status, Outcome.COMPLETED, True, error=error, result=text)
    assert len(queues.manager.settle("child", [followed(claim, settlement)])) == 1


def end(queues: Queues, status: Status = Status.COMPLETED) -> str:
    """Claim the next job and settle it; returns its id."""
    claim = claimed(queues)
    settle(queues, claim, status)
    return claim.id


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


def test_a_job_that_is_attached_while_the_other_runs_is_not_lost(queues: Queues) -> None:
    """Whatever the worker has read of it before; so with one that goes back, and one that waits its turn."""
    first = queues.push("fetch")
    claim = claimed(queues)
    second = first.then("any", result_as="file")
    queues.manager.settle("child", [given_back(claim, begun=True)])
    claim = claimed(queues)
    third, other = second.then("any"), first.then("any", on="failure")
    settle(queues, claim)
    assert second.record.payload == {"file": 7}
    assert (third.status, other.status) == (Status.SCHEDULED, Status.CANCELLED)
    assert end(queues) == second.id
    assert third.status is Status.PENDING


def test_a_job_that_has_ended_is_followed_at_once(queues: Queues) -> None:
    """Nobody has to look."""
    first = queues.push("fetch")
    end(queues)
    second = first.then("any", result_as="file")
    assert second.record.payload == {"file": 7}
    other = first.then("any", on="failure")
    assert other.status is Status.CANCELLED
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
    end(queues)
    assert second.status.value == "pending"
    assert stored(queues) == 2


def test_who_takes_a_line_along_is_followed_by_more(queues: Queues) -> None:
    """The job that waits is in the options of the one that was pushed by then."""
    first = queues.push("fetch")
    third = first.then("any", {"n": 2}).then("any", {"n": 3})
    end(queues)
    fourth = third.then("any", {"n": 4})
    late = fourth.then("any", {"n": 5})
    assert late.cancel()
    assert [end(queues) for _ in range(3)][1:] == [third.id, fourth.id]
    assert fourth.record.chain is not None
    assert (fourth.record.chain.at, fourth.record.chain.of) == (4, 4)
    assert stored(queues) == 4
    last = fourth.then("any")
    assert (last.status, late.status) == (Status.PENDING, Status.CANCELLED)


def test_one_that_is_passed_over_may_be_followed_by_one_that_fits(queues: Queues) -> None:
    """At once."""
    first = queues.push("fetch")
    second = first.then("any")
    end(queues, Status.FAILED)
    third = second.then("any", on="end")
    assert (second.status, third.status) == (Status.CANCELLED, Status.PENDING)


def test_what_follows_a_job_that_is_cancelled_before_it_ran_comes_with_that(queues: Queues) -> None:
    """Whoever cancels it, and whatever he knew of it."""
    alone, member = queues.push("fetch"), queues.batch([("fetch", {})])
    of_batch = member.push()
    (record,) = of_batch.jobs()
    ends = [handle.then("any", on="end") for handle in (alone, queues.handle(record.id))]
    never = alone.then("any")
    assert alone.cancel("enough")
    of_batch.cancel("too much")
    assert {one.status for one in ends} == {Status.PENDING}
    assert never.status is Status.CANCELLED
    assert (alone.record.status, alone.record.reason) == (Status.CANCELLED, "enough")
    assert queues.find(record.id).reason == "too much"


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_a_job_that_ends_by_itself_though_it_was_to_be_cancelled_is_followed_by_what_fits(
    queues: Queues, status: Status
) -> None:
    """It has ended so; in a chain, it would be followed by what comes after any end."""
    first = queues.push("fetch")
    claim = claimed(queues)
    waiting = {on: first.then("any", on=on) for on in ("success", "failure")}
    first.cancel()
    settle(queues, claim, status)
    fits = "success" if status is Status.COMPLETED else "failure"
    assert [on for on, one in waiting.items() if one.status is Status.PENDING] == [fits]


def test_nothing_follows_a_job_in_whose_place_another_came(queues: Queues) -> None:
    """It is gone as if it had been deleted; what would have followed says so at once."""
    first = queues.push("fetch", unique="k", replace=True, delay=60)
    second = first.then("any", on="end")
    queues.push("fetch", unique="k", replace=True)
    assert (first.status, second.status) == (Status.CANCELLED, Status.CANCELLED)
    with pytest.raises(JobCancelled, match=f"{first.id}, has ended otherwise: it is cancelled \\(Replaced by job "):
        second.result()


def test_of_pushes_that_take_each_others_place_only_what_follows_the_last_runs(queues: Queues) -> None:
    """Each brings its own along: however often somebody pushes, one job runs and one follows it."""
    with queues.fake() as fake:
        handles = [queues.push("fetch", unique="k", debounce=30).then("any", {"n": n}) for n in range(3)]
        fake.drain(within=31)
        assert [handle.status for handle in handles] == [Status.CANCELLED, Status.CANCELLED, Status.COMPLETED]


def test_it_is_told_where_one_looks_that_nothing_follows_any_more(queues: Queues) -> None:
    """At the terminal and in JSON."""
    app = queues.manager.app
    with app.app_context():
        first = queues.push("fetch", unique="k", replace=True, delay=60)
        second = first.then("any")
        shown = ["queues", "show", first.id]
        assert f"any {second.id} (on success)\n" in app.test_cli_runner().invoke(args=shown).output
        queues.push("fetch", unique="k", replace=True)
        assert "not any more, since another job took the place" in app.test_cli_runner().invoke(args=shown).output
        (follower,) = json.loads(app.test_cli_runner().invoke(args=[*shown, "--json"]).output)["followers"]
        assert (follower["id"], follower["dropped"]) == (second.id, True)


def test_a_job_whose_worker_has_died_is_followed(queues: Queues) -> None:
    """Whoever settles for it knows what was attached since."""
    first = queues.push("fetch", tries=1)
    claim = claimed(queues)
    second = first.then("any", on="end")
    first.cancel("enough")
    error = JobError("flask_queues.errors.WorkerLost", "gone")
    assert [one.id for one in queues.manager.rescuer.bury(claim.worker, Outcome.KILLED, error, claim.token)] == [
        first.id
    ]
    assert (first.status, second.status) == (Status.CANCELLED, Status.PENDING)


def test_what_was_attached_while_a_rescuer_looked_is_not_lost(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its look at the claims and its settlement."""
    first = queues.push("fetch")
    claim = claimed(queues)
    storage, follows = queues.manager.storage, []
    claims_of = storage.claims_of

    def look(worker: str) -> list[Claim]:
        found = claims_of(worker)
        follows.append(first.then("any", on="end"))
        return found

    first.cancel("enough")
    monkeypatch.setattr(storage, "claims_of", look)
    error = JobError("flask_queues.errors.WorkerLost", "gone")
    assert queues.manager.rescuer.bury(claim.worker, Outcome.KILLED, error, claim.token) != []
    assert [one.status for one in follows] == [Status.PENDING]


def test_a_job_deep_in_a_chain_is_followed_too(queues: Queues) -> None:
    """Beside its next link."""
    chain = queues.chain(["fetch", "any"]).push()
    beside = queues.handle(chain.id).then("any", {"beside": 1})
    end(queues)
    assert (beside.status, stored(queues)) == (Status.PENDING, 3)
    assert chain.current.id != beside.id
    assert beside.record.chain is not None


def test_it_is_not_pushed_where_the_job_before_was_deleted(queues: Queues) -> None:
    """As with a link of a chain."""
    first = queues.push("fetch")
    second = first.then("any")
    queues.delete(first.id)
    with pytest.raises(JobNotFound):
        second.status  # noqa: B018


def test_it_is_cancelled_before_and_after_it_was_pushed(queues: Queues) -> None:
    """With those that follow it, as long as it waits; after a retry of the job before it does not come either."""
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


Wrong = Callable[[JobHandle], Any]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda first: first.then("any", on="whenever"), OptionError, "none of success, failure, end"),
        (lambda first: first.then("any", unique=True), OptionError, "unique"),
        (lambda first: first.then("any", id=first.id), OptionError, "only a push of one job takes an id"),
        (lambda first: first.then("fetch", {"a": 1}), PayloadError, "no argument 'a'"),
        (lambda first: [one := first, *(one := one.then("any") for _ in range(11))], OptionError, "push a chain"),
        (lambda first: [first.then("any", {"a": "x" * 90_000}) for _ in range(12)], OptionError, "1,048,576 bytes"),
    ],
)
def test_what_cannot_follow_is_refused(queues: Queues, wrong: Wrong, error: type[Exception], says: str) -> None:
    """Before anything is kept."""
    with pytest.raises(error, match=says):
        wrong(queues.push("fetch"))


def test_what_is_not_kept_is_followed(tmp_path: Path) -> None:
    """By what exists from the step on that ended it."""
    queues = make(tmp_path, QUEUES_RETENTION_COMPLETED=0)
    first = queues.push("fetch")
    second = first.then("any")
    end(queues)
    while queues.manager.retain():
        pass
    assert second.status is Status.PENDING
    with pytest.raises(JobNotFound):
        first.record  # noqa: B018


def test_nothing_follows_what_is_not_there(queues: Queues) -> None:
    """It was deleted."""
    first = queues.push("fetch")
    queues.delete(first.id)
    with pytest.raises(JobNotFound, match="that another could follow"):
        first.then("any", on="failure")


def test_what_waits_is_encrypted(tmp_path: Path) -> None:
    """Whoever has another key cannot read it, and puts nothing in its place; it gets a new key with all else."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    queues = make(tmp_path, QUEUES_ENCRYPTION_KEYS=[old])
    first = queues.push("fetch")
    second = first.then("any", {"word": "mountain"})
    on_disk = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"mountain" not in on_disk
    stranger = make(tmp_path, QUEUES_ENCRYPTION_KEYS=[new])
    with pytest.raises(StorageError, match="does not hold"):
        stranger.handle(first.id).then("any")
    list(make(tmp_path, QUEUES_ENCRYPTION_KEYS=[new, old]).manager.reencrypt())
    third = stranger.handle(first.id).then("any", {"word": "valley"})
    end(stranger)
    assert [stranger.find(one.id).payload["word"] for one in (second, third)] == ["mountain", "valley"]


def test_what_follows_moves_with_the_job(queues: Queues, tmp_path: Path) -> None:
    """To another storage, where it is pushed as it would have been here."""
    elsewhere = make(tmp_path / "elsewhere")
    first, other = queues.push("fetch"), queues.push("fetch")
    second, mourner = first.then("any", result_as="file"), other.then("any", on="end")
    move_all(queues.manager.storage, elsewhere.manager.storage)
    assert end(elsewhere) == first.id
    assert elsewhere.find(second.id).payload == {"file": 7}
    elsewhere.cancel(other.id)
    assert elsewhere.find(mourner.id).status is Status.PENDING


def test_a_signal_tells_of_what_was_attached_while_the_job_ran(queues: Queues) -> None:
    """Of each once."""
    with queues.fake() as fake:

        @queues.job("attaching")
        def attaching() -> None:
            this = queues.handle(current_job.job.id)
            this.then("fetch")
            this.then("any", on="failure")

        pushed: list[str] = []

        def note(_: Any, type: str, **__: Any) -> None:  # noqa: A002
            pushed.append(type)

        with job_pushed.connected_to(note):
            queues.push("attaching")
            assert [run.type for run in fake.drain()] == ["attaching", "fetch"]
        assert pushed == ["attaching", "fetch"]


def test_a_drain_runs_what_follows(queues: Queues) -> None:
    """In a fake, too."""
    with queues.fake() as fake:
        last = queues.push("fetch").then("fetch").then("any", result_as="file")
        assert [run.type for run in fake.drain()] == ["fetch", "fetch", "any"]
        assert last.record.payload == {"file": 7}
