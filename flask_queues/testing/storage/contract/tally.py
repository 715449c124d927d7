"""The contract: how many jobs of a batch stand where."""

from __future__ import annotations

import pytest

from ....record import Outcome, Status
from ....storage import Storage
from ....storage.unique import Unique
from ....storage.values import Settlement
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, SHORT, complete, fail, fill, new, settle, take_one

QUEUES = {"b": ["q", "r"]}


def tally(storage: Storage, batch: str = "b") -> dict[str, int]:
    """A tally with the names of its statuses."""
    found = storage.tallies({batch: ["q", "r"]}).get(batch, {})
    return {status.value: n for status, n in found.items()}


class TallyContract(OpenedTwice):
    """How many jobs of a batch stand where."""

    def test_a_tally_follows_its_jobs(self, storage: Storage, other: Storage) -> None:
        """From status to status, over all queues of the batch; others are not counted."""
        fill(storage, "1", "2", "3", batch="b")
        fill(storage, "4", queue="r", delay=3_600_000, batch="b")
        fill(storage, "5", batch="c")
        fill(storage, "6")
        assert tally(storage) == {"pending": 3, "scheduled": 1}
        first, second = take_one(storage), take_one(other)
        assert tally(other) == {"running": 2, "pending": 1, "scheduled": 1}
        complete(storage, first)
        fail(other, second)
        assert tally(storage) == {"completed": 1, "failed": 1, "pending": 1, "scheduled": 1}
        storage.cancel("3", "no")
        storage.retry("4")
        assert tally(storage) == {"completed": 1, "failed": 1, "cancelled": 1, "pending": 1}
        storage.retry("2")
        assert tally(storage) == {"completed": 1, "cancelled": 1, "pending": 2}
        assert tally(storage, "c") == {"pending": 1}
        assert storage.tallies({"b": ["q", "r"], "c": ["q"], "d": ["q"]}).keys() == {"b", "c"}

    def test_a_job_that_is_there_already_is_counted_once(self, storage: Storage) -> None:
        """A push that is repeated changes nothing."""
        fill(storage, "1", batch="b")
        fill(storage, "1", batch="b")
        assert tally(storage) == {"pending": 1}

    def test_what_follows_an_end_is_counted(self, storage: Storage) -> None:
        """As what is pushed."""
        fill(storage, "1", batch="b")
        claim = take_one(storage)
        settle(storage, claim, Status.COMPLETED, follows=[new("2", batch="b")])
        assert tally(storage) == {"completed": 1, "pending": 1}

    @pytest.mark.parametrize(
        ("status", "outcome"),
        [(Status.PENDING, Outcome.GIVEN_BACK), (Status.SCHEDULED, Outcome.FAILED), (Status.CANCELLED, None)],
    )
    def test_whatever_ends_a_claim_is_counted(self, storage: Storage, status: Status, outcome: Outcome | None) -> None:
        """Given back, waiting for its next try, cancelled."""
        fill(storage, "1", batch="b")
        claim = take_one(storage)
        storage.step("w", [Settlement(claim.id, claim.token, status, outcome, delay=3_600_000)])
        assert tally(storage) == {status.value: 1}

    def test_a_job_that_becomes_due_is_counted(self, storage: Storage, clock: Clock) -> None:
        """It is claimed from its line."""
        fill(storage, "1", delay=SHORT, batch="b")
        fill(storage, "2", delay=3_600_000, batch="b")
        assert tally(storage) == {"scheduled": 2}
        clock.advance(LATER)
        take_one(storage)
        assert tally(storage) == {"running": 1, "scheduled": 1}
        storage.claim("w", "2", 1000)
        assert tally(storage) == {"running": 2}

    def test_a_deleted_job_still_counts(self, storage: Storage) -> None:
        """As what it was, or as cancelled where it had not ended."""
        fill(storage, "1", "2", "3", batch="b")
        complete(storage, take_one(storage))
        fail(storage, take_one(storage))
        for job in ("1", "2", "3"):
            storage.delete(job)
        assert tally(storage) == {"completed": 1, "failed": 1, "cancelled": 1}
        fill(storage, "4", batch="b")
        storage.purge([Status.PENDING])
        assert tally(storage) == {"completed": 1, "failed": 1, "cancelled": 2}

    def test_a_job_in_whose_place_another_comes_counts_as_cancelled(self, storage: Storage) -> None:
        """The other one counts where it belongs."""
        fill(storage, "1", batch="b", unique=Unique("k"))
        fill(storage, "2", batch="b", unique=Unique("k", replace=True))
        fill(storage, "3", batch="b", unique=Unique("k"))
        assert tally(storage) == {"cancelled": 1, "pending": 1}

    def test_a_forgotten_tally_does_not_come_back(self, storage: Storage) -> None:
        """Whatever becomes of its jobs."""
        fill(storage, "1", "2", batch="b")
        storage.forget_tallies(QUEUES)
        assert storage.tallies(QUEUES) == {}
        complete(storage, take_one(storage))
        storage.delete("1")
        storage.retry("2")
        storage.cancel("2", "no")
        assert storage.tallies(QUEUES) == {}
