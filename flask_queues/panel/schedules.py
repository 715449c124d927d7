"""The schedules: when each is due, what became of its occurrences; run now, pause, resume."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import Blueprint, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..errors import QueuesError
from ..manager import current_queues
from ..record import JobRecord, Status
from ..scheduler import OccurrenceRecord, ScheduleRecord
from ..shapes import occurrence_fields, schedule_fields, schedule_result
from . import access, flashes, reads
from .address import way_back
from .formats import exact, now
from .language import gettext as _
from .language import locale
from .listing import PAGE
from .render import page
from .sorting import Order, in_order
from .strips import strips_of

#: Coming and past occurrences that are shown, and all that are kept.
COMING = 10
PAST = 30
KEPT = 100
ORDERS: dict[str, Order[ScheduleRecord]] = {
    "next": Order(lambda one: (one.next is None, one.next or 0, one.name), falling=False),
    "name": Order(lambda one: one.name, falling=False),
}


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/schedules", "schedules", schedules)
    blueprint.add_url_rule("/schedules/<path:schedule>", "schedule", one_schedule)
    blueprint.add_url_rule("/actions/schedule/<what>", "act_on_schedule", act, methods=["POST"])
    blueprint.add_url_rule("/api/schedules", "api_schedules", api_schedules)
    blueprint.add_url_rule("/api/schedules/<path:schedule>", "api_schedule", api_schedule)


class Wanted(NamedTuple):
    """Which schedules are wanted, as the address says."""

    text: str
    queue: str
    state: str

    @classmethod
    def of_request(cls) -> Wanted:
        """Read the address; an unknown state is none."""
        text, queue, state = (request.args.get(name, "").strip()[:128] for name in cls._fields)
        return cls(text, queue, state if state in STATES else "")

    @property
    def given(self) -> dict[str, str]:
        """What is set."""
        return {name: value for name, value in self._asdict().items() if value}

    def holds(self, record: ScheduleRecord) -> bool:
        """Whether a schedule is wanted; the text stands in its name or its job type."""
        words = f"{record.name}\n{record.type}\n{current_queues.name_of(record.type)}".casefold()
        return (
            self.text.casefold() in words
            and self.queue in ("", record.queue)
            and (not self.state or STATES[self.state](record))
        )


def last_failed(record: ScheduleRecord) -> bool:
    """Whether the job of its last occurrence has failed for good."""
    return schedule_result(current_queues, record) == Status.FAILED.value


#: What the address can say of how a schedule is.
STATES: dict[str, Callable[[ScheduleRecord], bool]] = {
    "paused": lambda record: record.paused is not None,
    "failed": last_failed,
}
#: What it can say of which occurrences are wanted.
RESULTS: dict[str, Callable[[OccurrenceRecord, JobRecord | None], bool]] = {
    "completed": lambda _, job: job is not None and job.status is Status.COMPLETED,
    "failed": lambda _, job: job is not None and job.status is Status.FAILED,
    "left-out": lambda line, _: line.job is None,
}


def schedules() -> ResponseReturnValue:
    """A page of them, the next first."""
    known, asked = current_queues.scheduler.all(), Wanted.of_request()
    order = in_order(filter(asked.holds, known), ORDERS)
    before = min(max(0, request.args.get("before", 0, type=int)), len(order.rows))
    shown = order.rows[before : before + PAGE]
    overview = reads.Overview.read(current_queues, now())
    return page(
        "schedules.html",
        overview=overview,
        rows=[row(record) for record in shown],
        strips=strips_of(current_queues, overview.counts, shown),
        order=order,
        asked=asked,
        queues=sorted({record.queue for record in known} | ({asked.queue} if asked.queue else set())),
        before=before,
        size=PAGE,
    )


def row(record: ScheduleRecord) -> dict[str, Any]:
    """A schedule with its words and what became of its last occurrence."""
    became = schedule_result(current_queues, record)
    status = next((one for one in Status if one.value == became), None)
    return {"record": record, "words": record.words(str(locale())), "became": became, "ended": status}


def one_schedule(schedule: str) -> ResponseReturnValue:
    """One schedule: what comes and what was."""
    scheduler = current_queues.scheduler
    record = scheduler.find(schedule)
    coming = [] if record.paused is not None or not record.stored else scheduler.next(schedule, count=COMING)
    return page(
        "schedule.html",
        **row(record),
        coming=[(moment, in_its_zone(record, moment), clocks_note(record, moment)) for moment in coming],
        past=past(record, asked_result()),
        result=asked_result(),
    )


def asked_result() -> str:
    """Which past occurrences are wanted, as the address says; what it does not know are all."""
    result = request.args.get("result", "")
    return result if result in RESULTS else ""


def past(record: ScheduleRecord, result: str) -> list[tuple[OccurrenceRecord, JobRecord | None]]:
    """The past occurrences of a schedule with their jobs, as long as those are kept, the last first."""
    if not record.stored:
        return []
    lines = current_queues.scheduler.history(record.name, KEPT if result else PAST)
    found = ((line, job_of(line)) for line in lines)
    return list(islice((one for one in found if not result or RESULTS[result](*one)), PAST))


def in_its_zone(record: ScheduleRecord, moment: Any) -> str:
    """A moment by the clock that the schedule goes by."""
    return exact(moment, ZoneInfo(record.timezone))


def clocks_note(record: ScheduleRecord, moment: datetime) -> str:
    """What is odd about the time on a day on which the clocks are changed."""
    if record.timing.stands_in(moment):
        return _("the clocks skip its time")
    clock = moment.astimezone(ZoneInfo(record.timezone))
    twice = clock.replace(fold=0).utcoffset() != clock.replace(fold=1).utcoffset()
    return _("the clocks show this time twice") if twice else ""


def job_of(line: OccurrenceRecord) -> JobRecord | None:
    """The job of an occurrence, as long as it is kept."""
    try:
        return current_queues.find(line.job) if line.job else None
    except QueuesError:
        return None


def act(what: str) -> ResponseReturnValue:
    """Act on the schedule that the request names."""
    return change(what, request.values.get("schedule", ""))


def change(what: str, name: str) -> ResponseReturnValue:
    """Run it now, pause it or let it go on; and go back to where that was asked for."""
    scheduler = current_queues.scheduler
    if what == "run":
        flashes.add(_("%(name)s runs now.", name=name), job=scheduler.run(name))
    elif what == "pause":
        scheduler.pause(name, f"paused by {access.name_of_person()} in the panel")
        flashes.add(_("%(name)s is paused: its occurrences are left out.", name=name))
    elif what == "resume":
        scheduler.resume(name)
        flashes.add(_("%(name)s goes on.", name=name))
    else:
        raise NotFound
    current_queues.note_act(access.name_of_person(), what, "schedule", name)
    return redirect(way_back(url_for("queues.schedules")), 303)


def api_schedules() -> ResponseReturnValue:
    """All schedules as JSON; in the order of the command line, unless the address says another."""
    found = list(filter(Wanted.of_request().holds, current_queues.scheduler.all()))
    found = in_order(found, ORDERS).rows if "sort" in request.args else found
    return jsonify(schedules=[schedule_fields(current_queues, record, str(locale())) for record in found])


def api_schedule(schedule: str) -> ResponseReturnValue:
    """One schedule with its history, as JSON."""
    record = current_queues.scheduler.find(schedule)
    lines = current_queues.scheduler.history(schedule, PAST) if record.stored else []
    fields = schedule_fields(current_queues, record, str(locale()))
    return jsonify(**fields, history=[occurrence_fields(line) for line in lines])
