"""What every answer of the panel tells the browser about itself."""

from __future__ import annotations

from flask import Response, request

from ..manager import current_queues
from .asked import asked_for_page, is_for_holders, is_public

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
FOR_EVER = "public, max-age=31536000, immutable"


def add(response: Response) -> Response:
    """Set the headers; a page inside the application's own layout obeys the application's policy.

    Other hosts frame neither: a click on a page of theirs would be a click on a button of ours.
    """
    ours = is_public() or is_for_holders()
    inside = current_queues.config.layout is not None and asked_for_page() and not ours
    if not inside:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Frame-Options"] = "DENY"
    else:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"  # unless the application, which comes after, says otherwise
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not is_public():
        response.headers["Cache-Control"] = "private, no-store"
    elif "v" in request.args and response.status_code in {200, 304}:
        response.headers["Cache-Control"] = FOR_EVER
    return response
