"""What the pages show and the JSON tells: one read function for each, free of HTML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..alerts import Alert
from ..batches import BatchRecord
from ..errors import BatchNotFound
from ..manager import Manager
from ..metrics import Forecast, Outlook, Pace
from ..pausing import Pause
from ..record import FINAL, Counts, Follower, JobRecord, LogLine, Status, WorkerRecord
from ..searching import Where
from ..shapes import iso, job_fields, log_fields, secrets_of, state, worker_fields
from ..storage.values import Finding
from .diagnosis import worst_finding

PAGE = 50
PAGES = (25, 50, 100)
#: Of these, those stand first that came first: they start next, or may be stuck. Of what has ended, the newest.
OLDEST_FIRST = frozenset({Status.PENDING, Status.RUNNING, Status.SCHEDULED})
#: What the address calls the two orders of a list.
SORTS = {"oldest": True, "newest": False}
#: Pages that one can go back, one by one, before the first is next.
TRAIL = 20
#: Filters that can be typed in front of a text: `tag:news error:KeyError anna`.
TYPED = ("tag", "error", "cause", "worker", "attempts", "ran")
#: What may be said of a queue that holds jobs, the worst last.
WORST = ("empty", "in", "unknown", "paused", "no worker", "grows")
#: So many of what was let follow a job are shown.
FOLLOWERS = 20
#: Failures younger than this are news.
NEWS = timedelta(hours=1)


class Filters(NamedTuple):
    """Which jobs a list shows; part of its address."""

    queue: str | None = None
    type: str | None = None
    tag: str | None = None
    #: From here on: what no index serves, so that jobs are read until enough match.
    text: str | None = None
    error: str | None = None
    cause: str | None = None
    worker: str | None = None
    attempts: int | None = None
    #: Seconds.
    ran: float | None = None

    @property
    def given(self) -> dict[str, str]:
        """Those that are set."""
        return {name: str(value) for name, value in self._asdict().items() if value}

    @property
    def searching(self) -> bool:
        """Whether jobs have to be read to be found."""
        return any(getattr(self, name) is not None for name in Where._fields)

    @property
    def typed(self) -> str:
        """What stands in the search field: the text, and what has no field of its own."""
        named = [f"{name}:{value}" for name, value in self.given.items() if name in TYPED]
        return " ".join([*named, *([self.text] if self.text else [])])


@dataclass(frozen=True)
class Listing:
    """One page of the jobs in one status."""

    status: Status
    filters: Filters
    jobs: tuple[JobRecord, ...]
    #: Where this page began; None for the first.
    began: str | None
    #: Where the next page begins.
    after: str | None
    #: How many jobs a page has.
    limit: int
    #: Whether those stand first that came first into their status, or with a tag were pushed first.
    oldest: bool
    #: How many jobs stand on the pages before.
    before: int
    #: Where the pages before began that are behind the first, the last of them last.
    trail: tuple[str, ...]
    #: How many match, as kept by the storage; None with filters for which no count is kept.
    total: int | None
    #: The queues and types that hold jobs in this status.
    queues: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def kept(self) -> dict[str, str]:
        """What the address of another page of this list says."""
        return {**self.filters.given, **self.way, **({} if self.limit == PAGE else {"limit": str(self.limit)})}

    @property
    def way(self) -> dict[str, str]:
        """What the address says of the order, where it is not the usual one."""
        return {} if self.oldest == (self.status in OLDEST_FIRST) else {"sort": "oldest" if self.oldest else "newest"}

    @property
    def turned(self) -> dict[str, str]:
        """What the address of the same list from its other end says."""
        other = {} if self.way else {"sort": "newest" if self.oldest else "oldest"}
        return {**{name: value for name, value in self.kept.items() if name != "sort"}, **other}

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many jobs a page may have."""
        return PAGES

    @property
    def here(self) -> tuple[str, ...]:
        """The trail of the next page."""
        return (*self.trail, *([self.began] if self.began else []))[-TRAIL:]

    @property
    def first_page(self) -> bool:
        """Whether new jobs may come onto this page."""
        return self.before == 0


def listing(
    manager: Manager,
    counts: Counts,
    status: Status,
    filters: Filters,
    after: str | None,
    before: int,
    limit: int,
    trail: tuple[str, ...] = (),
    oldest: bool | None = None,
) -> Listing:
    """Read a page of jobs, in the usual order of their status or in this one."""
    oldest = status in OLDEST_FIRST if oldest is None else oldest
    page = manager.jobs_of(**filters._asdict(), statuses=[status], limit=limit, after=after, oldest=oldest)
    cells = [(queue, type_, n) for (queue, type_, name), n in counts.cells.items() if name == status.value and n]
    return Listing(
        status=status,
        filters=filters,
        jobs=page.jobs,
        began=after,
        after=page.after,
        limit=limit,
        oldest=oldest,
        before=before if after else 0,
        trail=trail if after else (),
        total=total(manager, counts, status, filters),
        queues=tuple(sorted({queue for queue, _, _ in cells} | ({filters.queue} if filters.queue else set()))),
        types=tuple(sorted({type_ for _, type_, _ in cells} | ({filters.type} if filters.type else set()))),
    )


