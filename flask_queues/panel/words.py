"""The words for statuses, outcomes and what is said of a job, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from ..alerts import Alert
from ..manager import Manager
from ..metrics import Outlook
from ..pausing import Pause
from ..record import Attempt, JobRecord, Memory, Outcome, Status
from ..storage.unique import REPLACED, was_replaced
from .formats import duration, exact, now, number, when
from .language import _l, ngettext
from .language import gettext as _

STATUSES = {
    Status.PENDING: _l("pending"),
    Status.RUNNING: _l("running"),
    Status.SCHEDULED: _l("scheduled"),
    Status.COMPLETED: _l("completed"),
    Status.FAILED: _l("failed"),
    Status.CANCELLED: _l("cancelled"),
}
#: What stands first on a list of jobs: the oldest, or the newest.
FIRST_AND_LAST = {
    Status.PENDING: (_l("Longest wait first"), _l("Newest first")),
    Status.RUNNING: (_l("Started first"), _l("Newest first")),
    Status.SCHEDULED: (_l("Soonest first"), _l("Latest first")),
}
ENDED_ORDERS = (_l("Oldest first"), _l("Newest first"))
TAGGED_ORDERS = (_l("First pushed first"), _l("Last pushed first"))
OTHER_ORDERS = {"next": _l("Next to run first"), "slowest": _l("Slowest first")}
OUTCOMES = {
    Outcome.COMPLETED: _l("completed"),
    Outcome.FAILED: _l("failed"),
    Outcome.TIMED_OUT: _l("stopped at its timeout"),
    Outcome.KILLED: _l("its process died"),
    Outcome.LOST: _l("rescued"),
    Outcome.PUT_OFF: _l("put off"),
    Outcome.GIVEN_BACK: _l("given back"),
    Outcome.DISCARDED: _l("discarded"),
    Outcome.CANCELLED: _l("cancelled"),
}
#: Names of the job types that `builtin.py` has.
BUILTIN = {
    "queues:clear-cache": _l("Clear a cache"),
    "queues:heartbeat": _l("Report to a watchdog"),
    "queues:change-many": _l("Change many jobs"),
}
OCCURRENCES = {
    "fired": _l("fired"),
    "caught up": _l("caught up"),
    "run by hand": _l("run by hand"),
    "left out: still running": _l("left out: still running"),
    "left out: paused": _l("left out: paused"),
    "left out: missed": _l("left out: missed"),
}
CATCH_UPS = {
    "none": _l("are not caught up"),
    "one": _l("the last is caught up"),
    "all": _l("all are caught up"),
}
STATES = {
    "working": _l("working"),
    "idle": _l("idle"),
    "quiet": _l("quiet"),
    "stopping": _l("stopping"),
    "silent": _l("silent"),
    "lost": _l("lost"),
    "damaged": _l("damaged"),
}
#: What is wrong where a threshold is crossed, in a sentence and in a word.
ALERTS = {
    "longest_wait": (
        _l("A job in %(queue)s has waited for %(value)s; %(threshold)s are allowed."),
        _l("Waits too long"),
    ),
    "failures_per_hour": (
        _l("Jobs of %(queue)s that failed within an hour: %(value)s; %(threshold)s are allowed."),
        _l("Many failures"),
    ),
    "pending": (_l("Jobs pending in %(queue)s: %(value)s; %(threshold)s are allowed."), _l("Too many wait")),
    "grows": (_l("For %(value)s more has come into %(queue)s than can be done."), _l("Grows")),
    "no_worker": (_l("No worker has served %(queue)s for %(value)s."), _l("No worker")),
    "schedule_late": (
        _l("The schedule %(schedule)s was %(value)s late; %(threshold)s are allowed."),
        _l("Schedule is late"),
    ),
}
#: Thresholds that are times in seconds.
TIMED = frozenset({"longest_wait", "grows", "no_worker", "schedule_late"})
BREAKERS = {
    "closed": _l("lets jobs through"),
    "open": _l("holds jobs back"),
    "trying": _l("one job is tried"),
}
OUTLOOKS = {
    "empty": _l("empty"),
    "paused": _l("paused"),
    "no worker": _l("no worker"),
    "unknown": _l("unknown"),
}
#: What can be done with a job, on a button.
VERBS = {
    "retry": _l("Retry"),
    "run": _l("Run now"),
    "push": _l("Push again"),
    "cancel": _l("Cancel"),
    "delete": _l("Delete"),
}
#: When a batch's callback is pushed.
CALLBACKS = {
    "then": _l("when all have completed"),
    "catch": _l("with the first failure"),
    "finally": _l("when all have ended"),
}
#: What somebody did, in the activity.
ACTS = {
    **VERBS,
    "new": _l("Push"),
    "change": _l("Change"),
    "pause": _l("Pause"),
    "resume": _l("Resume"),
    "clear": _l("Clear away"),
    "flush": _l("Empty"),
    "quiet": _l("Make quiet"),
    "go on": _l("Let go on"),
    "restart": _l("Restart"),
    "stacks": _l("Show stacks"),
}
#: What Flask-Queues itself writes into a job, in English; the first line of each is all of it.
WRITTEN = (
    _l("It did not start before it expired."),
    _l("The worker vanished; its lease ran out."),
    _l("cancelled by the application"),
    _l("discarded by the job"),
    _l("Its push broke off."),
    _l("cancelled through a link to it"),
)
PAUSED_BY = re.compile(r"paused by (.+) in the panel")
BY_PERSON = re.compile(r"cancelled by (.+) in the panel")


def job_type_name(name: str, type_string: str) -> str:
    """What a job type is called; a name of ours in the reader's language."""
    return _(name) if BUILTIN.get(type_string) == name else name


