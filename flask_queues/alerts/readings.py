"""What is measured: each value that has a threshold, as it is now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from ..config import EVERY, Thresholds, thresholds_of
from ..metrics import Forecast, Ledger
from ..metrics.ledger import MINUTE
from ..pausing import pauses
from ..record import Status, WorkerRecord, to_datetime
from ..storage import Storage
from .lateness import Lateness
from .standing import Key, Reading

#: Minutes over which failures are counted, with the one that is not over.
HOUR = 60


class Instruments:
    """Measures what one application has thresholds for. It asks the storage only for what is needed."""

    def __init__(self, storage: Storage, rules: Mapping[str, Thresholds], names: Collection[str], lease: float) -> None:
        self._storage = storage
        self._rules = rules
        self._names = names
        self._lease = lease
        self._ledger = Ledger(storage)
        self._lateness = Lateness(storage)

    def read(self, now: int) -> Iterator[Reading]:
        """Measure everything once."""
        pending = {queue: numbers[Status.PENDING] for queue, numbers in self._storage.counts().queues.items()}
        queues = self._queues(pending)
        yield from self._each("pending", queues, lambda: pending)
        yield from self._each("longest_wait", queues, lambda: self._waits(now))
        yield from self._each("failures_per_hour", queues, lambda: self._failures(now))
        yield from self._each("grows", queues, lambda: self._loads(pending, now))
        yield from self._each("no_worker", queues, lambda: self._unserved(queues, now))
        if any(one.schedule_late is not None for one in self._rules.values()):
            yield from self._schedules(now)

    def _queues(self, known: Collection[str]) -> dict[str, Thresholds]:
        every = {*self._names, *known} if EVERY in self._rules else set[str]()
        found = {queue: thresholds_of(self._rules, queue) for queue in {*self._rules, *every} - {EVERY}}
        return {queue: one for queue, one in sorted(found.items()) if one is not None}

    @staticmethod
    def _each(
        kind: str, queues: Mapping[str, Thresholds], ask: Callable[[], Mapping[str, float | None]]
    ) -> Iterator[Reading]:
        """The values of a kind, if there is a threshold for it anywhere."""
        wanted = {queue: limit for queue, one in queues.items() if (limit := getattr(one, kind)) is not None}
        values = ask() if wanted else {}
        for queue, limit in wanted.items():
            yield Reading(Key(kind, queue), values.get(queue, 0), limit)

    def _waits(self, now: int) -> dict[str, float]:
        return {queue: max(0, now - due) / 1000 for queue, due in self._storage.oldest().items()}

    def _failures(self, now: int) -> dict[str, float]:
        minute = now // MINUTE
        failed: dict[str, float] = {}
        for bucket in self._ledger.buckets(1, minute - HOUR + 1, minute).values():
            for (queue, _), cell in bucket.cells.items():
                failed[queue] = failed.get(queue, 0) + cell.failed
        return failed

    def _loads(self, pending: Mapping[str, int], now: int) -> dict[str, float | None]:
        """What comes, as a share of what can be done; from 1 on a queue grows."""
        paused = {pause.queue for pause in pauses(self._storage.stops()) if pause.queue is not None}
        forecast = Forecast(self._ledger, self._storage.workers(), to_datetime(now), paused)
        return {queue: forecast.load(queue, waiting) for queue, waiting in pending.items()}

    def _unserved(self, queues: Collection[str], now: int) -> dict[str, float]:
        """1 for a queue that nobody serves."""
        alive = [worker for worker in self._storage.workers() if self._lives(worker, now)]
        return {queue: float(not any(worker.serves(queue) for worker in alive)) for queue in queues}

    def _lives(self, worker: WorkerRecord, now: int) -> bool:
        return worker.silence(to_datetime(now)) <= self._lease

    def _schedules(self, now: int) -> Iterator[Reading]:
        for name, queue, seconds in self._lateness.read(now):
            rule = thresholds_of(self._rules, queue)
            if rule is not None and rule.schedule_late is not None:
                yield Reading(Key("schedule_late", queue, name), seconds, rule.schedule_late)
