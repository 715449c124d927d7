"""A child's work: claim, run, settle, until it is told to stop or has done its share."""

from __future__ import annotations

import enum
import time

from ..chains import given_back
from ..manager import Manager
from ..record import Outcome
from ..storage.values import Claim, PendingStep, Settlement
from . import footprint
from .attempt import Attempt
from .bell import Bell
from .board import Slot
from .ending import LOOK, Ending
from .exchange import Exchange
from .gathering import gather, is_over, new_attempt
from .hand import Hand
from .interrupts import Interrupts
from .pace import BRISK, Pace
from .plan import Share
from .report import Report
from .steward import Steward
from .surroundings import Surroundings

#: Seconds by which a job may outlive its timeout before its process is killed.
KILL_AFTER = 5.0

#: After such a run the child is replaced, so that what the job has started or left half done goes with it.
INTERRUPTED = (Outcome.TIMED_OUT, Outcome.CANCELLED)


class End(enum.IntEnum):
    """Why a child ended, as its exit code."""

    STOPPED = 0
    #: It has run its number of jobs.
    WORN = 10
    #: Nothing was left to do, and it was asked to stop then.
    EMPTY = 11
    #: It cannot work at all; another child could not either.
    UNABLE = 12


class Loop:
    """Claims, runs and settles jobs in this process."""

    def __init__(
        self,
        manager: Manager,
        name: str,
        share: Share,
        *,
        interrupts: Interrupts,
        slot: Slot,
        report: Report,
        bell: Bell,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._manager = manager
        self._share = share
        self._interrupts = interrupts
        self._slot = slot
        self._bell = bell
        self._exchange = Exchange(manager, name, share, report, interrupts, slot)
        self._hand = Hand(self._settle)
        self._steward = Steward(self._hand.relieve, self._flush_notes)
        self._attempt: Attempt | None = None
        self._pace = Pace()
        self._left = share.max_jobs
        self._ending = Ending(manager)
        self._surroundings = surroundings

    def work(self) -> End:
        """Work until there is a reason to end."""
        while True:
            if self._interrupts.stopping:
                return self._finish(End.STOPPED)
            if self._left <= 0:
                return self._finish(End.WORN)
            if self._slot.quiet:
                self._rest()
                continue
            claims = self._settle_and_claim()
            if claims:
                self._ending.put_off()
                self._run_all(claims)
            elif self._exchange.look_again:
                continue
            elif not self._share.stop_when_empty:
                self._sleep(self._manager.config.sleep)
            elif self._ending.is_reached(self._exchange.queues):
                return self._finish(End.EMPTY)
            else:
                self._sleep(min(LOOK, self._manager.config.sleep))

    def _settle_and_claim(self) -> list[Claim]:
        """Settle what is done and claim what is next, in one step."""
        wanted = self._exchange.wanted(min(self._left, self._pace.limit()), self._pace.short)
        return self._exchange.step(self._hand.take_done(), wanted)

    def _exchange_behind(self, claim: Claim) -> None:
        """Send the next exchange on its way while a job that will not take long runs, where that gains anything.

        What was claimed together is half run by then: the other half is run while the answer comes.
        """
        if (
            self._slot.quiet
            or self._exchange.storage_is_near
            or claim.type not in self._pace.brisk
            or self._hand.expecting
        ):
            return
        half = max(1, self._pace.limit() // 2)
        spare = self._left - 1 - self._hand.waiting
        if spare <= 0 or self._hand.waiting >= half:
            return
        if claim.type in self._pace.short:
            wanted = self._exchange.wanted(min(spare, half), self._pace.short, behind=True)
        else:
            wanted = self._exchange.wanted(1, self._pace.brisk, behind=True)
        settled = self._hand.take_done()
        pending = self._exchange.begin(settled, wanted)
        if pending is None:
            self._hand.done(*settled)
        else:
            self._hand.expect(lambda: self._fetch(pending, settled))
            self._steward.stir()

    def _fetch(self, pending: PendingStep, settled: list[Settlement]) -> list[Claim]:
        claims = self._exchange.fetch(pending, settled)
        if claims is None:
            self._hand.done(*settled)
            return []
        return claims

    def _settle(self, settled: list[Settlement]) -> None:
        self._exchange.step(settled, None)

    def _run_all(self, claims: list[Claim]) -> None:
        self._hand.fill(claims)
        if len(claims) > 1:
            self._steward.stir()
        while (claim := self._hand.next()) is not None:
            self._exchange_behind(claim)
            self._hand.done(*self._run(claim))
            if self._manager.gathering_key(claim) is not None:
                self._settle(self._hand.take_done())  # who dies in the next run must not take this one along
            over = self._interrupts.stopping or self._left <= 0
            if over or not self._hand.waiting:
                self._hand.collect()
            if over:
                self._hand.give_back()

    def _run(self, claim: Claim) -> list[Settlement]:
        self._attempt = attempt = self._begin(claim)
        self._interrupts.tokens = attempt.tokens
        before = None if claim.type in self._pace.brisk else footprint.begin()
        began = time.perf_counter()
        self._slot.begin(claim.token, attempt.terms.timeout + KILL_AFTER)
        settlement = attempt.run()
        self._slot.end()
        seconds = time.perf_counter() - began
        if self._surroundings is not None:
            self._surroundings.restore(claim.type, seconds, last=not self._hand.waiting)
        self._attempt = None
        if len(attempt.tokens) == 1:
            self._pace.ran(claim.type, seconds)
        self._exchange.ran(attempt, seconds)
        cut = settlement.outcome in INTERRUPTED or self._interrupts.thrown is not None
        self._left = 0 if cut else self._left - 1
        settled = [settlement, *attempt.along(settlement)]
        if before is None or seconds < BRISK:
            return settled
        memory = footprint.since(before)
        return [one._replace(memory=memory) for one in settled]

    def _begin(self, claim: Claim) -> Attempt:
        """Make the attempt, with all that comes along; what is claimed beside it is run after it, or goes back."""
        if self._manager.jobs[claim.type].gathering is None:
            return Attempt(self._manager, claim, self._interrupts, self._steward.stir)
        self._hand.collect()  # a storage that lost a connection would hand out again what is on its way
        along, others = gather(self._manager, claim, self._exchange.claim_more, self._hand.take_like(claim))
        if back := [one for one in others if one.along and not is_over(self._manager, one)]:
            self._settle([given_back(one, begun=False) for one in back])
            others = [one for one in others if one not in back]
        self._hand.fill(others)
        if others:
            self._steward.stir()
        return new_attempt(self._manager, claim, along, self._interrupts, self._steward.stir)

    def _flush_notes(self) -> bool:
        attempt = self._attempt
        return attempt is not None and attempt.notes.flush()

    def _sleep(self, seconds: float) -> None:
        """Wait to be woken by the keeper; look all the same after so many seconds."""
        self._slot.idle = True
        rang = self._bell.wait(seconds)
        self._slot.idle = False
        if rang:
            self._exchange.trust_queues()
        else:
            self._exchange.forget_queues()

    def _rest(self) -> None:
        """Take nothing, as somebody has asked, until the keeper rings."""
        if settled := self._hand.take_done():
            self._settle(settled)
        self._bell.wait(self._manager.config.sleep)

    def _finish(self, end: End) -> End:
        self._hand.give_back()
        self._settle(self._hand.take_done())
        return end
