"""What becomes of the jobs of a process that can no longer say so: died, stopped, or vanished."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import chains, transitions
from .breakers import FAILURES, Breakers
from .errors import OptionsChanged
from .record import JobError, Outcome, Status
from .storage import Storage
from .storage.values import Claim, Settlement
from .telling import Teller
from .transitions import Terms

#: Why a link was cancelled by somebody who has died before he could say so.
HALF_CANCELLED = "It was being cancelled when whoever did so died."


def canceller_of(job_id: str) -> str:
    """The name under which a waiting link is claimed to be cancelled; nothing of it runs."""
    return f"{job_id}:cancel"


class Rescuer:
    """Settles what others held."""

    def __init__(
        self,
        storage: Callable[[], Storage],
        teller: Teller,
        breakers: Breakers,
        terms: Callable[[Claim], Terms],
        gathering_key: Callable[[Claim], str | None],
        read_out: Callable[[Sequence[Settlement]], list[Settlement]],
        lease: Callable[[], int],
    ) -> None:
        self._storage = storage
        self._teller = teller
        self._breakers = breakers
        self._terms = terms
        self._gathering_key = gathering_key
        self._read_out = read_out
        self._lease = lease

    def cancel(self, job_id: str, reason: str) -> Status | None:
        """End a job that waits, or ask for the end of one that runs; returns the status it had, as the storage does."""
        while True:
            try:
                status = self._storage().cancel(job_id, reason)
            except OptionsChanged:
                if self.call_off(job_id, reason):
                    return Status.PENDING
            else:
                if status in (Status.PENDING, Status.SCHEDULED):
                    self._teller.cancelled(job_id)
                return status

    def call_off(self, job_id: str, reason: str) -> bool:
        """End a job that waits, with what follows from that; False where somebody else was quicker."""
        claim = self._storage().claim(canceller_of(job_id), job_id, self._lease())
        if claim is None:
            return False
        settlement = chains.followed(claim, transitions.called_off(claim, reason))
        return self.settle_for(claim.worker, [claim], [settlement]) != []

    def bury(self, child: str, outcome: Outcome, error: JobError, mark: int | None) -> list[Claim]:
        """Settle what a dead child held; returns the claim of the job that it ran, if it ran one.

        `mark` is the token of the last claim that it began, negative if that had ended; None where it ran all it held.
        """
        settled = self._settle_dead(self._storage().claims_of(child), outcome, error, mark)
        return [claim for claim in settled if mark is None or claim.token == abs(mark)]

    def give_back(self, child: str) -> list[Claim]:
        """Return what a child held when it was stopped; no try is lost."""
        claims = self._storage().claims_of(child)
        settled = [chains.given_back(claim, begun=not claim.ahead) for claim in claims]
        self.settle_for(child, claims, settled)
        return claims

    def rescue(self) -> list[Claim]:
        """Give back stalled jobs: those whose lease ran out; returns their claims."""
        error = JobError("flask_queues.errors.WorkerLost", "The worker vanished; its lease ran out.")
        return self._settle_dead(self._storage().stalled(), Outcome.LOST, error)

    def _settle_dead(
        self, claims: list[Claim], outcome: Outcome, error: JobError, mark: int | None = None
    ) -> list[Claim]:
        text = transitions.dump_error(*error)
        ran = next((claim for claim in claims if mark is not None and claim.token == abs(mark)), None)
        settled = [
            chains.followed(claim, self._died(claim, text, outcome, self._mark_of(claim, ran, mark, outcome)))
            for claim in claims
        ]
        return self.settle_for("keeper", claims, settled, rescued=outcome is Outcome.LOST, mark=mark)

    def settle_for(
        self,
        worker: str,
        claims: list[Claim],
        settled: list[Settlement],
        *,
        rescued: bool = False,
        mark: int | None = None,
    ) -> list[Claim]:
        """Settle what a process held that cannot do so itself; returns the claims that were still in force."""
        if not settled:
            return []
        settled = self._read_out(settled)
        self._learn(claims, settled, mark)
        done: list[Claim] = []
        while settled:
            step = self._storage().step(worker, settled)
            behind = {claim.id for claim in step.outdated}.union(step.lost)
            for claim, one in zip(claims, settled, strict=True):
                if claim.id not in behind:
                    self._tell(claim, one, rescued=rescued)
                    done.append(claim)
            claims, settled = list(step.outdated), self._read_out(chains.anew(settled, step.outdated))
        return done

    def _tell(self, claim: Claim, done: Settlement, *, rescued: bool) -> None:
        if rescued:
            self._teller.rescued(claim)
        self._teller.settled(claim, done)

    def _mark_of(self, claim: Claim, ran: Claim | None, mark: int | None, outcome: Outcome) -> int | None:
        """Of claims that run together, the first stands for all; what else is gathered had not begun.

        Where a process ran all it held, that is all of them; what had vanished may have held more than it ran.
        """
        key = self._gathering_key(claim)
        if key is not None and mark is None and outcome is not Outcome.LOST:
            return claim.token
        if key is None or mark is None:
            return mark
        return claim.token if ran is not None and self._gathering_key(ran) == key else 0

    def _died(self, claim: Claim, text: str, outcome: Outcome, mark: int | None) -> Settlement:
        if claim.worker == canceller_of(claim.id):
            return transitions.called_off(claim, HALF_CANCELLED)
        end = transitions.died(claim, self._terms(claim), text, outcome, mark)
        return end._replace(alone=False) if self._gathering_key(claim) is not None else end

    def _learn(self, claims: Sequence[Claim], settled: Sequence[Settlement], mark: int | None) -> None:
        """Tell the breakers how runs ended of which their own process could not tell: those that failed, each once.

        Of claims that came together the one that began the run speaks for all; a breaker may try that very job.
        """
        failed: set[str] = set()
        for claim, settlement in sorted(
            zip(claims, settled, strict=True), key=lambda pair: (pair[0].token != abs(mark or 0), pair[0].token)
        ):
            key = self._gathering_key(claim)
            if settlement.outcome in FAILURES and key is not None:
                if key in failed:
                    continue
                failed.add(key)
            self._breakers.learn(claim, settlement)
