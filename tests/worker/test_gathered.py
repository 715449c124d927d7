"""Gathered jobs under real workers: together by key, none lost, whatever becomes of the run."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_queues import JobHandle, Outcome, Status
from tests.support.site import Site, eventually
from tests.support.stock import take_stock, unfinished

from .test_kills import LEASE, kill_now_and_then, seed, settings_for

__all__ = ["seed"]


def lists(site: Site) -> list[tuple[str, list[int]]]:
    """What came together, by customer."""
    words = [run.word.split(":") for run in site.runs() if run.word.startswith("list:")]
    return [(word[1], [int(n) for n in word[2].split(",")]) for word in words]


@pytest.mark.parametrize("options", [(), ("--threads", "3")])
def test_payloads_of_a_key_come_as_one_list(make_site, place, options):
    """Up to the size, each payload once; those of other keys apart."""
    site = make_site(**place)
    jobs = [("digest", {"customer": n % 3, "n": n}) for n in range(180)]
    handles = site.manager.push_many(jobs)
    site.work("--processes", "1", *options)
    eventually(lambda: unfinished(site.manager) == 0)
    found = lists(site)
    assert all("+" not in customer for customer, _ in found)
    assert max(len(numbers) for _, numbers in found) == 40
    assert len(found) <= 12
    assert sorted(n for _, numbers in found for n in numbers) == list(range(180))
    got: defaultdict[str, set[int]] = defaultdict(set)
    for customer, numbers in found:
        got[customer] |= {n % 3 for n in numbers}
    assert dict(got) == {"0": {0}, "1": {1}, "2": {2}}
    assert {handle.status for handle in handles} == {Status.COMPLETED}


@pytest.mark.parametrize("place", ["file", pytest.param("redis", marks=pytest.mark.servers)], indirect=True)
def test_enough_payloads_of_a_key_come_before_their_window_is_over(make_site, place):
    """A worker that waits is woken; too few wait on, and what another key has does not count."""
    site = make_site(**place)
    site.work("--processes", "1")
    jobs = [("full-digest", {"customer": n % 2, "n": n}) for n in range(39)]
    first = site.manager.push_many(jobs[:30])
    for job_type, payload in jobs[30:]:
        site.manager.push(job_type, payload)
    eventually(lambda: len(lists(site)) == 1)
    assert lists(site) == [("0", list(range(0, 39, 2)))]
    eventually(lambda: first[0].status is Status.COMPLETED)
    assert {handle.status for handle in first[1::2]} == {Status.SCHEDULED}
    site.manager.push("full-digest", {"customer": 1, "n": 39})
    eventually(lambda: unfinished(site.manager) == 0)
    assert lists(site)[1:] == [("1", list(range(1, 40, 2)))]


@pytest.mark.parametrize(
    "kind",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("redis", "cluster"))],
)
def test_what_came_early_is_not_lost_whatever_is_killed(make_site, seed, request, tmp_path, kind):
    """Pushed one by one and in any slices beside the kills: each payload completes, again only if cut short."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    chance = random.Random(seed)
    jobs = [("full-digest", {"customer": n % 5, "n": n, "seconds": chance.choice((0, 1, 5)) / 100}) for n in range(600)]
    sizes = iter(lambda: chance.choice((1, 1, 7, 60)), 0)

    def push_all() -> list[JobHandle]:
        handles: list[JobHandle] = []
        while len(handles) < len(jobs):
            handles += site.manager.push_many(jobs[len(handles) : len(handles) + next(sizes)])
        return handles

    with ThreadPoolExecutor(1) as pusher:
        pushing = pusher.submit(push_all)
        kill_now_and_then(site, random.Random(seed), 8)
        handles = pushing.result()
    eventually(lambda: unfinished(site.manager) == 0)
    stock = take_stock(site.manager)
    assert {stock[handle.id].status for handle in handles} == {Status.COMPLETED}
    times = Counter(n for _, numbers in lists(site) for n in numbers)
    assert set(times) == set(range(len(jobs)))
    for n, handle in enumerate(handles):
        assert times[n] <= len(stock[handle.id].history)


