"""What may be expected of jobs that wait: when each starts, and when a queue is empty."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..manager import Manager
from ..metrics import Forecast, Outlook
from ..record import Counts, JobRecord, Status
from ..scheduler import ScheduleRecord
from .listing import Listing
from .reads import Overview

#: So many of the newest of each status are looked at to find the one that was pushed last.
NEWEST = 10
#: What may be said of a queue that holds jobs, the worst last.
WORST = ("empty", "in", "unknown", "paused", "no worker", "grows")


@dataclass(frozen=True)
class Prospects:
    """What may be expected of the jobs that wait."""

    #: How long the one has waited that has waited longest.
    longest: timedelta | None
    #: The queue that is empty last, or grows most, and when; None where no job waits.
    last: tuple[str, Outlook] | None
    #: By id: seconds until a job of the page starts, where that can be told.
    starts: dict[str, float]
    #: Jobs that failed in the last hour.
    failed: int

    @classmethod
    def read(cls, manager: Manager, overview: Overview, listed: Listing) -> Prospects:
        """Expect of each queue that it goes on as in the last minutes."""
        forecast, oldest = overview.forecast(manager), manager.oldest()
        numbers = overview.counts.queues
        pending = {name: own["pending"] for name, own in numbers.items() if own["pending"]}
        outlooks = [(name, forecast.outlook(name, n)) for name, n in pending.items()]
        return cls(
            overview.now - min(oldest.values()) if oldest else None,
            max(outlooks, key=lambda one: (WORST.index(one[1].what), one[1].value), default=None),
            starts(forecast, pending, listed),
            forecast.failed(),
        )


def starts(forecast: Forecast, pending: dict[str, int], listed: Listing) -> dict[str, float]:
    """When the jobs of a page may start, which must be the first or the last of their queues.

    Only jobs of the usual priority have a place in their line that can be told from where they stand on the page.
    """
    if listed.filters.type or listed.filters.tag or not (listed.first_page or listed.filters.queue):
        return {}
    passed = Counter({listed.filters.queue: listed.before} if listed.filters.queue else {})
    found: dict[str, float] = {}
    for record in listed.jobs:
        place = passed[record.queue] + 1
        if not listed.oldest:
            place = max(1, pending.get(record.queue, 0) - passed[record.queue])
        start = forecast.start_of(record.queue, place)
        passed[record.queue] += 1
        if start is not None and record.priority == 0 and not record.held:
            found[record.id] = start
    return found


def expected_start(manager: Manager, record: JobRecord) -> datetime | None:
    """When a job may start: its time, or for one of the usual priority that waits, by its place in its line."""
    if record.status is Status.SCHEDULED:
        return record.due
    now = manager.now()
    place = place_of(manager, record, manager.counts(), now)
    seconds = None if place is None else manager.forecast().start_of(record.queue, place)
    return None if seconds is None else now + timedelta(seconds=seconds)


def place_of(manager: Manager, record: JobRecord, counts: Counts, now: datetime) -> int | None:
    """About where in its line a job waits, from 1; None where that cannot be told.

    That is told from how long it waits: so much of the line came before it as of the time that the line took to come.
    """
    if record.status is not Status.PENDING or record.priority != 0 or record.held:
        return None
    oldest = manager.oldest().get(record.queue, record.due)
    pending = counts.queues.get(record.queue, {}).get("pending", 1)
    share = (record.due - oldest) / (now - oldest) if now > oldest else 0.0
    return max(1, round(pending * min(1.0, share)))


def last_push(manager: Manager) -> datetime | None:
    """When the last job was pushed, where none waits; None where none is kept."""
    others = [status for status in Status if status is not Status.PENDING]
    newest = (job for status in others for job in manager.jobs_of(statuses=[status], limit=NEWEST).jobs)
    return max((job.created for job in newest), default=None)


def next_occurrence(manager: Manager) -> ScheduleRecord | None:
    """The schedule that is due next."""
    due = [(record.next, record.name, record) for record in manager.scheduler.all() if record.next]
    return min(due)[2] if due else None
