"""Chains that are longer than a page: what comes after a link is read where it is, and kept as long as it is needed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from flask_queues import JobNotFound, Queues, Status, StorageUnavailable
from flask_queues.chains import followed, is_read_out, pages
from flask_queues.chains.pages import LINKS, SPARED, is_cover, tag_of
from flask_queues.moving import move
from flask_queues.record import Outcome
from flask_queues.storage.values import Claim, Settlement, Wanted
from flask_queues.transitions import dump_error

#: Of a chain with several pages, the last of them not full.
LONG = 3 * LINKS + 2


def make(folder: Path, **settings: Any) -> Queues:
    """An application's queues, kept in a folder."""
    app = Flask("shop", instance_path=str(folder))
    app.config.update(settings)
    queues = Queues(app)

    @queues.job("count")
    def count(n: int = 0, before: int | None = None) -> int:
        return n

    @queues.job("mail")
    def mail(text: str = "") -> None: ...

    return queues


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    return make(tmp_path)


def counting(queues: Queues, links: int = LONG) -> Any:
    """A chain of so many links of which each gets the result of the one before."""
    chain = queues.chain([("count", {"n": 1})])
    for n in range(2, links + 1):
        chain.then("count", {"n": n}, result_as="before")
    return chain


def claimed(queues: Queues) -> Claim:
    """Claim the next job."""
    (claim,) = queues.manager.step("child", (), Wanted(["default"], ["count", "mail"], 30_000)).claims
    return claim


def ended(claim: Claim, status: Status = Status.COMPLETED) -> Settlement:
    """How a worker settles a job whose result is its number."""
    error = dump_error("ValueError", "no") if status is Status.FAILED else None
    result = json.dumps(json.loads(claim.payload).get("n")) if status is Status.COMPLETED else None
    return followed(
        claim, Settlement(claim.id, claim.token, status, Outcome.COMPLETED, True, error=error, result=result)
    )


def end(queues: Queues, status: Status = Status.COMPLETED) -> Claim:
    """Claim the next job and settle it, as a worker does."""
    manager, claim = queues.manager, claimed(queues)
    assert manager.step("child", manager.read_out([ended(claim, status)])).lost == []
    return claim


def sheets(queues: Queues) -> list[str]:
    """The names of what is kept of chains."""
    return [name for name in queues.manager.storage.sheet_names() if name.startswith("chain:")]


def look_again(queues: Queues, move_clock: Callable[[float], object]) -> None:
    """Let a keeper look what is needed, and again when that has not been needed for long enough."""
    queues.manager.chain_pages.tend()
    move_clock(SPARED / 1000 + 1)
    queues.manager.chain_pages.tend()


def test_links_come_one_after_another_from_page_to_page(queues: Queues) -> None:
    """In their order, each told where it stands, with the result of the one before."""
    chain = counting(queues).push()
    for _ in range(LONG):
        end(queues)
    assert [job.payload for job in chain.jobs] == [
        {"n": 1},
        *({"n": n, "before": n - 1} for n in range(2, LONG + 1)),
    ]
    places = [job.chain for job in chain.jobs if job.chain is not None]
    assert [(place.id, place.at, place.of) for place in places] == [(chain.id, n, LONG) for n in range(1, LONG + 1)]
    assert [place.before for place in places] == [None, *(job.id for job in chain.jobs[:-1])]
    assert [place.on_success for place in places] == [*(job.id for job in chain.jobs[1:]), None]
    assert chain.result() == LONG
    assert {job.tags for job in chain.jobs} == {(tag_of(chain.id),)}


def test_what_a_link_carries_does_not_grow_with_its_chain(queues: Queues) -> None:
    """Of a chain a hundred times as long, neither the first job nor one at a border of pages carries more."""

    def most(links: int) -> int:
        counting(queues, links).push()
        sizes = [len(end(queues).options or "") for _ in range(2 * LINKS)]
        queues.flush()
        return max(sizes)

    assert most(100 * LONG) < most(LONG) + 200


def test_a_short_chain_is_kept_with_its_first_job_alone(queues: Queues) -> None:
    """It needs no page, and no tag."""
    chain = counting(queues, LINKS).push()
    assert sheets(queues) == []
    assert chain.current.tags == ()


@pytest.mark.parametrize(("status", "word"), [(Status.FAILED, "failure"), (Status.CANCELLED, "end")])
def test_links_are_passed_over_from_page_to_page(queues: Queues, status: Status, word: str) -> None:
    """What comes after a failure may be pages away, and so may what comes after any end."""
    chain = counting(queues).then("mail", {"text": "over"}, on=word).then("mail", {"text": "last"}).push()
    end(queues)
    end(queues, status)
    assert chain.current.payload == {"text": "over"}
    assert chain.current.chain is not None
    assert chain.current.chain.at == LONG + 1
    end(queues)
    assert chain.current.payload == {"text": "last"}
    end(queues)
    assert [job.status for job in chain.jobs] == [
        Status.COMPLETED,
        status,
        Status.COMPLETED,
        Status.COMPLETED,
    ]


def test_a_chain_goes_on_from_its_failed_link_on_the_next_page(queues: Queues) -> None:
    """Although its failure was passed on already."""
    chain = counting(queues).then("mail", on="failure").push()
    for _ in range(LINKS - 1):
        end(queues)
    failed = end(queues, Status.FAILED)
    assert end(queues).type == "mail"
    queues.retry(failed.id)
    for _ in range(LONG - LINKS + 1):
        end(queues)
    assert [job.status for job in chain.jobs] == [Status.COMPLETED] * (LONG + 1)


