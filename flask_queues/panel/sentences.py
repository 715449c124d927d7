"""What is said of one job in sentences: why it stands where it does, and what happens next and when."""

from __future__ import annotations

from datetime import datetime

from ..manager import Manager
from ..masking import masked_text
from ..record import JobRecord, Status
from ..shapes import secrets_of
from .formats import duration, exact, now, number, when
from .language import _l
from .language import gettext as _
from .prospects import place_of
from .reads import Overview
from .words import about, because, deleted_at, ended, label, process_of, ran_for, reason_text, retried_on, when_or_never

#: What is said of a job that has ended to somebody who has a link to it.
FOR_HOLDERS = {
    Status.COMPLETED: _l("Done %(when)s."),
    Status.FAILED: _l("It did not succeed; it ended %(when)s."),
    Status.CANCELLED: _l("It was cancelled %(when)s."),
}


def verdict(manager: Manager, record: JobRecord) -> str:
    """The reason of a job's status in one line; empty where the status says it all."""
    if record.status is Status.CANCELLED:
        return label(masked_text(reason_text(record.reason or ""), secrets_of(manager, record)))
    if record.error and record.status in (Status.FAILED, Status.SCHEDULED, Status.PENDING):
        message = masked_text(record.error.message, secrets_of(manager, record))
        return str(record.error._replace(message=reason_text(message)))
    return ""


def progress_message(manager: Manager, record: JobRecord) -> str:
    """What a job says of how far it is, without the secrets that it repeats."""
    return masked_text(record.progress.message, secrets_of(manager, record)) if record.progress else ""


def what_next(manager: Manager, record: JobRecord, overview: Overview) -> str:
    """What happens next and when, in a sentence."""
    return {
        Status.PENDING: say_pending,
        Status.RUNNING: say_running,
        Status.SCHEDULED: say_scheduled,
        Status.COMPLETED: say_completed,
        Status.FAILED: say_failed,
        Status.CANCELLED: say_cancelled,
    }[record.status](manager, record, overview)


def for_holder(record: JobRecord, start: datetime | None) -> str:
    """How a job stands, for somebody who has a link to it: nothing of what goes on inside."""
    if record.status is Status.PENDING:
        return _("Starts in %(time)s.", time=about((start - now()).total_seconds())) if start else _("Waits its turn.")
    if record.status is Status.SCHEDULED:
        return _("Starts %(time)s.", time=when(record.due))
    if record.status is Status.RUNNING:
        return _("Has run for %(time)s.", time=duration(ran_for(record) or 0))
    return _(FOR_HOLDERS[record.status], when=when(ended(record)))


def retry_until_text(manager: Manager, record: JobRecord) -> str:
    """Until when no failure ends it, as a sentence behind another one."""
    until = retried_on(manager, record)
    return "" if until is None else " " + _("No failure ends it before %(time)s.", time=exact(until))


def say_pending(manager: Manager, record: JobRecord, overview: Overview) -> str:
    """Of a job that waits for a worker."""
    waited, fleet = duration(now() - record.due), overview.fleet
    if overview.pause_of(job_type=record.type) or (record.held and fleet.knows(record.type)):
        return _("Has waited for %(time)s: its job type is paused, or a limit holds it back.", time=waited)
    if record.held:
        return _(
            "Has waited for %(time)s: no worker that runs knows the job type %(type)s.", time=waited, type=record.type
        )
    if not fleet.alive:
        return _("Has waited for %(time)s: no worker runs.", time=waited)
    if not fleet.listen_to(record.queue):
        return _("Has waited for %(time)s: no worker listens to %(queue)s.", time=waited, queue=record.queue)
    if overview.pause_of(record.queue):
        return _("Has waited for %(time)s: %(queue)s is paused.", time=waited, queue=record.queue)
    place = place_of(manager, record, overview.counts, overview.now)
    start = None if place is None else overview.forecast(manager).start_of(record.queue, place)
    if place is None or start is None:
        return _(
            "Has waited for %(time)s in %(queue)s; starts as soon as a process is free.",
            time=waited,
            queue=record.queue,
        )
    return _(
        "Has waited for %(time)s in %(queue)s, as about number %(place)s in line; should start in %(start)s.",
        time=waited,
        queue=record.queue,
        place=number(place),
        start=about(start),
    )


def say_running(manager: Manager, record: JobRecord, _overview: Overview) -> str:
    """Of a job that runs."""
    host, pid = process_of(record.worker)
    return _(
        "Has run for %(time)s on %(host)s (process %(pid)s); is stopped after %(timeout)s. "
        "Attempt %(this)s of %(tries)s.",
        time=duration(ran_for(record) or 0),
        host=host,
        pid=pid,
        timeout=duration(manager.timeout_of(record)),
        this=number(record.attempts + 1),
        tries=number(max(record.attempts + 1, manager.tries_of(record))),
    ) + retry_until_text(manager, record)


def say_scheduled(manager: Manager, record: JobRecord, _overview: Overview) -> str:
    """Of a job that waits for its time."""
    sentence = _("Runs %(time)s: %(because)s.", time=when(record.due), because=because(manager, record))
    return sentence + retry_until_text(manager, record)


def say_completed(manager: Manager, record: JobRecord, _overview: Overview) -> str:
    """Of a job that has ended well."""
    return _(
        "Completed %(when)s, after %(time)s. Is deleted %(deleted)s.",
        when=when(ended(record)),
        time=duration(ran_for(record) or 0),
        deleted=when_or_never(deleted_at(manager, record)),
    )


def say_failed(manager: Manager, record: JobRecord, _overview: Overview) -> str:
    """Of a job that has failed for good."""
    return _(
        "Failed for good %(when)s, after %(this)s of %(tries)s attempts. "
        "Nothing more happens by itself; is deleted %(deleted)s.",
        when=when(ended(record)),
        this=number(record.attempts),
        tries=number(max(record.attempts, manager.tries_of(record))),
        deleted=when_or_never(deleted_at(manager, record)),
    )


def say_cancelled(manager: Manager, record: JobRecord, _overview: Overview) -> str:
    """Of a job that somebody has ended."""
    return _(
        "Ended %(when)s. Nothing more happens by itself; is deleted %(deleted)s.",
        when=when(ended(record)),
        deleted=when_or_never(deleted_at(manager, record)),
    )
