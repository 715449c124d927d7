"""The contract: a job that is the only one of its kind in its queue."""

from __future__ import annotations

import pytest

from ....errors import UniqueTaken
from ....record import Outcome, Status
from ....storage import Storage
from ....storage.unique import END, START, TIME, Unique
from ....storage.values import NewJob, Wanted
from ..engine import Clock, Engine
from ..fixtures import OpenedTwice
from ..processes import together
from .others import push_one_of_its_kind
from .words import LATER, LONG, SHORT, complete, counted, fail, ids, new, settle, take, take_one, the

ONLY = Unique("kéy\t1")


def only(job_id: str, unique: Unique = ONLY, **options: object) -> NewJob:
    """A job that is unique by a key."""
    return new(job_id, unique=unique, **options)


class UniqueContract(OpenedTwice):
    """A job that is the only one of its kind in its queue."""

    def test_a_second_push_of_a_key_stores_nothing_and_names_the_holder(self, storage: Storage, other: Storage) -> None:
        """Whoever pushes it, and however: alone, with others, as what follows a job's end."""
        assert storage.push_unique(only("a")) == "a"
        assert other.push_unique(only("b")) == "a"
        assert storage.push([only("c"), new("d")]) == [False, True]
        claim = take_one(storage, types=["t"])
        complete(storage, claim, follows=[only("e"), new("f")])
        assert storage.get("b") is None
        assert [storage.get(name) is not None for name in "cdef"] == [False, True, True, True]
        assert storage.push_unique(only("g")) == "e"
        assert storage.counts().cells == counted(storage)

    def test_a_key_is_of_one_queue(self, storage: Storage) -> None:
        """The same key in another queue is another's; other keys and jobs without one are free."""
        assert storage.push_unique(only("a")) == "a"
        assert storage.push_unique(only("b", queue="r")) == "b"
        assert storage.push_unique(only("c", Unique("other"))) == "c"
        assert storage.push_unique(new("d")) == "d"

    def test_a_repeated_push_of_the_holder_changes_nothing(self, storage: Storage) -> None:
        """It may be repeated, as any push."""
        assert [storage.push_unique(only("a")) for _ in range(2)] == ["a", "a"]
        assert storage.push([only("a")]) == [False]

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
    def test_until_its_end_a_job_holds_its_key(self, storage: Storage, status: Status) -> None:
        """Also while it runs and while it waits for its next try; its final status frees it in the same step."""
        storage.push_unique(only("a"))
        claim = take_one(storage)
        assert storage.push_unique(only("b")) == "a"
        settle(storage, claim, Status.PENDING, Outcome.FAILED, counted=True)
        assert storage.push_unique(only("b")) == "a"
        settle(storage, take_one(storage), status, Outcome.COMPLETED, counted=True, follows=[only("c")])
        assert storage.push_unique(only("b")) == "c"

    @pytest.mark.parametrize("by_id", [False, True])
    def test_until_its_start_a_job_holds_its_key(self, storage: Storage, by_id: bool) -> None:
        """The claim frees it, so that what changes while it runs is worked on once more."""
        key = Unique("k", START)
        storage.push_unique(only("a", key))
        assert storage.push_unique(only("b", key)) == "a"
        claim = storage.claim("w", "a", LONG) if by_id else take_one(storage)
        assert claim is not None
        assert storage.push_unique(only("b", key)) == "b"
        complete(storage, claim)
        assert storage.push_unique(only("c", key)) == "b"
        storage.cancel("b", "no")
        assert storage.push_unique(only("c", key)) == "c"

    def test_for_a_time_a_job_holds_its_key_whatever_becomes_of_it(self, storage: Storage, clock: Clock) -> None:
        """The first push of each span is run, the others are left out."""
        key = Unique("k", TIME, SHORT)
        storage.push_unique(only("a", key))
        complete(storage, take_one(storage))
        assert storage.push_unique(only("b", key)) == "a"
        clock.advance(LATER)
        assert storage.push_unique(only("b", key)) == "b"

    def test_cancelling_and_deleting_free_the_key(self, storage: Storage) -> None:
        """Nothing holds a key that will never run."""
        storage.push_unique(only("a"))
        storage.cancel("a", "no")
        assert storage.push_unique(only("b")) == "b"
        storage.delete("b")
        assert storage.push_unique(only("c")) == "c"
        storage.purge([Status.PENDING])
        assert storage.push_unique(only("d")) == "d"

    def test_a_job_that_replaces_takes_the_place_of_one_that_waits(self, storage: Storage) -> None:
        """The one that waited is cancelled and says by whom; one that runs stays."""
        late = Unique("k", START, 0, True)
        storage.push_unique(only("a", late, delay=LONG))
        assert storage.push_unique(only("b", late)) == "b"
        assert (the(storage, "a").status, the(storage, "a").reason) == (Status.CANCELLED, "Replaced by job b.")
        both = Unique("k2", END, 0, True)
        storage.push_unique(only("c", both, priority=100))
        take_one(storage)
        assert storage.push_unique(only("d", both)) == "c"
        assert storage.push_unique(only("b", late)) == "b"
        assert storage.counts().cells == counted(storage)

    def test_a_retry_takes_the_key_again_or_is_refused(self, storage: Storage) -> None:
        """A failed job whose key another holds by now stays failed; else it holds its key again."""
        storage.push_unique(only("a"))
        fail(storage, take_one(storage))
        storage.push_unique(only("b"))
        with pytest.raises(UniqueTaken, match="job b holds"):
            storage.retry("a")
        with pytest.raises(UniqueTaken):
            storage.claim("w", "a", LONG)
        assert the(storage, "a").status is Status.FAILED
        storage.cancel("b", "no")
        assert storage.retry("a") is Status.FAILED
        assert storage.push_unique(only("c")) == "a"
        assert ids(take(storage)) == ["a"]

    def test_ten_simultaneous_pushes_give_one_job(self, engine: Engine, storage: Storage) -> None:
        """Ten processes push under the same key at once: all are told the same id, and it is the only job."""
        told = together(push_one_of_its_kind, *[(engine, f"j{n}") for n in range(10)])
        assert len(set(told)) == 1
        assert ids(storage.step("w", (), Wanted(["q"], ["t"], LONG, 20, ["t"])).claims) == [told[0]]
        assert sum(storage.counts().statuses.values()) == 1
