"""The schedules of the code: stored by workers, while old and new code run side by side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timezone

import pytest
from flask import Flask

from flask_queues import Job, Queues, ScheduleError
from flask_queues.manager import Manager, manager_of
from flask_queues.worker.plan import this_worker

from .conftest import Clock, Report


class Worker:
    """A worker of an application with these schedules; it gives a sign of life whenever it looks."""

    def __init__(
        self, make: Callable[..., Manager], name: str, *schedules: str, app: str = "shop", when="@daily", job=Report
    ) -> None:
        self.manager = make(app)
        self.name = name
        for schedule in schedules:
            self.manager.scheduler.define(when, job, name=schedule)

    def look(self) -> list[str]:
        """What its keeper does once a minute."""
        self.beat()
        return self.manager.scheduler.publish(self.name)

    def beat(self) -> None:
        """What its keeper does once a second."""
        record = this_worker((), (), "1")
        self.manager.heartbeat(type(record)(**{**as_dict(record), "name": self.name}))

    def stop(self) -> None:
        """It ends."""
        self.manager.forget_worker(self.name)

    def stored(self) -> list[str]:
        """The names of the schedules that are stored."""
        return [one.name for one in self.manager.scheduler.all() if one.stored]


def as_dict(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@pytest.fixture
def worker(make_manager):
    return lambda name, *schedules, **options: Worker(make_manager, name, *schedules, **options)


def test_a_schedule_of_the_code_is_known_before_and_stored_by_a_worker(worker):
    """The application lists it at once; a worker stores it, and it counts from then on."""
    one = worker("w1", "a", "b")
    assert [(record.name, record.stored) for record in one.manager.scheduler.all()] == [("a", False), ("b", False)]
    one.look()
    assert one.stored() == ["a", "b"]
    assert all(record.defined_in_code for record in one.manager.scheduler.all())


def test_a_schedule_removed_from_the_code_disappears(worker):
    """With the first worker of the new code; one that was made at run time stays."""
    old = worker("old", "a", "b")
    old.look()
    old.manager.scheduler.add("@daily", Report, name="mine")
    new = worker("new", "b")
    new.look()
    assert new.stored() == ["b", "mine"]


def test_all_schedules_can_be_removed_from_the_code(worker):
    """The last one disappears, too."""
    worker("old", "a").look()
    new = worker("new")
    new.look()
    assert new.stored() == []


def test_an_old_worker_changes_nothing(worker):
    """It neither brings back what the new code removed nor deletes what that added, though it is started again."""
    old = worker("old", "a")
    old.look()
    new = worker("new", "b")
    new.look()
    assert new.stored() == ["b"]
    old.look()
    worker("old 2", "a").look()
    assert new.stored() == ["b"]


def test_a_rollback_takes_over(worker, clock: Clock):
    """Old code that comes again after its last worker had gone is new code; also while the other still works."""
    worker("one", "a").look()
    clock.advance(minutes=10)
    two = worker("two", "b")
    two.look()
    clock.advance(minutes=10)
    two.beat()
    back = worker("three", "a")
    back.look()
    assert back.stored() == ["a"]
    two.look()
    assert back.stored() == ["a"]


def test_code_that_came_too_late_takes_over_when_the_newer_is_gone(worker, clock: Clock):
    """Where only the older edition still has workers, it is right."""
    old = worker("old", "a")
    old.look()
    clock.advance(minutes=1)
    new = worker("new", "b")
    new.look()
    old.beat()
    new.stop()
    clock.advance(minutes=2)
    old.beat()
    old.look()
    assert old.stored() == ["a"]


def test_another_application_s_schedules_are_left_alone(worker):
    """Two applications may share a storage; a name that is taken there is told."""
    shop = worker("w1", "a", "b")
    shop.look()
    blog = worker("w2", "a", "c", app="blog")
    assert blog.look() == ["a"]
    assert blog.stored() == ["a", "b", "c"]
    assert shop.look() == []


def test_a_name_taken_at_run_time_is_told(worker):
    """The one made at run time stays as it is."""
    one = worker("w1")
    one.manager.scheduler.add("@hourly", Report, name="a")
    two = worker("w2", "a", "b")
    assert two.look() == ["a"]
    assert two.manager.scheduler.find("a").when == "@hourly"
    assert two.stored() == ["a", "b"]


def test_a_look_that_finds_all_in_order_writes_nothing(worker):
    """Nobody has to read the schedules again because of it."""
    one = worker("w1", "a", "b")
    one.look()
    before = one.manager.storage.schedules_changed()
    one.look()
    assert one.manager.storage.schedules_changed() == before


def test_a_look_that_somebody_was_faster_at_is_made_anew(worker, monkeypatch):
    """All is stored in the end, and not only what nobody else had changed."""
    one = worker("w1", "a", "b")
    storage = one.manager.storage
    put = storage.put_schedule
    refused: list[str] = []

    def put_or_not(row, *others):
        if row.name == "a" and not refused:
            refused.append(row.name)
            return 0
        return put(row, *others)

    monkeypatch.setattr(storage, "put_schedule", put_or_not)
    one.look()
    assert (refused, one.stored()) == (["a"], ["a", "b"])


def test_what_was_due_during_a_deployment_is_caught_up(worker, clock: Clock):
    """Another payload or another option does not forget until when all was decided."""
    clock.set("2026-07-01 23:00")
    old = worker("old", "a")
    old.look()
    old.stop()
    clock.set("2026-07-02 01:00")
    new = worker("new")
    new.manager.scheduler.define("@daily", Report, {"page": 2}, name="a")
    new.look()
    assert new.manager.scheduler.ticker().drain() == 1
    (line,) = new.manager.scheduler.history("a")
    assert (f"{line.due:%d %H:%M}", line.outcome) == ("02 00:00", "caught up")


def test_new_times_count_from_the_deployment(worker, clock: Clock):
    """A schedule whose times were changed is not due in the past."""
    old = worker("old", "a")
    old.look()
    clock.advance(days=3)
    new = worker("new", "a", when="@hourly")
    new.look()
    assert new.manager.scheduler.ticker().drain() == 0
    assert new.manager.scheduler.find("a").next == clock.now.replace(hour=13, minute=0, second=0, tzinfo=timezone.utc)


def test_a_pause_survives_a_deployment(worker):
    """Whoever paused it had a reason."""
    old = worker("old", "a")
    old.look()
    old.manager.scheduler.pause("a", "why")
    new = worker("new", "a", when="@hourly")
    new.look()
    assert new.manager.scheduler.find("a").paused == "why"


def test_a_schedule_of_the_code_is_changed_and_removed_there(worker):
    """At run time it can be paused and run, before a worker has stored it, too."""
    scheduler = worker("w1", "a").manager.scheduler
    with pytest.raises(ScheduleError, match="defined in the code of shop"):
        scheduler.change("a", when="@hourly")
    with pytest.raises(ScheduleError, match="defined in the code of shop"):
        scheduler.remove("a")
    assert scheduler.pause("a").paused == ""
    assert scheduler.resume("a").paused is None
    assert scheduler.run("a")


def test_a_schedule_can_be_taken_back_before_a_worker_starts(worker):
    """What the code defines, it may drop again."""
    one = worker("w1", "a", "b")
    one.manager.scheduler.forget("a")
    one.look()
    assert one.stored() == ["b"]


class Mail(Job):
    """What another application pushes."""

    type = "mail"

    def handle(self) -> None: ...


@pytest.fixture
def strange(tmp_path) -> Callable[..., Worker]:
    """Make a worker of another application of the same name in the same place."""

    def make(name: str, *schedules: str) -> Worker:
        def manager(app: str) -> Manager:
            queues = Queues()
            queues.register(Mail)
            flask = Flask(app, instance_path=str(tmp_path))
            queues.init_app(flask)
            return manager_of(flask)

        return Worker(manager, name, *schedules, job=Mail)

    return make


def test_applications_of_one_name_keep_their_schedules(worker, strange, clock: Clock):
    """What pushes a type that only another living worker knows is neither deleted nor replaced; later, it is."""
    first, second = worker("w1", "a", "both"), strange("w2", "b", "both")
    for one in (first, second, first):
        one.look()
    assert second.stored() == ["a", "b", "both"]
    assert second.manager.scheduler.find("both").type == "report"
    first.stop()
    clock.advance(minutes=2)
    second.look()
    assert second.stored() == ["b", "both"]
    assert second.manager.scheduler.find("both").type == "mail"
