"""What is shown instead of a page: why the panel is closed, that nobody is let in, that something is not there."""

from __future__ import annotations

import logging

from flask import Blueprint, jsonify, make_response
from flask.typing import ResponseReturnValue
from markupsafe import escape
from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from ..errors import BatchNotFound, JobNotFound, OptionError, ScheduleNotFound, StorageError
from .asked import asked_for_json, asked_for_page
from .language import gettext as _

logger = logging.getLogger("flask_queues")


class Expired(BadRequest):
    """The token of a form is missing, wrong or too old."""


class QueueNotFound(NotFound):
    """No job of this queue is stored, and no worker serves it."""


class LinkNotFound(NotFound):
    """A link to a job is wrong or too old, or its job is gone."""


def add_to(blueprint: Blueprint) -> None:
    """Answer for what goes wrong inside the panel; the application's own handlers stay as they are."""
    blueprint.add_url_rule(
        "/<path:_anything>", "nothing", nothing_here, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
    )
    for code in (400, 401, 403, 404, 405, 413):
        blueprint.register_error_handler(code, refuse)
    blueprint.register_error_handler(JobNotFound, no_such_job)
    blueprint.register_error_handler(ScheduleNotFound, no_such_schedule)
    blueprint.register_error_handler(BatchNotFound, no_such_batch)
    blueprint.register_error_handler(OptionError, bad_option)
    blueprint.register_error_handler(StorageError, no_storage)


def nothing_here(_anything: str) -> ResponseReturnValue:
    """Every other address below the panel's is closed like its pages, so that nothing can be learned from answers."""
    raise NotFound


def closed(reason: str) -> ResponseReturnValue:
    """Say why there is no panel; nothing can be translated or drawn yet."""
    if asked_for_json():
        return jsonify(error=reason), 503
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Flask-Queues</title><p>{escape(reason)}</p>'
    return page, 503


def refuse(error: HTTPException) -> ResponseReturnValue:
    """Answer with an HTTP error."""
    if error.response is not None or error.code is None or error.code < 400:
        return error
    return answer(error.code, *words(error))


def words(error: HTTPException) -> tuple[str, str]:
    """What is wrong, and what to do."""
    if isinstance(error, Expired):
        return _("Nothing was changed"), _(
            "The page was open for too long, or came from elsewhere. Go back, load it again and repeat the step."
        )
    if error.code == 401:
        return _("Not signed in"), _("The queues are shown to admins who have signed in.")
    if error.code == 403:
        return _("Not allowed"), _("Only admins see the queues, and some of them may not change anything.")
    if isinstance(error, QueueNotFound):
        return _("No such queue"), _("No queue of this name has held a job yet.")
    if isinstance(error, LinkNotFound):
        return _("Not found"), _("This link is wrong, or no longer valid.")
    if error.code == 404:
        return _("Not found"), _("There is no such page here.")
    return _("This cannot be done"), not_understood()


def not_understood() -> str:
    """What can be done where an address or a form makes no sense."""
    return _("The request was not understood. Go back and load the page again.")


def no_such_job(_error: JobNotFound) -> ResponseReturnValue:
    """Say why a job may be gone."""
    from ..manager import current_queues
    from .formats import kept

    config = current_queues.config
    text = _(
        "Completed jobs are kept for %(completed)s, failed ones for %(failed)s.",
        completed=kept(config.retention_completed),
        failed=kept(config.retention_failed),
    )
    return answer(404, _("No such job"), text, search=True)


def no_such_schedule(_error: ScheduleNotFound) -> ResponseReturnValue:
    """It may have been removed from the code."""
    return answer(404, _("No such schedule"), _("It was removed, or never defined."))


def no_such_batch(_error: BatchNotFound) -> ResponseReturnValue:
    """It may have been forgotten."""
    return answer(404, _("No such batch"), _("Ended batches are forgotten when their jobs are deleted."))


def bad_option(error: OptionError) -> ResponseReturnValue:
    """An address that no page of ours made."""
    return answer(400, _("This cannot be done"), not_understood(), str(error))


def no_storage(error: StorageError) -> ResponseReturnValue:
    """Say that the jobs cannot be reached; what the storage says is for the log, it may name a server."""
    logger.error("The panel cannot reach the storage: %s", error)
    return answer(
        503,
        _("The storage cannot be reached"),
        _("Jobs that were pushed are not lost by this. The panel is back as soon as the storage is."),
    )


def answer(status: int, title: str, text: str, detail: str = "", *, search: bool = False) -> ResponseReturnValue:
    """Build the answer in the form that was asked for; the detail is English, for whoever writes addresses.

    `search` offers to look for what was not found.
    """
    if asked_for_json():
        return jsonify(error=f"{title}. {detail or text}"), status
    if not asked_for_page():
        return "", status
    from .render import render

    return make_response(render("mistake.html", title=title, text=text, detail=detail, search=search), status)
