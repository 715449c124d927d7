"""What kind of answer a request asks for."""

from __future__ import annotations

from flask import request

#: Sent by the script, which wants the live regions of a page alone.
LIVE_HEADER = "X-Queues-Live"


#: What is asked for by programs that watch, which may come with a token.
FOR_MONITORING = frozenset({"queues.health", "queues.prometheus"})


def is_public() -> bool:
    """Whether what is asked for holds nothing of the application: our own style, script and icon."""
    return request.endpoint == "queues.static"


def is_for_monitoring() -> bool:
    """Whether a program asks how things are."""
    return request.endpoint in FOR_MONITORING


def asked_for_json() -> bool:
    """Whether a program asks: for what is below /api, or how things are."""
    return (request.endpoint or "").startswith("queues.api_") or is_for_monitoring()


def asked_for_live() -> bool:
    """Whether the live regions are wanted."""
    return LIVE_HEADER in request.headers


def asked_for_page() -> bool:
    """Whether a person will see the answer as a page."""
    return not asked_for_json() and not asked_for_live()
