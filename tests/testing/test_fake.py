"""`queues.fake()`: what is pushed is recorded, asked after, and run in the test."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_queues import (
    ConfigError,
    JobNotFound,
    OptionError,
    PayloadError,
    Progress,
    QueuesError,
    Status,
    UnknownJobType,
)
from flask_queues.options import Options
from flask_queues.pushing.intake import new_job
from flask_queues.signals import job_completed, job_failed, job_retried
from flask_queues.testing import FakeError
from flask_queues.transitions import completed
from tests.testing.shop import Shop, make_shop

NOON = datetime(2030, 6, 1, 12, tzinfo=timezone.utc)


# What was pushed


def test_a_push_is_recorded_and_stored_nowhere_else(shop: Shop) -> None:
    """After the block, the application's own storage knows nothing of it; nothing has run."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:mail", {"to": "ada"})
        [job] = fake.pushed("shop:mail", payload={"to": "ada"}, times=1, queue="mail")
        assert job.id == handle.id
        assert fake.jobs == [job]
        assert handle.status is Status.PENDING

    assert shop.done == []
    assert not list(Path(shop.app.instance_path).iterdir())
    with pytest.raises(JobNotFound):
        shop.queues.find(handle.id)


def test_a_fake_is_a_storage_of_its_own(shop: Shop) -> None:
    """What was stored before is out of sight within, and there again after; one fake in another is a third."""
    before = shop.queues.push("shop:mail", {"to": "before"})
    with shop.queues.fake() as outer:
        shop.queues.push("shop:mail", {"to": "outer"})
        with shop.queues.fake() as inner:
            inner.nothing_pushed()
        assert [job.payload["to"] for job in shop.queues.every()] == ["outer"]
        outer.pushed("shop:mail", times=1)
    assert [job.id for job in shop.queues.every()] == [before.id]


@pytest.mark.parametrize(
    ("job", "payload", "options", "error"),
    [
        ("shop:mail", {"to": 3}, {}, PayloadError),
        ("shop:mail", {"whom": "ada"}, {}, PayloadError),
        ("shop:mail", {"to": object()}, {}, PayloadError),
        ("shop:male", {}, {}, UnknownJobType),
        ("shop:mail", {"to": "ada"}, {"delay": -1}, OptionError),
        ("shop:mail", {"to": "ada"}, {"at": datetime(2030, 1, 1)}, OptionError),
    ],
)
def test_arguments_are_checked_as_in_production(
    shop: Shop, job: str, payload: dict[str, Any], options: dict[str, Any], error: type[QueuesError]
) -> None:
    """A push that production refuses is refused in a test."""
    with shop.queues.fake() as fake:
        with pytest.raises(error):
            shop.queues.push(job, payload, **options)
        fake.nothing_pushed()


def test_what_is_asked_after_may_be_narrowed(shop: Shop) -> None:
    """By payload or a function of it, queue, tags, priority, delay, moment, and by a function of the record."""
    with shop.queues.fake() as fake:
        fake.clock.set(NOON)
        shop.queues.push("shop:mail", {"to": "ada"}, tags=["a", "b"], priority=5, delay=60)
        shop.queues.push("shop:mail", {"to": "bob", "card": "4000"}, queue="slow")

        one_mail = functools.partial(fake.pushed, "shop:mail", times=1)
        one_mail(payload=lambda payload: payload["to"].startswith("a"))
        one_mail(payload={"to": "bob", "card": ANY})
        one_mail(queue="slow")
        one_mail(tags=["a"], priority=5)
        one_mail(delay=timedelta(minutes=1), at=NOON + timedelta(seconds=60))
        one_mail(where=lambda job: job.status is Status.SCHEDULED)
        fake.pushed("shop:mail", times=2)
        fake.not_pushed("shop:mail", payload={"to": "ada"}, queue="slow")
        fake.not_pushed("shop:order")


