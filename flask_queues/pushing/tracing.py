"""Traces of OpenTelemetry from the push of a job to its runs, where the application has set OpenTelemetry up.

A push is a span of its own, whose place in its trace travels among the options that are kept of the job (W3C's
`traceparent`, no baggage); each run is a span below that. Nothing is imported for it that the application has not.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import Discard, RateLimited, Retry
from ..storage.values import Claim, NewJob
from ..transitions import describe_exception

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

#: Under which name the options keep it.
KEPT = "trace"
NOTHING = contextlib.nullcontext()
#: Words of ours that a job ends by, and that are no errors.
WORDS = (Discard, RateLimited, Retry)


def traced(new: NewJob) -> NewJob:
    """The job with its push's place in a trace, if there is one."""
    tracer = tracer_here()
    if tracer is None:
        return new
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    about = described(new)
    with tracer.start_as_current_span(f"push {new.type}", kind=SpanKind.PRODUCER, attributes=about):
        TraceContextTextMapPropagator().inject(carrier)
    if not carrier:
        return new
    kept = {**json.loads(new.options or "{}"), KEPT: carrier}
    return new._replace(options=json.dumps(kept, separators=(",", ":")))


def run_traced(claim: Claim, attempt: int) -> contextlib.AbstractContextManager[None]:
    """A span for one run of a job."""
    tracer = tracer_here()
    return NOTHING if tracer is None else _run_traced(tracer, claim, attempt)


@contextlib.contextmanager
def _run_traced(tracer: Tracer, claim: Claim, attempt: int) -> Iterator[None]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = json.loads(claim.options or "{}").get(KEPT, {})
    with tracer.start_as_current_span(
        f"run {claim.type}",
        context=TraceContextTextMapPropagator().extract(carrier),
        kind=SpanKind.CONSUMER,
        attributes={**described(claim), "flask_queues.attempt": attempt},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            note_end(span, error)
            raise


def note_end(span: Span, error: BaseException) -> None:
    """Say in a span by what its run ended; where the job has said a word of ours, that is no error."""
    if isinstance(error, WORDS):
        span.set_attribute("flask_queues.said", type(error).__name__)
        return
    from opentelemetry.trace import StatusCode

    name, message, trace = json.loads(describe_exception(error))
    about = {"exception.type": name, "exception.message": message, "exception.stacktrace": trace}
    span.add_event("exception", about)  # `record_exception` asks the error for its message, which may do anything
    span.set_status(StatusCode.ERROR, message[:200])


def described(job: NewJob | Claim) -> dict[str, Any]:
    """Which job it is, in OpenTelemetry's words for messages."""
    return {
        "messaging.system": "flask_queues",
        "messaging.destination.name": job.queue,
        "messaging.message.id": job.id,
        "flask_queues.type": job.type,
    }


def tracer_here() -> Tracer | None:
    """What makes spans, if the application has set OpenTelemetry up; redis-py imports it wherever it is installed."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or isinstance(provider := trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    tracer: Tracer = provider.get_tracer("flask_queues")
    return tracer
