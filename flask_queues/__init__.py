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
from .record import JobRecord, Outcome, Progress, Status
from .storage import SQLiteCache

__version__ = "0.1.0.dev0"

__all__ = [
    "ConfigError",
    "Discard",
    "DuplicateJobType",
    "FunctionJob",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "JobRecord",
    "JobTimeout",
    "OptionError",
    "Outcome",
    "PayloadError",
    "Progress",
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
    "current_job",
    "current_queues",
]
