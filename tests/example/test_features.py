"""Each button of the page "Features": what it pushes, and what becomes of that, with `queues.fake()`."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from pictures import database, features, files, watching
from pictures.extensions import queues

from flask_queues import JobRecord, Status
from flask_queues.testing import Fake

from .conftest import Library, picture


@pytest.fixture
def fake(library: Library) -> Iterator[Fake]:
    """The library's queues, in the memory of the test."""
    with queues.fake(library.flask, raises=False) as faked:
        yield faked


@pytest.fixture
def press(library: Library, fake: Fake) -> Callable[..., str]:
    """Press a button as ada, or as somebody else; answers with the page after it."""

    def pressed(name: str, number: int = 0, *, by: str = "ada") -> str:
        return library.signed_in(by).post(f"/features/{name}/{number}", follow_redirects=True).text

    return pressed


@pytest.fixture
def jobs(library: Library) -> Callable[..., list[JobRecord]]:
    """The jobs of a type."""

    def of(type_string: str) -> list[JobRecord]:
        with library.flask.app_context():
            return list(queues.every(type=type_string))

    return of


@pytest.fixture
def statuses(jobs: Callable[..., list[JobRecord]]) -> Callable[..., Counter[str]]:
    """How many jobs of a type have come to which status."""
    return lambda type_string: Counter(str(job.status) for job in jobs(type_string))


def test_the_page_shows_the_code_of_every_feature(library, fake):
    page = library.signed_in("ben").get("/features/").text
    assert "@queues.job(&#34;pictures:index&#34;" in page
    assert all(feature.code and f"{feature.name}.py" in page for feature in features.FEATURES)


def test_what_is_debounced_runs_once(press, fake, statuses):
    assert "the last of 5 jobs runs" in press("once")
    fake.drain(within=10)
    assert statuses("pictures:index") == {"completed": 1, "cancelled": 4}


def test_what_is_throttled_is_stored_once_for_each_follower(press, fake):
    assert "2 jobs are new" in press("once", 1)
    fake.drain()
    assert "0 jobs are new" in press("once", 1)


def test_postcards_beyond_the_rate_wait_for_their_turn(press, fake, statuses):
    press("turns", 1)
    fake.drain()
    assert statuses("pictures:postcard") == {"completed": 3, "pending": 7}
    fake.drain(within=60)
    assert statuses("pictures:postcard") == {"completed": 10}


def test_only_the_site_that_is_down_is_held(press, fake, statuses):
    press("breaking")
    fake.drain(within=20)
    assert statuses("pictures:publish") == {"completed": 4, "scheduled": 4}
    assert "Cancelled 4 jobs" in press("breaking", 1)


def test_an_album_is_followed_by_who_ordered_it_and_by_whoever_has_the_link(library, fake):
    ben, stranger = library.signed_in("ben"), library.flask.test_client()
    library.upload(ben, picture())
    fake.drain()
    page = ben.post("/albums/").location
    assert "Pending" in ben.get(page).text
    assert library.signed_in("ada").get(page).status_code == 404

    link = ben.get(page).text.partition('<a href="http://localhost')[2].partition('"')[0]
    assert "Pending" in stranger.get(link).text
    fake.drain()
    assert "Completed" in stranger.get(link).text
    assert stranger.get(page).status_code == 303
    assert "Download the album" in ben.get(page).text
    assert ben.get(f"{page}.pdf", buffered=True).data.startswith(b"%PDF")
    assert library.signed_in("ada").get(f"{page}.pdf").status_code == 404


def test_only_an_admin_may_push_what_removes_pictures(library, press, fake):
    content = picture()
    library.upload(library.signed_in("ben"), content[: len(content) // 2])
    fake.drain()
    assert "pictures:remove-broken" in press("rights", by="ben")
    fake.not_pushed("pictures:remove-broken")
    press("rights")
    fake.drain()
    assert library.row("select count(*) as n from pictures")["n"] == 0


def test_the_long_walk_comes_back_and_tells_once(library, fake):
    """Most of its time is over after two pictures, at the latest: it goes on with the next one."""
    ben = library.signed_in("ben")
    for _ in range(3):
        library.upload(ben, picture())
    fake.drain()
    library.flask.config["PACE"] = 2
    with library.flask.app_context():
        files.original(database.rows("select file from pictures where id = 2")[0]["file"]).unlink()
        features.walking.check()
        runs = fake.drain()
        assert len([run for run in runs if run.type == "pictures:check"]) > 1
        assert library.row("select problem from pictures where id = 2")["problem"] == "Its file is gone."
        assert [row["text"] for row in watching.newest()].count("All 3 files were looked for.") == 1


def test_a_push_follows_the_session(press, fake, jobs):
    press("committing")
    press("committing", 1)
    fake.pushed("pictures:welcome", times=1)
    fake.drain()
    assert [job.result for job in jobs("pictures:welcome")] == ["Welcome, Gina!"]


def test_a_job_that_is_put_off_costs_no_try(press, fake, jobs):
    press("waiting")
    fake.drain(within=20)
    (job,) = jobs("pictures:develop")
    assert (job.status, job.attempts) == (Status.COMPLETED, 1)
    assert len(job.history) > 1


def test_a_job_that_nobody_begins_in_time_is_cancelled(library, press, fake, statuses):
    with library.flask.app_context():
        queues.manager.pause("default")
    press("waiting", 1)
    fake.drain(within=60)
    with library.flask.app_context():
        queues.manager.resume("default")
    fake.drain()
    assert statuses("pictures:develop") == {"cancelled": 1}


def test_secrets_are_on_no_page(library, fake, jobs):
    with library.flask.app_context():
        features.hiding.buy.push(picture=1, iban="DE99 8765 4321", code="987654")
    fake.drain()
    (failed,) = jobs("pictures:buy")
    client = library.signed_in("ada")
    pages = [client.get(path).text for path in ("/features/", "/operations/", f"/queues/jobs/{failed.id}")]
    assert ["is no code of four digits" in page for page in pages] == [True, True, True]
    assert [page for page in pages if "987654" in page or "DE99" in page] == []


def test_jobs_on_the_disk_are_encrypted(library):
    with library.flask.app_context():
        features.hiding.buy_one()
    stored = b"".join(path.read_bytes() for path in library.data.glob("queues.sqlite3*"))
    assert b"pictures:buy" in stored
    assert b"DE0212" not in stored
    assert (library.data / "queues-key").stat().st_mode & 0o077 == 0


def test_samples_are_archived_before_they_are_deleted(library, press, fake, jobs):
    press("keeping")
    fake.drain()
    with library.flask.app_context():
        features.keeping.archive(jobs("pictures:sample"))
        assert len(files.archive().read_text().splitlines()) == 10
        assert queues.manager.janitor.retention("pictures:sample")["completed_count"] == 3


def test_a_button_that_is_not_there_is_a_404(library, fake):
    client = library.signed_in("ben")
    assert client.post("/features/nothing/0").status_code == 404
    assert client.post("/features/once/9").status_code == 404
