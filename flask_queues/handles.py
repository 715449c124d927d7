"""What was pushed, seen from where it was pushed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from .errors import JobCancelled, JobFailed, JobNotFound, ResultNotReady
from .links import WEEK
from .options import Seconds
from .record import JobRecord, Progress, Status
from .storage.unique import was_replaced

#: What comes after a link is there so long after its end, whatever was killed; if not, it was deleted.
ON_ITS_WAY = timedelta(hours=1)


class Jobs(Protocol):
    """What a handle asks of the manager."""

    def find(self, job_id: str) -> JobRecord:
        """Return a job; raises `JobNotFound`."""

    def cancel(self, job_id: str, reason: str) -> bool:
        """End a job, or ask for its end."""

    def retry(self, job_id: str, delay: Seconds = 0) -> None:
        """Give a job all its tries again."""

    def hurry(self, job_id: str) -> None:
        """Put a job first."""

    def now(self) -> datetime:
        """The time by the storage's clock."""

    def follow(
        self,
        before: JobHandle,
        job: Any,
        payload: dict[str, Any] | None,
        on: str,
        result_as: str | None,
        **options: Any,
    ) -> FollowerHandle:
        """Let a job follow another."""

    def unfollow(self, owner: str, job_id: str) -> bool:
        """Let it not follow any more; False where it does not wait."""

    def link(self, job: Any, *, result: bool, cancel: bool, max_age: Seconds, external: bool) -> str:
        """The URL at which somebody who is no admin sees a job."""


class JobHandle:
    """A pushed job, seen from where it was pushed. Each property asks the storage anew."""

    def __init__(self, manager: Jobs, job_id: str, *, created: bool = True) -> None:
        self._manager = manager
        self.id = job_id
        #: False where the push changed nothing: this id was stored already, or this job held its unique key.
        self.created = created

    @property
    def record(self) -> JobRecord:
        """The job as it is now; raises `JobNotFound` once it was deleted."""
        return self._manager.find(self.id)

    @property
    def status(self) -> Status:
        """Where the job stands."""
        return self.record.status

    @property
    def progress(self) -> Progress | None:
        """How far it said it is."""
        return self.record.progress

    def result(self, timeout: float = 0) -> Any:
        """Return what `handle` returned, waiting up to `timeout` seconds for the job's end.

        Raises `ResultNotReady`, `JobFailed`, `JobCancelled` or `JobNotFound`.
        """
        until = time.monotonic() + timeout
        pause = 0.005
        while not (record := self.record).status.final:
            left = until - time.monotonic()
            if left <= 0:
                raise ResultNotReady(f"Job {self.id} is {record.status} and has no result yet.")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.25)
        if record.status is Status.FAILED:
            raise JobFailed(f"Job {self.id} failed: {record.error}")
        if record.status is Status.CANCELLED:
            raise JobCancelled(f"Job {self.id} was cancelled: {record.reason}")
        return record.result

    def cancel(self, reason: str = "cancelled by the application") -> bool:
        """End the job, or ask for its end if it runs; False where it has ended already."""
        return self._manager.cancel(self.id, reason)

    def retry(self, delay: Seconds = 0) -> None:
        """Give the job all its tries again where it has failed or was cancelled, or start a scheduled one now.

        Or `delay` seconds later. Raises `TransitionError` in any other status, `JobNotFound`, or `NotAllowed`.
        """
        self._manager.retry(self.id, delay)

    def hurry(self) -> None:
        """Let the job, if it waits, be the next one to be claimed of its queue, before higher priorities too.

        Raises `TransitionError` in any other status, `JobNotFound`, or `NotAllowed`.
        """
        self._manager.hurry(self.id)

    def then(
        self,
        job: Any,
        payload: dict[str, Any] | None = None,
        *,
        on: str = "success",
        result_as: str | None = None,
        **options: Any,
    ) -> FollowerHandle:
        """Let another job follow this one, and return its handle.

        It is pushed by the step that settles this one, at once where that was before; not at all where that is not
        the end for which it waits. `on`, `result_as` and the options are those of a link of a chain, and
        so is what becomes of the next one where this does not fit. Raises what a push raises, and `JobNotFound`
        where this job is not stored.
        """
        return self._manager.follow(self, job, payload, on, result_as, **options)

    #: The id of the job in whose options it waits, or waited, where it follows another.
    owner: str | None = None

    def link(
        self, *, result: bool = False, cancel: bool = False, max_age: Seconds = WEEK, external: bool = False
    ) -> str:
        """The URL at which somebody who is no admin sees this job; see `Manager.link`."""
        return self._manager.link(self.id, result=result, cancel=cancel, max_age=max_age, external=external)

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"


