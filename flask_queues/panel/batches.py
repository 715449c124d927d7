"""The batches: how far the whole is, and what broke it; retry what failed, cancel the rest."""

from __future__ import annotations

from itertools import islice
from typing import Any

from flask import Blueprint, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..batches import BatchPage, tag_of
from ..manager import Manager, current_queues
from ..record import JobRecord, Status
from ..shapes import batch_fields
from . import access, flashes
from .address import way_back
from .language import gettext as _
from .language import ngettext
from .listing import PAGE
from .pages import found_or_id
from .render import page

#: Jobs that stand on the page of their batch.
SHOWN = 20
#: Where a batch may stand.
STATUSES = (Status.PENDING, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED)


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/batches", "batches", batches)
    blueprint.add_url_rule("/batches/<batch_id>", "batch", one_batch)
    blueprint.add_url_rule("/actions/batch/<what>", "act_on_batch", act, methods=["POST"])
    blueprint.add_url_rule("/api/batches", "api_batches", api_batches)
    blueprint.add_url_rule("/api/batches/<batch_id>", "api_batch", api_batch)


def asked(manager: Manager) -> BatchPage:
    """The page of batches that this address names."""
    return manager.batches.page(PAGE, request.args.get("after") or None, **given())


def given() -> dict[str, str]:
    """What is looked for."""
    said = {name: request.args.get(name, "").strip()[:128] for name in ("status", "text")}
    known = said["status"] in [status.value for status in STATUSES]
    return {name: value for name, value in said.items() if value and (name == "text" or known)}


def batches() -> ResponseReturnValue:
    """All of them, the newest first."""
    found = asked(current_queues)
    return page(
        "batches.html",
        rows=found.records,
        after=found.after,
        total=found.total,
        unread=found.unread,
        given=given(),
        statuses=STATUSES,
    )


def one_batch(batch_id: str) -> ResponseReturnValue:
    """One batch: where its jobs stand, what reports, what is left."""
    record = current_queues.batches.find(batch_id)
    callbacks = [(name, found_or_id(job_id), name in record.fired) for name, job_id in record.callbacks.items()]
    return page(
        "batch.html",
        record=record,
        tag=tag_of(record.id),
        callbacks=[(name, job if isinstance(job, JobRecord) else None, fired) for name, job, fired in callbacks],
        stands=[(status, record.counts[status]) for status in Status if record.counts[status]],
        left=record.total - record.done,
        jobs=list(islice(current_queues.batches.jobs(batch_id), SHOWN)),
    )


def act(what: str) -> ResponseReturnValue:
    """Retry what failed, or cancel what is left; and go back to where that was asked for."""
    batch_id, who = request.values.get("batch", ""), access.name_of_person()
    handle = current_queues.batches.handle(batch_id)
    before = handle.record
    if what == "retry":
        number = handle.retry()
        flashes.add(ngettext("%(n)s job waits again.", "%(n)s jobs wait again.", number))
    elif what == "cancel":
        number = before.total - before.done if handle.cancel(f"cancelled by {who} in the panel") else 0
        flashes.add(_("The batch is cancelled."))
    else:
        raise NotFound
    current_queues.note_act(who, what, "batch", batch_id, number)
    return redirect(way_back(url_for("queues.batch", batch_id=batch_id)), 303)


def api_batches() -> ResponseReturnValue:
    """A page of batches, for programs."""
    found = asked(current_queues)
    batches: list[dict[str, Any]] = [batch_fields(record) for record in found.records]
    return jsonify(batches=batches, after=found.after, total=found.total, unread=found.unread)


def api_batch(batch_id: str) -> ResponseReturnValue:
    """One batch, for programs."""
    return jsonify(batch_fields(current_queues.batches.find(batch_id)))
