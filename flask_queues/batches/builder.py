"""How an application makes a batch, and holds one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from ..record import JobRecord, Status
from .record import BatchRecord
from .sheet import CATCH, FINALLY, THEN

if TYPE_CHECKING:
    from .batches import Batches

#: A callback: job, payload, options of its push.
Callback = tuple[Any, dict[str, Any] | None, dict[str, Any]]


@dataclass
class Plan:
    """A batch as the caller gives it."""

    jobs: Iterable[Any]
    name: str
    callbacks: dict[str, Callback] = field(default_factory=dict)


class Batch:
    """A batch on its way: `queues.batch(jobs).then(Report).push()`."""

    def __init__(self, jobs: Iterable[Any], name: str, push: Callable[[Plan, dict[str, Any]], BatchHandle]) -> None:
        self._plan = Plan(jobs, name)
        self._push = push

    def then(self, job: Any, payload: dict[str, Any] | None = None, /, **options: Any) -> Batch:
        """Push this job once all have completed; not where one has failed, until that was retried and completed."""
        return self._with(THEN, job, payload, options)

    def catch(self, job: Any, payload: dict[str, Any] | None = None, /, **options: Any) -> Batch:
        """Push this job as soon as the first one has failed for good."""
        return self._with(CATCH, job, payload, options)

    def finally_(self, job: Any, payload: dict[str, Any] | None = None, /, **options: Any) -> Batch:
        """Push this job once all have ended, in whatever way."""
        return self._with(FINALLY, job, payload, options)

    def push(self, **options: Any) -> BatchHandle:
        """Store the batch, then its jobs in slices of 500, which may run before the last is stored.

        Of jobs that come from a generator no more than a slice is in memory. Options are those of a push, for every
        job. With `after_commit` (or `QUEUES_AFTER_COMMIT`) within a transaction all jobs are checked now and kept in
        memory; the commit stores them, and raises what storing raises; a rollback drops them.
        Where a job cannot be pushed the batch is cancelled, with those that were, and the error raised. A batch
        whose process dies while it pushes, or adds from outside of its jobs, counts as cancelled ten minutes later.
        """
        return self._push(self._plan, options)

    def _with(self, name: str, job: Any, payload: dict[str, Any] | None, options: dict[str, Any]) -> Batch:
        if name in self._plan.callbacks:
            raise OptionError(f"A batch has one job for {name}; let it push what else is to be done.")
        self._plan.callbacks[name] = (job, payload, options)
        return self


class BatchHandle:
    """A pushed batch. Each property asks the storage anew, and raises `BatchNotFound` once it was forgotten."""

    def __init__(self, batches: Batches, batch_id: str, by: str | None = None) -> None:
        self._batches = batches
        #: The id of the running job that has asked for it.
        self._by = by
        self.id = batch_id

    @property
    def record(self) -> BatchRecord:
        """The batch as it is now: how many of its jobs stand where."""
        return self._batches.find(self.id)

    @property
    def status(self) -> Status:
        """Where the batch stands as a whole."""
        return self.record.status

    @property
    def percent(self) -> float:
        """How much of it is done: 0 to 100."""
        return self.record.percent

    def jobs(self, statuses: Sequence[Status | str] = ()) -> Iterator[JobRecord]:
        """Walk through its jobs that are still stored, the last pushed first."""
        return self._batches.jobs(self.id, statuses)

    def add(self, jobs: Iterable[Any], **options: Any) -> int:
        """Add jobs, as from one of its own while that runs, and return how many.

        Raises `TransitionError` once all its jobs have ended, or it was cancelled, also meanwhile: what was added by
        then is cancelled with the rest. Options are those of a push; what waits for a commit is added by that, which
        raises it then.
        """
        return self._batches.add(self.id, jobs, options, self._by)

    def cancel(self, reason: str = "cancelled by the application") -> bool:
        """Cancel its jobs that have not ended; False where all have. Of very many, workers cancel what is left."""
        return self._batches.cancel(self.id, reason)

    def retry(self) -> int:
        """Give its failed jobs all their tries again, and return how many."""
        return self._batches.retry(self.id)

    def __repr__(self) -> str:
        return f"<BatchHandle {self.id}>"
