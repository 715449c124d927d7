"""A job gets another payload, from a form that is made of its handler's signature."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..errors import NotAllowed, PayloadChanged, PayloadError, QueuesError, StorageError, TransitionError
from ..manager import current_queues
from ..record import JobRecord, Status
from . import access, flashes
from .actions import explain, sentence
from .deeds import ACTIONS
from .formats import duration, now
from .language import gettext as _
from .payloads import Difference, Form, differences, in_lines, mark_of, misfit
from .render import page

#: What can be done with the payload, by status; the first is the usual one.
WAYS = {
    Status.PENDING: ("save",),
    Status.SCHEDULED: ("save", "run"),
    Status.FAILED: ("retry", "save"),
    Status.COMPLETED: ("push",),
    Status.CANCELLED: ("push",),
}


#: What the second step hands on of the first.
CARRIED = ("value.", "kind.", "empty.", "mark")


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/jobs/<job_id>/payload", "change_payload", change_payload, methods=["GET", "POST"])


class Answer(NamedTuple):
    """Why a form comes back."""

    code: int = 200
    wrong: str = ""
    #: What is wrong in which field.
    fields: Mapping[str, str] = MappingProxyType({})
    #: What the check of the payload says, in English.
    detail: str = ""


def can_change(record: JobRecord) -> bool:
    """Whether a form can be made: the job does not run, and its type is known here."""
    return record.status in WAYS and record.type in current_queues.jobs


def change_payload(job_id: str) -> ResponseReturnValue:
    """Show the form, or do what it asks for."""
    record = current_queues.find(job_id)
    if not access.may_change():
        return back_to(record)
    if record.type not in current_queues.jobs or (record.status not in WAYS and request.method != "POST"):
        flashes.add(_("The payload of this job cannot be changed now."), wrong=True)
        return back_to(record)
    form = Form(current_queues.jobs[record.type].shape, record.payload, current_queues.sensitive(record.type))
    if request.method != "POST":
        return show(record, form, Answer())
    if "again" in request.form:
        return show(record, form, Answer(), typed=True)
    answer = change(record, form, request.form.get("way", ""))
    return show(record, form, answer, typed=True) if isinstance(answer, Answer) else answer


def back_to(record: JobRecord) -> ResponseReturnValue:
    """Go to the page of the job."""
    return redirect(url_for("queues.job", job_id=record.id), 303)


def show(record: JobRecord, form: Form, answer: Answer, *, typed: bool = False) -> ResponseReturnValue:
    """Render the form, with what is stored or as it was filled in."""
    response = current_app.make_response(
        page(
            "payload.html",
            record=record,
            entries=form.entries(request.form if typed else None, answer.fields),
            ways=WAYS.get(record.status, ()),
            mark=request.form.get("mark", "") if typed else mark(record),
            person=access.name_of_person(),
            answer=answer,
        )
    )
    response.status_code = answer.code
    return response


def mark(record: JobRecord) -> str:
    """What tells that the payload is still the one that was shown."""
    return mark_of(record.payload, current_app.secret_key or "")


def change(record: JobRecord, form: Form, way: str) -> ResponseReturnValue | Answer:
    """Check what was typed against what is so now, and do it."""
    if way not in WAYS.get(record.status, ()):
        return Answer(409, why_too_late(record))
    if request.form.get("mark") != mark(record):
        return Answer(409, _("Somebody has changed the payload meanwhile; nothing was changed now."))
    payload, wrong = form.read(request.form)
    if wrong:
        return Answer(422, fields=wrong)
    changed = differences(record.payload, payload, current_queues.sensitive(record.type))
    if changed and "sure" not in request.form:
        return ask(record, form, way, changed)
    try:
        return do(record, payload, way, in_lines(changed))
    except PayloadError as error:
        words, detail = misfit(error)
        where = {error.argument: words} if error.argument else {}
        return Answer(422, "" if where else words, where, detail)
    except PayloadChanged:
        return Answer(409, _("Somebody has changed the payload meanwhile; nothing was changed now."))
    except NotAllowed as error:
        return Answer(403, explain(error))
    except TransitionError:
        return Answer(409, why_too_late(current_queues.find(record.id)))


def why_too_late(record: JobRecord) -> str:
    """That somebody, or a worker, was quicker."""
    if record.status is Status.RUNNING and record.started is not None:
        return _("This job started %(time)s ago; nothing was changed.", time=duration(now() - record.started))
    return _("The job has changed its status meanwhile; nothing was done to it.")


def ask(record: JobRecord, form: Form, way: str, changed: list[Difference]) -> ResponseReturnValue:
    """Show what would be changed; a secret that was typed is not sent back, but typed again."""
    typed = request.form.items()
    secrets = [f"value.{entry.name}" for entry in form.entries() if entry.secret]
    return page(
        "difference.html",
        record=record,
        changed=changed,
        way=way,
        carried={name: value for name, value in typed if name.startswith(CARRIED) and name not in secrets},
        again=[name.removeprefix("value.") for name in secrets if request.form.get(name)],
        person=access.name_of_person(),
    )


def do(record: JobRecord, payload: dict[str, Any], way: str, lines: list[str]) -> ResponseReturnValue:
    """Make the change, keep who made it, and let the job run where that is wanted."""
    if way == "push":
        return push(record, payload, lines)
    if lines:
        current_queues.change_payload(record.id, payload, seen=record.payload)
        keep(record.id, "change", lines)
        flashes.add(_("The payload was changed."))
    elif way == "save":
        flashes.add(_("The payload is the same as before; nothing was changed."))
    if way in ("retry", "run"):
        retry(record, way)
    return back_to(record)


def push(record: JobRecord, payload: dict[str, Any], lines: list[str]) -> ResponseReturnValue:
    """Push a new job; the old one stays as it ran."""
    new = current_queues.push_again(record.id, payload)
    keep(new.id, "push", lines)
    flashes.add(sentence(ACTIONS["push"], 1), job=new.id)
    return back_to(record)


def retry(record: JobRecord, way: str) -> None:
    """Let it run; the change stays where that cannot be."""
    try:
        current_queues.retry(record.id)
    except StorageError:
        raise
    except QueuesError as error:
        flashes.add(explain(error), wrong=True)
    else:
        keep(record.id, way, [])
        flashes.add(sentence(ACTIONS[way], 1))


def keep(job_id: str, action: str, lines: list[str]) -> None:
    """Keep who did it."""
    current_queues.note_act(access.name_of_person(), action, "job", job_id, 1, "\n".join(lines))
