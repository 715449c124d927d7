"""`queues.schedule`: which application gets which schedule, and what is refused at once."""

from __future__ import annotations

import textwrap
import types
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import DuplicateSchedule, Job, PayloadError, Queues, ScheduleError, UnknownJobType


class Report(Job):
    type = "report"

    def handle(self, page: int = 1) -> None: ...


def make_app(path: Path, name: str = "shop", **config: Any) -> Flask:
    app = Flask(name, instance_path=str(path / name))
    app.config.update(config)
    return app


def names(queues: Queues, app: Flask) -> list[str]:
    with app.app_context():
        return [record.name for record in queues.scheduler.all()]


def test_a_schedule_before_the_set_up_is_every_application_s(tmp_path: Path) -> None:
    """Each gets its own, with its own configuration."""
    queues = Queues()
    queues.register(Report)
    queues.schedule("0 2 * * *", Report, {"page": 2}, name="nightly")
    apps = [make_app(tmp_path, "one", QUEUES_TIMEZONE="Europe/Berlin"), make_app(tmp_path, "two")]
    for app in apps:
        queues.init_app(app)
    for app, zone in zip(apps, ["Europe/Berlin", "UTC"], strict=True):
        with app.app_context():
            (record,) = queues.scheduler.all()
        assert (record.name, record.timezone, record.payload, record.type) == ("nightly", zone, {"page": 2}, "report")


def test_setting_up_schedules_connects_to_nothing(tmp_path: Path) -> None:
    """As little as setting up jobs."""
    queues = Queues(make_app(tmp_path))
    queues.register(Report)
    queues.schedule("@daily", Report)
    assert list(tmp_path.iterdir()) == []


def test_a_schedule_at_the_top_of_a_module_is_every_application_s(tmp_path: Path) -> None:
    """Also of one that is made after the module was imported."""
    queues = Queues()
    queues.register(Report)
    first, second = make_app(tmp_path, "one"), make_app(tmp_path, "two")
    queues.init_app(first)
    module = types.ModuleType("tasks")
    vars(module).update(queues=queues, Report=Report)
    exec(textwrap.dedent('queues.schedule("@daily", Report)'), vars(module))
    queues.init_app(second)
    assert names(queues, first) == names(queues, second) == ["report"]


def test_what_a_factory_schedules_stays_with_its_application(tmp_path: Path) -> None:
    """Nothing leaks from one `create_app()` to the next, in a context or without."""
    queues = Queues()
    queues.register(Report)

    def create_app(name: str, schedule: str) -> Flask:
        app = make_app(tmp_path, name)
        queues.init_app(app)
        queues.schedule("@daily", Report, name=schedule)
        with app.app_context():
            queues.schedule("@daily", Report, name=f"{schedule} too")
        return app

    one, two = create_app("one", "a"), create_app("two", "b")
    assert names(queues, one) == ["a", "a too"]
    assert names(queues, two) == ["b", "b too"]


@pytest.mark.parametrize(
    ("when", "options", "error", "words"),
    [
        ("0 0 31 2 *", {}, ScheduleError, "never comes"),
        ("0 25 * * *", {}, ScheduleError, "hour"),
        (timedelta(0), {}, ScheduleError, "every"),
        ("@daily", {"timezone": "Mars"}, ScheduleError, "timezone"),
    ],
)
def test_wrong_times_are_refused_where_they_are_written(when, options, error, words) -> None:
    """Before there is an application."""
    with pytest.raises(error, match=words):
        Queues().schedule(when, Report, **options)


@pytest.mark.parametrize(
    ("job", "payload", "options", "error"),
    [
        (Report, {"pages": 1}, {}, PayloadError),
        ("nowhere", None, {}, UnknownJobType),
        (Report, None, {"ends": datetime(2026, 1, 1)}, ScheduleError),
        (Report, None, {"name": "known"}, DuplicateSchedule),
    ],
)
def test_the_rest_is_refused_with_the_application(tmp_path: Path, job, payload, options, error) -> None:
    """At the set-up, or at once where there is one; the application has no queues then."""
    queues = Queues()
    queues.register(Report)
    queues.schedule("@daily", Report, name="known")
    queues.schedule("@daily", job, payload, **options)
    app = make_app(tmp_path)
    with pytest.raises(error):
        queues.init_app(app)
    assert "queues" not in app.extensions

    queues = Queues(make_app(tmp_path))
    queues.register(Report)
    queues.schedule("@daily", Report, name="known")
    with pytest.raises(error):
        queues.schedule("@daily", job, payload, **options)


def test_a_schedule_can_be_dropped_again(tmp_path: Path) -> None:
    """One of the code before a worker starts; one made at run time from the storage."""
    app = make_app(tmp_path)
    queues = Queues(app)
    queues.register(Report)
    queues.schedule("@daily", Report, name="a")
    queues.scheduler.add("@daily", Report, name="b")
    queues.unschedule("a")
    queues.unschedule("b")
    assert names(queues, app) == []
    queues.manager.storage.close()


def test_a_function_job_and_an_instance_are_scheduled(tmp_path: Path) -> None:
    """As they are pushed."""
    queues = Queues(make_app(tmp_path))
    queues.register(Report)

    @queues.job("mail", queue="mail")
    def send(to: str) -> None: ...

    queues.schedule("@daily", send, {"to": "ada"})
    queues.schedule(
        90, Report().with_payload(page=3).on_queue("slow"), starts=datetime(2027, 1, 1, tzinfo=timezone.utc)
    )
    mail, report = queues.scheduler.all()
    assert (mail.type, mail.queue, mail.payload) == ("mail", "mail", {"to": "ada"})
    assert (report.type, report.queue, report.payload) == ("report", "slow", {"page": 3})
    assert report.next == report.starts
    queues.manager.storage.close()