def test_values_are_compared_as_a_test_writes_them(tmp_path: Path) -> None:
    """A payload holds JSON; a moment in it is found by the moment."""
    shop = make_shop(tmp_path)

    @shop.queues.job("shop:moment")
    def moment(when: datetime, many: list[int]) -> None: ...

    with shop.queues.fake() as fake:
        moment.push(when=NOON, many=(1, 2))
        fake.pushed(moment, payload={"when": NOON, "many": (1, 2)})
        fake.not_pushed(moment, payload={"when": NOON, "many": (1, 3)})


def test_a_mistyped_job_type_is_an_error(shop: Shop) -> None:
    """`not_pushed` of what does not exist would always hold."""
    with shop.queues.fake() as fake, pytest.raises(UnknownJobType):
        fake.not_pushed("shop:male")


def test_messages_show_what_was_pushed_instead(shop: Shop) -> None:
    """One line a job, those of the same type first; secrets stay secret."""
    with shop.queues.fake() as fake:
        with pytest.raises(AssertionError, match=re.escape("shop:mail was not pushed. Nothing was pushed.")):
            fake.pushed("shop:mail")
        shop.queues.push("shop:order", {"customer": "ada"}, delay=90)
        shop.queues.push("shop:mail", {"to": "ada", "card": "4000 1234"}, priority=3, tags=["x"])

        with pytest.raises(AssertionError) as caught:
            fake.pushed("shop:mail", payload={"to": "bob", "card": "5000 1234"}, queue="fast")
        assert str(caught.value).splitlines() == [
            "shop:mail with {'to': 'bob', 'card': '••••••••'} on queue 'fast' was not pushed. Pushed were:",
            "  shop:mail {'to': 'ada', 'card': '••••••••'}, queue 'mail', priority 3, tags x",
            "  shop:order {'customer': 'ada'}, queue 'default', delay 90 s, tags order",
        ]
        with pytest.raises(AssertionError, match="was pushed once, not twice"):
            fake.pushed("shop:mail", times=2)
        with pytest.raises(AssertionError, match="was pushed once, but should not have been"):
            fake.not_pushed("shop:mail")
        with pytest.raises(AssertionError, match="Something was pushed"):
            fake.nothing_pushed()


def test_a_message_of_many_jobs_stays_short(shop: Shop) -> None:
    """Twenty lines, and how many more there are."""
    with shop.queues.fake() as fake:
        shop.queues.push_many([("shop:mail", {"to": "x" * 5000}) for _ in range(30)])
        with pytest.raises(AssertionError, match="and 10 more") as caught:
            fake.nothing_pushed()
    assert len(str(caught.value)) < 10_000


def test_assertions_count_from_where_a_test_says(shop: Shop) -> None:
    """`forget` is for what setting up has pushed."""
    with shop.queues.fake() as fake:
        shop.queues.push("shop:mail", {"to": "ada"})
        fake.forget()
        fake.nothing_pushed()
        assert len(fake.drain()) == 1


def test_every_way_to_push_is_recorded(shop: Shop) -> None:
    """One by one, many at once, unique ones once, by a job, and by hand from a schedule."""
    shop.queues.schedule("0 0 1 1 *", "shop:mail", {"to": "yearly"}, name="yearly")
    with shop.queues.fake() as fake:
        shop.queues.push_many([("shop:mail", {"to": "a"}), ("shop:mail", {"to": "b"})])
        shop.queues.push("shop:mail", {"to": "c"}, unique=True)
        assert not shop.queues.push("shop:mail", {"to": "c"}, unique=True).created
        shop.queues.push("shop:order", {"customer": "d"})
        fake.drain()
        shop.queues.scheduler.run("yearly")
        assert [job.payload.get("to") for job in fake.jobs] == ["a", "b", "c", None, "d", "yearly"]