class FollowerHandle(JobHandle):
    """A job that follows another, and is stored once that has ended as it should."""

    def __init__(self, manager: Jobs, job_id: str, *, before: JobHandle, ends: frozenset[Status], owner: str) -> None:
        super().__init__(manager, job_id)
        self._before = before
        self._ends = ends
        self._called_off = False
        self.owner = owner

    @property
    def status(self) -> Status:
        """Where the job stands: scheduled while it waits, cancelled where the job before it has ended otherwise.

        Raises `JobNotFound` once it was deleted, or the job before it was before it could follow.
        """
        with suppress(JobNotFound):
            return self.record.status
        if self._called_off:
            return Status.CANCELLED
        end = self._before.status
        if not end.final:
            return Status.SCHEDULED
        if end not in self._ends or self._is_replaced:
            return self._stored_meanwhile or Status.CANCELLED
        return Status.SCHEDULED if self._is_on_its_way else self.record.status

    @property
    def _stored_meanwhile(self) -> Status | None:
        with suppress(JobNotFound):
            return self.record.status
        return None

    @property
    def _is_replaced(self) -> bool:
        """Whether another job took the place of the one before, which nothing follows then."""
        with suppress(JobNotFound):
            return was_replaced(self._before.record.reason)
        return False

    @property
    def _is_on_its_way(self) -> bool:
        with suppress(JobNotFound):
            ended = self._before.record.finished
            return ended is not None and self._manager.now() - ended < ON_ITS_WAY
        return False

    def result(self, timeout: float = 0) -> Any:
        """Return what `handle` returned, waiting for the end of the job before it, too.

        Raises what `JobHandle.result` does: `JobCancelled` where it does not come to be.
        """
        until = time.monotonic() + timeout
        pause = 0.005
        while not (status := self.status).final:
            left = until - time.monotonic()
            if left <= 0:
                raise ResultNotReady(f"Job {self.id} is {status} and has no result yet.")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.25)
        if self._stored_meanwhile is None:
            raise JobCancelled(f"Job {self.id} was not pushed: {self._why_not}")
        return super().result()

    @property
    def _why_not(self) -> str:
        """What has become of the job before, for an error."""
        with suppress(JobNotFound):
            before = self._before.record
            why = f" ({before.reason.rstrip('.')})" if before.reason else ""
            return f"the job that it follows, {before.id}, has ended otherwise: it is {before.status}{why}."
        return "the job that it follows has ended otherwise."

    def cancel(self, reason: str = "cancelled by the application") -> bool:
        """End the job, or let it not come to be, nor those that follow it; False where it has ended already."""
        if self.owner is not None and self._manager.unfollow(self.owner, self.id):
            self._called_off = True
            return True
        return self._stored_meanwhile is not None and super().cancel(reason)


class ChainHandle:
    """A pushed chain. Each property asks the storage anew, and raises `JobNotFound` once its jobs were deleted."""

    def __init__(self, manager: Jobs, ids: Sequence[str]) -> None:
        self._manager = manager
        self._ids = ids
        self._last = ids[0]
        #: The id of its first job.
        self.id = ids[0]

    @property
    def jobs(self) -> list[JobRecord]:
        """Its jobs that exist, in their order: those that ran, and the one that its turn has come to."""
        found = (self._find(job_id) for job_id in self._ids)
        return [job for job in found if job is not None]

    @property
    def current(self) -> JobRecord:
        """The job that the chain has come to; it has ended where nothing comes after it."""
        job = self._find(self._last) or self._first_left()
        while (after := self._after(job)) is not None:
            job = after
        self._last = job.id
        if next_id(job) is not None and job.finished is not None and self._manager.now() - job.finished > ON_ITS_WAY:
            raise self._not_found()
        return job

    @property
    def status(self) -> Status:
        """Where the chain stands: where its current job does; pending where the next one is on its way.

        Cancelled where its end was asked for while that job ran, also if the job has completed before it heard of it.
        """
        job = self.current
        if next_id(job) is not None:
            return Status.PENDING
        return Status.CANCELLED if is_stopped(job) else job.status

    def result(self, timeout: float = 0) -> Any:
        """Return what its last job returned, waiting up to `timeout` seconds for the chain's end.

        Raises what `JobHandle.result` does.
        """
        until = time.monotonic() + timeout
        pause = 0.005
        while next_id(job := self.current) is not None or not job.status.final:
            left = until - time.monotonic()
            if left <= 0:
                raise ResultNotReady(
                    f"The chain {self.id} has come to job {job.id} ({job.type}), and has no result yet."
                )
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.25)
        if is_stopped(job):
            raise JobCancelled(f"The chain {self.id} was cancelled while job {job.id} ran: {job.reason}")
        return JobHandle(self._manager, job.id).result()

    def cancel(self, reason: str = "cancelled by the application") -> bool:
        """End the current job, or ask for its end; only links with `on="end"` come after. False where all has ended.

        A job that runs hears of it within about a second; one that completes before has completed, and the chain is
        cancelled all the same.
        """
        while not self._manager.cancel((job := self.current).id, reason):
            if self.current.id == job.id:
                return False
        return True

    def retry(self) -> None:
        """Let the chain go on from its job that failed or was cancelled; raises `TransitionError` for any other."""
        self._manager.retry(self.current.id)

    def _after(self, job: JobRecord) -> JobRecord | None:
        after = next_id(job)
        return self._find(after) if after is not None else None

    def _first_left(self) -> JobRecord:
        left = next(iter(self.jobs), None)
        if left is None:
            raise self._not_found()
        return left

    def _not_found(self) -> JobNotFound:
        return JobNotFound(
            f"The job that the chain {self.id} had come to is gone. Ended jobs are deleted after their retention."
        )

    def _find(self, job_id: str) -> JobRecord | None:
        try:
            return self._manager.find(job_id)
        except JobNotFound:
            return None

    def __repr__(self) -> str:
        return f"<ChainHandle {self.id}>"


def next_id(job: JobRecord) -> str | None:
    """The id of what comes after a link that has ended; on a cluster, it may be on its way for a moment."""
    if job.chain is None:
        return None
    return job.chain.after(Status.CANCELLED if is_stopped(job) else job.status)


def is_stopped(job: JobRecord) -> bool:
    """Whether a link has completed or failed while its end was asked for, so that its chain is cancelled."""
    return job.chain is not None and job.status in (Status.COMPLETED, Status.FAILED) and job.reason is not None
