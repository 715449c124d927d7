"""No change without a token of ours: Flask-WTF's, whether the application protects itself with it or not."""

from __future__ import annotations

from flask import current_app, request

from .asked import is_for_holders
from .mistakes import Expired

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def field_name() -> str:
    """The form field of the token; that of the application's own protection, so that one token serves both."""
    name: str = current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
    return name


def token() -> str:
    """A token for the forms of this page."""
    from flask_wtf.csrf import generate_csrf

    made: str = generate_csrf()
    return made


def token_for_host() -> str:
    """A token for a form of somebody who has a link, where the application asks for one itself; else nothing."""
    return token() if "csrf" in current_app.extensions else ""


def check() -> None:
    """Refuse a change that was not asked for by a page of ours; who has a link to a job could only get it from us."""
    if request.method in SAFE or is_for_holders():
        return
    from flask_wtf.csrf import ValidationError, validate_csrf

    given = request.form.get(field_name()) or request.headers.get("X-CSRFToken")
    try:
        validate_csrf(given)
    except ValidationError as error:
        raise Expired from error
