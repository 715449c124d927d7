"""Mails as rows, and a mail server that is a folder and now and then does not answer."""

from email.message import EmailMessage
from email.utils import formatdate

from flask import current_app

from . import database, files
from .database import Row

MAILS = """
    select mails.*, pictures.title, users.name as sender,
        (select count(*) from mail_attempts where mail_id = mails.id) as attempts
    from mails join pictures on pictures.id = picture_id join users on users.id = sender_id
"""


class ServerBusyError(Exception):
    """Raised when the mail server does not take a mail now; it may later."""


class AddressRefusedError(Exception):
    """Raised when the recipient's server says it takes no mail."""


def add(sender_id: int, picture_id: int, recipient: str, message: str) -> int:
    return database.change(
        "insert into mails (sender_id, picture_id, recipient, message) values (?, ?, ?, ?)",
        sender_id,
        picture_id,
        recipient,
        message,
    )


def find(mail_id: int) -> Row | None:
    return database.one(f"{MAILS} where mails.id = ?", mail_id)


def newest(sender_id: int | None, limit: int = 50) -> list[Row]:
    """The newest mails of this sender, or of everybody."""
    return database.rows(
        f"{MAILS} where sender_id = coalesce(?, sender_id) order by mails.id desc limit ?", sender_id, limit
    )


def remember_job(mail_id: int, job_id: str) -> None:
    database.change("update mails set job_id = ? where id = ?", job_id, mail_id)


def mark_sent(mail_id: int) -> None:
    database.change("update mails set state = 'sent', sent = current_timestamp where id = ?", mail_id)


def deliver(mail: Row) -> None:
    """Write the mail as a file that any mail program opens. The same mail gets the same file."""
    attempt = database.change("insert into mail_attempts (mail_id) values (?)", mail["id"])
    every = current_app.config["MAIL_FAILS_EVERY"]
    if mail["recipient"].endswith(".invalid"):
        raise AddressRefusedError(f"{mail['recipient']} takes no mail")
    if every and attempt % every == 0:
        raise ServerBusyError("421 Too many connections, try again later")
    files.write(files.mail(mail["id"]), composed(mail).as_bytes())


def composed(mail: Row) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = f"{mail['sender'].capitalize()} shares a picture: {mail['title']}"
    message["From"] = "Daylight <daylight@example.org>"
    message["To"] = mail["recipient"]
    message["Date"] = formatdate()
    message["Message-ID"] = f"<mail-{mail['id']}@daylight.example.org>"
    message.set_content(mail["message"] or "Have a look.")
    picture = files.thumbnail(mail["picture_id"], "medium")
    if picture.exists():
        message.add_attachment(picture.read_bytes(), maintype="image", subtype="webp", filename="picture.webp")
    return message
