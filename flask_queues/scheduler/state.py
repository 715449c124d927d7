"""A schedule as it is stored: its definition, and until when everything about it is decided."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DamagedRecord
from ..storage.values import Schedule
from .definition import RESERVED, Definition

#: The format of what is stored.
VERSION = 1
#: What is stored of a schedule, and of its definition, where nobody has damaged it.
STATE: dict[str, Any] = {"source": str, "cursor": int, "job": str | None, "left": int | None, "paused": str | None}
DEFINITION: dict[str, Any] = {
    "name": str, "when": str | int | float, "timezone": str, "type": str, "queue": str, "payload": str, "priority": int,
    "expires": int | None, "options": str | None, "overlap": bool, "catch_up": int | None, "starts": int | None,
    "ends": int | None, "times": int | None,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the scheduler knows of a schedule. Moments are of the storage's clock, in milliseconds."""

    definition: Definition
    #: The application whose code defines it; empty where it was made while the application runs.
    source: str = ""
    #: Until then, all occurrences have been decided.
    cursor: int
    #: The id of the last job that it pushed.
    job: str | None = None
    #: The last occurrence that was decided, and how.
    last: tuple[int, str] | None = None
    #: How many more jobs it pushes; None: there is no limit.
    left: int | None = None
    #: Why it is paused, and None while it is not.
    paused: str | None = None
    #: As stored; 0 before.
    revision: int = 0

    @classmethod
    def new(cls, definition: Definition, source: str, now: int) -> State:
        """A schedule that begins now."""
        return cls(definition=definition, source=source, cursor=now, left=definition.times)

    def redefined(self, definition: Definition, source: str, now: int) -> State:
        """The schedule with another definition; other times count from now on."""
        same = self.definition.same_times(definition)
        left = self.left if self.definition.times == definition.times else definition.times
        return replace(
            self, definition=definition, source=source, cursor=self.cursor if same else max(self.cursor, now), left=left
        )

    def row(self) -> Schedule:
        """Write it for the storage."""
        about: dict[str, Any] = {
            "v": VERSION,
            "definition": self.definition.dump(),
            "source": self.source,
            "cursor": self.cursor,
            "job": self.job,
            "last": self.last,
            "left": self.left,
            "paused": self.paused,
        }
        text = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
        return Schedule(self.definition.name, self.definition.queue, text, self.revision)


def read_state(row: Schedule) -> State | None:
    """Read a stored schedule; None for what is the scheduler's own, of a version not known here, or damaged."""
    try:
        return sound_state(row)
    except DamagedRecord:
        return None


def is_damaged(row: Schedule) -> bool:
    """Whether a stored schedule cannot be read, by whatever version: its code, or somebody, has to store it anew."""
    try:
        sound_state(row)
    except DamagedRecord:
        return True
    return False


def sound_state(row: Schedule) -> State | None:
    """Read a stored schedule as `read_state` does; raises `DamagedRecord` where it is not as it was written."""
    if row.name.startswith(RESERVED):
        return None
    try:
        about = json.loads(row.about)
        if isinstance(about["v"], int) and about["v"] != VERSION:
            return None
        last = about["last"]
        state = State(
            definition=Definition.load(about["definition"]),
            source=about["source"],
            cursor=about["cursor"],
            job=about["job"],
            last=(last[0], last[1]) if last else None,
            left=about["left"],
            paused=about["paused"],
            revision=row.revision,
        )
        check(state, row)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedRecord(f"The schedule {row.name} is damaged in the storage.") from error
    return state


def check(state: State, row: Schedule) -> None:
    """Raise `ValueError` where something is not of its kind, or belongs to another row."""
    definition = state.definition
    for whose, kinds in ((state, STATE), (definition, DEFINITION)):
        wrong = [name for name, kind in kinds.items() if not isinstance(getattr(whose, name), kind)]
        if wrong:
            raise ValueError(", ".join(wrong))
    if (definition.name, definition.queue) != (row.name, row.queue):
        raise ValueError("name, queue")
    json.loads(definition.payload)
    json.loads(definition.options or "{}")
