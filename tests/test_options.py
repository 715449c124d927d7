"""An option is said in few places, and those agree."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from flask_queues import Job
from flask_queues.job import FUNCTION_OPTIONS
from flask_queues.options import CHECKS, Options
from flask_queues.record import CARRIED, TERMS, JobRecord
from flask_queues.registry import JobType

DOCS = Path(__file__).parent.parent / "docs"


class Coloured(Job):
    """A job type that says as much as it may."""

    type = "tests:coloured"
    queue = "images"
    tries = 7
    timeout = 9.0
    backoff = (1, 2)
    rate = "5/s"
    burst = 2

    def handle(self) -> None:
        """Do nothing."""


def test_every_option_has_a_check_and_every_check_an_option() -> None:
    """What a push may say is read and refused by one list."""
    assert {one.name for one in fields(Options)} == CHECKS.keys()


def test_a_job_type_takes_every_option_that_its_class_has() -> None:
    """Without a list of its own: an attribute of `Job` of an option's name is one."""
    options = JobType(Coloured).options

    assert (options.queue, options.tries, options.timeout, options.backoff) == ("images", 7, 9.0, (1.0, 2.0))
    assert (options.rate, options.burst, options.unique) == ("5/s", 2, None)
    assert {name for name in CHECKS if hasattr(Job, name)} <= FUNCTION_OPTIONS


def test_what_is_kept_of_a_push_is_an_option_and_in_the_record() -> None:
    """And what it carries beside is in the record too."""
    record = {one.name for one in fields(JobRecord)}

    assert set(TERMS) <= CHECKS.keys() & record
    assert set(CARRIED) <= record - CHECKS.keys()


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_option_is_in_the_documents(name: str) -> None:
    """By its name, as one writes it."""
    text = (DOCS / "jobs.md").read_text("utf-8") + (DOCS / "limits.md").read_text("utf-8")

    assert re.search(rf"\b{name}\b *=|`{name}`", text)
