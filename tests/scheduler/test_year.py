"""A year of schedules in three zones, with ten workers of which one after the other is killed.

Each worker is a process with a clock of its own, hours off; the storage's clock is moved by the test. Moments and
victims come from a seed that is printed; QUEUES_TEST_SEED sets it, QUEUES_TEST_YEAR how many seconds the year takes.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import random
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from flask_queues import ids
from flask_queues.record import to_datetime, to_milliseconds
from flask_queues.scheduler import Ticker
from flask_queues.scheduler.definition import Definition
from flask_queues.scheduler.state import State
from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.sqlite.database import Database
from flask_queues.telling import Teller

from .model import minutes_due

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="The workers are forked.")

WORKERS = 10
SECONDS = float(os.environ.get("QUEUES_TEST_YEAR", "8"))
START, END = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2027, 1, 1, tzinfo=timezone.utc)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
#: All on half hours, as the changes of clocks in these zones are, so that the model may tick in half hours.
EXPRESSIONS = ["30 2 * * *", "0 1,2 * * *", "0 */12 * * *", "30 */8 1,15 * mon", "0 0 l * *"]
LONG = ["0 * * * *", "*/30 1-3 * * *", "0 3 * * sun", "30 1 * * mon-fri"]


class SharedClock:
    """The storage's clock, in memory that all processes see."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def wall(self) -> int:
        """Milliseconds since 1970."""
        now: int = struct.unpack("q", self._memory[:8])[0]
        return now

    def set(self, now: int) -> None:
        """Set it."""
        self._memory[:8] = struct.pack("q", now)


class SkewedTime:
    """What a worker's own clock says."""

    def __init__(self, seconds: float) -> None:
        self._skew = int(seconds * 1e9)

    def time_ns(self) -> int:
        """Nanoseconds since 1970, or so this machine believes."""
        return time.time_ns() + self._skew


def work(path: Path, clock: SharedClock, seed: int) -> None:
    """Fire what is due until killed."""
    chance = random.Random(seed)
    sqlite_engine.wall = clock.wall
    ids.time = SkewedTime(chance.uniform(-7200, 7200))  # type: ignore[attr-defined, assignment]
    ticker = ticker_of(SQLiteStorage(Database(path)))
    while True:
        ticker.tick()
        time.sleep(chance.uniform(0, 0.02))


def ticker_of(storage: SQLiteStorage) -> Ticker:
    """What fires the schedules of this storage."""
    return Ticker(storage, Teller(Flask("year"), lambda: storage))


def definitions() -> list[Definition]:
    """The schedules: those of a short run, and more in a longer one."""
    expressions = EXPRESSIONS if SECONDS < 60 else EXPRESSIONS + LONG
    return [
        Definition(
            name=f"{expression} {zone}", when=expression, timezone=zone, type="t", queue="q",
            payload=json.dumps({"schedule": f"{expression} {zone}"}), overlap=True, catch_up=None,
        )
        for expression in expressions
        for zone in ZONES
    ]  # fmt: skip


def expected() -> Counter[tuple[str, datetime]]:
    """What the model says: each occurrence of each schedule, once."""
    step = timedelta(minutes=30)
    return Counter(
        (one.name, due)
        for one in definitions()
        for due in minutes_due(str(one.when), ZoneInfo(one.timezone), START, END, step)
    )


def fired(path: Path) -> Counter[tuple[str, datetime]]:
    """What the jobs say that are stored."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT payload, options FROM jobs").fetchall()
    db.close()
    return Counter(
        (json.loads(payload)["schedule"], to_datetime(json.loads(options)["occurrence"])) for payload, options in rows
    )


class Year:
    """The workers and the clock that they go by."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.chance = random.Random(seed)
        self.clock = SharedClock()
        self.kills = 0
        self._context = multiprocessing.get_context("fork")
        self._workers: list[multiprocessing.process.BaseProcess] = []

    def begin(self) -> None:
        """Store the schedules at the start of the year, and let the workers begin."""
        self.clock.set(to_milliseconds(START))
        storage = SQLiteStorage(Database(self.path))
        for one in definitions():
            assert storage.put_schedule(State.new(one, "", to_milliseconds(START)).row())
        storage.close()
        self._workers = [self._start() for _ in range(WORKERS)]

    def pass_by(self) -> None:
        """Let the year pass, in steps of seconds and of days, and kill meanwhile."""
        begin = time.monotonic()
        now, start, end = to_milliseconds(START), to_milliseconds(START), to_milliseconds(END)
        while now < end:
            passed = (time.monotonic() - begin) / SECONDS
            step = self.chance.choice([1_000, 60_000, 1_800_000])
            now = min(end, max(now + step, start + int(passed * (end - start))))
            self.clock.set(now)
            if self.chance.random() < 0.3:
                self._replace(self.chance.randrange(WORKERS))
            time.sleep(self.chance.uniform(0, 0.03))

    def finish(self) -> None:
        """Kill everybody, and let one worker more fire what is left."""
        while self._workers:
            self._kill(self._workers.pop())
        with mock.patch.object(sqlite_engine, "wall", self.clock.wall):
            storage = SQLiteStorage(Database(self.path))
            ticker_of(storage).drain()
            storage.close()

    def _start(self) -> multiprocessing.process.BaseProcess:
        process = self._context.Process(
            target=work, args=(self.path, self.clock, self.chance.randrange(10**9)), daemon=True
        )
        process.start()
        return process

    def _replace(self, index: int) -> None:
        self._kill(self._workers[index])
        self.kills += 1
        self._workers[index] = self._start()

    def _kill(self, victim: multiprocessing.process.BaseProcess) -> None:
        victim.kill()
        victim.join()


@pytest.fixture
def year(tmp_path: Path, capsys) -> Iterator[Year]:
    """A year that has not begun; its seed is printed."""
    seed = int(os.environ.get("QUEUES_TEST_SEED") or random.SystemRandom().randrange(10**6))
    with capsys.disabled():
        print(f"\nQUEUES_TEST_SEED={seed}")
    made = Year(tmp_path / "queues.sqlite3", seed)
    yield made
    made.finish()


@pytest.mark.slow
def test_ten_workers_fire_each_occurrence_of_a_year_once(year: Year):
    """Whoever is killed at whatever moment, and whatever their clocks say: what was fired is what the model says."""
    year.begin()
    year.pass_by()
    year.finish()
    told, model = fired(year.path), expected()
    assert year.kills > 10
    assert told - model == Counter(), "fired too often, or at a time that is none"
    assert model - told == Counter(), "never fired"
