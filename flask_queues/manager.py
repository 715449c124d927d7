"""One application's queues: its job types, its storage, and every change of a job's status."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask, current_app, has_request_context
from werkzeug.local import LocalProxy

from . import activity, chains, damaged, links, orders, permission, transitions
from .activity import Act
from .alerts import Alert, Herald, Lookout, standing_alerts
from .alerts.herald import Receiver
from .backend import storage_of
from .batches import Batch, Batches, tag_of
from .breakers import Breakers
from .causes import Cause, cause_of_job
from .chainpages import ENDS, ChainPages
from .chains import Chain, Link
from .config import Config, keys_of, release_of
from .errors import (
    ConfigError,
    JobNotFound,
    OptionError,
    PayloadError,
    TransitionError,
    UniqueTaken,
)
from .followers import Followers
from .handles import ChainHandle, FollowerHandle, JobHandle
from .ids import is_id
from .intake import checked_payload, id_for, spread_out, spread_over
from .janitor import Janitor
from .metrics import RANGES, Causes, FailureCause, Forecast, Gatherer, Ledger, Report, report
from .options import Options, Seconds, check_seconds
from .orders import Orders, Picture
from .pausing import Pause, one_of, pause, pauses, resume
from .payload import MAX_RESULT, dump_json
from .pushing import Pusher, ids_given
from .record import (
    Counts,
    JobRecord,
    LogLine,
    Page,
    Progress,
    Status,
    WorkerRecord,
    to_datetime,
)
from .registry import JobType, Registry
from .rekeying import Slice, reencrypt
from .rescuing import Rescuer, canceller_of
from .scheduler import Scheduler
from .searching import Where, look_through
from .storage import Storage
from .storage.base import Claim, Heartbeat, PendingStep, Query, Settlement, Step, Wanted, Watcher
from .storage.sealed import unsealed
from .telling import Teller
from .transitions import Terms
from .wrapping import Wrapper

logger = logging.getLogger("flask_queues")

PURGE_SLICE = 500
#: Seconds for which a job is kept after its end, where another follows it.
KEPT = 60
#: For so long a worker that vanished is shown as lost.
VANISHED = timedelta(hours=1)


class Manager:
    """The queues of one application, at `app.extensions["queues"]`.

    The only place that decides on the status of a job: panel, command line and workers go through it.
    """

    def __init__(self, app: Flask, config: Config, jobs: Registry, cache: Any = None) -> None:
        self.app = app
        self.config = config
        self._given = keys_of(app.config)
        #: The job types of this application, by type string.
        self.jobs = jobs
        self._cache = cache
        self._storage: Storage | None = None
        self._building = threading.Lock()
        self._ledger: Ledger | None = None
        self._root = application_folder(app)
        self._gatherer = Gatherer(lambda: self.storage, self.cause_of)
        #: What holds job types that keep failing.
        self.breakers = Breakers(jobs, lambda: self.storage, lambda job_type: self._queues_of(None, job_type))
        #: Who is told of alerts, beside `QUEUES_ALERT_RECEIVER`.
        self.alert_receivers: list[Receiver] = []
        self._herald = Herald(app, self._all_receivers)
        self._lookout = Lookout(lambda: self.storage, lambda: self.config, self._herald)
        #: Deletes what was kept long enough.
        self.janitor = Janitor(app, lambda: self.config, jobs, lambda: self.storage)
        #: Sends the signals.
        self.teller = Teller(app, lambda: self.storage)
        self._pusher = Pusher(
            app, lambda: self.config, jobs, lambda: self.storage, self.teller, lambda job_id: JobHandle(self, job_id)
        )
        #: What follows jobs that were pushed before.
        self.followers = Followers(lambda: self.storage, self.teller)
        #: Where the rest of long chains is.
        self.chain_pages = ChainPages(lambda: self.storage)
        #: Settles what dead and vanished processes held.
        self.rescuer = Rescuer(
            lambda: self.storage, self.teller, self.breakers, self.terms, self.gathering_key, self.read_out
        )
        #: What every run of a job happens in, the outermost first.
        self.wrappers: list[Wrapper] = []
        #: The batches of this application.
        self.batches = Batches(lambda: self.storage, self._pusher, self.every, self._check_permission, self.teller)
        #: The schedules of this application.
        self.scheduler = Scheduler(jobs, config, app.name, lambda: self.storage, self.teller)

    @property
    def storage(self) -> Storage:
        """The engine, built on first use: setting up an application connects to nothing."""
        if self._storage is None:
            with self._building:
                if self._storage is None:
                    self._storage = storage_of(self.app, self.config, self._cache)
        return self._storage

    @property
    def release(self) -> str:
        """The release of the application that runs here; empty where nobody tells it."""
        return release_of(self.config, os.environ)

    @property
    def shares_cache(self) -> bool:
        """Whether the jobs are in a cache that the application has made, and may use and clear itself."""
        return self._cache is not None

    @property
    def engine(self) -> str:
        """What kind of storage holds the jobs, for people; never where it is."""
        return type(unsealed(self.storage)).__name__.removesuffix("Storage")

    @property
    def in_test(self) -> bool:
        """Whether a test keeps the jobs in a storage of its own now."""
        return self._pusher.in_test

    @contextmanager
    def kept_in(self, storage: Storage) -> Iterator[None]:
        """Keep the jobs in another storage while the block runs, as tests do; those stored before are out of sight."""
        before = self._storage, self._ledger, self._pusher.in_test
        self._storage, self._ledger, self._pusher.in_test = storage, None, True
        try:
            yield
        finally:
            self._storage, self._ledger, self._pusher.in_test = before

    # Pushing

    def push(self, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> JobHandle:
        """Store a job and return its handle; once this returns, the job is not lost.

        `job` is a registered class, an instance, a function job or a type string. Options are those
        of `Options`. Raises `UnknownJobType`, `PayloadError`, `OptionError` or, where `QUEUES_MAX_WAITING` jobs wait in
        the queue, `QueueFull`, and stores nothing then; in a request also `NotAllowed`, or `PushLimited` beyond
        `QUEUES_PUSH_LIMIT`.

        With `after_commit` (or `QUEUES_AFTER_COMMIT`) it is checked now and stored when the transaction
        of Flask-SQLAlchemy's session has been committed, at once where none is open; until then, and
        for ever after a rollback, its handle raises `JobNotFound`. Only the commit tells whether another
        job holds its unique key: then the handle becomes that of the holder. What storing raises comes
        out of the commit.

        With an `id` made by `new_id` it may be repeated as often as one likes, and is stored once. A `StorageError`
        has the id in its `ids`, where it is not known whether the job was stored.
        """
        given = Options.of(**options)
        new = self._pusher.new_job(job, payload, given, named=True)
        self._pusher.count(1)
        return self._pusher.store([new], after_commit=self._pusher.waits(job, given), named=ids_given([job], given))[0]

    def new_id(self, job: Any = None, *, queue: str | None = None) -> str:
        """Make an id for a push that is to come, of this job, or of any to a queue: `push(job, …, id=…)`."""
        return id_for(self.jobs, self.config, job, queue)

    def later(self, seconds: Seconds, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> JobHandle:
        """Push a job that does not start before so many seconds have passed."""
        return self.push(job, payload, delay=seconds, **options)

    def push_many(self, jobs: Iterable[Any], /, **options: Any) -> list[JobHandle]:
        """Push many jobs: `(job, payload)` pairs, or instances with their payload.

        All are checked before the first is stored, and `QueueFull` is raised before that too. They are stored
        in slices of 500, each whole or not at all, so ten thousand cost twenty round trips; only where others
        fill the queue meanwhile it may raise after the first slices. `spread` seconds, if given, distributes
        their start evenly over that time. With `after_commit` for one of them all wait for the commit.
        """
        spread = check_seconds("spread", options.pop("spread", 0) or 0)
        pairs = [pair if isinstance(pair, tuple) else (pair, None) for pair in jobs]
        common = Options.of(**options)
        if common.id is not None:
            raise OptionError("id: many jobs cannot share an id; give each its own: Resize().using(id=…).")
        new = [
            self._pusher.new_job(job, payload, spread_over(common, spread, n, len(pairs)), named=True)
            for n, (job, payload) in enumerate(pairs)
        ]
        self._pusher.count(len(new))
        all_of_them = [job for job, _ in pairs]
        waits = any(self._pusher.waits(job, common) for job in all_of_them)
        return self._pusher.store(new, after_commit=waits, named=ids_given(all_of_them, common))

    def chain(self, links: Iterable[Any] = ()) -> Chain:
        """Begin a chain: jobs of which each is pushed by the step that settles the one before.

        `links` are jobs, or pairs of job and payload; `.then()` adds one that says more; `.push()` stores the chain.
        """
        return Chain(links, self._push_chain)

    def _push_chain(self, links: Sequence[Link], options: dict[str, Any]) -> ChainHandle:
        chains.check_links(links)
        common = Options.of(**options)
        given = [Options.of(**link.options).over(common) for link in links]
        made = [
            chains.Made(self._pusher.new_job(link.job, link.payload, one, link.result_as), link.on, link.result_as)
            for link, one in zip(links, given, strict=True)
        ]
        waits = any(self._pusher.waits(link.job, one) for link, one in zip(links, given, strict=True))
        whole = chains.joined(made)
        self._pusher.count(len(made))
        if len(whole.pages) > 1:
            self.chain_pages.put(whole.first.id, whole.pages)
        self._pusher.store([whole.first], after_commit=waits)
        return ChainHandle(self, [link.job.id for link in made])

    def follow(
        self,
        before: JobHandle,
        job: Any,
        payload: dict[str, Any] | None = None,
        on: str = "success",
        result_as: str | None = None,
        **options: Any,
    ) -> FollowerHandle:
        """Let a job follow one that was pushed: `handle.then(job)`, where everything is said."""
        link = Link(job, payload, on, result_as, options)
        chains.check_end(link)
        new = self._pusher.new_job(job, payload, Options.of(**options), result_as)
        made = chains.Made(new, on, result_as)
        chains.check_not_unique(made)
        self._check_kept(before, ENDS[on])
        self._pusher.count(1)
        entry = self.followers.attach(before.id, chains.written(made), before.entry)
        return FollowerHandle(self, new.id, before=before, ends=ENDS[on], entry=entry)

    def _check_kept(self, before: JobHandle, ends: Iterable[Status]) -> None:
        """Refuse to let a job follow one that nobody may see once it has ended."""
        with suppress(JobNotFound):  # it follows another itself
            kept = self.janitor.retention(before.record.type)
            if any((hours := kept.get(end.value)) is not None and hours * 3600 < KEPT for end in ends):
                raise OptionError(
                    f"{before.record.type}: an ended job is deleted within {KEPT} s, before what follows it is pushed. "
                    "Push a chain instead, or keep it longer."
                )

    def unfollow(self, entry: str, job_id: str) -> bool:
        """Let a job not come that follows another; False where it has come, or does not wait any more."""
        return self.followers.detach(entry, job_id)

    def batch(self, jobs: Iterable[Any] = (), name: str = "") -> Batch:
        """Begin a batch: jobs that belong together, and callbacks when all have ended.

        `jobs` are jobs, or pairs of job and payload, and may come from a generator. `.then()`, `.catch()` and
        `.finally_()` say what is pushed when; `.push()` stores the batch.
        """
        return self.batches.new(jobs, name)

    def give_up_batch(self, batch_id: str) -> None:
        """Forget a batch that no key opens any more: its callbacks never come, its jobs stay and run as any others.

        Whoever still has its key can do better: cancel it, or let it end. Raises `BatchNotFound`, or `TransitionError`
        for a batch that can be read here.
        """
        self.batches.give_up(batch_id, {*self.config.names, *self.counts().queues})

    # Reading

    def find(self, job_id: str) -> JobRecord:
        """Return a job; raises `JobNotFound`."""
        record = self.storage.get(checked_id(job_id))
        if record is None:
            raise not_found(job_id)
        return record

    def handle(self, job_id: str) -> JobHandle:
        """Return a handle of a job pushed earlier; raises `JobNotFound`."""
        return JobHandle(self, self.find(job_id).id, created=False)

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
        **where: Any,
    ) -> Page:
        """Return a page of jobs, those first that came last into their status, or with `oldest` those that came first.

        Hand in `page.after` for the next, in the same order. A page may be short, even empty, before the last: a filter
        that no index serves looks at 10,000 jobs and then lets you go on. Others (`cause`, `error`, `text`,
        `attempts`, `ran` in seconds, `worker`) read each job, 2,000 for a page, which may be a little longer.
        Raises `OptionError` for what is no filter.
        """
        query = Query(queue, type, tag, check_statuses(statuses), max(1, min(limit, 500)), after, oldest)
        looked_for = check_where(where)
        if not looked_for.given:
            return self.storage.page(query)
        return look_through(
            self.storage, query, lambda job: looked_for.fits(job, self.sensitive(job.type), self.cause_of)
        )

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

    def changed_too_late(self) -> list[str]:
        """The `QUEUES_*` keys that were set, or taken out, after the extension had read them."""
        now = keys_of(self.app.config)
        return sorted(key for key in {*now, *self._given} if now.get(key) != self._given.get(key))

    def workers(self) -> list[WorkerRecord]:
        """The workers that run, or did until they vanished."""
        return self.storage.workers()

    def now(self) -> datetime:
        """The time by the storage's clock, which every moment in a record is of; this host's may differ."""
        return to_datetime(self.storage.now())

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """The newest lines that the job logged, in their order."""
        return self.storage.logs(job_id, limit)

    def sensitive(self, type_string: str) -> frozenset[str]:
        """Names of the payload fields that a job type hides from people."""
        job_type = self.jobs.get(type_string)
        return job_type.sensitive if job_type else frozenset()

    def name_of(self, type_string: str) -> str:
        """What people read instead of a type string; the type string where it is not known here."""
        job_type = self.jobs.get(type_string)
        return job_type.name if job_type else type_string

    def timeout_of(self, record: JobRecord) -> float:
        """Seconds that one run of this job may take."""
        job_type = self.jobs.get(record.type)
        return record.timeout or (job_type and job_type.options.timeout) or self.config.timeout

    def tries_of(self, record: JobRecord) -> int:
        """How many runs of this job may fail."""
        job_type = self.jobs.get(record.type)
        return record.tries or (job_type and job_type.options.tries) or self.config.tries

    # Reading what was done

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

    def _all_receivers(self) -> list[Receiver]:
        configured = self.config.alert_receiver
        return [*([configured] if configured is not None else []), *self.alert_receivers]

    # The operator's changes

    def cancel(self, job_id: str, reason: str = "cancelled by the application") -> bool:
        """End a job that waits, or ask for the end of one that runs; False where it has ended already.

        A running job gets the exception within about a second and is killed after `QUEUES_GRACE`.
        """
        record = self.find(job_id)
        if record.chain is not None and record.chain.on_cancel is not None and self._call_off(record, reason):
            return True
        status = self.storage.cancel(job_id, reason)
        if status is None:
            raise not_found(job_id)
        if not status.final and status is not Status.RUNNING:
            self.teller.cancelled(job_id)
        return not status.final

    def _call_off(self, link: JobRecord, reason: str) -> bool:
        """End a link that waits, so that what comes after any end follows; False where it runs or has ended."""
        if link.status not in (Status.SCHEDULED, Status.PENDING):
            return False
        claim = self.storage.claim(canceller_of(link.id), link.id, self.lease)
        if claim is None:
            return False
        settlement = chains.followed(claim, transitions.called_off(claim, reason))
        return self.rescuer.settle_for(claim.worker, [claim], [settlement]) != []

    def retry(self, job_id: str, delay: Seconds = 0) -> None:
        """Give a failed or cancelled job all its tries again, or start a scheduled one now; or `delay` seconds later.

        Raises `JobNotFound`, `TransitionError` in any other status, or `NotAllowed`.
        """
        record = self.find(job_id)
        if has_request_context():
            self._check_permission(record)
        status = self.storage.retry(job_id, round(check_seconds("delay", delay) * 1000))
        if status is None:
            raise not_found(job_id)
        if status not in (Status.FAILED, Status.CANCELLED, Status.SCHEDULED):
            raise TransitionError(f"Job {job_id} is {status}; only failed, cancelled or scheduled jobs are retried.")
        self._reopen_batch_of(record)
        self.teller.retried(job_id)

    def _reopen_batch_of(self, job: JobRecord) -> None:
        if job.batch is not None and job.status.final and tag_of(job.batch) in job.tags:  # not what reports for it
            self.batches.reopen(job.batch)

    def _check_permission(self, record: JobRecord) -> None:
        if record.type in self.jobs:
            permission.check(self.jobs[record.type], record.payload)

    def change_payload(self, job_id: str, payload: dict[str, Any], *, seen: dict[str, Any] | None = None) -> JobRecord:
        """Give a job another payload, with which its next run begins; returns the job as it was before.

        It keeps its id, its place, chain and batch, its tags and terms, and the unique key and limits that
        the push gave it. With `seen`, the payload on which the decision stands, nothing is changed if the job
        has another one by now. Raises `JobNotFound`, `UnknownJobType`, `PayloadError`, `NotAllowed`,
        `TransitionError` where the job runs or has completed, or `PayloadChanged`.
        """
        record = self.find(job_id)
        text = checked_payload(self.jobs.find(record.type), self.config, payload)
        if record.status is Status.COMPLETED:
            raise TransitionError(f"Job {job_id} has completed with its payload; push a new one.")
        before = json.dumps(record.payload if seen is None else seen)
        status = self.storage.change_payload(job_id, text, before)
        if status is None:
            raise not_found(job_id)
        if status is Status.RUNNING:
            raise TransitionError(f"Job {job_id} is running with its payload; wait for its end, or cancel it first.")
        return record

    def push_again(self, job_id: str, payload: dict[str, Any] | None = None) -> JobHandle:
        """Push a new job like an ended one: its type, queue, payload, priority, tags and terms; the old one stays.

        `payload`, if given, takes the place of the old one's. Raises `JobNotFound`, `UnknownJobType`, `NotAllowed`,
        or `PayloadError` where the payload does not fit the type.
        """
        old = self.find(job_id)
        options = Options.of(
            queue=old.queue,
            priority=old.priority,
            tags=old.tags,
            tries=old.tries,
            timeout=old.timeout,
            backoff=old.backoff,
        )
        given = old.payload if payload is None else payload
        return self._pusher.store([self._pusher.new_job(old.type, given, options)], after_commit=False)[0]

    def retry_each(self, *, spread: Seconds = 0, **filters: Any) -> Iterator[str]:
        """Retry all failed jobs that match, yielding each id once it is pending, or waits for its part of `spread`."""
        delays = spread_out(check_seconds("spread", spread))
        for record in self.every(statuses=[Status.FAILED], **filters):
            self._check_permission(record)
            with suppress(UniqueTaken):
                if self.storage.retry(record.id, round(next(delays) * 1000)) is Status.FAILED:
                    self._reopen_batch_of(record)
                    self.teller.retried(record.id)
                    yield record.id

    def retry_all(self, *, spread: Seconds = 0, **filters: Any) -> int:
        """Retry all failed jobs that match `queue`, `type` and `tag`; returns how many.

        With `spread` they do not start at once, but evenly over so many seconds.
        """
        return sum(1 for _ in self.retry_each(spread=spread, **filters))

    def delete(self, job_id: str) -> None:
        """Delete a job with its log; raises `JobNotFound`, or `TransitionError` while it runs.

        Nothing comes after it: a chain ends with a link that is deleted before its end.
        """
        status = self.storage.delete(checked_id(job_id))
        if status is None:
            raise not_found(job_id)
        if status is Status.RUNNING:
            raise TransitionError(f"Job {job_id} is running; cancel it first.")

    def clear_slices(
        self, hours: float, statuses: Sequence[Status | str] = (), queue: str | None = None
    ) -> Iterator[int]:
        """Delete jobs slice by slice, yielding how many; statuses and age as in `clear`."""
        wanted = check_statuses(statuses) or sorted(status for status in Status if status.final)
        older = round(check_seconds("hours", hours * 3600) * 1000)
        while deleted := self.storage.purge(wanted, older=older, queue=queue, limit=PURGE_SLICE):
            yield deleted

    def clear(self, hours: float, statuses: Sequence[Status | str] = (), queue: str | None = None) -> int:
        """Delete jobs that have been completed, failed or cancelled (or in `statuses`) for so many hours."""
        return sum(self.clear_slices(hours, statuses, queue))

    def flush(self, queue: str | None = None) -> int:
        """Delete every job that is not running, of one queue or of all; returns how many."""
        return self.clear(0, [status for status in Status if status is not Status.RUNNING], queue)

    def reencrypt(self) -> Iterator[Slice]:
        """Encrypt everything that is stored with the first of `QUEUES_ENCRYPTION_KEYS`; yields what was done so far.

        It may be interrupted and begun again, and workers may run. Raises `ConfigError` where nothing is encrypted, or
        others go on writing with an old key.
        """
        return reencrypt(self.storage)

    # Pauses

    def pause(
        self,
        queue: str | None = None,
        *,
        type: str | None = None,  # noqa: A002
        seconds: Seconds | None = None,
        reason: str = "",
        by: str = "",
    ) -> None:
        """Let nothing more of a queue, or of a job type, be claimed until `resume`, or for so long.

        What runs goes on to its end, pushes and schedules go on pushing. A job type is paused in every
        queue that is known now. Pausing again replaces the time, the reason and who said so.
        """
        one_of(queue, type)
        pause(self.storage, self._queues_of(queue, type), type, seconds, reason, by)

    def resume(self, queue: str | None = None, *, type: str | None = None) -> bool:  # noqa: A002
        """Let a queue or a job type go on, also where its circuit breaker holds it; False where it was not paused."""
        one_of(queue, type)
        closed = type is not None and self.breakers.close(type)
        return resume(self.storage, self._queues_of(queue, type), type) or closed

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

    # Who changed what

    def note_act(self, who: str, action: str, kind: str, name: str, number: int = 0, reason: str = "") -> None:
        """Keep that a person did something, as `activity.Act` has it; the panel and the command line do."""
        activity.note(self.storage, who, action, kind, name, number, reason)

    def acts(self) -> Iterator[Act]:
        """What people did, the last first; the last 2,000 lines or so are kept."""
        return activity.acts(self.storage)

    def acts_on(self, kind: str, name: str) -> list[Act]:
        """What people did with one job, queue, schedule or other thing, the last first."""
        return activity.acts_on(self.storage, kind, name)

    # What people ask of workers

    def orders(self) -> Orders:
        """What workers that run are asked to do."""
        return orders.read(self.storage)

    def be_quiet(self, workers: Iterable[str], *, quiet: bool = True) -> None:
        """Ask workers, by name, to take no more jobs and finish what they have in hand; or to take jobs again."""
        orders.be_quiet(self.storage, workers, quiet=quiet)

    def restart(self, workers: Iterable[str]) -> None:
        """Ask workers, by name, to replace their processes, one after another, each when its job has ended."""
        orders.restart(self.storage, workers)

    def ask_picture(self, job_id: str) -> Picture:
        """Ask for the stacks of the process that runs a job; raises `JobNotFound`, or `TransitionError` for one that
        does not run.

        Its worker answers in about a second: `manager.orders().pictures[job_id]`.
        """
        record = self.find(job_id)
        if record.status is not Status.RUNNING:
            raise TransitionError(f"Job {job_id} is {record.status}; only what runs has a stack.")
        return orders.ask_picture(self.storage, job_id)

    def keep_picture(self, job_id: str, picture: Picture) -> None:
        """Keep the stacks that somebody has asked for."""
        orders.keep_picture(self.storage, job_id, picture)

    # What workers do

    def queue_order(self, names: Sequence[str] = ()) -> list[str]:
        """The queues to serve, in order: those given, or all known ones and any other that holds jobs."""
        return list(names) or self.config.ordered_names(self.storage.queues())

    def read_out(self, settled: Sequence[Settlement]) -> list[Settlement]:
        """Read what follows in chains where it is on a page that was not read yet; to be done before a step."""
        return [chains.read_out(one, self.chain_pages.read) for one in settled]

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle what a child did and claim its next jobs; the settlements were read out."""
        return self.storage.step(worker, settled, wanted)

    def begin_step(self, worker: str, settled: Sequence[Settlement], wanted: Wanted) -> PendingStep | None:
        """Send a step whose answer is fetched later; None where the storage is too near for that to gain anything."""
        return self.storage.begin_step(worker, settled, wanted)

    def claim(self, worker: str, job_id: str) -> Claim:
        """Claim one job to run it here; raises `JobNotFound` or `TransitionError`."""
        record = self.find(job_id)
        claim = self.storage.claim(worker, job_id, self.lease)
        if claim is None:
            raise TransitionError(f"Job {job_id} is {record.status}; it cannot be run again. Push a new one.")
        self._reopen_batch_of(record)
        return claim

    def note(self, claim: Claim, progress: Progress | None, logs: Sequence[LogLine]) -> bool:
        """Keep what a running job says; False where the claim is no longer in force."""
        kept = self.storage.note(claim.id, claim.token, progress, logs)
        if kept and progress is not None:
            self.teller.progressed(claim, progress)
        return kept

    def keep(self, claim: Claim, text: str) -> bool:
        """Keep a text with a running job for its next run; False where the claim is no longer in force."""
        return self.storage.keep(claim.id, claim.token, text)

    def kept(self, claim: Claim) -> str | None:
        """What the job has kept last; None on its first run, which can have kept nothing before."""
        return self.storage.kept(claim.id)

    def terms(self, claim: Claim, *, jitter: bool = True) -> Terms:
        """On which terms a claimed job runs: the push's word, then the type's, then the configuration's."""
        job_type = self.jobs.get(claim.type)
        given, damage = damaged.options_of(claim)
        ours = job_type.options if job_type else Options()
        return Terms(
            tries=given.get("tries") or ours.tries or self.config.tries,
            timeout=given.get("timeout") or ours.timeout or self.config.timeout,
            backoff=lambda attempt: self._backoff(job_type, attempt, given.get("backoff"), jitter=jitter),
            occurrence=to_datetime(given["occurrence"]) if "occurrence" in given else None,
            batch=given.get("batch"),
            request_id=given.get("request_id"),
            locale=given.get("locale"),
            damage=damage,
        )

    def called_off(self, claim: Claim, terms: Terms) -> str | None:
        """Why a claimed job is not to begin, since its batch was cancelled; None where it may."""
        return None if terms.batch is None else self.batches.calling_off.reason_for(terms.batch, claim.id)

    def gathering_key(self, claim: Claim) -> str | None:
        """What a claim has in common with those that come in one run with it; None where it comes alone."""
        job_type = self.jobs.get(claim.type)
        if job_type is None or job_type.gathering is None:
            return None
        try:
            return f"{claim.queue} {claim.type} {job_type.gathering.key_of(json.loads(claim.payload))}"
        except Exception:
            logger.exception("key() of %s failed; job %s comes alone", claim.type, claim.id)
            return f"{claim.id} alone"

    def _backoff(self, job_type: JobType | None, attempt: int, pushed: Any, *, jitter: bool) -> float:
        if job_type is None:
            return self.config.backoff
        try:
            return job_type.backoff(attempt, tuple(pushed) if pushed else None, self.config.backoff, jitter=jitter)
        except Exception:
            logger.exception("backoff() of %s failed; waiting %g s", job_type.type, self.config.backoff)
            return self.config.backoff

    def dump_result(self, claim: Claim, result: Any) -> str | None:
        """Write a result as JSON text; one that cannot be kept is said in the log and left out."""
        if result is None:
            return None
        try:
            text = dump_json(claim.type, result)
        except PayloadError as error:
            logger.warning("The result of job %s is not kept: %s", claim.id, error)
            return None
        if len(text.encode()) > MAX_RESULT:
            logger.warning(
                "The result of job %s (%s) is not kept: it has more than %d bytes.",
                claim.id,
                claim.type,
                MAX_RESULT,
            )
            return None
        return text

    @property
    def lease(self) -> int:
        """Milliseconds that a claim is valid without a heartbeat."""
        return round(self.config.lease * 1000)

    def heartbeat(self, worker: WorkerRecord) -> Heartbeat:
        """Give a sign of life and extend the claims of the worker's children."""
        return self.storage.heartbeat(worker, self.lease)

    def forget_worker(self, name: str) -> None:
        """Take a worker that stops off the list."""
        self.storage.forget_worker(name)
        orders.forget(self.storage, name)

    def forget_vanished(self) -> None:
        """Take workers off the list that were killed so long ago that nobody asks for them any more."""
        until = self.now() - VANISHED
        for worker in self.workers():
            if worker.heartbeat < until:
                self.forget_worker(worker.name)

    def pending(self, queues: Sequence[str] = ()) -> bool:
        """Whether a claim from these queues, or from any, may find a job now."""
        return self.storage.pending(self.queue_order(queues), self.jobs.served)

    def next_due(self) -> int | None:
        """Milliseconds until the next scheduled job is due; None where none waits."""
        return self.storage.next_due()

    def retention_of(self, job: JobRecord) -> timedelta | None:
        """How long a job is kept after its end, if no others of its kind press it out before; None for ever."""
        hours = self.janitor.retention(job.type).get(job.status.value)
        return None if hours is None else timedelta(hours=hours)

    def retain(self) -> int:
        """Delete one slice of the jobs that were kept long enough; returns how many."""
        return self.janitor.work()

    def retain_aside(self) -> int:
        """The same; what waits for the application to see it is deleted by a thread, and not counted."""
        return self.janitor.work_aside()

    def release_held(self) -> int:
        """Let jobs be claimed that were held for a type which is known here."""
        return self.storage.release_held(self.jobs.served)

    def tend_batches(self, *, at_once: bool = False) -> int:
        """Push the callbacks of batches that are due, if it is time to look; returns how many."""
        if at_once:
            self.batches.next_look = 0.0
        hours = self.janitor.longest()
        return self.batches.tend(None if hours is None else round(hours * 3_600_000))

    def tend_followers(self, *, at_once: bool = False) -> int:
        """Push jobs that follow others which have ended, if it is time to look; returns how many."""
        if at_once:
            self.followers.next_look = 0.0
        return self.followers.tend()

    def tend_chains(self) -> None:
        """Delete what long chains have left behind, if it is time to look."""
        self.chain_pages.tend_if_due()

    def gather(self) -> None:
        """Count what has ended, if that is due; before it is deleted."""
        self._gatherer.work_if_due()

    def look_out(self) -> None:
        """Look at the thresholds of `QUEUES_ALERTS`, if that is due, and tell of what has changed."""
        self._lookout.work_if_due()

    def finish_telling(self, seconds: float) -> None:
        """Wait so long for those who are being told of alerts, or see jobs before they are deleted."""
        self._herald.finish(seconds)
        self.janitor.finish(seconds)

    def maintain(self) -> None:
        """Let the storage do its housekeeping."""
        self.storage.maintain()

    def watcher(self) -> Watcher:
        """Return what tells the keeper about pushes."""
        return self.storage.watcher()


