"""Importing folders: confined, repeatable, and counted."""

import pytest

from .conftest import EXAMPLE, picture


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mine"
    (path / "summer").mkdir(parents=True)
    (path / "boat.jpg").write_bytes(picture())
    (path / "summer" / "beach.png").write_bytes(picture(kind="PNG"))
    (path / "notes.txt").write_text("not a picture")
    (path / "torn.jpg").write_bytes(b"not a picture either")
    return path


@pytest.fixture
def open_library(make_library, folder):
    """A library that may import the folder."""
    return make_library(IMPORT_FOLDERS=[str(folder)])


def start(library, folder, looks=2):
    return library.signed_in("ada").post("/imports/", data={"folder": str(folder), "looks": looks})


def test_an_import_takes_every_picture_and_makes_every_look(open_library, folder):
    answer = start(open_library, folder)
    assert answer.location == "/imports/1"
    assert open_library.run_pending() == 1 + 2 + 2 * 2

    page = open_library.signed_in("ada").get("/imports/1").text
    assert "of 6 jobs" in page
    assert "100 %" in page
    assert "mono, square" in open_library.signed_in("ben").get("/pictures/1").text


def test_all_jobs_of_an_import_carry_its_tag(open_library, folder):
    from pictures.extensions import queues

    start(open_library, folder)
    open_library.run_pending()
    with open_library.flask.app_context():
        assert len(queues.jobs_of(tag="import:1").jobs) == 7


def test_an_import_that_runs_twice_takes_each_picture_once(open_library, folder):
    from pictures import jobs

    start(open_library, folder)
    open_library.run_pending()
    with open_library.flask.app_context():
        jobs.push_import(1)
    open_library.run_pending()
    assert open_library.row("select count(*) as n from pictures")["n"] == 2


def test_the_sample_gives_three_hundred_jobs(library):
    """Twelve pictures, each with its thumbnails and 24 looks."""
    start(library, EXAMPLE / "sample", looks=24)
    library.run(library.pending()[0])
    assert len(library.pending()) == 300


@pytest.mark.parametrize("wanted", ["/", "/etc", "{folder}/..", "{folder}/../data", "{folder}-other", "relative", "\0"])
def test_folders_outside_the_allowed_ones_are_refused(open_library, folder, wanted):
    folder.with_name("mine-other").mkdir()
    answer = start(open_library, wanted.format(folder=folder))
    assert answer.location == "/imports/"
    assert open_library.row("select count(*) as n from imports")["n"] == 0


def test_a_link_out_of_the_folder_is_not_followed(open_library, folder, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(picture())
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "way-out").symlink_to(tmp_path)
    start(open_library, folder)
    open_library.run_pending()
    assert open_library.row("select count(*) as n from pictures")["n"] == 2

    start(open_library, folder / "way-out")
    assert open_library.row("select count(*) as n from imports")["n"] == 1


def test_a_folder_that_vanishes_fails_the_import(open_library, folder):
    (folder / "summer" / "beach.png").unlink()
    start(open_library, folder / "summer")
    (folder / "summer").rmdir()
    job_id = open_library.pending()[0]
    for _ in range(3):
        open_library.run(job_id)
    assert "There is no folder" in open_library.signed_in("ada").get("/imports/1").text


def test_the_command_line_is_confined_as_well(open_library, tmp_path):
    answer = open_library.flask.test_cli_runner().invoke(args=["library", "import", str(tmp_path)])
    assert answer.exit_code == 1
    assert "is not below a folder that IMPORT_FOLDERS allows" in answer.output


def test_the_demo_pushes_work_and_a_second_one_only_mails(library):
    runner = library.flask.test_cli_runner()
    assert "Pushed import 1" in runner.invoke(args=["library", "demo"]).output
    library.run(library.row("select job_id from pictures where title = 'Small sunrise'")["job_id"])
    assert runner.invoke(args=["library", "demo"]).output == "Pushed 5 mails.\n"
