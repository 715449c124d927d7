"""What one storage hands to another: jobs and schedules as neither keeps them, to be read by both.

Moments are milliseconds since 1970 in UTC, as the clock of the storage they come from had them.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..record import LogLine, Outcome, Progress, Status, to_datetime, to_milliseconds


class Run(NamedTuple):
    """A run of a job that has ended."""

    #: Counts every run from 1.
    run: int
    #: The child that ran it.
    worker: str
    started: int
    ended: int
    outcome: Outcome
    #: JSON text: type, message and traceback; None where nothing went wrong.
    error: str | None


class Parcel(NamedTuple):
    """All that a storage keeps of a job that is not running."""

    id: str
    queue: str
    type: str
    #: JSON text, to the last space as it was pushed.
    payload: str
    #: JSON text of what the push set over its job type, or None.
    options: str | None
    priority: int
    #: As they were pushed.
    tags: tuple[str, ...]
    #: Any but running.
    status: Status
    #: Since when it is in this status; of a scheduled job, when it is due.
    since: int
    #: When it was pushed.
    created: int
    #: When it may start, or might have started.
    due: int
    #: Not begun by then, it is cancelled; None where it never expires.
    expires: int | None
    #: Ended runs that count against the tries.
    attempts: int
    #: All ended runs, the first one first.
    runs: tuple[Run, ...]
    #: The child that claimed it last, and when; None where it was never claimed.
    worker: str | None
    started: int | None
    progress: Progress | None
    #: JSON text of what a completed job returned.
    result: str | None
    #: Why it was cancelled.
    reason: str | None
    #: Not to be claimed together with others.
    alone: bool
    #: All its lines, the first one first.
    logs: tuple[LogLine, ...]
    #: What it has kept for its next run.
    kept: str | None = None
    #: Key, how long it is held, and the time and replacement that go with it; None where it is not unique.
    unique: tuple[Any, ...] | None = None
    #: The limits that it is under, each a tuple.
    limits: tuple[tuple[Any, ...], ...] = ()
    #: How often its options were changed.
    changes: int = 0

    @property
    def last_error(self) -> str | None:
        """JSON text of the error of the last run that had one."""
        return next((run.error for run in reversed(self.runs) if run.error is not None), None)


class SchedulePost(NamedTuple):
    """A schedule with its state and what became of its occurrences."""

    name: str
    #: The queue of its jobs.
    queue: str
    #: JSON text of the scheduler's.
    about: str
    #: Due, decided, outcome and the job's id or None of each occurrence, the first one first.
    occurrences: tuple[tuple[Any, ...], ...]


class Load(NamedTuple):
    """What is on its way from one storage to another at a time.

    Jobs of one queue that are served one after another stand in that order, in a load and from load
    to load.
    """

    #: Rises with each load that leaves a storage.
    number: int
    jobs: tuple[Parcel, ...] = ()
    schedules: tuple[SchedulePost, ...] = ()

    def dump(self) -> str:
        """Write it as JSON text, for the engine to keep until it has arrived."""
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"), default=to_milliseconds)

    @classmethod
    def parse(cls, text: str) -> Load:
        """Read what `dump` wrote."""
        number, jobs, schedules = json.loads(text)
        return cls(
            number,
            tuple(parse_parcel(*job) for job in jobs),
            tuple(
                SchedulePost(name, queue, about, tuple(tuple(one) for one in occurrences))
                for name, queue, about, occurrences in schedules
            ),
        )


def parse_parcel(*values: Any) -> Parcel:
    """Read a job of a load."""
    raw = Parcel(*values)
    return raw._replace(
        tags=tuple(raw.tags),
        unique=tuple(raw.unique) if raw.unique else None,
        limits=tuple(tuple(one) for one in raw.limits),
        status=Status(raw.status),
        runs=tuple(parse_run(*run) for run in raw.runs),
        progress=Progress(*raw.progress) if raw.progress else None,
        logs=tuple(parse_line(*line) for line in raw.logs),
    )


def parse_run(*values: Any) -> Run:
    """Read a run of a parcel."""
    raw = Run(*values)
    return raw._replace(outcome=Outcome(raw.outcome))


def parse_line(*values: Any) -> LogLine:
    """Read a line of a parcel's log."""
    time, *rest = values
    return LogLine(to_datetime(time), *rest)
