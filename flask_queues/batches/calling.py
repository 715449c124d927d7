"""The end of a batch that somebody has cancelled: its jobs, page by page, and those that are claimed before that."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import StorageError
from ..record import Status
from ..storage import Storage
from ..storage.values import Query
from .book import Book
from .sheet import tag_of

#: Jobs that are cancelled before anybody looks at the clock.
FEW = 25
#: Seconds for which a batch that nobody has cancelled is taken for that, and batches of which something is remembered.
KNOWN_FOR, KNOWN = 1.0, 1_000
WAITING = [status for status in Status if not status.final]


class CallingOff:
    """Ends the jobs of cancelled batches. Where whoever began with that has died, any keeper goes on."""

    def __init__(self, storage: Callable[[], Storage], book: Book, cancel: Callable[[str, str], object]) -> None:
        self._storage = storage
        self._book = book
        #: End one job that waits, or ask for its end, and say why.
        self.one = cancel
        #: Where to go on, by batch.
        self._after: dict[str, str | None] = {}
        #: Until when a batch is taken for one that goes on, by the monotonic clock.
        self._goes_on: dict[str, float] = {}

    def some(self, batch_id: str, reason: str, until: float) -> None:
        """End jobs of a batch up to a moment of the monotonic clock; the next call goes on from there."""
        after = self._after.pop(batch_id, None)
        while True:
            page = self._storage().page(Query(tag=tag_of(batch_id), statuses=WAITING, limit=FEW, after=after))
            for job in page.jobs:
                self.one(job.id, reason)
            after = page.after
            if after is None:
                return
            if time.monotonic() >= until:
                if len(self._after) >= KNOWN:
                    self._after.clear()
                self._after[batch_id] = after
                return

    def reason_for(self, batch_id: str, job_id: str) -> str | None:
        """Why a job that was claimed is not to begin: its batch is being cancelled. None where it is not.

        That a batch goes on is remembered for a second.
        """
        now = time.monotonic()
        if self._goes_on.get(batch_id, 0.0) > now:
            return None
        try:
            sheet = self._book.read([batch_id]).get(batch_id)
        except StorageError:  # the settlement says so, and waits
            return None
        if sheet is not None and sheet.ending and job_id not in sheet.reporters:
            return sheet.cancelled
        if len(self._goes_on) >= KNOWN:
            self._goes_on.clear()
        self._goes_on[batch_id] = now + KNOWN_FOR
        return None
