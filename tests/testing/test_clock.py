"""Time in a test: it stands still until it is moved, and everything goes by it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from flask_queues import JobNotFound, Outcome, Status
from flask_queues.testing import Clock, FakeError
from tests.testing.shop import Shop

NOON = datetime(2030, 6, 1, 12, tzinfo=timezone.utc)
#: Before the year in which this was written: a storage's own clock never goes there.
PAST = datetime(2020, 10, 25, 0, 30, tzinfo=timezone.utc)


def test_time_stands_still_until_it_is_moved(shop: Shop) -> None:
    """Whatever passes outside; two moments read one after the other are the same."""
    with shop.queues.fake() as fake:
        first, outside = fake.clock.now, datetime.now(timezone.utc)
        while datetime.now(timezone.utc) - outside < timedelta(milliseconds=3):
            pass
        assert fake.clock.now == first == shop.queues.manager.now()
        assert fake.clock.move(60) == first + timedelta(seconds=60)
        assert fake.clock.move(timedelta(days=1)) == shop.queues.manager.now()
        assert fake.clock.set(NOON) == NOON


def test_a_delay_is_over_to_the_millisecond(shop: Shop) -> None:
    """Not before, and then at once."""
    with shop.queues.fake() as fake:
        shop.queues.push("shop:mail", {"to": "ada"}, delay=60)
        shop.queues.push("shop:mail", {"to": "bob"}, at=fake.clock.now + timedelta(hours=2))
        fake.clock.move(59.999)
        assert fake.drain() == []
        fake.clock.move(0.001)
        fake.drain()
        assert shop.done == ["ada"]
        fake.clock.move(7140)
        fake.drain()
        assert shop.done == ["ada", "bob"]


def test_a_job_expires_by_the_clock(shop: Shop) -> None:
    """It has not begun in time."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:mail", {"to": "ada"}, expires=60)
        fake.clock.move(61)
        [run] = fake.drain()
        assert run.outcome is None
        assert handle.status is Status.CANCELLED


def test_schedules_obey(shop: Shop) -> None:
    """Each occurrence is fired when its time has come, from the first moment of the test on."""
    shop.queues.schedule("0 * * * *", "shop:mail", {"to": "hourly"}, name="hourly")
    with shop.queues.fake() as fake:
        fake.clock.set(PAST)
        assert fake.drain() == []
        fake.clock.move(1800)
        assert len(fake.drain()) == 1
        assert len(fake.drain(within=7200)) == 2
        fired = [shop.queues.scheduler.history("hourly")[n].due for n in range(3)]
        assert fired == [PAST + timedelta(minutes=30, hours=n) for n in (2, 1, 0)]


def test_a_schedule_of_the_test_s_own_counts_from_now(shop: Shop) -> None:
    """One that is added in the test is stored before time passes."""
    with shop.queues.fake() as fake:
        fake.clock.set(NOON)
        shop.queues.schedule(timedelta(seconds=30), "shop:mail", {"to": "often"}, name="often", overlap=True)
        fake.drain(within=90)
        assert shop.done == ["often"] * 3


def test_summer_time_ends_in_a_test(shop: Shop) -> None:
    """What runs at half past two in Berlin runs once in the night that has two of them."""
    shop.queues.schedule("30 2 * * *", "shop:mail", {"to": "night"}, name="night", timezone="Europe/Berlin")
    with shop.queues.fake() as fake:
        fake.clock.set(datetime(2026, 10, 24, 23, tzinfo=timezone.utc))
        fake.drain(within=4 * 3600)
        [job] = fake.jobs
        assert job.finished == datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc)


def test_a_lease_runs_out_by_the_clock(shop: Shop) -> None:
    """A job whose worker vanished is rescued by the next drain, and pays with a try."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:mail", {"to": "ada"})
        shop.queues.manager.claim("another worker", handle.id)
        fake.clock.move(shop.queues.manager.config.lease - 1)
        assert fake.drain() == []
        fake.clock.move(2)
        fake.drain()
        assert [run.outcome for run in handle.record.history] == [Outcome.LOST, Outcome.COMPLETED]
        assert handle.record.attempts == 2


@pytest.mark.parametrize("eager", [False, True])
def test_a_job_may_let_time_pass(shop: Shop, eager: bool) -> None:
    """As one that takes long, even longer than a lease: what becomes due meanwhile runs after it."""
    with shop.queues.fake(eager=eager) as fake:
        began = fake.clock.now

        @shop.queues.job("shop:long")
        def long() -> None:
            fake.clock.move(3600)
            shop.done.append("long")

        shop.queues.push("shop:mail", {"to": "meanwhile"}, delay=60)
        handle = long.push()
        fake.drain()
        assert shop.done == ["long", "meanwhile"]
        assert (handle.record.attempts, handle.record.finished) == (1, began + timedelta(hours=1))


def test_retention_obeys(shop: Shop) -> None:
    """A job that is deleted stays in the test's own list, as it was pushed."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:mail", {"to": "ada"})
        fake.drain()
        fake.clock.move(timedelta(hours=shop.queues.manager.config.retention_completed, seconds=1))
        fake.drain()
        with pytest.raises(JobNotFound):
            shop.queues.find(handle.id)
        fake.pushed("shop:mail", payload={"to": "ada"})
        assert [job.id for job in fake.jobs] == [handle.id]


def test_a_naive_moment_is_refused(shop: Shop) -> None:
    """It would mean another time on each machine."""
    with shop.queues.fake() as fake, pytest.raises(FakeError, match="no time zone"):
        fake.clock.set(datetime(2030, 6, 1))


def test_time_goes_back_only_where_nothing_has_happened(shop: Shop) -> None:
    """No storage could follow."""
    with shop.queues.fake() as fake:
        fake.clock.set(NOON)
        fake.clock.set(PAST)
        shop.queues.push("shop:mail", {"to": "ada"})
        with pytest.raises(FakeError, match="cannot be put back"):
            fake.clock.move(-1)
        assert fake.clock.now == PAST


def test_a_clock_may_run_and_be_moved() -> None:
    """As beside a worker: it goes on from where it was put."""
    clock = Clock()
    clock.set(NOON)
    clock.run()
    clock.move(3600)
    before = time.monotonic()
    while clock.now <= NOON + timedelta(hours=1):
        assert time.monotonic() - before < 60
    assert clock.now < NOON + timedelta(hours=2)
