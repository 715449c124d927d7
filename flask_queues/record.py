"""What is kept of a job: frozen values, free of Flask, of storage and of the job's code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple


class Status(str, Enum):
    """Where a job stands. It is in exactly one of these at any moment."""

    #: Waits for its time: delayed by the caller, or backing off after a failed attempt.
    SCHEDULED = "scheduled"
    #: Waits for a worker.
    PENDING = "pending"
    #: Claimed by a worker, under a lease.
    RUNNING = "running"
    #: Ended well.
    COMPLETED = "completed"
    #: Failed for good: no try is left.
    FAILED = "failed"
    #: Ended on somebody's word: cancelled, discarded by its own code, or not started in time.
    CANCELLED = "cancelled"

    def __str__(self) -> str:
        return self.value

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self in FINAL


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Outcome(str, Enum):
    """How one attempt ended."""

    COMPLETED = "completed"
    #: An exception left the job.
    FAILED = "failed"
    #: Ran longer than its timeout.
    TIMED_OUT = "timed out"
    #: The process that ran it died.
    KILLED = "killed"
    #: The worker vanished; the lease ran out.
    LOST = "lost"
    #: Put off by `raise Retry`. Not counted.
    PUT_OFF = "put off"
    #: Given back by a worker that stops. Not counted.
    GIVEN_BACK = "given back"
    #: Ended by `raise Discard`, or not started before it expired.
    DISCARDED = "discarded"
    CANCELLED = "cancelled"

    def __str__(self) -> str:
        return self.value

    @property
    def counted(self) -> bool:
        """Whether an attempt that ended so counts against the job's tries."""
        return self not in (Outcome.PUT_OFF, Outcome.GIVEN_BACK)


class Progress(NamedTuple):
    """How far a job says it is."""

    #: 0 to 100.
    percent: float
    message: str = ""


class JobError(NamedTuple):
    """What went wrong in an attempt, as text."""

    #: The exception's class with its module, `smtplib.SMTPException`.
    type: str
    message: str
    #: The traceback as Python prints it; empty where no Python code was left to tell.
    traceback: str = ""

    def __str__(self) -> str:
        name = self.type.rpartition(".")[2]
        return f"{name}: {self.message}" if self.message else name


class LogLine(NamedTuple):
    """One line that a job logged."""

    time: datetime
    #: Lower case: debug, info, warning, error, critical.
    level: str
    message: str
    #: What was given by name, as JSON values.
    context: dict[str, Any]
    #: The number of the run that wrote it, from 1.
    run: int


