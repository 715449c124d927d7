"""Pushing: options, their limits, and what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import Job, OptionError, PayloadError, Queues, ResultNotReady, Status, StorageUnavailable


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


def test_each_of_many_may_have_a_time_of_its_own(queues: Queues) -> None:
    """An instance says it, beside others that say another or none."""
    at = datetime.now(timezone.utc) + timedelta(hours=1)
    pushed = queues.push_many([Resize().delayed(60), (Resize().using(at=at), {"file_id": 7}), Resize()])

    soon, later, now = (handle.record for handle in pushed)
    assert round((soon.due - soon.created).total_seconds()) == 60
    assert abs((later.due - at).total_seconds()) < 0.001
    assert (now.status, soon.status, later.payload) == (Status.PENDING, Status.SCHEDULED, {"file_id": 7})


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


# With an id of one's own


def test_a_push_with_an_id_is_stored_once(queues: Queues) -> None:
    """However often it is repeated, with whatever payload, and whatever became of the job."""
    job_id = queues.new_id(Resize)
    first = queues.push(Resize, {"file_id": 1}, id=job_id)
    again = queues.push(Resize, {"file_id": 2}, id=job_id)
    first.cancel()
    last = queues.push(Resize, {"file_id": 3}, id=job_id)

    assert (first.id, first.created) == (job_id, True)
    assert [(handle.id, handle.created) for handle in (again, last)] == [(job_id, False)] * 2
    assert (last.record.payload, last.status) == ({"file_id": 1}, Status.CANCELLED)
    assert queues.new_id(Resize) != job_id


def test_a_unique_push_with_an_id_is_stored_once(queues: Queues) -> None:
    """A repeated one is told from the first, also when its key is free again; another's key is still another's."""
    first_id, second_id = queues.new_id(Resize), queues.new_id(Resize)
    told = [queues.push(Resize, id=job_id, unique="k") for job_id in (first_id, first_id, second_id)]
    assert [(handle.id, handle.created) for handle in told] == [(first_id, True), (first_id, False), (first_id, False)]

    told[0].cancel()
    again = queues.push(Resize, id=first_id, unique="k")
    assert (again.created, again.status) == (False, Status.CANCELLED)
    assert queues.push(Resize, id=second_id, unique="k").created


def test_an_id_is_made_for_a_queue(queues: Queues) -> None:
    """The job's, or one that is named; an engine finds a job by it, so that another queue's is refused."""
    by_type, by_name, usual = queues.new_id(Resize), queues.new_id(queue="slow"), queues.new_id()
    assert queues.push(Resize, id=by_type).record.queue == "images"
    assert queues.push(Resize, queue="slow", id=by_name).record.queue == "slow"
    assert queues.push(Resize, queue="default", id=usual).record.queue == "default"
    instance = Resize().on_queue("slow")
    assert queues.push(instance, id=queues.new_id(instance)).record.queue == "slow"
    with pytest.raises(OptionError, match=r"was not made for the queue images; take queues.new_id\(queue='images'\)"):
        queues.push(Resize, id=queues.new_id(queue="slow"))
    for wrong in ("", "7", "x" * 26, 7):
        with pytest.raises(OptionError, match="is not the id of a job"):
            queues.push(Resize, id=wrong)
    with pytest.raises(OptionError, match="queue"):
        queues.new_id(queue="no queue!")


def test_each_of_many_may_have_an_id(queues: Queues) -> None:
    """On its instance; they cannot share one, nor can a chain, a batch or a schedule have one."""
    ids = [queues.new_id(Resize) for _ in range(3)]
    jobs = [Resize().with_payload(file_id=n).using(id=job_id) for n, job_id in enumerate(ids)]
    assert [(handle.id, handle.created) for handle in queues.push_many(jobs[:2])] == [(one, True) for one in ids[:2]]
    assert [handle.created for handle in queues.push_many(jobs)] == [False, False, True]

    fresh = queues.new_id(Resize)
    with pytest.raises(OptionError, match="cannot share an id"):
        queues.push_many([(Resize, {}), (Resize, {})], id=fresh)
    for refused in (
        lambda: queues.chain([Resize]).push(id=fresh),
        lambda: queues.chain([Resize().using(id=fresh), Resize]).push(),
        lambda: queues.batch([Resize().using(id=fresh)]).push(),
        lambda: queues.scheduler.add("@daily", Resize, name="daily", id=fresh),
    ):
        with pytest.raises(OptionError, match="only a push of one job takes an id"):
            refused()
    assert queues.counts().statuses["pending"] == 3


def test_a_push_whose_fate_is_unknown_can_be_repeated(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the ids, those of many in their order."""
    storage = queues.manager.storage
    push = storage.push

    def stored_and_lost(jobs: Any) -> Any:
        push(jobs)
        raise StorageUnavailable("The storage does not answer. What was sent may have been done.")

    with monkeypatch.context() as patched:
        patched.setattr(storage, "push", stored_and_lost)
        with pytest.raises(StorageUnavailable) as one:
            queues.push(Resize, {"file_id": 1})
        with pytest.raises(StorageUnavailable) as many:
            queues.push_many([(Resize, {"file_id": n}) for n in (2, 3)])

    [job_id] = one.value.ids
    assert not queues.push(Resize, {"file_id": 1}, id=job_id).created
    again = [
        Resize().with_payload(file_id=n).using(id=job_id) for n, job_id in zip((2, 3), many.value.ids, strict=True)
    ]
    assert [handle.created for handle in queues.push_many(again)] == [False, False]
    assert sorted(job.payload["file_id"] for job in queues.jobs_of().jobs) == [1, 2, 3]


def test_a_function_job_takes_an_id(queues: Queues) -> None:
    """As every option, beside its payload."""

    @queues.job("shop:mail", queue="mail")
    def mail(to: str) -> None: ...

    job_id = queues.new_id(mail)
    assert mail.using(id=job_id).push(to="ada").created
    assert not mail.using(id=job_id).push(to="ada").created
