"""The suite for authors of engines, `flask_queues.testing.storage`, as they meet it: from a project of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flask_queues.testing.storage import StorageContract

OUTSIDE = '''
import pytest

from flask_queues.storage.sqlite import SQLiteStorage
from flask_queues.storage.sqlite.database import Database
from flask_queues.testing.storage import Engine, StorageContract


class Forgetful(SQLiteStorage):
    """Tells of every pushed job that it was there already."""

    def push(self, jobs):
        return [False for _ in super().push(jobs)]


class MyEngine(Engine):
    name = "mine"

    def open(self):
        return Forgetful(Database(self.place / "jobs.sqlite3"))

    def become_newer(self):
        pass


class TestMine(StorageContract):
    @pytest.fixture
    def engine(self, tmp_path):
        return MyEngine(tmp_path)
'''


def elsewhere(folder: Path, *arguments: str) -> str:
    """Run pytest on the author's module in a project that knows nothing of ours; returns what it says."""
    (folder / "test_mine.py").write_text(OUTSIDE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--strict-markers", "-W", "error", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout


def test_a_failing_promise_shows_what_was_expected_and_what_came(tmp_path: Path) -> None:
    """The assertions of the suite explain themselves in an author's project, as his own do."""
    told = elsewhere(tmp_path, "-k", "test_a_new_job_is_stored_and_told_as_new")
    assert "assert [False, False] == [True, True]" in told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_model_tells_the_shortest_sequence_that_fails(tmp_path: Path) -> None:
    """The state machine runs there too, and shows which steps led to the difference."""
    told = elsewhere(tmp_path, "-k", "model_in_memory")
    assert re.search(r"state\.(?!teardown)\w+\(", told)
    assert "1 failed" in told


def test_an_author_s_storage_is_held_to_every_promise() -> None:
    """One class holds every test of the suite: no two parts of it have tests of one name, of which one would hide."""
    parts = [part for part in StorageContract.__mro__ if part.__name__.endswith("Contract")]
    names = [name for part in parts for name in vars(part) if name.startswith("test_")]
    assert len(names) == len(set(names))
    assert set(names) <= set(dir(StorageContract))


@pytest.mark.parametrize("module", ["pytest", "hypothesis", "flask_queues.testing"])
def test_an_application_never_loads_what_tests_need(module: str) -> None:
    """Importing Flask-Queues imports neither the suite nor what it stands on."""
    code = "import sys, flask_queues, flask_queues.cli; sys.exit(sys.argv[1] in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, module], check=False).returncode == 0
