"""What is done by itself: the nightly report, and the removal of files without a picture."""

from datetime import datetime, timedelta, timezone

from pictures import files, upkeep

NIGHT = datetime(2026, 10, 25, 1, tzinfo=timezone.utc)


def schedule(library, *arguments):
    """`flask queues schedule` with these arguments; answers with what it printed."""
    answer = library.flask.test_cli_runner().invoke(args=["queues", "schedule", *arguments])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_report_comes_every_night_by_the_clock_of_berlin(library):
    """Also in the night in which the clocks go back."""
    found = schedule(library, "next", "nightly report", "--after", "2026-10-24", "--count", "3", "--json")
    assert "2026-10-24T00:00:00Z" not in found
    assert ["2026-10-25T00:00:00Z" in found, "2026-10-26T01:00:00Z" in found] == [True, True]


def test_the_report_tells_of_the_day_before_it_was_due(library, photo):
    client = library.signed_in("ada")
    library.upload(client, photo)
    library.run_pending()
    schedule(library, "run", "nightly report")
    library.run_pending()
    assert "1 pictures came, 0 of them broken; 0 mails were sent." in client.get("/operations/").text
    with library.flask.app_context():
        assert upkeep.facts(NIGHT - timedelta(days=1), NIGHT)["pictures"] == 0


def test_the_cleanup_removes_files_of_pictures_that_are_gone(library, photo):
    client = library.signed_in("ada")
    library.upload(client, photo)
    library.run_pending()
    with library.flask.app_context():
        orphan, kept = files.thumbnail(99, "small"), files.thumbnail(1, "small")
        orphan.write_bytes(b"")
    job_id = schedule(library, "run", "cleanup").strip()
    assert "completed" in library.run(job_id)
    assert (orphan.exists(), kept.exists()) == (False, True)


def test_an_admin_sees_the_schedules_and_runs_one(library):
    admin = library.signed_in("ada")
    page = admin.get("/operations/").text
    assert "nightly report" in page
    assert "Every minute" in page
    admin.post("/operations/schedules/cleanup/run")
    assert "run by hand" in admin.get("/operations/").text
    assert "no schedule called" in admin.post("/operations/schedules/nowhere/run", follow_redirects=True).text


def test_only_an_admin_may(library):
    assert library.signed_in("ben").post("/operations/schedules/cleanup/run").status_code == 403
