"""Where a running job is now: asked for, and shown on its page."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from ..errors import TransitionError
from ..manager import Manager, current_queues
from ..orders import Picture
from ..record import JobRecord, Status
from . import access, flashes
from .language import gettext as _


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/actions/stacks/<job_id>", "ask_stacks", ask, methods=["POST"])


def ask(job_id: str) -> ResponseReturnValue:
    """Ask for them, and go back to the job."""
    try:
        current_queues.ask_picture(job_id)
    except TransitionError:
        flashes.add(_("The job does not run any more."))
    else:
        current_queues.note_act(access.name_of_person(), "stacks", "job", job_id)
    return redirect(f"{url_for('queues.job', job_id=job_id)}#q-stacks", 303)


def of_job(manager: Manager, record: JobRecord) -> Picture | None:
    """What was asked for, while the job runs in the run that it was asked of."""
    if record.status is not Status.RUNNING:
        return None
    picture = manager.orders().pictures.get(record.id)
    began = record.started.timestamp() * 1000 if record.started is not None else 0
    return picture if picture is not None and picture.asked >= began else None
