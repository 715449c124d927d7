"""Background jobs for Flask: queues, retries and one worker, kept in a single file or in Redis."""

from .errors import (
    ConfigError,
    Discard,
    DuplicateJobType,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobTimeout,
    OptionError,
    PayloadError,
    PushUncertain,
    QueuesError,
    ResultNotReady,
    Retry,
    StorageError,
    StorageFormatError,
    StorageFull,
    StorageUnavailable,
    TransitionError,
    UnknownJobType,
    WorkerLost,
)
from .extension import Queues
from .job import FunctionJob, Job, current_job
from .manager import JobHandle, current_queues
from .record import Attempt, Counts, JobError, JobRecord, LogLine, Outcome, Page, Progress, Status, WorkerRecord
from .storage import SQLiteCache

__version__ = "0.1.0.dev0"

__all__ = [
    "Attempt",
    "ConfigError",
    "Counts",
    "Discard",
    "DuplicateJobType",
    "FunctionJob",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "JobRecord",
    "JobTimeout",
    "LogLine",
    "OptionError",
    "Outcome",
    "Page",
    "PayloadError",
    "Progress",
    "PushUncertain",
    "Queues",
    "QueuesError",
    "ResultNotReady",
    "Retry",
    "SQLiteCache",
    "Status",
    "StorageError",
    "StorageFormatError",
    "StorageFull",
    "StorageUnavailable",
    "TransitionError",
    "UnknownJobType",
    "WorkerLost",
    "WorkerRecord",
    "current_job",
    "current_queues",
]
