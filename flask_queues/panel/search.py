"""One field for everything: an id leads to its job, anything else is looked for in the newest jobs of every status."""

from __future__ import annotations

from flask import Blueprint, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..errors import JobNotFound
from ..manager import Manager, current_queues
from ..record import Page, Status
from ..searching import LOOK_AT
from ..shapes import job_fields
from .address import filters_of, read_typed
from .deeds import IN_ROWS, Action, for_status
from .listing import PAGE, Filters
from .render import page


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/search", "search", search)
    blueprint.add_url_rule("/api/search", "api_search", api_search)


def asked() -> str:
    """What is looked for."""
    return request.args.get("q", "").strip()[:200]


def look(manager: Manager, text: str) -> tuple[Filters, Page]:
    """A page of what matches; nothing where nothing was asked for."""
    named, rest = read_typed(text)
    filters = filters_of({**named, "text": rest})
    if not filters.given:
        return filters, Page((), None)
    return filters, manager.jobs_of(**filters._asdict(), limit=PAGE, after=request.args.get("after") or None)


def exact(manager: Manager, text: str) -> str | None:
    """The id of the job whose id was asked for."""
    try:
        return manager.find(text).id
    except JobNotFound:
        return None


def search() -> ResponseReturnValue:
    """What matches, for a person."""
    text = asked()
    if job_id := exact(current_queues, text):
        return redirect(url_for("queues.job", job_id=job_id), 302)
    filters, found = look(current_queues, text)
    return page("search.html", text=text, filters=filters, found=found, look_at=LOOK_AT, actions=in_rows())


def in_rows() -> dict[Status, list[Action]]:
    """What is offered in the row of a job, by its status."""
    return {status: [action for action in for_status(status) if action.name in IN_ROWS[status]] for status in Status}


def api_search() -> ResponseReturnValue:
    """What matches, for programs."""
    _, found = look(current_queues, asked())
    return jsonify(jobs=[job_fields(current_queues, job) for job in found.jobs], after=found.after)
