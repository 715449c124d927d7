"""Gathered jobs as an application defines and pushes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask

from flask_queues import ConfigError, GatheredJob, OptionError, PayloadError, Queues, Status


@dataclass
class Order:
    customer: int
    what: str = "book"


class Orders(GatheredJob):
    type = "orders"
    window = 60
    seen: ClassVar[list[Any]] = []

    def key(self, payload: dict[str, Any]) -> Any:
        return payload["customer"]

    def handle(self, orders: list[Order]) -> int:
        self.seen.append(orders)
        return len(orders)


class Plain(GatheredJob):
    type = "plain"

    def handle(self, payloads: list[dict[str, Any]]) -> None: ...


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(Orders, Plain)
    return queues


def test_payloads_of_one_key_are_due_at_one_moment(queues: Queues) -> None:
    """Within the window; those of another key at another, so that not all come at once."""
    due = [queues.push(Orders, {"customer": 1}).record.due for _ in range(3)]
    assert len(set(due)) <= 2  # a window may end in between
    now = datetime.now(timezone.utc)
    assert all(now < one <= now + timedelta(seconds=60) for one in due)
    others = {queues.push(Orders, {"customer": n}).record.due for n in range(20)}
    assert len(others) > 10


@pytest.mark.parametrize("when", ["delay", "at"])
def test_a_push_that_says_when_is_due_then(queues: Queues, when: str) -> None:
    """Instead of the end of a window."""
    said: Any = 5 if when == "delay" else datetime.now(timezone.utc) + timedelta(seconds=5)
    record = queues.push(Orders, {"customer": 1}, **{when: said}).record
    assert record.due < datetime.now(timezone.utc) + timedelta(seconds=6)
    assert record.status is Status.SCHEDULED


def test_each_payload_is_checked_at_the_push(queues: Queues) -> None:
    """Against the dataclass of the list; any dict where it is made of dicts."""
    with pytest.raises(PayloadError, match="'customer' is missing"):
        queues.push(Orders, {"what": "pen"})
    with pytest.raises(PayloadError, match="no argument 'who'"):
        queues.push(Orders, {"customer": 1, "who": "ada"})
    with pytest.raises(PayloadError, match="'customer'"):
        queues.push(Orders, {"customer": "x"})
    queues.push(Plain, {"whatever": [1, 2]})


def test_a_dataclass_arrives_as_one(queues: Queues) -> None:
    """Also where one is run alone, in the foreground."""
    Orders.seen.clear()
    handle = queues.push(Orders, {"customer": 7}, delay=0)
    result = queues.manager.app.test_cli_runner().invoke(args=["queues", "run", handle.id])
    assert result.exit_code == 0, result.output
    assert Orders.seen == [[Order(7)]]
    assert handle.result() == 1


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"handle": lambda self: None}, "takes one argument"),
        ({"handle": lambda self, a, b: None}, "takes one argument"),
        ({"window": 0}, "window: 0 s is out of range"),
        ({"size": 0}, "size: 0 is not a whole number from 1 to 1000"),
        ({"concurrency": 1}, "claimed alone"),
        ({"rate": "1/s"}, "claimed alone"),
    ],
)
def test_a_gathered_job_that_cannot_be_is_refused(members: dict[str, Any], says: str) -> None:
    """When it is registered."""
    job = type("Bad", (GatheredJob,), {"type": "bad", "handle": lambda self, payloads: None, **members})
    with pytest.raises(ConfigError, match=says):
        Queues().register(job)


def test_a_push_cannot_put_it_under_a_limit(queues: Queues) -> None:
    """Since it would be claimed alone then."""
    with pytest.raises(OptionError, match="claimed alone"):
        queues.push(Plain, {}, concurrency=1)


def test_what_is_never_tried_again_ends_all_that_came_together(tmp_path: Path) -> None:
    """An exception of `fail_on` left their one run, whatever tries each has left."""
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.register
    class Hopeless(GatheredJob):
        type = "hopeless"
        fail_on = (ValueError,)
        retry_for = 3600

        def handle(self, payloads: list[dict[str, Any]]) -> None:
            raise ValueError(f"{len(payloads)} at once")

    with queues.fake(raises=False) as fake:
        handles = [queues.push(Hopeless, {"n": n}) for n in range(3)]
        fake.drain(within=60)
        assert [handle.status for handle in handles] == [Status.FAILED] * 3
        assert {str(handle.record.error) for handle in handles} == {"ValueError: 3 at once"}
