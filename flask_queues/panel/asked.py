"""What kind of answer a request asks for."""

from __future__ import annotations

from flask import request

#: Sent by the script, which wants the live regions of a page alone.
LIVE_HEADER = "X-Queues-Live"


#: What is asked for by programs that watch, which may come with a token.
FOR_MONITORING = frozenset({"queues.health", "queues.prometheus"})
#: What is asked for by whoever has a link to one job.
FOR_HOLDERS = frozenset({"queues.link", "queues.link_json", "queues.link_part", "queues.link_cancel"})


def is_public() -> bool:
    """Whether what is asked for holds nothing of the application: our own style, script and icon."""
    return request.endpoint == "queues.static"


def is_for_monitoring() -> bool:
    """Whether a program asks how things are."""
    return request.endpoint in FOR_MONITORING


def is_for_holders() -> bool:
    """Whether somebody comes with a link to one job."""
    return request.endpoint in FOR_HOLDERS


def asked_for_json() -> bool:
    """Whether a program asks: for what is below /api, how things are, or of a job that it has a link to."""
    endpoint = request.endpoint or ""
    return endpoint.startswith("queues.api_") or endpoint == "queues.link_json" or is_for_monitoring()


def asked_for_live() -> bool:
    """Whether the live regions are wanted."""
    return LIVE_HEADER in request.headers


def asked_for_page() -> bool:
    """Whether a person will see the answer as a page."""
    return not asked_for_json() and not asked_for_live()
