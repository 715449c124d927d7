"""How figures come about: a keeper looks what has ended since somebody last looked, and adds it up.

All keepers of a storage may do this: whoever writes the sheets last seen as they were has counted, the others
have done nothing. So each end is counted once, whoever dies in the middle.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection

from ..errors import StorageError
from ..record import Counts, Status, WorkerRecord, to_milliseconds
from ..storage import Storage
from ..storage.figures import Ended
from .bucket import Bucket, found_in, read_line
from .causes import CAUSES, CauseOf, Causes, add_failures, causes_in, failed_lines, recount
from .ledger import INDEX, MINUTE, Index, close, index_in, needed, sheet

logger = logging.getLogger("flask_queues")

#: Seconds between two looks.
EVERY = 2.0
#: Seconds until the next look after one that has failed.
REST = 60.0
#: Milliseconds for which it is enough that another keeper has counted.
FRESH = EVERY * 500
#: Milliseconds: an end may be written so long after the moment that it bears, by a process that had to wait or by a
#: server of a cluster whose clock is behind.
LAG = 1000
#: Milliseconds: what ended longer ago than this when a worker comes is not counted any more.
LOOK_BACK = 600_000
#: Milliseconds of which one look reads the ends at most.
WINDOW = 10_000
#: Jobs of a window that are read to tell how long they took; the others are like them.
SAMPLE = 200
#: Milliseconds after which a worker that says nothing is not counted.
SILENCE = 15_000


class Gatherer:
    """Counts for one keeper. Give it the means to ask: the storage is built on first use in its process."""

    def __init__(self, storage: Callable[[], Storage], told: CauseOf) -> None:
        self._storage = storage
        self._told = told
        self._next = 0.0

    def work_if_due(self) -> None:
        """Count what has ended, if it is time; stops early where there is much, and goes on the next time."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        try:
            self._work()
        except StorageError:
            raise
        except Exception:  # figures are no reason to keep anybody from his jobs
            self._next = time.monotonic() + REST
            logger.exception("What has ended could not be counted; it is tried again in %g s", REST)

    def _work(self) -> None:
        until = time.monotonic() + EVERY / 10
        while gather(self._storage(), self._told, FRESH, LAG) and time.monotonic() < until:
            pass


def gather(storage: Storage, told: CauseOf, fresh: float = 0, lag: int = 0) -> bool:
    """Count what has ended in the next window of time; tells whether there is another one.

    `told` says of what cause a job has failed. Nothing is done where somebody has counted within the last `fresh`
    milliseconds, nor for the last `lag` milliseconds.
    """
    text = storage.sheets([INDEX]).get(INDEX)
    now = storage.now() - lag
    found = index_in(text)
    index = found.value
    if found.closed:
        return False
    if text is None or index is None:
        first = Index(now - LOOK_BACK, still_open(storage.counts()))
        if found.damage:  # the moment up to which was counted is lost, but no more than two looks ago
            first = Index.rebuilt(storage.sheet_names(), now, still_open(storage.counts()))
        return storage.write_sheets((INDEX, text), {INDEX: first.dump(), **found.aside})
    since = max(index.until, now - LOOK_BACK)
    if now - since > WINDOW and not storage.ended(since, now, 1).counts:
        since = max(since, now - now % MINUTE)  # nobody was there to count, and nothing to be counted
    until = min(now, since + WINDOW, (since // MINUTE + 1) * MINUTE)
    if now - since <= fresh:
        return False
    window = Window(storage, since, until, told)
    return window.write(index, text, last=until == now) and until < now


class Window:
    """What is counted in one go: never more than a part of one minute."""

    def __init__(self, storage: Storage, since: int, until: int, told: CauseOf) -> None:
        self._storage = storage
        self._since = since
        self._told = told
        self._until = until
        self._minute = since // MINUTE
        self._ended = storage.ended(since, until, SAMPLE)

    def write(self, index: Index, seen: str, *, last: bool) -> bool:
        """Add it to the sheets, unless they have changed since they were seen; the last one looks how things stand."""
        begins = index.minute is None or index.minute < self._minute
        current = sheet(1, self._minute)
        texts = self._storage.sheets([*(needed(index) if begins else ()), current])
        changes = close(index, self._minute, texts) if begins else {}
        found = found_in(current, texts.get(current))
        bucket = found.value or Bucket()
        add(bucket, self._ended)
        changes |= self._causes(index, last=last)
        if last:
            self._look(bucket, index)
        index.until = self._until
        changes |= {current: bucket.dump(), INDEX: index.dump(), **found.aside}
        return self._storage.write_sheets((INDEX, seen), changes)

    def _causes(self, index: Index, *, last: bool) -> dict[str, str | None]:
        """The sheet of causes, where something has failed; once a minute also where failed jobs were retried."""
        due = last and index.recounted < self._minute
        if not due and not any(status is Status.FAILED for _, _, status in self._ended.counts):
            return {}
        found = causes_in(self._storage.sheets([CAUSES]).get(CAUSES))
        if found.closed:  # a keeper that has the key counts anew which jobs are failed, within a minute
            return {}
        causes = found.value or Causes()
        before = causes.dump()
        add_failures(self._storage, causes, self._ended, self._since, self._until, self._told)
        if due:
            index.recounted = self._minute
            failed = failed_lines(self._storage.counts().cells.items())
            recount(self._storage, causes, failed, self._told, self._until)
            causes.forget(self._until)
        text = causes.dump()
        return {CAUSES: text, **found.aside} if text != before or found.damage else {}

    def _look(self, bucket: Bucket, index: Index) -> None:
        counts, now = self._storage.counts(), self._until
        before, index.open = index.open, still_open(counts)
        for line in sorted({*before, *index.open}):
            if more := index.open.get(line, 0) - before.get(line, 0):
                bucket.cells[read_line(line)].came += more
        depth = {queue: statuses[Status.PENDING] for queue, statuses in counts.queues.items()}
        workers = [worker for worker in self._storage.workers() if to_milliseconds(worker.heartbeat) > now - SILENCE]
        bucket.look({queue: n for queue, n in depth.items() if n}, *processes(workers))


def add(bucket: Bucket, ended: Ended) -> None:
    """Add what has ended, and must have come before: what came and is still there is added by who counts that."""
    for (queue, job_type, status), n in ended.counts.items():
        bucket.cells[queue, job_type].count(status, n)
        bucket.cells[queue, job_type].came += n
    for job, times in ended.sample:
        bucket.cells[job.queue, job.type].measure(job, times)


def still_open(counts: Counts) -> dict[str, int]:
    """By queue and type: the jobs that have not ended."""
    found: Counter[str] = Counter()
    for (queue, job_type, status), n in counts.cells.items():
        if not Status(status).final:
            found[f"{queue}\t{job_type}"] += n
    return dict(found)


def processes(workers: Collection[WorkerRecord]) -> tuple[int, int]:
    """How many child processes are alive, and how many have a job in hand."""
    children = [child for worker in workers for child in worker.children]
    return len(children), sum(1 for child in children if child.jobs)
