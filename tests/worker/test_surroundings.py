"""What a job changes of its process that the next one would find: set back, and said once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flask_queues.worker import surroundings
from flask_queues.worker.surroundings import Surroundings
from tests.support.site import Site


def test_the_next_job_finds_the_folder_and_the_umask_of_the_worker(site: Site, tmp_path: Path) -> None:
    """Also after a job that has done so twice; the worker says once whose job it was."""
    ids = [site.push("where")]
    for _ in range(2):
        site.push("wander", {"folder": str(tmp_path), "umask": 0o077})
        ids.append(site.push("where"))
    worker = site.start("--processes", "1", "--stop-when-empty")
    assert worker.wait() == 0
    before, *after = [site.words(job_id) for job_id in ids]
    assert after == [before, before]
    assert worker.text.count("A job of wander has changed the working folder of its process to") == 1
    assert worker.text.count("A job of wander has changed the umask of its process to 077") == 1


def test_a_job_that_fails_leaves_them_as_they_were(site: Site) -> None:
    """What it changed before it failed is set back, too."""
    first = site.push("where")
    site.push("wander", {"folder": "/no such folder", "umask": 0o077}, tries=1)
    last = site.push("where")
    assert site.start("--processes", "1", "--stop-when-empty").wait() == 0
    assert site.words(last) == site.words(first)


class TestInThisProcess:
    """With its own folder and umask, which are put back."""

    @pytest.fixture(autouse=True)
    def put_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "home").mkdir()
        monkeypatch.chdir(tmp_path / "home")

    def test_a_job_that_says_the_same_changes_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """There is nothing to tell of."""
        found = Surroundings()
        os.chdir(tmp_path)
        os.chdir(tmp_path / "home")
        found.restore("t", 1, last=True)
        assert caplog.text == ""

    def test_a_folder_that_was_renamed_is_still_the_same(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As a deploy does; a job is set back into it by its new name."""
        found = Surroundings()
        (tmp_path / "home").rename(tmp_path / "old")
        os.chdir(tmp_path)
        found.restore("t", 1, last=True)
        assert Path.cwd() == tmp_path / "old"
        assert "A job of t has changed the working folder" in caplog.text

    def test_where_nobody_can_go_back_jobs_stay_where_they_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The folder is gone, and the system knows it by its name alone: that is said once, and no job fails of it."""
        monkeypatch.setattr(surroundings, "opened", lambda folder: folder)
        found = Surroundings()
        for _ in range(2):
            os.chdir(tmp_path)
            (tmp_path / "home").rmdir() if (tmp_path / "home").exists() else None
            found.restore("t", 1, last=True)
        assert Path.cwd() == tmp_path
        assert caplog.text.count("is gone, so jobs stay in") == 1

    def test_a_brief_run_is_told_by_the_next_look_and_by_each_from_then_on(self) -> None:
        """Between jobs that take no time the umask is not looked at, until one has changed it."""
        found = Surroundings()
        umask = os.umask(0o022)
        os.umask(umask)
        try:
            os.umask(0o007)
            found.restore("brief", 0.0, last=False)
            assert os.umask(0o007) == 0o007
            found.restore("last", 0.0, last=True)
            assert os.umask(0o007) == umask
            found.restore("brief", 0.0, last=False)
            assert os.umask(umask) == umask
        finally:
            os.umask(umask)
