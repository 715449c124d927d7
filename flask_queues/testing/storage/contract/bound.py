"""The contract: how many jobs may wait in a queue."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ....errors import QueueFull
from ....record import Outcome, Status
from ....storage import Storage
from ....storage.unique import TIME, Unique
from ....storage.values import Wanted
from ..engine import Engine
from ..fixtures import OpenedTwice
from ..processes import together
from .others import push_until_full
from .words import LONG, complete, counted, everything, fill, ids, new, settle, take, take_one

THREE = {"q": 3}


def refused(storage: Storage, names: Sequence[str], **options: object) -> QueueFull:
    """Push jobs that find no room."""
    with pytest.raises(QueueFull) as caught:
        storage.push([new(name, **options) for name in names], THREE)
    return caught.value


class BoundContract(OpenedTwice):
    """How many jobs may wait in a queue."""

    def test_a_push_beyond_the_bound_stores_nothing(self, storage: Storage, other: Storage) -> None:
        """Not a part of it either; the error says how many wait and how many may."""
        assert storage.push([new("1"), new("2")], THREE) == [True, True]
        full = refused(other, ["3", "4"])
        assert (full.queue, full.bound, full.waiting) == ("q", 3, 2)
        assert "(jobs that wait: 2, QUEUES_MAX_WAITING: 3), so 2 more were not stored" in str(full)
        assert other.push([new("3")], THREE) == [True]
        assert ids(everything(storage)) == ["3", "2", "1"]
        assert storage.counts().cells == counted(storage)

    def test_whatever_waits_counts_and_nothing_else(self, storage: Storage) -> None:
        """Delayed jobs, those that wait for a retry, and those set aside; not what runs or has ended."""
        fill(storage, "done", "runs", "retried", "held")
        complete(storage, take_one(storage))
        take(storage)
        settle(storage, take_one(storage), Status.SCHEDULED, Outcome.FAILED, delay=LONG)
        assert take(storage, types=["another"]) == []
        fill(storage, "delayed", delay=LONG)
        refused(storage, ["one"])
        storage.cancel("held", "no")
        assert storage.push([new("one")], THREE) == [True]

    def test_a_bound_is_of_one_queue(self, storage: Storage) -> None:
        """Queues that nobody bounds take what comes, and an overfull one does not keep others out."""
        fill(storage, *"123456")
        refused(storage, ["7"])
        assert storage.push([new(name, queue="r") for name in "7890"], THREE) == [True] * 4
        assert storage.push([new("a")], {"q": 7}) == [True]

    def test_a_repeated_push_is_not_refused(self, storage: Storage) -> None:
        """What is stored already takes no room; neither does the same id twice."""
        jobs = [new(name) for name in "123"]
        storage.push(jobs, THREE)
        assert storage.push(jobs, THREE) == [False] * 3
        assert storage.push([jobs[0], jobs[0]], THREE) == [False, False]
        refused(storage, ["1", "4"])

    def test_a_unique_job_whose_key_is_held_is_not_refused(self, storage: Storage) -> None:
        """It is not stored, or takes the place of the one that waits; a free key needs room."""
        swap, once = Unique("swap", replace=True), Unique("once", TIME, LONG)
        storage.push([new("1", unique=swap), new("2", unique=once), new("3")], THREE)
        assert storage.push_unique(new("4", unique=once), THREE) == "2"
        assert storage.push([new("4", unique=once)], THREE) == [False]
        assert storage.push_unique(new("5", unique=swap), THREE) == "5"
        with pytest.raises(QueueFull):
            storage.push_unique(new("6", unique=Unique("free")), THREE)
        assert storage.get("6") is None
        assert storage.counts().statuses["pending"] == 3
        storage.delete("3")
        assert storage.push([new("7", unique=Unique("free")), new("8", unique=Unique("free"))], THREE) == [True, False]

    def test_what_comes_of_itself_is_not_refused(self, storage: Storage) -> None:
        """A retry, what is given back and what follows a job's end were promised before."""
        fill(storage, *"123")
        claim = take_one(storage)
        assert storage.push([new("4")], THREE) == [True]
        complete(storage, claim, follows=[new("5"), new("6")])
        settle(storage, take_one(storage), Status.PENDING)
        storage.cancel("3", "no")
        storage.retry("3")
        assert storage.counts().statuses["pending"] == 5
        refused(storage, ["7"])

    def test_processes_that_push_at_once_do_not_get_beyond(self, engine: Engine, storage: Storage) -> None:
        """However many of them: the bound holds exactly."""
        told = together(push_until_full, *[(engine, who, 20) for who in range(3)])
        assert sum(told) == 20
        assert storage.counts().statuses["pending"] == 20
        assert len(storage.step("w", (), Wanted(["q"], ["t"], LONG, 30, ["t"])).claims) == 20
