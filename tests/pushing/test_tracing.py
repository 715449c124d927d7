"""Traces from push to run, with OpenTelemetry's own SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from flask_queues import Discard, Queues
from flask_queues.pushing import tracing
from flask_queues.worker import run_in_foreground
from tests.support.site import ROOT, Site


class Shop:
    """An application with jobs of several ends."""

    def __init__(self, folder: Path) -> None:
        self.flask = Flask("shop", instance_path=str(folder))
        self.queues = Queues(self.flask)
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.queues.job("good")(lambda: trace.get_current_span().add_event("inside"))
        self.queues.job("bad", tries=1)(self.fail)
        self.queues.job("never")(self.discard)

    @staticmethod
    def fail() -> None:
        raise ValueError("no mail server")

    @staticmethod
    def discard() -> None:
        raise Discard("nobody wants it")

    def push_and_run(self, job: str) -> tuple[ReadableSpan, ReadableSpan]:
        """Push a job and run it; returns both spans."""
        job_id = self.queues.push(job).id
        run_in_foreground(self.queues.manager, job_id)
        spans = self.exporter.get_finished_spans()
        pushed, ran = (next(span for span in spans if span.name == f"{word} {job}") for word in ("push", "run"))
        return pushed, ran


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Its provider is for this test alone: OpenTelemetry's own is set once for a process."""
    shop = Shop(tmp_path)
    monkeypatch.setattr(tracing, "tracer_here", lambda: shop.provider.get_tracer("flask_queues"))
    yield shop
    shop.queues.manager.storage.close()


def test_a_run_is_a_span_below_that_of_its_push(shop: Shop) -> None:
    """One trace, from the request's own span on; what the job does belongs to its run."""
    with shop.provider.get_tracer("of the application").start_as_current_span("request") as request:
        shop.queues.push("good")
    (waiting,) = shop.queues.jobs_of().jobs
    run_in_foreground(shop.queues.manager, waiting.id)
    pushed, _, ran = shop.exporter.get_finished_spans()
    assert {span.context.trace_id for span in (pushed, ran)} == {request.get_span_context().trace_id}
    assert pushed.parent is not None
    assert ran.parent is not None
    assert (pushed.parent.span_id, ran.parent.span_id) == (request.get_span_context().span_id, pushed.context.span_id)
    assert (pushed.kind, ran.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert ran.attributes is not None
    assert ran.attributes["messaging.message.id"] == waiting.id
    assert ran.attributes["messaging.destination.name"] == "default"
    assert (ran.attributes["flask_queues.type"], ran.attributes["flask_queues.attempt"]) == ("good", 1)
    assert [event.name for event in ran.events] == ["inside"]


def test_a_run_that_fails_is_an_error_with_its_exception(shop: Shop) -> None:
    """A word of ours is none."""
    _, bad = shop.push_and_run("bad")
    assert (bad.status.status_code, bad.status.description) == (StatusCode.ERROR, "no mail server")
    (event,) = bad.events
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "ValueError"
    _, never = shop.push_and_run("never")
    assert never.status.status_code is StatusCode.UNSET
    assert never.attributes is not None
    assert never.attributes["flask_queues.said"] == "Discard"
    assert list(never.events) == []


class Unspeakable(Exception):
    """Its message would end the process."""

    def __str__(self) -> str:
        raise SystemExit(3)


def test_an_error_that_has_no_message_is_told_without_one(shop: Shop) -> None:
    """What it does when it is asked for one reaches nobody."""

    @shop.queues.job("unspeakable", tries=1)
    def work() -> None:
        raise Unspeakable

    _, ran = shop.push_and_run("unspeakable")
    (event,) = ran.events
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "tests.pushing.test_tracing.Unspeakable"
    assert "Traceback" in str(event.attributes["exception.stacktrace"])
    assert ran.status.description == "(its message could not be made)"


def test_what_a_push_says_of_itself_stays_beside_its_trace(shop: Shop) -> None:
    """Tries, timeout and backoff are among the same options."""
    handle = shop.queues.push("bad", tries=7, timeout=5)
    assert (handle.record.tries, handle.record.timeout) == (7, 5)
    claim = shop.queues.manager.claim("host:1:1", handle.id)
    assert set(json.loads(claim.options or "")) == {"tries", "timeout", "by", "trace"}
    assert set(json.loads(claim.options or "")["trace"]) == {"traceparent"}


def test_where_nobody_uses_opentelemetry_nothing_is_imported_or_kept(tmp_path: Path) -> None:
    """In a process that has not heard of it."""
    code = f"""
import sys
from flask import Flask
from flask_queues import Queues
app = Flask("shop", instance_path={str(tmp_path)!r})
queues = Queues(app)
queues.job("good")(lambda: None)
claim = queues.manager.claim("host:1:1", queues.push("good").id)
assert claim.options == '{{"by":"program python"}}', claim.options
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True, timeout=60)


def test_where_it_is_imported_and_not_set_up_nothing_is_done_for_it() -> None:
    """As by redis-py, in every process that has both; a job would pay for spans that nobody gets."""
    code = """
import opentelemetry.trace
from flask_queues.pushing.tracing import tracer_here
assert tracer_here() is None
from opentelemetry.sdk.trace import TracerProvider
opentelemetry.trace.set_tracer_provider(TracerProvider())
assert tracer_here() is not None
"""
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True, timeout=60)


def test_a_worker_sends_its_spans_before_its_processes_end(make_site: Any) -> None:
    """The SDK collects them for longer than the worker lives."""
    site: Site = make_site(QUEUES_LEASE=2, SAMPLE_TRACES=True)
    jobs = [site.push("noop") for _ in range(5)]
    assert site.start("--stop-when-empty").wait() == 0
    spans = [json.loads(line) for line in (site.folder / "spans.txt").read_text().splitlines()]
    ran = [span["attributes"]["messaging.message.id"] for span in spans if span["name"] == "run noop"]
    assert sorted(ran) == sorted(jobs)
