"""What an admin should know: alerts, jobs that have failed for good, and runs that took long."""

import time
from collections.abc import Generator

from flask import Flask, current_app

from flask_queues import Alert, Job, JobError
from flask_queues.builtin import Heartbeat
from flask_queues.signals import job_failed

from . import database
from .database import Row
from .extensions import queues

queues.register(Heartbeat)


def init_app(app: Flask) -> None:
    """Listen to this application; with `HEARTBEAT_URL`, a watchdog elsewhere notices when its schedules stand still."""
    job_failed.connect(note_failure, app)
    if app.config["HEARTBEAT_URL"]:
        with app.app_context():
            queues.scheduler.define("*/5 * * * *", Heartbeat, {"url": app.config["HEARTBEAT_URL"]}, name="heartbeat")


@queues.on_alert
def note_alert(alert: Alert) -> None:
    """Is called once when a threshold of `QUEUES_ALERTS` is crossed, and once when that is over."""
    note(str(alert))


def note_failure(_app: Flask, *, type: str, error: JobError, **_more: object) -> None:  # noqa: A002
    """A signal: it may also be missed, so what must happen belongs into `failed()` of the job."""
    note(f"{queues.jobs[type].name} has failed: {error.type.rpartition('.')[2]}")  # a message may repeat secrets


@queues.around
def warn_when_slow(job: Job) -> Generator[None]:
    """Runs around every run of every job."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    if took > current_app.config["SLOW"]:
        current_app.logger.warning("%s took %.1f s", job.type, took)


def note(text: str) -> None:
    database.change("insert into notices (text) values (?)", text)


def newest(limit: int = 10) -> list[Row]:
    return database.rows("select * from notices order by id desc limit ?", limit)
