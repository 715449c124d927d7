"""Stored schedules that somebody, or a disk, has damaged: the others are fired as ever."""

from __future__ import annotations

import json

import pytest

from flask_queues import ScheduleNotFound
from flask_queues.manager import Manager
from flask_queues.storage.values import Schedule

from .conftest import Clock, Report

DAMAGES = {
    "no JSON": "{",
    "no object": "[]",
    "no version": "{}",
    "no definition": json.dumps({"v": 1}),
    "a version that is none": json.dumps({"v": "one"}),
}
PARTS = {"cursor": "soon", "left": "many", "paused": 7, "source": None, "last": 5}
FIELDS = {"when": None, "timezone": 3, "payload": "{", "options": "[", "expires": "x", "queue": "else", "name": "else"}


def stored(manager: Manager, name: str) -> Schedule:
    """The row of a schedule."""
    return next(row for row in manager.storage.schedules() if row.name == name)


def damage(manager: Manager, name: str, about: str) -> None:
    """Write something else in place of what is stored of a schedule."""
    assert manager.storage.put_schedule(stored(manager, name)._replace(about=about))


@pytest.mark.parametrize("about", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_schedule_holds_up_no_other(manager: Manager, clock: Clock, caplog, about):
    """It is not fired, which is said once; it is in no list."""
    for name in ("sound", "broken"):
        manager.scheduler.add("0 * * * *", Report, name=name, overlap=True)
    damage(manager, "broken", about)
    ticker = manager.scheduler.ticker()
    for _ in range(2):
        clock.advance(hours=1)
        assert ticker.drain() == 1
        manager.scheduler.change("sound", priority=1)
    assert caplog.text.count("The schedule broken is damaged in the storage, and not fired.") == 1
    assert [one.name for one in manager.scheduler.all()] == ["sound"]


@pytest.mark.parametrize(("part", "value"), [*PARTS.items(), *FIELDS.items()])
def test_each_part_is_looked_at(manager: Manager, part, value):
    """What is of another kind than it should be would stop every worker's schedules."""
    manager.scheduler.add("0 * * * *", Report, name="broken")
    about = json.loads(stored(manager, "broken").about)
    assert part in about or part in FIELDS
    (about if part in PARTS else about["definition"])[part] = value
    damage(manager, "broken", json.dumps(about))
    assert manager.scheduler.all() == []
    assert manager.scheduler.ticker().drain() == 0


def test_one_of_the_code_is_stored_anew(manager: Manager, clock: Clock):
    """By the next look of a worker."""
    manager.scheduler.define("0 * * * *", Report, name="s")
    manager.scheduler.publish("worker")
    damage(manager, "s", "{")
    assert manager.scheduler.publish("worker") == []
    clock.advance(hours=1)
    assert manager.scheduler.ticker().drain() == 1


def test_one_made_at_run_time_can_be_removed_and_added_again(manager: Manager):
    """Nobody else knows what it was."""
    manager.scheduler.add("0 * * * *", Report, name="s")
    damage(manager, "s", "{")
    with pytest.raises(ScheduleNotFound):
        manager.scheduler.pause("s")
    manager.scheduler.remove("s")
    assert manager.scheduler.add("0 * * * *", Report, name="s").name == "s"


@pytest.mark.parametrize("about", ["{", "[]", '{"editions": {"x": {"seen": "never", "workers": {}}}}'])
def test_a_damaged_list_of_editions_is_begun_anew(manager: Manager, about):
    """Every living worker tells its own again."""
    manager.scheduler.define("0 * * * *", Report, name="s")
    manager.scheduler.publish("worker")
    editions = next(row.name for row in manager.storage.schedules() if row.name.startswith(":"))
    damage(manager, editions, about)
    assert manager.scheduler.publish("worker") == []
    assert len(json.loads(stored(manager, editions).about)["editions"]) == 1
