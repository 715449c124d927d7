"""Failures by cause: how many of each, since when, hour by hour; added up by whoever counts what has ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..causes import Cause
from ..record import JobRecord, Status, to_datetime, to_milliseconds
from ..storage import Storage
from ..storage.figures import Ended, every
from ..storage.sheets import Found, expect, look
from ..storage.stops import is_moment
from ..storage.values import Query

#: The name of their sheet.
CAUSES = "causes"
HOUR = 3_600_000
#: Says of what cause a job has failed.
CauseOf = Callable[[JobRecord], Cause | None]
#: Hours that are kept, and causes: those that came last.
HOURS, MOST = 168, 500
#: Failed jobs of one queue and type that are read in one look; more of them are like these.
READ = 200
#: Failed jobs of a queue and type that are read to count them anew; more of them are like these. And queues and types
#: that are counted anew at a time.
RECOUNT, LINES = 2000, 5


@dataclass
class FailureCause:
    """What failed jobs have in common, and how many they are."""

    cause: Cause
    #: Milliseconds of the first failure and of the last.
    first: int
    last: int
    #: By hour since 1970: how many failed, whatever became of them.
    hours: dict[int, int] = field(default_factory=dict)
    #: By queue and type, with a tab between: how many have failed and were not retried or deleted since.
    jobs: dict[str, int] = field(default_factory=dict)
    #: The release of the application in which the first one failed; empty where none is told.
    release: str = ""

    @property
    def number(self) -> int:
        """Jobs that have failed so and still are failed."""
        return self.count()

    def count(self, queue: str | None = None, job_type: str | None = None) -> int:
        """Those of them of a queue, of a job type, or of both."""
        lines = ((*line.partition("\t")[::2], n) for line, n in self.jobs.items())
        return sum(n for held, kind, n in lines if queue in (None, held) and job_type in (None, kind))

    @property
    def types(self) -> list[str]:
        """The types of the jobs."""
        return sorted({line.partition("\t")[2] for line in self.jobs})

    @property
    def queues(self) -> list[str]:
        """Their queues."""
        return sorted({line.partition("\t")[0] for line in self.jobs})

    @property
    def begin(self) -> datetime:
        """When the first one failed."""
        return to_datetime(self.first)

    @property
    def end(self) -> datetime:
        """When the last one failed."""
        return to_datetime(self.last)

    def lately(self, now: datetime, hours: int = 24) -> list[int]:
        """How many failed in each of the last hours, that of now included."""
        last = to_milliseconds(now) // HOUR
        return [self.hours.get(hour, 0) for hour in range(last - hours + 1, last + 1)]

    def add(self, moment: int, line: str, n: int) -> None:
        """Count failures."""
        self.first, self.last = min(self.first, moment), max(self.last, moment)
        self.hours[moment // HOUR] = self.hours.get(moment // HOUR, 0) + n
        self.hours = {hour: n for hour, n in self.hours.items() if hour > self.last // HOUR - HOURS}
        self.jobs[line] = self.jobs.get(line, 0) + n


class Causes:
    """All causes, by their keys."""

    def __init__(self) -> None:
        self.known: dict[str, FailureCause] = {}

    def add(self, job: JobRecord, cause: Cause | None, n: int) -> None:
        """Count a job that has failed of a cause, for itself and for others that are like it."""
        if cause is None or job.finished is None:
            return
        moment = to_milliseconds(job.finished)
        known = self.known.setdefault(cause.key, FailureCause(cause, moment, moment, release=release_of(job)))
        known.cause = cause
        known.add(moment, f"{job.queue}\t{job.type}", n)

    def failed(self, line: str) -> int:
        """How many jobs of a queue and type are known to be failed."""
        return sum(one.jobs.get(line, 0) for one in self.known.values())

    def recount(self, line: str, jobs: Sequence[tuple[JobRecord, Cause]], number: int) -> None:
        """Take over of which causes the failed jobs of a queue and type are: some of so many, the newest first."""
        found: Counter[str] = Counter()
        for job, cause in jobs:
            moment = to_milliseconds(job.finished or job.created)
            self.known.setdefault(cause.key, FailureCause(cause, moment, moment, release=release_of(job)))
            found[cause.key] += 1
        shares = scaled(found, number)
        for key, one in self.known.items():
            one.jobs.pop(line, None)
            if shares.get(key):
                one.jobs[line] = shares[key]

    def forget(self, now: int) -> None:
        """Drop what has no job left and was last seen long ago, and the oldest of too many."""
        kept = [one for one in self.known.values() if one.jobs or one.last > now - HOURS * HOUR]
        newest = sorted(kept, key=lambda one: -one.last)[:MOST]
        self.known = {one.cause.key: one for one in newest}

    def dump(self) -> str:
        """Write them as JSON text."""
        rows = [[*one.cause, one.first, one.last, one.hours, one.jobs, one.release] for one in self.known.values()]
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, storage: Storage) -> Causes:
        """Read the causes that a storage keeps; none where they cannot be read."""
        return causes_in(storage.sheets([CAUSES]).get(CAUSES)).value or cls()

    @classmethod
    def load(cls, text: str) -> Causes:
        """Read what `dump` has written; raises whatever is wrong with it."""
        causes = cls()
        for row in json.loads(text):
            cause, (first, last, hours, *rest) = Cause(*row[: len(Cause._fields)]), row[len(Cause._fields) :]
            expect([list(cause), [first, last], hours, rest[0]], ([str], [is_moment], {str: int}, {str: int}))
            expect(rest[1:], [str])
            by_hour = {int(hour): n for hour, n in hours.items()}
            causes.known[cause.key] = FailureCause(cause, first, last, by_hour, *rest)
        return causes


def causes_in(text: str | None) -> Found[Causes]:
    """Read the sheet; where that cannot be read the failed jobs are counted anew."""
    return look(CAUSES, text, Causes.load)


def release_of(job: JobRecord) -> str:
    """The release in which a job failed."""
    return job.history[-1].release if job.history else ""


def add_failures(storage: Storage, causes: Causes, ended: Ended, since: int, until: int, told: CauseOf) -> None:
    """Count what failed within a time."""
    for (queue, job_type, status), n in ended.counts.items():
        if status is Status.FAILED:
            jobs = failed_within(storage, queue, job_type, since, until)
            for job in reversed(jobs):
                causes.add(job, told(job), every(n, len(jobs)))


def failed_within(storage: Storage, queue: str, job_type: str, since: int, until: int) -> list[JobRecord]:
    """Some of the jobs of a queue and type that failed within a time."""
    page = storage.page(Query(queue, job_type, None, [Status.FAILED], READ))
    return [job for job in page.jobs if job.finished and since <= to_milliseconds(job.finished) < until]


def recount(storage: Storage, causes: Causes, failed: dict[str, int], told: CauseOf, until: int) -> None:
    """Count anew of which causes jobs are failed, where their number is another than was counted.

    Some were retried or deleted, one by one, or had failed before anybody counted. Those that failed from `until` on
    are counted the next time, and left out.
    """
    known = {line for one in causes.known.values() for line in one.jobs}
    changed = [line for line in sorted(known | set(failed)) if causes.failed(line) != failed.get(line, 0)]
    for line in changed[:LINES]:
        jobs = newest_failed(storage, line, told) if line in failed else []
        counted = [(job, cause) for job, cause in jobs if job.finished and to_milliseconds(job.finished) < until]
        causes.recount(line, counted, failed.get(line, 0) - (len(jobs) - len(counted)))


def newest_failed(storage: Storage, line: str, told: CauseOf) -> list[tuple[JobRecord, Cause]]:
    """The jobs of a queue and type that failed last, with their causes."""
    queue, _, job_type = line.partition("\t")
    found: list[tuple[JobRecord, Cause]] = []
    after: str | None = None
    for _ in range(RECOUNT // READ):
        page = storage.page(Query(queue, job_type, None, [Status.FAILED], READ, after))
        found += [(job, cause) for job in page.jobs if (cause := told(job)) is not None]
        after = page.after
        if after is None:
            break
    return found


def scaled(found: Counter[str], number: int) -> dict[str, int]:
    """Let some stand for so many: the same shares, and exactly that sum."""
    looked = found.total()
    shares = {key: n * number // looked for key, n in found.items()}
    for key, _ in found.most_common(1):
        shares[key] += number - sum(shares.values())
    return shares


def failed_lines(cells: Iterable[tuple[tuple[str, str, str], int]]) -> dict[str, int]:
    """By queue and type, with a tab between: how many jobs are failed."""
    return {f"{queue}\t{job_type}": n for (queue, job_type, status), n in cells if status == Status.FAILED and n}
