"""What an application's queues can tell: jobs, counts, workers, what was done and what may be expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask

from .. import activity, links, orders
from ..activity import Act
from ..alerts import Alert, standing_alerts
from ..causes import Cause, cause_of_job
from ..chains import ChainRecord, find_chain
from ..config import Config
from ..errors import JobNotFound, OptionError
from ..ids import is_id
from ..metrics import RANGES, Causes, FailureCause, Forecast, Ledger, Report, report
from ..metrics.causes import CAUSES, causes_in
from ..options import NOTHING, Options, Seconds
from ..orders import Orders
from ..pausing import Pause, pauses
from ..record import Counts, JobRecord, LogLine, Page, Status, WorkerRecord, to_datetime, to_milliseconds
from ..registry import Registry
from ..searching import check_line, check_span, check_statuses, check_where, look_through
from ..storage.spots import queue_in
from ..storage.values import Query
from .ground import Ground
from .sheets import DamagedSheet, damaged_sheets, forget_sheet, refuse_while_readable


class Reading(Ground):
    """Whatever is asked, and nothing that changes a job."""

    def __init__(self, app: Flask, config: Config, jobs: Registry, cache: Any = None) -> None:
        super().__init__(app, config, jobs, cache)
        self._ledger: Ledger | None = None
        self._root = application_folder(app)

    def find(self, job_id: str) -> JobRecord:
        """Return a job; raises `JobNotFound`."""
        record = self.storage.get(checked_id(job_id))
        if record is None:
            raise not_found(job_id)
        return record

    def link(
        self,
        job: Any,
        *,
        result: bool = False,
        cancel: bool = False,
        max_age: Seconds = links.WEEK,
        external: bool = False,
    ) -> str:
        """The URL at which whoever has it sees how one job stands: no login, and nothing else is open to them.

        `job` is a handle, a record or an id. With `result` its result is shown too, with `cancel` they may cancel it.
        It is a path within a request, unless it is to be `external`. Raises `JobNotFound` for what is no id, and
        `ConfigError` without a `SECRET_KEY`, or outside a request without a `SERVER_NAME`.
        """
        link = links.Link(checked_id(getattr(job, "id", job)), result, cancel)
        return links.address(self.app, link, max_age, external=external)

    def chain_with(self, job_id: str, limit: int = 50, after: str | None = None) -> ChainRecord:
        """Return the chain of a job, with a page of its jobs that are there, the last first.

        The chain's own id, that of its first job, leads to it too. Of a short one whose first job is deleted, others
        are looked for among the newest jobs. Raises `JobNotFound`.
        """
        most = max(1, min(limit, 500))
        try:
            return find_chain(self.storage, checked_id(job_id), most, after)
        except JobNotFound:
            left = self.jobs_of(chain=job_id, limit=1).jobs
            if not left:
                raise
        return find_chain(self.storage, left[0].id, most, after)

    def jobs_of(
        self,
        *,
        queue: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the whole interface
        tag: str | None = None,
        statuses: Sequence[Status | str] = (),
        limit: int = 50,
        after: str | None = None,
        oldest: bool = False,
        next_first: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: Any,
    ) -> Page:
        """Return a page of jobs, those first that came last into their status, or with `oldest` those that came first.

        With `next_first` these are pending jobs as a worker of all queues would claim them; those of paused queues,
        and behind all what is held back, stand last. No index serves `type`, `tag` or another status in that order.

        Hand in `page.after` for the next, in the same order. A page may be short, even empty, before the last: a filter
        that no index serves looks at 10,000 jobs and then lets you go on. Others (`cause`, `error`, `text`,
        `attempts`, `ran` in seconds, `worker`, `chain`) read each job, 2,000 for a page, which may be a little longer.
        `since` and `until` are moments between which jobs ended, at the cost of a page where no tag is given.
        Raises `OptionError` for what is no filter.
        """
        query = Query(queue, type, tag, check_statuses(statuses), max(1, min(limit, 500)), after, oldest)
        if next_first:
            query = check_line(query)._replace(line=self._line_of(queue, after))
        looked_for, span = check_where(where), check_span(since, until, query.statuses)
        read = partial(span.page, self.storage) if span.given else self.storage.page
        if not looked_for.given and not (span.given and tag is not None):
            return read(query)
        return look_through(read, query, lambda job: looked_for.fits(job, self.sensitive(job.type), self.cause_of))

    def _line_of(self, queue: str | None, after: str | None) -> list[str]:
        """The queues in the order in which their jobs are claimed, that among them in which a page ended."""
        if queue is not None:
            return [queue]
        paused = {pause.queue for pause in self.pauses()}
        order = self.config.ordered_names([*self.storage.queues(), *queue_in(after)])
        return sorted(order, key=lambda name: name in paused)

    def every(self, **filters: Any) -> Iterator[JobRecord]:
        """Walk through all jobs that match, page by page; filters are those of `jobs_of`."""
        after: str | None = None
        while True:
            page = self.jobs_of(**filters, limit=200, after=after)
            yield from page.jobs
            after = page.after
            if after is None:
                return

    def counts(self) -> Counts:
        """How many jobs there are, by queue, type and status."""
        return self.storage.counts()

    def queue_order(self, names: Sequence[str] = ()) -> list[str]:
        """The queues to serve, in order: those given, or all known ones and any other that holds jobs."""
        return list(names) or self.config.ordered_names(self.storage.queues())

    def workers(self) -> list[WorkerRecord]:
        """The workers that run, or did until they vanished."""
        return self.storage.workers()

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """The newest lines that the job logged, in their order."""
        return self.storage.logs(job_id, limit)

    def cause_of(self, job: JobRecord) -> Cause | None:
        """Of what cause a job has failed, its secrets hidden; None where it has no error."""
        return cause_of_job(job, self._root, self.sensitive(job.type))

    @property
    def root(self) -> str:
        """The folder from which the application's own files are named."""
        return self._root

    def causes(self) -> list[FailureCause]:
        """What failed jobs have in common, those first that failed last; as a keeper has counted, seconds ago."""
        newest_first = reversed(Causes.read(self.storage).known.values())
        return sorted(newest_first, key=lambda one: -one.last)

    def unread_causes(self) -> list[str]:
        """The sheet of causes, where it cannot be read; a keeper makes it anew of the failed jobs within a minute."""
        found = causes_in(self.storage.sheets([CAUSES]).get(CAUSES))
        return [CAUSES] if found.damage or found.closed else []

    def sensitive(self, type_string: str) -> frozenset[str]:
        """Names of the payload fields that a job type hides from people."""
        job_type = self.jobs.get(type_string)
        return job_type.sensitive if job_type else frozenset()

    def name_of(self, type_string: str) -> str:
        """What people read instead of a type string; the type string where it is not known here."""
        job_type = self.jobs.get(type_string)
        return job_type.name if job_type else type_string

    def options_of(self, type_string: str) -> Options:
        """What a job type says of its jobs; nothing where it is not known here."""
        job_type = self.jobs.get(type_string)
        return job_type.options if job_type else NOTHING

    def timeout_of(self, record: JobRecord) -> float:
        """Seconds that one run of this job may take."""
        return record.timeout or self.options_of(record.type).timeout or self.config.timeout

    def tries_of(self, record: JobRecord) -> int:
        """How many runs of this job may fail."""
        return record.tries or self.options_of(record.type).tries or self.config.tries

    def backoff_of(self, record: JobRecord) -> tuple[float, ...] | None:
        """Seconds to wait after each failed run, the last of them for all that follow; None where a method says it."""
        if record.backoff is None and record.type in self.jobs and callable(self.jobs[record.type].job_class.backoff):
            return None
        return record.backoff or self.options_of(record.type).backoff or (self.config.backoff,)

    def retry_until_of(self, record: JobRecord) -> datetime | None:
        """Until when no failure ends a job, whatever its tries; None where that was not said."""
        seconds = record.retry_for or self.options_of(record.type).retry_for
        until = record.first_due.until(seconds, to_milliseconds(record.created))
        return None if until is None else to_datetime(until)

    def retention_of(self, job: JobRecord) -> timedelta | None:
        """How long a job is kept after its end, if no others of its kind press it out before; None for ever."""
        hours = self.janitor.retention(job.type).get(job.status.value)
        return None if hours is None else timedelta(hours=hours)

    # What was done

    @property
    def ledger(self) -> Ledger:
        """What was counted, as the storage keeps it."""
        if self._ledger is None:
            self._ledger = Ledger(self.storage)
        return self._ledger

    def report(self, range_: str = "1h") -> Report:
        """What was done in the last hour, day or week (`1h`, `24h`, `7d`), beside the time before.

        Raises `OptionError` for another range.
        """
        if range_ not in RANGES:
            raise OptionError(f"range: {range_!r} is none; there are {', '.join(RANGES)}.")
        return report(self.ledger, self.now(), range_)

    def oldest(self) -> dict[str, datetime]:
        """By queue: when that of its claimable jobs was due which has waited longest."""
        return {queue: to_datetime(moment) for queue, moment in self.storage.oldest().items()}

    def forecast(
        self,
        now: datetime | None = None,
        workers: Sequence[WorkerRecord] | None = None,
        pauses: Sequence[Pause] | None = None,
    ) -> Forecast:
        """What may be expected of each queue, if it goes on as in the last minutes.

        Whoever has asked for the time, the workers or the pauses already hands them in.
        """
        pauses = self.pauses() if pauses is None else pauses
        paused = {pause.queue for pause in pauses if pause.queue is not None}
        workers = self.workers() if workers is None else workers
        return Forecast(self.ledger, workers, now or self.now(), paused)

    def alerts(self) -> list[Alert]:
        """The alerts that stand, the last first: thresholds of `QUEUES_ALERTS` that are crossed, as a keeper found."""
        return standing_alerts(self.storage)

    def pauses(self) -> list[Pause]:
        """What is paused now, by a person, by a job that raised `RateLimited` or by a circuit breaker."""
        return pauses(self.storage.stops())

    def _queues_of(self, queue: str | None, job_type: str | None) -> list[str]:
        if queue is not None or job_type is None:
            return [queue or self.config.default]
        own = self.jobs[job_type].options.queue if job_type in self.jobs else None
        stopped = {stop.queue for stop in self.storage.stops()}
        return sorted(
            {*self.config.names, *self.counts().queues, self.config.default, *stopped, *([own] if own else [])}
        )

    def acts(self, unread: list[str] | None = None) -> Iterator[Act]:
        """What people did, the last first; the last 2,000 lines or so are kept.

        The names of sheets that cannot be read are added to `unread`.
        """
        return activity.acts(self.storage, unread)

    def acts_on(self, kind: str, name: str) -> list[Act]:
        """What people did with one job, queue, schedule or other thing, the last first."""
        return activity.acts_on(self.storage, kind, name)

    def damaged_sheets(self, *, every: bool = False) -> list[DamagedSheet]:
        """Sheets that cannot be read, and what was kept aside; only `every` looks at single batches and chains too."""
        return list(damaged_sheets(self.storage, every=every))

    def forget_aside(self, name: str) -> bool:
        """Delete what was kept aside of a damaged sheet, or a sheet that no key opens; False where there is none.

        Raises `OptionError` for a sheet that is in use, `TransitionError` for one that a worker may read which runs.
        """
        return forget_sheet(self.storage, name, self.refuse_while_readable)

    def refuse_while_readable(self, what: str) -> None:
        """Raise `TransitionError` where a worker that lives has a key which this process lacks, and may read that."""
        now = self.now()
        living = [worker for worker in self.workers() if worker.silence(now) <= self.config.lease]
        refuse_while_readable(what, self.config.encryption_keys, living)

    def orders(self) -> Orders:
        """What workers that run are asked to do."""
        return orders.read(self.storage)


def checked_id(job_id: str) -> str:
    """Return what may be an id; what cannot be one was never stored, and may not even be text."""
    if not is_id(job_id):
        raise not_found(job_id)
    return job_id


def not_found(job_id: str) -> JobNotFound:
    """Say that there is no such job, and why that may be."""
    return JobNotFound(f"There is no job {job_id[:64]}. Ended jobs are deleted when their retention is over.")


def application_folder(app: Flask) -> str:
    """The folder from which the application's own files are named: where its package lies, or its module."""
    root = Path(app.root_path)
    return str(root.parent if (root / "__init__.py").exists() else root)
