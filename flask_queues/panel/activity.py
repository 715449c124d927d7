"""The page of what people did."""

from __future__ import annotations

from itertools import islice
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from ..activity import Act
from ..manager import Manager, current_queues
from ..shapes import iso
from .listing import PAGE
from .render import page

#: No page begins farther down: more is not kept, and no number of an address is too large.
FARTHEST = 1_000_000


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/activity", "activity", activity)
    blueprint.add_url_rule("/api/activity", "api_activity", api_activity)


def asked(manager: Manager) -> tuple[list[Act], int, bool]:
    """A page of lines, how many stand before it, and whether more follow."""
    who, action = request.args.get("who", "").strip(), request.args.get("action", "").strip()
    before = min(max(0, request.args.get("before", 0, type=int)), FARTHEST)
    fitting = (act for act in manager.acts() if who in ("", act.who) and action in ("", act.action))
    found = list(islice(fitting, before, before + PAGE + 1))
    return found[:PAGE], before, len(found) > PAGE


def activity() -> ResponseReturnValue:
    """Who changed what, the last first."""
    acts, before, more = asked(current_queues)
    unread: list[str] = []
    everybody = list(current_queues.acts(unread))
    return page(
        "activity.html",
        acts=acts,
        before=before,
        more=more,
        unread=unread,
        people=sorted({act.who for act in everybody}),
        actions=sorted({act.action for act in everybody}),
        chosen={name: request.args.get(name, "") for name in ("who", "action") if request.args.get(name)},
    )


def api_activity() -> ResponseReturnValue:
    """The same for programs."""
    acts, before, more = asked(current_queues)
    unread: list[str] = []
    list(current_queues.acts(unread))
    return jsonify(acts=[fields(act) for act in acts], before=before, more=more, unread=unread)


def fields(act: Act) -> dict[str, Any]:
    """A line for programs."""
    return {**act._asdict(), "moment": iso(act.when)}
