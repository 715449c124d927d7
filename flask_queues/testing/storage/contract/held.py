"""The contract: jobs of a type that a worker does not know."""

from __future__ import annotations

import pytest

from ....record import Status
from ....storage import Storage
from ....storage.values import Step, Wanted
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LONG, a_worker, counted, fill, ids, new, take, take_one, the


class HeldContract(OpenedTwice):
    """Jobs of a type that a worker does not know."""

    def test_a_job_of_an_unknown_type_is_held_and_says_why(self, storage: Storage) -> None:
        """It stays pending, does not stop the line, and its record names the type."""
        fill(storage, "a", type="strange")
        fill(storage, "b")
        assert ids(take(storage)) == ["b"]
        record = the(storage, "a")
        assert record.status is Status.PENDING
        assert "strange" in (record.held or "")
        assert take(storage, types=["strange", "t"]) == []
        assert storage.pending(["q"], ["strange", "t"]) is False
        assert storage.counts().cells == counted(storage)

    def test_any_number_of_unknown_jobs_leaves_the_front_of_the_line(self, storage: Storage) -> None:
        """A known job behind them is claimed in the same step."""
        fill(storage, *[f"{n}" for n in range(60)], type="strange", priority=9)
        fill(storage, "known")
        assert ids(take(storage)) == ["known"]

    def test_who_wants_certain_types_only_leaves_the_others_where_they_are(self, storage: Storage) -> None:
        """One whose type no worker knows, one that is stopped, and one that the worker knows but does not want now."""
        fill(storage, "a", type="strange")
        fill(storage, "b", "c")
        fill(storage, "d", type="u")
        storage.stop("q", "u", reason="no", by="me")
        wanted = Wanted(["q"], ["t"], LONG, 5, short=["t"], only=True)
        step = storage.step("w", (), wanted)
        assert (ids(step.claims), step.held) == (["b", "c"], 0)
        assert storage.step("w", (), wanted) == Step([], [])
        assert [the(storage, job_id).held for job_id in "ad"] == [None, None]
        assert ids(take(storage, types=["strange", "t", "u"])) == ["a"]

    def test_who_wants_a_stopped_type_only_gets_none(self, storage: Storage) -> None:
        """However much of it there is."""
        fill(storage, "a", "b")
        storage.stop("q", "t", reason="no", by="me")
        assert storage.step("w", (), Wanted(["q"], ["t"], LONG, only=True)).claims == []
        assert [the(storage, job_id).held for job_id in "ab"] == [None, None]

    def test_a_job_whose_type_another_worker_knows_is_passed_over(self, storage: Storage) -> None:
        """It keeps its place in the line for the worker that knows it."""
        storage.heartbeat(a_worker("new", types=("strange",)), LONG)
        fill(storage, "a", type="strange")
        fill(storage, "b")

        assert ids(take(storage)) == ["b"]
        assert the(storage, "a").held is None
        assert storage.pending(["q"], ["t"]) is False
        assert storage.pending(["q"], ["strange"]) is True
        assert ids(take(storage, types=["strange"])) == ["a"]

    def test_a_worker_that_vanished_does_not_count_among_those_that_know_a_type(
        self, storage: Storage, clock: Clock
    ) -> None:
        """After a minute without a sign of life its types are as unknown as any."""
        if not clock.frozen:
            pytest.skip("this engine's clock cannot be set, and a minute is too long to wait")
        storage.heartbeat(a_worker("new", types=("strange",)), LONG)
        fill(storage, "a", type="strange")
        clock.advance(61_000)

        assert take(storage) == []
        assert the(storage, "a").held is not None

    def test_a_step_tells_how_many_jobs_it_set_aside(self, storage: Storage) -> None:
        """So that a worker goes on looking instead of going to sleep."""
        fill(storage, "a", "b", type="strange")

        assert storage.step("w", (), Wanted(("q",), ("t",), LONG)).held == 2
        assert storage.step("w", (), Wanted(("q",), ("t",), LONG)).held == 0

    def test_an_unknown_job_does_not_cut_what_is_claimed_together(self, storage: Storage) -> None:
        """The line closes ranks where a job was set aside."""
        storage.push([new("a"), new("b", type="strange"), new("c"), new("d")])
        assert ids(take(storage, limit=3, short=["t"])) == ["a", "c", "d"]

    def test_held_jobs_come_back_for_a_worker_that_knows_their_type(self, storage: Storage) -> None:
        """`release_held` puts back those of these types, to their places, and tells how many."""
        storage.push([new("a", type="x"), new("b", type="y"), new("c", type="x"), new("d")])
        assert ids(take(storage)) == ["d"]

        assert storage.release_held(["unrelated"]) == 0
        assert storage.release_held(["x", "unrelated"]) == 2
        assert storage.release_held(["x"]) == 0

        assert the(storage, "a").held is None
        assert the(storage, "b").held is not None
        assert storage.pending(["q"], ["t"]) is False
        assert storage.pending(["q"], ["x"]) is True
        assert [take_one(storage, types=["x", "y"]).id for _ in range(2)] == ["a", "c"]
        assert take(storage, types=["x", "y"]) == []

    @pytest.mark.parametrize("way", ["cancel", "claim", "delete", "purge"])
    def test_a_held_job_obeys_like_any_other(self, storage: Storage, way: str) -> None:
        """It can be cancelled, claimed by id and deleted."""
        fill(storage, "a", type="strange")
        take(storage)
        if way == "cancel":
            assert storage.cancel("a", "why") is Status.PENDING
            assert (the(storage, "a").status, the(storage, "a").held) == (Status.CANCELLED, None)
        elif way == "claim":
            claim = storage.claim("w", "a", LONG)
            assert claim is not None
            assert the(storage, "a").held is None
        elif way == "delete":
            assert storage.delete("a") is Status.PENDING
        else:
            assert storage.purge([Status.PENDING]) == 1
        assert storage.release_held(["strange"]) == 0
        assert storage.counts().cells == counted(storage)
