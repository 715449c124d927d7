"""What Flask-Queues can do, to try out: buttons, what becomes of the jobs, and the code."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from flask_queues import NotAllowed
from pictures.features import FEATURES, find

blueprint = Blueprint("features", __name__, url_prefix="/features")

#: what the other pages use: the feature, where to see it, and its file
ELSEWHERE = (
    ("Progress and log lines, shown while a job runs", "library.index", "Upload a picture", "jobs.py"),
    ("Retries with growing waits, a rate", "outbox.index", "Share a picture", "jobs.py"),
    ("Gathered job: the changes of a minute in one run", "outbox.index", "Outbox", "changes.py"),
    ("Batch with callbacks, unique import, cancelling", "imports.index", "Imports", "jobs.py"),
    ("Chain, each link with what the one before returned", "operations.index", "flask library send", "sending.py"),
    ("Schedules: every night, every minute", "operations.index", "Queues", "upkeep.py"),
    ("Alerts, signals, something around every run", "operations.index", "Queues", "watching.py"),
)


@blueprint.get("/")
def index() -> str:
    return render_template("features.html", features=FEATURES, elsewhere=ELSEWHERE)


@blueprint.post("/<name>/<int:number>")
def press(name: str, number: int) -> ResponseReturnValue:
    feature = find(name) or abort(404)
    buttons = list(feature.buttons.values())
    if number >= len(buttons):
        abort(404)
    try:
        flash(buttons[number]())
    except NotAllowed as refusal:
        flash(str(refusal), "error")
    return redirect(url_for(".index", _anchor=name), 303)
