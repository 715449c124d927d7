"""What an application may listen to: signals of blinker, like Flask's own::

    from flask_queues.signals import job_failed

    @job_failed.connect
    def tell(app, *, job_id, type, error, **more): ...

The sender is the application, the rest comes by name; end with `**more`, since a later version may say more. Every
signal of a job has `job_id`, `type` and `queue`; `queues.find(job_id)` reads the rest. Those of a claimed job have
`worker`, the process that holds it as `record.worker` names it, and `attempt`, from 1. Moments are aware, in UTC.

A signal is sent once the storage has acknowledged what it tells, in the process that did it, and perhaps in another
thread than the job's. Receivers run in an application context, one after another, and hold that process up meanwhile:
the worker's keeper, which is replaced when it hangs, sends those of workers, of schedules and of jobs whose process
died. What a receiver raises is logged and changes nothing.

Jobs run at least once, so a signal of one may come again; where a process dies between a change and its signal, it is
not sent. What must not be missed belongs into the job, its `failed`, or a job that it pushes.
"""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING, Any

from blinker import Namespace
from flask import current_app, has_app_context

if TYPE_CHECKING:
    from blinker import NamedSignal
    from flask import Flask

logger = logging.getLogger("flask_queues")

_signals = Namespace()

#: A job was stored: pushed, or fired by a schedule. Not sent where a push led to a job that was there already.
job_pushed = _signals.signal("queues-job-pushed")

#: A worker begins with a job that it has claimed. One of completed, retried, failed and cancelled follows.
job_claimed = _signals.signal("queues-job-claimed")

#: It said how far it is, and that was stored: `percent`, `message`.
job_progressed = _signals.signal("queues-job-progressed")

#: It ran to its end: `result`, as it is kept, and `seconds` that the run took.
job_completed = _signals.signal("queues-job-completed")

#: It will run again, in `delay` seconds at the earliest. `outcome` is an `Outcome` and says why: failed, timed out,
#: killed or lost with its process, put off by `Retry` or `RateLimited`, given back by a worker that stops; None where
#: somebody has retried it, without `worker` and `attempt` then. `error` is a `JobError` or None. `exception` is what
#: the job raised and `seconds` what the run took, in the process that ran it; elsewhere both are None.
job_retried = _signals.signal("queues-job-retried")

#: No try is left, and its `failed` has run, or its process has died in that: `error`, `exception`, `outcome` and
#: `seconds` as above. Where nothing ran any more but its `failed`, `outcome` is None.
job_failed = _signals.signal("queues-job-failed")

#: It has ended on somebody's word, its own (`Discard`), or since it expired: `reason`. With `worker`, `attempt` and
#: `seconds` where it was claimed. Not sent for a job whose place another has taken (`replace`).
job_cancelled = _signals.signal("queues-job-cancelled")

#: Its lease ran out, and it was taken from its `worker`. What becomes of it is told by the next signal.
job_rescued = _signals.signal("queues-job-rescued")

#: A worker has given its first sign of life: `record`, its `WorkerRecord`.
worker_started = _signals.signal("queues-worker-started")

#: A process of a worker begins, after the fork: the moment to drop what the application has connected before it.
#: `worker` is its name as its jobs have it; `keeper` tells whether it is the keeper, which runs no jobs. Sent once by a
#: worker that cannot fork, too.
child_started = _signals.signal("queues-child-started")

#: A worker has stopped in order, all its processes but the keeper have ended: `record`.
worker_stopped = _signals.signal("queues-worker-stopped")

#: A schedule has pushed a job: its `name`, `due`, the `outcome` as its history has it, `job_id`, `type`, `queue`.
schedule_fired = _signals.signal("queues-schedule-fired")

#: A threshold of `QUEUES_ALERTS` was crossed, or is kept again: `alert`, an `alerts.Alert`. Sent in a worker, from a
#: thread of its keeper.
alert_changed = _signals.signal("queues-alert-changed")

#: A schedule has left out an occurrence: its `name`, `due`, and the `outcome`, which says why.
schedule_left_out = _signals.signal("queues-schedule-left-out")


def send(signal: NamedSignal, app: Flask, *, exits: bool = False, **fields: Any) -> None:
    """Call whoever listens, each on its own, in an application context; what one raises is logged.

    `exits` tells that `sys.exit()` is a mistake here like any other, and not asked for by whoever runs this process.
    """
    if not signal.receivers or signal.is_muted:
        return
    mistakes = (Exception, SystemExit) if exits else (Exception,)
    if has_app_context() and current_app._get_current_object() is app:  # type: ignore[attr-defined]
        _call_each(signal, app, mistakes, fields)
    else:
        contextvars.copy_context().run(_call_in_context, signal, app, mistakes, fields)


Mistakes = tuple[type[BaseException], ...]


def _call_in_context(signal: NamedSignal, app: Flask, mistakes: Mistakes, fields: dict[str, Any]) -> None:
    try:
        with app.app_context():
            _call_each(signal, app, mistakes, fields)
    except mistakes:  # of the application, when its context is torn down
        logger.exception("The application context of the signal %s could not be left.", signal.name)


def _call_each(signal: NamedSignal, app: Flask, mistakes: Mistakes, fields: dict[str, Any]) -> None:
    for receiver in signal.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, **fields)
        except mistakes:
            logger.exception("%s, a receiver of the signal %s, failed.", name_of(receiver), signal.name)


def name_of(receiver: Any) -> str:
    """How a receiver is called where it is written."""
    named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
    return f"{getattr(named, '__module__', None)}.{named.__qualname__}"
