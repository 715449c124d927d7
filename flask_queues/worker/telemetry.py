"""What watches the application from inside, as Sentry and OpenTelemetry do: it sends from threads that end unasked."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("flask_queues")

#: Seconds that a process waits at its end.
PATIENCE = 2.0


def send_what_is_left() -> None:
    """Let it send what it has collected: a process of a worker ends without what Python does at its end."""
    sentry, tracing = (sys.modules.get(name) for name in ("sentry_sdk", "opentelemetry.trace"))
    try:
        if sentry is not None:
            sentry.flush(timeout=PATIENCE)
        if tracing is not None and hasattr(provider := tracing.get_tracer_provider(), "force_flush"):
            provider.force_flush(round(PATIENCE * 1000))
    except Exception:
        logger.warning("What watches this process could not send what it had collected.", exc_info=True)
