"""Who changed what: a diary of what people did in the panel and at the terminal, kept beside the jobs.

It lies on sheets of 200 lines each, of which the last ten are kept. A line is added to the sheet as it was read,
so of two people who act at once neither overwrites the other.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from .record import storable, to_datetime
from .storage import Storage
from .storage.figures import legible

logger = logging.getLogger("flask_queues")

#: The sheet that names the current one; each of the others has its number behind it.
SHEET = "activity"
LINES, SHEETS = 200, 10
#: Characters of each word of a line, and of the reason.
MOST, MOST_WHY = 200, 1000
#: So often a line is added anew where somebody else was quicker.
TRIES = 20


class Act(NamedTuple):
    """Something that somebody did."""

    #: Milliseconds, by the storage's clock.
    moment: int
    who: str
    #: `retry`, `run`, `push`, `change`, `cancel`, `delete`, `pause`, `resume`, `clear`, `flush`; of workers `quiet`,
    #: `go on`, `restart`, `stacks`.
    action: str
    #: `job`, `jobs`, `cause`, `queue`, `type`, `schedule` or `worker`.
    kind: str
    #: Which one: an id, a name, or the filters of several jobs.
    name: str
    #: How many jobs were changed; 0 where it was none.
    number: int = 0
    #: Why; of a changed payload a line for each value that is another one, as `name: before → after`.
    reason: str = ""

    @property
    def when(self) -> datetime:
        """The moment."""
        return to_datetime(self.moment)


def note(storage: Storage, who: str, action: str, kind: str, name: str, number: int = 0, reason: str = "") -> None:
    """Add a line. What was done is done: where the line cannot be added, the log of the application says so."""
    who, name, reason = storable(who, MOST), storable(name, MOST), storable(reason, MOST_WHY)
    act = Act(storage.now(), who, action, kind, name, number, reason)
    for _ in range(TRIES):
        if add(storage, act):
            return
    logger.warning("Not noted in the activity: %s by %s on %s %s", action, who, kind, name)


def add(storage: Storage, act: Act) -> bool:
    """Add a line to the current sheet; False where somebody else has changed it meanwhile."""
    number = current(storage)
    text = storage.sheets([sheet(number)]).get(sheet(number))
    lines = [*json.loads(legible(text) or "[]"), act]
    changes: dict[str, str | None] = {sheet(number): json.dumps(lines, ensure_ascii=False, separators=(",", ":"))}
    if len(lines) >= LINES:
        changes |= {SHEET: str(number + 1), sheet(number - SHEETS + 1): None}
    return storage.write_sheets((sheet(number), text), changes)


def acts(storage: Storage) -> Iterator[Act]:
    """What people did, the last first."""
    number = current(storage)
    for one in range(number, max(-1, number - SHEETS), -1):
        for line in reversed(json.loads(legible(storage.sheets([sheet(one)]).get(sheet(one))) or "[]")):
            yield Act(*line)


def acts_on(storage: Storage, kind: str, name: str) -> list[Act]:
    """What people did with one thing, the last first; one look for the sheets, of which most do not name it."""
    number = current(storage)
    sheets = [sheet(one) for one in range(number, max(-1, number - SHEETS), -1)]
    texts = storage.sheets(sheets)
    quoted = json.dumps(name, ensure_ascii=False)
    found = [legible(texts.get(one)) or "[]" for one in sheets]
    lines = [Act(*line) for text in found if quoted in text for line in reversed(json.loads(text))]
    return [act for act in lines if (act.kind, act.name) == (kind, name)]


def current(storage: Storage) -> int:
    """The number of the sheet to which lines are added."""
    return int(legible(storage.sheets([SHEET]).get(SHEET)) or "0")


def sheet(number: int) -> str:
    """The name of a sheet."""
    return f"{SHEET}:{number}"
