"""The storage of a fake: an engine like the others, in the memory of the test, by the test's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile

from cachelib import SimpleCache

from ..storage import CacheStorage
from ..storage.cache import gates, stops
from ..storage.cache.backends import MemoryPort
from ..storage.cache.log import Log
from ..storage.values import NewJob, Occurrence, Schedule, Settlement, Step, Wanted, Watcher
from .clock import Clock, Hand


class MemoryStorage(CacheStorage):
    """Tells which jobs come into it, by whichever way."""

    def __init__(
        self, clock: Clock, came: Callable[[list[str]], None] = lambda _: None, cache: SimpleCache | None = None
    ) -> None:
        super().__init__(MemoryPort(cache or SimpleCache()), Hand(clock))
        self._clock = clock
        self._came = came
        self._told = 0

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """Store the jobs and tell of them."""
        pushed = super().push(jobs, bounds)
        self._tell()
        return pushed

    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Store the job and tell of it, if it is stored."""
        holder = super().push_unique(job, bounds)
        self._tell()
        return holder

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle and claim, and tell of what follows."""
        step = super().step(worker, settled, wanted)
        self._tell()
        return step

    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Store a schedule, and tell of its jobs."""
        revision = super().put_schedule(schedule, jobs, occurrences)
        self._tell()
        return revision

    def watcher(self) -> Watcher:
        """Look for pushes of this very process, and for moves of the clock."""
        return News(self._log, self._clock)

    @property
    def untouched(self) -> bool:
        """Whether nothing was ever stored."""
        with self._log.read() as (state, _):
            return not state.lineage

    def next_moment(self) -> int | None:
        """When something will become due by itself that is not due yet."""
        with self._log.read() as (state, now):
            lines = state.shelves.waiting.values()
            ends = [stop.until for stop in stops.in_force(state, now)]
            moments = [next((at for at, *_ in line if at > now), None) for line in lines]
            moments += [*ends, gates.first_open(state)]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def options_of(self, job_id: str) -> str | None:
        """The options of a job as they are kept."""
        with self._log.read() as (state, _):
            job = state.shelves.jobs.get(job_id)
            return job.options if job is not None else None

    def _tell(self) -> None:
        with self._log.read() as (state, _):
            newest_first: Iterator[tuple[int, str]] = (
                (job.seq, job.id) for job in reversed(state.shelves.jobs.values())
            )
            new = [id_ for _, id_ in takewhile(lambda one: one[0] > self._told, newest_first)]
            self._told = state.pushes
        if new:
            self._came(new[::-1])


class News(Watcher):
    """Looks whether anything was stored, or the clock was moved."""

    interval = 0.002

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._seen = (-1, -1, -1)

    def changed(self) -> bool:
        """Whether there was anything since the last call."""
        with self._log.read() as (state, _):
            now = (state.epoch, state.n, self._clock.jumps)
        before, self._seen = self._seen, now
        return before != now
