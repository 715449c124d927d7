"""What was ever done: numbers that only grow, whoever reads them when."""

from __future__ import annotations

from typing import Any

import pytest

from flask_queues import Status
from flask_queues.causes import cause_of_job
from flask_queues.metrics import Bucket, Ledger, gather
from flask_queues.metrics import totals as module
from flask_queues.metrics.ledger import MINUTE
from flask_queues.metrics.totals import Totals
from flask_queues.storage import Storage
from flask_queues.testing.storage import Clock
from flask_queues.testing.storage.contract import complete, fill, take_one


def count(storage: Storage) -> None:
    """Count all that there is."""
    while gather(storage, cause_of_job):
        pass


def run(storage: Storage, job: str) -> None:
    """Push a job and complete it."""
    fill(storage, job)
    complete(storage, take_one(storage))


def completed(storage: Storage) -> int:
    return Ledger(storage).totals().some().completed


def test_before_anything_was_counted_they_are_nothing(storage: Storage) -> None:
    """A reader need not ask whether a worker has ever run."""
    assert completed(storage) == 0
    assert Ledger(storage).totals().cells == {}


def test_they_grow_and_never_fall_however_old_what_was_counted_is(storage: Storage, clock: Clock) -> None:
    """Minutes are forgotten after two hours, the jobs are deleted, and the totals stay."""
    seen = []
    for n in range(130):
        run(storage, f"job {n}")
        clock.advance(2_000)
        count(storage)
        seen.append(completed(storage))
        clock.advance(MINUTE - 2_000)
        count(storage)
        seen.append(completed(storage))
    assert seen == sorted(seen)
    assert seen[-1] == 130
    storage.purge([Status.COMPLETED])
    clock.advance(5 * 60 * MINUTE)
    count(storage)
    assert completed(storage) == 130


def test_a_minute_that_is_closed_while_somebody_reads_is_counted_once(
    storage: Storage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sheet says which minute is not in it, so that one is read beside it, over or not."""
    run(storage, "a")
    clock.advance(2_000)
    count(storage)
    sheets = storage.sheets
    begun = False

    def sheets_and_be_overtaken(names: Any) -> Any:
        nonlocal begun
        found = sheets(names)
        if not begun:
            begun = True
            clock.advance(MINUTE)
            run(storage, "b")
            clock.advance(2_000)
            count(storage)
        return found

    monkeypatch.setattr(storage, "sheets", sheets_and_be_overtaken)
    assert completed(storage) == 1
    assert completed(storage) == 2


def test_of_too_many_queues_and_types_the_busiest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sheet does not grow for ever."""
    monkeypatch.setattr(module, "MOST", 2)
    totals = None
    for queue, runs in (("a", 5), ("b", 1), ("c", 3)):
        done = Bucket()
        done.cells[queue, "t"].runs = runs
        totals = Totals.load(Totals.after(totals, done, 7).dump())
    assert totals is not None
    assert sorted(totals.bucket.cells) == [("a", "t"), ("c", "t")]
