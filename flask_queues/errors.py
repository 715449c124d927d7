"""Every error of Flask-Queues, in one tree below `QueuesError`."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from click import ClickException
from werkzeug.exceptions import Forbidden, TooManyRequests


class QueuesError(Exception):
    """Base of everything that Flask-Queues raises on purpose."""


class ConfigError(QueuesError, ClickException):
    """The configuration, or the way the extension was set up, cannot work.

    Where it comes out of the application as a command of `flask` loads it, the terminal shows the sentence alone.
    """

    def __str__(self) -> str:
        return str(self.message)


class PayloadError(QueuesError):
    """A payload does not fit its job type, or cannot be stored as JSON."""

    #: The argument that does not fit, where it is one.
    argument: str | None = None


class OptionError(QueuesError):
    """An option of a push or of a job type is out of range or contradicts another."""


class FakeError(QueuesError):
    """A test asked something of its fake, its clock or its worker that cannot be."""


class ScheduleError(QueuesError):
    """A schedule's expression, zone or option cannot be; the message names the field."""


class DuplicateSchedule(QueuesError):
    """Another schedule has this name already."""


class ScheduleNotFound(QueuesError):
    """There is no schedule of this name."""


class UnknownJobType(QueuesError):
    """No job type is registered under this type string."""


class DuplicateJobType(QueuesError):
    """Another job type is already registered under this type string."""


class NotAllowed(QueuesError, Forbidden):
    """The user of a request may not push this; where nobody catches it, the answer is 403."""

    def __init__(self, text: str) -> None:
        Forbidden.__init__(self, text)
        self.args = (text,)

    def __str__(self) -> str:
        return str(self.args[0])


class QueueFull(QueuesError):
    """As many jobs wait in a queue as `QUEUES_MAX_WAITING` allows; nothing of the push was stored."""

    def __init__(self, queue: str, bound: int, waiting: int, more: int) -> None:
        refused = "1 more was not stored" if more == 1 else f"{more:,} more were not stored"
        super().__init__(
            f"The queue {queue} is full (jobs that wait: {waiting:,}, QUEUES_MAX_WAITING: {bound:,}), so {refused}. "
            "Push again later, start more workers, or raise the bound."
        )
        self.queue = queue
        #: How many may wait, and how many did.
        self.bound = bound
        self.waiting = waiting


class PushLimited(QueuesError, TooManyRequests):
    """The user or address of a request has pushed too much; where nobody catches it, the answer is 429.

    It tells in `Retry-After` when the push may be repeated, and in `retry_after`, in seconds: None for more jobs
    than may ever be pushed at once.
    """

    def __init__(self, limit: str, number: int, seconds: int | None) -> None:
        what = "this push" if number == 1 else f"these {number:,} pushes"
        when = "Push fewer at once." if seconds is None else f"Try again in {seconds} s."
        text = f"Too many jobs for one user or address ({what}, QUEUES_PUSH_LIMIT: {limit}). {when}"
        TooManyRequests.__init__(self, text, retry_after=seconds)
        self.args = (text,)

    def __str__(self) -> str:
        return str(self.args[0])


class JobNotFound(QueuesError):
    """The storage holds no job with this id; it never existed or was deleted."""


class BatchNotFound(QueuesError):
    """Raised where there is no batch of this id."""


class JobFailed(QueuesError):
    """A result was asked of a job that failed for good."""


class JobCancelled(QueuesError):
    """A result was asked of a job that was cancelled."""


class ResultNotReady(QueuesError):
    """A result was asked of a job that has not ended within the timeout."""


class TransitionError(QueuesError):
    """A job cannot make this change in the status it is in."""


class UniqueTaken(TransitionError):
    """An ended job cannot go back into its line: another job holds its unique key now."""


class PayloadChanged(TransitionError):
    """A job's payload is no longer the one that whoever would change it has seen; nothing was changed."""


class OptionsChanged(TransitionError):
    """A storage does not end a waiting job whose options were changed: whoever claims it knows what its end causes."""


class StorageError(QueuesError):
    """Base of everything that goes wrong in the storage."""

    #: Of a push: the ids of its jobs in their order, with which it may be repeated.
    ids: tuple[str, ...] = ()


class StorageUnavailable(StorageError):
    """The storage cannot be reached, read or written now; nothing was changed."""


class StorageFull(StorageError):
    """The storage has no room left; nothing was changed."""


class StorageFormatError(StorageError):
    """What lies at the storage's place is not ours, or was written by a newer version."""


class KeyMissing(StorageError):
    """What would be changed is encrypted with a key that this process lacks; nothing was changed."""


class PushUncertain(StorageError):
    """A push is stored, but not confirmed by as many replicas as `QUEUES_REDIS_WAIT` asks for.

    Pushing again with the same id, `push(…, id=error.ids[0])`, is safe and waits for the replicas again.
    """


class JobTimeout(QueuesError):
    """A job ran longer than its timeout; handed to `failed()`."""


class WorkerLost(QueuesError):
    """The process that ran the job died or vanished; handed to `failed()`."""


class DamagedRecord(QueuesError):
    """What is stored of a job, or of a schedule, cannot be read; kept as a job's error, and handed to nobody."""


class Retry(Exception):
    """Raise it in a job to put the job off without costing a try.

    `delay` is in seconds from now, or a timedelta; 0 puts the job back at once.
    """

    def __init__(self, delay: float | timedelta = 0) -> None:
        seconds: Any = delay.total_seconds() if isinstance(delay, timedelta) else delay
        if not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise OptionError(f"Retry(delay={delay!r}): a delay is 0 seconds or more.")
        super().__init__(f"put off for {seconds:g} s")
        #: In seconds.
        self.delay = float(seconds)


class RateLimited(Exception):
    """Raise it in a job that was told to come back later, as by a 429: its whole queue is held until then.

    `after` is in seconds from now, or a timedelta. The job keeps its place and loses no try.
    """

    def __init__(self, after: float | timedelta) -> None:
        seconds: Any = after.total_seconds() if isinstance(after, timedelta) else after
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise OptionError(f"RateLimited(after={after!r}): it takes 0 seconds or more.")
        super().__init__(f"held for {seconds:g} s")
        #: In seconds.
        self.after = float(seconds)


class Discard(Exception):
    """Raise it in a job to end the job as cancelled, never to run again.

    `reason` is kept with it. The job has not failed, so its `failed()` is not called.
    """

    def __init__(self, reason: str = "discarded by the job") -> None:
        super().__init__(reason)
        self.reason = reason
