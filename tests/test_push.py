"""Pushing: options, their limits, and what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import Job, OptionError, PayloadError, Queues, ResultNotReady, Status


class Resize(Job):
    type = "shop:resize"
    queue = "images"
    priority = 5
    tags = ("picture",)
    tries = 4

    def handle(self, file_id: int = 0) -> None: ...


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(Resize)
    return queues


def test_what_the_push_does_not_say_the_job_type_says(queues: Queues) -> None:
    """Queue, priority and tags come from the class; the record keeps nothing that the class may change."""
    record = queues.push(Resize).record

    assert (record.queue, record.priority, record.tags, record.tries) == ("images", 5, ("picture",), None)


def test_what_the_push_says_goes_over_the_job_type(queues: Queues) -> None:
    """Tags are added; everything else is replaced."""
    record = queues.push(
        Resize, queue="slow", priority=-100, tags=["user:7", "picture"], tries=1, timeout=2.5, backoff=[1, 60]
    ).record

    assert (record.queue, record.priority, record.tags) == ("slow", -100, ("picture", "user:7"))
    assert (record.tries, record.timeout, record.backoff) == (1, 2.5, (1.0, 60.0))


def test_an_instance_carries_its_options_and_the_push_has_the_last_word(queues: Queues) -> None:
    """Fluent options and those of the push are the same."""
    job = Resize().with_payload(file_id=3).on_queue("slow").using(priority=1).delayed(timedelta(minutes=1))

    record = queues.push(job, priority=2).record

    assert (record.payload, record.queue, record.priority) == ({"file_id": 3}, "slow", 2)
    assert record.due - record.created == timedelta(minutes=1)


def test_a_job_with_a_time_is_scheduled_and_one_whose_time_is_over_is_pending(queues: Queues) -> None:
    """A past time means now."""
    now = datetime.now(timezone.utc)
    plus_five = timezone(timedelta(hours=5))

    later = queues.push(Resize, at=(now + timedelta(hours=1)).astimezone(plus_five)).record
    past = queues.push(Resize, at=now - timedelta(hours=1)).record

    assert later.status is Status.SCHEDULED
    assert abs(later.due - now - timedelta(hours=1)) < timedelta(milliseconds=2)
    assert past.status is Status.PENDING


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"at": datetime(2026, 1, 1)}, "at: 2026-01-01T00:00:00 has no time zone"),
        ({"at": "tomorrow"}, "at: 'tomorrow' is not a datetime"),
        ({"delay": -1}, "delay: -1 s is out of range"),
        ({"delay": float("nan")}, "delay: nan is not a number of seconds"),
        ({"delay": 10**12}, "delay: 1e+12 s is out of range"),
        ({"delay": True}, "delay: True is not a number of seconds"),
        ({"at": datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-10)))}, "is more than ten years from now"),
        ({"delay": 1, "at": datetime.now(timezone.utc)}, "a delay or a time (at), not both"),
        ({"timeout": 0}, "timeout: 0 s is out of range"),
        ({"timeout": -5}, "timeout: -5 s is out of range"),
        ({"tries": 0}, "tries: 0 is not a whole number from 1 to 1000"),
        ({"priority": 101}, "priority: 101 is not a whole number from -100 to 100"),
        ({"priority": 1.5}, "priority: 1.5"),
        ({"queue": ""}, "queue: '' is not a queue name"),
        ({"queue": "q" * 65}, "is not a queue name"),
        ({"queue": "a b"}, "is not a queue name"),
        ({"tags": "abc"}, "tags: 'abc' is not a list"),
        ({"tags": [""]}, "is not a tag"),
        ({"tags": ["a\nb"]}, "is not a tag"),
        ({"tags": ["\ud800"]}, "is not a tag"),
        ({"tags": [str(n) for n in range(21)]}, "21 tags are too many"),
        ({"expires": -1}, "expires: -1 s is out of range"),
        ({"backoff": []}, "backoff: the list of waits is empty"),
        ({"backoff": [-1]}, "backoff: -1 s is out of range"),
        ({"prioriy": 1}, "There is no option 'prioriy'"),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_is_stored(queues: Queues, options: dict[str, Any], said: str) -> None:
    """With the option's name and what it takes."""
    with pytest.raises(OptionError) as caught:
        queues.push(Resize, **options)

    assert said in str(caught.value)
    assert queues.counts().cells == {}


def test_a_payload_is_a_dict(queues: Queues) -> None:
    """Anything else is refused in words."""
    with pytest.raises(PayloadError, match=r"a payload is a dict of arguments, not list\."):
        queues.push(Resize, [1])  # type: ignore[arg-type]


def test_many_jobs_are_pushed_in_their_order(queues: Queues) -> None:
    """More than a slice of 500, each with its own payload."""
    handles = queues.push_many([(Resize, {"file_id": n}) for n in range(1201)], tags=["import:1"])

    page = queues.jobs_of(tag="import:1", limit=5)
    assert [record.payload["file_id"] for record in page.jobs] == [1200, 1199, 1198, 1197, 1196]
    assert queues.counts().statuses["pending"] == len(handles) == 1201
    assert len({handle.id for handle in handles}) == 1201


def test_of_many_jobs_none_is_stored_when_one_is_wrong(queues: Queues) -> None:
    """All are checked first."""
    with pytest.raises(PayloadError, match="file_id"):
        queues.push_many([(Resize, {"file_id": 1})] * 600 + [(Resize, {"file_id": "x"})])

    assert queues.counts().cells == {}


def test_many_jobs_may_be_spread_over_a_time(queues: Queues) -> None:
    """The first starts at once, the others evenly after it."""
    records = [handle.record for handle in queues.push_many([Resize()] * 4, spread=60)]

    waits = [round((record.due - record.created).total_seconds()) for record in records]
    assert waits == [0, 15, 30, 45]


def test_a_result_is_not_waited_for_unless_asked(queues: Queues) -> None:
    """In a request nothing waits by default."""
    handle = queues.push(Resize)

    with pytest.raises(ResultNotReady, match="is pending and has no result yet"):
        handle.result()
    with pytest.raises(ResultNotReady):
        handle.result(timeout=0.02)


def test_secrets_and_lists_of_the_class_are_not_shared_between_instances(queues: Queues) -> None:
    """Two instances of a job type have two payloads."""
    first, second = Resize().with_payload(file_id=1), Resize().with_payload(file_id=2)

    assert [handle.record.payload for handle in queues.push_many([first, second])] == [{"file_id": 1}, {"file_id": 2}]
