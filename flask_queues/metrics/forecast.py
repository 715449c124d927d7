"""What may be expected of what was measured: when a job starts, and when a queue is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from ..record import WorkerRecord, to_milliseconds
from .bucket import Bucket, Cell, numbers_of
from .ledger import MINUTE, Ledger

#: Whole minutes over which a pace is told, and those that are looked at where too few jobs ran in them.
RECENT, LONGER = 5, 60
#: Attempts that must have been measured before anything is expected of them.
ENOUGH = 5
#: Seconds after which a worker that says nothing is not expected to work.
SILENCE = 15.0


class Pace(NamedTuple):
    """How a queue is moving."""

    #: Jobs a minute.
    came: float
    left: float
    #: Milliseconds that an attempt takes; None where too few were measured.
    mean: float | None


class Outlook(NamedTuple):
    """When a queue will be empty."""

    #: `empty`, `paused`, `no worker`, `unknown`, `grows` or `in`.
    what: str
    #: For `in`: so many seconds. For `grows`: by so many jobs a minute.
    value: float = 0.0


class Forecast:
    """Expects of each queue that it goes on as in the last minutes."""

    def __init__(
        self, ledger: Ledger, workers: Collection[WorkerRecord], now: datetime, paused: Collection[str] = ()
    ) -> None:
        self._workers = [worker for worker in workers if worker.silence(now) < SILENCE]
        self._paused = paused
        minute = to_milliseconds(now) // MINUTE
        buckets = ledger.buckets(1, minute - LONGER, minute - 1)
        #: The last hour, minute by minute; a time in which nobody counted is left out.
        self.minutes: Sequence[tuple[int, Bucket]] = sorted(buckets.items())
        recent = [bucket for start, bucket in self.minutes if start >= minute - RECENT]
        self._looked = len(recent)
        self._recent, self._longer = numbers_of(recent), numbers_of(buckets.values())
        #: By queue: a page asks for each of its rows.
        self._paces: dict[str, Pace] = {}

    @cached_property
    def _ended(self) -> dict[int, Counter[str]]:
        return {start: ended_in(bucket) for start, bucket in self.minutes}

    def pace(self, queue: str) -> Pace:
        """How a queue is moving."""
        if queue not in self._paces:
            recent = self._recent[queue]
            minutes = self._looked or 1
            mean = self._mean(recent, queue)
            self._paces[queue] = Pace(max(0, recent.came) / minutes, recent.ended / minutes, mean)
        return self._paces[queue]

    def _mean(self, recent: Cell, queue: str) -> float | None:
        for cell in (recent, self._longer[queue]):
            if cell.runs >= ENOUGH:
                return cell.mean
        return None

    def processes(self, queue: str) -> int:
        """Child processes that take jobs of a queue."""
        return sum(len(worker.children) for worker in self._workers if worker.serves(queue))

    def outlook(self, queue: str, pending: int) -> Outlook:
        """When a queue with so many pending jobs will be empty."""
        if not pending:
            return Outlook("empty")
        if queue in self._paused:
            return Outlook("paused")
        if not (processes := self.processes(queue)):
            return Outlook("no worker")
        pace = self.pace(queue)
        if pace.mean is None:
            return Outlook("unknown")
        net = can_do(processes, pace.mean) - pace.came
        return Outlook("in", pending / net * 60) if net > 0 else Outlook("grows", -net)

    def load(self, queue: str, pending: int) -> float | None:
        """What comes into a queue, as a share of what can be done: from 1 on it grows.

        0 where it is empty; None where nobody can tell, as while it is paused or no worker serves it.
        """
        what, pace = self.outlook(queue, pending).what, self.pace(queue)
        if what == "empty":
            return 0.0
        if what not in ("in", "grows") or pace.mean is None:
            return None
        return pace.came / can_do(self.processes(queue), pace.mean)

    def start_of(self, queue: str, place: int) -> float | None:
        """Seconds until the job starts that is so far down its line, from 1 on; None where nobody can tell."""
        processes, mean = self.processes(queue), self.pace(queue).mean
        if queue in self._paused or not processes or mean is None:
            return None
        return place * mean / processes / 1000

    def last_hour(self, queue: str | None = None) -> list[int | None]:
        """How many jobs ended in each minute of the last hour; None for one in which nobody counted."""
        last = max(self._ended, default=0)
        found = [self._ended.get(n) for n in range(last - LONGER + 1, last + 1)]
        return [None if one is None else sum(one.values()) if queue is None else one[queue] for one in found]

    def failed(self, queue: str | None = None) -> int:
        """Jobs that failed in the last hour."""
        return sum(cell.failed for name, cell in self._longer.items() if queue in (None, name))


def ended_in(bucket: Bucket) -> Counter[str]:
    """How many jobs of each queue ended."""
    ended: Counter[str] = Counter()
    for (queue, _), cell in bucket.cells.items():
        ended[queue] += cell.ended
    return ended


def can_do(processes: int, mean: float) -> float:
    """How many jobs a minute so many processes can run, of which one takes so many milliseconds."""
    return processes * 60_000 / max(mean, 1)
