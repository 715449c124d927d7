"""What programs ask that watch the application: for admins, and for whoever has the token."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from ..errors import StorageError
from ..health import Demands, Health, check, fields
from ..manager import Manager, current_queues

AWAY = "The storage cannot be used; the application's log says why."

logger = logging.getLogger("flask_queues")


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/health", "health", health)
    blueprint.add_url_rule("/prometheus", "prometheus", prometheus)


def health() -> ResponseReturnValue:
    """Whether jobs are being run: 200 if so, 503 if not; `?max_wait=300` also looks how long they wait."""
    manager: Manager = current_queues
    wait = request.args.get("max_wait", type=int)
    found = check(lambda: manager.storage, Demands(manager.config.lease, wait))
    return jsonify(fields(discreet(found))), 200 if found.good else 503


def prometheus() -> ResponseReturnValue:
    """How things stand and what was done, for Prometheus."""
    if find_spec("prometheus_client") is None:
        needed = 'pip install "flask-queues-panel[prometheus]"'
        return jsonify(error=f"There is nothing here, since prometheus-client cannot be imported: {needed}"), 404
    from .prometheus import exposition

    try:
        text, content_type = exposition(current_queues, request.headers.get("Accept", ""))
    except StorageError as error:
        logger.error("No figures for Prometheus: %s", error)
        return jsonify(error=AWAY), 503
    return Response(text, content_type=content_type)


def discreet(found: Health) -> Health:
    """The answer without what the storage says, which may name a server, and is for the log."""
    if found.scene is not None:
        return found
    (problem,) = found.problems
    logger.error("The storage cannot be used: %s", problem.problem)
    return Health(problems=(problem._replace(problem=AWAY),))
