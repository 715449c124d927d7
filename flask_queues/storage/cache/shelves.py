"""Where the jobs stand: every order in which they are looked for, kept sorted.

A sorted list is a plain one: for the ten thousand jobs that this engine is made for, inserting and
deleting move no more memory than a few microseconds' worth.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any

from .job import CANCELLED, PENDING, RUNNING, SCHEDULED, STATUSES, Job

#: A sorted list of positions, each with its job last; what comes before the job differs between any two.
Line = list[tuple[Any, ...]]


class Shelves:
    """All jobs, by id and in their orders. Take a job off before it changes, and put it back after."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self.jobs: dict[str, Job] = {}
        #: By queue, type and status: since when it is there, the last on top.
        self.lists: dict[tuple[str, str, int], Line] = {}
        #: By queue: what may be claimed, the next one first.
        self.lines: dict[str, Line] = {}
        #: By queue: what waits for its time.
        self.waiting: dict[str, Line] = {}
        #: By child: what it holds.
        self.hands: dict[str, Line] = {}
        #: By queue and group: those that wait for their time together.
        self.gathered: dict[tuple[str, str], Line] = {}
        #: By type, or by gate: what no worker knew, or may not begin.
        self.held: dict[str, Line] = {}
        self.tags: dict[str, Line] = {}
        #: By batch: how many of its jobs stand in each status, those that were deleted too.
        self.tallies: dict[str, list[int]] = {}
        for job in jobs:
            self.add(job)

    def add(self, job: Job) -> None:
        """Put a new job in."""
        self.jobs[job.id] = job
        if job.batch is not None:
            self.tallies.setdefault(job.batch, [0] * len(STATUSES))
        for tag in set(job.tags):
            put(self.tags, tag, (job.seq, job))
        self.put(job)

    def remove(self, job: Job) -> None:
        """Take a job out for good."""
        self.take(job)
        self._tally(job, job.status if STATUSES[job.status].final else CANCELLED, 1)
        for tag in set(job.tags):
            take(self.tags, tag, (job.seq,))
        del self.jobs[job.id]

    def put(self, job: Job) -> None:
        """Put a job where its status says."""
        self._tally(job, job.status, 1)
        put(self.lists, (job.queue, job.type, job.status), (job.stamp, job.seq, job))
        if job.held is not None:
            put(self.held, job.held, (*job.place, job))
        elif job.status == PENDING:
            put(self.lines, job.queue, (*job.place, job))
        if job.status == RUNNING:
            put(self.hands, str(job.worker), (job.seq, job))
        elif job.status == SCHEDULED:
            put(self.waiting, job.queue, (job.stamp, job.seq, job))
        if job.gather is not None:
            put(self.gathered, (job.queue, job.gather), (job.stamp, job.seq, job))

    def take(self, job: Job) -> None:
        """Take a job from where it stands."""
        self._tally(job, job.status, -1)
        take(self.lists, (job.queue, job.type, job.status), (job.stamp, job.seq))
        if job.held is not None:
            take(self.held, job.held, job.place)
        elif job.status == PENDING:
            take(self.lines, job.queue, job.place)
        if job.status == RUNNING:
            take(self.hands, str(job.worker), (job.seq,))
        elif job.status == SCHEDULED:
            take(self.waiting, job.queue, (job.stamp, job.seq))
        if job.gather is not None:
            take(self.gathered, (job.queue, job.gather), (job.stamp, job.seq))
            job.gather = None  # whatever it waits for next, it does so alone

    def _tally(self, job: Job, status: int, n: int) -> None:
        tally = self.tallies.get(job.batch) if job.batch is not None else None
        if tally is not None:
            tally[status] += n

    def running(self) -> list[Job]:
        """The jobs in anybody's hands."""
        return [place[-1] for line in self.hands.values() for place in line]

    def next_due(self) -> int | None:
        """When the next scheduled job is due."""
        return min((line[0][0] for line in self.waiting.values()), default=None)


def put(lines: dict[Any, Line], key: Any, place: tuple[Any, ...]) -> None:
    """Insert a place into a line, which begins with its first."""
    line = lines.get(key)
    if line is None:
        lines[key] = [place]
    elif line[-1] < place:
        line.append(place)
    else:
        insort(line, place)


def take(lines: dict[Any, Line], key: Any, place: tuple[Any, ...]) -> None:
    """Delete a place, which must be there; a line ends with its last."""
    line = lines[key]
    n = bisect_left(line, place)
    assert line[n][:-1] == place
    del line[n]
    if not line:
        del lines[key]
