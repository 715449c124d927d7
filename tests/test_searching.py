"""Jobs by what no index serves: cause, error, text, attempts, how long they ran, and on which host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import OptionError, Queues, Status, transitions
from flask_queues.searching import LOOK_AT
from flask_queues.storage.values import Wanted


class Shop:
    """An application, and a worker that does what it is told."""

    def __init__(self, folder: Path) -> None:
        self.app = Flask("shop", instance_path=str(folder))
        self.queues = Queues(self.app)
        self.mail = self.queues.job("shop:mail", sensitive={"card"}, tags=["news"])(lambda to="", card="": None)
        self.manager = self.queues.manager

    def end(self, host: str = "one", error: Exception | None = None, **payload: Any) -> str:
        """Push a job and bring it to its end."""
        job_id = self.mail.push(**payload).id
        wanted = Wanted(queues=["default"], types=["shop:mail"], lease=60_000)
        (claim,) = self.manager.step(f"{host}:42:1", (), wanted).claims
        terms = self.manager.terms(claim)._replace(tries=1)
        text = transitions.describe_exception(error) if error else None
        ended = transitions.failed(claim, terms, text) if text else transitions.completed(claim, None)
        assert self.manager.step(f"{host}:42:1", [ended]).lost == []
        return job_id

    def found(self, **where: Any) -> list[str]:
        """The ids of all jobs that match."""
        return sorted(job.id for job in self.manager.every(**where))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An application with a file of its own."""
    return Shop(tmp_path)


def test_a_text_is_looked_for_wherever_people_read(shop: Shop) -> None:
    """In payload, id, type, tags and the error's message; upper and lower case are alike."""
    anna, otto = shop.end(to="Anna@example.org"), shop.end(to="otto", error=ValueError("mailbox full"))
    assert shop.found(text="anna@EXAMPLE") == [anna]
    assert shop.found(text="mailbox") == [otto]
    assert shop.found(text="valueerror") == [otto]
    assert shop.found(text=anna[:20]) == [anna]
    assert shop.found(text="news") == shop.found(text="shop:mail") == sorted([anna, otto])
    assert shop.found(text="nobody") == []


def test_a_secret_is_not_found(shop: Shop) -> None:
    """Or it could be guessed letter by letter."""
    shop.end(to="anna", card="4111", error=ValueError("no card 4111"))
    assert shop.found(text="4111") == []


def test_failures_are_found_by_class_and_cause(shop: Shop) -> None:
    """With the module or without."""
    first, second = shop.end(error=KeyError("price")), shop.end(error=KeyError("price"))
    other = shop.end(error=TypeError("7"))
    assert shop.found(error="KeyError") == sorted([first, second])
    cause = shop.manager.cause_of(shop.manager.find(other))
    assert cause is not None
    assert shop.found(cause=cause.key) == [other]
    assert shop.found(cause="nonsense") == []


def test_a_cause_repeats_no_secret(shop: Shop) -> None:
    """That a job's error has repeated."""
    job = shop.manager.find(shop.end(card="hunter two", error=ValueError("no card hunter two, password=swordfish")))
    cause = shop.manager.cause_of(job)
    assert cause is not None
    assert "hunter" not in cause.message
    assert "swordfish" not in cause.message


def test_jobs_are_found_by_host_attempts_and_time(shop: Shop) -> None:
    """Each on its own and together."""
    one, two = shop.end("one"), shop.end("two")
    assert shop.found(worker="two") == shop.found(worker="two:42:1", attempts=1, ran=0) == [two]
    assert shop.found(attempts=2) == shop.found(ran=60) == []
    assert shop.found(worker="one", statuses=[Status.COMPLETED]) == [one]


def test_a_page_looks_at_so_many_jobs_and_goes_on(shop: Shop) -> None:
    """Each is found once, however far down it is."""
    target = shop.mail.push(to="target").id
    shop.queues.push_many([(shop.mail, {"to": f"number{n}"}) for n in range(LOOK_AT + 500)])
    page = shop.manager.jobs_of(text="target")
    assert page.jobs == ()
    assert page.after is not None
    page = shop.manager.jobs_of(text="target", after=page.after)
    assert [job.id for job in page.jobs] == [target]
    assert len(shop.found(text="number1")) == 1 + 10 + 100 + 1000


def test_a_page_has_hardly_more_jobs_than_were_asked_for(shop: Shop) -> None:
    """Whether those that are looked for lie close together, far down or here and there; none is left out."""
    close = [f"close{n}" for n in range(200)]
    shop.queues.push_many([(shop.mail, {"to": to}) for to in [*close, *["other"] * 250]])
    pages: list[list[str]] = []
    after = None
    while not pages or after is not None:
        page = shop.manager.jobs_of(text="close", after=after)
        after = page.after
        pages.append([job.payload["to"] for job in page.jobs])
    assert max(map(len, pages)) < 100
    assert [to for page in pages for to in page] == close[::-1]


def test_a_filter_that_does_not_exist_is_refused(shop: Shop) -> None:
    """A typing mistake would otherwise match everything."""
    with pytest.raises(OptionError, match="There is no filter 'txt'; there are queue, type, tag, cause, error"):
        shop.manager.jobs_of(txt="x")
    with pytest.raises(OptionError, match="attempts: '2' is not a number"):
        shop.manager.jobs_of(attempts="2")
    with pytest.raises(OptionError, match="text: 5 is not a text"):
        shop.manager.jobs_of(text=5)
