"""One run for several claims: their payloads come as one list, and what becomes of the run becomes of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from .. import transitions
from ..chains import followed, given_back
from ..errors import PayloadError
from ..manager import Manager
from ..record import Outcome, Status
from ..storage.values import Claim, Settlement, Wanted
from .attempt import Attempt, Limits
from .interrupts import CancelNow, Interrupt

#: Claims that are asked for at a time: few at first, since there may be no more of the same key.
FIRST_FEW, AT_ONCE = 32, 250
#: The company of claims that run as usual.
HANDLED = "handled"


def new_attempt(
    manager: Manager, claim: Claim, along: Sequence[Claim], interrupts: Limits, stir: Callable[[], None]
) -> Attempt:
    """Make the attempt of a claim, with those that come along."""
    if manager.jobs[claim.type].gathering is None:
        return Attempt(manager, claim, interrupts, stir)
    return GatheredAttempt(manager, claim, along, interrupts, stir)


def gather(
    manager: Manager,
    claim: Claim,
    claim_more: Callable[[Claim, int], list[Claim]],
    at_hand: Sequence[Claim] = (),
) -> tuple[list[Claim], list[Claim]]:
    """Claim what comes along with a claim; returns that, and what was claimed with it and does not belong to it.

    Of the latter, what came along under limits goes back, unless its `handle` is not called any more.
    """
    gathering = manager.jobs[claim.type].gathering
    if gathering is None or company(manager, claim) is None:
        return [], list(at_hand)
    along, others = parted(manager, claim, at_hand)
    few = FIRST_FEW
    while (wanted := min(gathering.size - 1 - len(along), few)) > 0:
        found = claim_more(claim, wanted)
        mine, strange = parted(manager, claim, found)
        along += mine
        others += strange
        few = AT_ONCE
        if len(mine) < wanted:
            break
    return along, others


def like(claim: Claim, limit: int, lease: int) -> Wanted:
    """Up to so many jobs that are like a claim, to run with it: under limits in its place, which it entered alone."""
    queues, types = [claim.queue], [claim.type]
    return Wanted(queues, types, lease, limit, short=types, only=True, along_with=(claim.id, claim.token))


def parted(manager: Manager, claim: Claim, others: Sequence[Claim]) -> tuple[list[Claim], list[Claim]]:
    """Part claims into those that come along with one, and those that do not."""
    key, kept = manager.gathering_key(claim), company(manager, claim)
    along = [
        one
        for one in others
        if manager.gathering_key(one) == key and one.type == claim.type and company(manager, one) == kept
    ]
    return along, [one for one in others if one not in along]


def is_over(manager: Manager, claim: Claim) -> bool:
    """Whether nothing of a claim is run, its `failed` at most."""
    return company(manager, claim) != HANDLED


def company(manager: Manager, claim: Claim) -> str | None:
    """What claims of one key have in common that come together: those of which `handle` is called, or `failed` alone.

    None for one with an end of its own: it cannot be read, its payload fits no more, it has expired, or its batch was
    cancelled.
    """
    terms = manager.terms(claim)
    if terms.damage is not None:
        return None
    try:
        manager.jobs[claim.type].shape.load(claim.payload)
    except PayloadError:
        return None
    if transitions.is_last_words(claim, terms):
        return f"failed by {claim.error}"
    if transitions.is_expired(claim) or manager.called_off(claim, terms) is not None:
        return None
    return HANDLED


class GatheredAttempt(Attempt):
    """Several claims of one type in one run. Its log, progress and result are kept with the first."""

    def __init__(
        self,
        manager: Manager,
        claim: Claim,
        along: Sequence[Claim],
        interrupts: Limits,
        stir: Callable[[], None],
    ) -> None:
        super().__init__(manager, claim, interrupts, stir)
        gathering = self._type.gathering
        assert gathering is not None
        self._gathering = gathering
        self._along = along
        #: What a failure makes of each claim.
        self._failures: dict[int, Settlement] = {}

    def along(self, settlement: Settlement) -> list[Settlement]:
        """What becomes of the others where this becomes of the first."""
        return [followed(claim, self._like(settlement, claim)) for claim in self._along]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All that run."""
        return (self.claim, *self._along)

    def _like(self, settlement: Settlement, claim: Claim) -> Settlement:
        if settlement.outcome in (Outcome.FAILED, Outcome.TIMED_OUT):
            return self._failures.get(claim.token) or self._failed(claim, settlement.error or "", settlement)
        return settlement._replace(
            id=claim.id,
            token=claim.token,
            result=None,
            progress=None,
            logs=(),
            follows=(),
            stop=0,
            if_cancelled=None,
        )

    def _arguments(self) -> dict[str, Any]:
        return self._list_of(self.claims)

    def _list_of(self, claims: Sequence[Claim]) -> dict[str, Any]:
        items = [self._gathering.item(**self._type.shape.load(claim.payload)) for claim in claims]
        return {self._gathering.argument: items}

    def _failed_for_good(self, settlement: Settlement) -> bool:
        """Settle the others too; those that have failed for good are what `failed` gets."""
        text = settlement.error or ""
        self._failures = {claim.token: self._failed(claim, text, settlement) for claim in self._along}
        ends = [(self.claim, settlement), *((claim, self._failures[claim.token]) for claim in self._along)]
        for_good = [claim for claim, end in ends if end.status is Status.FAILED]
        with suppress(PayloadError):
            self.payload = self._list_of(for_good)
        return bool(for_good)

    def _failed(self, claim: Claim, error: str, first: Settlement) -> Settlement:
        """The end of another claim; those that are tried again come again together."""
        assert first.outcome is not None
        terms = self._manager.terms(claim)
        if self._never_again:
            terms = transitions.on_last_try(claim, terms)
        failed = transitions.failed(claim, terms, error, first.outcome)
        together = failed.status is Status.SCHEDULED and first.status is Status.SCHEDULED
        return failed._replace(delay=first.delay) if together else failed

    def _interrupted(self, thrown: type[Interrupt], error: BaseException | None) -> Settlement:
        """Where one of them was cancelled, all go back; the storage ends the one that was meant."""
        if thrown is CancelNow:
            return transitions.given_back(self.claim, begun=True)
        return super()._interrupted(thrown, error)

    def cancelled(self) -> Settlement:
        """The same in a thread that nobody can stop."""
        return given_back(self.claim, begun=True)
