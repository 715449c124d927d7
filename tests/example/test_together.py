"""Chains, batches, gathered jobs, alerts and signals of the example: with `queues.fake()`, as its author would test."""

from collections.abc import Iterator
from datetime import datetime, timezone
from unittest.mock import Mock

import pytest
from pictures import changes, imaging, imports, jobs, outbox, sending, watching
from pictures.extensions import queues

from flask_queues import Alert
from flask_queues.builtin import Heartbeat

from .conftest import EXAMPLE, Library, picture

DUNES = str(EXAMPLE / "sample" / "dunes.jpg")


@pytest.fixture
def fake(library: Library) -> Iterator[object]:
    """The library's queues, in the memory of the test."""
    with queues.fake(library.flask) as faked, library.flask.app_context():
        yield faked


@pytest.fixture
def import_id(library: Library, fake, tmp_path) -> int:
    """An import of two pictures with two looks each, not begun."""
    library.flask.config["IMPORT_FOLDERS"] = [str(tmp_path)]
    for name in ("boat.jpg", "beach.jpg"):
        (tmp_path / name).write_bytes(picture())
    return imports.add(1, tmp_path, 2)


def note_of(import_id: int) -> str | None:
    row = imports.batch(import_id)
    return row["note"] if row else None


def test_a_chain_takes_a_picture_makes_its_thumbnails_and_mails_it(fake):
    """Each link gets what the one before returned."""
    sending.push(1, DUNES, "gina@example.org")
    fake.chained("pictures:take", jobs.Thumbnail, "pictures:send", "pictures:not-sent")

    fake.drain()
    (mail,) = outbox.newest(None)
    assert (mail["recipient"], mail["title"], mail["state"]) == ("gina@example.org", "Dunes", "sent")
    fake.not_pushed("pictures:not-sent")


def test_a_chain_that_fails_tells_its_owner_instead(fake):
    sending.push(1, DUNES.replace("dunes", "nowhere"), "gina@example.org")
    fake.drain(within=120, raises=False)
    fake.not_pushed(jobs.Thumbnail)
    assert [row["text"] for row in changes.newest(1)] == ["1 not sent to gina@example.org"]


def test_a_mail_of_a_chain_that_runs_again_is_one_mail(library):
    """As after a worker that was stopped a moment too early."""
    with queues.fake(library.flask, twice=True) as fake, library.flask.app_context():
        sending.push(1, DUNES, "gina@example.org")
        fake.drain(within=120)
        assert [(mail["attempts"], mail["state"]) for mail in outbox.newest(None)] == [(1, "sent")]
        assert library.row("select count(*) as n from pictures")["n"] == 1


def test_an_import_is_one_batch_which_says_when_all_is_there(fake, import_id):
    jobs.push_import(import_id)
    fake.drain(within=5)
    (batch,) = fake.batched(f"Import {import_id}")
    assert (batch.total, batch.percent, batch.status) == (6, 100, "completed")
    assert note_of(import_id) == "Everything is there."


def test_an_import_whose_jobs_fail_says_so(fake, import_id, monkeypatch):
    """The first failure calls back at once, and the rest goes on."""
    monkeypatch.setattr(imaging, "resized", Mock(side_effect=RuntimeError("no room")))
    jobs.push_import(import_id)
    fake.drain(within=120, raises=False)
    (batch,) = fake.batched()
    assert (batch.counts["failed"], batch.counts["completed"]) == (2, 4)
    assert note_of(import_id) == "A job has failed: see the panel."


def test_an_import_with_a_broken_picture_says_so(fake, import_id, tmp_path):
    content = picture()
    (tmp_path / "torn.jpg").write_bytes(content[: len(content) // 2])
    jobs.push_import(import_id)
    fake.drain(within=120)
    (batch,) = fake.batched()
    assert (batch.total, batch.counts["cancelled"]) == (9, 3)
    assert note_of(import_id) == "Some pictures are broken."


def test_an_admin_cancels_what_is_left_of_an_import(library, fake, import_id):
    admin = library.signed_in("ada")
    jobs.push_import(import_id)
    fake.drain(queues=["default"])
    assert "Batch: 0 of 6 have ended, 0 %" in admin.get(f"/imports/{import_id}").text

    page = admin.post(f"/imports/{import_id}/cancel", follow_redirects=True).text
    assert "What had not begun was cancelled." in page
    fake.drain(within=5)
    page = admin.get(f"/imports/{import_id}").text
    assert "6 cancelled" in page
    assert imports.standing(import_id).waiting == 0
    assert "nothing left to cancel" in admin.post(f"/imports/{import_id}/cancel", follow_redirects=True).text


def test_only_an_admin_cancels(library, import_id):
    assert library.signed_in("ben").post(f"/imports/{import_id}/cancel").status_code == 403


def test_an_import_that_was_pushed_twice_is_one_job(fake, import_id):
    jobs.push_import(import_id)
    jobs.push_import(import_id)
    fake.pushed(jobs.ImportFolder, times=1)


def test_changes_of_a_minute_are_told_together_and_to_each_their_own(library, fake):
    client = library.signed_in("ben")
    for _ in range(3):
        library.upload(client, picture())
    client.post("/pictures/1/remove")
    changes.note(1, "added")
    assert "What has changed" not in client.get("/outbox").text

    fake.drain(within=120)
    assert "1 removed, " not in client.get("/outbox").text
    assert "3 added, 1 removed" in client.get("/outbox").text
    assert [row["text"] for row in changes.newest(1)] == ["1 added"]


def test_a_failure_and_an_alert_are_noted_for_the_admin(library, fake):
    client = library.signed_in("ada")
    library.upload(client, picture())
    fake.drain()
    client.post("/pictures/1/share", data={"recipient": "nobody@nowhere.invalid"})
    fake.drain(within=120, raises=False)
    watching.note_alert(
        Alert(kind="pending", queue="mail", value=1001, threshold=1000, since=datetime.now(timezone.utc))
    )
    page = client.get("/operations/").text
    assert "Send mail has failed: AddressRefusedError" in page
    assert "1,001" in page or "1001" in page


def test_a_slow_run_is_a_line_in_the_log(library, fake, caplog):
    library.flask.config["SLOW"] = -1
    changes.note(1, "added")
    fake.drain(within=60)
    assert "pictures:digest took" in caplog.text


def test_the_heartbeat_is_scheduled_where_a_url_is_set(make_library):
    """Only there."""
    url = "https://watchdog.example/daylight"
    for made, expected in ((make_library(HEARTBEAT_URL=url), [{"url": url}]), (make_library(), [])):
        with queues.fake(made.flask), made.flask.app_context():
            queues.scheduler.run_due()
            found = [one for one in queues.scheduler.all() if one.type == Heartbeat.type]
            assert [one.payload for one in found] == expected


def test_the_command_line_sends_a_picture(library, fake):
    answer = library.flask.test_cli_runner().invoke(args=["library", "send", DUNES, "gina@example.org"])
    assert "Pushed the chain" in answer.output
    fake.chained("pictures:take", jobs.Thumbnail, "pictures:send", "pictures:not-sent")
