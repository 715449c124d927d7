"""How many texts of damaged sheets are kept aside: so many, those found first are deleted first, and the log says so.

A sheet says since when each is known; who looks first finds them at once, so within one look their names decide.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from ..storage import Storage
from ..storage.sheets import ASIDE, expect, look
from ..storage.stops import is_moment

logger = logging.getLogger("flask_queues")

#: The sheet on which it stands, by name, since when they are known.
SHEET = "asides"
#: Texts that are kept.
MOST = 50
#: Seconds between two looks, and before the first.
RARELY, SOON = 3_600.0, 60.0


class Asides:
    """What was kept aside in one storage, for its keeper."""

    def __init__(self, storage: Callable[[], Storage]) -> None:
        self._storage = storage
        self._next_look = time.monotonic() + SOON

    def tend_if_due(self) -> None:
        """Delete those that are too many, if it is time to look."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + RARELY
            self.tend()

    def tend(self) -> list[str]:
        """Delete those that are too many; returns their names. Of two keepers who look at once, one does."""
        storage = self._storage()
        names = [name for name in storage.sheet_names() if name.startswith(ASIDE)]
        text, now = storage.sheets([SHEET]).get(SHEET), storage.now()
        found = look(SHEET, text, load)
        before = found.value or {}
        known = {name: before.get(name, now) for name in sorted(names)}
        if known == before and len(known) <= MOST:
            return []
        newest = sorted(known, key=lambda name: known[name])[-MOST:]
        gone = sorted(known.keys() - newest)
        kept = json.dumps({name: known[name] for name in newest}, separators=(",", ":"))
        changes = {SHEET: kept if newest else None, **dict.fromkeys(gone), **found.aside}
        if not storage.write_sheets((SHEET, text), changes):
            return []
        if gone:
            logger.warning(
                "Of the texts kept aside of damaged sheets (flask queues damaged), the oldest %d were deleted: the "
                "last %d are kept. Something goes on writing into the storage.",
                len(gone),
                MOST,
            )
        return gone


def load(text: str) -> dict[str, int]:
    """Read since when they are known; raises whatever is wrong with the sheet."""
    known: dict[str, int] = json.loads(text)
    expect(known, {str: is_moment})
    return known
