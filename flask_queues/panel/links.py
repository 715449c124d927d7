"""One job for whoever has a link to it, and for pages of the application: how it stands, and what the link opens."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from ..errors import JobNotFound
from ..links import WEEK, Link, sign
from ..manager import Manager, current_queues
from ..masking import masked
from ..record import JobRecord
from ..shapes import iso, progress_fields, secrets_of
from . import access
from .address import here
from .mistakes import LinkNotFound
from .prospects import expected_start
from .render import render

REASON = "cancelled through a link to it"


def add_to(blueprint: Blueprint) -> None:
    """Add the routes, and what the macro `job_state` calls."""
    blueprint.add_url_rule("/links/<token>", "link", page)
    blueprint.add_url_rule("/links/<token>/json", "link_json", for_programs)
    blueprint.add_url_rule("/links/<token>/part", "link_part", part)
    blueprint.add_url_rule("/links/<token>/cancel", "link_cancel", cancel, methods=["POST"])
    blueprint.add_app_template_global(job_state, "queues_job_state")


def page(token: str) -> ResponseReturnValue:
    """A page of its own, with nothing of the panel around it."""
    return render("link.html", **values(token, access.opened(), found(), here()))


def part(token: str) -> ResponseReturnValue:
    """What the script puts in place of what it shows."""
    return render("link_part.html", **values(token, access.opened(), found(), way_back(token)))


def for_programs(token: str) -> ResponseReturnValue:  # noqa: ARG001 - the route's
    """The same as JSON."""
    return jsonify(fields(current_queues, access.opened(), found()))


def cancel(token: str) -> ResponseReturnValue:
    """End the job, or ask for its end; who comes too late sees that it has ended."""
    if not access.opened().cancel:
        raise LinkNotFound
    current_queues.cancel(found().id, REASON)
    return redirect(way_back(token), 303)


def job_state(job: Any, *, result: bool = False, cancel: bool = False) -> Markup:
    """How a job stands, for a page of the application; a job is a handle, a record or an id.

    The first on a page brings the style and the script along.
    """
    link = Link(getattr(job, "id", job), result, cancel)
    try:
        record = current_queues.find(link.job)
    except JobNotFound:
        record = None
    token = sign(current_queues.app, link, WEEK.total_seconds())
    first, g.queues_state_shown = not g.get("queues_state_shown"), True
    return Markup(render("link_part.html", first=first, **values(token, link, record, here())))  # noqa: S704 - a template's


def values(token: str, link: Link, record: JobRecord | None, back: str) -> dict[str, Any]:
    """What the templates show."""
    manager: Manager = current_queues
    return {
        "record": record,
        "start": None if record is None else expected_start(manager, record),
        "result": shown_result(manager, record) if link.result else None,
        "address": url_for("queues.link_part", token=token, back=back),
        "cancel": url_for("queues.link_cancel", token=token) if link.cancel and may_end(record) else None,
        "back": back,
    }


def may_end(record: JobRecord | None) -> bool:
    """Whether there is anything left to cancel."""
    return record is not None and not record.status.final


def shown_result(manager: Manager, record: JobRecord | None) -> str | None:
    """The result as a text for people, its secrets hidden."""
    if record is None or record.result is None:
        return None
    result = masked(record.result, manager.sensitive(record.type))
    return result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False)


def fields(manager: Manager, link: Link, record: JobRecord) -> dict[str, Any]:
    """A job for a program that has a link to it: nothing of its payload, its errors, or where it runs."""
    return {
        "id": record.id,
        "name": manager.name_of(record.type),
        "status": record.status.value,
        "progress": progress_fields(record, secrets_of(manager, record)),
        "created": iso(record.created),
        "expected_start": iso(expected_start(manager, record)),
        "started": iso(record.started),
        "finished": iso(record.finished),
        **({"result": masked(record.result, manager.sensitive(record.type))} if link.result else {}),
        "may_cancel": link.cancel and may_end(record),
    }


def found() -> JobRecord:
    """The job of the link; one that is gone is as good as a wrong link."""
    try:
        return current_queues.find(access.opened().job)
    except JobNotFound:
        raise LinkNotFound from None


def way_back(token: str) -> str:
    """The page of this application on which the job is shown; never another host."""
    wanted = request.values.get("back", "")
    parts = urlsplit(wanted)
    inside = wanted.startswith("/") and not wanted.startswith("//") and not parts.netloc
    return wanted if inside and wanted.isprintable() and "\\" not in wanted else url_for("queues.link", token=token)
