"""Pause and resume of queues and job types."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..manager import current_queues
from . import access, flashes
from .address import way_back
from .language import gettext as _

#: Seconds for which a pause is offered; none lasts until somebody resumes.
LASTS = (900, 3600, 6 * 3600, 24 * 3600)
#: Characters of a reason.
REASON = 200


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/actions/queue/<what>", "act_on_queue", act, methods=["POST"])


def act(what: str) -> ResponseReturnValue:
    """Pause what the request names, or let it go on."""
    return change(what, queue=request.values.get("queue") or None, job_type=request.values.get("type") or None)


def change(what: str, *, queue: str | None = None, job_type: str | None = None) -> ResponseReturnValue:
    """Pause a queue or job type, or let it go on; and go back to where that was asked for."""
    name, who = queue or job_type or "", access.name_of_person()
    if (queue is None) is (job_type is None) or what not in ("pause", "resume"):
        raise NotFound
    if what == "pause":
        lasts, reason = asked_time(), request.form.get("reason", "").strip()[:REASON]
        current_queues.pause(queue, type=job_type, seconds=lasts, reason=reason, by=who)
        flashes.add(_("%(name)s is paused: what waits stays where it is.", name=name))
    else:
        reason = ""
        current_queues.resume(queue, type=job_type)
        flashes.add(_("%(name)s goes on.", name=name))
    current_queues.note_act(who, what, "type" if queue is None else "queue", name, reason=reason)
    return redirect(way_back(url_for("queues.queues")), 303)


def asked_time() -> int | None:
    """For how long; None until somebody resumes it."""
    seconds = request.form.get("seconds", type=int)
    return seconds if seconds in LASTS else None
