"""Links by which somebody who is no admin sees one job: a signed token says which, and what else it opens."""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import timedelta
from typing import NamedTuple

from flask import Flask, has_app_context, url_for
from itsdangerous import BadData, URLSafeTimedSerializer

from .errors import ConfigError
from .options import Seconds, check_timeout

SALT = "flask_queues.link"
WEEK = timedelta(days=7)


class Link(NamedTuple):
    """What a token opens."""

    #: The id of the job.
    job: str
    #: Whether its result is shown.
    result: bool = False
    #: Whether it may be cancelled.
    cancel: bool = False


def address(app: Flask, link: Link, max_age: Seconds, *, external: bool) -> str:
    """The URL of a link, below the panel's prefix; raises `ConfigError` where it cannot be signed or built.

    Outside a request it is external, as all that Flask builds there.
    """
    token = sign(app, link, check_timeout("max_age", max_age))
    with nullcontext() if has_app_context() else app.app_context():
        try:
            return url_for("queues.link", token=token, _external=external or None)
        except RuntimeError as error:
            raise ConfigError(
                "A link that is made outside a request needs SERVER_NAME, so that it is known where the application is."
            ) from error


def sign(app: Flask, link: Link, max_age: float) -> str:
    """Make the token."""
    opens = ("r" if link.result else "") + ("c" if link.cancel else "")
    return str(signer(app).dumps([link.job, opens, max_age]))


def read(app: Flask, token: str) -> Link | None:
    """What a token opens; None for one that is not ours, was changed, or is too old."""
    try:
        (job, opens, max_age), signed = signer(app).loads(token, return_timestamp=True)
    except BadData:
        return None
    return Link(job, "r" in opens, "c" in opens) if host_time() < signed.timestamp() + max_age else None


def host_time() -> float:
    """The time by the clock that signs, in seconds."""
    return time.time()


def signer(app: Flask) -> URLSafeTimedSerializer:
    """Signs with the application's key; what its old keys signed is still read."""
    if not app.secret_key:
        raise ConfigError(f"A link to a job is signed, and the application {app.name} has no SECRET_KEY. Set one.")
    return URLSafeTimedSerializer([*(app.config.get("SECRET_KEY_FALLBACKS") or ()), app.secret_key], salt=SALT)
