"""A look at the thresholds: what is measured, who says it, and who hears it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, current_app

from flask_queues import Alert, Outcome, Queues, Status
from flask_queues.alerts.herald import Herald
from flask_queues.alerts.lookout import look
from flask_queues.alerts.readings import Instruments
from flask_queues.alerts.standing import standing_alerts
from flask_queues.causes import cause_of_job
from flask_queues.config.alertkeys import read_thresholds
from flask_queues.metrics import gather
from flask_queues.record import to_datetime
from flask_queues.scheduler.definition import Definition
from flask_queues.scheduler.state import State, read_state
from flask_queues.scheduler.ticker import Ticker
from flask_queues.signals import alert_changed
from flask_queues.storage import Storage
from flask_queues.telling import Teller
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import a_worker, complete, error_text, fill, settle, take_one
from tests.storage.engines import SQLiteEngine

LEASE = 30.0


@pytest.fixture
def engine(tmp_path: Path) -> SQLiteEngine:
    """A file in the test's folder."""
    return SQLiteEngine(tmp_path)


@pytest.fixture
def clock(engine: SQLiteEngine) -> Iterator[Clock]:
    """The storage's clock, which stands still."""
    with engine.clock() as clock:
        yield clock


@pytest.fixture
def storage(engine: SQLiteEngine, clock: Clock) -> Iterator[Storage]:
    """An empty storage."""
    storage = engine.open()
    yield storage
    storage.close()


class Told(Herald):
    """Remembers what it was told, and tells nobody."""

    def __init__(self) -> None:
        super().__init__(Flask("shop"), list)
        self.alerts: list[Alert] = []

    def tell(self, alerts: Any) -> None:
        self.alerts += alerts

    def since_last(self) -> list[tuple[str, str, bool]]:
        """Kind, queue and whether it stands, of what was told since this was asked."""
        told, self.alerts = self.alerts, []
        return [(alert.kind, alert.schedule or alert.queue, alert.active) for alert in told]


class Keeper:
    """Looks like one, whenever it is told to."""

    def __init__(self, storage: Storage, clock: Clock, **rules: dict[str, Any]) -> None:
        self.storage, self.clock = storage, clock
        thresholds = {{"every": "*"}.get(queue, queue): read_thresholds("A", one) for queue, one in rules.items()}
        self.instruments = Instruments(storage, thresholds, {"default"}, LEASE)
        self.told = Told()

    def look(self, after: int = 5_000) -> list[tuple[str, str, bool]]:
        """What is said."""
        self.clock.advance(after)
        look(self.storage, self.instruments, self.told)
        return self.told.since_last()


def live(storage: Storage, *queues: str) -> None:
    """A worker of these queues gives a sign of life."""
    storage.heartbeat(a_worker("w", queues=queues), 600_000)


def count(storage: Storage, clock: Clock) -> None:
    """Count what has ended."""
    clock.advance(2_000)
    while gather(storage, cause_of_job):
        pass


def test_pending_jobs_and_their_wait_are_measured_by_queue(storage: Storage, clock: Clock) -> None:
    """Of queues that have a threshold; scheduled ones do not wait."""
    keeper = Keeper(storage, clock, q={"pending": 1, "longest_wait": 60}, other={"pending": 1})
    fill(storage, "a", "b")
    fill(storage, "c", delay=600_000)
    fill(storage, "d", "e", queue="third")
    assert keeper.look() == [("pending", "q", True)]
    assert keeper.look(after=55_001) == [("longest_wait", "q", True)]
    for _ in range(2):
        complete(storage, take_one(storage))
    assert keeper.look() == [("pending", "q", False), ("longest_wait", "q", False)]


def test_a_star_stands_for_every_queue_without_thresholds_of_its_own(storage: Storage, clock: Clock) -> None:
    """Known by the configuration, or since it holds jobs."""
    keeper = Keeper(storage, clock, every={"pending": 0}, quiet={"pending": 5})
    for queue in ("default", "quiet", "new"):
        fill(storage, queue, queue=queue)
    assert keeper.look() == [("pending", "default", True), ("pending", "new", True)]


def test_failures_of_the_last_hour_are_counted_the_minute_that_runs_too(storage: Storage, clock: Clock) -> None:
    """And forgotten an hour later."""
    keeper = Keeper(storage, clock, q={"failures_per_hour": 1})
    count(storage, clock)
    for job in ("a", "b"):
        fill(storage, job)
        settle(storage, take_one(storage), Status.FAILED, Outcome.FAILED, counted=True, error=error_text("no"))
        count(storage, clock)
    assert keeper.look() == [("failures_per_hour", "q", True)]
    clock.advance(58 * 60_000)
    count(storage, clock)
    assert keeper.look() == []
    clock.advance(2 * 60_000)
    count(storage, clock)
    assert keeper.look() == [("failures_per_hour", "q", False)]


