"""Limits as an application says them, and real workers that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import ConfigError, OptionError, Queues, Status
from flask_queues.storage.limits import CONCURRENCY, RATE, Limit
from flask_queues.storage.values import Claim, Wanted


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("shop:invoice", concurrency=1, limit_key=lambda payload: f"customer {payload['customer']}")
    def invoice(customer: int) -> None: ...

    @queues.job("shop:sms", rate="2/h", burst=2)
    def sms() -> None: ...

    return queues


def claim(queues: Queues) -> list[Claim]:
    """Claim what may be claimed."""
    manager = queues.manager
    return manager.step("w", (), Wanted(manager.queue_order(), manager.jobs.keys(), 60_000)).claims


def test_each_key_has_its_own_slots(queues: Queues) -> None:
    """One at a time of each customer, in the order in which they were pushed."""
    for customer in (1, 1, 2, 2):
        queues.push("shop:invoice", {"customer": customer})
    claims = [one for _ in range(4) for one in claim(queues)]
    assert [one.payload for one in claims] == ['{"customer":1}', '{"customer":2}']
    waiting = queues.jobs_of(statuses=["pending"]).jobs
    assert all("shop:invoice:customer" in (record.held or "") for record in waiting)


def test_a_rate_holds_for_all_jobs_of_a_type(queues: Queues) -> None:
    """Whoever claims, no more begin."""
    for _ in range(3):
        queues.push("shop:sms")
    assert len([one for _ in range(3) for one in claim(queues)]) == 2


def test_a_rate_holds_for_each_key_by_itself(queues: Queues) -> None:
    """One customer who has used it up does not hold up another."""
    for key in ("a", "a", "a", "b"):
        queues.push("shop:sms", limit_key=key, tags=[key])
    begun = [one.id for _ in range(4) for one in claim(queues)]
    assert [queues.find(job_id).tags for job_id in begun] == [("a",), ("a",), ("b",)]


def test_a_push_may_say_its_limits(queues: Queues) -> None:
    """Over what its job type says."""
    handle = queues.push("shop:sms", rate="20/30s", concurrency=5, limit_key="slow")
    load = queues.manager.storage.hand_out("elsewhere")
    assert load is not None
    assert [job.id for job in load.jobs] == [handle.id]
    assert load.jobs[0].limits == (
        tuple(Limit(CONCURRENCY, "shop:sms:slow", 5)),
        tuple(Limit(RATE, "shop:sms:slow", 20, 30_000, 2)),
    )


def test_a_push_may_say_its_own_key(queues: Queues) -> None:
    """In place of the one that its job type makes of the payload."""
    for key in (None, "vip"):
        queues.push("shop:invoice", {"customer": 1}, limit_key=key)
    assert len([one for _ in range(2) for one in claim(queues)]) == 2


def test_the_limits_of_two_job_types_are_two(queues: Queues) -> None:
    """Also where neither has a key."""
    for name in ("shop:a", "shop:b"):
        queues.job(name, concurrency=1)(lambda: None)
        queues.push_many([(name, None)] * 2)
    assert sorted(one.type for _ in range(4) for one in claim(queues)) == ["shop:a", "shop:b"]


@pytest.mark.parametrize("key", ["", "k" * 251, 7])
def test_a_key_that_cannot_be_is_refused(queues: Queues, key: Any) -> None:
    """What a job type's method makes of a payload is checked when it is pushed."""
    queues.job("shop:odd", concurrency=1, limit_key=lambda payload: key)(lambda: None)
    with pytest.raises(OptionError, match="shop:odd: limit_key gave"):
        queues.push("shop:odd")
    assert queues.push("shop:odd", limit_key="k" * 250).created


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"rate": "fast"}, {"burst": 0}, {"limit_key": ""}])
def test_a_job_type_whose_limits_cannot_be_is_not_registered(queues: Queues, options: dict[str, Any]) -> None:
    """Which is said where it is written, and not by the first push."""
    with pytest.raises(ConfigError, match=f"shop:odd: {next(iter(options))}"):
        queues.job("shop:odd", **options)(lambda: None)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"rate": "fast"},
        {"rate": "0/s"},
        {"rate": 5},
        {"rate": "1/0s"},
        {"burst": 0},
        {"limit_key": ""},
    ],
)
def test_limits_that_cannot_be_are_refused(queues: Queues, options: dict[str, Any]) -> None:
    """The push says what is wrong and stores nothing."""
    with pytest.raises(OptionError):
        queues.push("shop:sms", **options)
    assert queues.manager.counts().queues == {}


def test_no_slot_stays_taken_by_a_worker_that_was_killed(site) -> None:
    """What it ran is rescued and its slot with it: all others of the key run."""
    site.configure(QUEUES_LEASE=2)
    jobs = [site.push("mark", {"seconds": 0.05}, concurrency=1) for _ in range(6)]
    blocked = site.push("gate", concurrency=1, priority=5)
    worker = site.work("--processes", "2")
    site.began(blocked)
    worker.kill_all()
    site.open()
    site.work("--processes", "2")
    assert {site.ended(job).status for job in [blocked, *jobs]} == {Status.COMPLETED}
