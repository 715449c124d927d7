"""Show people how far their job is, in a page of your own and by a signed link."""

import time

from flask import Blueprint, abort, current_app, redirect, render_template, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from flask_queues import Discard, Job, JobHandle, JobNotFound
from pictures import files, imaging, library
from pictures.extensions import queues

blueprint = Blueprint("album", __name__, url_prefix="/albums")


@queues.register
class MakeAlbum(Job):
    """Binds the newest pictures into one file."""

    type = "pictures:album"
    name = "Make an album"

    def handle(self) -> dict[str, int]:
        ready = [picture for picture in library.page() if picture["state"] == "ready"][:12]
        if not ready:
            raise Discard("there is no picture yet")
        pages = []
        for done, picture in enumerate(ready):
            self.progress(100 * done // len(ready), picture["title"])
            pages.append(imaging.opened(files.original(picture["file"]), 900).convert("RGB"))
            time.sleep(current_app.config["PACE"])
        files.write(files.album(self.job.id), imaging.bound(pages))
        return {"pages": len(pages)}


@blueprint.post("/")
def make() -> ResponseReturnValue:
    handle = queues.push(MakeAlbum, tags=[f"user:{current_user.id}"])
    return redirect(url_for(".show", job_id=handle.id), 303)


@blueprint.get("/<job_id>")
def show(job_id: str) -> str:
    handle = own(job_id)
    link = handle.link(cancel=True, max_age=3600, external=True)  # for whoever has it, without signing in
    return render_template("album.html", job=handle, link=link, ready=files.album(job_id).exists())


@blueprint.get("/<job_id>.pdf")
def download(job_id: str) -> ResponseReturnValue:
    path = files.album(own(job_id).id)
    return send_file(path, "application/pdf") if path.exists() else abort(404)


def own(job_id: str) -> JobHandle:
    """The job, if it is this user's: who may see what is the application's to say."""
    handle = queues.handle(job_id)
    try:
        mine = f"user:{current_user.id}" in handle.record.tags
    except JobNotFound:
        mine = False
    return handle if mine else abort(404)