def total(manager: Manager, counts: Counts, status: Status, filters: Filters) -> int | None:
    """How many jobs match, from what is kept; None where that is not."""
    if filters.cause and set(filters.given) <= {"cause", "queue", "type"} and status is Status.FAILED:
        causes = (one for one in manager.causes() if one.cause.key == filters.cause)
        return next((one.count(filters.queue, filters.type) for one in causes), 0)
    if filters.tag or filters.searching:
        return None
    return sum(
        n
        for (queue, type_, name), n in counts.cells.items()
        if name == status.value and filters.queue in (None, queue) and filters.type in (None, type_)
    )


def listing_fields(manager: Manager, page: Listing) -> dict[str, Any]:
    """A page of jobs for programs."""
    return {
        "jobs": [job_fields(manager, record) for record in page.jobs],
        "after": page.after,
        "total": page.total,
    }


class Fleet(NamedTuple):
    """Who works."""

    workers: tuple[tuple[WorkerRecord, str], ...]

    @classmethod
    def of(cls, manager: Manager, now: datetime | None = None) -> Fleet:
        """Ask for all workers, each with its state; also for the time where nobody has."""
        now = now or manager.now()
        return cls(tuple((worker, state(manager, worker, now)) for worker in manager.workers()))

    @property
    def alive(self) -> list[WorkerRecord]:
        """Those that have been heard of within their lease."""
        return [worker for worker, how in self.workers if how != "lost"]

    @property
    def silent(self) -> list[WorkerRecord]:
        """Those that are overdue."""
        return [worker for worker, how in self.workers if how == "silent"]

    @property
    def processes(self) -> int:
        """How many jobs can run at a time."""
        return sum(len(worker.children) for worker in self.alive)

    @property
    def busy(self) -> int:
        """How many processes hold a job."""
        return sum(1 for worker in self.alive for child in worker.children if child.jobs)

    def knows(self, job_type: str) -> bool:
        """Whether one of them can run jobs of this type."""
        return any(job_type in worker.types for worker in self.alive)

    def listen_to(self, queue: str) -> list[WorkerRecord]:
        """Those that serve a queue."""
        return [worker for worker in self.alive if worker.serves(queue)]


class Note(NamedTuple):
    """Something that an operator should see on every page."""

    #: `no-worker`, `no-listener`, `silent`, `loses`, `doubles`.
    kind: str
    #: The queue or worker that it is about, or the code of what the doctor found.
    name: str = ""
    jobs: int = 0
    since: datetime | None = None


def worst_note(counts: Counts, fleet: Fleet) -> Note | None:
    """The one thing that is worst now, if anything is."""
    pending = {name: numbers["pending"] for name, numbers in counts.queues.items() if numbers["pending"]}
    if not fleet.alive:
        waiting = sum(pending.values())
        return Note("no-worker", jobs=waiting) if waiting else None
    unheard = Counter({name: n for name, n in pending.items() if not fleet.listen_to(name)})
    if unheard:
        name, n = unheard.most_common(1)[0]
        return Note("no-listener", name, n)
    for worker in fleet.silent:
        jobs = sum(len(child.jobs) for child in worker.children)
        return Note("silent", f"{worker.host} {worker.pid}", jobs, worker.heartbeat)
    return None


def note_of(finding: Finding | None) -> Note | None:
    """What the doctor found, where that costs jobs."""
    return None if finding is None else Note(finding.severity.name.lower(), finding.code)


class QueueRow(NamedTuple):
    """A queue at one glance."""

    name: str
    counts: dict[str, int]
    workers: int
    #: When that of its claimable jobs was due which has waited longest.
    oldest: datetime | None
    pace: Pace
    outlook: Outlook
    #: Jobs that ended in each minute of the last hour; None where nobody counted.
    last_hour: list[int | None]


def queue_rows(manager: Manager, counts: Counts, fleet: Fleet, forecast: Forecast) -> list[QueueRow]:
    """All queues that hold jobs or are named in the configuration, most pending first."""
    numbers, oldest = counts.queues, manager.oldest()
    empty = {status.value: 0 for status in Status}
    rows = []
    for name in {*numbers, *manager.config.names, manager.config.default}:
        own = numbers.get(name, empty)
        outlook = forecast.outlook(name, own["pending"])
        listening = len(fleet.listen_to(name))
        rows.append(
            QueueRow(name, own, listening, oldest.get(name), forecast.pace(name), outlook, forecast.last_hour(name))
        )
    return sorted(rows, key=lambda row: (-row.counts["pending"], row.name))


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
    """When a job may start: its time, or for one of the usual priority that waits, by its place in its line.

    That is told from how long it waits: so much of the line came before it as of the time that the line took to come.
    """
    if record.status is Status.SCHEDULED:
        return record.due
    if record.status is not Status.PENDING or record.priority != 0 or record.held:
        return None
    now, oldest = manager.now(), manager.oldest().get(record.queue, record.due)
    pending = manager.counts().queues.get(record.queue, {}).get("pending", 1)
    share = (record.due - oldest) / (now - oldest) if now > oldest else 0.0
    seconds = manager.forecast().start_of(record.queue, max(1, round(pending * min(1.0, share))))
    return None if seconds is None else now + timedelta(seconds=seconds)


