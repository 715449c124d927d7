"""Pauses of queues and job types, as an operator sees them, and what `RateLimited` does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from flask_queues import OptionError, Queues, RateLimited, Status
from flask_queues.moving import move
from flask_queues.pausing import pauses
from flask_queues.record import to_datetime
from flask_queues.storage import SQLiteStorage
from flask_queues.storage.sqlite.database import Database
from flask_queues.storage.stops import Stop
from flask_queues.storage.values import Wanted


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("shop:mail", queue="mail")
    def mail() -> None: ...

    @queues.job("shop:work")
    def work() -> None: ...

    return queues


def claimed(queues: Queues) -> list[str]:
    """The types of all jobs that may be claimed now."""
    manager = queues.manager
    found = []
    while claims := manager.step("w", (), Wanted(manager.queue_order(), manager.jobs.keys(), 60_000)).claims:
        found += [claim.type for claim in claims]
    return sorted(found)


def test_a_paused_queue_is_passed_over_until_it_is_resumed(queues: Queues) -> None:
    """Others are served; the pause tells its reason, its author and its end."""
    queues.push("shop:mail")
    queues.push("shop:work")
    queues.manager.pause("mail", reason="provider down", by="Ann", seconds=timedelta(minutes=10))
    assert claimed(queues) == ["shop:work"]
    (pause,) = queues.manager.pauses()
    assert (pause.queue, pause.type, pause.reason, pause.by) == ("mail", None, "provider down", "Ann")
    assert pause.until is not None
    assert pause.until - pause.since == timedelta(minutes=10)
    assert queues.manager.resume("mail") is True
    assert claimed(queues) == ["shop:mail"]
    assert queues.manager.resume("mail") is False


def test_a_paused_type_is_passed_over_in_every_queue(queues: Queues) -> None:
    """It is one pause, wherever its jobs are; what is behind them is served."""
    for queue in ("mail", "default", "elsewhere"):
        queues.push("shop:mail", queue=queue)
    queues.push("shop:work", queue="elsewhere")
    queues.manager.pause(type="shop:mail")
    assert claimed(queues) == ["shop:work"]
    assert [(pause.queue, pause.type) for pause in queues.manager.pauses()] == [(None, "shop:mail")]
    assert queues.manager.resume(type="shop:mail") is True
    assert claimed(queues) == ["shop:mail"] * 3


def test_a_type_that_only_other_applications_know_is_paused_and_resumed(queues: Queues) -> None:
    """They may share the storage."""
    queues.manager.pause(type="other:work", reason="why")
    assert [(pause.type, pause.reason) for pause in queues.manager.pauses()] == [("other:work", "why")]
    assert queues.manager.resume(type="other:work") is True
    assert queues.manager.pauses() == []
    assert queues.manager.resume(type="other:work") is False


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("short", "long"), [(1000, 2000), (1000, None)])
def test_a_type_is_paused_as_long_as_one_of_its_queues(short: int, long: int | None, order: int) -> None:
    """A single pause is told, the one that lasts longest, whichever comes first; without an end is longest."""
    stops = [Stop("a", "t", short, "short", "Ann", 0), Stop("b", "t", long, "long", "Bob", 0)]
    (pause,) = pauses(stops[::order])
    assert (pause.queue, pause.type, pause.reason, pause.by) == (None, "t", "long", "Bob")
    assert pause.until == (to_datetime(long) if long is not None else None)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("mail",), {"type": "t"}), (("no queue",), {}), (("mail",), {"seconds": -1})],
)
def test_what_cannot_be_paused_is_refused(queues: Queues, args: tuple, kwargs: dict) -> None:
    """Neither or both, a name that no queue can have, a time that is none."""
    with pytest.raises(OptionError):
        queues.manager.pause(*args, **kwargs)
    assert queues.manager.pauses() == []


def test_a_move_takes_pauses_along(queues: Queues, tmp_path: Path) -> None:
    """What was paused is not claimed from the new storage either."""
    queues.push("shop:mail")
    queues.manager.pause("mail", reason="why", by="Ann", seconds=600)
    queues.manager.pause(type="shop:work")
    target = SQLiteStorage(Database(tmp_path / "new" / "queues.db"))
    list(move(queues.manager.storage, target))
    there = {stop[:2]: stop for stop in target.stops()}
    assert there["mail", None][3:5] == ("why", "Ann")
    assert ("default", "shop:work") in there
    assert target.step("w", (), Wanted(["mail"], ["shop:mail"], 60_000)).claims == []


@pytest.mark.parametrize("after", [-1, float("inf"), float("nan"), "soon", True])
def test_rate_limited_takes_a_time(after: object) -> None:
    """Anything else is refused where it is written."""
    with pytest.raises(OptionError):
        RateLimited(after=after)  # type: ignore[arg-type]


def test_the_job_that_raised_rate_limited_keeps_its_place(site) -> None:
    """Its queue is held, no try is lost, others are served; afterwards it runs first."""
    job = site.push("limited", {"after": 3600}, queue="mail")
    second = site.push("mark", queue="mail")
    other = site.push("mark")
    assert site.start("--stop-when-empty").wait() == 0
    record = site.job(job)
    assert (record.status, record.attempts) == (Status.PENDING, 0)
    assert [run.outcome for run in record.history] == ["put off"]
    assert site.status(second) is Status.PENDING
    assert site.status(other) is Status.COMPLETED
    (pause,) = site.manager.pauses()
    assert job in pause.reason


def test_a_queue_that_was_held_goes_on_by_itself(site) -> None:
    """Without anybody's help, and without another push, an idle worker comes back when the time is over."""
    job = site.push("limited", {"after": 1})
    site.configure(QUEUES_SLEEP=3600)
    site.work()
    assert site.ended(job).status is Status.COMPLETED
    assert site.words(job) == ["ran", "ran"]


def test_pause_and_resume_on_the_command_line(site) -> None:
    """They say what they did; `status` shows it; resuming what is not paused exits with 3."""
    said = site.run("pause", "mail", "--for", "600", "--reason", "provider down")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("Queue mail is paused until ")
    assert "provider down" in site.run("status").stdout
    assert site.run("resume", "mail").stdout == "mail goes on.\n"
    assert site.run("resume", "mail").returncode == 3
    assert site.run("pause", "--type", "mark").stdout.startswith("Job type mark is paused")
    assert '"type": "mark"' in site.run("status", "--json").stdout
