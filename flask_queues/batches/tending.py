"""What keepers do about batches: push the callbacks that are due, end what is over, forget what ended long ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ..errors import BatchNotFound
from ..record import Status
from ..storage import Storage
from ..storage.values import NewJob
from ..telling import Teller
from .book import ENDED, SHARDS, Book, Line, Listed
from .calling import CallingOff
from .memory import Memory, Past, sliced
from .sheet import Sheet, waiting

#: Batches that are looked at in one go.
LOOKED_AT = 500
#: Seconds between two looks at batches that are not over, where there are none, and at those that are.
SOON, SELDOM, RARELY = 0.25, 1.0, 60.0
#: Seconds for which a keeper goes on cancelling the jobs of a batch at a time.
IN_PASSING = 0.05


class Tending:
    """Looks at batches from time to time. Several processes may do so at once."""

    def __init__(self, storage: Callable[[], Storage], book: Book, calling_off: CallingOff, teller: Teller) -> None:
        self._storage = storage
        self._book = book
        self._calling_off = calling_off
        self._teller = teller
        self._memory = Memory(storage, book)
        #: When to look again at what is not over, by the monotonic clock.
        self.next_look = 0.0
        self._next_tidy = 0.0
        self._turn = 0

    def look_soon(self) -> None:
        """Let the next look be at once."""
        self.next_look = 0.0

    def reopen(self, batch_id: str) -> None:
        """Let a batch that was over go on: one of its jobs does. What it has reported is not reported again.

        To be called after that job was changed: a keeper that has looked before then writes nothing.
        """
        now = self._storage().now()
        with suppress(BatchNotFound):
            self._book.change(batch_id, lambda sheet: sheet.reopened(now))
        self.look_soon()

    def tend(self, keep: int | None) -> int:
        """Push the callbacks that are due, if it is time to look; returns how many jobs were pushed.

        `keep` is for how many milliseconds an ended batch is kept, None where only their number counts. Several
        keepers may do so at once.
        """
        if time.monotonic() < self.next_look:
            return 0
        is_time_to_tidy = time.monotonic() >= self._next_tidy
        if is_time_to_tidy:
            self._book.mend()
            self._memory.forget_lists()  # a process that notes no numbers may have changed one
        listed = self._memory.look()
        self.next_look = time.monotonic() + (SOON if listed.open else SELDOM)
        if is_time_to_tidy:
            self._next_tidy = time.monotonic() + RARELY
            self._tidy(listed, keep)
        sheets = self._memory.open(self._some(list(listed.open)), listed)
        if not sheets:
            return 0
        tallies = self._storage().tallies({sheet.id: sheet.queues for sheet in sheets})
        now = self._storage().now()
        pushed = 0
        for sheet in sheets:
            with suppress(BatchNotFound):
                pushed += self._look_at(sheet, tallies.get(sheet.id, {}), now)
        return pushed

    def _some(self, ids: list[str]) -> list[str]:
        """Those whose turn it is, of very many."""
        if len(ids) <= LOOKED_AT:
            return ids
        start, self._turn = self._turn % len(ids), self._turn + LOOKED_AT
        return (ids + ids)[start : start + LOOKED_AT]

    def _look_at(self, sheet: Sheet, tally: Mapping[Status, int], now: int) -> int:
        """Note what is due before it is pushed, so that nothing is added meanwhile to what is over."""
        if sheet.ending and sheet.cancelled is not None and waiting(tally):
            self._calling_off.some(sheet.id, sheet.cancelled, time.monotonic() + IN_PASSING)
        seen = sheet.looked_at(tally, now)
        if seen != sheet and self._book.change(sheet.id, lambda stored: seen if stored == sheet else stored) != seen:
            return 0
        if not seen.owed:
            return 0
        if seen == sheet and self._book.read([sheet.id]).get(sheet.id) != seen:
            return 0  # somebody has pushed them since it was read, and they may have run and be deleted
        callbacks = [NewJob.read(seen.callbacks[name]) for name in seen.owed]
        self._teller.pushed(callbacks, self._storage().push(callbacks))  # once: their ids are fixed
        self._book.change(sheet.id, lambda stored: stored.reported(seen.owed))
        return len(seen.owed)

    def _tidy(self, listed: Listed, keep: int | None) -> None:
        """Forget batches that ended long ago, and the oldest of too many; open those again of which a job went on.

        That is so where somebody died who had retried it, whether or not it has ended since.
        """
        for sheets in self._memory.ended(listed):
            self._reopen_some(sheets)
        past = self._memory.past
        self._forget(outlived(past, listed.ended, 0 if keep is None else self._storage().now() - keep))
        tallies = self._storage().tallies({batch_id: one.queues for batch_id, one in past.items()})
        changed = [batch_id for batch_id, one in past.items() if tallies.get(batch_id, {}) != (one.tally or {})]
        for ids in sliced(changed):
            self._reopen_some(self._book.read(ids))
        for batch_id in changed:
            past[batch_id] = replace(past[batch_id], tally=tallies.get(batch_id, {}))

    def _reopen_some(self, sheets: Mapping[str, Sheet]) -> None:
        """Open those of which a job went on."""
        now = self._storage().now()
        tallies = self._storage().tallies({sheet.id: sheet.queues for sheet in sheets.values()})
        for batch_id, tally in tallies.items():
            if waiting(tally) or sheets[batch_id].looked_at(tally, now) != sheets[batch_id]:
                self.reopen(batch_id)

    def _forget(self, ids: Sequence[str]) -> None:
        if ids:
            self._storage().forget_tallies({batch_id: self._memory.past[batch_id].queues for batch_id in ids})
        for batch_id in ids:
            self._book.forget(batch_id)
            del self._memory.past[batch_id]


def outlived(past: Mapping[str, Past], listed: Mapping[str, Line], before: int) -> list[str]:
    """Which ended batches are to be forgotten: those that ended before a moment, and the oldest of too many.

    One whose sheet nobody here can read counts from when it was made.
    """
    ends = {batch_id: listed[batch_id].created if one.ended is None else one.ended for batch_id, one in past.items()}
    newest = sorted(ends, key=lambda batch_id: -ends[batch_id])
    return [batch_id for n, batch_id in enumerate(newest) if ends[batch_id] < before or n >= ENDED * SHARDS]
