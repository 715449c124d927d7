"""A batch as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..record import Status, to_datetime
from .sheet import Sheet, done_well


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch as it is at one moment. All times are aware, in UTC."""

    id: str
    name: str
    #: Pending until one of its jobs has begun, running until all have ended; failed where one has failed.
    status: Status
    created: datetime
    ended: datetime | None
    #: How many jobs it has, also those that were deleted since.
    total: int
    #: Its jobs by status, every status named; one that was deleted before its end counts as cancelled.
    counts: Mapping[str, int]
    #: Whether jobs are being added.
    growing: bool
    #: Why it was cancelled.
    reason: str | None
    queues: tuple[str, ...]
    #: The ids of the jobs that report, by `then`, `catch` and `finally`.
    callbacks: Mapping[str, str]
    #: Those of them that were pushed.
    fired: tuple[str, ...]

    @property
    def done(self) -> int:
        """How many of its jobs have ended."""
        return sum(self.counts[status] for status in Status if status.final)

    @property
    def percent(self) -> float:
        """How much of it is done: 0 to 100."""
        return 100 * self.done / self.total if self.total else 100.0 if self.ended else 0.0

    def left(self, now: datetime) -> timedelta | None:
        """How long it will take, were it to go on as until now; None where nothing can be told."""
        if self.ended is not None or self.growing or not self.done:
            return None
        return (now - self.created) * ((self.total - self.done) / self.done)


def record_of(sheet: Sheet, tally: Mapping[Status, int]) -> BatchRecord:
    """Make of a sheet and its tally what people read."""
    return BatchRecord(
        id=sheet.id,
        name=sheet.name,
        status=status_of(sheet, tally),
        created=to_datetime(sheet.created),
        ended=to_datetime(sheet.ended) if sheet.ended is not None else None,
        total=sum(tally.values()),
        counts={status.value: tally.get(status, 0) for status in Status},
        growing=sheet.pushers > 0,
        reason=sheet.cancelled,
        queues=sheet.queues,
        callbacks={name: said["id"] for name, said in sheet.callbacks.items()},
        fired=sheet.fired,
    )


def status_of(sheet: Sheet, tally: Mapping[Status, int]) -> Status:
    """Where a batch stands as a whole."""
    if sheet.ended is None:
        untouched = all(status in (Status.PENDING, Status.SCHEDULED) for status in tally)
        return Status.PENDING if untouched else Status.RUNNING
    if tally.get(Status.FAILED, 0):
        return Status.FAILED
    well = sheet.cancelled is None and done_well(tally, sheet.jobs)
    return Status.COMPLETED if well else Status.CANCELLED
