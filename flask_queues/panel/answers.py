"""What the JSON below /api looks like, as types; `document.py` makes the OpenAPI document of them.

The types are what programs may rely on. The answers are written elsewhere, and the tests read each of them back
through these types, strictly: a field that is not named here, or has another type, is an error there.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..record import Outcome, Status

#: ISO 8601 in UTC, with milliseconds.
Moment = str
Statuses = dict[Literal["scheduled", "pending", "running", "completed", "failed", "cancelled"], int]


class Answer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every answer has in common: no field that is not named."""


class Progress(Answer):
    """How far a job says it is."""

    percent: float
    message: str


class Error(Answer):
    """What went wrong in an attempt, secrets hidden."""

    type: str
    message: str
    traceback: str


class Attempt(Answer):
    """One run of a job."""

    run: int
    worker: str
    release: str | None
    started: Moment
    ended: Moment | None
    outcome: Outcome | None
    error: Error | None
    #: What its process held at its highest, in megabytes, and how much more that was than before; if measured.
    memory_mb: float | None
    memory_more_mb: float | None


class Origin(Answer):
    """What pushed a job, as far as anybody could tell."""

    #: `request`, `command`, `program`, `job`, `schedule`, or `again` where somebody pushed it like another job.
    kind: str
    #: Method and route of the request, name of the command, program or schedule, id of the job.
    name: str


class ChainPlace(Answer):
    """Where a job stands in its chain, and the ids of what comes next after each end."""

    id: str
    at: int
    of: int
    before: str | None
    on_success: str | None
    on_failure: str | None
    on_cancel: str | None


class Follower(Answer):
    """A job that was let follow another, and whether it comes after that or after another follower."""

    id: str
    type: str
    on: str
    after: str | None
    #: True where it never comes, since another job took the place of the one that it follows.
    dropped: bool


class Job(Answer):
    """A job, secrets hidden."""

    id: str
    type: str
    name: str
    queue: str
    status: Status
    priority: int
    tags: list[str]
    created: Moment
    due: Moment
    expires: Moment | None
    started: Moment | None
    finished: Moment | None
    attempts: int
    tries: int
    timeout: float
    retry_until: Moment | None
    worker: str | None
    progress: Progress | None
    payload: dict[str, Any]
    result: Any
    error: Error | None
    reason: str | None
    held: str | None
    chain: ChainPlace | None
    followers: list[Follower]
    batch: str | None
    unique_key: str | None
    origin: Origin | None
    request_id: str | None
    locale: str | None
    occurrence: str | None
    history: list[Attempt]


class LogLine(Answer):
    """A line that a job logged."""

    time: Moment
    level: str
    message: str
    context: dict[str, Any]
    run: int


class JobWithLog(Job):
    """A job with the newest lines of its log."""

    log: list[LogLine]


class JobPage(Answer):
    """A page of jobs."""

    jobs: list[Job]
    #: Hand it in for the next page; none where this is the last.
    after: str | None
    #: How many match, where that is kept.
    total: int | None


class FoundJobs(Answer):
    """Jobs that match a search."""

    jobs: list[Job]
    after: str | None


class Process(Answer):
    """A child process of a worker."""

    name: str
    pid: int
    memory_mb: float | None
    jobs: list[str]


class Worker(Answer):
    """A worker."""

    name: str
    host: str
    pid: int
    status: Literal["working", "idle", "quiet", "stopping", "silent", "lost", "damaged"]
    #: Why what is stored of it cannot be read.
    damage: str | None
    version: str
    release: str | None
    queues: list[str]
    started: Moment
    heartbeat: Moment
    jobs: list[str]
    #: How many jobs it has completed since it started.
    completed: int
    processes: list[Process]


class Workers(Answer):
    """All workers."""

    workers: list[Worker]


class Pause(Answer):
    """A queue, or a job type, of which nothing is claimed."""

    queue: str | None
    type: str | None
    until: Moment | None
    reason: str
    by: str
    since: Moment


class Breaker(Answer):
    """A circuit breaker that has counted failures, or is open."""

    type: str
    #: Empty where the whole type is held.
    key: str
    state: Literal["closed", "open", "trying"]
    failures: int
    since: Moment | None
    until: Moment | None
    #: The id of the job that is tried.
    trial: str | None
    error: str


class Alert(Answer):
    """A threshold of `QUEUES_ALERTS` that is crossed; `value` and `threshold` are jobs or seconds."""

    kind: Literal["longest_wait", "failures_per_hour", "pending", "no_worker", "schedule_late"]
    queue: str
    schedule: str | None
    value: float
    threshold: float
    since: Moment


class Alerts(Answer):
    """All that stand, the last first."""

    alerts: list[Alert]


class StatusOfAll(Workers):
    """How many jobs are where, what is held, and who works."""

    statuses: Statuses
    queues: dict[str, Statuses]
    paused: list[Pause]
    breakers: list[Breaker]
    #: How many batches are not done yet.
    open_batches: int


