"""The example application under test: each test has a library of its own in a temporary folder."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from tests.support.browsing import browser  # noqa: F401 - a fixture, for whoever asks for it by name

EXAMPLE = Path(__file__).resolve().parents[2] / "example"
sys.path.insert(0, str(EXAMPLE))

from pictures import create_app, database, users  # noqa: E402

PASSWORDS = {account.name: account.password for account in users.DEMO_ACCOUNTS}


class Library:
    """The application with what tests do to it. Not called `app`: jobs must make their own context."""

    def __init__(self, flask: Flask) -> None:
        self.flask = flask
        self.data = Path(flask.instance_path)

    def signed_in(self, name: str) -> FlaskClient:
        client = self.flask.test_client()
        answer = client.post("/sign-in", data={"name": name, "password": PASSWORDS[name]})
        assert answer.status_code == 303
        return client

    def row(self, sql: str, *values: object) -> database.Row:
        with self.flask.app_context():
            found = database.one(sql, *values)
        assert found is not None
        return found

    def run(self, job_id: str) -> str:
        """Run one job as `flask queues run` does; answers with what it printed."""
        return self.flask.test_cli_runner().invoke(args=["queues", "run", job_id]).output

    def run_pending(self) -> int:
        """Run everything that waits, jobs that other jobs push too; answers with how many ran."""
        count = 0
        while waiting := self.pending():
            for job_id in waiting:
                self.run(job_id)
                count += 1
        return count

    def pending(self) -> list[str]:
        from pictures.extensions import queues

        with self.flask.app_context():
            found = reversed(queues.jobs_of(statuses=["pending"], limit=500).jobs)
            return [job.id for job in found if job.type != "pictures:digest"]  # due when its minute is over

    def upload(self, client: FlaskClient, content: bytes, name: str = "red_boat.jpg") -> TestResponse:
        return client.post("/pictures", data={"pictures": (io.BytesIO(content), name)})

    def image(self, client: FlaskClient, address: str) -> Image.Image:
        """The picture at this address."""
        return Image.open(io.BytesIO(client.get(address, buffered=True).data))


@pytest.fixture
def make_library(tmp_path: Path) -> Callable[..., Library]:
    """Makes a library with the settings given."""

    def make(**config: object) -> Library:
        defaults = {
            "DATA": tmp_path / "data",
            "TESTING": True,
            "WTF_CSRF_ENABLED": False,
            "MAIL_FAILS_EVERY": 0,
        }
        return Library(create_app({**defaults, **config}))

    return make


@pytest.fixture
def library(make_library: Callable[..., Library]) -> Library:
    return make_library()


def picture(size: tuple[int, int] = (600, 400), kind: str = "JPEG", colour: str = "#b33") -> bytes:
    """A small picture that is not all one colour, so that half its file is not all of it."""
    buffer = io.BytesIO()
    image = Image.effect_noise(size, 90).convert("RGB")
    Image.blend(image, Image.new("RGB", size, colour), 0.5).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def photo() -> bytes:
    return picture()
