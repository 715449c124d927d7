"""Chains under real workers: in their order, and whole whatever is killed."""

from __future__ import annotations

import random
import threading

import pytest

from flask_queues import JobHandle, Status
from tests.support.site import PATIENCE, eventually
from tests.support.stock import take_stock, unfinished

from .test_kills import LEASE, kill_now_and_then, seed, settings_for

__all__ = ["seed"]

LINKS = 40
CHAINS = 8


def test_links_run_in_their_order_with_results_handed_on(make_site, place):
    """Over several queues, in several processes; a failure is passed on to whoever waits for it."""
    site = make_site(**place)
    site.work("--processes", "2")
    chain = site.manager.chain([("add", {"a": 1})])
    for n in range(5):
        chain.then("add", {"a": 10}, result_as="b", queue=f"queue{n % 3}")
    added = chain.push()
    mourned = site.manager.chain([("doomed", {}), "noop"]).then("add", {"a": 5}, on="failure").push(tries=1)
    assert added.result(timeout=PATIENCE) == 52
    assert mourned.result(timeout=PATIENCE) == 6
    assert [job.type for job in mourned.jobs] == ["doomed", "add"]


def test_a_timed_out_and_a_cancelled_link_are_ends_too(make_site, place):
    """What waits for any end follows."""
    site = make_site(**place)
    site.work()
    late = site.manager.chain([("doomed", {"how": "sleep"})]).then("noop", on="failure").push(tries=1, timeout=0.3)
    assert late.result(timeout=PATIENCE) is None
    stopped = site.manager.chain(["polite"]).then("add", {"a": 2}, on="end").push()
    eventually(lambda: any("began" in run.word for run in site.runs()))
    stopped.cancel("enough")
    assert stopped.result(timeout=PATIENCE) == 3
    assert [job.status for job in stopped.jobs] == [Status.CANCELLED, Status.COMPLETED]


@pytest.mark.parametrize(
    "kind",
    ["sqlite", "files", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("redis", "cluster"))],
)
def test_no_link_is_lost_or_doubled_whatever_is_killed(make_site, seed, request, tmp_path, kind):
    """Chains over several queues, children and workers killed in their midst: each link is stored once, and ends."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    chance = random.Random(seed)
    chains = []
    for _ in range(CHAINS):
        chain = site.manager.chain()
        for n in range(LINKS):
            chain.then("mark", {"seconds": chance.choice((0, 0, 0.002, 0.02))}, queue=f"queue{n % 3}")
        chains.append(chain.push())
    kill_now_and_then(site, chance, 12)
    eventually(lambda: all(len(chain.jobs) == LINKS for chain in chains) and not unfinished(site.manager))
    ran = [run.job for run in site.runs()]
    for chain in chains:
        assert {job.status for job in chain.jobs} == {Status.COMPLETED}
        first = [ran.index(job.id) for job in chain.jobs]
        assert first == sorted(first)
    assert len(take_stock(site.manager)) == CHAINS * LINKS
    assert set(ran) == {job.id for chain in chains for job in chain.jobs}


@pytest.mark.parametrize("how", [(), ("--threads", "2")])
def test_a_job_that_runs_is_followed(make_site, place, how):
    """Its child learns of that when it settles it, in a process and in a thread."""
    site = make_site(**place)
    site.work(*how)
    first = site.queues.push("mark", {"seconds": 1})
    eventually(lambda: first.status is Status.RUNNING)
    second = first.then("add", {"a": 1})
    assert second.status is Status.SCHEDULED
    assert second.result(timeout=PATIENCE) == 2
    assert first.record.attempts == 1


@pytest.mark.parametrize(
    "kind",
    ["sqlite", "files", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("redis", "cluster"))],
)
def test_no_follower_is_lost_or_doubled_whatever_is_killed(make_site, seed, request, tmp_path, kind):
    """Attached while workers run, settle and are killed: each is stored once, after the job that it follows."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    chance = random.Random(seed)
    first = [site.queues.push("mark", {"seconds": chance.choice((0, 0.02))}, queue=f"queue{n % 3}") for n in range(30)]
    second: list[JobHandle] = []
    third: list[JobHandle] = []

    def attach() -> None:
        for n, handle in enumerate(first):
            second.append(handle.then("mark", {"seconds": 0}, queue="queue1"))
            third.extend([second[-1].then("mark", {"seconds": 0})] if n % 2 else ())

    attaching = threading.Thread(target=attach)
    attaching.start()
    kill_now_and_then(site, chance, 6)
    attaching.join()
    every = [*first, *second, *third]
    assert len(every) == 75
    eventually(lambda: not unfinished(site.manager) and all(one.status.final for one in every))
    assert {one.status for one in every} == {Status.COMPLETED}
    ran = [run.job for run in site.runs()]
    assert len(take_stock(site.manager)) == len(every)
    assert set(ran) == {one.id for one in every}
    assert all(ran.index(before.id) < ran.index(after.id) for before, after in zip(first, second, strict=True))
