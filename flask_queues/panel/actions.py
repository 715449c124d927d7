"""What people do with jobs: one at a time, those that are checked, or all that match. Each change is a POST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..errors import (
    JobNotFound,
    NotAllowed,
    PayloadError,
    QueueFull,
    QueuesError,
    StorageError,
    TransitionError,
    UnknownJobType,
)
from ..manager import Manager, current_queues
from ..record import Status
from . import access, flashes, reads
from .address import asked_filters, way_back
from .formats import number
from .language import gettext as _
from .language import ngettext

#: Jobs that one request changes; what is left can be changed by the next.
AT_ONCE = 1000
#: From here on, a number has to be typed before so many jobs are deleted.
TYPED_FROM = 101


class Action(NamedTuple):
    """Something that can be done with a job."""

    name: str
    #: In which it is offered.
    statuses: tuple[Status, ...]
    #: Asks first.
    danger: bool
    act: Callable[[Manager, str], object]


def cancel(manager: Manager, job_id: str) -> None:
    """End it, and keep who did."""
    if not manager.cancel(job_id, f"cancelled by {access.name_of_person()} in the panel"):
        raise TransitionError(f"Job {job_id} has ended.")


WAITING = (Status.PENDING, Status.SCHEDULED)
ACTIONS = {
    action.name: action
    for action in (
        Action("retry", (Status.FAILED,), False, lambda manager, job_id: manager.retry(job_id)),
        Action("run", (Status.SCHEDULED,), False, lambda manager, job_id: manager.retry(job_id)),
        Action("push", (Status.COMPLETED, Status.CANCELLED), False, lambda manager, job_id: manager.push_again(job_id)),
        Action("cancel", (*WAITING, Status.RUNNING), True, cancel),
        Action("delete", tuple(s for s in Status if s is not Status.RUNNING), True, lambda m, job_id: m.delete(job_id)),
    )
}


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/actions/<name>", "act", act, methods=["POST"])
    blueprint.add_url_rule("/actions/<name>/confirm", "confirm", confirm)


def for_status(status: Status) -> list[Action]:
    """What can be done with a job in this status."""
    return [action for action in ACTIONS.values() if status in action.statuses]


class Chosen(NamedTuple):
    """The jobs that an action is asked for."""

    #: Named one by one; empty where all that match are meant.
    ids: tuple[str, ...]
    status: Status | None
    filters: reads.Filters
    #: How many they are; None where no count is kept.
    number: int | None
    #: Whether all that match are meant.
    every: bool = False

    def walk(self, manager: Manager) -> Iterator[str]:
        """Their ids."""
        if not self.every or self.status is None:
            return iter(self.ids)
        return (record.id for record in manager.every(statuses=[self.status], **self.filters._asdict()))


def asked_action(name: str) -> Action:
    """The action of an address."""
    if name not in ACTIONS:
        raise NotFound
    return ACTIONS[name]


def chosen(action: Action) -> Chosen:
    """Read which jobs are meant."""
    filters = asked_filters()
    status = next((one for one in action.statuses if one.value == request.values.get("status")), None)
    if request.values.get("all") and status is not None:
        counted = reads.total(current_queues, current_queues.counts(), status, filters)
        return Chosen((), status, filters, counted, every=True)
    ids = tuple(dict.fromkeys(one[:64] for one in request.values.getlist("id") if one))[:AT_ONCE]
    return Chosen(ids, status, filters, len(ids))


def back_of(jobs: Chosen) -> str:
    """Where the person goes afterwards."""
    given: dict[str, Any] = dict(jobs.filters.given)
    return way_back(url_for(f"queues.list_{jobs.status or Status.PENDING}", **given))


def confirm(name: str) -> ResponseReturnValue:
    """Name what would be done, before it is done."""
    action = asked_action(name)
    jobs = chosen(action)
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
        wrong=wrong,
    )


def found(job_id: str) -> object:
    """The job that the question names."""
    return current_queues.find(job_id)


def needs_typing(action: Action, jobs: Chosen) -> bool:
    """Whether the number has to be typed: what is deleted does not come back."""
    return action.name == "delete" and jobs.number is not None and jobs.number >= TYPED_FROM


def act(name: str) -> ResponseReturnValue:
    """Do it, say how many jobs it were, and go back to where it was asked for."""
    action = asked_action(name)
    jobs = chosen(action)
    if jobs.number == 0:
        return nothing_chosen(jobs)
    if jobs.every and (wrong := why_ask_again(action, jobs)):
        return ask(action, jobs, wrong=wrong)
    done, problem = do(action, islice(jobs.walk(current_queues), AT_ONCE))
    note(action, done, jobs)
    tell(action, done, problem, jobs)
    return redirect(back_of(jobs), 303)


def why_ask_again(action: Action, jobs: Chosen) -> str:
    """Why the confirmation does not count: nothing was confirmed, more match than were seen, the number is missing."""
    seen = request.form.get("seen", type=int)
    if jobs.status is None or (jobs.number is not None and (seen is None or jobs.number > seen)):
        return _("More jobs match now than when this was asked.") if seen is not None else _("Confirm this first.")
    if needs_typing(action, jobs) and request.form.get("typed", "").strip() not in (str(jobs.number), str(seen)):
        return _("Type the number to go on.")
    return ""


def do(action: Action, ids: Iterator[str]) -> tuple[list[str], QueuesError | None]:
    """Act on each job; one that has changed its status meanwhile, or is gone, does not keep the others from it."""
    done: list[str] = []
    problem: QueuesError | None = None
    for job_id in ids:
        try:
            result = action.act(current_queues, job_id)
        except StorageError:
            raise
        except QueuesError as error:
            problem = error
        else:
            done.append(getattr(result, "id", job_id))
    return done, problem


def note(action: Action, done: list[str], jobs: Chosen) -> None:
    """Keep who did it."""
    if not done:
        return
    if not jobs.every and len(jobs.ids) == 1:
        kind, name = "job", jobs.ids[0]
    elif set(jobs.filters.given) == {"cause"}:
        kind, name = "cause", jobs.filters.cause or ""
    else:
        kind, name = "jobs", " ".join(f"{key}:{value}" for key, value in jobs.filters.given.items())
    current_queues.note_act(access.name_of_person(), action.name, kind, name, len(done))


def tell(action: Action, done: list[str], problem: QueuesError | None, jobs: Chosen) -> None:
    """Say what was done and what was not."""
    if done or problem is None:
        only = done[0] if len(done) == 1 and action.name != "delete" else None
        flashes.add(sentence(action, len(done)), job=only)
    if problem is not None:
        flashes.add(explain(problem), wrong=True, job=None if done or len(jobs.ids) != 1 else jobs.ids[0])


def sentence(action: Action, count: int) -> str:
    """What was done, in a sentence."""
    return {
        "retry": ngettext("%(n)s job was pushed again.", "%(n)s jobs were pushed again.", count),
        "run": ngettext("%(n)s job runs now.", "%(n)s jobs run now.", count),
        "push": ngettext("%(n)s job was pushed anew.", "%(n)s jobs were pushed anew.", count),
        "cancel": ngettext(
            "%(n)s job was cancelled, or asked to end.", "%(n)s jobs were cancelled, or asked to end.", count
        ),
        "delete": ngettext("%(n)s job was deleted.", "%(n)s jobs were deleted.", count),
    }[action.name]


def explain(problem: QueuesError) -> str:
    """Why a job could not be changed."""
    if isinstance(problem, JobNotFound):
        return _("The job is no longer there.")
    if isinstance(problem, NotAllowed):
        return _("The job's type does not allow this to the person who asked.")
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
    return _("The job had changed its status meanwhile; nothing was done with it.")