def status_word(status: Status) -> str:
    """As it stands in a sentence."""
    return _(STATUSES[status])


def label(text: str) -> str:
    """As it stands at the start of a label."""
    return text[:1].upper() + text[1:]


def order_word(status: Status, order: str, *, tagged: bool) -> str:
    """What stands first on a list of jobs."""
    first, last = TAGGED_ORDERS if tagged else FIRST_AND_LAST.get(status, ENDED_ORDERS)
    word = {"oldest": first, "newest": last, **OTHER_ORDERS}[order]
    return _(word)


def slowest_word(among: int) -> str:
    """That the slowest of so many stand first."""
    return ngettext("The slowest of the newest %(n)s", "The slowest of the newest %(n)s", among)


def alert_text(alert: Alert) -> str:
    """What is wrong, in a sentence; as a keeper has measured it last."""
    say = duration if alert.kind in TIMED else number
    values = {"value": say(alert.value), "threshold": say(alert.threshold)}
    return _(ALERTS[alert.kind][0], queue=alert.queue, schedule=alert.schedule or "", **values)


def alert_word(alert: Alert) -> str:
    """What is wrong, for a badge."""
    return _(ALERTS[alert.kind][1])


def status_label(status: Status) -> str:
    """The status as a heading or a badge."""
    return label(status_word(status))


def outcome_label(attempt: Attempt) -> str:
    """How a run ended, or that it has not."""
    return label(_(OUTCOMES[attempt.outcome]) if attempt.outcome else status_word(Status.RUNNING))


def memory_text(memory: Memory) -> str:
    """What the process of a run held at its highest."""
    most, more = round(memory.most), round(memory.more)
    if not more:
        return _("up to %(most)s MB", most=number(most))
    return _("up to %(most)s MB, %(more)s MB more than before", most=number(most), more=number(more))


def act_word(action: str) -> str:
    """What somebody did."""
    return _(ACTS[action]) if action in ACTS else action


def verb_here(action: str) -> str:
    """What a button on a job's own page says, where nothing beside it says that it is done at once."""
    return _("Retry now") if action == "retry" else _(VERBS[action])


def asks_first(verb: str) -> str:
    """What a button says that leads to a question."""
    return _("%(verb)s …", verb=verb)


def doing(verb: str, name: str) -> str:
    """What a button does, and with what: for whoever hears it without its row."""
    return _("%(verb)s %(name)s", verb=verb, name=name)


def heard(verb: str, name: str) -> Markup:
    """The same as the text of a button, of which the verb alone is seen."""
    whole = doing(verb, name)
    if whole.startswith(verb):
        return Markup("%s<i>%s</i>") % (verb, whole.removeprefix(verb))
    return Markup('<span aria-hidden="true">%s</span><i>%s</i>') % (verb, whole)


def callback_label(name: str) -> str:
    """When a callback of a batch is pushed."""
    return label(_(CALLBACKS[name]))


def paused_text(pause: Pause) -> str:
    """By whom something is paused, why, and until when."""
    parts = [
        _("paused by %(name)s", name=pause.by) if pause.by else _("held back by a job"),
        *([_("until %(time)s", time=exact(pause.until))] if pause.until is not None else []),
        *([pause.reason] if pause.reason else []),
    ]
    return ", ".join(parts)


def state_label(state: str) -> str:
    """How a worker is."""
    return label(_(STATES[state]))


def breaker_label(state: str) -> str:
    """How a circuit breaker is."""
    return label(_(BREAKERS[state]))


def reason_text(reason: str) -> str:
    """Why a job was cancelled, translated where we have written it ourselves."""
    if match := BY_PERSON.fullmatch(reason):
        return _("cancelled by %(name)s", name=match[1])
    if was_replaced(reason):
        return _("Replaced by job %(id)s.", id=reason.removeprefix(REPLACED).rstrip("."))
    return _(reason) if reason in WRITTEN else reason


def occurrence_text(outcome: str) -> str:
    """What became of an occurrence of a schedule."""
    return label(_(OCCURRENCES[outcome])) if outcome in OCCURRENCES else outcome


