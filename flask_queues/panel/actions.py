"""What people do with jobs: one at a time, those that are checked, or all that match. Each change is a POST."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..errors import JobNotFound, NotAllowed, PayloadError, QueueFull, QueuesError, UnknownJobType
from ..manager import current_queues
from ..pushing.intake import spread_out
from ..record import JobRecord, Status
from . import access, flashes, many
from .address import asked_filters, way_back
from .deeds import ACTIONS, AT_ONCE, SPREADS, Action, Chosen, do, named
from .formats import duration, number
from .language import gettext as _
from .language import ngettext
from .listing import total

#: From here on, a number has to be typed before so many jobs are deleted.
TYPED_FROM = 101
#: In front of the key of a cause, where a row is one.
CAUSE = "cause:"
#: Jobs of which it is looked whether they are paused.
LOOK_AT = 100


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/actions/<name>", "act", act, methods=["POST"])
    blueprint.add_url_rule("/actions/<name>/confirm", "confirm", confirm)


def asked_action(name: str) -> Action:
    """The action of an address."""
    if name not in ACTIONS:
        raise NotFound
    return ACTIONS[name]


def chosen(action: Action, row: str = "") -> Chosen:
    """Read which jobs are meant: those of a row, which is a job's or a cause's, or else what the request says."""
    filters = asked_filters()
    if row.startswith(CAUSE):
        filters = filters._replace(cause=row.removeprefix(CAUSE)[:64])
        return Chosen(
            (),
            Status.FAILED,
            filters,
            total(current_queues, current_queues.counts(), Status.FAILED, filters),
            every=True,
        )
    status = next((one for one in action.statuses if one.value == request.values.get("status")), None)
    if request.values.get("all") and status is not None:
        counted = total(current_queues, current_queues.counts(), status, filters)
        return Chosen((), status, filters, counted, every=True)
    asked = [row] if row else request.values.getlist("id")
    ids = tuple(dict.fromkeys(one[:64] for one in asked if one))[:AT_ONCE]
    return Chosen(ids, status, filters, len(ids))


def back_of(jobs: Chosen) -> str:
    """Where the person goes afterwards."""
    given: dict[str, Any] = dict(jobs.filters.given)
    return way_back(url_for(f"queues.list_{jobs.status or Status.PENDING}", **given))


def confirm(name: str, row: str = "") -> ResponseReturnValue:
    """Name what would be done, before it is done."""
    action = asked_action(name)
    jobs = chosen(action, row)
    if not access.may_change():  # who may only read is not asked
        return redirect(back_of(jobs), 303)
    return nothing_chosen(jobs) if jobs.number == 0 else ask(action, jobs)


def nothing_chosen(jobs: Chosen) -> ResponseReturnValue:
    """Go back without having done anything."""
    flashes.add(_("No job was chosen."), wrong=True)
    return redirect(back_of(jobs), 303)


def ask(action: Action, jobs: Chosen, *, wrong: str = "") -> ResponseReturnValue:
    """Render the question."""
    from .render import page

    only = found(jobs.ids[0]) if len(jobs.ids) == 1 else None
    return page(
        "confirm.html",
        action=action,
        jobs=jobs,
        only=only,
        back=back_of(jobs),
        typed=needs_typing(action, jobs),
        at_once=AT_ONCE,
        spreads=SPREADS if action.name == "retry" and jobs.number != 1 else (),
        by_a_worker=many.is_for_a_worker(action, jobs),
        wrong=wrong,
    )


def found(job_id: str) -> object:
    """The job that the question names."""
    return current_queues.find(job_id)


def needs_typing(action: Action, jobs: Chosen) -> bool:
    """Whether the number has to be typed: what is deleted does not come back."""
    return action.name == "delete" and jobs.number is not None and jobs.number >= TYPED_FROM


def act(name: str, row: str = "") -> ResponseReturnValue:
    """Do it, say how many jobs it were, and go back to where it was asked for."""
    action = asked_action(name)
    jobs = chosen(action, row)
    if jobs.number == 0:
        return nothing_chosen(jobs)
    if jobs.every and (wrong := why_ask_again(action, jobs)):
        return ask(action, jobs, wrong=wrong)
    spread = asked_spread(action)
    if many.is_for_a_worker(action, jobs):
        job_id = many.push(action, jobs, spread)
        flashes.add(_("A worker does this now; this page says how far it is."))
        return redirect(url_for("queues.job", job_id=job_id), 303)
    delays = spread_out(spread) if spread else None
    done, problem = do(action, in_order(action, jobs), delays=delays)
    note(action, done, jobs)
    tell(action, done, problem, jobs, spread)
    warn_of_pauses(action, done)
    return redirect(back_of(jobs), 303)


def in_order(action: Action, jobs: Chosen) -> Iterable[str]:
    """The ids as they are to be changed: of those that are put first, the first of the list comes last."""
    first = action.name == "run"
    ids = islice(jobs.walk(current_queues, as_listed=first), AT_ONCE)
    return reversed(list(ids)) if first else ids


def asked_spread(action: Action) -> int:
    """Over how many seconds they are to be retried; 0 for at once."""
    spread = request.form.get("spread", 0, type=int)
    return spread if action.name == "retry" and spread in SPREADS else 0


def why_ask_again(action: Action, jobs: Chosen) -> str:
    """Why the confirmation does not count: nothing was confirmed, more match than were seen, the number is missing."""
    seen = request.form.get("seen", type=int)
    if jobs.status is None or (jobs.number is not None and (seen is None or jobs.number > seen)):
        return _("More jobs match now than when this was asked.") if seen is not None else _("Confirm this first.")
    if needs_typing(action, jobs) and request.form.get("typed", "").strip() not in (str(jobs.number), str(seen)):
        return _("Type the number to go on.")
    return ""


def note(action: Action, done: list[str], jobs: Chosen) -> None:
    """Keep who did it."""
    if not done:
        return
    if not jobs.every and len(jobs.ids) == 1:
        kind, name = "job", done[0]  # of what is pushed again that is the new job
    else:
        kind, name = named(jobs.filters.given)
    current_queues.note_act(access.name_of_person(), action.name, kind, name, len(done))


def tell(action: Action, done: list[str], problem: QueuesError | None, jobs: Chosen, spread: int = 0) -> None:
    """Say what was done and what was not."""
    if done or problem is None:
        only = done[0] if len(done) == 1 and action.name != "delete" else None
        flashes.add(sentence_of_spread(len(done), spread) if spread else sentence(action, len(done)), job=only)
    if problem is not None:
        known = not done and len(jobs.ids) == 1 and not isinstance(problem, JobNotFound)
        flashes.add(explain(problem), wrong=True, job=jobs.ids[0] if known else None)


def sentence_of_spread(count: int, spread: int) -> str:
    """That they were retried, and when they run."""
    return ngettext(
        "%(n)s job is scheduled again, within %(time)s.",
        "%(n)s jobs are scheduled again, spread over %(time)s.",
        count,
        time=duration(spread),
    )


def sentence(action: Action, count: int) -> str:
    """What was done, in a sentence."""
    return {
        "retry": ngettext("%(n)s job was pushed again.", "%(n)s jobs were pushed again.", count),
        "run": ngettext("%(n)s job is the first in its line.", "%(n)s jobs are the first in their lines.", count),
        "push": ngettext("%(n)s job was pushed anew.", "%(n)s jobs were pushed anew.", count),
        "cancel": ngettext(
            "%(n)s job was cancelled, or asked to end.", "%(n)s jobs were cancelled, or asked to end.", count
        ),
        "delete": ngettext("%(n)s job was deleted.", "%(n)s jobs were deleted.", count),
    }[action.name]


def warn_of_pauses(action: Action, done: list[str]) -> None:
    """Say of jobs that were put first where they wait all the same."""
    pauses = current_queues.pauses() if action.name == "run" and done else []
    if not pauses:
        return
    records: list[JobRecord] = []
    for job_id in done[:LOOK_AT]:
        with suppress(JobNotFound):
            records.append(current_queues.find(job_id))
    for queue in sorted({pause.queue for pause in pauses if pause.queue} & {record.queue for record in records}):
        flashes.add(_("The queue %(queue)s is paused: nothing of it begins until it goes on.", queue=queue))
    for type_ in sorted({pause.type for pause in pauses if pause.type} & {record.type for record in records}):
        flashes.add(_("The job type %(type)s is paused: no job of it begins until it goes on.", type=type_))


def explain(problem: QueuesError) -> str:
    """Why a job could not be changed."""
    if isinstance(problem, JobNotFound):
        return _("The job is no longer there.")
    if isinstance(problem, NotAllowed):
        return _("The job type does not allow this person to do that.")
    if isinstance(problem, UnknownJobType):
        return _("The job cannot be pushed: its job type is not known to this application.")
    if isinstance(problem, PayloadError):
        return _("The job cannot be pushed: its payload no longer fits its job type.")
    if isinstance(problem, QueueFull):
        return _(
            "The job cannot be pushed: the queue %(queue)s is full (jobs that wait: %(n)s).",
            queue=problem.queue,
            n=number(problem.waiting),
        )
    return _("The job has changed its status meanwhile; nothing was done to it.")