@pytest.mark.parametrize(
    ("how", "outcome", "options"),
    [
        ("raise", Outcome.FAILED, ()),
        ("raise", Outcome.FAILED, ("--threads", "3")),
        ("kill", Outcome.KILLED, ()),
        ("kill", Outcome.KILLED, ("--threads", "3")),
    ],
)
def test_what_becomes_of_the_run_becomes_of_each(make_site, how, outcome, options):
    """Tried again together, then failed for good, and told so together; each has paid for each try."""
    site = make_site()
    handles = site.manager.push_many([("bad-digest", {"how": how})] * 5)
    site.work(*options)
    eventually(lambda: unfinished(site.manager) == 0)
    records = [handle.record for handle in handles]
    assert {(record.status, record.attempts) for record in records} == {(Status.FAILED, 2)}
    assert {run.outcome for record in records for run in record.history} >= {outcome}
    words = Counter(run.word for run in site.runs())
    assert words["list:5"] == 2
    assert (words["failed:5"], words["failed:1"]) == (1, 0)


@pytest.mark.parametrize("place", ["file", pytest.param("redis", marks=pytest.mark.servers)], indirect=True)
@pytest.mark.parametrize("options", [(), ("--threads", "3")])
def test_the_failed_of_a_run_that_died_counts_as_one_run_of_its_rate(make_site, place, options):
    """However many payloads it had: three runs an hour are the one that died, its `failed`, and another."""
    site = make_site(**place)
    site.manager.push_many([("strict-digest", {"how": "kill"})] * 5)
    site.work(*options)
    eventually(lambda: unfinished(site.manager) == 0, 30)
    site.manager.push("strict-digest", {"how": "raise"})
    eventually(lambda: unfinished(site.manager) == 0, 30)
    words = Counter(run.word for run in site.runs())
    assert words == {"list:5": 1, "failed:5": 1, "list:1": 1, "failed:1": 1}


def test_a_timeout_stops_all_and_each_is_tried_again(make_site):
    """Together."""
    site = make_site()
    handles = site.manager.push_many([("bad-digest", {"how": "sleep"})] * 3, timeout=1.5)
    site.work()
    eventually(lambda: unfinished(site.manager) == 0)
    assert {handle.record.history[0].outcome for handle in handles} == {Outcome.TIMED_OUT}
    assert Counter(run.word for run in site.runs())["list:3"] == 2


@pytest.mark.parametrize("options", [(), ("--threads", "3")])
@pytest.mark.parametrize("meant", [0, 1])
def test_cancelling_one_lets_the_others_run_again(make_site, options, meant):
    """The run ends for all, the one that was meant is cancelled, and nobody has lost a try."""
    site = make_site()
    handles = site.manager.push_many([("digest", {"customer": 1, "n": n, "seconds": 60 * (n == 0)}) for n in range(3)])
    site.work(*options)
    eventually(lambda: len(lists(site)) == 1)
    handles[meant].cancel("not this one")
    eventually(lambda: handles[meant].status.final)
    assert (handles[meant].status, handles[meant].record.reason) == (Status.CANCELLED, "not this one")
    eventually(lambda: len(lists(site)) == 2)
    assert lists(site)[1] == ("1", [n for n in range(3) if n != meant])
    assert len({run.pid for run in site.runs()}) == 2  # what the run has left half done goes with its process
    assert {handle.record.history[0].outcome for n, handle in enumerate(handles) if n != meant} == {Outcome.GIVEN_BACK}
    if meant == 0:
        eventually(lambda: unfinished(site.manager) == 0)
        assert {(handle.status, handle.record.attempts) for handle in handles[1:]} == {(Status.COMPLETED, 1)}


