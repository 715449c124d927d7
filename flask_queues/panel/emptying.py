"""A queue is emptied: what waits in it is deleted, or all but what runs; its name is typed first."""

from __future__ import annotations

import time

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..manager import current_queues
from ..record import Status
from . import access, flashes
from .language import gettext as _
from .language import ngettext
from .mistakes import QueueNotFound
from .render import page

#: What is deleted, by what was chosen; the first is the usual.
WHICH = {
    "waiting": (Status.PENDING, Status.SCHEDULED),
    "all": tuple(status for status in Status if status is not Status.RUNNING),
}
#: Seconds that one request deletes.
LONGEST = 10.0


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/queues/<name>/empty", "empty_queue", empty, methods=["GET", "POST"])


def empty(name: str) -> ResponseReturnValue:
    """Ask about it, or do it, and go to the list of queues: an empty one may have no page."""
    if name not in (counts := current_queues.counts().queues):
        raise QueueNotFound
    if not access.may_change():
        return redirect(url_for("queues.queue", name=name), 303)
    if request.method != "POST":
        return ask(name, counts[name])
    if request.form.get("typed", "").strip() != name:
        return ask(name, counts[name], wrong=_("Type the name of the queue to go on."))
    do(name, WHICH.get(request.form.get("which", ""), WHICH["waiting"]))
    return redirect(url_for("queues.queues"), 303)


def ask(name: str, counts: dict[str, int], *, wrong: str = "") -> ResponseReturnValue:
    """Say how many jobs it were, and what is lost."""
    numbers = {which: sum(counts[status.value] for status in statuses) for which, statuses in WHICH.items()}
    answer = current_app.make_response(page("empty.html", name=name, numbers=numbers, wrong=wrong))
    answer.status_code = 422 if wrong else 200
    return answer


def do(name: str, statuses: tuple[Status, ...]) -> None:
    """Delete them, as many as one request has time for; keep who did, and say how many it were."""
    until, deleted, all_gone = time.monotonic() + LONGEST, 0, True
    for number in current_queues.clear_slices(0, statuses, name):
        deleted += number
        if time.monotonic() > until:
            all_gone = False
            break
    if deleted:
        current_queues.note_act(access.name_of_person(), "flush", "queue", name, deleted)
    flashes.add(ngettext("%(n)s job was deleted.", "%(n)s jobs were deleted.", deleted))
    if not all_gone:
        flashes.add(_("More are left than one request has time for: empty the queue again."), wrong=True)
