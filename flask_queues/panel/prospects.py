"""What may be expected of jobs that wait: when each starts, and when a queue is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..manager import Manager
from ..metrics import Forecast, Outlook
from ..record import Counts, JobRecord, Status
from ..scheduler import ScheduleRecord
from .listing import NEXT, Listing
from .reads import Overview

#: So many of the newest of each status are looked at to find the one that was pushed last.
NEWEST = 10
#: So many of a line are counted at least, see `Storage.places`.
COUNTED = 1000
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
            starts(manager, overview, listed, forecast),
            forecast.failed(),
        )


def starts(manager: Manager, overview: Overview, listed: Listing, forecast: Forecast) -> dict[str, float]:
    """When the jobs of a page may start, of those that nothing holds back."""
    asleep = {pause.type for pause in overview.pauses}
    by_queue: dict[str, list[JobRecord]] = {}
    for record in listed.jobs:
        if not record.held and forecast.start_of(record.queue, 1) is not None:
            by_queue.setdefault(record.queue, []).append(record)
    found: dict[str, float] = {}
    for queue, jobs in by_queue.items():
        places = places_on(listed, jobs) or places_in(manager, queue, jobs, overview.counts, overview.now)
        for record in jobs:
            start = forecast.start_of(queue, places[record.id]) if record.id in places else None
            if start is not None and record.type not in asleep:
                found[record.id] = start
    return found


def places_on(listed: Listing, jobs: list[JobRecord]) -> dict[str, int]:
    """The places of a queue's jobs, where the page says how many stand before them; else none."""
    filters = listed.filters
    if listed.order != NEXT or filters.searching or not (listed.first_page or filters.queue):
        return {}
    return {record.id: place for place, record in enumerate(jobs, listed.before + 1)}


def places_in(manager: Manager, queue: str, jobs: Sequence[JobRecord], counts: Counts, now: datetime) -> dict[str, int]:
    """The places of a queue's jobs: as the storage tells them, and where it does not, about where they stand.

    That is told of those of the usual priority from how long they wait: so much of the line came before them as of the
    time that the line took to come.
    """
    found = manager.storage.places(queue, [record.id for record in jobs])
    pending = counts.queues.get(queue, {}).get("pending", 0)
    left = [record for record in jobs if record.id not in found and record.priority == 0]
    if not left or pending <= COUNTED:
        return found
    oldest = manager.oldest().get(queue, now)
    for record in left:
        share = (record.due - oldest) / (now - oldest) if now > oldest else 1.0
        found[record.id] = max(COUNTED, round(pending * min(1.0, share)))
    return found


def expected_start(manager: Manager, record: JobRecord) -> datetime | None:
    """When a job may start: its time, or for one that waits, by its place in its line."""
    if record.status is Status.SCHEDULED:
        return record.due
    now = manager.now()
    place = place_of(manager, record, manager.counts(), now)
    seconds = None if place is None else manager.forecast().start_of(record.queue, place)
    return None if seconds is None else now + timedelta(seconds=seconds)


def place_of(manager: Manager, record: JobRecord, counts: Counts, now: datetime) -> int | None:
    """About where in its line a job waits, from 1; None where that cannot be told."""
    if record.status is not Status.PENDING or record.held:
        return None
    return places_in(manager, record.queue, [record], counts, now).get(record.id)


def last_push(manager: Manager) -> datetime | None:
    """When the last job was pushed, where none waits; None where none is kept."""
    others = [status for status in Status if status is not Status.PENDING]
    newest = (job for status in others for job in manager.jobs_of(statuses=[status], limit=NEWEST).jobs)
    return max((job.created for job in newest), default=None)


def next_occurrence(manager: Manager) -> ScheduleRecord | None:
    """The schedule that is due next."""
    due = [(record.next, record.name, record) for record in manager.scheduler.all() if record.next]
    return min(due)[2] if due else None
