"""The contract: what a job's end causes is stored with it, or not at all."""

from __future__ import annotations

import pytest

from ....record import Outcome, Status
from ....storage import Storage
from ....storage.values import NewJob
from ..fixtures import OpenedTwice
from ..processes import eventually
from .words import LONG, complete, fail, fill, ids, new, settle, take, take_one, the


class FollowContract(OpenedTwice):
    """What a job's end causes is stored with it, or not at all."""

    def test_what_follows_is_pushed_with_the_end(self, storage: Storage) -> None:
        """In its own queue and in others, as a push would do it."""
        fill(storage, "a")
        claim = take_one(storage)
        complete(storage, claim, follows=[new("b"), new("c", queue="r", priority=5), new("d", delay=LONG)])
        eventually(lambda: storage.get("c"), "what follows arrives in another queue")
        assert the(storage, "b").status is Status.PENDING
        assert the(storage, "c").priority == 5
        assert the(storage, "d").status is Status.SCHEDULED
        assert ids(take(storage, "r")) == ["c"]
        assert storage.counts().statuses["pending"] == 1

    def test_what_follows_a_failure_is_pushed_too(self, storage: Storage) -> None:
        """Any end may cause something."""
        fill(storage, "a")
        fail(storage, take_one(storage), follows=[new("b")])
        assert the(storage, "b").status is Status.PENDING

    def test_nothing_follows_a_settlement_that_came_too_late(self, storage: Storage) -> None:
        """The claim was another's by then."""
        fill(storage, "a")
        claim = take_one(storage)
        assert complete(storage, claim).lost == []
        assert complete(storage, claim, follows=[new("b"), new("c", queue="r")]).lost == ["a"]
        assert storage.get("b") is None
        assert storage.get("c") is None

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
    def test_nothing_follows_a_job_that_runs_again(self, storage: Storage, status: Status) -> None:
        """It has not ended."""
        fill(storage, "a")
        claim = take_one(storage)
        settle(storage, claim, status, Outcome.GIVEN_BACK, follows=[new("b"), new("c", queue="r")])
        assert not the(storage, "a").status.final
        assert storage.get("b") is None
        assert storage.counts().queues.keys() == {"q"}

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
    def test_what_follows_is_pushed_where_a_job_is_cancelled_instead(self, storage: Storage, status: Status) -> None:
        """It would have run again, and somebody had asked for its end."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.cancel("a", "stop")
        settle(storage, claim, status, Outcome.FAILED, delay=LONG, follows=[new("b"), new("c", queue="r")])
        assert the(storage, "a").status is Status.CANCELLED
        assert the(storage, "b").status is Status.PENDING
        eventually(lambda: storage.get("c"), "what follows arrives in another queue")

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
    @pytest.mark.parametrize("instead", [[], [new("b"), new("c", queue="r")]])
    def test_a_job_whose_end_was_asked_for_causes_what_is_meant_for_that(
        self, storage: Storage, status: Status, instead: list[NewJob]
    ) -> None:
        """It ends as it did, for it was done, and says who asked; what would have followed does not."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.cancel("a", "enough")
        never = [new("d"), new("e", queue="r")]
        settle(storage, claim, status, Outcome.FAILED, follows=never, if_cancelled=instead)
        assert (the(storage, "a").status, the(storage, "a").reason) == (status, "enough")
        if instead:
            eventually(lambda: storage.get("c"), "what follows arrives in another queue")
        assert [storage.get(job_id) is not None for job_id in "bcde"] == [bool(instead), bool(instead), False, False]
        assert (status is Status.FAILED) is (storage.retry("a") is Status.FAILED)
        assert the(storage, "a").reason == ("enough" if status is Status.COMPLETED else None)

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
    def test_a_job_whose_end_nobody_asked_for_causes_what_follows(self, storage: Storage, status: Status) -> None:
        """What is meant for a cancellation stays away."""
        fill(storage, "a")
        settle(storage, take_one(storage), status, Outcome.FAILED, follows=[new("b")], if_cancelled=[new("c")])
        assert (the(storage, "a").reason, the(storage, "b").status) == (None, Status.PENDING)
        assert storage.get("c") is None

    @pytest.mark.parametrize("instead", [None, []])
    def test_what_follows_in_any_case_follows_one_that_was_asked_to_end(
        self, storage: Storage, instead: list[NewJob] | None
    ) -> None:
        """Nothing is not the same as not said."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.cancel("a", "enough")
        complete(storage, claim, follows=[new("b")], if_cancelled=instead)
        assert (storage.get("b") is not None) is (instead is None)
        assert the(storage, "a").reason == ("enough" if instead == [] else None)

    def test_what_follows_is_stored_once(self, storage: Storage) -> None:
        """A job of that id stays as it is."""
        fill(storage, "a")
        fill(storage, "b", queue="r", priority=7)
        complete(storage, take_one(storage), follows=[new("b", queue="r"), new("c", queue="r")])
        eventually(lambda: storage.get("c"), "what follows arrives in another queue")
        assert the(storage, "b").priority == 7
        assert storage.counts().queues["r"]["pending"] == 2
