"""What is kept of a batch, and what is to be done about it: both from its sheet, its tally and the time alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..errors import StorageFormatError
from ..record import Status, to_datetime

#: Of a sheet. Those without one are from before there was one, and the same otherwise.
FORMAT = 1
#: Milliseconds without a slice after which whoever pushes a batch is taken for dead.
BROKEN_OFF = 600_000
BROKEN_WORDS = "Its push broke off."
THEN, CATCH, FINALLY = "then", "catch", "finally"


def tag_of(batch_id: str) -> str:
    """The tag of a batch's jobs, by which they are listed."""
    return f"batch:{batch_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is kept of a batch beside its tally. Moments are milliseconds, by the storage's clock."""

    id: str
    name: str
    created: int
    #: The queues in which it has jobs.
    queues: tuple[str, ...] = ()
    #: How many are adding jobs to it now.
    pushers: int = 0
    #: When somebody last did.
    pushed: int
    #: Why it was cancelled.
    cancelled: str | None = None
    #: Whether jobs of it may still have to be cancelled; one that is retried when all have ended runs.
    ending: bool = False
    #: The jobs that report, by `then`, `catch` and `finally`, as `NewJob.said` writes them.
    callbacks: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    #: Those that are to be pushed, and those that were.
    due: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    ended: int | None = None
    #: Rises when somebody adds jobs, or one of them goes on.
    grown: int = 0
    #: How many were stored, as far as those who did have said so.
    jobs: int = 0

    @property
    def open(self) -> bool:
        """Whether there is anything left to do about it."""
        return self.ended is None or self.owed != ()

    @property
    def owed(self) -> tuple[str, ...]:
        """The callbacks that are due and were not pushed, as far as anybody has noted."""
        return tuple(name for name in self.due if name not in self.fired)

    @property
    def reporters(self) -> set[str]:
        """The ids of the jobs that report."""
        return {said["id"] for said in self.callbacks.values()}

    def dump(self) -> str:
        """Write it as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Sheet:
        """Read what `dump` has written; raises `StorageFormatError` where a newer version has written it."""
        said = json.loads(text)
        refuse_newer(f"The batch {said['id']}", said.pop("format", FORMAT), FORMAT)
        return cls(**{**said, **{name: tuple(said[name]) for name in ("queues", "due", "fired")}})

    def broken_off(self, now: int) -> bool:
        """Whether somebody who was adding jobs is taken for dead."""
        return self.pushers > 0 and now - self.pushed > BROKEN_OFF

    def over(self, tally: Mapping[Status, int], now: int) -> bool:
        """Whether all its jobs have ended, and no more are on their way."""
        return (self.pushers == 0 or self.broken_off(now)) and waiting(tally) == 0

    def looked_at(self, tally: Mapping[Status, int], now: int) -> Sheet:
        """The sheet once its tally was looked at: whether it is over, and which callbacks are due."""
        over, broken = self.over(tally, now), self.broken_off(now)
        cancelled = BROKEN_WORDS if over and broken and self.cancelled is None else self.cancelled
        well = over and cancelled is None and done_well(tally, self.jobs)
        asked = {THEN: well, CATCH: tally.get(Status.FAILED, 0) > 0, FINALLY: over}
        due = [name for name in self.callbacks if asked[name] and name not in self.due]
        return replace(
            self,
            cancelled=cancelled,
            due=(*self.due, *due),
            ended=now if over and self.ended is None else self.ended,
            pushers=0 if over else self.pushers,
            ending=self.ending and not over,
        )


def refuse_newer(what: str, version: int, known: int) -> None:
    """Raise `StorageFormatError` for what has a format that this code does not know."""
    if version > known:
        raise StorageFormatError(
            f"{what} has format {version}; this version of Flask-Queues reads up to {known}. "
            "Install the newer version that wrote it."
        )


def waiting(tally: Mapping[Status, int]) -> int:
    """How many jobs have not ended."""
    return sum(n for status, n in tally.items() if not status.final)


def done_well(tally: Mapping[Status, int], jobs: int) -> bool:
    """Whether so many jobs at least have completed, and no other is there; a failover may have lost some."""
    total = sum(tally.values())
    return total == tally.get(Status.COMPLETED, 0) and total >= jobs


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
