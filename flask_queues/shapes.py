"""How jobs, workers and log lines look to programs: the JSON of the command line and of the panel, secrets masked."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from .alerts import Alert
from .batches import BatchRecord
from .breakers import BreakerState
from .chains import ChainRecord
from .errors import JobNotFound
from .manager import Manager
from .masking import MASK, Secrets, masked, masked_text, masked_texts, secrets_in
from .metrics import FailureCause
from .pausing import Pause
from .record import Attempt, ChainPlace, JobError, JobRecord, LogLine, WorkerRecord
from .scheduler import OccurrenceRecord, ScheduleRecord
from .storage.unique import was_replaced

#: The end of a key that was made of a payload.
DIGEST = re.compile(":[0-9a-f]{32}$")


def iso(moment: datetime | None) -> str | None:
    """A time for programs: ISO 8601 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def secrets_of(manager: Manager, record: JobRecord) -> set[str]:
    """The secret texts of a job's payload and result, which its errors and log may repeat."""
    hidden = manager.sensitive(record.type)
    return Secrets([*secrets_in(record.payload, hidden), *secrets_in(record.result, hidden)])


def job_fields(manager: Manager, record: JobRecord) -> dict[str, Any]:
    """A job for programs."""
    hidden, secrets = manager.sensitive(record.type), secrets_of(manager, record)
    return {
        "id": record.id,
        "type": record.type,
        "name": manager.name_of(record.type),
        "queue": record.queue,
        "status": record.status.value,
        "priority": record.priority,
        "tags": list(record.tags),
        "created": iso(record.created),
        "due": iso(record.due),
        "expires": iso(record.expires),
        "started": iso(record.started),
        "finished": iso(record.finished),
        "attempts": record.attempts,
        "tries": manager.tries_of(record),
        "timeout": manager.timeout_of(record),
        "retry_until": iso(manager.retry_until_of(record)),
        "worker": record.worker,
        "progress": progress_fields(record, secrets),
        "payload": masked(record.payload, hidden),
        "result": masked(record.result, hidden),
        "error": error_fields(record.error, secrets),
        "reason": masked_text(record.reason, secrets) if record.reason else record.reason,
        "held": record.held,
        "chain": chain_fields(record.chain),
        "followers": [{**one._asdict(), "dropped": was_replaced(record.reason)} for one in record.followers],
        "batch": record.batch,
        "unique_key": unique_key_shown(record, secrets),
        "origin": record.origin._asdict() if record.origin else None,
        "request_id": record.request_id,
        "locale": record.locale,
        "occurrence": iso(record.occurrence),
        "history": [attempt_fields(attempt, secrets) for attempt in record.history],
    }


def open_job_fields(manager: Manager, record: JobRecord) -> dict[str, Any]:
    """A job for programs that may see its secrets."""
    fields = job_fields(manager, record)
    for attempt, shown in zip(record.history, fields["history"], strict=True):
        shown["error"] = attempt.error._asdict() if attempt.error else None
    return {
        **fields,
        "progress": record.progress._asdict() if record.progress else None,
        "payload": record.payload,
        "result": record.result,
        "error": record.error._asdict() if record.error else None,
        "reason": record.reason,
        "unique_key": record.unique_key,
    }


def unique_key_shown(record: JobRecord, secrets: set[str]) -> str | None:
    """What made a job unique, without secrets: a short one could be guessed from a digest of the payload."""
    if record.unique_key is None:
        return None
    if secrets and DIGEST.search(record.unique_key):
        return f"{record.type}:{MASK}"
    return masked_text(record.unique_key, secrets)


def chain_fields(place: ChainPlace | None) -> dict[str, Any] | None:
    """Where a job stands in its chain, for programs."""
    return None if place is None else place._asdict()


def chain_record_fields(manager: Manager, chain: ChainRecord) -> dict[str, Any]:
    """A chain for programs."""
    return {
        "id": chain.id,
        "status": chain.status.value,
        "at": chain.at,
        "of": chain.of,
        "current": chain.current.id,
        "jobs": [job_fields(manager, job) for job in chain.jobs],
        "after": chain.after,
    }


def batch_fields(record: BatchRecord) -> dict[str, Any]:
    """A batch for programs."""
    return {
        "id": record.id,
        "name": record.name,
        "status": record.status.value,
        "created": iso(record.created),
        "ended": iso(record.ended),
        "total": record.total,
        "done": record.done,
        "percent": round(record.percent, 2),
        "counts": dict(record.counts),
        "growing": record.growing,
        "reason": record.reason,
        "queues": list(record.queues),
        "callbacks": dict(record.callbacks),
        "fired": list(record.fired),
    }


def progress_fields(record: JobRecord, secrets: set[str]) -> dict[str, Any] | None:
    """How far a job says it is, for programs."""
    if record.progress is None:
        return None
    return {"percent": record.progress.percent, "message": masked_text(record.progress.message, secrets)}


