"""The contract: the options of a job are changed under whoever runs it, and whoever settles it has heeded that."""

from __future__ import annotations

import pytest

from ....errors import OptionsChanged
from ....record import Outcome, Status
from ....storage import Storage
from ....storage.values import Claim, Settlement, Wanted
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, LONG, SHORT, complete, fill, in_status, new, settle, take, take_one, the

OLD, NEW = '{"tries":3}', '{ "tries":4,  "locale":"wörd" }'


def change(storage: Storage, job_id: str = "a", options: str | None = NEW) -> Status | None:
    """Give a job these options."""
    return storage.change_options(job_id, lambda _: options)


def claim_again(storage: Storage, job_id: str = "a") -> Claim:
    """Claim a job by its id."""
    claim = storage.claim("w", job_id, LONG)
    assert claim is not None
    return claim


def end_of(claim: Claim) -> Settlement:
    """A settlement that completes a claim."""
    return Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED, True, changes=claim.changes)


class OptionsContract(OpenedTwice):
    """The options of a job are changed in whatever status, and no settlement passes such a change over."""

    @pytest.mark.parametrize("status", list(Status))
    def test_options_are_changed_in_any_status(self, storage: Storage, other: Storage, status: Status) -> None:
        """To the last space; everything else stays, and the status is told."""
        in_status(storage, "a", status, options=OLD, tags=("x",))
        before = the(storage, "a")
        assert other.change_options("a", lambda text: NEW if text == OLD else "never") is status
        after = the(storage, "a")
        assert (after.tries, after.locale) == (4, "wörd")
        assert (after.status, after.payload, after.tags, after.history, after.finished) == (
            before.status, before.payload, before.tags, before.history, before.finished,
        )  # fmt: skip
        if status is not Status.COMPLETED:
            claims = storage.claims_of("w") if status is Status.RUNNING else [claim_again(storage)]
            assert [(claim.options, claim.changes) for claim in claims] == [(NEW, 1)]

    @pytest.mark.parametrize(("before", "after"), [(None, NEW), (OLD, None)])
    def test_a_job_may_get_its_first_options_and_lose_its_last(
        self, storage: Storage, before: str | None, after: str | None
    ) -> None:
        """Which counts as a change too."""
        fill(storage, "a", options=before)
        assert change(storage, options=after) is Status.PENDING
        claim = take_one(storage)
        assert (claim.options, claim.changes) == (after, 1)

    def test_who_changes_nothing_changes_nothing(self, storage: Storage) -> None:
        """The same options are no change; a job that is not there has none."""
        fill(storage, "a", options=OLD)
        assert storage.change_options("a", lambda text: text) is Status.PENDING
        assert change(storage, "b") is None
        claim = take_one(storage)
        assert (claim.options, claim.changes) == (OLD, 0)
        assert complete(storage, claim).outdated == ()

    def test_what_is_raised_meanwhile_changes_nothing(self, storage: Storage) -> None:
        """It comes out."""
        fill(storage, "a", options=OLD)

        def refuse(_: str | None) -> str | None:
            raise LookupError("no")

        with pytest.raises(LookupError):
            storage.change_options("a", refuse)
        assert take_one(storage).options == OLD

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.RUNNING])
    def test_a_settlement_that_was_made_from_other_options_changes_nothing(
        self, storage: Storage, other: Storage, clock: Clock, status: Status
    ) -> None:
        """It is told with the claim as it is now; made from that it counts. Others of that step count too."""
        fill(storage, "a", "b", options=OLD)
        claim, beside = take_one(storage), take_one(storage)
        assert change(other) is Status.RUNNING
        ends = [one._replace(status=status, follows=[new("c")]) for one in map(end_of, (claim, beside))]
        step = storage.step("w", ends)
        assert (step.lost, [the(storage, job_id).status for job_id in "ab"]) == ([], [Status.RUNNING, status])
        assert list(step.outdated) == [claim._replace(options=NEW, changes=1)]
        assert storage.claims_of("w") == list(step.outdated)
        clock.advance(5)
        again = storage.step("w", [ends[0]._replace(changes=1, follows=[new("d")])])
        assert (again.lost, list(again.outdated)) == ([], [])
        assert the(storage, "a").status is status
        assert (storage.get("d") is not None) is status.final

    def test_a_settlement_may_be_outdated_again(self, storage: Storage) -> None:
        """As often as somebody is quicker; a number that was never reached is none either."""
        fill(storage, "a")
        claim = take_one(storage)
        for n in range(1, 4):
            change(storage, options=f'{{"tries":{n}}}')
            (claim,) = complete(storage, claim).outdated
            assert (claim.changes, claim.options) == (n, f'{{"tries":{n}}}')
        assert [one.changes for one in settle(storage, claim, Status.COMPLETED, changes=9).outdated] == [3]
        assert list(complete(storage, claim, changes=3).outdated) == []
        assert the(storage, "a").status is Status.COMPLETED

    def test_an_outdated_settlement_claims_the_next_job_all_the_same(self, storage: Storage) -> None:
        """It is one of the step's parts."""
        fill(storage, "a", "b")
        claim = take_one(storage)
        change(storage)
        step = storage.step("w", [end_of(claim)], Wanted(["q"], ["t"], LONG))
        assert ([one.id for one in step.claims], [one.id for one in step.outdated]) == (["b"], ["a"])

    def test_the_claim_of_a_stalled_job_tells_of_changes(self, storage: Storage, clock: Clock) -> None:
        """Whoever rescues it heeds them."""
        fill(storage, "a")
        take_one(storage, lease=SHORT)
        change(storage)
        clock.advance(LATER)
        (claim,) = storage.stalled()
        assert (claim.options, claim.changes) == (NEW, 1)
        assert list(storage.step("keeper", [end_of(claim)]).outdated) == []

    def test_who_runs_again_is_told_of_all_changes(self, storage: Storage) -> None:
        """Those before its first run too."""
        fill(storage, "a")
        change(storage)
        claim = take_one(storage)
        settle(storage, claim, Status.PENDING, Outcome.GIVEN_BACK, changes=1)
        change(storage, options=OLD)
        claim = take_one(storage)
        assert (claim.options, claim.changes) == (OLD, 2)
        complete(storage, claim, changes=2)
        assert the(storage, "a").status is Status.COMPLETED

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
    def test_a_waiting_job_whose_options_were_changed_is_not_cancelled(self, storage: Storage, status: Status) -> None:
        """Whoever claims it knows what its end causes."""
        in_status(storage, "a", status)
        change(storage)
        with pytest.raises(OptionsChanged):
            storage.cancel("a", "no")
        assert (the(storage, "a").status, the(storage, "a").reason) == (status, None)
        claim = claim_again(storage)
        assert storage.cancel("a", "please") is Status.RUNNING
        settle(storage, claim, Status.CANCELLED, changes=1)
        assert (the(storage, "a").status, storage.cancel("a", "late")) == (Status.CANCELLED, Status.CANCELLED)

    def test_a_job_of_the_same_id_begins_anew(self, storage: Storage) -> None:
        """Once the one before was deleted."""
        fill(storage, "a")
        change(storage)
        storage.delete("a")
        fill(storage, "a")
        assert take_one(storage).changes == 0
        assert storage.counts().statuses["running"] == 1
        assert take(storage) == []

    def test_a_changed_payload_and_changed_options_stand_side_by_side(self, storage: Storage) -> None:
        """Neither undoes the other."""
        fill(storage, "a", options=OLD)
        change(storage)
        storage.change_payload("a", '{"n":1}', "{}")
        change(storage, options=OLD)
        claim = take_one(storage)
        assert (claim.payload, claim.options, claim.changes) == ('{"n":1}', OLD, 2)
