"""Exceptions after which a job is not tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import ConfigError, Job, Queues, Status


class GoneError(LookupError):
    """What the job is about is not there any more."""


class Import(Job):
    type = "shop:import"
    tries = 5
    discard_on = (GoneError,)
    fail_on = (ValueError,)
    heard: list[str] = []  # noqa: RUF012 - emptied by the test

    def handle(self, how: str) -> None:
        raise {"gone": GoneError("row 7"), "wrong": ValueError("no number"), "late": OSError("later")}[how]

    def failed(self, exception: BaseException) -> None:
        self.heard.append(str(exception))


@pytest.mark.parametrize(
    ("how", "status", "reason", "heard"),
    [
        ("gone", Status.CANCELLED, "GoneError: row 7", []),
        ("wrong", Status.FAILED, None, ["no number"]),
        ("late", Status.SCHEDULED, None, []),
    ],
)
def test_what_an_exception_makes_of_a_job(tmp_path: Path, how: str, status: Status, reason: Any, heard: Any) -> None:
    """Discarded, failed at once with its last words, or tried again like any other."""
    app = Flask("shop", instance_path=str(tmp_path))
    queues = Queues(app)
    queues.register(Import)
    Import.heard.clear()
    handle = queues.push(Import, {"how": how})
    app.test_cli_runner().invoke(args=["queues", "run", handle.id])
    record = handle.record
    assert (record.status, record.reason, record.attempts) == (status, reason, 1)
    assert Import.heard == heard


def test_what_is_no_class_of_exceptions_is_refused() -> None:
    """When the job type is registered."""
    bad = type("Bad", (Job,), {"type": "bad", "fail_on": ("ValueError",), "handle": lambda self: None})
    with pytest.raises(ConfigError, match="fail_on holds 'ValueError', which is no class of exceptions"):
        Queues().register(bad)
