"""Which signal tells what became of a job or a schedule; where nobody listens, that costs a look."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask

from . import signals
from .errors import StorageError
from .record import JobRecord, Progress, Status, to_datetime
from .storage import Storage
from .storage.values import Claim, NewJob, Occurrence, Settlement
from .transitions import read_error

if TYPE_CHECKING:
    from blinker import NamedSignal

logger = logging.getLogger("flask_queues")


class Teller:
    """Sends the signals of one application."""

    def __init__(self, app: Flask, storage: Callable[[], Storage]) -> None:
        self._app = app
        self._storage = storage
        #: Whether this process is a worker's, which no receiver is to end.
        self.at_work = False

    def tell(self, signal: NamedSignal, **fields: Any) -> None:
        """Send one signal."""
        if signal.receivers:
            signals.send(signal, self._app, exits=self.at_work, **fields)

    @property
    def wants_exceptions(self) -> bool:
        """Whether somebody is to be told what a job raised."""
        return bool(signals.job_failed.receivers or signals.job_retried.receivers)

    # Pushed, or changed by hand

    def pushed(self, new: Sequence[NewJob], created: Sequence[bool]) -> None:
        """Of these jobs those were stored that are new."""
        if signals.job_pushed.receivers:
            for job, is_new in zip(new, created, strict=True):
                if is_new:
                    self.tell(signals.job_pushed, job_id=job.id, type=job.type, queue=job.queue)

    def cancelled(self, job_id: str) -> None:
        """A job that nobody ran may have ended as cancelled."""
        if signals.job_cancelled.receivers:
            record = self._read(job_id)
            if record is not None and record.status is Status.CANCELLED:
                self.tell(signals.job_cancelled, **fields_of(record), reason=record.reason)

    def retried(self, job_id: str) -> None:
        """Somebody made a job pending."""
        if signals.job_retried.receivers and (record := self._read(job_id)) is not None:
            told = {"outcome": None, "delay": 0.0, "error": record.error, "exception": None, "seconds": None}
            self.tell(signals.job_retried, **fields_of(record), **told)

    # What workers do

    def claimed(self, claim: Claim) -> None:
        """A worker begins with a job."""
        self._tell_of(claim, signals.job_claimed)

    def progressed(self, claim: Claim, progress: Progress) -> None:
        """A job said how far it is."""
        self._tell_of(claim, signals.job_progressed, percent=progress.percent, message=progress.message)

    def rescued(self, claim: Claim) -> None:
        """The lease of a job ran out; `settled` tells what became of it."""
        self._tell_of(claim, signals.job_rescued)

    def settled(
        self, claim: Claim, done: Settlement, seconds: float | None = None, exception: BaseException | None = None
    ) -> None:
        """The storage has taken a settlement, with what follows from it."""
        if done.status.final:
            follows = self._followers(done)
            self.pushed(follows, [True] * len(follows))
        if done.progress is not None:
            self.progressed(claim, done.progress)
        if done.status is Status.COMPLETED:
            if signals.job_completed.receivers:
                result = json.loads(done.result) if done.result is not None else None
                self._tell_of(claim, signals.job_completed, result=result, seconds=seconds)
        elif done.status is Status.FAILED:
            self._failed(signals.job_failed, claim, done, seconds=seconds, exception=exception)
        elif signals.job_cancelled.receivers or signals.job_retried.receivers or self._may_have_followed(done):
            record = self._read(claim.id)
            if not done.status.final and is_cancelled(record):
                self.pushed(done.follows, [True] * len(done.follows))
            if done.status is Status.CANCELLED or is_cancelled(record):
                reason = record.reason if record is not None and is_cancelled(record) else done.reason
                self._tell_of(claim, signals.job_cancelled, reason=reason, seconds=seconds)
            elif done.outcome is not None:
                delay = done.delay / 1000
                self._failed(signals.job_retried, claim, done, delay=delay, seconds=seconds, exception=exception)

    def _followers(self, done: Settlement) -> Sequence[NewJob]:
        """What was pushed with an end; the record says whether that was asked for."""
        if done.if_cancelled is None or not signals.job_pushed.receivers:
            return done.follows
        record = self._read(done.id)
        return done.pushes(asked=record is not None and record.reason is not None)

    @staticmethod
    def _may_have_followed(done: Settlement) -> bool:
        """Whether somebody is to be told of what follows, if the storage has cancelled a job that was to run again."""
        return bool(done.follows and not done.status.final and signals.job_pushed.receivers)

    def _failed(self, signal: NamedSignal, claim: Claim, done: Settlement, **more: Any) -> None:
        if signal.receivers:
            error = read_error(done.error or (claim.error if done.status is Status.FAILED else None))
            self._tell_of(claim, signal, outcome=done.outcome, error=error, **more)

    def _tell_of(self, claim: Claim, signal: NamedSignal, **more: Any) -> None:
        if signal.receivers:
            self.tell(signal, **fields_of(claim), worker=claim.worker, attempt=claim.attempts + 1, **more)

    # Schedules

    def decided(self, name: str, jobs: Sequence[NewJob], lines: Sequence[Occurrence]) -> None:
        """A schedule's occurrences were decided, and these jobs pushed for them."""
        self.pushed(jobs, [True] * len(jobs))
        by_id = {job.id: job for job in jobs}
        for line in lines:
            told = {"name": name, "due": to_datetime(line.due), "outcome": line.outcome}
            if line.job is None:
                self.tell(signals.schedule_left_out, **told)
            else:
                self.tell(signals.schedule_fired, **told, **fields_of(by_id[line.job]))

    def _read(self, job_id: str) -> JobRecord | None:
        """Read what a signal has to say; where the storage fails now, it is told without, or not at all."""
        try:
            return self._storage().get(job_id)
        except StorageError as error:
            logger.warning("What became of job %s cannot be told whole: %s", job_id, error)
            return None


def is_cancelled(record: JobRecord | None) -> bool:
    """Whether a job has ended on somebody's word."""
    return record is not None and record.status is Status.CANCELLED


def fields_of(job: JobRecord | NewJob | Claim) -> dict[str, Any]:
    """What every signal of a job says."""
    return {"job_id": job.id, "type": job.type, "queue": job.queue}