def test_what_a_job_s_end_causes_is_recorded(shop: Shop) -> None:
    """It is pushed by the step that settles the job, not by a call of the application."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:mail", {"to": "ada"})
        manager = shop.queues.manager
        claim = manager.claim("a worker", handle.id)
        next_one = new_job(manager.jobs, manager.config, "shop:mail", {"to": "next"}, Options())
        manager.step("a worker", [completed(claim, None)._replace(follows=[next_one])])
        fake.pushed("shop:mail", payload={"to": "next"}, times=1)


def test_encrypted_jobs_are_asked_after_in_clear(tmp_path: Path) -> None:
    """With QUEUES_ENCRYPTION_KEYS a fake encrypts too, and nobody notices."""
    from cryptography.fernet import Fernet

    shop = make_shop(tmp_path, QUEUES_ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    with shop.queues.fake() as fake:
        shop.queues.push("shop:mail", {"to": "ada"})
        fake.pushed("shop:mail", payload={"to": "ada"})
        fake.drain()
        fake.pushed("shop:mail", where=lambda job: job.result == "ADA")


def test_of_many_applications_the_one_in_the_test_is_meant(tmp_path: Path) -> None:
    """Those of earlier tests may be there still; outside of a context it is the one whose jobs the test keeps."""
    shop = make_shop(tmp_path)
    other = type(shop.app)("other", instance_path=str(tmp_path))
    shop.queues.init_app(other)
    with pytest.raises(ConfigError, match="several applications"):
        shop.queues.fake()
    with shop.queues.fake(shop.app) as fake:
        shop.queues.push("shop:mail", {"to": "ada"})
        fake.pushed("shop:mail")
    with pytest.raises(ConfigError, match="several applications"):
        shop.queues.push("shop:mail", {"to": "ada"})


# Running


def test_drain_runs_what_is_pending_and_what_that_pushes(shop: Shop) -> None:
    """Each through the worker's own attempt: result, progress and log are kept."""
    with shop.queues.fake() as fake:
        shop.queues.push("shop:order", {"customer": "ada"})
        runs = fake.drain()
        assert [run.type for run in runs] == ["shop:order", "shop:mail"]
        [mail] = fake.pushed("shop:mail")
        assert (mail.status, mail.result, mail.attempts) == (Status.COMPLETED, "ADA", 1)
        assert mail.progress == Progress(50, "half")
        assert [line.message for line in shop.queues.logs(mail.id)] == ["mail to ada"]
        assert fake.drain() == []
    assert shop.done == ["order of ada", "ada"]


def test_drain_keeps_to_queues_and_priorities(shop: Shop) -> None:
    """As a worker with `--queue` does."""
    with shop.queues.fake() as fake:
        for to, priority, queue in [("low", -5, "mail"), ("high", 5, "mail"), ("other", 0, "other")]:
            shop.queues.push("shop:mail", {"to": to}, priority=priority, queue=queue)
        fake.drain(queues=["mail"])
        assert shop.done == ["high", "low"]
        fake.drain()
    assert shop.done == ["high", "low", "other"]


def test_an_exception_comes_out_when_all_is_done(shop: Shop) -> None:
    """The job is settled as in production, others have run, and the test hears of it."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:flaky", {"good_at": 2})
        shop.queues.push("shop:mail", {"to": "ada"})
        with pytest.raises(OSError, match="attempt 1"):
            fake.drain()
        assert handle.status is Status.SCHEDULED
        assert shop.done == ["ada"]


def test_retries_wait_for_their_backoff(shop: Shop) -> None:
    """By the test's clock, to the second: no jitter."""
    with shop.queues.fake(raises=False) as fake:
        handle = shop.queues.push("shop:flaky", {"good_at": 3})
        fake.drain()
        fake.clock.move(59)
        assert fake.drain() == []
        fake.clock.move(1)
        assert [str(run.error) for run in fake.drain()] == ["attempt 2"]
        [run] = fake.drain(within=60)
        assert (run.error, handle.result()) == (None, 3)


def test_a_job_fails_once_its_tries_are_used_up(shop: Shop) -> None:
    """`within` goes through all of them."""
    with shop.queues.fake() as fake:
        handle = shop.queues.push("shop:flaky", {"good_at": 9})
        began = fake.clock.now
        runs = fake.drain(within=timedelta(hours=1), raises=False)
        assert [str(run.error) for run in runs] == ["attempt 1", "attempt 2", "attempt 3"]
        assert handle.status is Status.FAILED
        assert handle.record.finished == began + timedelta(seconds=120)
        assert fake.clock.now == began + timedelta(hours=1)


