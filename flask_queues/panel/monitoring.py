"""What programs ask that watch the application: for admins, and for whoever has the token."""

from __future__ import annotations

import logging

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from ..health import Demands, Health, check, fields
from ..manager import Manager, current_queues

logger = logging.getLogger("flask_queues")


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/health", "health", health)


def health() -> ResponseReturnValue:
    """Whether jobs are being run: 200 if so, 503 if not; `?max_wait=300` also looks how long they wait."""
    manager: Manager = current_queues
    found = check(lambda: manager.storage, Demands(manager.config.lease, request.args.get("max_wait", type=float)))
    return jsonify(fields(discreet(found))), 200 if found.good else 503


def discreet(found: Health) -> Health:
    """The answer without what the storage says, which may name a server, and is for the log."""
    if found.scene is not None:
        return found
    (problem,) = found.problems
    logger.error("The storage cannot be used: %s", problem.problem)
    told = "The storage cannot be used; the application's log says why."
    return Health(problems=(problem._replace(problem=told),))
