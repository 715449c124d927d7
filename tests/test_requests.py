"""Pushing where most jobs are pushed: in requests, in a server's threads and in forked server processes."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import PayloadError, Queues, current_queues

queues = Queues()


@queues.job("requests:hello")
def hello(name: str) -> str:
    return f"Hello {name}"


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """The application of pytest-flask's fixtures."""
    app = Flask("requests", instance_path=str(tmp_path))
    queues.init_app(app)

    @app.route("/hello/<name>", methods=["GET", "POST"])
    def push_hello(name: str) -> str:
        return hello.push(name=name).id

    @app.errorhandler(PayloadError)
    def refused(error: PayloadError) -> tuple[str, int]:
        return str(error), 422

    @app.post("/anything")
    def push_anything() -> str:
        return current_queues.push("requests:hello", {"nome": 1}).id

    return app


def test_a_request_pushes_a_job(client: Any) -> None:
    """With no set-up but init_app."""
    job_id = client.post("/hello/Ada").text

    assert queues.find(job_id).payload == {"name": "Ada"}


def test_a_refused_payload_is_an_error_that_the_host_can_handle(client: Any) -> None:
    """And nothing is stored."""
    answer = client.post("/anything")

    assert (answer.status_code, answer.text) == (422, "requests:hello: there is no argument 'nome'; it takes name.")
    assert queues.counts().cells == {}


def test_many_threads_push_at_once(app: Flask) -> None:
    """Each request in a thread of its own, all on the one connection of the process."""

    def push(n: int) -> str:
        with app.test_client() as client:
            return client.post(f"/hello/{n}").text

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(push, range(80)))

    assert len(ids) == queues.counts().statuses["pending"] == 80


def test_a_server_that_was_forked_pushes_to_the_same_storage(app: Flask, live_server: Any) -> None:
    """The file was open here before the fork, and stays usable on both sides."""
    before = hello.push(name="before")

    with urllib.request.urlopen(f"http://127.0.0.1:{live_server.port}/hello/fork") as answer:
        forked = answer.read().decode()
    after = hello.push(name="after")

    assert [queues.find(job_id).payload["name"] for job_id in (before.id, forked, after.id)] == [
        "before",
        "fork",
        "after",
    ]
