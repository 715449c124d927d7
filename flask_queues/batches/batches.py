"""The batches of one application: pushed, read, changed, and ended by whichever keeper sees first that all is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..errors import BatchNotFound, OptionError, QueuesError, TransitionError, UniqueTaken
from ..ids import is_id, new_id
from ..job import Job
from ..options import Options
from ..pushing import Pusher
from ..record import JobRecord, Status
from ..storage import Storage
from ..storage.values import NewJob
from ..telling import Teller
from .book import ENDED, SHARDS, Book, Line, Listed, not_found
from .builder import Batch, BatchHandle, Plan
from .calling import CallingOff
from .memory import Memory, Past, sliced
from .record import BROKEN_WORDS, BatchRecord, Sheet, record_of, tag_of, waiting

#: Jobs that are pushed at once; no more of a batch are in memory.
SLICE = 500
#: Milliseconds after which a long push gives a sign of life.
SIGN_OF_LIFE = 60_000
#: Batches among which a status or a text is looked for.
SEARCHED = 1000
#: Batches that are looked at in one go.
LOOKED_AT = 500
#: Seconds between two looks at batches that are not over, where there are none, and at those that are.
SOON, SELDOM, RARELY = 0.25, 1.0, 60.0
#: Seconds in which whoever cancels a batch cancels its jobs, and for which a keeper goes on with that at a time.
AT_ONCE, IN_PASSING = 3.0, 0.05
MAX_NAME = 128


class Push(Protocol):
    """Stores jobs of a batch; `counted`, it counts them against `QUEUES_PUSH_LIMIT`."""

    def __call__(self, members: Iterable[NewJob], *, counted: bool = True) -> None:
        """Do so."""


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
        self._pusher = pusher
        self._jobs_of = jobs_of
        self._check_permission = check_permission
        self._teller = teller
        self._book = Book(storage)
        self._memory = Memory(storage, self._book)
        #: Ends the jobs of those that were cancelled.
        self.calling_off = CallingOff(storage, self._book, cancel)
        #: When to look again at what is not over, by the monotonic clock.
        self.next_look = 0.0
        self._next_tidy = 0.0
        self._turn = 0

    def new(self, jobs: Iterable[Any] = (), name: str = "") -> Batch:
        """Begin a batch."""
        if len(name) > MAX_NAME:
            raise OptionError(f"name: {name[:40]!r}… has more than {MAX_NAME} characters.")
        return Batch(jobs, name, self._push)

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
        return records, shown[-1] if more else None, len(ids)

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

    # Pushing

    def _push(self, plan: Plan, options: dict[str, Any]) -> BatchHandle:
        batch_id = new_id("batches")
        callbacks = {name: self._callback(batch_id, *said) for name, said in plan.callbacks.items()}

        def begin(members: Iterable[NewJob], *, counted: bool = True) -> None:
            self._begin(batch_id, plan.name, callbacks, members, counted=counted)

        self._now_or_later(batch_id, plan.jobs, options, begin)
        return BatchHandle(self, batch_id)

    def _now_or_later(self, batch_id: str, jobs: Iterable[Any], options: dict[str, Any], push: Push) -> int | None:
        """Push jobs of a batch, or have that done by the commit for which they wait.

        What waits is checked and counted now, so it is in memory until then; returns how many that are.
        """
        given = Options.of(**options).after_commit
        members = self._members(batch_id, jobs, options, given)
        if not self._pusher.would_wait(given):
            push(members)
            return None
        made = list(members)
        self._pusher.count(len(made))
        self._pusher.hold(made, lambda held: push(held, counted=False))
        return len(made)

    def _begin(
        self, batch_id: str, name: str, callbacks: Mapping[str, Any], members: Iterable[NewJob], *, counted: bool
    ) -> None:
        now = self._storage().now()
        self._book.create(Sheet(id=batch_id, name=name, created=now, pushed=now, pushers=1, callbacks=callbacks))
        with self._counting(batch_id, 1) as count:
            try:
                self._add_all(batch_id, members, count, counted=counted)
            except BaseException:
                with suppress(BatchNotFound):
                    self.cancel(batch_id, BROKEN_WORDS)
                raise
        self.next_look = 0.0

    def _callback(self, batch_id: str, job: Any, payload: dict[str, Any] | None, options: dict[str, Any]) -> Any:
        made = self._pusher.new_job(job, payload, Options.of(**options))
        if made.unique is not None:
            raise OptionError(f"{made.type}: a unique job may not come to be, so it cannot report for a batch.")
        return made._replace(options=with_batch(made.options, batch_id)).said()

    def add(self, batch_id: str, jobs: Iterable[Any], options: dict[str, Any], by: str | None = None) -> int:
        """Add jobs to a batch that is not over, and return how many; raises `TransitionError` where it is.

        While one of its own jobs runs a batch does not end, so that one, `by`, need not keep it open, and may die.
        """
        checked(batch_id)
        added = 0

        def add_now(members: Iterable[NewJob], *, counted: bool = True) -> None:
            nonlocal added
            added = self._add_now(batch_id, members, by, counted=counted)

        waiting_for_commit = self._now_or_later(batch_id, jobs, options, add_now)
        return added if waiting_for_commit is None else waiting_for_commit

    def _add_now(self, batch_id: str, members: Iterable[NewJob], by: str | None, *, counted: bool) -> int:
        now = self._storage().now()
        before = self._book.read([batch_id]).get(batch_id)
        own = before is not None and by is not None and by not in before.reporters
        self._book.change(batch_id, lambda sheet: begun_to_grow(sheet, now, 0 if own else 1))
        with self._counting(batch_id, 0 if own else 1) as count:
            return self._add_all(batch_id, members, count, counted=counted)

    @contextmanager
    def _counting(self, batch_id: str, pushers: int) -> Iterator[Count]:
        """Note in the end how many jobs were stored, and that so many do not push any more."""
        count = Count()
        try:
            yield count
        finally:
            with suppress(BatchNotFound):
                self._book.change(batch_id, lambda sheet: grown(sheet, count.stored, pushers))

    def _add_all(self, batch_id: str, members: Iterable[NewJob], count: Count, *, counted: bool) -> int:
        """Store jobs slice by slice, each counted against `QUEUES_PUSH_LIMIT` unless that was done."""
        known: frozenset[str] = frozenset()
        told, total = self._storage().now(), 0
        for made in slices(members):
            if counted:
                self._pusher.count(len(made))
            now = self._storage().now()
            queues = known | {job.queue for job in made}
            if queues != known or now - told > SIGN_OF_LIFE:
                self._book.change(batch_id, sign_of_life(now, queues))
                known, told = queues, now
            stored = [job_id for job_id, is_new in self._pusher.place(made) if is_new]
            self._refuse_if_over(batch_id, stored)
            count.stored += len(stored)
            total += len(made)
        return total

    def _refuse_if_over(self, batch_id: str, stored: Sequence[str]) -> None:
        """Cancel what was just stored where the batch was cancelled meanwhile, or ended: who did so may have missed it.

        Raises as `add` does then.
        """
        sheet = self._book.read([batch_id]).get(batch_id)
        try:
            if sheet is None:
                raise not_found(batch_id)
            check_growing(sheet)
        except QueuesError:
            for job_id in stored:
                self.calling_off.one(job_id, BROKEN_WORDS if sheet is None else sheet.cancelled or BROKEN_WORDS)
            raise

    def _members(
        self, batch_id: str, jobs: Iterable[Any], options: dict[str, Any], after_commit: bool | None
    ) -> Iterator[NewJob]:
        """Make the jobs, one after another; raises `OptionError` for one that would wait for a commit by itself."""
        for one in jobs:
            job, payload = one if isinstance(one, tuple) else (one, None)
            alone = after_commit is None and isinstance(job, Job) and job.pushed_with.after_commit
            if alone and not self._pusher.would_wait(None) and self._pusher.would_wait(True):
                raise OptionError(
                    f"{job.type}: a batch waits for a commit as a whole; say after_commit=True to it, not to its jobs."
                )
            made = self._pusher.new_job(job, payload, Options.of(**options))
            tags = (*made.tags, tag_of(batch_id))
            yield made._replace(batch=batch_id, tags=tags, options=with_batch(made.options, batch_id))

    # Changing

    def jobs(self, batch_id: str, statuses: Sequence[Status | str] = ()) -> Iterator[JobRecord]:
        """Walk through the jobs of a batch that are stored, the last pushed first."""
        return self._jobs_of(tag=tag_of(checked(batch_id)), statuses=statuses)

    def cancel(self, batch_id: str, reason: str) -> bool:
        """Cancel a batch with all its jobs that have not ended; False where it was over.

        Of very many, those that are left after a few seconds are cancelled by the keepers, or when they are claimed.
        """
        sheet = self._book.change(
            checked(batch_id),
            lambda sheet: sheet if sheet.ended is not None else called_off(sheet, reason),
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
                self.reopen(batch_id)
        for job_id in retried:
            self._teller.retried(job_id)
        return len(retried)

    def reopen(self, batch_id: str) -> None:
        """Let a batch that was over go on: one of its jobs does. What it has reported is not reported again.

        To be called after that job was changed: a keeper that has looked before then writes nothing.
        """
        now = self._storage().now()
        with suppress(BatchNotFound):
            self._book.change(batch_id, lambda sheet: reopened(sheet, now))
        self.next_look = 0.0

    # What the keeper does

    def tend(self, keep: int | None) -> int:
        """Push the callbacks that are due, if it is time to look; returns how many jobs were pushed.

        `keep` is for how many milliseconds an ended batch is kept, None where only their number counts. Several
        keepers may do so at once.
        """
        if time.monotonic() < self.next_look:
            return 0
        is_time_to_tidy = time.monotonic() >= self._next_tidy
        if is_time_to_tidy:
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
            self.calling_off.some(sheet.id, sheet.cancelled, time.monotonic() + IN_PASSING)
        seen = sheet.looked_at(tally, now)
        if seen != sheet and self._book.change(sheet.id, lambda stored: seen if stored == sheet else stored) != seen:
            return 0
        if not seen.owed:
            return 0
        callbacks = [NewJob.read(seen.callbacks[name]) for name in seen.owed]
        self._teller.pushed(callbacks, self._storage().push(callbacks))  # once: their ids are fixed
        self._book.change(sheet.id, lambda stored: reported(stored, seen.owed))
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


@dataclass
class Count:
    """How many jobs somebody has stored so far."""

    stored: int = 0


def slices(jobs: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut what is to be pushed: no slice is too large, and none takes so long that its pusher is taken for dead."""
    part: list[Any] = []
    until = time.monotonic() + SIGN_OF_LIFE / 1000
    for one in jobs:
        part.append(one)
        if len(part) == SLICE or time.monotonic() > until:
            yield part
            part, until = [], time.monotonic() + SIGN_OF_LIFE / 1000
    if part:
        yield part


