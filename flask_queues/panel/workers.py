"""What workers are asked for: to take nothing more, to go on, to begin their processes anew."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..manager import current_queues
from ..record import WorkerRecord
from ..shapes import state
from . import access, flashes
from .address import way_back
from .language import gettext as _

#: As in the address, and how the activity calls it.
ACTS = {"quiet": "quiet", "go-on": "go on", "restart": "restart"}


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/actions/worker/<what>", "act_on_worker", act, methods=["POST"])


def act(what: str) -> ResponseReturnValue:
    """Ask it of the worker, keep who asked, and go back to where that was."""
    if what not in ACTS:
        raise NotFound
    worker = found(request.values.get("worker", ""))
    name = f"{worker.host} {worker.pid}"
    if what == "restart":
        current_queues.restart([worker.name])
        flashes.add(_("Worker %(name)s replaces its processes, each when its job has ended.", name=name))
    else:
        current_queues.be_quiet([worker.name], quiet=what == "quiet")
        flashes.add(
            _("Worker %(name)s takes nothing more and finishes what is in hand.", name=name)
            if what == "quiet"
            else _("Worker %(name)s takes jobs again.", name=name)
        )
    current_queues.note_act(access.name_of_person(), ACTS[what], "worker", worker.name)
    return redirect(way_back(url_for("queues.workers")), 303)


def found(name: str) -> WorkerRecord:
    """The worker that is meant, which must be alive: nobody else would hear it."""
    now = current_queues.now()
    for worker in current_queues.workers():
        if worker.name == name and state(current_queues, worker, now) not in ("lost", "damaged"):
            return worker
    raise NotFound
