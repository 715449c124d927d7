"""Stored records that cannot be read, since something else has written into the storage, or a disk has lost a page.

One of them is shown and settled as failed, and says why; it keeps nobody from the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from .errors import DamagedRecord, OptionError
from .options import CHECKS
from .record import TERMS, Attempt, ChainPlace, FirstDue, Follower, JobError, JobRecord, Status, to_datetime

#: What of them is a text, a moment, or a list.
SHAPES: dict[str, type] = {"batch": str, "request_id": str, "locale": str, "occurrence": int, "chain": list}


class Stored(Protocol):
    """What is read of a claim before it runs."""

    @property
    def options(self) -> str | None:
        """JSON text."""

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
        if not isinstance(record.payload, dict):
            raise DamagedRecord(f"Its payload is {type(record.payload).__name__}, not an object.")
    except Exception as error:
        return in_place_of(error, job_id, queue, job_type, status)
    return record


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
    why = str(error) if isinstance(error, DamagedRecord) else f"{type(error).__name__}: {error}"
    return f"What is stored of this job cannot be read. Delete it, and push it anew. {why}"[:500]


def options_of(claim: Stored) -> tuple[dict[str, Any], str | None]:
    """The options of a claimed job, and what is wrong with what is stored of it; without them, where something is."""
    try:
        if not isinstance(claim.created, int) or not isinstance(claim.expires, int | None):
            raise DamagedRecord("One of its times is no time.")
        return (read_options(claim.options) if claim.options else {}), None
    except Exception as error:
        return {}, words(error)


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


def check_terms(said: dict[str, Any]) -> None:
    """Raise `DamagedRecord` where terms are such as no push may set."""
    for name in TERMS:
        if said.get(name) is not None:
            try:
                CHECKS[name](name, said[name])
            except OptionError as error:
                raise DamagedRecord(str(error)) from error
