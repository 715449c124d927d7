"""Who works, and what workers are asked for: to take nothing more, to go on, to begin their processes anew."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..manager import current_queues
from ..record import WorkerRecord
from ..shapes import state
from . import access, flashes, reads
from .address import way_back
from .formats import now
from .language import gettext as _
from .render import page
from .words import STATES

#: As in the address, and how the activity calls it.
ACTS = {"quiet": "quiet", "go-on": "go on", "restart": "restart"}


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/workers", "workers", workers)
    blueprint.add_url_rule("/actions/worker/<what>", "act_on_worker", act, methods=["POST"])


class Wanted(NamedTuple):
    """Which workers are wanted, as the address says."""

    status: str
    queue: str

    @classmethod
    def of_request(cls) -> Wanted:
        """Read the address; an unknown status is none."""
        status, queue = (request.args.get(name, "").strip()[:128] for name in cls._fields)
        return cls(status if status in STATES else "", queue)

    @property
    def given(self) -> dict[str, str]:
        """What is set."""
        return {name: value for name, value in self._asdict().items() if value}

    def of(self, fleet: reads.Fleet) -> reads.Fleet:
        """Those of a fleet, by host; who serves all queues serves each."""
        found = [
            (worker, how)
            for worker, how in fleet.workers
            if self.status in ("", how) and (not self.queue or not worker.queues or self.queue in worker.queues)
        ]
        return reads.Fleet(tuple(sorted(found, key=lambda one: (one[0].host, one[0].pid))))


def workers() -> ResponseReturnValue:
    """Who works, and what was asked of them."""
    overview, wanted = reads.Overview.read(current_queues, now()), Wanted.of_request()
    return page(
        "workers.html",
        overview=overview,
        rows=wanted.of(overview.fleet).workers,
        asked=current_queues.orders(),
        wanted=wanted,
        states=STATES,
        queues=sorted(
            {*reads.known_queues(current_queues, overview.counts), *([wanted.queue] if wanted.queue else [])}
        ),
        limit=current_queues.config.memory,
    )


def act(what: str) -> ResponseReturnValue:
    """Ask it of the worker that the request names."""
    return change(what, request.values.get("worker", ""))


def change(what: str, name: str) -> ResponseReturnValue:
    """Ask it of the worker, keep who asked, and go back to where that was."""
    if what not in ACTS:
        raise NotFound
    worker = found(name)
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