def test_signals_tell_of_jobs_as_a_worker_tells(shop: Shop) -> None:
    """Once the storage has what they tell: receivers of the application are tested with the rest."""
    told: list[Any] = []

    def tell(_app: Flask, *, job_id: str, worker: str, **more: Any) -> None:
        told.append((shop.queues.find(job_id).status, more["exception"] and str(more["exception"]), worker != ""))

    def done(_app: Flask, *, job_id: str, result: Any, seconds: float, **_more: Any) -> None:
        told.append((shop.queues.find(job_id).status, result, seconds >= 0))

    with (
        job_retried.connected_to(tell, shop.app),
        job_failed.connected_to(tell, shop.app),
        job_completed.connected_to(done, shop.app),
        shop.queues.fake(raises=False) as fake,
    ):
        shop.queues.push("shop:flaky", {"good_at": 9}, tries=2)
        shop.queues.push("shop:mail", {"to": "ada"})
        fake.drain(within=60)
    assert told == [
        (Status.SCHEDULED, "attempt 1", True),
        (Status.COMPLETED, "ADA", True),
        (Status.FAILED, "attempt 2", True),
    ]


def test_words_of_ours_are_no_exceptions(shop: Shop) -> None:
    """`Discard` and `Retry` raise nothing in a test."""
    with shop.queues.fake() as fake:
        discarded = shop.queues.push("shop:discard")
        put_off = shop.queues.push("shop:retry")
        fake.drain()
        assert (discarded.status, put_off.status) == (Status.CANCELLED, Status.SCHEDULED)
        fake.drain(within=30)
        assert put_off.status is Status.COMPLETED


def test_a_job_does_not_see_the_test_s_request(shop: Shop) -> None:
    """As in a worker: what works only by the request of the test would fail there."""
    with shop.queues.fake() as fake, shop.app.test_request_context():
        handle = shop.queues.push("shop:context")
        fake.drain()
        assert handle.result()[0] is False


def test_a_job_may_be_async_and_the_test_too(shop: Shop) -> None:
    """A running event loop does not keep a job from its own."""

    async def test() -> str:
        with shop.queues.fake() as fake:
            handle = shop.queues.push("shop:later")
            fake.drain()
            return str(handle.result())

    assert asyncio.run(test()) == "async"
    with shop.queues.fake(eager=True):
        assert shop.queues.push("shop:later").result() == "async"


def test_an_endless_drain_is_ended(shop: Shop) -> None:
    """A job that pushes itself is named."""
    with shop.queues.fake() as fake:
        shop.queues.push("shop:endless")
        with pytest.raises(FakeError, match="does shop:endless push itself"):
            fake.drain(most=50)
        assert len(fake.runs) == 50


def test_what_is_meant_for_the_test_goes_through(shop: Shop) -> None:
    """Ctrl-C and `pytest.fail` inside a job end the test, not the job's try."""

    @shop.queues.job("shop:stop")
    def stop(how: str) -> None:
        if how == "fail":
            pytest.fail("a test's own")
        raise KeyboardInterrupt

    with shop.queues.fake(raises=False) as fake:
        handle = stop.push(how="fail")
        with pytest.raises(pytest.fail.Exception, match="a test's own"):
            fake.drain()
        assert (handle.status, handle.record.attempts) == (Status.PENDING, 0)
        handle.cancel()
        stop.push(how="interrupt")
        with pytest.raises(KeyboardInterrupt):
            fake.drain()


def test_drain_inside_a_job_is_refused(shop: Shop) -> None:
    """It would wait for itself."""
    with shop.queues.fake() as fake:

        @shop.queues.job("shop:drains")
        def drains() -> None:
            fake.drain()

        drains.push()
        with pytest.raises(FakeError, match="while jobs run here"):
            fake.drain()
        assert fake.drain() == []


def test_drain_leaves_logging_as_it_was(shop: Shop) -> None:
    """Nothing of ours listens afterwards."""
    before = list(logging.getLogger().handlers)
    with shop.queues.fake() as fake:
        shop.queues.push("shop:mail", {"to": "ada"})
        fake.drain()
    assert logging.getLogger().handlers == before


