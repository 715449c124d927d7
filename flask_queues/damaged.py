"""Stored records that cannot be read, since something else has written into the storage, or a disk has lost a page.

One of them is shown and settled as failed, and says why; it keeps nobody from the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from .errors import DamagedRecord, OptionError
from .options import CHECKS
from .record import TERMS, Attempt, ChainPlace, FirstDue, Follower, JobError, JobRecord, LogLine, Status, to_datetime

#: Stands for options that cannot be read: nobody takes it for any.
NO_OPTIONS = "unreadable"
#: Characters of options that may be read once for many jobs.
SHORT = 200
#: What of them is a text, a moment, or a list.
SHAPES: dict[str, type] = {
    "batch": str, "request_id": str, "locale": str, "by": str, "occurrence": int, "chain": list,
}  # fmt: skip
#: What a record has, and a run of it.
PLAIN: dict[str, Any] = {"priority": int, "attempts": int, "worker": str | None, "reason": str | None}
RUN: dict[str, Any] = {"run": int, "worker": str}
#: What a line of a log has.
LINE: dict[str, type] = {"level": str, "message": str, "context": dict, "run": int}


class Stored(Protocol):
    """What is read of a claim before it runs."""

    @property
    def options(self) -> str | None:
        """JSON text."""

    @property
    def payload(self) -> Any:
        """JSON text."""

    @property
    def attempts(self) -> Any:
        """A number."""

    @property
    def runs(self) -> Any:
        """A number."""

    @property
    def created(self) -> Any:
        """A moment."""

    @property
    def expires(self) -> Any:
        """A moment, or None."""


def whole(read: Callable[[], JobRecord], job_id: str, queue: str, job_type: str, status: Status) -> JobRecord:
    """Read a record; where that cannot be, one that says so."""
    try:
        record = read()
        check_terms({name: getattr(record, name) for name in TERMS})
        check_plain(record)
        if not isinstance(record.payload, dict):
            raise DamagedRecord(f"Its payload is {type(record.payload).__name__}, not an object.")
    except Exception as error:
        return in_place_of(error, job_id, queue, job_type, status)
    return record


def check_plain(record: JobRecord) -> None:
    """Raise `DamagedRecord` where what every reader counts on is something else."""
    runs = [(f"run {run.run!r}", run, RUN) for run in record.history]
    for what, holder, shapes in [("", record, PLAIN), *runs]:
        for name, shape in shapes.items():
            if not isinstance(getattr(holder, name), shape):
                raise DamagedRecord(f"Its {what} {name} is {getattr(holder, name)!r}.")
    if not all(isinstance(tag, str) for tag in record.tags):
        raise DamagedRecord("One of its tags is no text.")


def in_place_of(error: Exception, job_id: str, queue: str, job_type: str, status: Status) -> JobRecord:
    """What is shown where a record cannot be read."""
    long_ago = to_datetime(0)
    running = status is Status.RUNNING
    return JobRecord(
        id=job_id,
        queue=queue,
        type=job_type,
        status=status,
        payload={},
        created=long_ago,
        due=long_ago,
        started=long_ago if running else None,
        worker="" if running else None,
        history=(Attempt(run=1, worker="", started=long_ago),) if running else (),
        finished=long_ago if status.final else None,
        error=JobError(NAME, words(error)),
    )


NAME = f"{DamagedRecord.__module__}.{DamagedRecord.__qualname__}"


def words(error: Exception) -> str:
    """Say what is wrong with a record, and what to do."""
    return f"What is stored of this job cannot be read. Delete it, and push it anew. {why(error)}"[:500]


def why(error: Exception) -> str:
    """Say what is wrong with something that is stored."""
    return str(error) if isinstance(error, DamagedRecord) else f"{type(error).__name__}: {error}"


def whole_line(read: Callable[[], LogLine]) -> LogLine:
    """Read a line of a log; where that cannot be, one in its place that says so."""
    try:
        line = read()
        for name, shape in LINE.items():
            if not isinstance(getattr(line, name), shape):
                raise DamagedRecord(f"Its {name} is {getattr(line, name)!r}.")
    except Exception as error:
        return line_about("This line of the log", error)
    return line


def line_about(what: str, error: Exception) -> LogLine:
    """A line that says what of a job could not be read."""
    return LogLine(to_datetime(0), "error", f"{what} cannot be read. {why(error)}"[:500], {}, 0)


def options_of(claim: Stored) -> tuple[dict[str, Any], str | None]:
    """The options of a claimed job, and what is wrong with what is stored of it; without them, where something is."""
    try:
        if not isinstance(claim.created, int) or not isinstance(claim.expires, int | None):
            raise DamagedRecord("One of its times is no time.")
        if not isinstance(claim.attempts, int) or not isinstance(claim.runs, int):
            raise DamagedRecord("What counts its runs is no number.")
        if not isinstance(claim.payload, str):
            raise DamagedRecord("Its payload is no text.")
        return (known_options(claim.options) if claim.options else {}), None
    except Exception as error:
        return {}, words(error)


def known_options(text: str) -> dict[str, Any]:
    """The same as `read_options`; nobody may change what it returns, for of a short text that is kept for the next."""
    return read_short_options(text) if len(text) <= SHORT else read_options(text)


def read_options(text: str) -> dict[str, Any]:
    """Read the options of a push as they are kept; raises whatever is wrong with them."""
    said = json.loads(text)
    if not isinstance(said, dict):
        raise DamagedRecord("Its options are no object.")
    check_terms(said)
    for name, shape in SHAPES.items():
        if said.get(name) is not None and not isinstance(said[name], shape):
            raise DamagedRecord(f"Its {name} is {type(said[name]).__name__}.")
    if "chain" in said:
        ChainPlace(*said["chain"])
        json.loads(said["rest"])
    json.loads(said.get("then", "[]"))
    [Follower(*one) for one in said.get("followers", ())]
    if "first_due" in said:
        FirstDue(*said["first_due"]).moment(0)
    return said


#: What most jobs have is the same text: what their request or command takes along.
read_short_options = lru_cache(256)(read_options)


def check_terms(said: dict[str, Any]) -> None:
    """Raise `DamagedRecord` where terms are such as no push may set."""
    for name in TERMS:
        if said.get(name) is not None:
            try:
                CHECKS[name](name, said[name])
            except OptionError as error:
                raise DamagedRecord(str(error)) from error
