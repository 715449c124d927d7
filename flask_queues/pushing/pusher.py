"""How jobs come into the storage: at once or after a commit, in slices, within bounds, unique ones one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flask import Flask

from ..config import Config
from ..errors import QueueFull, StorageError
from ..handles import JobHandle
from ..job import Job
from ..options import Options
from ..record import Status
from ..registry import Registry
from ..storage import Storage
from ..storage.values import NewJob
from ..telling import Teller
from . import commits
from .intake import host_time, new_job
from .origin import luggage
from .pushlimit import count_pushes
from .tracing import traced

#: Jobs that one call of the storage takes; more are pushed in several.
PUSH_SLICE = 500
#: The statuses of jobs that have yet to begin.
WAITING = (Status.PENDING.value, Status.SCHEDULED.value)


class Push(NamedTuple):
    """One job of a push, and the handle that was given out for it."""

    job: NewJob
    handle: JobHandle
    #: Whether the push brought its id along.
    named: bool


class Pusher:
    """Makes jobs and puts them into one application's storage."""

    def __init__(
        self,
        app: Flask,
        config: Callable[[], Config],
        jobs: Registry,
        storage: Callable[[], Storage],
        teller: Teller,
        handle: Callable[[str], JobHandle],
    ) -> None:
        self._app = app
        self._config = config
        self._jobs = jobs
        self._storage = storage
        self._teller = teller
        self._handle = handle
        #: Whether the storage tells the time, which stands still in a test.
        self.in_test = False

    def waits(self, job: Any, options: Options) -> bool:
        """Whether a push waits for the commit: its own word, then the configuration's."""
        given = options.over(job.pushed_with) if isinstance(job, Job) else options
        return self._config().after_commit if given.after_commit is None else given.after_commit

    def would_wait(self, given: bool | None) -> bool:
        """Whether what is pushed now waits for a commit, by its own word or the configuration's."""
        wanted = self._config().after_commit if given is None else given
        return wanted and commits.is_open(self._app)

    def hold(self, new: Sequence[NewJob], push: Callable[[Sequence[NewJob]], object]) -> None:
        """Have jobs pushed in a way of their own by the commit for which they wait."""
        commits.hold(self._app, new, push)

    def store(self, new: Sequence[NewJob], *, after_commit: bool, named: Collection[str] = ()) -> list[JobHandle]:
        """Store jobs now or after the commit; `named` are those ids that the push brought along."""
        pushes = [Push(one, self._handle(one.id), one.id in named) for one in new]
        if not after_commit or not commits.hold(self._app, pushes, self._push_all):
            self._push_all(pushes)
        return [push.handle for push in pushes]

    def _push_all(self, pushes: Sequence[Push]) -> None:
        """Store jobs, and let their handles be of the jobs that each push led to."""
        placed = self.place([push.job for push in pushes], {push.job.id for push in pushes if push.named})
        for push, (holder, is_new) in zip(pushes, placed, strict=True):
            push.handle.id, push.handle.created = holder, is_new

    def place(self, new: Sequence[NewJob], named: Collection[str] = ()) -> list[tuple[str, bool]]:
        """Store jobs; tells which job each push led to, and whether it is new."""
        try:
            return self._place_all(new, named)
        except StorageError as error:
            error.ids = tuple(one.id for one in new)
            raise

    def _place_all(self, new: Sequence[NewJob], named: Collection[str]) -> list[tuple[str, bool]]:
        """Store jobs, unique ones one by one."""
        placed: list[tuple[str, bool]] = []
        bounds = self._bounds(new)
        for unique, run in itertools.groupby(new, lambda one: one.unique is not None):
            jobs = list(run)
            if unique:
                placed += [self._place_unique(one, bounds, named=one.id in named) for one in jobs]
                continue
            for start in range(0, len(jobs), PUSH_SLICE):
                part = jobs[start : start + PUSH_SLICE]
                created = self._push_in_order(part, bounds)
                placed += zip([one.id for one in part], created, strict=True)
                self._teller.pushed(part, created)
        return placed

    def _push_in_order(self, jobs: Sequence[NewJob], bounds: tuple[Mapping[str, int], ...]) -> list[bool]:
        """Store a slice with those of a group side by side, so that each group that is complete comes as one list."""
        if not any(one.gather for one in jobs):
            return self._storage().push(jobs, *bounds)
        first: dict[str, int] = {}
        places = [first.setdefault(one.gather.group, n) if one.gather else n for n, one in enumerate(jobs)]
        order = sorted(range(len(jobs)), key=places.__getitem__)
        created = dict(zip(order, self._storage().push([jobs[n] for n in order], *bounds), strict=True))
        return [created[n] for n in range(len(jobs))]

    def count(self, number: int) -> None:
        """Count pushes of this request against `QUEUES_PUSH_LIMIT`; raises `PushLimited` beyond it."""
        if (limit := self._config().push_limit) is not None:
            count_pushes(self._storage(), limit, number)

    def _bounds(self, new: Sequence[NewJob]) -> tuple[Mapping[str, int], ...]:
        """What the storage is told of how many jobs may wait, if there is a bound.

        Several steps of the storage are not undone where a later one finds no room, so that is looked for before.
        """
        queues = {one.queue for one in new}
        bounds = {queue: most for queue in queues if (most := self._config().may_wait(queue)) is not None}
        if not bounds:
            return ()
        if len(new) > PUSH_SLICE or len(queues) > 1:
            waiting = self._storage().counts().queues
            for queue, bound in bounds.items():
                there = sum(waiting[queue][word] for word in WAITING) if queue in waiting else 0
                adds = sum(one.queue == queue and one.unique is None for one in new)
                if adds and there + adds > bound:
                    raise QueueFull(queue, bound, there, adds)
        return (bounds,)

    def _place_unique(self, one: NewJob, bounds: tuple[Mapping[str, int], ...], *, named: bool) -> tuple[str, bool]:
        # Of a repeated push the storage tells the same as of the first, so it is asked before.
        if named and self._storage().get(one.id) is not None:
            self._storage().push([one])  # changes nothing, and is confirmed as any push
            return one.id, False
        holder = self._storage().push_unique(one, *bounds)
        self._teller.pushed([one], [holder == one.id])
        return holder, holder == one.id

    def new_job(
        self,
        job: Any,
        payload: dict[str, Any] | None,
        options: Options,
        awaited: str | None = None,
        *,
        named: bool = False,
        along: str | None = None,
    ) -> NewJob:
        """Check a push and make the job of it, with what the request and its trace give along.

        Of many jobs that are pushed together, `along` is the `luggage` of them all.
        """
        now = self._storage().now if self.in_test else host_time
        along = luggage() if along is None else along
        made = new_job(self._jobs, self._config(), job, payload, options, awaited, now, named=named, along=along)
        return traced(made)


def ids_given(jobs: Iterable[Any], options: Options) -> set[str]:
    """The ids that a push brought along, in its options or in those of its jobs."""
    said = [options.id, *(job.pushed_with.id for job in jobs if isinstance(job, Job))]
    return {job_id for job_id in said if job_id is not None}
