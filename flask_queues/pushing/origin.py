"""What a push takes along: for people what pushed it, for the job the id of the request and its language."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from uuid import UUID

from flask import current_app, g, has_app_context, has_request_context, request

from ..options import TAG
from .whence import pushed_by

logger = logging.getLogger("flask_queues")

#: Where a proxy, or whoever calls, says it, unless the application has set `g.request_id`.
HEADER = "X-Request-ID"
NOTHING = contextlib.nullcontext()

#: The language of the job that runs here.
_locale: ContextVar[str | None] = ContextVar("flask_queues.locale", default=None)


def luggage(by: str | None = None) -> str:
    """What a push from here takes along, for `packed`: what pushes, the id of its request and the language of that."""
    by = pushed_by() if by is None else by
    return written(by, request_id_here(), locale_here()) if has_app_context() else written(by, None, None)


@lru_cache(64)
def written(by: str, request_id: str | None, locale: str | None) -> str:
    """The JSON of these, without the braces around it."""
    said = {"by": by, "request_id": request_id, "locale": locale}
    return json.dumps({name: value for name, value in said.items() if value is not None}, separators=(",", ":"))[1:-1]


def packed(options: str | None, along: str) -> str | None:
    """The options that are kept of a push, as JSON text, with what it takes along."""
    if not along:
        return options
    return f"{{{along}}}" if options is None else f"{options[:-1]},{along}}}"


def request_id_here() -> str | None:
    """`g.request_id`, which a running job has from its own push, or the header of this request.

    One of more than 128 characters, or with such as cannot be printed, is left where it is.
    """
    found = g.get("request_id")
    if found is None and has_request_context():
        found = request.headers.get(HEADER)
    text = str(found) if isinstance(found, (str, UUID)) else ""
    return text if TAG.fullmatch(text) and text.isprintable() else None


def locale_here() -> str | None:
    """The language of the job that runs here, or what Flask-Babel chooses for this request, if it is set up."""
    if (running := _locale.get()) is not None:
        return running
    if "babel" not in current_app.extensions or not has_request_context():
        return None
    from flask_babel import get_locale  # an application that has set it up has it installed

    try:
        found = get_locale()
    except Exception:
        logger.warning("The request's language is not carried: its locale selector failed.", exc_info=True)
        return None
    return None if found is None else str(found)


def restored(request_id: str | None, locale: str | None) -> contextlib.AbstractContextManager[None]:
    """Give the application context of a job what its push has carried."""
    return NOTHING if request_id is None and locale is None else _restored(request_id, locale)


@contextlib.contextmanager
def _restored(request_id: str | None, locale: str | None) -> Iterator[None]:
    if request_id is not None:
        g.request_id = request_id
    if locale is None:
        yield
        return
    before = _locale.set(locale)
    try:
        with forced(locale):
            yield
    finally:
        _locale.reset(before)


def forced(locale: str) -> contextlib.AbstractContextManager[None]:
    """Have Flask-Babel speak this language, where it is set up and knows it."""
    if "babel" not in current_app.extensions:
        return contextlib.nullcontext()
    from babel import Locale, UnknownLocaleError
    from flask_babel import force_locale

    try:
        Locale.parse(locale)
    except (ValueError, UnknownLocaleError):
        logger.warning("The job's language %s is not known here; it runs in the default one.", locale)
        return contextlib.nullcontext()
    forcing: contextlib.AbstractContextManager[None] = force_locale(locale)
    return forcing
