"""Batches under real workers: each callback once, whatever is killed."""

from __future__ import annotations

import random

import pytest

from flask_queues import Status
from tests.support.site import eventually
from tests.support.stock import take_stock, unfinished

from .test_kills import LEASE, kill_now_and_then, seed, settings_for

__all__ = ["seed"]

JOBS, GROWN = 300, 20


def test_a_batch_reports_when_all_have_ended(make_site, place):
    """Over several queues, also what one of its jobs has added; a callback sees the whole."""
    site = make_site(**place)
    site.work("--processes", "2")
    jobs = [("mark", {}), ("grow-batch", {"jobs": 3}), ("doomed", {})]
    batch = site.manager.batch(jobs).finally_("report", {"what": "finally"}).catch("report", {"what": "catch"})
    pushed = batch.then("report", {"what": "then"}).push(tries=1)
    eventually(lambda: set(pushed.record.fired) == {"catch", "finally"} and unfinished(site.manager) == 0)
    record = pushed.record
    assert (record.status, record.total) == (Status.FAILED, 6)
    told = site.manager.find(record.callbacks["finally"])
    assert told.result["total"] == 6
    assert (told.result["counts"]["completed"], told.result["counts"]["failed"]) == (5, 1)
    assert pushed.retry() == 1
    eventually(lambda: pushed.record.ended is not None)
    assert pushed.record.status is Status.FAILED


@pytest.mark.parametrize(
    "kind",
    ["sqlite", "files", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("redis", "cluster"))],
)
def test_each_callback_comes_once_whatever_is_killed(make_site, seed, request, tmp_path, kind):
    """Jobs over several queues, some of which add more; children and whole workers killed among them."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    chance = random.Random(seed)
    batch = site.manager.batch(
        site.manager.jobs["grow-batch"].job_class().with_payload(jobs=GROWN).on_queue("queue0")
        if n == 7
        else site.manager.jobs["mark"]
        .job_class()
        .with_payload(seconds=chance.choice((0, 0.002)))
        .on_queue(f"queue{n % 3}")
        for n in range(JOBS)
    )
    pushed = batch.then("report", {"what": "then"}).finally_("report", {"what": "finally"}).push()
    kill_now_and_then(site, chance, 8)
    eventually(lambda: set(pushed.record.fired) == {"then", "finally"} and unfinished(site.manager) == 0)
    record = pushed.record
    growing = next(job.id for job in pushed.jobs() if job.type == "grow-batch")
    grown = sum(1 for run in site.runs() if run.job == growing)
    assert record.status is Status.COMPLETED
    assert JOBS + GROWN <= record.total <= JOBS + GROWN * grown
    reports = [job for job in take_stock(site.manager).values() if job.type == "report"]
    assert sorted(job.payload["what"] for job in reports) == ["finally", "then"]
    assert {job.result["counts"]["completed"] for job in reports} == {record.total}


def test_a_job_that_dies_while_it_adds_to_its_batch_does_not_hold_it_up(make_site):
    """It runs again, and the batch is as good as any: neither cancelled nor kept open for whoever was adding."""
    site = make_site()
    site.work()
    pushed = site.manager.batch([("grow-and-die", {})]).then("report", {"what": "then"}).push()
    eventually(lambda: pushed.record.fired == ("then",) and unfinished(site.manager) == 0)
    assert (pushed.record.status, pushed.record.total) == (Status.COMPLETED, 2)
