"""One run of one job: its code, its time limit, and what it ends in."""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any, NoReturn, Protocol, TypeVar

from .. import transitions
from ..batches import BatchHandle
from ..chains import followed
from ..errors import Discard, JobTimeout, PayloadError, RateLimited, Retry, WorkerLost
from ..job import Job, running_job
from ..loops import Kept
from ..manager import Manager
from ..pushing.origin import restored
from ..pushing.tracing import run_traced
from ..record import JobError, JobRecord, Outcome, Progress, Status
from ..registry import JobType
from ..storage.values import Claim, Settlement
from ..wrapping import Wrapper
from .coroutines import run_coroutine
from .interrupts import CancelNow, Interrupt, StopNow
from .notes import Notes
from .profiling import profiled

logger = logging.getLogger("flask_queues")
#: For the handlers of an application that has some: on the terminal, the worker's own line is enough.
failures = logging.getLogger("flask_queues.failures")
failures.addHandler(logging.NullHandler())

T = TypeVar("T")


class Limits(Protocol):
    """What an attempt needs of the interrupts that may end it."""

    #: What was thrown into this run, whether or not the job let it through.
    thrown: type[Interrupt] | None

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""

    def forget(self) -> None:
        """Forget what was thrown into the run before."""

    def armed(self, seconds: float) -> AbstractContextManager[None]:
        """Let interrupts through; the first comes after so many seconds."""


