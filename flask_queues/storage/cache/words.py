"""What entries of the log say of things: lists of JSON, as short as they can be."""

from __future__ import annotations

import json
from typing import Any

from ...record import LogLine, to_milliseconds
from ..values import NewJob, Settlement, Wanted
from .job import NUMBERS
from .state import State


def push_words(job: NewJob) -> list[Any]:
    """What an entry says of a new job: what is as always at the end is left out."""
    return shortened(job, NewJob._field_defaults)


def settle_words(one: Settlement) -> list[Any]:
    """What an entry says of a settlement, likewise."""
    said = one._replace(
        status=NUMBERS[one.status],  # type: ignore[arg-type]
        outcome=one.outcome.value if one.outcome is not None else None,  # type: ignore[arg-type]
        logs=[line_words(line) for line in one.logs],  # type: ignore[misc]
        follows=[push_words(job) for job in one.follows],  # type: ignore[misc]
        if_cancelled=None if one.if_cancelled is None else [push_words(job) for job in one.if_cancelled],  # type: ignore[misc]
    )
    return shortened(said, Settlement._field_defaults)


def shortened(said: Any, usual: dict[str, Any]) -> list[Any]:
    """Leave out what is at the end of a tuple and as always; nothing is not as always where that is None."""
    words = list(said)
    for name in reversed(said._fields):
        if name not in usual or (words[-1] != usual[name] and (words[-1] != [] or usual[name] is None)):
            break
        words.pop()
    return words


def wanted_words(state: State, wanted: Wanted) -> list[Any]:
    """What an entry says of which jobs a worker would take."""
    return [
        list(wanted.queues),
        state.name_kinds(wanted.types),
        wanted.lease,
        wanted.limit,
        state.name_kinds(wanted.short),
        wanted.behind,
        *([wanted.only] if wanted.only or wanted.along_with else ()),
        *([list(wanted.along_with)] if wanted.along_with else ()),
    ]


def line_words(line: LogLine) -> list[Any]:
    """What an entry says of a line that a job logged."""
    context = json.dumps(line.context, ensure_ascii=False, separators=(",", ":")) if line.context else None
    return [to_milliseconds(line.time), line.level, line.message, context, line.run]
