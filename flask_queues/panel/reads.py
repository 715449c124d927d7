"""What the pages show and the JSON tells: one read function for each, free of HTML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..alerts import Alert
from ..batches import BatchRecord
from ..errors import BatchNotFound, ScheduleNotFound
from ..manager import Manager
from ..metrics import Forecast, Outlook, Pace
from ..pausing import Pause
from ..record import FINAL, Counts, Follower, JobRecord, LogLine, Status, WorkerRecord
from ..shapes import iso, job_fields, log_fields, secrets_of, state, worker_fields
from ..storage.values import Finding
from .diagnosis import worst_finding
from .trends import Trend, worst_trend

#: So many of what was let follow a job are shown.
FOLLOWERS = 20
#: Failures younger than this are news.
NEWS = timedelta(hours=1)


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
        return [worker for worker, how in self.workers if how not in ("lost", "damaged")]

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


def known_queues(manager: Manager, counts: Counts) -> set[str]:
    """The queues that hold jobs or are named in the configuration."""
    return {*counts.queues, *manager.config.names, manager.config.default}


def queue_rows(manager: Manager, counts: Counts, fleet: Fleet, forecast: Forecast) -> list[QueueRow]:
    """All queues that hold jobs or are named in the configuration, most pending first."""
    numbers, oldest = counts.queues, manager.oldest()
    empty = {status.value: 0 for status in Status}
    rows = []
    for name in known_queues(manager, counts):
        own = numbers.get(name, empty)
        outlook = forecast.outlook(name, own["pending"])
        listening = len(fleet.listen_to(name))
        rows.append(
            QueueRow(name, own, listening, oldest.get(name), forecast.pace(name), outlook, forecast.last_hour(name))
        )
    return sorted(rows, key=lambda row: (-row.counts["pending"], row.name))


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
    #: What goes wrong slowly, where nothing else is to be said.
    trend: Trend | None = None

    @classmethod
    def read(cls, manager: Manager, now: datetime) -> Overview:
        """Ask for counts, workers, pauses, alerts and the last failure: five reads, whatever is stored.

        The doctor and the figures are asked once in a while.
        """
        counts, fleet = manager.counts(), Fleet.of(manager, now)
        lately = failed_since(manager, counts, now - NEWS)
        note = worst_note(counts, fleet) or note_of(worst_finding(manager))
        alerts = tuple(manager.alerts())
        trend = worst_trend(manager, counts, now) if note is None and not alerts else None
        return cls(now, counts, fleet, lately, note, tuple(manager.pauses()), alerts, trend)

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


def origin_job(manager: Manager, record: JobRecord) -> JobRecord | None:
    """The job that pushed a job, or like which it was pushed again, where that is still there."""
    if record.origin is None or record.origin.kind not in ("job", "again"):
        return None
    return manager.storage.get(record.origin.name)


def is_of_a_schedule(manager: Manager, record: JobRecord) -> bool:
    """Whether a schedule has pushed a job, and is still there."""
    if record.origin is None or record.origin.kind != "schedule":
        return False
    try:
        manager.scheduler.find(record.origin.name)
    except ScheduleNotFound:
        return False
    return True


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


class Alike(NamedTuple):
    """Failed jobs of the same cause as one."""

    #: The key of the cause.
    key: str
    #: How many others there are.
    others: int


def alike(manager: Manager, record: JobRecord) -> Alike | None:
    """What failed the same way as a failed job; None where nothing else has."""
    cause = manager.cause_of(record) if record.status is Status.FAILED else None
    counted = [one for one in manager.causes() if one.cause.key == cause.key] if cause is not None else []
    others = counted[0].number - 1 if counted else 0
    return Alike(counted[0].cause.key, others) if others > 0 else None


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