@pytest.mark.parametrize(
    "kind",
    ["sqlite", "files", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("redis", "cluster"))],
)
def test_no_payload_is_lost_whatever_is_killed(make_site, seed, request, tmp_path, kind):
    """Children and workers killed between collecting and running: each payload completes, again only if cut short."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    chance = random.Random(seed)
    jobs = [("digest", {"customer": n % 5, "n": n, "seconds": chance.choice((0, 1, 5)) / 100}) for n in range(1000)]
    handles = site.manager.push_many(jobs, spread=3)
    kill_now_and_then(site, chance, 10)
    eventually(lambda: unfinished(site.manager) == 0)
    stock = take_stock(site.manager)
    assert {stock[handle.id].status for handle in handles} == {Status.COMPLETED}
    times = Counter(n for _, numbers in lists(site) for n in numbers)
    assert set(times) == set(range(1000))
    for n, handle in enumerate(handles):
        assert times[n] <= len(stock[handle.id].history)


@pytest.mark.parametrize("options", [("--processes", "4"), ("--processes", "1", "--threads", "4")])
def test_one_run_of_a_key_at_a_time(make_site, options):
    """However many payloads wait, and workers look for more: they come together, and as many as without a limit."""
    site = make_site()
    jobs = [("calm-digest", {"customer": n % 3, "n": n, "seconds": 0.05}) for n in range(360)]
    handles = site.manager.push_many(jobs)
    site.work(*options)
    eventually(lambda: unfinished(site.manager) == 0)
    found = lists(site)
    assert sorted(n for _, numbers in found for n in numbers) == list(range(360))
    assert max(len(numbers) for _, numbers in found) == 40
    assert len(found) <= 18
    assert {run.word for run in site.runs() if run.word == "overlap"} == set()
    assert {(handle.status, handle.record.attempts) for handle in handles} == {(Status.COMPLETED, 1)}


@pytest.mark.parametrize(
    "kind",
    ["sqlite", "files", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("redis", "cluster"))],
)
def test_no_place_under_a_limit_stays_taken_whatever_is_killed(make_site, seed, request, tmp_path, kind):
    """Children and workers killed before, in and after runs: never two of a customer at once; in the end all ran."""
    site = make_site(QUEUES_LEASE=LEASE, **settings_for(kind, request, tmp_path))
    chance = random.Random(seed)
    seconds = [chance.choice((0, 1, 5)) / 100 for _ in range(1000)]
    jobs = [("calm-digest", {"customer": n % 5, "n": n, "seconds": seconds[n]}) for n in range(1000)]
    handles = site.manager.push_many(jobs, spread=3)
    kill_now_and_then(site, chance, 10)
    eventually(lambda: unfinished(site.manager) == 0)
    handles += site.manager.push_many([("calm-digest", {"customer": n, "n": 1000 + n}) for n in range(5)])
    eventually(lambda: unfinished(site.manager) == 0)
    stock = take_stock(site.manager)
    assert {stock[handle.id].status for handle in handles} == {Status.COMPLETED}
    assert "overlap" not in {run.word for run in site.runs()}
    times = Counter(n for _, numbers in lists(site) for n in numbers)
    assert set(times) == set(range(1005))
    for n, handle in enumerate(handles):
        assert times[n] <= len(stock[handle.id].history)


@pytest.mark.parametrize("options", [(), ("--threads", "3")])
def test_what_is_of_another_key_by_now_comes_after_the_run(make_site, options):
    """Under the same limit, whose place the run has: never beside it."""
    site = make_site()
    handles = site.manager.push_many([("calm-digest", {"customer": 1, "n": n, "seconds": 0.2}) for n in range(6)])
    site.manager.change_payload(handles[2].id, {"customer": 2, "n": 2})
    site.work(*options)
    eventually(lambda: unfinished(site.manager) == 0)
    assert sorted(lists(site)) == [("1", [0, 1, 3, 4, 5]), ("2", [2])]
    assert {(handle.status, handle.record.attempts) for handle in handles} == {(Status.COMPLETED, 1)}