def catch_up_text(catch_up: str | int) -> str:
    """What happens to occurrences that nobody was there for."""
    if isinstance(catch_up, str) and catch_up in CATCH_UPS:
        return _(CATCH_UPS[catch_up])
    return _("up to %(n)s are caught up", n=number(int(catch_up)))


def pause_text(reason: str) -> str:
    """Why a schedule is paused, translated where we have written it ourselves."""
    if match := PAUSED_BY.fullmatch(reason):
        return _("Paused by %(name)s.", name=match[1])
    return reason


def attempt_text(manager: Manager, record: JobRecord) -> str:
    """Which attempt comes, or runs; said from the second on."""
    this = record.attempts + (record.status in (Status.PENDING, Status.RUNNING, Status.SCHEDULED))
    if this < 2:
        return ""
    if (until := retried_on(manager, record)) is not None:
        run = len(record.history) + (record.status is not Status.RUNNING)
        return _("run %(this)s, until %(time)s", this=number(run), time=exact(until))
    return _("%(this)s of %(tries)s", this=number(this), tries=number(max(this, manager.tries_of(record))))


def retried_on(manager: Manager, record: JobRecord) -> datetime | None:
    """Until when no failure ends it, where that is a time to come."""
    until = manager.retry_until_of(record)
    return until if until is not None and until > now() and not record.status.final else None


def because(manager: Manager, record: JobRecord) -> str:
    """Why a job waits for its time."""
    last = record.history[-1] if record.history else None
    if last is None or last.outcome is None:
        if record.chain is not None and record.chain.at > 1:
            return _("delayed in its chain")
        return _("delayed in its batch") if record.batch is not None else _("delayed when it was pushed")
    if last.outcome is Outcome.PUT_OFF:
        return _("put off by the job itself")
    return _(
        "attempt %(attempt)s after %(error)s",
        attempt=attempt_text(manager, record) or "1",
        error=error_name(record) or _(OUTCOMES[last.outcome]),
    )


def error_name(record: JobRecord) -> str:
    """The class of a job's last error, without its module."""
    return record.error.type.rpartition(".")[2] if record.error else ""


def about(seconds: float) -> str:
    """A time that is expected: never finer than it is known."""
    if seconds < 1:
        return f"\N{ALMOST EQUAL TO} {duration(1)}"
    size = 10 ** (len(str(round(seconds))) - 2) if seconds >= 100 else 1
    return f"\N{ALMOST EQUAL TO} {duration(round(seconds / size) * size)}"


def outlook_text(outlook: Outlook) -> str:
    """When a queue will be empty."""
    if outlook.what == "in":
        return about(outlook.value)
    if outlook.what == "grows":
        return _("grows by %(n)s/min", n=number(round(outlook.value, 1 if outlook.value < 10 else None)))
    return _(OUTLOOKS[outlook.what])


def backoff_text(manager: Manager, record: JobRecord) -> str:
    """How long it waits after each failed attempt; the last wait stands for all that follow."""
    waits = manager.backoff_of(record)
    return ", ".join(duration(wait) for wait in waits) if waits is not None else _("as the job type's code says")


def spark_text(values: Sequence[int | None]) -> str:
    """What a small chart of the last hour shows, in words."""
    known = [value for value in values if value is not None]
    if not known:
        return _("Nothing was measured yet.")
    return _(
        "%(way)s, %(least)s to %(most)s a minute", way=way_of(known), least=number(min(known)), most=number(max(known))
    )


def way_of(values: Sequence[int]) -> str:
    """Whether values rise or fall: the mean of the later half is a fifth above or below that of the earlier one."""
    half = max(1, len(values) // 2)
    earlier, later = sum(values[:half]) / half, sum(values[-half:]) / half
    if abs(later - earlier) < max(earlier, later) / 5 or later == earlier:
        return _("level")
    return _("rising") if later > earlier else _("falling")


def ended(record: JobRecord) -> datetime:
    """When a job has reached its final status."""
    return record.finished or record.started or record.created


def ran_for(record: JobRecord) -> timedelta | None:
    """How long the last run took, or takes."""
    last = record.history[-1] if record.history else None
    if last is None:
        return None
    return (last.ended or now()) - last.started


def waited(record: JobRecord) -> timedelta | None:
    """How long a job waited for its first run; None where it had none, or was given another time since."""
    if not record.history or record.due > record.history[0].started:
        return None
    return record.history[0].started - max(record.created, record.due)


def deleted_at(manager: Manager, record: JobRecord) -> datetime | None:
    """When the retention of an ended job is over; None where it never is."""
    kept = manager.retention_of(record)
    return None if kept is None else ended(record) + kept


def when_or_never(moment: datetime | None) -> str:
    """When something is, as a person says it in a sentence."""
    return _("never") if moment is None else when(moment)


def process_of(worker: str | None) -> tuple[str, str]:
    """Host and process number of what ran a job."""
    host, _sep, rest = (worker or "").partition(":")
    return host, rest.partition(":")[0]
