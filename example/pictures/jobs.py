"""The jobs of this application. Each looks its row up by id, and is safe to run twice."""

import time

from flask import current_app

from flask_queues import Discard, Job, current_job

from . import files, imaging, imports, library, outbox
from .database import Row
from .extensions import queues


@queues.register
class Thumbnail(Job):
    """Makes the three sizes of a picture."""

    type = "pictures:thumbnail"
    name = "Make thumbnails"
    queue = "images"
    tries = 3
    backoff = 5

    def handle(self, picture_id: int) -> dict[str, int]:
        picture = row_of(library.find(picture_id), "picture")
        library.remember_job(picture_id, self.job.id)  # of a batch or a chain, whose pusher does not know it
        try:
            image = imaging.opened(files.original(picture["file"]))
        except imaging.PictureError as broken:
            library.mark_broken(picture_id, str(broken))
            raise Discard(str(broken)) from broken  # trying again would not mend the file
        self.log("info", "Opened the picture", width=image.width, height=image.height)

        written = {"picture_id": picture_id}  # what comes next in a chain asks for it
        for done, (size, edge) in enumerate(imaging.SIZES.items()):
            self.progress(100 * done // len(imaging.SIZES), size)
            written[size] = files.write(files.thumbnail(picture_id, size), imaging.resized(image, edge))
            self.log("info", f"Wrote {size}", bytes=written[size])
            time.sleep(current_app.config["PACE"])
        library.mark_ready(picture_id, *image.size)
        return written

    def failed(self, exception: BaseException) -> None:
        library.mark_broken(self.payload["picture_id"], f"The thumbnails could not be made: {exception}.")


@queues.register
class Look(Job):
    """Makes one look of a picture, such as `sepia-square`."""

    type = "pictures:look"
    name = "Make a look"
    queue = "images"
    priority = -10  # nobody waits for it: thumbnails go first
    tries = 2
    backoff = 5

    def handle(self, picture_id: int, look: str) -> dict[str, int]:
        row = row_of(library.find_look(picture_id, look), "look")
        try:
            image = imaging.opened(files.original(row["file"]), imaging.LOOK_EDGE * 2)
        except imaging.PictureError as broken:
            library.mark_look(picture_id, look, "failed")
            raise Discard(str(broken)) from broken
        size = files.write(files.look(picture_id, look), imaging.look(image, look))
        library.mark_look(picture_id, look, "ready")
        return {"bytes": size}

    def failed(self, _: BaseException) -> None:
        library.mark_look(self.payload["picture_id"], self.payload["look"], "failed")


@queues.register
class ImportFolder(Job):
    """Takes every picture of a folder into the library, and pushes the jobs that work on them."""

    type = "pictures:import"
    name = "Import a folder"
    queue = "default"
    timeout = 600
    tries = 3
    backoff = 5
    unique = True  # a second click on "Import" is no second import

    def handle(self, import_id: int) -> dict[str, int]:
        row = row_of(imports.find(import_id), "import")
        paths = imports.pictures_in(imports.allowed_folder(row["folder"]))
        for done, path in enumerate(paths):
            self.progress(100 * done // len(paths), path.name)
            try:
                imports.take(row, path)
            except (imaging.PictureError, OSError) as problem:
                self.log("warning", "Left out a file", file=path.name, problem=str(problem))
        pushed = self.step("push", lambda: push_work(import_id))  # not again when a later run repeats the rest
        imports.mark(import_id, "read")
        return {"files": len(paths), "pushed": pushed}

    def failed(self, exception: BaseException) -> None:
        imports.mark(self.payload["import_id"], "failed", str(exception))


@queues.job("pictures:note-import", name="Note how an import goes")
def note_import(import_id: int, note: str) -> None:
    """Is called back by the batch of an import: once all is well, or at the first failure."""
    imports.note(import_id, note)


@queues.job("pictures:close-import", name="Close an import")
def close_import(import_id: int) -> None:
    """Is called back when every job of the batch has ended; one that was cancelled leaves nothing waiting."""
    assert current_job.batch is not None, "only a batch pushes this job"
    batch = current_job.batch.record
    if batch.reason is not None:
        imports.give_up_waiting(import_id)
        imports.note(import_id, "It was cancelled.")
    elif batch.counts["cancelled"]:  # by `Discard`
        imports.note(import_id, "Some pictures are broken.")


@queues.job("pictures:mail", queue="mail", tries=3, backoff=[3, 12], timeout=30, rate="10/s", name="Send mail")
def send_mail(mail_id: int) -> None:
    """Puts a mail into the outbox folder; a second run finds it sent and does nothing."""
    mail = row_of(outbox.find(mail_id), "mail")
    if mail["state"] == "sent":
        return
    current_job.log("info", "Connecting", recipient=mail["recipient"])
    outbox.deliver(mail)
    outbox.mark_sent(mail_id)


def row_of(row: Row | None, what: str) -> Row:
    """A job may come when its row is gone; then there is nothing left to do, now or later."""
    if row is None:
        raise Discard(f"The {what} was removed")
    return row


def push_thumbnail(picture_id: int) -> None:
    handle = queues.push(Thumbnail, {"picture_id": picture_id})
    library.remember_job(picture_id, handle.id)


def push_mail(mail_id: int) -> None:
    handle = send_mail.using(tags=(f"mail:{mail_id}",)).push(mail_id=mail_id)
    outbox.remember_job(mail_id, handle.id)


def push_import(import_id: int) -> None:
    queues.push(ImportFolder, {"import_id": import_id}, tags=(imports.tag(import_id),))


def push_work(import_id: int) -> int:
    """One batch for all that waits, with what is to happen when it is done. Answers with how many jobs it has."""
    thumbnails = [(Thumbnail, {"picture_id": picture_id}) for picture_id in imports.waiting_pictures(import_id)]
    looks = [(Look, {"picture_id": row["picture_id"], "look": row["name"]}) for row in imports.waiting_looks(import_id)]
    if thumbnails or looks:
        batch = (
            queues.batch([*thumbnails, *looks], name=f"Import {import_id}")
            .then(note_import, {"import_id": import_id, "note": "Everything is there."})
            .catch(note_import, {"import_id": import_id, "note": "A job has failed: see the panel."})
            .finally_(close_import, {"import_id": import_id})
            .push(tags=[imports.tag(import_id)])
        )
        imports.remember_batch(import_id, batch.id)
    return len(thumbnails) + len(looks)