def test_a_queue_grows_while_more_comes_than_can_be_done(storage: Storage, clock: Clock) -> None:
    """Said once, as the forecast has it, and once when it is over; few jobs are no measure."""
    clock.advance(60_000 - clock.now() % 60_000)  # whole minutes are measured
    keeper = Keeper(storage, clock, q={"grows": 20})

    def minute(came: int, done: int) -> list[tuple[str, str, bool]]:
        """What is said within a minute in which so many came, and so many were done in six seconds each."""
        fill(storage, *(f"{clock.now()}-{n}" for n in range(came)))
        for _ in range(done):
            claim = take_one(storage)
            clock.advance(6_000)
            complete(storage, claim)
        clock.advance(max(0, 60_000 - done * 6_000))
        count(storage, clock)
        said = []
        for _ in range(5):
            storage.heartbeat(a_worker("w", "c", queues=("q",), heartbeat=to_datetime(clock.now())), 600_000)
            said += keeper.look()
        return said

    count(storage, clock)
    assert minute(came=30, done=3) == []  # one process does ten a minute; too few to tell
    assert minute(came=30, done=9) == [("grows", "q", True)]
    assert minute(came=15, done=9) == []
    assert [minute(came=0, done=9) for _ in range(5)].count([("grows", "q", False)]) == 1


def test_a_queue_that_nobody_serves_is_said_by_who_serves_another(storage: Storage, clock: Clock) -> None:
    """After half a minute; the worker that said nothing for its lease is none."""
    keeper = Keeper(storage, clock, mail={"no_worker": True}, default={"no_worker": True})
    for _ in range(6):
        live(storage, "default")
        assert keeper.look() == []
    live(storage, "default")
    assert keeper.look() == [("no_worker", "mail", True)]
    live(storage, "default", "mail")
    assert keeper.look() == [("no_worker", "mail", False)]


def schedule(storage: Storage, clock: Clock, name: str = "often") -> None:
    """A schedule that is due every minute."""
    definition = Definition(name=name, when=60.0, timezone="UTC", type="t", queue="q", payload="{}", overlap=True)
    assert storage.put_schedule(State.new(definition, "", clock.now()).row())


def test_a_schedule_is_late_while_it_is_overdue_and_until_one_is_in_time(storage: Storage, clock: Clock) -> None:
    """One without a threshold for its queue is nobody's matter."""
    clock.advance(
        100_000 - clock.now() % 60_000
    )  # the second half of a minute, in which what was due at its start is late
    keeper = Keeper(storage, clock, q={"schedule_late": 30})
    schedule(storage, clock)
    assert keeper.look() == []
    assert keeper.look(after=120_000) == [("schedule_late", "often", True)]
    Ticker(storage, Teller(Flask(__name__), lambda: storage)).drain()
    assert keeper.look() == []
    clock.advance(60_000 - clock.now() % 60_000)
    Ticker(storage, Teller(Flask(__name__), lambda: storage)).drain()
    assert keeper.look(after=4_600) == [("schedule_late", "often", False)]
    assert Keeper(storage, clock, other={"schedule_late": 0}).look(after=500_000) == []


def test_a_schedule_that_is_paused_or_over_is_not_late(storage: Storage, clock: Clock) -> None:
    """Nor one that a newer version has stored, of which nothing is known; nor one that has just been resumed."""
    definition = Definition(name="over", when=60.0, timezone="UTC", type="t", queue="q", payload="{}", times=1)
    paused = State.new(replace(definition, name="paused", when=600.0, times=None), "", clock.now())
    assert storage.put_schedule(replace(State.new(definition, "", clock.now()), left=0).row())
    assert storage.put_schedule(replace(paused, paused="holidays").row())
    assert storage.put_schedule(paused.row()._replace(name="newer", about=json.dumps({"v": 99})))
    keeper = Keeper(storage, clock, q={"schedule_late": 30})
    clock.advance(700_000 - clock.now() % 600_000)  # it would have been due 100 s ago
    assert keeper.look(after=0) == []
    Ticker(storage, Teller(Flask(__name__), lambda: storage)).drain()
    (row,) = [row for row in storage.schedules() if row.name == "paused"]
    state = read_state(row)
    assert state is not None
    assert storage.put_schedule(replace(state, paused=None).row())
    assert keeper.look() == []
    assert keeper.look(after=600_000) == [("schedule_late", "paused", True)]


