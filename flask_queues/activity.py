"""Who changed what: a diary of what people did in the panel and at the terminal, kept beside the jobs.

It lies on sheets of 200 lines each, of which the last ten are kept. A line is added to the sheet as it was read,
so of two people who act at once neither overwrites the other. A sheet that cannot be read stays as it is, and the next
one is begun; to one that is encrypted with a key which this process lacks nothing is added.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from .errors import KeyMissing
from .record import storable, to_datetime
from .storage import Storage
from .storage.sheets import Found, expect, look, refuse_closed
from .storage.stops import is_moment

logger = logging.getLogger("flask_queues")

#: The sheet that names the current one; each of the others has its number behind it.
SHEET = "activity"
NUMBERED = re.compile(r"activity:(\d{1,9})")
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
    #: `job`, `jobs`, `cause`, `queue`, `type`, `schedule`, `batch`, `worker` or `sheet`.
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
    with suppress(KeyMissing):  # which the log says, once
        for _ in range(TRIES):
            if add(storage, act):
                return
    logger.warning("Not noted in the activity: %s by %s on %s %s", action, who, kind, name)


def add(storage: Storage, act: Act) -> bool:
    """Add a line to the current sheet; False where somebody else has changed it meanwhile.

    Raises `KeyMissing` where that is encrypted with a key which this process lacks.
    """
    number = current(storage)
    text = storage.sheets([sheet(number)]).get(sheet(number))
    found = found_in(number, text)
    refuse_closed(sheet(number), found)
    if found.damage:
        return begin(storage, number + 1)
    lines = [*(found.value or ()), act]
    changes: dict[str, str | None] = {sheet(number): json.dumps(lines, ensure_ascii=False, separators=(",", ":"))}
    if len(lines) >= LINES:
        changes |= {SHEET: str(number + 1), sheet(number - SHEETS + 1): None, **pointer(storage).aside}
    return storage.write_sheets((sheet(number), text), changes)


def begin(storage: Storage, number: int) -> bool:
    """Begin another sheet, since the current one cannot be read; False, since nothing was added yet."""
    text = storage.sheets([SHEET]).get(SHEET)
    if current(storage) < number:
        aside = pointer_in(text).aside
        storage.write_sheets((SHEET, text), {SHEET: str(number), sheet(number - SHEETS): None, **aside})
    return False


def acts(storage: Storage, unread: list[str] | None = None) -> Iterator[Act]:
    """What people did, the last first; the names of sheets that cannot be read are added to `unread`."""
    number = current(storage)
    for one in range(number, max(-1, number - SHEETS), -1):
        found = found_in(one, storage.sheets([sheet(one)]).get(sheet(one)))
        if (found.damage or found.closed) and unread is not None:
            unread.append(sheet(one))
        yield from reversed(found.value or ())


def acts_on(storage: Storage, kind: str, name: str) -> list[Act]:
    """What people did with one thing, the last first; one look for the sheets, of which most do not name it."""
    number = current(storage)
    numbers = range(number, max(-1, number - SHEETS), -1)
    texts = storage.sheets([sheet(one) for one in numbers])
    quoted = json.dumps(name, ensure_ascii=False)
    naming = [(one, text) for one in numbers if quoted in (text := texts.get(sheet(one), ""))]
    lines = [act for one, text in naming for act in reversed(found_in(one, text).value or ())]
    return [act for act in lines if (act.kind, act.name) == (kind, name)]


def current(storage: Storage) -> int:
    """The number of the sheet to which lines are added; where this process cannot read it, that of the last one."""
    found = pointer(storage)
    if not found.damage and not found.closed:
        return found.value or 0
    return max((int(one[1]) for name in storage.sheet_names() if (one := NUMBERED.fullmatch(name))), default=0)


def pointer(storage: Storage) -> Found[int]:
    """The number of the current sheet, as it is kept."""
    return pointer_in(storage.sheets([SHEET]).get(SHEET))


def pointer_in(text: str | None) -> Found[int]:
    """Read the number of the current sheet."""
    return look(SHEET, text, load_number)


def load_number(text: str) -> int:
    """Read a number; raises `DamagedRecord` for what no sheet can have."""
    expect(number := int(text), lambda value: 0 <= value < 10**9)
    return number


def found_in(number: int, text: str | None) -> Found[Sequence[Act]]:
    """Read a sheet of lines."""
    return look(sheet(number), text, load)


def load(text: str) -> list[Act]:
    """Read the lines of a sheet; raises whatever is wrong with it."""
    expect(lines := json.loads(text), [(is_moment, str, str, str, str, int, str)])
    return [Act(*line) for line in lines]


def sheet(number: int) -> str:
    """The name of a sheet."""
    return f"{SHEET}:{number}"
