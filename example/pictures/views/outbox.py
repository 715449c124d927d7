"""Sharing a picture by mail, and the outbox."""

import re

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from pictures import changes, jobs, library, outbox, work

blueprint = Blueprint("outbox", __name__)

ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\]+\.[A-Za-z]{2,}")


@blueprint.post("/pictures/<int:picture_id>/share")
def share(picture_id: int) -> ResponseReturnValue:
    picture = library.find(picture_id) or abort(404)
    recipient = request.form.get("recipient", "").strip()
    if len(recipient) > 200 or not recipient.isascii() or not ADDRESS.fullmatch(recipient):
        flash(f"“{recipient[:80]}” is not a mail address.", "error")
        return redirect(url_for("library.show", picture_id=picture_id), 303)
    mail_id = outbox.add(current_user.id, picture_id, recipient, request.form.get("message", "").strip()[:2000])
    jobs.push_mail(mail_id)
    flash(f"{picture['title']} is on its way to {recipient}.")
    return redirect(url_for(".index"), 303)


@blueprint.get("/outbox")
def index() -> str:
    mails = outbox.newest(None if current_user.is_admin else current_user.id)
    return render_template("outbox.html", mails=work.with_records(mails), digests=changes.newest(current_user.id))