def test_a_waiting_link_is_cancelled_with_its_last_words_pages_away(queues: Queues) -> None:
    """They are read by whoever cancels."""
    chain = counting(queues).then("mail", on="end").push()
    assert chain.cancel("enough")
    assert [(job.type, job.status) for job in chain.jobs] == [("count", Status.CANCELLED), ("mail", Status.PENDING)]


def test_a_link_is_not_settled_without_its_page(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the storage cannot be read, it stays running; then it is settled, with what comes after it."""
    chain = counting(queues).push()
    for _ in range(LINKS - 1):
        end(queues)
    settled, manager = ended(claimed(queues)), queues.manager
    assert not is_read_out(settled)
    with monkeypatch.context() as patch:

        def away(_names: Any) -> Any:
            raise StorageUnavailable("gone for now")

        patch.setattr(manager.storage, "sheets", away)
        with pytest.raises(StorageUnavailable):
            manager.read_out([settled])
    assert manager.step("child", manager.read_out([settled])).lost == []
    assert chain.current.payload == {"n": LINKS + 1, "before": LINKS}


def test_a_page_that_is_gone_is_said(queues: Queues, caplog: pytest.LogCaptureFixture) -> None:
    """The job has done its work all the same."""
    chain = counting(queues).push()
    storage = queues.manager.storage
    name = f"chain:{chain.id}:1"
    assert storage.write_sheets((name, storage.sheets([name])[name]), {name: None})
    with caplog.at_level(logging.ERROR, "flask_queues"):
        for _ in range(LINKS):
            end(queues)
    assert f"The chain {chain.id} does not go on after job {chain.jobs[-1].id}" in caplog.text
    assert [job.status for job in chain.jobs] == [Status.COMPLETED] * LINKS


def test_pages_are_deleted_when_no_job_of_the_chain_can_go_on(queues: Queues) -> None:
    """Not at once: a job may be on its way. A chain that failed keeps them as long as its failed job is kept."""
    with queues.fake() as fake:
        done, failed = counting(queues, LINKS + 1).push(), counting(queues, LINKS + 1).push(priority=-1)
        for _ in range(LINKS + 1):
            end(queues)
        end(queues, Status.FAILED)
        look_again(queues, fake.clock.move)
        assert {name.split(":")[1] for name in sheets(queues)} == {failed.id}
        queues.retry(failed.id)
        while failed.status is not Status.COMPLETED:
            end(queues)
        queues.manager.chain_pages.tend()
        assert sheets(queues) != []
        look_again(queues, fake.clock.move)
        assert sheets(queues) == []
        assert done.id != failed.id


def test_pages_of_a_chain_that_was_never_stored_are_deleted(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pusher died before its first job was."""
    with queues.fake() as fake:

        def died(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(queues.manager._pusher, "store", died)
            with pytest.raises(KeyboardInterrupt):
                counting(queues).push()
        assert sum(queues.counts().statuses.values()) == 0
        assert len(sheets(queues)) > 1
        look_again(queues, fake.clock.move)
        assert sheets(queues) == []


def test_a_chain_moves_with_what_comes_after_it(
    queues: Queues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody was killed in an earlier move, when a part of the pages was there."""
    monkeypatch.setattr(pages, "AT_ONCE", 1)
    chain = counting(queues).push()
    end(queues)
    there = make(tmp_path / "there")
    source, target = queues.manager.storage, there.manager.storage
    for name in sheets(queues)[:2]:
        assert target.write_sheets((name, None), {name: source.sheets([name])[name]})
    assert sum(len(load.jobs) for load in move(source, target, 1)) == 2
    assert sheets(there) == sheets(queues)
    for _ in range(LONG - 1):
        end(there)
    with pytest.raises(JobNotFound):
        chain.status  # noqa: B018
    assert there.counts().statuses["completed"] == LONG


def test_pages_are_encrypted_and_read_with_a_new_key_alone(tmp_path: Path) -> None:
    """Once everything was encrypted with it."""
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    queues = make(tmp_path, QUEUES_ENCRYPTION_KEYS=keys[:1])
    chain = counting(queues).then("mail", {"text": "mountain"}).push()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"mountain" not in stored
    both = make(tmp_path, QUEUES_ENCRYPTION_KEYS=[keys[1], keys[0]])
    assert sum(part.written for part in both.manager.reencrypt()) > 1
    new = make(tmp_path, QUEUES_ENCRYPTION_KEYS=keys[1:])
    for _ in range(LONG):
        end(new)
    assert new.find(end(new).id).payload == {"text": "mountain"}
    assert chain.status is Status.COMPLETED


def test_a_fake_knows_all_of_a_long_chain(queues: Queues) -> None:
    """As it was pushed, and it runs to its end."""
    with queues.fake() as fake:
        chain = counting(queues).then("mail", on="failure").push()
        assert [job.id for job in fake.chained(*["count"] * LONG, "mail")] == [chain.id]
        assert len(fake.drain()) == LONG
        assert chain.result() == LONG


def test_a_cover_is_told_from_a_page() -> None:
    """By its name."""
    assert is_cover("chain:abc")
    assert not is_cover("chain:abc:1")
    assert not is_cover("batch:abc")