class Attempt:
    """One claimed job in this process; the `Run` that the job's methods talk to."""

    def __init__(self, manager: Manager, claim: Claim, interrupts: Limits, stir: Callable[[], None]) -> None:
        self.claim = claim
        self.id = claim.id
        self.terms = manager.terms(claim)
        self.attempt = claim.attempts + 1
        self.occurrence = self.terms.occurrence
        self.request_id = self.terms.request_id
        #: What went wrong, kept only where somebody is to be told.
        self.exception: BaseException | None = None
        self.payload: dict[str, Any] = {}
        self.notes = Notes(self._keep, claim.runs + 1, stir)
        self._manager = manager
        self._interrupts = interrupts
        self._type: JobType = manager.jobs[claim.type]
        #: Whether what left the job is in its `fail_on`.
        self._never_again = False

    def run(self) -> Settlement:
        """Run the job and return what becomes of it; no exception of the job leaves this."""
        return self._with_notes(contextvars.copy_context().run(self._decide))

    def _with_notes(self, settlement: Settlement) -> Settlement:
        self._manager.breakers.learn(self.claim, settlement)
        settlement = followed(self.claim, settlement)
        progress, lines = self.notes.finish()
        if progress is None and not lines:
            return settlement
        return settlement._replace(progress=progress, logs=tuple(lines))

    def _decide(self) -> Settlement:
        claim, terms = self.claim, self.terms
        for one in self.claims:
            self._manager.teller.claimed(one)
        if terms.damage is not None:
            return transitions.unreadable(claim, terms.damage)
        if transitions.is_last_words(claim, terms):
            with suppress(PayloadError):
                self.payload = self._arguments()
            self._say_last_words(exception_of(transitions.read_error(claim.error)))
            return transitions.last_words_said(claim)
        if transitions.is_expired(claim):
            return transitions.expired(claim)
        if (reason := self._manager.called_off(claim, terms)) is not None:
            return transitions.called_off(claim, reason)
        return self._manager.breakers.admit(claim, terms.timeout) or self._run_job()

    def _run_job(self) -> Settlement:
        self._interrupts.forget()
        try:
            result = self._call_handle()
        except BaseException as error:
            thrown = self._interrupts.thrown
            return self._end_by(error) if thrown is None else self._interrupted(thrown, error)
        if self._interrupts.thrown is not None:
            return self._interrupted(self._interrupts.thrown, None)
        return transitions.completed(self.claim, self._dump_result(result))

    def _dump_result(self, result: Any) -> str | None:
        """Write the result as text; where that is not possible the job's own log says why, as the worker's does."""
        try:
            return self._manager.dump_result(self.claim, result)
        except PayloadError as error:
            logger.warning("The result of job %s is not kept: %s", self.claim.id, error)
            self.log("warning", f"The result is not kept: {error}", {})
            return None

    def _end_by(self, error: BaseException) -> Settlement:
        """The job raised: a word of ours, or whatever went wrong; `sys.exit()` is no exception."""
        if isinstance(error, Retry):
            return transitions.put_off(self.claim, error.delay)
        if isinstance(error, RateLimited):
            return transitions.rate_limited(self.claim, error.after)
        if isinstance(error, Discard):
            return transitions.discarded(self.claim, error.reason)
        if isinstance(error, self._type.discard_on):
            return transitions.discarded(self.claim, f"{type(error).__name__}: {transitions.message_of(error)}")
        if isinstance(error, self._type.fail_on):
            self._never_again = True
            self.terms = transitions.on_last_try(self.claim, self.terms)
        return self._fail(error, Outcome.FAILED)

    def _interrupted(self, thrown: type[Interrupt], error: BaseException | None) -> Settlement:
        """The job was interrupted, whether it let that through, swallowed it or made another exception of it."""
        if thrown is StopNow:
            return transitions.given_back(self.claim, begun=True)
        if thrown is CancelNow:
            return transitions.cancelled(self.claim)
        exception = JobTimeout(f"The job ran longer than its timeout of {self.terms.timeout:g} s.")
        exception.__suppress_context__ = True
        trace = error.__traceback__ if error is not None else None
        return self._fail(exception.with_traceback(trace), Outcome.TIMED_OUT)

    def _call_handle(self) -> Any:
        self.payload = self._arguments()
        job = self._new_job()
        process = os.getpid()
        try:
            traced = run_traced(self.claim, self.attempt)
            with self._interrupts.armed(self.terms.timeout), self._manager.app.app_context(), self._restored, traced:
                return inside(self._manager.wrappers, job, lambda: self._handle(job))
        finally:
            if os.getpid() != process:
                # The job has forked and not ended that process: it must not go on as a second worker.
                leave(sys.exc_info()[1])

    def _arguments(self) -> dict[str, Any]:
        return self._type.shape.load(self.claim.payload)

    def along(self, _settlement: Settlement) -> list[Settlement]:
        """What becomes of other claims that ran with this one."""
        return []

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All that run."""
        return (self.claim,)

    @property
    def tokens(self) -> frozenset[int]:
        """The claim tokens of all that run."""
        return frozenset(claim.token for claim in self.claims)

    def _handle(self, job: Job) -> Any:
        with profiled(job) if self.terms.profile else nullcontext():
            result = job.handle(**self.payload)
            return run_coroutine(self._manager.app, result) if inspect.iscoroutine(result) else result

    @property
    def _restored(self) -> AbstractContextManager[None]:
        return restored(self.terms.request_id, self.terms.locale)

    def end(self, error: Exception, outcome: Outcome) -> Settlement:
        """Say what becomes of a job whose code goes on in a thread that nobody can stop."""
        return self._with_notes(contextvars.copy_context().run(self._fail, error, outcome))

    def end_without_words(self, error: Exception, outcome: Outcome) -> Settlement:
        """The same for one whose `failed` does not end either."""
        failed = transitions.failed(self.claim, self.terms, transitions.describe_exception(error), outcome)
        return followed(self.claim, failed)

    def cancelled(self) -> Settlement:
        """The same for one that somebody cancelled."""
        return followed(self.claim, transitions.cancelled(self.claim))

    def _fail(self, error: BaseException, outcome: Outcome) -> Settlement:
        if self._manager.teller.wants_exceptions:
            self.exception = error
        text = transitions.describe_exception(error)
        settlement = transitions.failed(self.claim, self.terms, text, outcome)
        if self._failed_for_good(settlement):
            self._say_last_words(error)
        return settlement

    def _failed_for_good(self, settlement: Settlement) -> bool:
        return settlement.status is Status.FAILED

    def _say_last_words(self, error: BaseException) -> None:
        try:
            tell_of_failure(self.claim, error)
            job = self._new_job()
            with self._interrupts.armed(self.terms.timeout), self._manager.app.app_context(), self._restored:
                job.failed(error)
        except BaseException:
            logger.exception("failed() of job %s (%s) raised.", self.claim.id, self.claim.type)

    def _new_job(self) -> Job:
        job = self._type.job_class()
        job.bind(self)
        running_job.set(job)
        return job

    def _keep(self, progress: Progress | None, lines: Any) -> bool:
        return self._manager.note(self.claim, progress, lines)

    # What the job's own methods reach

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._interrupts.stopping

    def progress(self, progress: Progress) -> None:
        """Keep how far the job is."""
        self.notes.progress(progress)

    def log(self, level: str, message: str, context: dict[str, Any]) -> None:
        """Keep a line with the job."""
        self.notes.log(level, message, context)

    @property
    def batch(self) -> BatchHandle | None:
        """The batch that it belongs to, or reports for."""
        batch = self.terms.batch
        return self._manager.batches.handle(batch, self.claim.id) if batch is not None else None

    @property
    def timeout(self) -> float:
        """Seconds that the run may take."""
        return self.terms.timeout

    @functools.cached_property
    def state(self) -> Kept:
        """What the job has come to in this run and earlier ones."""
        return Kept(self, self.claim.type)

    def keep(self, text: str) -> bool:
        """Keep a text for this run and the next."""
        return self._manager.keep(self.claim, text)

    def kept(self) -> str | None:
        """The text that was kept last."""
        return self._manager.kept(self.claim)

    def passed(self, count: int, total: int | None) -> None:
        """Tell people how many items of a loop are done."""
        percent = min(100.0, 100 * count / total) if total else 0.0
        self.progress(Progress(percent, f"{count:,} of {total:,}" if total else f"{count:,}"))

    def record(self) -> JobRecord:
        """Read the job as it is stored now."""
        return self._manager.find(self.claim.id)


def tell_of_failure(claim: Claim, error: BaseException) -> None:
    """Tell the log that a job has failed for good, with its exception; what watches logs, as Sentry does, sees it."""
    about = {"job_id": claim.id, "job_type": claim.type, "job_queue": claim.queue}
    failures.error("Job %s (%s) has failed.", claim.id, claim.type, exc_info=error, extra=about)


def inside(wrappers: Sequence[Wrapper], job: Job, work: Callable[[], T]) -> T:
    """Do the work inside all wrappers, the first outermost; one that swallows an exception has not undone it."""
    if not wrappers:
        return work()
    raised: BaseException
    with ExitStack() as stack:
        try:
            for wrapper in wrappers:
                stack.enter_context(wrapper(job))
            return work()
        except BaseException as error:
            raised = error
            raise
    raise raised  # only one that was swallowed leads here


def leave(error: BaseException | None) -> NoReturn:
    """End this process as Python would, but without what the worker has registered to be done at its end."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


def exception_of(error: JobError | None) -> Exception:
    """Make of a kept error what `failed` gets when no process is left that saw the exception."""
    if error is None:
        return WorkerLost("The process that ran the job is gone.")
    kind = JobTimeout if error.type.endswith("JobTimeout") else WorkerLost
    return kind(error.message)
