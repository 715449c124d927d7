"""What may be expected of jobs that wait: when each starts, and when a queue is empty."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..manager import Manager
from ..metrics import Forecast, Outlook
from ..record import Counts, JobRecord, Status
from ..scheduler import ScheduleRecord
from .listing import NEWEST, NEXT, Listing
from .reads import Overview

#: So many of the newest of each status are looked at to find the one that was pushed last.
LATEST = 10
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
        places = places_in(manager, listed, queue, jobs, overview.counts.queues.get(queue, {}).get("pending", 0))
        for record in jobs:
            start = forecast.start_of(queue, places[record.id]) if record.id in places else None
            if start is not None and record.type not in asleep:
                found[record.id] = start
    return found


def places_on(listed: Listing, jobs: list[JobRecord], pending: int) -> dict[str, int]:
    """The places of a queue's jobs of which so many wait, where the page says how many stand before them."""
    filters = listed.filters
    if filters.type or filters.tag or filters.searching or not (listed.first_page or filters.queue):
        return {}
    before = listed.before + 1
    return {
        record.id: place if listed.order != NEWEST else pending - place + 1
        for place, record in enumerate(jobs, before)
        if record.priority == 0 or listed.order == NEXT
    }


def places_in(manager: Manager, listed: Listing, queue: str, jobs: list[JobRecord], pending: int) -> dict[str, int]:
    """The places of a queue's jobs: as they stand on the page, or as the storage counts them.

    Of those that it does not count, since they are too far down the line, the page says about where they stand.
    """
    about = places_on(listed, jobs, pending)
    if about and listed.order == NEXT:
        return about
    far = {job_id: place for job_id, place in about.items() if place > COUNTED}
    return {**far, **manager.storage.places(queue, [record.id for record in jobs])}


def expected_start(manager: Manager, record: JobRecord) -> datetime | None:
    """When a job may start: its time, or for one that waits, by its place in its line."""
    if record.status is Status.SCHEDULED:
        return record.due
    now, pauses = manager.now(), manager.pauses()
    place = place_of(manager, record, manager.counts(), now)
    if place is None or any(pause.type == record.type for pause in pauses):
        return None
    seconds = manager.forecast(now, pauses=pauses).start_of(record.queue, place)
    return None if seconds is None else now + timedelta(seconds=seconds)


def place_of(manager: Manager, record: JobRecord, counts: Counts, now: datetime) -> int | None:
    """About where in its line a job waits, from 1; None where that cannot be told.

    Where it is not counted, since it is too far down the line, that is told of one of the usual priority from how long
    it waits: so much of the line came before it as of the time that the line took to come.
    """
    if record.status is not Status.PENDING or record.held:
        return None
    counted = manager.storage.places(record.queue, [record.id]).get(record.id)
    pending = counts.queues.get(record.queue, {}).get("pending", 0)
    if counted is not None or record.priority != 0 or pending <= COUNTED:
        return counted
    oldest = manager.oldest().get(record.queue, record.due)
    share = (record.due - oldest) / (now - oldest) if now > oldest else 1.0
    return max(COUNTED, round(pending * min(1.0, share)))


def last_push(manager: Manager) -> datetime | None:
    """When the last job was pushed, where none waits; None where none is kept."""
    others = [status for status in Status if status is not Status.PENDING]
    newest = (job for status in others for job in manager.jobs_of(statuses=[status], limit=LATEST).jobs)
    return max((job.created for job in newest), default=None)


def next_occurrence(manager: Manager) -> ScheduleRecord | None:
    """The schedule that is due next."""
    due = [(record.next, record.name, record) for record in manager.scheduler.all() if record.next]
    return min(due)[2] if due else None
