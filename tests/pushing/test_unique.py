"""Unique jobs as an application pushes them: keys, how long they are held, debounce and throttle."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from flask_queues import ConfigError, Job, OptionError, Queues, Status, UniqueTaken
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.values import Claim, Wanted
from flask_queues.testing.storage import FrozenClock
from flask_queues.transitions import completed


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("shop:work")
    def work(n: int = 0, m: int = 0) -> None: ...

    @queues.job("shop:mail")
    def mail(n: int = 0) -> None: ...

    @queues.job("shop:by-customer", unique=lambda payload: f"customer {payload['customer']}", unique_until="start")
    def by_customer(customer: int, what: str = "") -> None: ...

    return queues


def claim(queues: Queues) -> Claim:
    """Claim the next job."""
    manager = queues.manager
    (claim,) = manager.step("w", (), Wanted(manager.queue_order(), manager.jobs.keys(), 60_000)).claims
    return claim


def test_a_duplicate_push_returns_the_old_handle(queues: Queues) -> None:
    """The same payload, in whatever order of its fields, is the same job; another payload or type is another."""
    first = queues.push("shop:work", {"n": 1, "m": 2}, unique=True)
    second = queues.push("shop:work", {"m": 2, "n": 1}, unique=True)
    assert (second.id, first.created, second.created) == (first.id, True, False)
    assert queues.push("shop:work", {"n": 2}, unique=True).created
    assert queues.push("shop:mail", {"n": 1}, unique=True).created
    assert queues.push("shop:work", {"n": 1, "m": 2}).created


def test_a_key_of_the_push_s_own(queues: Queues) -> None:
    """Whatever the payload is, one with this key is enough."""
    first = queues.push("shop:work", {"n": 1}, unique="k")
    assert queues.push("shop:work", {"n": 2}, unique="k").id == first.id
    first.cancel()
    assert queues.push("shop:work", {"n": 2}, unique="k").created


def test_a_record_says_what_made_its_job_unique(queues: Queues) -> None:
    """The key behind the type; nothing of a job that was not. A new job like it may go beside it, so it has none."""
    manager = queues.manager
    keyed = queues.push("shop:by-customer", {"customer": 7})
    assert keyed.record.unique_key == "shop:by-customer:customer 7"
    digest = queues.push("shop:work", {"n": 1}, unique=True).record.unique_key
    assert digest == queues.push("shop:work", {"n": 1}, unique=True, queue="high").record.unique_key != "shop:work:"
    assert queues.push("shop:work", {"n": 1}).record.unique_key is None
    keyed.cancel()
    assert manager.find(keyed.id).unique_key == keyed.record.unique_key


def test_unique_jobs_among_many(queues: Queues) -> None:
    """push_many returns a handle for each, of the job that holds the key."""
    handles = queues.push_many([("shop:by-customer", {"customer": n % 2}) for n in range(6)] + [("shop:work", {})])
    assert [handle.created for handle in handles] == [True, True, False, False, False, False, True]
    assert len({handle.id for handle in handles}) == 3


def test_a_job_type_says_what_makes_its_jobs_unique(queues: Queues) -> None:
    """A method makes the key of the payload; a push may say that this one is not unique, or by another key."""
    first = queues.push("shop:by-customer", {"customer": 1, "what": "a"})
    assert queues.push("shop:by-customer", {"customer": 1, "what": "b"}).id == first.id
    assert queues.push("shop:by-customer", {"customer": 1}, unique=False).created
    assert queues.push("shop:by-customer", {"customer": 1}, unique="other").created


def test_a_debounced_job_starts_after_the_last_push_with_its_payload(queues: Queues) -> None:
    """Each push takes the place of the one before; what was replaced says by which."""
    first = queues.push("shop:work", {"n": 1}, unique="k", debounce=3600)
    second = queues.push("shop:work", {"n": 2}, unique="k", debounce=3600)
    assert first.status is Status.CANCELLED
    assert second.id in str(first.record.reason)
    assert (second.status, second.record.payload) == (Status.SCHEDULED, {"n": 2})
    assert (second.record.due - second.record.created).total_seconds() == 3600


def test_a_throttled_job_is_the_first_of_its_time(queues: Queues) -> None:
    """Later ones within the time are left out, even when the first has ended."""
    first = queues.push("shop:work", {"n": 1}, unique="k", throttle=3600)
    first.cancel()
    assert queues.push("shop:work", {"n": 2}, unique="k", throttle=3600).id == first.id


def test_the_time_of_a_throttled_job_is_over_to_the_millisecond(queues: Queues) -> None:
    """It counts from the push that was the first."""
    clock = FrozenClock()
    with mock.patch.multiple(sqlite_engine, wall=clock.now, steady=clock.steady):
        first = queues.push("shop:work", unique="k", throttle=3600)
        clock.advance(3_599_999)
        assert queues.push("shop:work", unique="k", throttle=3600).id == first.id
        clock.advance(1)
        assert queues.push("shop:work", unique="k", throttle=3600).created


def test_a_job_is_the_only_one_until_it_has_ended_or_only_until_it_starts(queues: Queues) -> None:
    """Until its end where nothing else is said."""
    first = queues.push("shop:work", unique="k")
    running = claim(queues)
    assert queues.push("shop:work", unique="k").id == first.id
    queues.manager.step("w", [completed(running, None)])
    assert queues.push("shop:work", unique="k", priority=-1).created
    until_start = queues.push("shop:by-customer", {"customer": 1})
    assert not queues.push("shop:by-customer", {"customer": 1}).created
    assert claim(queues).id == until_start.id
    assert queues.push("shop:by-customer", {"customer": 1}).created


def test_a_retry_of_a_job_whose_key_is_taken_is_refused(queues: Queues) -> None:
    """The error names the job that holds it; a retry of all leaves it out."""
    first = queues.push("shop:work", unique="k")
    first.cancel()
    second = queues.push("shop:work", unique="k")
    with pytest.raises(UniqueTaken, match=second.id):
        queues.manager.retry(first.id)


@pytest.mark.parametrize(
    "options",
    [
        {"unique": ""},
        {"unique": 5},
        {"unique": True, "unique_until": "never"},
        {"debounce": 0},
        {"debounce": 5, "throttle": 5},
        {"debounce": 5, "delay": 5},
        {"throttle": 5, "unique_until": "start"},
    ],
)
def test_what_cannot_be_unique_is_refused(queues: Queues, options: dict[str, Any]) -> None:
    """Wrong values and contradictions are errors of the push."""
    with pytest.raises(OptionError):
        queues.push("shop:work", **options)
    assert queues.manager.counts().queues == {}


@pytest.mark.parametrize("key", [7, None, "", "k" * 251])
def test_a_key_that_cannot_be_is_refused(queues: Queues, key: Any) -> None:
    """What a job type's method returns is checked when it is pushed; a text of 250 characters is one."""

    class Odd(Job):
        type = "shop:odd"

        @staticmethod
        def unique(payload: dict[str, Any]) -> Any:
            return key

        def handle(self) -> None: ...

    queues.register(Odd)
    with pytest.raises(OptionError, match="shop:odd"):
        queues.push(Odd)
    assert queues.push(Odd, unique="k" * 250).created


def test_a_method_of_a_job_that_does_not_run_is_refused(queues: Queues) -> None:
    """`unique` is asked before there is an instance."""

    class Wrong(Job):
        type = "shop:wrong"

        def unique(self, payload: dict[str, Any]) -> str:
            return "k"

        def handle(self) -> None: ...

    with pytest.raises(ConfigError, match="static or class method"):
        queues.register(Wrong)