def test_pauses_limits_and_cancellations_hold(shop: Shop) -> None:
    """They are the storage's, as everywhere."""
    with shop.queues.fake() as fake:
        cancelled = shop.queues.push("shop:mail", {"to": "cancelled"})
        cancelled.cancel()
        shop.queues.manager.pause("mail", seconds=600)
        shop.queues.push("shop:mail", {"to": "paused"})
        shop.queues.push_many([("shop:mail", {"to": f"{n}"}) for n in range(3)], queue="slow", rate="1/m")
        fake.drain()
        assert shop.done == ["0"]
        fake.drain(within=600)
    assert shop.done == ["0", "1", "2", "paused"]


# Eager


def test_eager_runs_a_job_within_its_push(shop: Shop) -> None:
    """And what that pushes, before the push returns."""
    with shop.queues.fake(eager=True) as fake:
        handle = shop.queues.push("shop:order", {"customer": "ada"})
        assert handle.status is Status.COMPLETED
        assert shop.done == ["order of ada", "ada"]
        assert [run.type for run in fake.runs] == ["shop:order", "shop:mail"]


def test_eager_raises_out_of_the_push_or_not(shop: Shop) -> None:
    """By choice: to the test, or kept with the job as in production."""
    with shop.queues.fake(eager=True) as fake:
        with pytest.raises(OSError, match="attempt 1"):
            shop.queues.push("shop:flaky", {"good_at": 2})
        fake.pushed("shop:flaky", where=lambda job: job.status is Status.SCHEDULED)
    with shop.queues.fake(eager=True, raises=False):
        handle = shop.queues.push("shop:flaky", {"good_at": 2})
        assert str(handle.record.error) == "OSError: attempt 1"


def test_eager_runs_what_is_delayed_when_its_time_has_come(shop: Shop) -> None:
    """Moving the clock is what lets it come; schedules and retries too, each at its moment."""
    shop.queues.schedule("*/10 * * * *", "shop:context", name="ten")
    with shop.queues.fake(eager=True, raises=False) as fake:
        fake.clock.set(NOON)
        delayed = shop.queues.push("shop:mail", {"to": "ada"}, delay=90)
        flaky = shop.queues.push("shop:flaky", {"good_at": 2})
        assert delayed.status is Status.SCHEDULED
        fake.clock.move(1200)
        assert delayed.record.finished == NOON + timedelta(seconds=90)
        assert flaky.record.finished == NOON + timedelta(seconds=60)
        ten = fake.pushed("shop:context", times=2)
        assert [job.finished for job in ten] == [NOON + timedelta(minutes=10), NOON + timedelta(minutes=20)]


def test_eager_takes_pushes_of_all_threads(shop: Shop) -> None:
    """Whichever thread is first runs the others' jobs: none is left."""
    with shop.queues.fake(eager=True) as fake:
        threads = [threading.Thread(target=shop.queues.push, args=("shop:mail", {"to": str(n)})) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fake.pushed("shop:mail", times=20, where=lambda job: job.status is Status.COMPLETED)


def test_what_waits_for_a_commit_is_pushed_by_the_commit(shop: Shop, tmp_path: Path) -> None:
    """With `after_commit` nothing is recorded, and nothing runs, before."""
    db = SQLAlchemy()
    shop.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/shop.db"
    db.init_app(shop.app)
    with shop.queues.fake(eager=True) as fake, shop.app.app_context():
        db.session.execute(text("CREATE TABLE orders (id INTEGER)"))
        shop.queues.push("shop:mail", {"to": "ada"}, after_commit=True)
        fake.nothing_pushed()
        db.session.commit()
        assert shop.done == ["ada"]
        db.session.execute(text("INSERT INTO orders VALUES (1)"))
        shop.queues.push("shop:mail", {"to": "bob"}, after_commit=True)
        db.session.rollback()
        fake.pushed("shop:mail", times=1)
        db.session.remove()
        db.engine.dispose()
