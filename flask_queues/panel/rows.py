"""What a button at the end of a row asks for: its name says what, its value with what; the form says the rest once."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from . import actions, pausing, schedules, workers
from .deeds import ACTIONS

#: What is done with something that is no job, by its kind: a button is called `pause:queue`.
KINDS = {
    "queue": lambda what, name: pausing.change(what, queue=name),
    "type": lambda what, name: pausing.change(what, job_type=name),
    "schedule": schedules.change,
    "worker": workers.change,
}


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/actions", "act_on_row", act, methods=["POST"])
    blueprint.add_url_rule("/actions/confirm", "confirm_row", confirm)


def act() -> ResponseReturnValue:
    """Do it, and go back to where it was asked for."""
    for button, name in request.form.items():
        if button in ACTIONS:
            return actions.act(button, name)
        what, _, kind = button.rpartition(":")
        if kind in KINDS:
            return KINDS[kind](what, name)
    raise NotFound


def confirm() -> ResponseReturnValue:
    """Ask first; a button of the form around the list names no job: those that are checked are meant."""
    for button, name in request.args.items():
        if button in ACTIONS:
            return actions.confirm(button, name)
    raise NotFound
