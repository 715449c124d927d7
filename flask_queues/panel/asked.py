"""What kind of answer a request asks for."""

from __future__ import annotations

from flask import request

#: Sent by the script, which wants the live regions of a page alone.
LIVE_HEADER = "X-Queues-Live"


def is_public() -> bool:
    """Whether what is asked for holds nothing of the application: our own style, script and icon."""
    return request.endpoint == "queues.static"


def asked_for_json() -> bool:
    """Whether it is below /api."""
    return (request.endpoint or "").startswith("queues.api_")


def asked_for_live() -> bool:
    """Whether the live regions are wanted."""
    return LIVE_HEADER in request.headers


def asked_for_page() -> bool:
    """Whether a person will see the answer as a page."""
    return not asked_for_json() and not asked_for_live()
