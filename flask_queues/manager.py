"""One application's queues: its job types, its storage, and every change of a job's status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from flask import Flask, current_app, has_request_context
from werkzeug.local import LocalProxy

from . import activity, chains, orders
from .batches import Batch, Batches, tag_of
from .chains import ENDS, Chain, Link
from .config import Config
from .errors import ConfigError, OptionError, TransitionError, UniqueTaken
from .handles import ChainHandle, FollowerHandle, JobHandle
from .managing import Serving, checked_id, not_found
from .options import Options, Seconds, check_seconds
from .orders import Picture
from .pausing import one_of, pause, resume
from .pushing import Pusher, ids_given, permission
from .pushing.intake import checked_payload, id_for, pair_of, spread_out, spread_over
from .pushing.origin import luggage
from .record import TERMS, JobRecord, Status
from .registry import Registry
from .rekeying import Slice, reencrypt
from .scheduler import Scheduler
from .searching import check_statuses
from .storage import Storage
from .storage.values import Claim
from .transitions import Terms

PURGE_SLICE = 500


class Manager(Serving):
    """The queues of one application, at `app.extensions["queues"]`.

    The only place that decides on the status of a job: panel, command line and workers go through it.
    What it can tell is in `managing/reading.py`, what it does for workers in `managing/serving.py`.
    """

    def __init__(self, app: Flask, config: Config, jobs: Registry, cache: Any = None) -> None:
        super().__init__(app, config, jobs, cache)
        self._pusher = Pusher(
            app, lambda: self.config, jobs, lambda: self.storage, self.teller, lambda job_id: JobHandle(self, job_id)
        )
        #: The batches of this application.
        self.batches = Batches(
            lambda: self.storage, self._pusher, self.every, self._check_permission, self.teller, self.rescuer.cancel
        )
        #: The schedules of this application.
        self.scheduler = Scheduler(jobs, config, app.name, lambda: self.storage, self.teller)

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
        pairs = [pair_of(job) for job in jobs]
        common = Options.of(**options)
        if common.id is not None:
            raise OptionError("id: many jobs cannot share an id; give each its own: Resize().using(id=…).")
        along = luggage()
        new = [
            self._pusher.new_job(job, payload, spread_over(common, spread, n, len(pairs)), named=True, along=along)
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
        self._pusher.count(1)
        owner = self.followers.attach(before.id, chains.written(made), before.owner)
        return FollowerHandle(self, new.id, before=before, ends=ENDS[on], owner=owner)

    def unfollow(self, owner: str, job_id: str) -> bool:
        """Let a job not come that follows another; False where it has come, or does not wait any more."""
        return self.followers.detach(owner, job_id)

    def batch(self, jobs: Iterable[Any] = (), name: str = "") -> Batch:
        """Begin a batch: jobs that belong together, and callbacks when all have ended.

        `jobs` are jobs, or pairs of job and payload, and may come from a generator. `.then()`, `.catch()` and
        `.finally_()` say what is pushed when; `.push()` stores the batch.
        """
        return self.batches.new(jobs, name)

    def give_up_batch(self, batch_id: str) -> None:
        """Forget a batch that no key opens any more: its callbacks never come, its jobs stay and run as any others.

        Whoever still has its key can do better: cancel it, or let it end. Raises `BatchNotFound`, or `TransitionError`
        for a batch that can be read here, or may be by a worker that holds a key which this process lacks.
        """
        self.refuse_while_readable(f"the batch {batch_id[:64]}")
        self.batches.give_up(batch_id, {*self.config.names, *self.counts().queues})

    # Reading

    def handle(self, job_id: str) -> JobHandle:
        """Return a handle of a job pushed earlier; raises `JobNotFound`."""
        return JobHandle(self, self.find(job_id).id, created=False)

    # Reading what was done

    # The operator's changes

    def cancel(self, job_id: str, reason: str = "cancelled by the application") -> bool:
        """End a job that waits, or ask for the end of one that runs; False where it has ended already.

        A running job gets the exception within about a second and is killed after `QUEUES_GRACE`.
        """
        record = self.find(job_id)
        waits = record.status in (Status.SCHEDULED, Status.PENDING)
        goes_on = record.chain is not None and record.chain.on_cancel is not None
        if waits and goes_on and self.rescuer.call_off(job_id, reason):
            return True
        status = self.rescuer.cancel(job_id, reason)
        if status is None:
            raise not_found(job_id)
        return not status.final

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

    def hurry(self, job_id: str) -> None:
        """Let a job that waits be the next one to be claimed of its queue, before higher priorities too.

        It keeps its attempts, its expiry and its priority; a pause, a limit or an open breaker holds it all the same.
        Of several that are hurried the last comes first. Raises `JobNotFound`, `TransitionError` where it does not
        wait, or `NotAllowed`.
        """
        record = self.find(job_id)
        if has_request_context():
            self._check_permission(record)
        status = self.storage.hurry(job_id)
        if status is None:
            raise not_found(job_id)
        if status not in (Status.PENDING, Status.SCHEDULED):
            raise TransitionError(f"Job {job_id} is {status}; only pending or scheduled jobs are put first.")

    def _reopen_batch_of(self, job: JobRecord) -> None:
        if job.batch is not None and job.status.final and tag_of(job.batch) in job.tags:  # not what reports for it
            self.batches.tending.reopen(job.batch)

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
        terms = {name: getattr(old, name) for name in TERMS}
        options = Options.of(queue=old.queue, priority=old.priority, tags=old.tags, **terms)
        given = old.payload if payload is None else payload
        new = self._pusher.new_job(old.type, given, options, along=luggage(f"again {old.id}"))
        return self._pusher.store([new], after_commit=False)[0]

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

    # Who changed what

    def note_act(self, who: str, action: str, kind: str, name: str, number: int = 0, reason: str = "") -> None:
        """Keep that a person did something, as `activity.Act` has it; the panel and the command line do."""
        activity.note(self.storage, who, action, kind, name, number, reason)

    # What people ask of workers

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

    # What workers do

    def claim(self, worker: str, job_id: str) -> Claim:
        """Claim one job to run it here; raises `JobNotFound` or `TransitionError`."""
        record = self.find(job_id)
        claim = self.storage.claim(worker, job_id, self.lease)
        if claim is None:
            raise TransitionError(f"Job {job_id} is {record.status}; it cannot be run again. Push a new one.")
        self._reopen_batch_of(record)
        return claim

    def called_off(self, claim: Claim, terms: Terms) -> str | None:
        """Why a claimed job is not to begin, since its batch was cancelled; None where it may."""
        return None if terms.batch is None else self.batches.calling_off.reason_for(terms.batch, claim.id)

    def tend_batches(self, *, at_once: bool = False) -> int:
        """Push the callbacks of batches that are due, if it is time to look; returns how many."""
        if at_once:
            self.batches.tending.look_soon()
        hours = self.janitor.longest()
        return self.batches.tending.tend(None if hours is None else round(hours * 3_600_000))


def manager_of(app: Flask) -> Manager:
    """Return the application's manager; raises `ConfigError` where Queues was not set up on it."""
    manager: Manager | None = app.extensions.get("queues")
    if manager is None:
        raise ConfigError(f"The application {app.name} has no queues: call Queues(app) or queues.init_app(app).")
    return manager


#: The manager of the application in whose context this runs.
current_queues: Manager = LocalProxy(lambda: manager_of(current_app))  # type: ignore[assignment]
