"""Importing whole folders; for admins."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from flask_queues import BatchNotFound, Status
from pictures import imaging, imports, jobs, security, work
from pictures.extensions import queues

blueprint = Blueprint("imports", __name__, url_prefix="/imports")
blueprint.before_request(security.require_admin)


@blueprint.get("/")
def index() -> str:
    shown = [(row, imports.standing(row["id"])) for row in imports.newest()]
    return render_template("imports.html", imports=shown, roots=imports.roots(), most_looks=len(imaging.LOOKS))


@blueprint.post("/")
def start() -> ResponseReturnValue:
    looks = request.form.get("looks", type=int, default=0)
    try:
        folder = imports.allowed_folder(request.form.get("folder", "").strip())
    except (imports.FolderError, OSError, ValueError) as problem:
        flash(f"{problem}.", "error")
        return redirect(url_for(".index"), 303)
    import_id = imports.add(current_user.id, folder, looks)
    jobs.push_import(import_id)
    return redirect(url_for(".show", import_id=import_id), 303)


@blueprint.get("/<int:import_id>")
def show(import_id: int) -> str:
    row = imports.find(import_id) or abort(404)
    batch_row = imports.batch(import_id)
    running = queues.jobs_of(tag=imports.tag(import_id), statuses=[Status.RUNNING], limit=8).jobs
    return render_template(
        "import.html",
        row=row,
        standing=imports.standing(import_id),
        pictures=imports.pictures(import_id),
        running=running,
        note=batch_row["note"] if batch_row else None,
        batch=work.batch(batch_row["batch_id"] if batch_row else None),
    )


@blueprint.post("/<int:import_id>/cancel")
def cancel(import_id: int) -> ResponseReturnValue:
    row = imports.batch(import_id) or abort(404)
    try:
        cancelled = queues.batches.handle(row["batch_id"]).cancel("cancelled on the page of the import")
    except BatchNotFound:
        cancelled = False
    flash("What had not begun was cancelled." if cancelled else "There was nothing left to cancel.")
    return redirect(url_for(".show", import_id=import_id), 303)