class Outlook(Answer):
    """When a queue will be empty: in so many seconds, or it grows by so many jobs a minute."""

    what: Literal["empty", "paused", "no worker", "unknown", "grows", "in"]
    value: float


class Queue(Answer):
    """A queue."""

    name: str
    counts: Statuses
    #: Workers that listen to it.
    workers: int
    oldest: Moment | None
    pushed_per_minute: float
    ended_per_minute: float
    outlook: Outlook


class Queues(Answer):
    """All queues."""

    queues: list[Queue]


class Cause(Answer):
    """What failed jobs have in common."""

    key: str
    error: str
    message: str
    example: str
    frame: str
    jobs: int
    first: Moment
    last: Moment
    release: str | None
    types: list[str]
    queues: list[str]


class Causes(Answer):
    """All causes of which jobs are failed."""

    causes: list[Cause]
    #: The sheet of them, where it cannot be read.
    unread: list[str]


class CauseWithJobs(Cause):
    """A cause with its newest jobs."""

    newest: list[Job]


class Percentiles(Answer):
    """Seconds, at most 5 % off."""

    p50: float | None
    p95: float | None


class Work(Answer):
    """What was done in a time."""

    measured: bool
    completed: int
    failed: int
    cancelled: int
    pushed: int
    failure_rate: float | None
    runs: int
    seconds: float
    wait: Percentiles
    process: Percentiles


class Slot(Answer):
    """One part of a range; what follows is missing where no worker was there to count."""

    start: Moment
    #: False for the last one, which is not over.
    over: bool
    measured: bool
    completed: int | msgspec.UnsetType = msgspec.UNSET
    failed: int | msgspec.UnsetType = msgspec.UNSET
    cancelled: int | msgspec.UnsetType = msgspec.UNSET
    pushed: int | msgspec.UnsetType = msgspec.UNSET
    failure_rate: float | msgspec.UnsetType | None = msgspec.UNSET
    runs: int | msgspec.UnsetType = msgspec.UNSET
    seconds: float | msgspec.UnsetType = msgspec.UNSET
    wait: Percentiles | msgspec.UnsetType = msgspec.UNSET
    process: Percentiles | msgspec.UnsetType = msgspec.UNSET


class Metrics(Answer, kw_only=True):
    """What was done in a range of time, slot by slot."""

    range: Literal["1h", "24h", "7d"]
    #: Of a slot.
    minutes: int
    queue: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    whole: Work
    before: Work | None
    slots: list[Slot]
    types: dict[str, Work]
    #: Sheets of this time that cannot be read.
    unread: list[str]


class Act(Answer):
    """Something that somebody did."""

    moment: Moment
    who: str
    action: str
    kind: Literal["job", "jobs", "cause", "queue", "type", "schedule", "batch", "worker", "sheet"]
    name: str
    number: int
    reason: str


class Activity(Answer):
    """Who changed what, the last first."""

    acts: list[Act]
    before: int
    more: bool
    #: Sheets of lines that cannot be read.
    unread: list[str]


class Schedule(Answer):
    """A schedule, secrets hidden."""

    name: str
    when: str
    words: str
    timezone: str
    type: str
    queue: str | None
    payload: dict[str, Any]
    overlap: bool
    catch_up: str | int
    starts: Moment | None
    ends: Moment | None
    left: int | None
    paused: str | None
    defined_in_code: bool
    stored: bool
    next: Moment | None
    last: Moment | None
    outcome: str | None
    job: str | None
    result: str | None


class Occurrence(Answer):
    """What became of one point in time at which a schedule was due."""

    due: Moment
    decided: Moment
    outcome: str
    job: str | None


class Schedules(Answer):
    """All schedules."""

    schedules: list[Schedule]


class ScheduleWithHistory(Schedule):
    """A schedule with what became of its last occurrences."""

    history: list[Occurrence]


class Batch(Answer):
    """Jobs that belong together: how many of them stand where."""

    id: str
    name: str
    status: Literal["pending", "running", "completed", "failed", "cancelled"]
    created: Moment
    ended: Moment | None
    total: int
    done: int
    percent: float
    counts: Statuses
    growing: bool
    reason: str | None
    queues: list[str]
    #: By `then`, `catch` and `finally`: the id of the job that reports.
    callbacks: dict[str, str]
    fired: list[str]


class Chain(Answer):
    """A chain: how far it is, and those of its jobs that are there, the last first."""

    id: str
    status: Status
    at: int
    of: int
    #: The id of the job that it has come to.
    current: str
    jobs: list[Job]
    #: Hand it in for more of them.
    after: str | None


class Batches(Answer):
    """A page of batches, the newest first."""

    batches: list[Batch]
    after: str | None
    total: int
    #: Those that would stand here and cannot be read.
    unread: list[str]


class Mistake(Answer):
    """Why there is no answer."""

    error: str
