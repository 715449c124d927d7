"""Chains as an application pushes them, and what becomes of their links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import (
    JobCancelled,
    JobNotFound,
    OptionError,
    PayloadError,
    Queues,
    ResultNotReady,
    Status,
    TransitionError,
)
from flask_queues.chains import followed
from flask_queues.handles import ChainHandle
from flask_queues.manager import Manager
from flask_queues.record import Outcome
from flask_queues.storage.values import Settlement, Wanted
from flask_queues.transitions import dump_error


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("fetch", queue="web")
    def fetch(url: str = "x") -> None: ...

    @queues.job("resize", tags=["images"])
    def resize(image: dict[str, int], width: int = 800) -> None: ...

    @queues.job("mail")
    def mail(text: str = "") -> None: ...

    @queues.job("any")
    def anything(**payload: Any) -> None: ...

    return queues


def end(manager: Manager, status: Status = Status.COMPLETED, result: Any = None) -> str:
    """Claim the next job and settle it, as a worker does; returns its id."""
    wanted = Wanted(manager.queue_order(), manager.jobs.keys(), 30_000)
    (claim,) = manager.step("child", (), wanted).claims
    error = dump_error("ValueError", "no") if status is Status.FAILED else None
    text = json.dumps(result) if result is not None else None
    settlement = Settlement(claim.id, claim.token, status, Outcome.COMPLETED, counted=True, error=error, result=text)
    assert manager.step("child", manager.read_out([followed(claim, settlement)])).lost == []
    return claim.id


def waiting(queues: Queues) -> list[str]:
    """The types of the jobs that wait."""
    return [job.type for job in queues.jobs_of(statuses=["pending", "scheduled"]).jobs]


def test_each_link_is_pushed_when_the_one_before_has_completed(queues: Queues) -> None:
    """Nothing but the first exists before."""
    chain = queues.chain([("fetch", {"url": "a"}), "mail"]).then("mail", {"text": "done"}).push()
    assert waiting(queues) == ["fetch"]
    assert chain.current.chain is not None
    assert (chain.current.id, chain.current.chain.at, chain.current.chain.of) == (chain.id, 1, 3)
    end(queues.manager)
    assert [job.payload for job in chain.jobs] == [{"url": "a"}, {}]
    end(queues.manager)
    end(queues.manager)
    assert [(job.status, job.payload) for job in chain.jobs][1:] == [
        (Status.COMPLETED, {}),
        (Status.COMPLETED, {"text": "done"}),
    ]
    assert chain.status is Status.COMPLETED
    assert chain.current.chain.after(Status.COMPLETED) is None
    assert waiting(queues) == []


def test_a_result_is_handed_on(queues: Queues) -> None:
    """Under the name that the link gives it; null where the job before has not completed."""
    chain = queues.chain(["fetch"]).then("resize", {"width": 5}, result_as="image").push()
    end(queues.manager, result={"bytes": 7})
    assert chain.current.payload == {"width": 5, "image": {"bytes": 7}}
    chain = queues.chain(["fetch"]).then("any", result_as="found", on="end").push()
    end(queues.manager)  # the resize of the other chain, or this fetch: in either order
    end(queues.manager, Status.FAILED)
    assert [job.payload for job in chain.jobs[1:]] == [{"found": None}]


@pytest.mark.parametrize(
    ("status", "ran"),
    [
        (Status.COMPLETED, ["fetch", "resize", "any"]),
        (Status.FAILED, ["fetch", "mail", "any"]),
        (Status.CANCELLED, ["fetch", "any"]),
    ],
)
def test_a_link_that_does_not_fit_is_passed_over(queues: Queues, status: Status, ran: list[str]) -> None:
    """On success, on failure, on any end: the next that fits comes next."""
    chain = (
        queues.chain(["fetch"])
        .then("resize", {"image": {}})
        .then("mail", on="failure")
        .then("any", {"always": True}, on="end")
        .push()
    )
    end(queues.manager, status)
    while waiting(queues):
        end(queues.manager)
    assert [job.type for job in chain.jobs] == ran
    places = [job.chain for job in chain.jobs]
    assert [place.before for place in places if place] == [None, *(job.id for job in chain.jobs[:-1])]


def test_a_failed_link_ends_a_chain_until_it_is_retried(queues: Queues) -> None:
    """And then it goes on from there; what had been pushed for the failure stays."""
    chain = queues.chain(["fetch", "mail"]).then("any", on="failure").push()
    end(queues.manager, Status.FAILED)
    assert [job.type for job in chain.jobs] == ["fetch", "any"]
    end(queues.manager)
    queues.retry(chain.id)
    end(queues.manager)
    assert sorted(job.type for job in chain.jobs) == ["any", "fetch", "mail"]

    chain = queues.chain(["fetch", "mail"]).push()
    end(queues.manager)  # the mail of the chain before
    end(queues.manager, Status.FAILED)
    assert chain.current.status.value == "failed"
    chain.retry()
    assert chain.current.status.value == "pending"
    end(queues.manager)
    assert chain.current.type == "mail"
    with pytest.raises(TransitionError, match="only failed, cancelled or scheduled"):
        chain.retry()


def test_a_cancelled_chain_runs_its_last_words_alone(queues: Queues) -> None:
    """Cancelling a link that waits ends the chain but for what comes after any end."""
    chain = queues.chain(["fetch", "mail"]).then("any", on="end").push()
    assert chain.cancel("enough")
    assert [(job.type, job.status) for job in chain.jobs] == [("fetch", Status.CANCELLED), ("any", Status.PENDING)]
    first = chain.jobs[0]
    assert (first.reason, first.attempts, first.history) == ("enough", 0, ())
    chain = queues.chain([("fetch"), "mail"]).push()
    assert chain.cancel()
    assert not chain.cancel()
    assert [job.status for job in chain.jobs] == [Status.CANCELLED]


@pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
def test_a_link_that_is_cancelled_instead_of_waiting_has_its_last_words(queues: Queues, status: Status) -> None:
    """The cancellation came while it ran, and it was put off, given back, or is to be tried again."""
    chain = queues.chain(["fetch", "mail"]).then("any", on="end").push()
    wanted = Wanted(["web"], ["fetch"], 30_000)
    (claim,) = queues.manager.step("child", (), wanted).claims
    assert chain.cancel("enough")
    settlement = Settlement(claim.id, claim.token, status, Outcome.PUT_OFF, delay=60_000)
    queues.manager.step("child", [followed(claim, settlement)])
    assert [(job.type, job.status) for job in chain.jobs] == [("fetch", Status.CANCELLED), ("any", Status.PENDING)]
    assert chain.jobs[0].reason == "enough"


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_a_link_that_ends_before_it_hears_of_the_cancellation_ends_its_chain(queues: Queues, status: Status) -> None:
    """It ends as it did, for its work is done; what comes after that end alone does not come any more."""
    chain = queues.chain(["fetch"]).then("mail").then("mail", on="failure").push()
    wanted = Wanted(["web"], ["fetch"], 30_000)
    (claim,) = queues.manager.step("child", (), wanted).claims
    assert chain.cancel("enough")
    settlement = Settlement(claim.id, claim.token, status, Outcome.COMPLETED)
    queues.manager.step("child", [followed(claim, settlement)])
    assert [(job.type, job.status, job.reason) for job in chain.jobs] == [("fetch", status, "enough")]
    assert chain.status is Status.CANCELLED
    assert not chain.cancel()
    with pytest.raises(JobCancelled, match="enough"):
        chain.result()
    if status is Status.COMPLETED:
        with pytest.raises(TransitionError):
            chain.retry()
        return
    chain.retry()
    assert waiting(queues) == ["fetch"]


def test_last_words_come_after_a_link_that_ends_before_it_hears_of_the_cancellation(queues: Queues) -> None:
    """They get its result, if they want it."""
    chain = queues.chain(["fetch", "mail"]).then("any", on="end", result_as="got").push()
    wanted = Wanted(["web"], ["fetch"], 30_000)
    (claim,) = queues.manager.step("child", (), wanted).claims
    assert chain.cancel("enough")
    settlement = Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED, result="7")
    queues.manager.step("child", [followed(claim, settlement)])
    assert [(job.type, job.status) for job in chain.jobs] == [("fetch", Status.COMPLETED), ("any", Status.PENDING)]
    assert (chain.current.payload, chain.status) == ({"got": 7}, Status.PENDING)
    end(queues.manager)
    assert chain.status is Status.COMPLETED


def test_the_last_link_completes_its_chain_although_its_end_was_asked_for(queues: Queues) -> None:
    """Nothing is left that could be cancelled."""
    chain = queues.chain(["fetch"]).push()
    (claim,) = queues.manager.step("child", (), Wanted(["web"], ["fetch"], 30_000)).claims
    assert chain.cancel("enough")
    queues.manager.step("child", [followed(claim, Settlement(claim.id, claim.token, Status.COMPLETED))])
    assert (chain.status, chain.current.reason) == (Status.COMPLETED, None)


def test_a_link_that_goes_back_causes_nothing(queues: Queues) -> None:
    """Its worker stops, and nobody has cancelled it; where somebody has, its last words come."""
    chain = queues.chain(["fetch", "mail"]).then("any", on="end").push()
    wanted = Wanted(["web"], ["fetch"], 30_000)
    queues.manager.step("child", (), wanted)
    queues.manager.rescuer.give_back("child")
    assert waiting(queues) == ["fetch"]
    queues.manager.step("child", (), wanted)
    assert chain.cancel("enough")
    queues.manager.rescuer.give_back("child")
    assert waiting(queues) == ["any"]


def test_a_cancel_meets_the_job_that_comes_next(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the current one ends in the very moment."""
    chain = queues.chain(["fetch", "mail"]).push()
    manager = queues.manager
    cancel = manager.cancel

    def too_late(job_id: str, reason: str) -> bool:
        monkeypatch.undo()
        end(manager)
        return cancel(job_id, reason)

    monkeypatch.setattr(manager, "cancel", too_late)
    assert chain.cancel("enough")
    assert [job.status for job in chain.jobs] == [Status.COMPLETED, Status.CANCELLED]
    assert not chain.cancel("enough")


