"""How late schedules are: by what is overdue now, and by when their last occurrence was decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import ScheduleError
from ..scheduler.decide import BY_HAND, PAUSED, next_due
from ..scheduler.state import read_state
from ..storage import Storage
from ..storage.values import Schedule


class Known(NamedTuple):
    """What is remembered of a schedule until it changes."""

    revision: int
    queue: str
    #: Milliseconds: when it is due next; None while it is paused, or over.
    due: int | None
    #: How late its last occurrence was, in milliseconds.
    late: int


class Lateness:
    """Keeps what it has read of schedules, and reads again only those that have changed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[str, Known] = {}
        self._changes: int | None = None

    def read(self, now: int) -> Iterator[tuple[str, str, float]]:
        """Each schedule with its queue, and by how many seconds it is or was late."""
        changes = self._storage.schedules_changed()
        if changes != self._changes:
            rows = {row.name: row for row in self._storage.schedules()}
            known = {name: self._look(row) for name, row in rows.items()}
            self._known = {name: one for name, one in known.items() if one is not None}
            self._changes = changes
        for name, one in self._known.items():
            overdue = now - one.due if one.due is not None else 0
            yield name, one.queue, max(0, overdue, one.late) / 1000

    def _look(self, row: Schedule) -> Known | None:
        known = self._known.get(row.name)
        if known is not None and known.revision == row.revision:
            return known
        state = read_state(row)
        if state is None:
            return None
        try:
            due = next_due(state) if state.paused is None else None
        except ScheduleError:  # such as a zone that another machine knows
            due = None
        return Known(row.revision, row.queue, due, self._late(row))

    def _late(self, row: Schedule) -> int:
        for line in self._storage.occurrences(row, 1):
            if line.outcome not in (PAUSED, BY_HAND):
                return line.decided - line.due
        return 0
