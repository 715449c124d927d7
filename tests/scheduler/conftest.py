"""An application whose storage goes by a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask

from flask_queues import Job, Queues
from flask_queues.manager import Manager, manager_of
from flask_queues.storage.sqlite import engine as sqlite_engine


class Clock:
    """The storage's clock, which stands still until it is told to move on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 7, 1, 12, 0, 30, tzinfo=timezone.utc)

    def wall(self) -> int:
        return round(self.now.timestamp() * 1000)

    def steady(self) -> int:
        return self.wall() - 1_700_000_000_000

    def set(self, text: str) -> None:
        """Set it, in UTC."""
        self.now = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


class Report(Job):
    """What the schedules push."""

    type = "report"
    tags = ("a tag",)
    tries = 2

    def handle(self, page: int = 1) -> None: ...


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The clock of every storage that this process opens."""
    clock = Clock()
    with mock.patch.multiple(sqlite_engine, wall=clock.wall, steady=clock.steady):
        yield clock


@pytest.fixture
def make_manager(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Manager]]:
    """Make applications of this name that share one storage."""
    made: list[Manager] = []
    queues = Queues()
    queues.register(Report)

    def make(name: str = "shop", **settings: object) -> Manager:
        app = Flask(name, instance_path=str(tmp_path))
        app.config.update(settings)
        queues.init_app(app)
        made.append(manager_of(app))
        return made[-1]

    yield make
    for manager in made:
        manager.storage.close()


@pytest.fixture
def manager(make_manager: Callable[..., Manager]) -> Manager:
    """One application."""
    return make_manager()