def test_a_chain_of_which_the_last_jobs_were_deleted_does_not_go_on_for_ever(queues: Queues) -> None:
    """What has failed is kept longer than what has completed."""
    with queues.fake() as fake:
        chain = queues.chain(["fetch"]).then("mail", on="failure").push()
        end(queues.manager, Status.FAILED)
        assert chain.current.type == "mail"
        end(queues.manager)
        again = ChainHandle(queues.manager, [job.id for job in chain.jobs])
        fake.clock.move(90_000)
        fake.drain()
        assert queues.find(chain.id).status is Status.FAILED
        for handle in (chain, again):
            with pytest.raises(JobNotFound, match="had come to is gone"):
                handle.status  # noqa: B018


def test_a_settlement_that_is_repeated_pushes_nothing_twice(queues: Queues) -> None:
    """The ids of all links are fixed with the push."""
    chain = queues.chain(["fetch", "mail"]).push()
    end(queues.manager, Status.FAILED)
    queues.retry(chain.id)
    end(queues.manager)
    ids = [job.id for job in chain.jobs]
    end(queues.manager)
    assert len(ids) == len(set(ids)) == 2 == sum(queues.counts().statuses.values())


def test_options_of_a_link_and_of_the_whole_chain(queues: Queues) -> None:
    """A link's own come first; a delay counts from the end of the job before."""
    chain = queues.chain(["fetch"]).then("mail", queue="slow", delay=60, tags=["late"]).push(priority=3, tries=7)
    end(queues.manager)
    mail = chain.current
    assert (mail.queue, mail.status, mail.tags, mail.priority, mail.tries) == (
        "slow",
        Status.SCHEDULED,
        ("late",),
        3,
        7,
    )


