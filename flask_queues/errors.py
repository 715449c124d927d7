"""Every error of Flask-Queues, in one tree below `QueuesError`."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from werkzeug.exceptions import Forbidden


class QueuesError(Exception):
    """Base of everything that Flask-Queues raises on purpose."""


class ConfigError(QueuesError):
    """The configuration, or the way the extension was set up, cannot work."""


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


class StorageError(QueuesError):
    """Base of everything that goes wrong in the storage."""


class StorageUnavailable(StorageError):
    """The storage cannot be reached, read or written now; nothing was changed."""


class StorageFull(StorageError):
    """The storage has no room left; nothing was changed."""


class StorageFormatError(StorageError):
    """What lies at the storage's place is not ours, or was written by a newer version."""


class PushUncertain(StorageError):
    """A push is stored, but not confirmed by as many replicas as `QUEUES_REDIS_WAIT` asks for.

    Pushing again with the same id is safe.
    """


class JobTimeout(QueuesError):
    """A job ran longer than its timeout; handed to `failed()`."""


class WorkerLost(QueuesError):
    """The process that ran the job died or vanished; handed to `failed()`."""


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