def queue_fields(row: QueueRow) -> dict[str, Any]:
    """A queue for programs."""
    return {
        "name": row.name,
        "counts": row.counts,
        "workers": row.workers,
        "oldest": iso(row.oldest),
        "pushed_per_minute": row.pace.came,
        "ended_per_minute": row.pace.left,
        "outlook": {"what": row.outlook.what, "value": row.outlook.value},
    }


@dataclass(frozen=True)
class Overview:
    """What every page shows around its own matter."""

    #: The moment of the whole answer.
    now: datetime
    counts: Counts
    fleet: Fleet
    #: Whether a job failed within the last hour.
    failed_lately: bool
    note: Note | None = field(default=None)
    pauses: tuple[Pause, ...] = ()
    #: Thresholds that are crossed, the last first.
    alerts: tuple[Alert, ...] = ()

    @classmethod
    def read(cls, manager: Manager, now: datetime) -> Overview:
        """Ask for counts, workers, pauses, alerts and the last failure: five reads, whatever is stored."""
        counts, fleet = manager.counts(), Fleet.of(manager, now)
        lately = failed_since(manager, counts, now - NEWS)
        note = worst_note(counts, fleet) or note_of(worst_finding(manager))
        return cls(now, counts, fleet, lately, note, tuple(manager.pauses()), tuple(manager.alerts()))

    def forecast(self, manager: Manager) -> Forecast:
        """What may be expected of each queue, without asking again for what is known here."""
        return manager.forecast(self.now, [worker for worker, _ in self.fleet.workers], self.pauses)

    def alerts_of(self, queue: str) -> list[Alert]:
        """What is wrong with a queue."""
        return [alert for alert in self.alerts if alert.queue == queue]

    def pause_of(self, queue: str | None = None, job_type: str | None = None) -> Pause | None:
        """What holds back a queue or a job type, whichever is named."""
        return next((one for one in self.pauses if one.queue == queue and one.type == job_type), None)


def failed_since(manager: Manager, counts: Counts, since: datetime) -> bool:
    """Whether a job has failed since then."""
    if not counts.statuses["failed"]:
        return False
    newest = manager.jobs_of(statuses=[Status.FAILED], limit=1).jobs
    return bool(newest) and (newest[0].finished or newest[0].created) > since


def neighbours(manager: Manager, record: JobRecord) -> list[tuple[str, JobRecord]]:
    """What a job came after in its chain, and what came after it, where that is still there."""
    if record.chain is None:
        return []
    places = [("before", record.chain.before), *(("then", record.chain.after(end)) for end in sorted(FINAL))]
    found = {job_id: (way, manager.storage.get(job_id)) for way, job_id in places if job_id is not None}
    return [(way, job) for way, job in found.values() if job is not None]


def followers(manager: Manager, record: JobRecord) -> list[tuple[Follower, JobRecord | None]]:
    """What was let follow a job, with the job that has come of it where that is there."""
    return [(one, manager.storage.get(one.id)) for one in record.followers[:FOLLOWERS]]


class UsualTimes(NamedTuple):
    """How long jobs of a type run."""

    runs: int
    #: Seconds: that of the middle, and what one of twenty exceeds.
    p50: float
    p95: float


def usual_times(manager: Manager, job_type: str) -> UsualTimes | None:
    """How long the runs of a type took in the last 24 hours; None where none was counted."""
    cell = manager.report("24h").whole.some(None, job_type)
    p50, p95 = cell.process.percentile(0.5), cell.process.percentile(0.95)
    return None if p50 is None or p95 is None else UsualTimes(cell.runs, p50 / 1000, p95 / 1000)


def batch_of(manager: Manager, record: JobRecord) -> BatchRecord | None:
    """The batch that a job belongs to, or reports for, where it is still kept."""
    try:
        return manager.batches.find(record.batch) if record.batch is not None else None
    except BatchNotFound:
        return None


def one_job(manager: Manager, job_id: str) -> tuple[JobRecord, list[LogLine]]:
    """A job with its log; raises `JobNotFound`."""
    return manager.find(job_id), manager.logs(job_id)


def one_job_fields(manager: Manager, record: JobRecord, lines: list[LogLine]) -> dict[str, Any]:
    """A job with its log, for programs."""
    hidden, secrets = manager.sensitive(record.type), secrets_of(manager, record)
    return {**job_fields(manager, record), "log": [log_fields(line, hidden, secrets) for line in lines]}


def workers_fields(manager: Manager, fleet: Fleet) -> dict[str, Any]:
    """All workers, for programs."""
    now = manager.now()
    return {"workers": [worker_fields(manager, worker, now) for worker, _ in fleet.workers]}
