"""The gallery, one picture, and the upload."""

from pathlib import Path

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.datastructures import FileStorage

from pictures import changes, files, imaging, jobs, library, security, work
from pictures.database import Row

blueprint = Blueprint("library", __name__)


@blueprint.get("/")
def index() -> str:
    pictures = library.page(request.args.get("before", type=int))
    older = pictures[-1]["id"] if len(pictures) == library.PAGE else None
    return render_template("gallery.html", pictures=work.with_records(pictures), older=older)


@blueprint.post("/pictures")
def upload() -> ResponseReturnValue:
    added = [picture_id for file in request.files.getlist("pictures") if (picture_id := keep(file))]
    for picture_id in added:
        jobs.push_thumbnail(picture_id)
        changes.note(current_user.id, "added")
    if len(added) == 1:
        return redirect(url_for(".show", picture_id=added[0]), 303)
    if not added and not request.files.getlist("pictures"):
        flash("No picture was chosen.", "error")
    return redirect(url_for(".index"), 303)


def keep(file: FileStorage) -> int | None:
    """Check one uploaded file and add it to the library; what is wrong with it is said on the next page."""
    if not file.filename:
        flash("No picture was chosen.", "error")
        return None
    try:
        return library.add(library.checked(file.read(), file.filename), current_user.id)
    except imaging.PictureError as problem:
        flash(f"{file.filename}: {problem}", "error")
        return None


@blueprint.get("/pictures/<int:picture_id>")
def show(picture_id: int) -> str:
    picture = found(picture_id)
    return render_template(
        "picture.html",
        picture=picture,
        looks=library.looks(picture_id),
        record=work.record(picture["job_id"]),
        log=work.log(picture["job_id"]),
    )


@blueprint.post("/pictures/<int:picture_id>/remove")
def remove(picture_id: int) -> ResponseReturnValue:
    picture = found(picture_id)
    security.require_owner(picture["owner_id"])
    library.remove(picture)
    changes.note(picture["owner_id"], "removed")
    flash(f"{picture['title']} was removed.")
    return redirect(url_for(".index"), 303)


@blueprint.get("/pictures/<int:picture_id>/<size>.webp")
def thumbnail(picture_id: int, size: str) -> ResponseReturnValue:
    if size not in imaging.SIZES:
        abort(404)
    return sent(files.thumbnail(picture_id, size))


@blueprint.get("/pictures/<int:picture_id>/looks/<name>.webp")
def look(picture_id: int, name: str) -> ResponseReturnValue:
    if name not in imaging.LOOKS:
        abort(404)
    return sent(files.look(picture_id, name))


def found(picture_id: int) -> Row:
    return library.find(picture_id) or abort(404)


def sent(path: Path) -> ResponseReturnValue:
    """A file that a job made. Its address never changes its content, so the browser may keep it."""
    if not path.exists():
        abort(404)
    response = send_file(path, "image/webp", max_age=3600)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