def check_statuses(statuses: Sequence[Status | str]) -> list[Status]:
    """Return statuses given as such or by their names; raises `OptionError` for what is none."""
    if isinstance(statuses, str):
        statuses = [statuses]
    try:
        return [Status(status) for status in statuses]
    except (ValueError, TypeError) as error:
        names = ", ".join(Status)
        raise OptionError(f"statuses: {error}; there are {names}.") from error


def check_where(where: dict[str, Any]) -> Where:
    """Return what is looked for; raises `OptionError` for what is no filter, or not what one takes."""
    for name, value in where.items():
        if name not in Where._fields:
            known = ", ".join(("queue", "type", "tag", *Where._fields))
            raise OptionError(f"There is no filter {name!r}; there are {known}.")
        kinds = (int, float) if name in ("attempts", "ran") else str
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise OptionError(f"{name}: {value!r} is not {'a number' if kinds is not str else 'a text'}.")
    return Where(**where)


def checked_id(job_id: str) -> str:
    """Return what may be an id; what cannot be one was never stored, and may not even be text."""
    if not is_id(job_id):
        raise not_found(job_id)
    return job_id


def application_folder(app: Flask) -> str:
    """The folder from which the application's own files are named: where its package lies, or its module."""
    root = Path(app.root_path)
    return str(root.parent if (root / "__init__.py").exists() else root)


def not_found(job_id: str) -> JobNotFound:
    """Say that there is no such job, and why that may be."""
    return JobNotFound(f"There is no job {job_id[:64]}. Ended jobs are deleted when their retention is over.")


def manager_of(app: Flask) -> Manager:
    """Return the application's manager; raises `ConfigError` where Queues was not set up on it."""
    manager: Manager | None = app.extensions.get("queues")
    if manager is None:
        raise ConfigError(f"The application {app.name} has no queues: call Queues(app) or queues.init_app(app).")
    return manager


#: The manager of the application in whose context this runs.
current_queues: Manager = LocalProxy(lambda: manager_of(current_app))  # type: ignore[assignment]
