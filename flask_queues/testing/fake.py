"""`queues.fake()`: what a test pushes is recorded, run if the test says so, and asked after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from ..batches import BatchRecord
from ..chains import types_of
from ..errors import JobNotFound
from ..manager import Manager
from ..record import JobRecord
from ..storage.sealed import Sealed, sealed
from .clock import Clock
from .memory import MemoryStorage
from .repeat import Repeat
from .runner import MOST, Run, Runner
from .telling import Wanted, not_batched, not_chained, not_expected, not_pushed, too_many

Twice = bool | Literal["again", "cut"]


@contextmanager
def fake(
    manager: Manager,
    *,
    eager: bool = False,
    raises: bool = True,
    twice: Twice = False,
    seed: int | None = None,
) -> Iterator[Fake]:
    """Keep an application's jobs in the memory of the test while the block runs; see `Queues.fake`."""
    faked = Fake(manager, eager=eager, raises=raises, twice=twice, seed=seed)
    with manager.kept_in(faked.storage):
        yield faked


class Fake:
    """The queues of one application in a test; `queues.fake()` makes it."""

    def __init__(self, manager: Manager, *, eager: bool, raises: bool, twice: Twice, seed: int | None) -> None:
        #: Moves the time, which otherwise stands still.
        self.clock = Clock()
        self._memory = MemoryStorage(self.clock, self._come)
        keys = manager.config.encryption_keys
        #: What holds the jobs while the fake lasts.
        self.storage = sealed(self._memory, keys) if keys else self._memory
        self._manager = manager
        self._eager = eager
        self._raises = raises
        repeat = Repeat("again" if twice is True else twice, seed, manager.root) if twice else None
        #: What decides where `twice="cut"` cuts.
        self.seed = repeat.seed if repeat is not None else None
        self._runner = Runner(manager, self._memory, self.clock, repeat)
        #: By id, in the order of pushes: each job as it was pushed.
        self._pushed: dict[str, JobRecord] = {}
        self.clock.mover = self._move
        self.clock.untouched = lambda: self._memory.untouched

    # What was pushed

    @property
    def jobs(self) -> list[JobRecord]:
        """Every job that was pushed, by a schedule too, in that order: as it is now, or was last if it is deleted."""
        return [self._as_it_is(record) for record in list(self._pushed.values())]

    @property
    def runs(self) -> list[Run]:
        """Every run in this process so far."""
        return list(self._runner.runs)

    def forget(self) -> None:
        """Let the assertions count from now on; the jobs stay."""
        self._pushed.clear()

    def pushed(
        self,
        job: Any,
        *,
        times: int | None = None,
        payload: dict[str, Any] | Callable[[dict[str, Any]], Any] | None = None,
        queue: str | None = None,
        tags: Sequence[str] | None = None,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        where: Callable[[JobRecord], Any] | None = None,
    ) -> list[JobRecord]:
        """Assert that this job type was pushed, once at least or exactly so many `times`; returns these jobs.

        `payload` is all of it, or a function of it. `tags` are some of its tags. `delay` is what it had to wait from
        its push, `at` when it was due then. `where` is a function of the record as it is now. Raises `UnknownJobType`
        where there is no such job type.
        """
        __tracebackhide__ = True
        wanted = Wanted.of(self._manager, job, payload, queue, tags, priority, delay, at, where)
        found = self._matching(wanted)
        if len(found) != times if times is not None else not found:
            raise AssertionError(not_pushed(self._manager, wanted, times, len(found), list(self._pushed.values())))
        return found

    def not_pushed(
        self,
        job: Any,
        *,
        payload: dict[str, Any] | Callable[[dict[str, Any]], Any] | None = None,
        queue: str | None = None,
        tags: Sequence[str] | None = None,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        where: Callable[[JobRecord], Any] | None = None,
    ) -> None:
        """Assert that no such job was pushed; arguments are those of `pushed`."""
        __tracebackhide__ = True
        wanted = Wanted.of(self._manager, job, payload, queue, tags, priority, delay, at, where)
        found = self._matching(wanted)
        if found:
            raise AssertionError(not_expected(self._manager, wanted, found))

    def nothing_pushed(self) -> None:
        """Assert that no job was pushed."""
        __tracebackhide__ = True
        if self._pushed:
            raise AssertionError(too_many(self._manager, list(self._pushed.values())))

    def chained(self, *jobs: Any) -> list[JobRecord]:
        """Assert that a chain of exactly these job types, in this order, was pushed; returns the first job of each.

        Links that are passed over count: it is the chain as it was pushed.
        """
        __tracebackhide__ = True
        types = [self._manager.jobs.find(job).type for job in jobs]
        firsts = [job for job in self._pushed.values() if job.chain is not None and job.chain.at == 1]
        found = [job for job in firsts if self._chain_of(job) == types]
        if not found:
            raise AssertionError(not_chained(types, [self._chain_of(job) for job in firsts]))
        return [self._as_it_is(job) for job in found]

    def batched(self, name: str | None = None, *, times: int | None = None) -> list[BatchRecord]:
        """Assert that a batch, of this name if given, was pushed, once at least or exactly so many `times`."""
        __tracebackhide__ = True
        batches = self._manager.batches.all(1000)[0]
        found = [batch for batch in batches if name in (None, batch.name)]
        if len(found) != times if times is not None else not found:
            raise AssertionError(not_batched(name, times, len(found), [batch.name for batch in batches]))
        return found

    def _chain_of(self, first: JobRecord) -> list[str]:
        options = self._memory.options_of(first.id)
        opened = self.storage.open_options(options) if isinstance(self.storage, Sealed) else options
        return types_of(first.type, opened, self._manager.chain_pages.read)

    def _matching(self, wanted: Wanted) -> list[JobRecord]:
        return [now for record in list(self._pushed.values()) if wanted.fits(record, now := self._as_it_is(record))]

    def _as_it_is(self, record: JobRecord) -> JobRecord:
        with suppress(JobNotFound):
            return self._manager.find(record.id)
        return record

    # Running

    def drain(
        self,
        within: float | timedelta = 0,
        *,
        queues: Sequence[str] = (),
        raises: bool | None = None,
        most: int = MOST,
    ) -> list[Run]:
        """Run all jobs that are due, and those that they push, in this process; returns the runs.

        With `within`, so many seconds pass, and what becomes due by then is run at its moment: delayed jobs,
        retries after their backoff, schedules. Only `queues` are served, if given. The first exception that left a
        job is raised when all is done, unless `raises` (by default the fake's) is False. No more than `most` runs.
        """
        seconds = within.total_seconds() if isinstance(within, timedelta) else float(within)
        until = self.clock.milliseconds + round(seconds * 1000) if seconds else None
        runs = self._runner.drain(until, queues, most)
        self._raise_first(runs, self._raises if raises is None else raises)
        return runs

    def _come(self, ids: list[str]) -> None:
        for id_ in ids:
            with suppress(JobNotFound):  # deleted already, in another thread
                self._pushed[id_] = self._manager.find(id_)
        if self._eager:
            self._raise_first(self._runner.run_at_once(), self._raises)

    def _move(self, to: int) -> None:
        first = self._memory.untouched and not self.clock.jumps
        if first or to < self.clock.milliseconds:
            self.clock.jump(to)
            return
        self._runner.publish()  # so that schedules count from the time before
        if self._eager and not self._runner.working:
            self._raise_first(self._runner.drain(to), self._raises)
        else:
            self.clock.jump(to)

    def _raise_first(self, runs: list[Run], raises: bool) -> None:
        error = next((run.error for run in runs if run.error is not None), None)
        if raises and error is not None:
            raise error
