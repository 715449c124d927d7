"""Everything moves between storages of every kind: what one engine hands out, each other reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_queues.record import Status
from flask_queues.storage import Storage
from flask_queues.storage.values import Occurrence, Schedule
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import new, take_one
from flask_queues.testing.storage.moving import NOT_RUNNING, eventful, history_of, move_all

from .engines import SQLiteEngine


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> Iterator[Storage]:
    """A SQLite file beside the storage."""
    (tmp_path / "file").mkdir()
    opened = SQLiteEngine(tmp_path / "file").open()
    yield opened
    opened.close()


def test_jobs_arrive_from_a_file_as_they_left_and_come_back(storage: Storage, file: Storage, clock: Clock) -> None:
    """Over the one engine and back, nothing that can be read of a job has changed."""
    for status in NOT_RUNNING:
        eventful(file, clock, status.value, status)
    file.push([new("delayed", at=clock.now() + 10**9, expires=10**6), new("plain", tags=("x", "y")), new("gone")])
    file.cancel("gone", "wörd\nof two lines")
    revision = file.put_schedule(Schedule("nightly", "q", '{"x": "ö"}'), [], [Occurrence(5, 0, "fired", "j")])
    before, counts, (schedule,) = history_of(file), file.counts(), file.schedules()
    past = file.occurrences(schedule)
    assert revision

    move_all(file, storage)

    assert history_of(storage) == before
    assert storage.counts() == counts
    (moved,) = storage.schedules()
    assert moved[:3] == schedule[:3]
    assert storage.occurrences(moved) == past

    move_all(storage, file)

    assert history_of(file) == before
    assert file.counts() == counts
    assert [file.occurrences(one) for one in file.schedules()] == [past]


def test_lines_keep_their_order_from_engine_to_engine(storage: Storage, file: Storage, clock: Clock) -> None:
    """Those pushed at once in one push, too, of whatever type."""
    names = [f"{n:02}" for n in range(30)]
    file.push([new(name, type="tu"[n % 2], priority=n % 3) for n, name in enumerate(names)])
    line = sorted(names, key=lambda name: (-(int(name) % 3), name))
    move_all(file, storage, 7)
    move_all(storage, file, 4)
    move_all(file, storage, 11)
    assert [take_one(storage, types="tu").id for _ in names] == line


def test_what_a_job_has_been_through_goes_on_after_two_moves(storage: Storage, file: Storage, clock: Clock) -> None:
    """Its tries, its error and its runs are the same to whoever claims it."""
    eventful(file, clock, "a", Status.PENDING)
    move_all(file, storage)
    move_all(storage, file)
    move_all(file, storage)
    claim = take_one(storage, "of a")
    assert (claim.attempts, claim.runs) == (1, 2)
    assert json.loads(claim.error or "")[0] == "builtins.ValueError"