def attempt_fields(attempt: Attempt, secrets: set[str]) -> dict[str, Any]:
    """A run for programs."""
    return {
        "run": attempt.run,
        "worker": attempt.worker,
        "release": attempt.release or None,
        "started": iso(attempt.started),
        "ended": iso(attempt.ended),
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "error": error_fields(attempt.error, secrets),
        "memory_mb": attempt.memory.most if attempt.memory else None,
        "memory_more_mb": attempt.memory.more if attempt.memory else None,
    }


def error_fields(error: JobError | None, secrets: set[str]) -> dict[str, str] | None:
    """An error for programs."""
    return masked_error(error, secrets)._asdict() if error else None


def masked_error(error: JobError, secrets: set[str]) -> JobError:
    """The error without the secrets that it repeats."""
    return JobError(error.type, masked_text(error.message, secrets), masked_text(error.traceback, secrets))


def log_fields(line: LogLine, sensitive: frozenset[str], secrets: set[str], *, plain: bool = False) -> dict[str, Any]:
    """A log line for programs; `plain` hides nothing."""
    if plain:
        return {**line._asdict(), "time": iso(line.time)}
    context = masked_texts(masked(line.context, sensitive), secrets)
    return {**line._asdict(), "message": masked_text(line.message, secrets), "context": context, "time": iso(line.time)}


def worker_fields(manager: Manager, worker: WorkerRecord, now: datetime) -> dict[str, Any]:
    """A worker for programs."""
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "status": state(manager, worker, now),
        "damage": worker.damage or None,
        "version": worker.version,
        "release": worker.release or None,
        "queues": list(worker.queues),
        "started": iso(worker.started),
        "heartbeat": iso(worker.heartbeat),
        "jobs": [job for child in worker.children for job in child.jobs],
        "completed": worker.completed,
        "processes": [
            {"name": child.name, "pid": child.pid, "memory_mb": child.memory, "jobs": list(child.jobs)}
            for child in worker.children
        ],
    }


def state(manager: Manager, worker: WorkerRecord, now: datetime) -> str:
    """One word for how a worker is: it is silent before its lease ends, and lost after.

    Of one that is damaged nobody can read what it said of itself last; its next sign of life mends that.
    """
    if worker.damage:
        return "damaged"
    silence = worker.silence(now)
    if silence > manager.config.lease:
        return "lost"
    if silence > max(5.0, manager.config.lease / 3):
        return "silent"
    if worker.stopping:
        return "stopping"
    if worker.quiet:
        return "quiet"
    return "working" if any(child.jobs for child in worker.children) else "idle"


def pause_fields(pause: Pause) -> dict[str, Any]:
    """A pause for programs."""
    return {
        "queue": pause.queue,
        "type": pause.type,
        "until": iso(pause.until),
        "reason": pause.reason,
        "by": pause.by,
        "since": iso(pause.since),
    }


def breaker_fields(breaker: BreakerState) -> dict[str, Any]:
    """A circuit breaker for programs."""
    return {
        "type": breaker.type,
        "key": breaker.key,
        "state": breaker.state,
        "failures": breaker.failures,
        "since": iso(breaker.since),
        "until": iso(breaker.until),
        "trial": breaker.trial,
        "error": breaker.error,
    }


def alert_fields(alert: Alert) -> dict[str, Any]:
    """An alert for programs."""
    return {
        "kind": alert.kind,
        "queue": alert.queue,
        "schedule": alert.schedule,
        "value": alert.value,
        "threshold": alert.threshold,
        "since": iso(alert.since),
    }


def cause_fields(one: FailureCause) -> dict[str, Any]:
    """A cause of failures for programs."""
    return {
        "key": one.cause.key,
        "error": one.cause.type,
        "message": one.cause.message,
        "example": one.cause.example,
        "frame": one.cause.frame,
        "jobs": one.number,
        "first": iso(one.begin),
        "last": iso(one.end),
        "release": one.release or None,
        "types": one.types,
        "queues": one.queues,
    }


def schedule_result(manager: Manager, record: ScheduleRecord) -> str | None:
    """What became of the last occurrence: its job's status, or why there is none."""
    if record.outcome is None or record.outcome.startswith("left out") or record.job is None:
        return record.outcome
    try:
        return manager.find(record.job).status.value
    except JobNotFound:
        return record.outcome


def schedule_fields(manager: Manager, record: ScheduleRecord, language: str) -> dict[str, Any]:
    """A schedule for programs."""
    return {
        "name": record.name,
        "when": record.when,
        "words": record.words(language),
        "timezone": record.timezone,
        "type": record.type,
        "queue": record.queue,
        "payload": masked(record.payload, manager.sensitive(record.type)),
        "overlap": record.overlap,
        "catch_up": record.catch_up,
        "starts": iso(record.starts),
        "ends": iso(record.ends),
        "left": record.left,
        "paused": record.paused,
        "defined_in_code": record.defined_in_code,
        "stored": record.stored,
        "next": iso(record.next),
        "last": iso(record.last),
        "outcome": record.outcome,
        "job": record.job,
        "result": schedule_result(manager, record),
    }


def occurrence_fields(line: OccurrenceRecord) -> dict[str, Any]:
    """What became of an occurrence, for programs."""
    return {**line._asdict(), "due": iso(line.due), "decided": iso(line.decided)}
