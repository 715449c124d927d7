"""How batches come to be and grow: jobs are stored slice by slice, and their batch knows that more are on their way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import BatchNotFound, OptionError, QueuesError
from ..ids import new_id
from ..job import Job
from ..options import Options
from ..pushing import Pusher
from ..pushing.intake import pair_of
from ..storage import Storage
from ..storage.values import NewJob
from .book import Book, not_found
from .builder import Plan
from .calling import CallingOff
from .sheet import BROKEN_WORDS, Sheet, tag_of

#: Jobs that are pushed at once; no more of a batch are in memory.
SLICE = 500
#: Milliseconds after which a long push gives a sign of life.
SIGN_OF_LIFE = 60_000


class Push(Protocol):
    """Stores jobs of a batch; `counted`, it counts them against `QUEUES_PUSH_LIMIT`."""

    def __call__(self, members: Iterable[NewJob], *, counted: bool = True) -> None:
        """Do so."""


class Growing:
    """Stores batches and adds jobs to them."""

    def __init__(
        self,
        storage: Callable[[], Storage],
        pusher: Pusher,
        book: Book,
        calling_off: CallingOff,
        cancel: Callable[[str, str], bool],
        look_soon: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._pusher = pusher
        self._book = book
        self._calling_off = calling_off
        self._cancel = cancel
        self._look_soon = look_soon

    def push(self, plan: Plan, options: dict[str, Any]) -> str:
        """Store a batch and its jobs, or let the commit do so for which they wait; returns its id."""
        batch_id = new_id("batches")
        callbacks = {name: self._callback(batch_id, *said) for name, said in plan.callbacks.items()}

        def begin(members: Iterable[NewJob], *, counted: bool = True) -> None:
            self._begin(batch_id, plan.name, callbacks, members, counted=counted)

        self._now_or_later(batch_id, plan.jobs, options, begin)
        return batch_id

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
                    self._cancel(batch_id, BROKEN_WORDS)
                raise
        self._look_soon()

    def _callback(self, batch_id: str, job: Any, payload: dict[str, Any] | None, options: dict[str, Any]) -> Any:
        made = self._pusher.new_job(job, payload, Options.of(**options))
        if made.unique is not None:
            raise OptionError(f"{made.type}: a unique job may not come to be, so it cannot report for a batch.")
        return made._replace(options=with_batch(made.options, batch_id)).said()

    def add(self, batch_id: str, jobs: Iterable[Any], options: dict[str, Any], by: str | None = None) -> int:
        """Add jobs to a batch, as `Batches.add` says."""
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
        self._book.change(batch_id, lambda sheet: sheet.begun_to_grow(now, 0 if own else 1))
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
                self._book.change(batch_id, lambda sheet: sheet.grown_by(count.stored, pushers))

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
                self._book.change(batch_id, growing_still(now, queues))
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
            sheet.check_growing()
        except QueuesError:
            for job_id in stored:
                self._calling_off.one(job_id, BROKEN_WORDS if sheet is None else sheet.cancelled or BROKEN_WORDS)
            raise

    def _members(
        self, batch_id: str, jobs: Iterable[Any], options: dict[str, Any], after_commit: bool | None
    ) -> Iterator[NewJob]:
        """Make the jobs, one after another; raises `OptionError` for one that would wait for a commit by itself."""
        for one in jobs:
            job, payload = pair_of(one)
            alone = after_commit is None and isinstance(job, Job) and job.pushed_with.after_commit
            if alone and not self._pusher.would_wait(None) and self._pusher.would_wait(True):
                raise OptionError(
                    f"{job.type}: a batch waits for a commit as a whole; say after_commit=True to it, not to its jobs."
                )
            made = self._pusher.new_job(job, payload, Options.of(**options))
            tags = (*made.tags, tag_of(batch_id))
            yield made._replace(batch=batch_id, tags=tags, options=with_batch(made.options, batch_id))


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


def growing_still(now: int, queues: Iterable[str]) -> Callable[[Sheet], Sheet]:
    """Note that jobs are still being added, and to which queues."""
    return lambda sheet: sheet.growing_still(now, queues)


def with_batch(options: str | None, batch_id: str) -> str:
    """Let a job know its batch."""
    said = json.loads(options) if options else {}
    return json.dumps({**said, "batch": batch_id}, ensure_ascii=False, separators=(",", ":"))
