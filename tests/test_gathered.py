"""Gathered jobs as an application defines and pushes them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from flask_queues import Breaker, ConfigError, GatheredJob, PayloadError, Queues, Status
from flask_queues.gathered import read_gathering
from flask_queues.options import Options
from flask_queues.pushing.intake import new_job
from flask_queues.storage.values import NewJob


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


class Few(Orders):
    type = "few"
    size = 3


@pytest.mark.parametrize("encrypted", [False, True])
def test_enough_payloads_of_a_key_do_not_wait_for_their_window(tmp_path: Path, encrypted: bool) -> None:
    """Those of other keys, types and queues wait on, and what waits for a time of its own does not count."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()] if encrypted else None
    queues = Queues(app)
    queues.register(Few, Orders)
    orders = [queues.push(Few, {"customer": 1}) for _ in range(2)]
    others = [
        queues.push(Few, {"customer": 1}, delay=60),
        queues.push(Few, {"customer": 2}),
        queues.push(Few, {"customer": 1}, queue="other"),
        queues.push(Orders, {"customer": 1}),
    ]
    assert {handle.status for handle in orders} == {Status.SCHEDULED}
    orders.append(queues.push(Few, {"customer": 1}))
    assert {handle.status for handle in orders} == {Status.PENDING}
    assert {handle.status for handle in others} == {Status.SCHEDULED}


def test_what_waits_together_is_not_named_after_its_key() -> None:
    """What the storage keeps of it tells nobody the key, and has the same length for any."""
    gathering, _ = read_gathering("few", Few)
    name = gathering.group_of("few", {"customer": "ada@example.org"})
    assert len(name) == len(gathering.group_of("few", {"customer": "x" * 500})) == 32
    assert name not in (gathering.group_of("few", {"customer": 2}), gathering.group_of("many", {"customer": 1}))


def test_a_job_that_is_kept_to_be_pushed_later_waits_with_others_then(queues: Queues) -> None:
    """As what follows another does in an outbox."""
    job = new_job(queues.jobs, queues.manager.config, Orders, {"customer": 1}, Options())
    assert job.gather is not None
    assert NewJob.read(json.loads(json.dumps(job.said()))) == job


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
    ],
)
def test_a_gathered_job_that_cannot_be_is_refused(members: dict[str, Any], says: str) -> None:
    """When it is registered."""
    job = type("Bad", (GatheredJob,), {"type": "bad", "handle": lambda self, payloads: None, **members})
    with pytest.raises(ConfigError, match=says):
        Queues().register(job)


class Held(GatheredJob):
    """Keeps what came together, and when."""

    type = "held"
    window = 1
    tries = 4
    backoff = 1
    jitter = 0
    runs: ClassVar[list[tuple[float, list[int]]]] = []
    fails: ClassVar[bool] = False

    def key(self, payload: dict[str, Any]) -> Any:
        return payload.get("customer")

    def handle(self, payloads: list[dict[str, Any]]) -> None:
        now = self.job.started
        assert now is not None
        self.runs.append((now.timestamp(), [payload["n"] for payload in payloads]))
        if self.fails:
            raise ValueError("not now")


def held_by(**limits: Any) -> Any:
    """The job type under limits, with nothing kept yet."""
    return type("Held", (Held,), {"runs": [], **limits})


def fresh(tmp_path: Path, job: Any) -> Queues:
    """An application with this job type."""
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(job)
    return queues


def test_a_rate_counts_runs(tmp_path: Path) -> None:
    """Whatever number of payloads comes in each."""
    job = held_by(rate="6/m", size=10)
    queues = fresh(tmp_path, job)
    with queues.fake() as fake:
        for n in range(25):
            queues.push(job, {"n": n})
        fake.drain(within=60)
    assert [numbers for _, numbers in job.runs] == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    moments = [moment for moment, _ in job.runs]
    assert all(9.9 < later - sooner < 11.2 for sooner, later in itertools.pairwise(moments))


@pytest.mark.parametrize("limits", [{"concurrency": 1}, {"rate": "10000/m"}, {"concurrency": 1, "rate": "10000/m"}])
def test_what_has_a_key_comes_together_although_others_under_its_limit_are_between(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    """Limits of the whole type, and a backlog of more keys than are looked at at once: nothing is claimed in vain."""
    job = held_by(**limits)
    queues = fresh(tmp_path, job)
    with queues.fake() as fake:
        for n in range(120):
            queues.push(job, {"customer": n % 40, "n": n})
            if n % 40 == 39:
                fake.clock.move(2)
        fake.drain(within=60)
    assert sorted(numbers for _, numbers in job.runs) == [[n, n + 40, n + 80] for n in range(40)]


def test_payloads_under_other_limits_come_in_other_runs(tmp_path: Path) -> None:
    """As where a push says another key for some."""
    job = held_by(concurrency=1)
    queues = fresh(tmp_path, job)
    with queues.fake() as fake:
        for n in range(6):
            queues.push(job, {"n": n}, limit_key="odd" if n % 2 else "even")
        fake.drain(within=60)
    assert sorted(numbers for _, numbers in job.runs) == [[0, 2, 4], [1, 3, 5]]


def test_a_push_may_say_the_limit(tmp_path: Path) -> None:
    """Those that it is said for come together."""
    job = held_by()
    queues = fresh(tmp_path, job)
    with queues.fake() as fake:
        for n in range(6):
            queues.push(job, {"n": n}, concurrency=1 if n < 4 else None)
        fake.drain(within=60)
    assert sorted(numbers for _, numbers in job.runs) == [[0, 1, 2, 3], [4, 5]]


def test_a_breaker_counts_runs(tmp_path: Path) -> None:
    """Two runs that fail hold the type, however many payloads they had; then one run is tried, with all that wait."""
    job = held_by(breaker=Breaker(failures=2, within=600, pause=300), fails=True)
    queues = fresh(tmp_path, job)
    with queues.fake(raises=False) as fake:
        handles = [queues.push(job, {"n": n}) for n in range(5)]
        fake.drain(within=60)
        assert [numbers for _, numbers in job.runs] == [[0, 1, 2, 3, 4]] * 2
        job.fails = False
        fake.drain(within=600)
        assert {handle.status for handle in handles} == {Status.COMPLETED}
    assert [numbers for _, numbers in job.runs] == [[0, 1, 2, 3, 4]] * 3
    assert job.runs[2][0] - job.runs[1][0] >= 300


def test_payloads_of_other_keys_of_a_breaker_come_in_other_runs(tmp_path: Path) -> None:
    """So that one that is held does not hold the others."""
    job = held_by(breaker=Breaker(failures=1, within=600, pause=300, key=lambda payload: f"{payload['n'] % 2}"))
    queues = fresh(tmp_path, job)
    with queues.fake() as fake:
        for n in range(6):
            queues.push(job, {"n": n})
        fake.drain(within=60)
    assert sorted(numbers for _, numbers in job.runs) == [[0, 2, 4], [1, 3, 5]]


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