def test_a_change_of_one_schedule_does_not_hide_another(storage: Storage, clock: Clock) -> None:
    """Only the one that was changed is read again, and both are measured."""
    clock.advance(100_000 - clock.now() % 60_000)
    keeper = Keeper(storage, clock, q={"schedule_late": 30})
    schedule(storage, clock, "often")
    assert keeper.look() == []
    schedule(storage, clock, "other")
    assert keeper.look(after=5_000) == []
    assert keeper.look(after=120_000) == [("schedule_late", "often", True), ("schedule_late", "other", True)]


def test_a_queue_that_one_of_several_workers_serves_is_served(storage: Storage, clock: Clock) -> None:
    """The others need not."""
    keeper = Keeper(storage, clock, mail={"no_worker": True})
    for _ in range(10):
        for name, queue in (("a", "default"), ("b", "mail"), ("c", "default")):
            storage.heartbeat(a_worker(name, queues=(queue,)), 600_000)
        assert keeper.look() == []


def test_alerts_that_stand_are_listed_the_last_first(storage: Storage, clock: Clock) -> None:
    """Whatever their queues are called."""
    keeper = Keeper(storage, clock, a={"pending": 0}, b={"pending": 0}, c={"pending": 0})
    for queue in "bca":
        fill(storage, queue, queue=queue)
        keeper.look()
    assert [alert.queue for alert in standing_alerts(storage)] == ["a", "c", "b"]


def test_of_two_keepers_one_says_it(storage: Storage, clock: Clock, engine: SQLiteEngine) -> None:
    """One who comes a moment later has nothing to do; one who was overtaken has done nothing."""
    fill(storage, "a")
    first, second = (Keeper(one, clock, q={"pending": 0}) for one in (storage, engine.open()))
    assert first.look() == [("pending", "q", True)]
    clock.advance(4_000)
    assert not look(second.storage, second.instruments, second.told)
    clock.advance(1_000)
    assert look(second.storage, second.instruments, second.told)
    assert second.told.since_last() == []
    read = first.instruments.read

    def overtaken(now: int) -> Any:
        found = list(read(now))
        assert second.look(after=0) == [("pending", "q", False)]
        return found

    complete(storage, take_one(storage))
    first.instruments.read = overtaken  # type: ignore[method-assign]
    assert first.look() == []
    second.storage.close()


# --- Who hears it -----------------------------------------------------------------------------------------------------


class Shop:
    """An application with one threshold."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.flask = Flask("shop", instance_path=str(folder))
        self.flask.config["QUEUES_ALERTS"] = {"default": {"pending": 0}}
        self.flask.config.update(config)
        self.heard: list[tuple[str, str]] = []
        self.queues = Queues()
        self.queues.job("noop")(lambda: None)

    def hear(self, who: str) -> Any:
        """A receiver that remembers what it hears, and in which application."""
        return lambda alert: self.heard.append((who, f"{alert.kind} {current_app.name}"))

    def cross(self) -> None:
        """Cross the threshold, let a keeper look, and wait until everybody has heard of it."""
        self.queues.init_app(self.flask)
        self.look()

    def look(self) -> None:
        """The same for an application that is set up."""
        self.queues.push("noop")
        self.queues.manager.look_out()
        self.queues.manager.finish_telling(60)
        self.queues.manager.storage.close()


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_receivers_of_every_kind_hear_of_an_alert(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """That of the configuration, decorated ones, those of the signal, and the log; a broken one keeps none from it."""
    caplog.set_level(logging.INFO, "flask_queues.alerts")
    shop = Shop(tmp_path)

    def broken(alert: Alert) -> None:
        raise error(f"cannot tell of {alert.kind}")

    def signalled(sender: Flask, alert: Alert) -> None:
        shop.heard.append((f"signal of {sender.name}", alert.kind))

    shop.flask.config["QUEUES_ALERT_RECEIVER"] = shop.hear("configured")
    shop.queues.on_alert(broken)
    shop.queues.on_alert(shop.hear("decorated"))
    with alert_changed.connected_to(signalled, shop.flask):
        shop.cross()
    assert shop.heard == [
        ("configured", "pending shop"), ("decorated", "pending shop"), ("signal of shop", "pending"),
    ]  # fmt: skip
    said = [(record.levelname, record.getMessage()) for record in caplog.records if record.name.endswith("alerts")]
    assert said[0] == ("WARNING", "Jobs pending in default: 1; 0 are allowed.")
    assert "broken of alerts raised" in said[1][1]
    assert [str(alert) for alert in shop.queues.manager.alerts()] == [said[0][1]]


@pytest.mark.parametrize("kind", ["decorated", "signal"])
def test_one_receiver_of_whatever_kind_is_enough(tmp_path: Path, kind: str) -> None:
    """Nobody else need be there for it to hear."""
    shop = Shop(tmp_path)
    heard = []
    if kind == "decorated":
        shop.queues.on_alert(lambda alert: heard.append(alert.kind))
        shop.cross()
    else:

        def signalled(sender: Flask, alert: Alert) -> None:
            heard.append(alert.kind)

        with alert_changed.connected_to(signalled, shop.flask):
            shop.cross()
    assert heard == ["pending"]


def test_a_receiver_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment does, which cannot hold a function; its module is imported once there is an alert."""
    heard: list[str] = []
    shop = Shop(tmp_path, QUEUES_ALERT_RECEIVER="shop_alerts:tell")
    shop.queues.init_app(shop.flask)
    module = ModuleType("shop_alerts")
    module.tell = lambda alert: heard.append(f"{alert.kind} {current_app.name}")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_alerts", module)
    shop.look()
    assert heard == ["pending shop"]


