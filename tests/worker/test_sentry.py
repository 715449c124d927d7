"""What Sentry sees of a worker, with its own SDK and a server that takes the place of theirs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sentry_sdk

from tests.support.serving import serving
from tests.support.site import Site, eventually


class Sentry(ThreadingHTTPServer):
    """Keeps the events that it is sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Envelopes)

    @property
    def dsn(self) -> str:
        """Where it is, for the SDK."""
        return f"http://key@127.0.0.1:{self.server_port}/1"


class Envelopes(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        _, *lines = body.split(b"\n")
        for header, item in zip(lines[::2], lines[1::2], strict=False):
            if json.loads(header)["type"] == "event":
                self.server.events.append(json.loads(item))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    """A server of the test's own."""
    with serving(Sentry()) as server:
        yield server


@pytest.fixture
def watched(make_site: Callable[..., Site], sentry: Sentry) -> Iterator[Site]:
    """The sample application, which has started the SDK before its worker; other tests shall not report to it."""
    yield make_site(QUEUES_LEASE=2, SAMPLE_SENTRY=sentry.dsn)
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def test_a_job_that_fails_is_reported_once_with_its_type(watched: Site, sentry: Sentry) -> None:
    """After its last try, also where the process ends with it; on the terminal there is the worker's line alone."""
    job = watched.push("flaky", {"failures": 9})
    good = watched.push("noop")
    worker = watched.work()
    record, _ = watched.ended(job), watched.ended(good)
    assert record.attempts == 3
    assert worker.stop() == 0
    (event,) = sentry.events
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ValueError", "attempt 3 of the flaky job")
    assert exception["stacktrace"]["frames"][-1]["function"] == "handle"
    assert (event["level"], event["logger"]) == ("error", "flask_queues.failures")
    assert event["extra"] | {"job_id": job, "job_type": "flaky", "job_queue": "default"} == event["extra"]
    assert "Traceback" not in worker.text


def test_a_job_whose_process_dies_is_reported_too(watched: Site, sentry: Sentry) -> None:
    """By whoever says its last words."""
    job = watched.push("doomed", {"how": "kill"}, tries=1)
    watched.work()
    watched.ended(job)
    (event,) = eventually(lambda: sentry.events)
    assert event["exception"]["values"][0]["type"] == "WorkerLost"
    assert event["extra"]["job_type"] == "doomed"


def test_a_report_is_sent_before_its_process_ends(watched: Site, sentry: Sentry) -> None:
    """The SDK sends from a thread, for which nobody would wait."""
    jobs = [watched.push("flaky", {"failures": 9}, tries=1) for _ in range(20)]
    assert watched.start("--stop-when-empty").wait() == 0
    assert sorted(event["extra"]["job_id"] for event in sentry.events) == sorted(jobs)
