"""One alert, and the sentences in which it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

CROSSED = {
    "longest_wait": "A job in {queue} has waited for {value:,.0f} s; {threshold:,g} s are allowed.",
    "failures_per_hour": "Jobs of {queue} that failed within an hour: {value:,.0f}; {threshold:,g} are allowed.",
    "pending": "Jobs pending in {queue}: {value:,.0f}; {threshold:,g} are allowed.",
    "grows": "For {value:,.0f} s more has come into {queue} than can be done.",
    "no_worker": "No worker has served {queue} for {value:,.0f} s.",
    "schedule_late": "The schedule {schedule} was {value:,.0f} s late; {threshold:,g} s are allowed.",
}
OVER = {
    "longest_wait": "Over: jobs in {queue} have waited for {value:,.0f} s at most.",
    "failures_per_hour": "Over: jobs of {queue} that failed within the last hour: {value:,.0f}.",
    "pending": "Over: jobs pending in {queue}: {value:,.0f}.",
    "grows": "Over: {queue} does not grow any more.",
    "no_worker": "Over: a worker serves {queue} again.",
    "schedule_late": "Over: the schedule {schedule} is in time again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A threshold that was crossed. As text it is a sentence."""

    #: The name of the threshold: `longest_wait`, `failures_per_hour`, `pending`, `grows`, `no_worker` or
    #: `schedule_late`.
    kind: str
    queue: str
    #: For `schedule_late`: which.
    schedule: str | None = None
    #: Jobs, or seconds.
    value: float
    threshold: float
    #: Since when it is crossed, by the storage's clock.
    since: datetime
    #: Since when it is kept again; None while it is crossed.
    ended: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether it is crossed now."""
        return self.ended is None

    def __str__(self) -> str:
        said = (CROSSED if self.active else OVER)[self.kind]
        return said.format(queue=self.queue, schedule=self.schedule, value=self.value, threshold=self.threshold)
