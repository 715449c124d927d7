"""What people and programs read of a schedule: frozen values, all moments aware and in UTC."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ..record import to_datetime
from ..storage.values import Occurrence
from .decide import next_due
from .definition import CATCH_UP
from .state import State
from .timing import Timing
from .words import in_words


class OccurrenceRecord(NamedTuple):
    """What became of one occurrence."""

    #: When it was due.
    due: datetime
    #: When that was decided.
    decided: datetime
    #: `fired`, `caught up`, `run by hand`, or `left out: ` and why.
    outcome: str
    #: The id of its job, None where it was left out.
    job: str | None = None

    @property
    def late(self) -> float:
        """Seconds between the two."""
        return (self.decided - self.due).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule as it is at one moment."""

    name: str
    #: When it is due by its expression alone.
    timing: Timing
    timezone: str
    #: The type string of its jobs.
    type: str
    queue: str
    payload: dict[str, Any]
    priority: int
    tags: tuple[str, ...]
    overlap: bool
    #: `none`, `one`, `all` or how many missed occurrences are made up for.
    catch_up: str | int
    starts: datetime | None
    ends: datetime | None
    #: How many more jobs it pushes; None: there is no limit.
    left: int | None
    #: Why it is paused, perhaps an empty text; None while it is not.
    paused: str | None
    #: Whether the application's code defines it; otherwise it was made at run time.
    defined_in_code: bool
    #: Whether a worker knows it; what was just added to the code waits for the first one to start.
    stored: bool
    #: When it is due next; None while it is paused, and when it is over.
    next: datetime | None
    #: The last occurrence that was decided, and how.
    last: datetime | None
    outcome: str | None
    #: The id of the last job that it pushed.
    job: str | None

    @property
    def when(self) -> str:
        """Its cron expression, or `@every 30s`."""
        return self.timing.text

    def words(self, language: str = "en") -> str:
        """When it is due in words, in a language such as `de` or `de_DE`; English where that is not known."""
        return in_words(self.timing, language)


def record_of(state: State) -> ScheduleRecord:
    """Describe a schedule."""
    definition = state.definition
    due = next_due(state) if state.paused is None else None
    caught_up = next((word for word, n in CATCH_UP.items() if n == definition.catch_up), None)
    return ScheduleRecord(
        name=definition.name,
        timing=definition.timing,
        timezone=definition.timezone,
        type=definition.type,
        queue=definition.queue,
        payload=json.loads(definition.payload),
        priority=definition.priority,
        tags=definition.tags,
        overlap=definition.overlap,
        catch_up=caught_up or definition.catch_up or 0,
        starts=moment(definition.starts),
        ends=moment(definition.ends),
        left=state.left,
        paused=state.paused,
        defined_in_code=bool(state.source),
        stored=state.revision > 0,
        next=moment(due),
        last=moment(state.last[0]) if state.last else None,
        outcome=state.last[1] if state.last else None,
        job=state.job,
    )


def occurrence_of(line: Occurrence) -> OccurrenceRecord:
    """Describe an occurrence."""
    return OccurrenceRecord(to_datetime(line.due), to_datetime(line.decided), line.outcome, line.job)


def moment(milliseconds: int | None) -> datetime | None:
    """Read a moment that may be none."""
    return None if milliseconds is None else to_datetime(milliseconds)
