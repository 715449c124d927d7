"""What was done within a span of time, by queue and job type."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from ..record import JobRecord, Status
from ..storage.sheets import Found, expect, look
from .histogram import Histogram

#: Queue and job type.
Line = tuple[str, str]


class Cell:
    """What was done with the jobs of one queue and type."""

    __slots__ = ("came", "cancelled", "completed", "failed", "process", "runs", "total", "wait")

    def __init__(self) -> None:
        #: Jobs that came to these ends.
        self.completed = 0
        self.failed = 0
        self.cancelled = 0
        #: Jobs that came into their line: pushed, or retried. Below zero where waiting ones were deleted.
        self.came = 0
        #: Attempts, and the milliseconds that they took.
        self.runs = 0
        self.total = 0
        #: How long jobs waited after they were due, until the attempt that ended them.
        self.wait = Histogram()
        #: How long attempts took.
        self.process = Histogram()

    @property
    def ended(self) -> int:
        """Jobs that left their line."""
        return self.completed + self.failed + self.cancelled

    @property
    def failure_rate(self) -> float | None:
        """The share of failed jobs among those that were run to an end; None where there were none."""
        judged = self.completed + self.failed
        return self.failed / judged if judged else None

    @property
    def mean(self) -> float | None:
        """Milliseconds that an attempt took on average; None where none was measured."""
        return self.total / self.runs if self.runs else None

    def count(self, status: Status, n: int) -> None:
        """Count jobs that came to an end."""
        setattr(self, status.value, getattr(self, status.value) + n)

    def measure(self, job: JobRecord, times: int) -> None:
        """Count the times of a job's attempts, for itself and for others that are like it."""
        last: datetime | None = None
        for attempt in job.history:
            if attempt.ended is not None:
                took = between(attempt.started, attempt.ended)
                self.process.add(took, times)
                self.runs += times
                self.total += took * times
                last = attempt.started
        if last is not None:
            self.wait.add(between(job.due, last), times)

    def add(self, other: Cell) -> None:
        """Add the numbers of another, without its durations."""
        self.completed += other.completed
        self.failed += other.failed
        self.cancelled += other.cancelled
        self.came += other.came
        self.runs += other.runs
        self.total += other.total

    def merge(self, other: Cell) -> None:
        """Add what another has counted."""
        self.add(other)
        self.wait.merge(other.wait)
        self.process.merge(other.process)

    def dump(self) -> list[int | str]:
        """Write it."""
        return [
            self.completed, self.failed, self.cancelled, self.came, self.runs, self.total,
            self.wait.dump(), self.process.dump(),
        ]  # fmt: skip

    @classmethod
    def load(cls, dumped: list[int | str]) -> Cell:
        """Read what `dump` has written."""
        cell = cls()
        *numbers, wait, process = dumped
        cell.completed, cell.failed, cell.cancelled, cell.came, cell.runs, cell.total = map(int, numbers)
        cell.wait, cell.process = Histogram.load(str(wait)), Histogram.load(str(process))
        return cell


class Bucket:
    """Everything that was counted within a span of time. Buckets of several spans add up without loss."""

    def __init__(self) -> None:
        self.cells: defaultdict[Line, Cell] = defaultdict(Cell)
        #: By queue: how many jobs were pending, at most.
        self.depth: dict[str, int] = {}
        #: Looks at the workers, and how many processes were alive and how many busy, in all of these together.
        self.looks = 0
        self.alive = 0
        self.busy = 0

    @property
    def mean_alive(self) -> float | None:
        """Processes that were alive on average; None where nobody looked."""
        return self.alive / self.looks if self.looks else None

    @property
    def mean_busy(self) -> float | None:
        """Processes that had a job in hand on average."""
        return self.busy / self.looks if self.looks else None

    def look(self, depth: dict[str, int], alive: int, busy: int) -> None:
        """Note how things stand at a moment."""
        self.deepen(depth)
        self.looks += 1
        self.alive += alive
        self.busy += busy

    def deepen(self, depth: dict[str, int]) -> None:
        """Keep the longest of lines."""
        for queue, n in depth.items():
            self.depth[queue] = max(n, self.depth.get(queue, 0))

    def merge(self, other: Bucket) -> None:
        """Add what another has counted."""
        for line, cell in other.cells.items():
            self.cells[line].merge(cell)
        self.deepen(other.depth)
        self.looks += other.looks
        self.alive += other.alive
        self.busy += other.busy

    def some(self, queue: str | None = None, job_type: str | None = None) -> Cell:
        """What was done with the jobs of a queue, of a type, or with all, as one cell."""
        return merged(
            cell for (one, kind), cell in self.cells.items() if queue in (None, one) and job_type in (None, kind)
        )

    def by_type(self, queue: str | None = None) -> dict[str, Cell]:
        """What was done with the jobs of each type, in one queue or all."""
        types = {job_type for one, job_type in self.cells if queue in (None, one)}
        return {job_type: self.some(queue, job_type) for job_type in sorted(types)}

    def dump(self) -> str:
        """Write it as JSON text."""
        cells = dump_cells(self.cells)
        looks = [self.looks, self.alive, self.busy]
        return json.dumps({"cells": cells, "depth": self.depth, "looks": looks}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Bucket:
        """Read what `dump` has written; raises whatever is wrong with it."""
        bucket, said = cls(), json.loads(text)
        expect(said["depth"], {str: int})
        expect(said["looks"], (int, int, int))
        bucket.cells.update(load_cells(said["cells"]))
        bucket.depth = said["depth"]
        bucket.looks, bucket.alive, bucket.busy = said["looks"]
        return bucket


def found_in(name: str, text: str | None) -> Found[Bucket]:
    """Read the sheet of a bucket."""
    return look(name, text, Bucket.load)


def dump_cells(cells: Mapping[Line, Cell]) -> dict[str, list[int | str]]:
    """Write what was done, by queue and type."""
    return {"\t".join(line): cell.dump() for line, cell in cells.items()}


def load_cells(dumped: Mapping[str, list[int | str]]) -> dict[Line, Cell]:
    """Read what `dump_cells` has written."""
    return {read_line(line): Cell.load(cell) for line, cell in dumped.items()}


def merged(cells: Iterable[Cell]) -> Cell:
    """Add cells up."""
    whole = Cell()
    for cell in cells:
        whole.merge(cell)
    return whole


def numbers_of(buckets: Iterable[Bucket]) -> defaultdict[str, Cell]:
    """Add up the numbers of each queue, without durations: those take ten times as long."""
    whole: defaultdict[str, Cell] = defaultdict(Cell)
    for bucket in buckets:
        for (queue, _), cell in bucket.cells.items():
            whole[queue].add(cell)
    return whole


def all_of(buckets: Iterable[Bucket]) -> Bucket:
    """Add buckets up."""
    whole = Bucket()
    for bucket in buckets:
        whole.merge(bucket)
    return whole


def read_line(text: str) -> Line:
    """Read a queue and a job type."""
    queue, _, job_type = text.partition("\t")
    return queue, job_type


def between(since: datetime, until: datetime) -> int:
    """Milliseconds from one moment to a later one; none where it was earlier."""
    return max(0, round((until - since).total_seconds() * 1000))