def outlived(past: Mapping[str, Past], listed: Mapping[str, Line], before: int) -> list[str]:
    """Which ended batches are to be forgotten: those that ended before a moment, and the oldest of too many.

    One whose sheet nobody here can read counts from when it was made.
    """
    ends = {batch_id: listed[batch_id].created if one.ended is None else one.ended for batch_id, one in past.items()}
    newest = sorted(ends, key=lambda batch_id: -ends[batch_id])
    return [batch_id for n, batch_id in enumerate(newest) if ends[batch_id] < before or n >= ENDED * SHARDS]


def unread(ids: Iterable[str], read: Collection[str]) -> list[str]:
    """Those that were not read."""
    return [batch_id for batch_id in ids if batch_id not in read]


def check_growing(sheet: Sheet) -> None:
    """Raise `TransitionError` where nothing can be added to a batch."""
    if sheet.ended is not None or sheet.cancelled is not None:
        what = "over" if sheet.cancelled is None else "cancelled"
        raise TransitionError(f"The batch {sheet.id} is {what}; no job can be added. Push a new one.")


def called_off(sheet: Sheet, reason: str) -> Sheet:
    """The sheet of a batch that somebody cancels."""
    return replace(sheet, cancelled=sheet.cancelled or reason, ending=True)


def begun_to_grow(sheet: Sheet, now: int, pushers: int) -> Sheet:
    """The sheet of a batch to which somebody begins to add jobs; raises `TransitionError` where that cannot be."""
    check_growing(sheet)
    return replace(sheet, pushers=sheet.pushers + pushers, pushed=now, grown=sheet.grown + 1)