def test_a_result_of_the_whole_chain(queues: Queues) -> None:
    """Its last job's, once nothing comes after it."""
    chain = queues.chain(["fetch", "mail"]).push()
    with pytest.raises(ResultNotReady):
        chain.result()
    end(queues.manager, result=1)
    with pytest.raises(ResultNotReady):
        chain.result(timeout=0.01)
    end(queues.manager, result=2)
    assert chain.result() == 2


def test_a_chain_whose_first_jobs_were_deleted_is_still_found(queues: Queues) -> None:
    """As after their retention; once all are, it is said."""
    chain = queues.chain(["fetch", "mail"]).push()
    end(queues.manager)
    queues.delete(chain.id)
    assert chain.current.type == "mail"
    end(queues.manager)
    queues.delete(chain.current.id)
    with pytest.raises(JobNotFound, match="had come to is gone"):
        chain.current  # noqa: B018


@pytest.mark.parametrize(
    ("links", "error", "says"),
    [
        ([], OptionError, "at least one"),
        (["mail"] * 100_001, OptionError, "at most 100,000 links"),
        (["mail", ("mail", {}, "whenever")], OptionError, "none of success, failure, end"),
        ([("mail", {}, "failure")], OptionError, "waits for none"),
        ([("mail", {}, "success", "text")], OptionError, "waits for none"),
        (["mail", ("mail", {}, "success", "txt")], PayloadError, "no argument 'txt' for a result; it takes text"),
        (["mail", ("mail", {"text": ""}, "success", "text")], PayloadError, "leave it out"),
        (["mail", ("resize", {"wide": 1}, "success", "image")], PayloadError, "no argument 'wide'"),
        (["mail", ("resize", {"width": 1})], PayloadError, "'image' is missing"),
        (["mail", ("mail", {"text": 1})], PayloadError, "expected `?str"),
        (["mail", ("mail", {}, "success", None, {"unique": True})], OptionError, "unique"),
        (["mail", ("mail", {}, "success", None, {"colour": 1})], OptionError, "no option 'colour'"),
        (["mail", *[("any", {"text": "x" * 60_000})] * 600], OptionError, "33,554,432 are allowed"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(queues: Queues, links: list[Any], error: type[Exception], says: str) -> None:
    """At the push, and nothing is stored."""
    with pytest.raises(error, match=says):
        queues.chain(links).push()
    assert sum(queues.counts().statuses.values()) == 0


def test_what_comes_after_a_job_is_encrypted(tmp_path: Path) -> None:
    """With the rest of what jobs are about; a result is handed on all the same."""
    from cryptography.fernet import Fernet

    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()]
    queues = Queues(app)

    @queues.job("any")
    def anything(**payload: Any) -> None: ...

    chain = queues.chain([("any", {"word": "mountain"})]).then("any", {"word": "valley"}, result_as="river").push()
    end(queues.manager, result="delta")
    assert chain.current.payload == {"word": "valley", "river": "delta"}
    queues.manager.storage.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert not any(word in stored for word in (b"mountain", b"valley", b"delta"))


def test_a_chain_is_shown_to_programs_and_at_the_terminal(queues: Queues) -> None:
    """Where a job stands in it, what it came after and what comes next."""
    app = queues.manager.app
    chain = queues.chain(["fetch", "mail"]).push()
    first = app.test_cli_runner().invoke(args=["queues", "show", chain.id]).output
    end(queues.manager)
    assert f"link 1 of 2 of {chain.id}, then {chain.current.id}" in first
    runner = app.test_cli_runner()
    text = runner.invoke(args=["queues", "show", chain.current.id]).output
    assert f"link 2 of 2 of {chain.id}, after {chain.id}" in text
    shown = json.loads(runner.invoke(args=["queues", "show", chain.id, "--json"]).output)
    assert shown["chain"] == {
        "id": chain.id,
        "at": 1,
        "of": 2,
        "before": None,
        "on_success": chain.current.id,
        "on_failure": None,
        "on_cancel": None,
    }


def test_a_cancellation_whose_process_died_is_done_by_a_keeper(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link has never run, so that is neither a failure nor a lost try; what comes after any end follows."""
    chain = queues.chain(["fetch", "mail"]).then("any", on="end").push(tries=1)
    manager = queues.manager

    def killed(*_: Any, **_more: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manager.rescuer, "settle_for", killed)
        with pytest.raises(KeyboardInterrupt):
            chain.cancel("enough")
    (held,) = [job for job in chain.jobs if job.status is Status.RUNNING]
    monkeypatch.setattr(manager.storage, "stalled", lambda: manager.storage.claims_of(f"{held.id}:cancel"))
    assert len(manager.rescuer.rescue()) == 1
    assert [(job.type, job.status) for job in chain.jobs] == [("fetch", Status.CANCELLED), ("any", Status.PENDING)]
    assert (chain.jobs[0].attempts, chain.jobs[0].reason) == (0, "It was being cancelled when whoever did so died.")
