"""A job in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from ...record import Status

#: Statuses by the number that stands for each in the log.
STATUSES = (
    Status.PENDING,
    Status.RUNNING,
    Status.SCHEDULED,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
)
NUMBERS = {status: number for number, status in enumerate(STATUSES)}
PENDING, RUNNING, SCHEDULED, COMPLETED, FAILED, CANCELLED = range(6)


@dataclass(slots=True, eq=False)
class Job:
    """What is known of a job. Times are milliseconds; texts of JSON stay texts."""

    #: The order of pushes.
    seq: int
    id: str
    queue: str
    type: str
    payload: str
    priority: int
    tags: list[str]
    options: str | None
    created: int
    due: int
    expires: int | None
    status: int
    #: Since when it is pending, running or final; when it is due, if scheduled.
    stamp: int
    attempts: int = 0
    runs: int = 0
    alone: bool = False
    #: From here on: the claim in force, or the last.
    token: int = 0
    worker: str | None = None
    lease: int = 0
    ahead: bool = False
    started: int | None = None
    #: Of the last run, as are `outcome` and `error`.
    ended: int | None = None
    outcome: str | None = None
    error: str | None = None
    #: Why somebody asked to cancel it while it ran.
    cancel: str | None = None
    reason: str | None = None
    #: The job type that no worker knew.
    held: str | None = None
    progress: list[Any] | None = None
    result: str | None = None
    #: A list for each run but the last: its number, worker, start, end, outcome, error and, if measured, memory.
    history: list[list[Any]] = field(default_factory=list)
    #: A list for each line: its time, level, message, context and run.
    logs: list[list[Any]] = field(default_factory=list)
    #: What it keeps for its next run; in format 1 nobody did.
    kept: str | None = None
    #: What makes it unique in its queue.
    unique: list[Any] | None = None
    #: The limits that it is under.
    limits: list[list[Any]] = field(default_factory=list)
    #: The batch in whose tally it is counted.
    batch: str | None = None
    #: The group with which it waits for its time, None once it does so no more.
    gather: str | None = None
    #: How often its options were changed.
    changes: int = 0
    #: Whether the claim in force came along with one that is under limits.
    along: bool = False
    #: Above 0 for one that waits before all others, the last that came there first.
    hurried: int = 0
    #: What the last run held of memory.
    memory: list[float] | None = None

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Where it stands in a line: less is earlier."""
        return (-self.hurried, -self.priority, self.due, self.seq)

    def row(self) -> tuple[Any, ...]:
        """Everything, as `Job` takes it."""
        row: tuple[Any, ...] = ROW(self)
        return row

    def texts(self) -> list[str]:
        """What was said of it and by it."""
        own = [self.payload, self.options, self.error, self.result, self.kept, self.progress and self.progress[1]]
        told = [*own, *(run[5] for run in self.history), *(line[2] for line in self.logs)]
        return [text for text in told if text]

    def say(self, instead: dict[str, str]) -> None:
        """Put other texts in the place of those."""
        for name in ("payload", "options", "error", "result", "kept"):
            setattr(self, name, instead.get(getattr(self, name), getattr(self, name)))
        if self.progress:
            self.progress = [self.progress[0], instead.get(self.progress[1], self.progress[1])]
        self.history = [[*run[:5], instead.get(run[5], run[5]), *run[6:]] for run in self.history]
        self.logs = [[*line[:2], instead.get(line[2], line[2]), *line[3:]] for line in self.logs]

    def last_run(self) -> list[Any]:
        """The run that ended last, as the history has it."""
        run = [self.runs, self.worker, self.started, self.ended, self.outcome, self.error]
        return [*run, self.memory] if self.memory else run

    def close_run(self) -> None:
        """Put the run that ended last into the history."""
        if self.outcome is not None:
            self.history.append(self.last_run())
            self.outcome = self.memory = None


ROW = attrgetter(*[one.name for one in fields(Job)])
