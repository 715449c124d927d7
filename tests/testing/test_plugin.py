"""The fixtures, as a project meets them: pytest runs in a folder that knows nothing of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OPTIONS = ("-p", "no:cacheprovider", "-p", "pytest_flask_queues", "-W", "error", "--strict-markers", "-q")
#: What is printed of a repeated job behind its id, which is another each time.
REPEATED = re.compile(r"was cut.*|has completed.*")
#: Each test here starts pytest.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT = """
from flask import Flask, has_request_context
from flask_queues import Queues, current_job

queues = Queues()


@queues.job("blog:notify", queue="mail")
def notify(reader: str) -> bool:
    sent.append(reader)
    return has_request_context()


queues.schedule("0 8 * * *", notify, {"reader": "everybody"}, name="daily")
sent = []


def create_app(folder):
    app = Flask(__name__, instance_path=str(folder))
    app.config["TESTING"] = True
    queues.init_app(app)

    @app.post("/publish/<reader>")
    def publish(reader):
        return notify.push(reader=reader).id

    return app
"""

CONFTEST = """
import pytest
from blog import create_app, sent


@pytest.fixture
def app(tmp_path):
    sent.clear()
    return create_app(tmp_path)
"""

TESTS = """
import os
from datetime import timedelta

import pytest
from blog import notify, queues, sent


def test_a_view_pushes(client, queues_fake):
    client.post("/publish/ada")
    queues_fake.pushed(notify, payload={"reader": "ada"}, times=1)
    assert not sent
    queues_fake.drain()
    assert sent == ["ada"]


@pytest.mark.queues_fake(eager=True)
def test_eager(client, queues_fake):
    job = client.post("/publish/bob").text
    assert queues.find(job).result is False


def test_the_clock(queues_clock, queues_fake):
    queues_fake.drain(within=timedelta(days=2))
    assert sent == ["everybody"] * 2


def test_in_threads(client, queues_worker):
    job = client.post("/publish/ada").text
    queues_worker.wait()
    assert queues.find(job).result is False
    assert sent == ["ada"]


@pytest.mark.queues_worker(processes=1)
def test_in_processes(client, queues_worker, tmp_path):
    job = client.post("/publish/ada").text
    queues_worker.wait()
    assert queues.find(job).result is False
    assert str(os.getpid()) not in queues.find(job).worker
    assert not (tmp_path / "queues.sqlite3").exists()


@pytest.mark.queues_worker(configured_storage=True)
def test_in_the_storage_of_the_application(client, queues_worker, tmp_path):
    client.post("/publish/ada")
    queues_worker.wait()
    assert (tmp_path / "queues.sqlite3").exists()
"""


class Project:
    """A project with tests of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("blog.py", PROJECT)
        self.write("conftest.py", CONFTEST)

    def write(self, name: str, text: str) -> None:
        """Write one of its files."""
        (self.folder / name).write_text(text)

    def pytest(self, *arguments: str) -> str:
        """Run its tests, every warning an error; returns what is said."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *OPTIONS, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One in a folder of its own."""
    return Project(tmp_path)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_project_s_tests_use_the_fixtures(project: Project, workers: tuple[str, ...]) -> None:
    """With pytest-flask, whose request no job sees, and in several processes, each with jobs of its own."""
    for n in range(3):
        project.write(f"test_blog_{n}.py", TESTS)
    told = project.pytest(*workers)
    assert "18 passed" in told, told


def test_a_failing_assertion_shows_what_was_pushed_and_no_code_of_ours(project: Project) -> None:
    """The trace ends in the test's own line."""
    project.write(
        "test_one.py",
        "from blog import notify\n\n\ndef test_one(queues_fake):\n    notify.push(reader='ada')\n"
        "    queues_fake.pushed('blog:notify', payload={'reader': 'bob'})\n",
    )
    told = project.pytest()
    assert "{'reader': 'ada'}, queue 'mail'" in told
    assert "fake.py" not in told
    assert "test_one.py:6" in told


def test_a_whole_run_may_repeat_each_job(project: Project) -> None:
    """`--queues-twice=cut` prints its seed with the test that fails, and `--queues-seed` plays it again."""
    project.write(
        "test_one.py",
        "from blog import notify, sent\n\n\ndef test_one(queues_fake):\n    for n in range(5):\n"
        "        notify.push(reader=str(n))\n    queues_fake.drain()\n    assert len(sent) == 5\n",
    )
    told = project.pytest("--queues-twice=cut")
    assert "1 failed" in told
    [seed] = re.findall(r"with seed=(\d+)", told)
    cuts = REPEATED.findall(told)
    assert len(cuts) == 5
    assert REPEATED.findall(project.pytest("--queues-twice=cut", "--queues-seed", seed)) == cuts


def test_an_application_may_be_called_otherwise(project: Project) -> None:
    """`queues_app` is what a project overrides; without both fixtures it is told so."""
    project.write("conftest.py", CONFTEST.replace("def app(", "def site("))
    project.write("test_one.py", "def test_one(queues_fake):\n    queues_fake.nothing_pushed()\n")
    assert "Define a fixture `app`, or `queues_app`" in project.pytest()
    own = "\n\n@pytest.fixture\ndef queues_app(site):\n    return site\n"
    project.write("conftest.py", CONFTEST.replace("def app(", "def site(") + own)
    assert "1 passed" in project.pytest()


def test_a_fixture_missing_further_down_is_named(project: Project) -> None:
    """Ours is not blamed for it."""
    project.write("conftest.py", CONFTEST.replace("tmp_path", "nowhere"))
    project.write("test_one.py", "def test_one(queues_fake): ...\n")
    assert "fixture 'nowhere' not found" in project.pytest()


def test_a_worker_in_processes_has_no_clock_in_memory(project: Project) -> None:
    """It would wait for a time that it cannot see."""
    project.write(
        "test_one.py",
        "import pytest\n\n\n@pytest.mark.queues_worker(processes=1)\ndef test_one(queues_worker, queues_clock): ...\n",
    )
    assert "queues_fake and queues_clock are for a worker in threads" in project.pytest()


def test_the_plugin_imports_nothing_of_an_application() -> None:
    """pytest loads it in every project of an environment."""
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_flask_queues; "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pytest_flask_queues']"
