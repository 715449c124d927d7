"""The contract: jobs under limits that run together, in one place at their gates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ....record import Outcome, Status
from ....storage import Storage
from ....storage.limits import CONCURRENCY, RATE, Limit
from ....storage.values import Claim, Settlement, Wanted
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, LONG, SHORT, complete, counted, fail, fill, ids, settle, take, take_one, the

ONE = Limit(CONCURRENCY, "kéy", 1)
TWO = Limit(CONCURRENCY, "two", 2)
OTHER = Limit(CONCURRENCY, "kéy other", 1)
HOURLY = Limit(RATE, "hourly", 1, 3_600_000)
Settling = Callable[[Storage, Claim], object]


def take_along(storage: Storage, claim: Claim, limit: int = 10, *, lease: int = LONG, worker: str = "w") -> list[Claim]:
    """Claim what may run together with a claim."""
    wanted = Wanted([claim.queue], ["t"], lease, limit, only=True, along_with=(claim.id, claim.token))
    return storage.step(worker, (), wanted).claims


class AlongContract(OpenedTwice):
    """Jobs under limits that run together, in one place at their gates."""

    @pytest.mark.parametrize("limits", [[ONE], [HOURLY], [TWO, HOURLY], [HOURLY, TWO]])
    def test_what_is_under_the_same_limits_comes_along(
        self, storage: Storage, other: Storage, limits: list[Limit]
    ) -> None:
        """Wherever it waits, in its order, up to the number: set aside at a gate by another worker, or in the line."""
        fill(storage, "1", "2", limits=limits)
        first = take_one(storage)
        assert take(other, worker="v") == []
        assert the(storage, "2").held is not None
        fill(storage, "free")
        fill(storage, "3", "4", limits=limits)
        assert not first.along

        claims = take_along(storage, first, 2)
        assert ids(claims) == ["2", "3"]
        assert all(claim.along and claim.ahead for claim in claims)
        assert claims[0].token < claims[1].token
        assert the(storage, "2").held is None
        assert ids(take_along(storage, first)) == ["4"]
        assert take_along(storage, first) == []
        assert ids(take(other, worker="v")) == ["free"]
        assert storage.counts().cells == counted(storage)
        assert {claim.along for claim in storage.claims_of("w") if claim.id != "1"} == {True}

    def test_nothing_else_comes_along(self, storage: Storage) -> None:
        """Not what is under other limits or none, of another type or queue, held for its type, or has to be alone."""
        fill(storage, "1", limits=[ONE])
        first = take_one(storage)
        fill(storage, "others", limits=[OTHER])
        fill(storage, "more", limits=[ONE, OTHER])
        fill(storage, "wider", limits=[ONE._replace(n=2)])
        fill(storage, "free")
        fill(storage, "u", type="u", limits=[ONE])
        fill(storage, "r", queue="r", limits=[ONE])
        fill(storage, "later", limits=[ONE], delay=LONG)
        fill(storage, "gone", limits=[ONE])
        storage.cancel("gone", "no")
        fill(storage, "alone", limits=[ONE])
        claim = storage.claim("me", "alone", LONG)
        assert claim is not None
        settle(storage, claim, Status.PENDING, Outcome.KILLED, alone=True)
        assert take_along(storage, first) == []

    @pytest.mark.parametrize("limit", [ONE, HOURLY])
    def test_what_is_of_another_group_passes_the_same_gate_and_does_not_come_along(
        self, storage: Storage, other: Storage, limit: Limit
    ) -> None:
        """Wherever it waits; it passes when its turn comes."""
        one, two = limit._replace(group="g1"), limit._replace(group="g2")
        fill(storage, "1", "2", limits=[one])
        fill(storage, "a", "b", limits=[two])
        fill(storage, "none", limits=[limit])
        fill(storage, "3", limits=[one])
        first = take_one(storage)
        assert take(other, worker="v") == []
        assert ids(take_along(storage, first)) == ["2", "3"]
        if limit is ONE:
            complete(storage, first)
            second = take_one(storage)
            assert (second.id, ids(take_along(storage, second))) == ("a", ["b"])
            complete(storage, second)
            assert take_one(storage).id == "none"

    def test_they_have_one_place_which_the_first_one_holds(self, storage: Storage) -> None:
        """The end of one that came along lets nobody pass; the end of the first does, whether the others run or not."""
        fill(storage, "1", "2", "3", limits=[ONE])
        first = take_one(storage)
        second, third = take_along(storage, first)
        fill(storage, "4", "5", limits=[ONE])
        complete(storage, second)
        assert take(storage) == []
        complete(storage, first)
        assert ids(take(storage)) == ["4"]
        complete(storage, third)
        assert take(storage) == []
        assert storage.release_held(["t"]) == 0

    @pytest.mark.parametrize("order", [1, -1])
    def test_all_end_in_one_step(self, storage: Storage, order: int) -> None:
        """In either order: one place is free then, not more."""
        fill(storage, *"123456", limits=[TWO])
        first = take_one(storage)
        claims = [first, *take_along(storage, first, 2)]
        second = take_one(storage, worker="v")
        ends = [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED) for one in claims][::order]
        step = storage.step("w", ends, Wanted(["q"], ["t"], LONG))
        assert (second.id, ids(step.claims)) == ("4", ["5"])
        assert take(storage) == []

    @pytest.mark.parametrize(
        "end",
        [
            pytest.param(fail, id="failed"),
            pytest.param(lambda storage, claim: settle(storage, claim, Status.PENDING), id="given back"),
            pytest.param(
                lambda storage, claim: settle(storage, claim, Status.SCHEDULED, Outcome.FAILED, delay=SHORT), id="again"
            ),
            pytest.param(lambda storage, claim: settle(storage, claim, Status.CANCELLED), id="cancelled"),
        ],
    )
    def test_however_one_ends_it_frees_no_place(self, storage: Storage, clock: Clock, end: Settling) -> None:
        """And once it is claimed anew it has a place like any other."""
        fill(storage, "1", "2", limits=[ONE])
        first = take_one(storage)
        (second,) = take_along(storage, first)
        end(storage, second)
        fill(storage, "3", limits=[ONE])
        clock.advance(LATER)
        assert take(storage) == []
        complete(storage, first)
        storage.retry("2")
        claim = storage.claim("me", "2", LONG)
        assert claim is not None
        assert not claim.along
        assert take(storage) == []
        complete(storage, claim)
        assert ids(take(storage)) == ["3"]

    def test_a_place_in_a_rate_is_for_all_of_a_run(self, storage: Storage, clock: Clock) -> None:
        """However many come along."""
        limit = Limit(RATE, "r", 1, SHORT)
        fill(storage, "1", "2", "3", "4", "5", limits=[limit])
        first = take_one(storage)
        assert ids(take_along(storage, first, 3)) == ["2", "3", "4"]
        assert take(storage) == []
        clock.advance(LATER)
        assert ids(take(storage)) == ["5"]

    def test_nothing_comes_along_with_a_claim_that_is_over(self, storage: Storage, clock: Clock) -> None:
        """Settled, or made by another worker since."""
        fill(storage, "1", "2", limits=[TWO])
        first = take_one(storage, lease=SHORT)
        settle(storage, first, Status.PENDING, Outcome.LOST)
        assert take_along(storage, first) == []
        again = take_one(storage)
        assert (again.id, take_along(storage, first)) == ("1", [])
        complete(storage, again)
        assert take_along(storage, again) == []
        assert ids(take(storage)) == ["2"]

    def test_what_is_due_comes_along(self, storage: Storage, clock: Clock) -> None:
        """Whether anybody has asked for jobs since or not."""
        fill(storage, "1", limits=[ONE])
        fill(storage, "2", limits=[ONE], delay=SHORT)
        first = take_one(storage)
        assert take_along(storage, first) == []
        clock.advance(LATER)
        assert ids(take_along(storage, first)) == ["2"]

    @pytest.mark.parametrize("type_", [None, "t"])
    def test_nothing_comes_along_out_of_a_stop(self, storage: Storage, type_: str | None) -> None:
        """Of the queue or the type, also if it waits at a gate."""
        fill(storage, "1", "2", limits=[ONE])
        first = take_one(storage)
        assert take(storage) == []
        fill(storage, "3", limits=[ONE])
        storage.stop("q", type_)
        assert take_along(storage, first) == []
        storage.go_on("q", type_)
        assert ids(take_along(storage, first)) == ["2", "3"]

    def test_a_claim_under_no_limit_changes_nothing(self, storage: Storage) -> None:
        """The head of the line comes, as ever."""
        fill(storage, "1", "2", "3", "4")
        first = take_one(storage)
        wanted = Wanted(["q"], ["t"], LONG, 2, ["t"], only=True, along_with=(first.id, first.token))
        claims = storage.step("w", (), wanted).claims
        assert [(claim.id, claim.along) for claim in claims] == [("2", False), ("3", False)]
        fill(storage, "5", "6", limits=[ONE], priority=1)
        assert [(claim.id, claim.along) for claim in storage.step("w", (), wanted).claims] == [("5", False)]
        assert ids(take(storage, limit=2)) == ["4"]

    def test_the_stalled_say_that_they_came_along(self, storage: Storage, clock: Clock) -> None:
        """Whoever gives them back frees one place."""
        fill(storage, "1", "2", "3", limits=[TWO])
        first = take_one(storage, lease=SHORT)
        take_along(storage, first, lease=SHORT)
        fill(storage, "4", "5", "6", limits=[TWO])
        clock.advance(LATER)
        claims = {claim.id: claim for claim in storage.stalled()}
        assert {job_id: claim.along for job_id, claim in claims.items()} == {"1": False, "2": True, "3": True}
        for claim in claims.values():
            fail(storage, claim)
        assert ids(take(storage) + take(storage) + take(storage)) == ["4", "5"]
