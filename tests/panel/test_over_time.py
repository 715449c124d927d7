"""What the panel foretells comes true, and what it says of a host that is gone: by clocks that the test moves."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest

from flask_queues import Status, transitions
from flask_queues.metrics import gather
from flask_queues.panel import prospects
from flask_queues.panel.listing import Filters, listing
from flask_queues.panel.prospects import Prospects, place_of
from flask_queues.panel.reads import Overview
from flask_queues.record import Outcome
from flask_queues.storage.sqlite import engine, line
from flask_queues.storage.values import Wanted

from .conftest import Shop


class Clock:
    """Both clocks of a storage in a file: that on the wall, and that of the leases."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = 0
        wall, steady = engine.wall(), engine.steady()
        patch.setattr(engine, "wall", lambda: wall + self.ahead)
        patch.setattr(engine, "steady", lambda: steady + self.ahead)

    def pass_by(self, seconds: float) -> None:
        self.ahead += round(seconds * 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def run(shop: Shop, clock: Clock, jobs: int) -> dict[str, datetime]:
    """Let one process run so many jobs, which take two seconds on average; tells when each started."""
    started = {}
    for n in range(jobs):
        claim = shop.claim()
        started[claim.id] = shop.manager.now()
        clock.pass_by((1, 3, 2)[n % 3])
        shop.settle(transitions.completed(claim, None))
    return started


def count(shop: Shop, clock: Clock) -> None:
    """Count what has ended in the last ten minutes, as a keeper would that has just begun."""
    for _ in range(80):
        clock.pass_by(0.1)
        gather(shop.manager.storage, shop.manager.cause_of)


@pytest.mark.parametrize(
    ("seconds_between", "sort", "counted"),
    [(2, "next", 1000), (3, "oldest", 1000), (2, "oldest", 5), (2, "newest", 5)],
)
def test_jobs_start_when_the_list_said_they_would(
    make_shop: Callable[..., Shop],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds_between: int,
    sort: str,
    counted: int,
) -> None:
    """Within a factor of two, and two seconds for those that are next; while more jobs come all the time.

    Also where no more than a few of a line are counted.
    """
    monkeypatch.setattr(line, "LOOK_AT", counted)
    monkeypatch.setattr(prospects, "COUNTED", counted)
    shop = make_shop()
    shop.queues.push_many([("shop:mail", {"to": "ada"})] * 60)
    shop.work()
    for _ in range(10):
        run(shop, clock, 4)
        for _ in range(8 // seconds_between):
            shop.pending()
    count(shop, clock)
    shop.work()
    manager = shop.manager
    now = manager.now()
    overview = Overview.read(manager, now)
    listed = listing(manager, overview.counts, Status.PENDING, Filters(), None, 0, 50, sort=sort)
    said = Prospects.read(manager, overview, listed).starts
    assert len(said) == len(listed.jobs) >= 40
    started = run(shop, clock, overview.counts.statuses["pending"])
    for job_id, seconds in said.items():
        waited = (started[job_id] - now).total_seconds()
        assert waited / 2 - 2 <= seconds <= waited * 2 + 2, (seconds, waited)


@pytest.mark.parametrize("sort", ["next", "oldest", "newest"])
def test_jobs_start_when_it_was_said_after_some_were_put_first(
    make_shop: Callable[..., Shop], clock: Clock, sort: str
) -> None:
    """On the list in any order, and on the page of each: of those that go first, and of those that they press back."""
    shop = make_shop()
    shop.queues.push_many([("shop:mail", {"to": "ada"})] * 60)
    shop.work()
    for _ in range(10):
        run(shop, clock, 4)
    waiting = [job.id for job in shop.queues.push_many([("shop:mail", {"to": "ada"})] * 60)]
    urgent = [job.id for job in shop.queues.push_many([("shop:mail", {"to": "ada"})] * 5, priority=50)]
    for job_id in waiting[-10:]:
        shop.queues.hurry(job_id)
    count(shop, clock)
    shop.work()
    manager = shop.manager
    now, overview = manager.now(), Overview.read(manager, manager.now())
    listed = listing(manager, overview.counts, Status.PENDING, Filters(), None, 0, 100, sort=sort)
    said = Prospects.read(manager, overview, listed).starts
    counts = manager.counts()
    places = {record.id: place_of(manager, record, counts, now) for record in listed.jobs}
    assert set(said) == {*waiting, *urgent, *places}
    left = len(said)
    started = run(shop, clock, left)
    order = list(started)
    assert order[:10] == waiting[:-11:-1]
    assert places == {job_id: place for place, job_id in enumerate(order, 1)}
    for job_id, seconds in said.items():
        waited = (started[job_id] - now).total_seconds()
        assert waited / 2 - 2 <= seconds <= waited * 2 + 2, (seconds, waited)


def test_a_host_that_is_gone_is_silent_then_lost_and_its_job_is_rescued(
    make_shop: Callable[..., Shop], clock: Clock
) -> None:
    """Silent before the lease ends, lost after; then the attempt was rescued, and the job waits again."""
    shop = make_shop(QUEUES_LEASE=30)
    shop.pending()
    shop.work()
    wanted = Wanted(queues=shop.manager.queue_order(), types=shop.manager.jobs.keys(), lease=30_000)
    [job] = [claim.id for claim in shop.manager.step("host:42:1", (), wanted).claims]
    client = shop.client()

    def said() -> str:
        text = client.get("/queues/workers").text
        [badge] = re.findall(r'<td><span class="q-badge[^>]*>.*?</svg>(\w+)</span>', text)
        return str(badge)

    assert said() == "Working"
    clock.pass_by(12)
    assert said() == "Silent"
    assert shop.manager.rescuer.rescue() == []
    assert "has been silent for 12" in client.get("/queues/jobs").text
    clock.pass_by(19)
    assert said() == "Lost"
    assert [claim.id for claim in shop.manager.rescuer.rescue()] == [job]
    page = client.get(f"/queues/jobs/{job}").text
    assert "Rescued" in page
    assert "The worker vanished; its lease ran out." in page
    record = shop.manager.find(job)
    assert (record.status, record.history[0].outcome) == (Status.PENDING, Outcome.LOST)
