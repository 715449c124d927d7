"""A picture from a folder to somebody's mail box: a chain, each link of which gets what the one before returned."""

from flask_queues import ChainHandle, current_job

from . import changes, imports, jobs, library, outbox
from .extensions import queues


@queues.job("pictures:take", name="Take one picture", tries=2, backoff=5)
def take(owner_id: int, file: str) -> int:
    """Adds the file to the library; returns the picture's id."""
    path = imports.allowed_file(file)
    new = library.checked(path.read_bytes(), path.name)
    return current_job.step("add", lambda: library.add(new, owner_id))  # once, however often this runs


@queues.job("pictures:send", name="Send what was made", queue="mail", tries=3, backoff=[3, 12], timeout=30)
def send_made(made: dict[str, int], sender_id: int, recipient: str) -> None:
    """Sends the picture whose thumbnails were made."""
    mail_id = current_job.step("mail", lambda: outbox.add(sender_id, made["picture_id"], recipient, ""))
    outbox.remember_job(mail_id, current_job.job.id)
    jobs.send_mail(mail_id=mail_id)  # a function job is still a function


@queues.job("pictures:not-sent", name="Tell that nothing was sent")
def tell_not_sent(owner_id: int, recipient: str) -> None:
    """Runs only where a link before it has failed."""
    changes.note(owner_id, f"not sent to {recipient}")


def push(owner_id: int, file: str, recipient: str) -> ChainHandle:
    return (
        queues.chain([(take, {"owner_id": owner_id, "file": file})])
        .then(jobs.Thumbnail, result_as="picture_id")
        .then(send_made, {"sender_id": owner_id, "recipient": recipient}, result_as="made")
        .then(tell_not_sent, {"owner_id": owner_id, "recipient": recipient}, on="failure")
        .push()
    )
