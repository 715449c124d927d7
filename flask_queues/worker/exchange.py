"""How a child settles what it ran and claims what is next, whatever becomes of the storage meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from ..chains import anew, given_back, is_read_out
from ..errors import StorageError, StorageFormatError
from ..manager import Manager
from ..record import Outcome
from ..storage.values import Claim, PendingStep, Settlement, Step, Wanted
from .attempt import Attempt
from .board import Slot
from .gathering import like
from .plan import Share
from .report import Report

#: Seconds after which the list of all queues is asked anew.
QUEUES_AGE = 1.0
#: Seconds between attempts to reach a storage that failed, at most.
LONGEST_RETRY = 5.0


class Stops(Protocol):
    """Whoever knows that the worker was asked to stop."""

    @property
    def stopping(self) -> bool:
        """Whether it was."""


class Exchange:
    """One child's side of the steps; says what became of each job that it ran."""

    def __init__(self, manager: Manager, name: str, share: Share, report: Report, stops: Stops, slot: Slot) -> None:
        self._manager = manager
        self._name = name
        self._share = share
        self._report = report
        self._stops = stops
        self._slot = slot
        self._ran: dict[str, tuple[Attempt, Claim, float]] = {}
        self._queues: list[str] = []
        self._queues_at = 0.0
        #: Whether the list of queues is taken for current although it may not be.
        self._trusting = False
        #: Whether the last step found nothing, but the next may: it set jobs aside, or there may be other queues now.
        self.look_again = False
        #: Whether steps are answered so fast that none is sent ahead.
        self.storage_is_near = False

    @property
    def queues(self) -> list[str]:
        """Those that were asked for jobs."""
        return self._queues

    def wanted(self, limit: int, short: set[str], *, behind: bool = False) -> Wanted:
        """What to claim: of the queues to serve, as many, and which types may be claimed together."""
        return Wanted(
            queues=self._serve(),
            types=self._manager.jobs.served,
            lease=self._manager.lease,
            limit=limit,
            short=short,
            behind=behind,
        )

    def step(self, settled: Sequence[Settlement], wanted: Wanted | None) -> list[Claim]:
        """Settle and claim, again and again while the storage fails; with nothing once the worker is to stop."""
        step = self._surely(settled, wanted)
        return [] if step is None else self._without_strays(self._take_in(*step))

    def _surely(self, settled: Sequence[Settlement], wanted: Wanted | None) -> tuple[Sequence[Settlement], Step] | None:
        """Take a step; returns it with its settlements as they were read out."""
        pause = 0.1
        while True:
            try:
                settled = self._manager.read_out(settled)
                step = self._manager.step(self._name, settled, wanted)
            except StorageFormatError:
                raise
            except StorageError as error:
                self._report.problem(str(error))
                if self._stops.stopping and pause >= LONGEST_RETRY:
                    return None
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY)
            else:
                self._report.solved()
                return settled, step

    def claim_more(self, claim: Claim, limit: int) -> list[Claim]:
        """Claim up to so many that are like one, to run with it."""
        step = self._surely((), like(claim, limit, self._manager.lease))
        return [] if step is None else self._take_in(*step)

    def _without_strays(self, claims: list[Claim]) -> list[Claim]:
        """Give back what came along with a run that is over or never was: a step whose answer was lost had claimed it.

        It has no place under its limits, so it may not run by itself.
        """
        strays = [claim for claim in claims if claim.along]
        if strays:
            self.step([given_back(claim, begun=False) for claim in strays], None)
            self.look_again = True
        return [claim for claim in claims if not claim.along]

    def begin(self, settled: Sequence[Settlement], wanted: Wanted) -> PendingStep | None:
        """Send a step whose answer is fetched later; None where that gains nothing, or fails."""
        if not all(map(is_read_out, settled)):
            return None
        try:
            pending = self._manager.begin_step(self._name, settled, wanted)
        except StorageError:  # the exchange after the job says so, and waits
            return None
        self.storage_is_near = pending is None
        return pending

    def fetch(self, pending: PendingStep, settled: Sequence[Settlement]) -> list[Claim] | None:
        """Wait for the answer to a step that was sent; None where none came: its settlements are to be sent again."""
        try:
            step = pending.answer()
        except StorageError:  # as above
            return None
        return self._without_strays(self._take_in(settled, step))

    def ran(self, attempt: Attempt, seconds: float) -> None:
        """Remember a run, to say what became of it once that is settled."""
        self._ran |= {claim.id: (attempt, claim, seconds) for claim in attempt.claims}

    def forget_queues(self) -> None:
        """Ask anew, before the next claim, which queues there are."""
        self._queues_at = 0.0

    def trust_queues(self) -> None:
        """Claim at once from the queues known here, as when the keeper rang; only if they hold nothing ask anew."""
        self._queues_at = time.monotonic()
        self._trusting = True

    def _take_in(self, settled: Sequence[Settlement], step: Step) -> list[Claim]:
        self._heed(settled, step)
        self.look_again = step.held > 0 or (self._trusting and not step.claims)
        if self.look_again:
            self.forget_queues()
        self._trusting = False
        return step.claims

    def _heed(self, settled: Sequence[Settlement], step: Step) -> None:
        """Say what became of settlements; settle again what was let be followed by another meanwhile."""
        behind = {claim.id for claim in step.outdated}
        self._tell([one for one in settled if one.id not in behind], step.lost)
        if behind and (again := self._surely(anew(settled, step.outdated), None)) is not None:
            self._heed(*again)

    def _tell(self, settled: Sequence[Settlement], lost: list[str]) -> None:
        ended: list[tuple[Attempt, Claim, Settlement, float]] = []
        for settlement in settled:
            ran = self._ran.pop(settlement.id, None)
            if ran is not None:
                attempt, claim, seconds = ran
                is_lost = settlement.id in lost
                if claim is attempt.claim:
                    sensitive = self._manager.sensitive(claim.type)
                    self._report.settled(claim, attempt.terms, settlement, seconds, sensitive, lost=is_lost)
                if not is_lost:
                    ended.append((attempt, claim, settlement, seconds))
            else:
                self._manager.teller.cancelled(settlement.id)
        self._report.flush()
        self._slot.completed += sum(one.outcome is Outcome.COMPLETED for _, _, one, _ in ended)
        for attempt, claim, settlement, seconds in ended:
            self._manager.teller.settled(claim, settlement, seconds, attempt.exception)

    def _serve(self) -> list[str]:
        if not self._queues or (not self._share.queues and time.monotonic() - self._queues_at > QUEUES_AGE):
            self._queues = self._known_queues()
            self._queues_at = time.monotonic()
        return self._queues

    def _known_queues(self) -> list[str]:
        try:
            return self._manager.queue_order(self._share.queues)
        except StorageFormatError:
            raise
        except StorageError:  # the step that follows says so, and waits
            return self._queues or self._manager.config.ordered_names([])