class Memory(NamedTuple):
    """What the process of a run held meanwhile, in megabytes (10^6 bytes), with what it shares with others."""

    #: At its highest.
    most: float
    #: How much more that was than before the run.
    more: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a job that ended, or the one in hand."""

    #: Counts every run from 1, those that cost no try too.
    run: int
    #: The child process that ran it, `host:pid:start`, and behind another colon the release where one was told.
    worker: str
    started: datetime
    #: None while it runs.
    ended: datetime | None = None
    #: None while it runs.
    outcome: Outcome | None = None
    error: JobError | None = None
    #: None where it was not measured: of a short run, beside others in threads, or where the system does not tell.
    memory: Memory | None = None

    @property
    def release(self) -> str:
        """The release of the application that ran it; empty where none was told."""
        return release_in(self.worker)


class ChainPlace(NamedTuple):
    """Where a job stands in its chain. All ids were fixed at the push: a job of such an id may never come to be."""

    #: The id of the chain's first job.
    id: str
    #: Which link it is, from 1.
    at: int
    #: How many links there are.
    of: int
    #: The id of the job that it came after; None for the first.
    before: str | None
    #: The ids of what comes next after each end.
    on_success: str | None
    on_failure: str | None
    on_cancel: str | None

    def after(self, status: Status) -> str | None:
        """The id of what comes after such an end; None where nothing does, or it is none."""
        ends = {
            Status.COMPLETED: self.on_success,
            Status.FAILED: self.on_failure,
            Status.CANCELLED: self.on_cancel,
        }
        return ends.get(status)


class Follower(NamedTuple):
    """A job that `handle.then` lets follow another; it may have come to be, and never may."""

    id: str
    type: str
    #: After which end of the one before: `success`, `failure` or `end`.
    on: str
    #: The id of the one before, where that is a follower too; None where it is the job itself.
    after: str | None = None


class Origin(NamedTuple):
    """What pushed a job."""

    #: `request`, `command` (of Flask's command line), `program`, `job`, `schedule`, or `again`: somebody, like another.
    kind: str
    #: Method and route of the request, name of the command or program, id of the job, name of the schedule.
    name: str


class FirstDue(NamedTuple):
    """When a job was due for the first time, as its push said it; kept only of one that is retried for a time."""

    #: Milliseconds after it was stored.
    delay: int = 0
    #: Milliseconds since 1970.
    at: int = 0

    def moment(self, created: int) -> int:
        """When that was for a job that was stored then; milliseconds since 1970 both."""
        return max(created + self.delay, self.at)

    def until(self, seconds: float | None, created: int) -> int | None:
        """When the time ends for which it is retried, in milliseconds since 1970; None where that was not said."""
        return None if seconds is None else self.moment(created) + round(seconds * 1000)


#: Of a job that was due as soon as it was stored.
AT_ONCE = FirstDue()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as the storage holds it at one moment. All times are aware, in UTC."""

    #: 26 characters of base32hex.
    id: str
    #: The type string of its job type.
    type: str
    #: Fixed for life.
    queue: str
    status: Status
    #: What `handle` is called with, by argument name.
    payload: dict[str, Any]
    #: -100 to 100, higher first.
    priority: int = 0
    tags: tuple[str, ...] = ()
    created: datetime
    #: When it may start, or might have started.
    due: datetime
    #: Not begun by then, it is cancelled. None: it never expires.
    expires: datetime | None = None
    #: Set by the push over what the job type says; None leaves it to the type. In seconds where it is a time.
    tries: int | None = None
    timeout: float | None = None
    backoff: tuple[float, ...] | None = None
    retry_for: float | None = None
    #: Whether its runs are profiled, each into its log.
    profile: bool | None = None
    first_due: FirstDue = AT_ONCE
    #: None where nobody could tell; of a link of a chain, a callback or a follower, what pushed the whole.
    origin: Origin | None = None
    #: Of the request in which it was pushed, or of the job that pushed it.
    request_id: str | None = None
    #: The language of that, such as `de_DE`, where Flask-Babel told one.
    locale: str | None = None
    #: When it was due by its schedule; None for a job that no schedule pushed.
    occurrence: datetime | None = None
    #: Ended attempts that count against the tries, since the push or the last retry by hand.
    attempts: int = 0
    #: Every run, oldest first, with the one in hand.
    history: tuple[Attempt, ...] = ()
    #: The child process that holds the claim, or held the last.
    worker: str | None = None
    #: Start of the last run.
    started: datetime | None = None
    #: When it reached its final status.
    finished: datetime | None = None
    progress: Progress | None = None
    #: Of the last attempt that had one.
    error: JobError | None = None
    #: What `handle` returned.
    result: Any = None
    #: Why it was cancelled.
    reason: str | None = None
    #: Why a pending job is not claimed, such as a job type that no worker knows.
    held: str | None = None
    #: None for a job of no chain.
    chain: ChainPlace | None = None
    #: The id of the batch that it belongs to, or reports for.
    batch: str | None = None
    #: The key that made it the only one of its kind in its queue, behind its type; None for a job that was not.
    unique_key: str | None = None
    #: What was let follow it, by `handle.then`.
    followers: tuple[Follower, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker as it last described itself."""

    #: `host:pid:start` of its supervisor.
    name: str
    host: str
    pid: int
    started: datetime
    #: Its last sign of life.
    heartbeat: datetime
    #: In order; empty means all.
    queues: tuple[str, ...]
    children: tuple[ChildRecord, ...] = ()
    #: The version of Flask-Queues it runs.
    version: str = ""
    #: The job types it knows.
    types: tuple[str, ...] = ()
    #: The release of the application that it runs; empty where none is told.
    release: str = ""
    #: Whether it takes no more jobs.
    quiet: bool = False
    #: Whether it was told to end, and only lets what is in hand do so.
    stopping: bool = False
    #: How many jobs its children have completed since it started, as of a few seconds ago.
    completed: int = 0
    #: Names of the keys that it decrypts with; nothing can be told of a key from its name.
    keys: tuple[str, ...] = ()
    #: Why what is stored of it cannot be read; empty where it can.
    damage: str = ""

    def silence(self, now: datetime) -> float:
        """Seconds since its last sign of life; `now` is of the storage's clock, as that is."""
        return max(0.0, (now - self.heartbeat).total_seconds())

    def serves(self, queue: str) -> bool:
        """Whether it takes jobs of this queue."""
        return not (self.damage or self.quiet or self.stopping) and (not self.queues or queue in self.queues)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRecord:
    """One child process of a worker."""

    #: `host:pid:start`, as it stands in its claims.
    name: str
    pid: int
    #: Megabytes (10^6 bytes): proportional set size where the system tells it.
    memory: float | None = None
    #: Ids of the jobs it holds.
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """How many jobs there are; kept by the storage, not counted by loading them."""

    #: Jobs by queue, job type and status, zeros left out.
    cells: dict[tuple[str, str, str], int] = field(default_factory=dict)

    @cached_property
    def statuses(self) -> dict[str, int]:
        """Jobs by status, every status named."""
        sums = {status.value: 0 for status in Status}
        for (_, _, status), n in self.cells.items():
            sums[status] += n
        return sums

    @cached_property
    def queues(self) -> dict[str, dict[str, int]]:
        """Jobs by queue, then by status."""
        sums = {name: {status.value: 0 for status in Status} for name in sorted({key[0] for key in self.cells})}
        for (queue, _, status), n in self.cells.items():
            sums[queue][status] += n
        return sums


#: What a push may set over what its job type says, and the record keeps.
TERMS = ("tries", "timeout", "backoff", "retry_for", "profile")
#: What it carries along beside that.
CARRIED = ("batch", "request_id", "locale", "unique_key")


class Page(NamedTuple):
    """A page of a list."""

    jobs: tuple[JobRecord, ...]
    #: Hand it in to get the next page; None at the end of the list.
    after: str | None = None


def fields_of_push(options: str | None) -> dict[str, Any]:
    """Read the options that an engine keeps of a push as what they are of a record."""
    if not options:
        return {}
    said = json.loads(options)
    found = {name: said[name] for name in said.keys() & {*TERMS, *CARRIED}}
    if "backoff" in said:
        found["backoff"] = tuple(said["backoff"])
    if "by" in said:
        kind, _, name = said["by"].partition(" ")
        found["origin"] = Origin(kind, name)
    if "occurrence" in said:
        found["occurrence"] = to_datetime(said["occurrence"])
    if "first_due" in said:
        found["first_due"] = FirstDue(*said["first_due"])
    if "chain" in said:
        found["chain"] = ChainPlace(*said["chain"])
    if "followers" in said:
        found["followers"] = tuple(Follower(*one) for one in said["followers"])
    return found


def release_in(worker: str) -> str:
    """The release that stands in the name of a child process."""
    return ":".join(worker.split(":")[3:])


def storable(text: object, length: int) -> str:
    """Cut a text, and write halves of surrogate pairs as escapes: they can be neither stored nor printed."""
    return str(text)[:length].encode("utf-8", "backslashreplace").decode("utf-8")


def to_datetime(milliseconds: int) -> datetime:
    """Read the time that an engine keeps, milliseconds since 1970 in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def to_milliseconds(moment: datetime) -> int:
    """Write an aware datetime as an engine keeps it."""
    return round(moment.timestamp() * 1000)