@pytest.mark.parametrize("name", ["not_there:tell", "json:tell", "json:__doc__"])
def test_a_receiver_that_there_is_not_keeps_no_other_from_hearing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The log says what is wrong with the name."""
    shop = Shop(tmp_path, QUEUES_ALERT_RECEIVER=name)
    shop.queues.on_alert(shop.hear("decorated"))
    shop.cross()
    assert shop.heard == [("decorated", "pending shop")]
    assert f"The receiver {name} of alerts raised." in caplog.text
    assert f"QUEUES_ALERT_RECEIVER = {name!r}: the module " in caplog.text


def test_an_async_receiver_is_awaited_where_flask_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the application's own bridge, like views and jobs."""
    shop = Shop(tmp_path)

    @shop.queues.on_alert
    async def tell(alert: Alert) -> None:
        shop.heard.append(("awaited", alert.kind))

    monkeypatch.setattr(shop.flask, "async_to_sync", lambda function: lambda *given: asyncio.run(function(*given)))
    shop.cross()
    assert shop.heard == [("awaited", "pending")]


def test_alerts_are_told_one_after_another() -> None:
    """In their order, however long a receiver takes: that something is over is not told before it began."""
    told: list[float] = []
    begun, may_end = threading.Event(), threading.Event()

    def receiver(alert: Alert) -> None:
        told.append(alert.value)
        begun.set()
        may_end.wait(120)

    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    alerts = [Alert(kind="pending", queue="q", value=n, threshold=0, since=moment) for n in range(5)]
    herald = Herald(Flask("shop"), lambda: [receiver])
    herald.tell(alerts[:1])
    assert begun.wait(60)
    herald.tell(alerts[1:])
    herald.finish(0.01)
    assert told == [0]
    may_end.set()
    herald.finish(60)
    assert told == [0, 1, 2, 3, 4]


def test_a_receiver_that_hangs_does_not_hold_up_the_keeper(tmp_path: Path) -> None:
    """It is told in a thread, for which the keeper waits only at its end, and not for ever."""
    shop = Shop(tmp_path)
    begun, may_end = threading.Event(), threading.Event()

    @shop.queues.on_alert
    def hangs(alert: Alert) -> None:
        begun.set()
        may_end.wait(120)
        shop.heard.append(("hung", alert.kind))

    shop.queues.init_app(shop.flask)
    shop.queues.push("noop")
    shop.queues.manager.look_out()
    assert begun.wait(60)
    shop.queues.manager.finish_telling(0.01)
    assert shop.heard == []
    may_end.set()
    shop.queues.manager.finish_telling(60)
    assert shop.heard == [("hung", "pending")]
    shop.queues.manager.storage.close()


def test_without_thresholds_nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the storage is built."""
    shop = Shop(tmp_path, QUEUES_ALERTS={})
    shop.queues.init_app(shop.flask)
    shop.queues.manager.look_out()
    assert shop.queues.manager._storage is None


def test_a_look_that_fails_keeps_nobody_from_his_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log, once a minute."""
    shop = Shop(tmp_path)

    def broken(*_: Any) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(Instruments, "read", broken)
    shop.cross()
    assert "could not be looked at" in caplog.text
