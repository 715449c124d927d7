"""The job types that come with the package, run as a worker runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

from flask_queues import JobRecord, PayloadError, Queues, Status, UnknownJobType
from flask_queues.builtin import ClearCache, Heartbeat
from flask_queues.worker import run_in_foreground
from tests.support.serving import serving

#: Where the tests' applications keep their caches.
pages, others = Cache(), Cache()
PAGES, OTHERS = f"{__name__}:pages", f"{__name__}:others"


class Shop:
    """An application that has registered both."""

    def __init__(self, folder: Path, queues: Queues | None = None, **config: Any) -> None:
        self.flask = Flask("shop", instance_path=str(folder / "instance"), root_path=str(folder))
        self.flask.config.update(config)
        self.queues = queues or Queues()

    def set_up(self) -> Shop:
        """Make the queues ready."""
        self.queues.init_app(self.flask)
        self.queues.register(ClearCache, Heartbeat)
        return self

    def run(self, job: Any, **payload: Any) -> JobRecord:
        """Push a job and run it here, once."""
        with self.flask.app_context():
            handle = self.queues.push(job, payload, tries=1)
            run_in_foreground(self.queues.manager, handle.id)
            return handle.record


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    made: list[Shop] = []

    def make(queues: Queues | None = None, **config: Any) -> Shop:
        made.append(Shop(tmp_path, queues, **config))
        return made[-1]

    yield make
    for shop in made:
        if "queues" in shop.flask.extensions:
            shop.queues.manager.storage.close()


def files(tmp_path: Path, name: str) -> dict[str, Any]:
    """The configuration of a cache in files."""
    return {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path / name), "CACHE_THRESHOLD": 0}


def error_of(record: JobRecord) -> str:
    assert record.status is Status.FAILED
    assert record.error is not None
    return record.error.message


def test_the_only_cache_needs_no_name(make_shop: Callable[..., Shop], tmp_path: Path) -> None:
    """It is empty afterwards, and the jobs are there."""
    shop = make_shop()
    pages.init_app(shop.flask, config=files(tmp_path, "pages"))
    shop.set_up()
    with shop.flask.app_context():
        pages.set("a", 1)
        assert shop.run(ClearCache).status is Status.COMPLETED
        assert pages.get("a") is None
        assert shop.queues.counts().statuses["completed"] == 1


def test_of_several_caches_the_named_one_is_cleared(make_shop: Callable[..., Shop], tmp_path: Path) -> None:
    """By the module that holds it; without a name, or with a wrong one, none is."""
    shop = make_shop()
    pages.init_app(shop.flask, config=files(tmp_path, "pages"))
    others.init_app(shop.flask, config=files(tmp_path, "others"))
    shop.set_up()
    with shop.flask.app_context():
        pages.set("a", 1)
        others.set("a", 1)
        assert "several caches" in error_of(shop.run(ClearCache))
        for wrong in ("pages", f"{__name__}:PAGES", "os:getcwd", "no.such.module:pages", ":", f"{__name__}:"):
            assert "is no cache of this application" in error_of(shop.run(ClearCache, cache=wrong))
        assert (pages.get("a"), others.get("a")) == (1, 1)
        assert shop.run(ClearCache, cache=OTHERS).status is Status.COMPLETED
        assert (pages.get("a"), others.get("a")) == (1, None)
        assert shop.run(ClearCache, cache=PAGES).status is Status.COMPLETED
        assert pages.get("a") is None


def test_the_cache_of_the_jobs_is_refused(make_shop: Callable[..., Shop], tmp_path: Path) -> None:
    """Handed to Queues, or another one in the same place; the job fails with a sentence, and all others stay."""
    queues = Queues(cache=pages)
    shop = make_shop(queues)
    pages.init_app(shop.flask, config=files(tmp_path, "pages"))
    shop.set_up()
    assert error_of(shop.run(ClearCache)).startswith("The cache of the application holds the jobs of Flask-Queues")
    others.init_app(shop.flask, config=files(tmp_path, "pages"))
    assert error_of(shop.run(ClearCache, cache=OTHERS)).startswith(f"The cache {OTHERS} holds the jobs")
    with shop.flask.app_context():
        assert queues.counts().statuses["failed"] == 2


def test_a_cache_of_the_process_is_refused(make_shop: Callable[..., Shop]) -> None:
    """Clearing the worker's own would look as if it had helped."""
    shop = make_shop()
    pages.init_app(shop.flask, config={"CACHE_TYPE": "SimpleCache"})
    assert "each process has its own" in error_of(shop.set_up().run(ClearCache))


def test_an_application_without_a_cache_says_so(make_shop: Callable[..., Shop]) -> None:
    """In the job's error."""
    assert "no cache of flask-caching" in error_of(make_shop().set_up().run(ClearCache))


def test_they_are_unknown_until_they_are_registered(make_shop: Callable[..., Shop]) -> None:
    """An application that wants neither has neither."""
    shop = make_shop()
    shop.queues.init_app(shop.flask)
    with pytest.raises(UnknownJobType):
        shop.queues.push("queues:heartbeat", {"url": "https://watchdog.example/"})


class Watchdog(HTTPServer):
    """Notes what is fetched from it, and answers what the path says."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", 0), Answers)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Answers(BaseHTTPRequestHandler):
    server: Watchdog

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        status = int(self.path.split("/")[1])
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"file:///{'/'.join(self.path.split('/')[2:])}")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    """A server of the test's own."""
    with serving(Watchdog()) as server:
        yield server


def test_a_heartbeat_fetches_its_url(make_shop: Callable[..., Shop], watchdog: Watchdog) -> None:
    """And returns the status; any other than a good one is a failure, which is tried again."""
    shop = make_shop().set_up()
    record = shop.run(Heartbeat, url=watchdog.url("/200/ping"))
    assert (record.status, record.result) == (Status.COMPLETED, 200)
    assert "503" in error_of(shop.run(Heartbeat, url=watchdog.url("/503/ping")))
    assert watchdog.seen == ["/200/ping", "/503/ping"]


def test_a_heartbeat_is_led_nowhere_but_to_http(
    make_shop: Callable[..., Shop], watchdog: Watchdog, tmp_path: Path
) -> None:
    """Other schemes are refused at the push, and behind a redirect, too."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    shop = make_shop().set_up()
    for wrong in (f"file://{secret}", "ftp://watchdog.example/", "watchdog.example", "https:///x", "", " http://a/"):
        with pytest.raises(PayloadError, match="url"):
            shop.queues.push(Heartbeat, {"url": wrong})
    assert "not allowed" in error_of(shop.run(Heartbeat, url=watchdog.url(f"/302{secret}")))


def test_a_heartbeat_gives_up_in_time(make_shop: Callable[..., Shop]) -> None:
    """Nobody answers there: the listener never accepts."""
    import socket

    shop = make_shop().set_up()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert "timed out" in error_of(shop.run(Heartbeat, url=address, timeout=0.1))
    with pytest.raises(PayloadError, match="timeout"):
        shop.queues.push(Heartbeat, {"url": address, "timeout": 600})
