"""Sharing by mail: sent once, tried again when the server is busy."""

import email
from email import policy

import pytest

from flask_queues import Status


def share(library, client, photo, recipient="clara@example.org"):
    library.upload(client, photo)
    library.run_pending()
    client.post("/pictures/1/share", data={"recipient": recipient, "message": "Look."})
    return library.row("select job_id from mails")["job_id"]


def test_a_mail_becomes_a_file_that_mail_programs_read(library, photo):
    client = library.signed_in("ben")
    share(library, client, photo)
    library.run_pending()

    message = email.message_from_bytes((library.data / "outbox/mail-00001.eml").read_bytes(), policy=policy.default)
    assert message["To"] == "clara@example.org"
    assert message["Subject"] == "Ben shares a picture: Red boat"
    assert [part.get_content_type() for part in message.iter_attachments()] == ["image/webp"]
    assert "sent" in client.get("/outbox").text


def test_a_busy_server_is_tried_again(make_library, photo):
    """Every second attempt fails here: the second mail is sent with its second attempt."""
    library = make_library(MAIL_FAILS_EVERY=2)
    client = library.signed_in("ben")
    share(library, client, photo)
    library.run_pending()
    client.post("/pictures/1/share", data={"recipient": "dan@example.org"})
    job_id = library.row("select job_id from mails where id = 2")["job_id"]

    library.run(job_id)
    page = client.get("/outbox").text
    assert "tries again in" in page
    assert "421 Too many connections" in page

    library.run(job_id)
    assert library.row("select state from mails where id = 2")["state"] == "sent"
    assert "tries again" not in client.get("/outbox").text


def test_a_mail_is_sent_once_however_often_its_job_runs(library, photo):
    client = library.signed_in("ben")
    share(library, client, photo)
    library.run_pending()

    from pictures import jobs

    with library.flask.app_context():
        jobs.push_mail(1)
    library.run_pending()
    assert library.row("select count(*) as n from mail_attempts")["n"] == 1


def test_a_refused_mail_fails_and_can_be_retried_by_the_admin(library, photo):
    job_id = share(library, library.signed_in("ben"), photo, "nobody@nowhere.invalid")
    for _ in range(3):
        library.run(job_id)

    admin = library.signed_in("ada")
    page = admin.get("/operations/").text
    assert "AddressRefusedError: nobody@nowhere.invalid takes no mail" in page

    admin.post(f"/operations/jobs/{job_id}/retry")
    assert library.pending() == [job_id]


def test_retrying_a_job_that_is_gone_is_a_sentence(library):
    admin = library.signed_in("ada")
    assert admin.post("/operations/jobs/0123456789abcdefghijklmnop/retry").status_code == 303
    assert admin.get("/operations/").status_code == 200


@pytest.mark.parametrize("address", ["", "clara", "a@b", "a@b.org\nBcc: c@d.org", "a@b.org, c@d.org", "<a@b.org>"])
def test_what_is_no_address_is_refused(library, photo, address):
    client = library.signed_in("ben")
    library.upload(client, photo)
    client.post("/pictures/1/share", data={"recipient": address})
    assert library.row("select count(*) as n from mails")["n"] == 0
    assert "is not a mail address" in client.get("/pictures/1").text


def test_everybody_sees_their_own_mails_and_the_admin_all(library, photo):
    share(library, library.signed_in("ada"), photo)
    assert "clara@example.org" not in library.signed_in("ben").get("/outbox").text
    assert "clara@example.org" in library.signed_in("ada").get("/outbox").text


def test_a_mail_whose_record_was_cleared_is_still_listed(library, photo):
    from pictures.extensions import queues

    client = library.signed_in("ben")
    share(library, client, photo)
    library.run_pending()
    with library.flask.app_context():
        queues.clear(hours=0, statuses=[Status.COMPLETED])
    assert "sent" in client.get("/outbox").text
    assert client.get("/pictures/1").status_code == 200
