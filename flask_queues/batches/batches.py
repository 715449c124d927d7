"""The batches of one application: made, read and changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ..errors import OptionError, TransitionError, UniqueTaken
from ..ids import is_id
from ..pushing import Pusher
from ..record import JobRecord, Status
from ..storage import Storage
from ..telling import Teller
from .book import Book, not_found
from .builder import Batch, BatchHandle
from .calling import CallingOff
from .growing import Growing
from .memory import sliced
from .record import BatchRecord, record_of
from .sheet import Sheet, tag_of
from .tending import Tending

#: Batches among which a status or a text is looked for.
SEARCHED = 1000
#: Seconds in which whoever cancels a batch cancels its jobs; keepers go on with those that are left.
AT_ONCE = 3.0
MAX_NAME = 128


class BatchPage(NamedTuple):
    """A page of batches, the newest first."""

    records: list[BatchRecord]
    #: Where the next one begins.
    after: str | None
    #: How many there are in all.
    total: int
    #: The ids of those that would stand on it and cannot be read: they are damaged, or no key here opens them.
    unread: list[str]


class Batches:
    """Makes, reads and changes batches."""

    def __init__(
        self,
        storage: Callable[[], Storage],
        pusher: Pusher,
        jobs_of: Callable[..., Iterator[JobRecord]],
        check_permission: Callable[[JobRecord], None],
        teller: Teller,
        cancel: Callable[[str, str], object],
    ) -> None:
        self._storage = storage
        self._jobs_of = jobs_of
        self._check_permission = check_permission
        self._teller = teller
        self._book = Book(storage)
        #: Ends the jobs of those that were cancelled.
        self.calling_off = CallingOff(storage, self._book, cancel)
        #: What keepers do.
        self.tending = Tending(storage, self._book, self.calling_off, teller)
        self._growing = Growing(storage, pusher, self._book, self.calling_off, self.cancel, self.tending.look_soon)

    def new(self, jobs: Iterable[Any] = (), name: str = "") -> Batch:
        """Begin a batch."""
        if len(name) > MAX_NAME:
            raise OptionError(f"name: {name[:40]!r}… has more than {MAX_NAME} characters.")
        return Batch(jobs, name, lambda plan, options: BatchHandle(self, self._growing.push(plan, options)))

    def find(self, batch_id: str) -> BatchRecord:
        """Return a batch as it is now; raises `BatchNotFound`."""
        sheet = self._book.read([checked(batch_id)]).get(batch_id)
        if sheet is None:
            raise not_found(batch_id)
        return self._records([sheet])[0]

    def handle(self, batch_id: str, by: str | None = None) -> BatchHandle:
        """Return a handle of a batch, for the running job `by` if given; raises nothing before it is used."""
        return BatchHandle(self, checked(batch_id), by)

    def all(
        self,
        limit: int = 50,
        after: str | None = None,
        *,
        status: Status | str | None = None,
        text: str = "",
    ) -> tuple[list[BatchRecord], str | None, int]:
        """A page of batches, the newest first; where the next one begins, and how many there are in all.

        Those in one status only, or with a text in their names, are looked for among the newest 1,000.
        """
        page = self.page(limit, after, status=status, text=text)
        return page.records, page.after, page.total

    def page(
        self,
        limit: int = 50,
        after: str | None = None,
        *,
        status: Status | str | None = None,
        text: str = "",
    ) -> BatchPage:
        """The same, and which of them cannot be read."""
        listed = self._book.all()
        made = listed.open | listed.ended
        ids = sorted(made, key=lambda batch_id: (made[batch_id], batch_id), reverse=True)
        if status is not None or text:
            ids = self._matching(ids[:SEARCHED], status, text.casefold())
        if after is not None:
            start = next((n for n, batch_id in enumerate(ids) if batch_id == after), len(ids) - 1) + 1
        else:
            start = 0
        shown = ids[start : start + limit]
        read = self._book.read(shown)
        more = start + limit < len(ids)
        records = self._records([read[batch_id] for batch_id in shown if batch_id in read])
        return BatchPage(records, shown[-1] if more else None, len(ids), unread(shown, read))

    def _matching(self, ids: Sequence[str], status: Status | str | None, text: str) -> list[str]:
        read = self._book.read(ids)
        named = [read[batch_id] for batch_id in ids if batch_id in read and text in read[batch_id].name.casefold()]
        return [record.id for record in self._records(named) if status in (None, record.status)]

    def open(self) -> int:
        """How many batches are not over."""
        return len(self._book.all().open)

    def closed(self) -> list[str]:
        """The ids of batches that are not over and cannot be read here, since no key of this process opens them."""
        ids = sorted(self._book.all().open)
        return [batch_id for part in sliced(ids) for batch_id in unread(part, self._book.read(part))]

    def give_up(self, batch_id: str, queues: Collection[str]) -> None:
        """Forget a batch that cannot be read here: its callbacks never come, its jobs stay and run as any others.

        `queues` are those in which it may have jobs. Raises `BatchNotFound`, or `TransitionError` for one that can be
        read, which is cancelled instead.
        """
        if self._book.read([checked(batch_id)]):
            raise TransitionError(f"The batch {batch_id} can be read here; cancel it instead of giving it up.")
        if not self._book.forget(batch_id, open_too=True):
            raise not_found(batch_id)
        self._storage().forget_tallies({batch_id: queues})

    def _records(self, sheets: Sequence[Sheet]) -> list[BatchRecord]:
        tallies = self._storage().tallies({sheet.id: sheet.queues for sheet in sheets})
        return [record_of(sheet, tallies.get(sheet.id, {})) for sheet in sheets]

    # Changing

    def add(self, batch_id: str, jobs: Iterable[Any], options: dict[str, Any], by: str | None = None) -> int:
        """Add jobs to a batch that is not over, and return how many; raises `TransitionError` where it is.

        While one of its own jobs runs a batch does not end, so that one, `by`, need not keep it open, and may die.
        """
        return self._growing.add(checked(batch_id), jobs, options, by)

    def jobs(self, batch_id: str, statuses: Sequence[Status | str] = ()) -> Iterator[JobRecord]:
        """Walk through the jobs of a batch that are stored, the last pushed first."""
        return self._jobs_of(tag=tag_of(checked(batch_id)), statuses=statuses)

    def cancel(self, batch_id: str, reason: str) -> bool:
        """Cancel a batch with all its jobs that have not ended; False where it was over.

        Of very many, those that are left after a few seconds are cancelled by the keepers, or when they are claimed.
        """
        sheet = self._book.change(
            checked(batch_id),
            lambda sheet: sheet if sheet.ended is not None else sheet.called_off(reason),
        )
        if sheet.ended is not None:
            return False
        self.calling_off.some(batch_id, sheet.cancelled or reason, time.monotonic() + AT_ONCE)
        return True

    def retry(self, batch_id: str) -> int:
        """Retry the failed jobs of a batch, and return how many; a unique one whose key is taken by now stays.

        Raises `NotAllowed`, and has retried none then, where the user of this request may not push one of them.
        """
        failed = []
        for job in self.jobs(batch_id, [Status.FAILED]):
            self._check_permission(job)
            failed.append(job.id)
        retried: list[str] = []
        try:
            for job_id in failed:
                with suppress(UniqueTaken):
                    if self._storage().retry(job_id) is Status.FAILED:
                        retried.append(job_id)
        finally:
            if retried:
                self.tending.reopen(batch_id)
        for job_id in retried:
            self._teller.retried(job_id)
        return len(retried)


def unread(ids: Iterable[str], read: Collection[str]) -> list[str]:
    """Those that were not read."""
    return [batch_id for batch_id in ids if batch_id not in read]


def checked(batch_id: str) -> str:
    """Return what may be an id."""
    if not is_id(batch_id):
        raise not_found(batch_id)
    return batch_id
