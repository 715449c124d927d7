"""The contract: ended jobs that were kept long enough, one queue, type and status at a time."""

from __future__ import annotations

import pytest

from ....record import Status
from ....storage import Storage
from ....storage.outdated import Outdated
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, LONG, SHORT, complete, fail, fill, line, take_one, the

COMPLETED = Outdated("q", "t", Status.COMPLETED)


def end(storage: Storage, *ids: str, **options: str) -> None:
    """Push jobs and complete them, one after another."""
    for job_id in ids:
        fill(storage, job_id, **options)
        claim = take_one(storage, options.get("queue", "q"), types=(options.get("type", "t"),))
        complete(storage, claim, logs=[line("worked")])


class OutdatedContract(OpenedTwice):
    """Ended jobs that were kept long enough, one queue, type and status at a time."""

    def test_jobs_of_a_line_are_deleted_the_oldest_first(self, storage: Storage) -> None:
        """Others stay: of another queue, type or status."""
        end(storage, "a", "b", "c")
        end(storage, "other queue", queue="r")
        end(storage, "other type", type="u")
        fill(storage, "failed")
        fail(storage, take_one(storage))
        fill(storage, "waits")

        assert storage.drop_outdated(COMPLETED, 2) == 2
        assert [storage.get(job_id) for job_id in ("a", "b")] == [None, None]
        assert storage.logs("a") == []
        assert storage.drop_outdated(COMPLETED) == 1
        assert storage.drop_outdated(COMPLETED) == 0
        assert storage.drop_outdated(Outdated("unknown", "t", Status.COMPLETED)) == 0
        assert all(storage.get(job_id) for job_id in ("other queue", "other type", "failed", "waits"))
        assert storage.counts().cells == {
            ("q", "t", "failed"): 1, ("q", "t", "pending"): 1, ("q", "u", "completed"): 1, ("r", "t", "completed"): 1,
        }  # fmt: skip

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
    def test_what_ended_lately_stays(self, storage: Storage, clock: Clock, status: Status) -> None:
        """By the time of the end, not of the push."""
        ends = {
            Status.COMPLETED: lambda: complete(storage, take_one(storage)),
            Status.FAILED: lambda: fail(storage, take_one(storage)),
            Status.CANCELLED: lambda: storage.cancel("a", "no"),
        }
        which = Outdated("q", "t", status, older=SHORT)
        fill(storage, "a")
        clock.advance(LATER)
        ends[status]()

        assert storage.drop_outdated(which) == 0
        clock.advance(LATER)
        assert storage.drop_outdated(which._replace(older=LONG)) == 0
        assert storage.drop_outdated(which) == 1

    def test_the_last_of_a_line_are_spared(self, storage: Storage) -> None:
        """So many of each queue and type."""
        end(storage, "a", "b", "c", "d")
        end(storage, "x", "y", type="u")
        which = COMPLETED._replace(spare=2)

        assert storage.drop_outdated(which, 1) == 1
        assert [job.id for job in storage.outdated(which)] == ["b"]
        assert storage.drop_outdated(which) == 1
        assert storage.drop_outdated(which) == 0
        assert storage.outdated(which) == []
        assert [storage.get(job_id) is not None for job_id in "abcdxy"] == [False, False, True, True, True, True]

    def test_they_are_read_before_they_are_deleted(self, storage: Storage) -> None:
        """The oldest first, whole, as often as it is asked."""
        end(storage, "a", "b", "c", "d")

        assert storage.outdated(COMPLETED, 3) == [the(storage, job_id) for job_id in "abc"]
        assert [job.id for job in storage.outdated(COMPLETED)] == ["a", "b", "c", "d"]

    def test_only_those_are_deleted_that_were_named_and_still_stand_there(self, storage: Storage) -> None:
        """One that somebody has retried since it was read is left alone."""
        for job_id in "abc":
            fill(storage, job_id)
            fail(storage, take_one(storage))
        which = Outdated("q", "t", Status.FAILED)
        read = {job.id for job in storage.outdated(which, 2)}
        storage.retry("a")

        assert storage.drop_outdated(which, among=read) == 1
        assert the(storage, "a").status is Status.PENDING
        assert storage.get("b") is None
        assert the(storage, "c").status is Status.FAILED
