"""What the queues do, in one page; for admins."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from flask_queues import QueuesError, Status
from pictures import security, upkeep, watching
from pictures.extensions import queues

blueprint = Blueprint("operations", __name__, url_prefix="/operations")
blueprint.before_request(security.require_admin)


@blueprint.get("/")
def index() -> str:
    counts = queues.counts()
    return render_template(
        "operations.html",
        statuses=counts.statuses,
        queues=counts.queues,
        workers=queues.workers(),
        running=queues.jobs_of(statuses=[Status.RUNNING], limit=10).jobs,
        failures=queues.jobs_of(statuses=[Status.FAILED], limit=20).jobs,
        schedules=queues.scheduler.all(),
        alerts=queues.manager.alerts(),
        notices=watching.newest(),
        report=upkeep.newest_report(),
    )


@blueprint.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> ResponseReturnValue:
    try:
        queues.retry(job_id)
        flash("The job was pushed again.")
    except QueuesError as problem:
        flash(str(problem), "error")
    return redirect(url_for(".index"), 303)


@blueprint.post("/schedules/<name>/run")
def run(name: str) -> ResponseReturnValue:
    try:
        queues.scheduler.run(name)
        flash("Its job was pushed.")
    except QueuesError as problem:
        flash(str(problem), "error")
    return redirect(url_for(".index"), 303)
