"""What one storage hands to another: jobs and schedules as neither keeps them, to be read by both.

Moments are milliseconds since 1970 in UTC, as the clock of the storage they come from had them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from ..damaged import NO_OPTIONS, line_about
from ..errors import DamagedRecord
from ..record import LogLine, Memory, Outcome, Progress, Status, to_datetime, to_milliseconds
from .stops import is_moment

#: What of a parcel is a moment, or None.
MOMENTS = ("since", "created", "due", "expires", "started")
#: What stands in which of its fields.
SHAPES: dict[str, Any] = {
    "id": str, "queue": str, "type": str, "payload": str, "options": str | None, "priority": int, "since": int,
    "created": int, "due": int, "expires": int | None, "attempts": int, "worker": str | None, "started": int | None,
    "result": str | None, "reason": str | None, "kept": str | None, "tags": tuple, "runs": tuple, "alone": bool,
    "unique": tuple | None, "limits": tuple, "logs": tuple, "changes": int,
}  # fmt: skip


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
    memory: Memory | None = None


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


def whole_parcel(read: Callable[[], Parcel], known: Parcel) -> Parcel:
    """Pack a job; where not all that is stored of it can be read, what is known of it, and a line that says so.

    So it arrives: it runs if its payload and options are whole, and is told as damaged where they are not.
    """
    try:
        parcel = read()
        check(parcel)
    except Exception as error:
        line = line_about("What was stored of this job's past before it was moved", error)
        return known._replace(logs=(*known.logs, line._replace(level="warning")))
    return parcel


def known_parcel(
    job_id: str, queue: str, job_type: str, status: Status, since: Any, payload: Any, options: Any, **more: Any
) -> Parcel:
    """A parcel of what could be read of a job; what is not what it should be is left out."""
    began = since if is_moment(since) else 0
    found = Parcel(
        job_id, queue, job_type, payload if isinstance(payload, str) else "",
        options if isinstance(payload, str) and isinstance(options, str | None) else NO_OPTIONS,
        0, (), status, began, began, began, None, 0, (), None, None, None, None, None, False, (),
    )  # fmt: skip
    fitting = {name: value for name, value in more.items() if value is not None and fits(name, value)}
    return found._replace(**fitting)


def check(parcel: Parcel) -> None:
    """Raise whatever is wrong with a parcel that another storage could not take in."""
    for name in SHAPES:
        if not fits(name, getattr(parcel, name)):
            raise DamagedRecord(f"Its {name} is {getattr(parcel, name)!r}.")
    for run in parcel.runs:
        if not (is_moment(run.started) and is_moment(run.ended) and isinstance(run.run, int)):
            raise DamagedRecord(f"Its run {run.run!r} has no time.")
    Load(0, (parcel,)).dump()


def fits(name: str, value: Any) -> bool:
    """Whether a value may stand in a field of a parcel."""
    return isinstance(value, SHAPES[name]) and (name not in MOMENTS or value is None or is_moment(value))


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
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"), default=plain)

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


def plain(value: Any) -> Any:
    """A moment as a number, and bytes that have got into a text as text."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else to_milliseconds(value)


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
    return raw._replace(outcome=Outcome(raw.outcome), memory=Memory(*raw.memory) if raw.memory else None)


def parse_line(*values: Any) -> LogLine:
    """Read a line of a parcel's log."""
    time, *rest = values
    return LogLine(to_datetime(time), *rest)
