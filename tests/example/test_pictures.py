"""Uploading a picture, and the job that makes its thumbnails."""

import io

import pytest
from pictures.extensions import queues
from PIL import Image

from flask_queues import Status

from .conftest import EXAMPLE, picture


def job_of(library, picture_id=1):
    from pictures import work

    row = library.row("select * from pictures where id = ?", picture_id)
    with library.flask.app_context():
        return work.record(row["job_id"])


def test_an_upload_becomes_three_sizes(library, photo):
    client = library.signed_in("ben")

    answer = library.upload(client, photo)
    assert answer.location == "/pictures/1"
    assert "waiting" in client.get("/pictures/1").text

    assert library.run_pending() == 1
    assert job_of(library).result.keys() == {"picture_id", "small", "medium", "large"}
    page = client.get("/pictures/1").text
    assert "Red boat" in page
    assert "Wrote medium" in page
    assert library.image(client, "/pictures/1/small.webp").size == (400, 267)


def test_thumbnails_may_be_made_twice(library, photo):
    """A job that was repeated leaves the same files."""
    library.upload(library.signed_in("ben"), photo)
    library.run_pending()
    before = sorted((library.data / "thumbnails").iterdir())

    from pictures import jobs

    with library.flask.app_context():
        jobs.push_thumbnail(1)
    library.run_pending()

    assert sorted((library.data / "thumbnails").iterdir()) == before
    assert job_of(library).status is Status.COMPLETED


def test_a_picture_on_its_side_is_turned_upright(library):
    library.upload(library.signed_in("ben"), (EXAMPLE / "sample" / "forest-in-fog.jpg").read_bytes())
    library.run_pending()
    row = library.row("select * from pictures")
    assert row["height"] > row["width"]


def test_a_transparent_picture_stays_transparent(library):
    client = library.signed_in("ben")
    library.upload(client, (EXAMPLE / "sample" / "bloom.png").read_bytes(), "bloom.png")
    library.run_pending()
    assert library.image(client, "/pictures/1/small.webp").mode == "RGBA"


def test_a_broken_picture_fails_for_good_and_says_why(library, photo):
    client = library.signed_in("ben")
    library.upload(client, photo[: len(photo) // 2])

    assert library.run_pending() == 1
    job = job_of(library)
    assert job.status is Status.CANCELLED
    assert "truncated" in job.reason
    assert "The picture cannot be read" in client.get("/pictures/1").text


def test_a_picture_whose_file_is_gone_is_tried_again_and_then_marked(library, photo):
    """Not the picture's fault, so it is tried again; after the last try `failed()` marks it."""
    library.upload(library.signed_in("ben"), photo)
    (library.data / "originals" / library.row("select file from pictures")["file"]).unlink()
    job = job_of(library)

    for _ in range(3):
        library.run(job.id)

    assert job_of(library).status is Status.FAILED
    row = library.row("select * from pictures")
    assert row["state"] == "broken"
    assert "could not be made" in row["problem"]


def test_a_picture_that_was_removed_needs_no_thumbnails(library, photo):
    client = library.signed_in("ben")
    library.upload(client, photo)
    job = job_of(library)

    assert client.post("/pictures/1/remove").status_code == 303
    library.run(job.id)
    with library.flask.app_context():
        assert queues.find(job.id).reason == "The picture was removed"
    assert list((library.data / "originals").iterdir()) == []


def test_only_the_owner_or_an_admin_removes_a_picture(library, photo):
    library.upload(library.signed_in("ada"), photo)
    assert library.signed_in("ben").post("/pictures/1/remove").status_code == 403


@pytest.mark.parametrize(
    "content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(40), b"\xff\xd8"]
)
def test_what_is_no_picture_is_refused(library, content):
    client = library.signed_in("ben")
    library.upload(client, content)
    assert "not a JPEG, PNG or WebP picture" in client.get("/").text
    assert library.pending() == []


def test_a_picture_of_too_many_pixels_is_refused(library):
    client = library.signed_in("ben")
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    library.upload(client, buffer.getvalue())
    assert "60 megapixels are allowed" in client.get("/").text


def test_an_upload_that_is_too_large_is_refused(make_library):
    library = make_library(MAX_CONTENT_LENGTH=10_000)
    answer = library.upload(library.signed_in("ben"), picture((900, 900)))
    assert answer.status_code == 413
    assert "Too large" in answer.text


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../etc/passwd.jpg", "Passwd"),
        ("C:\\boats\\red-boat.jpg", "Red boat"),
        ("<b>.jpg", "<b>"),
        (".jpg", "Jpg"),
        ("\x00\n.png", "Untitled"),
    ],
)
def test_the_name_of_an_upload_becomes_a_title(library, name, title):
    from pictures.library import title_from

    assert title_from(name) == title


def test_the_name_of_an_upload_is_never_a_path_nor_markup(library, photo):
    client = library.signed_in("ben")
    library.upload(client, photo, "../<b>.jpg")
    assert "&lt;b&gt;" in client.get("/pictures/1").text
    assert len(library.row("select file from pictures")["file"]) == 32 + len(".jpg")


@pytest.mark.parametrize(
    "address",
    ["/pictures/9", "/pictures/9/small.webp", "/pictures/1/..%2fsmall.webp", "/pictures/1/looks/x.webp"],
)
def test_what_is_not_there_is_not_found(library, address):
    assert library.signed_in("ben").get(address).status_code == 404