def grown(sheet: Sheet, jobs: int, pushers: int) -> Sheet:
    """The sheet of a batch to which somebody has added so many jobs."""
    return replace(sheet, pushers=max(0, sheet.pushers - pushers), jobs=sheet.jobs + jobs)


def reopened(sheet: Sheet, now: int) -> Sheet:
    """The sheet of a batch of which a job goes on; another one in any case, so that no keeper ends what it has read."""
    return replace(sheet, ended=None, pushed=now, grown=sheet.grown + 1)


def reported(sheet: Sheet, names: Iterable[str]) -> Sheet:
    """The sheet of a batch of which these callbacks were pushed; others may have become due meanwhile."""
    return replace(sheet, fired=tuple(name for name in sheet.due if name in names or name in sheet.fired))


def sign_of_life(now: int, queues: Iterable[str]) -> Callable[[Sheet], Sheet]:
    """Note that jobs are still being added, and to which queues."""
    return lambda sheet: replace(sheet, pushed=now, queues=tuple(sorted({*sheet.queues, *queues})))


def with_batch(options: str | None, batch_id: str) -> str:
    """Let a job know its batch."""
    said = json.loads(options) if options else {}
    return json.dumps({**said, "batch": batch_id}, ensure_ascii=False, separators=(",", ":"))


def checked(batch_id: str) -> str:
    """Return what may be an id."""
    if not is_id(batch_id):
        raise not_found(batch_id)
    return batch_id
