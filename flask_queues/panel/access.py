"""Who may see the panel, and who may change something there: closed unless somebody has opened it."""

from __future__ import annotations

import logging
from enum import IntEnum
from hmac import compare_digest
from importlib.util import find_spec
from typing import Any

from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden, Unauthorized

from ..links import Link, read
from ..manager import current_queues
from .asked import asked_for_page, is_for_holders, is_for_monitoring, is_public
from .mistakes import LinkNotFound, closed

logger = logging.getLogger("flask_queues")

PACKAGES = {"babel": "Babel", "flask_login": "Flask-Login", "flask_wtf": "Flask-WTF"}


class Right(IntEnum):
    """What a person may do in the panel."""

    NONE = 0
    #: See everything, change nothing.
    READ = 1
    ALL = 2


def check() -> ResponseReturnValue | None:
    """Let nobody pass but an admin, before every request of the panel, whatever it asks for."""
    if is_public():
        return None
    if is_for_holders():
        return open_link()
    if is_for_monitoring() and has_token():
        g.queues_right = Right.READ
        return None
    if reason := why_closed():
        return closed(reason)
    user = current_person()
    if user is None:
        return ask_to_sign_in()
    g.queues_right = right_of(user)
    needed = Right.ALL if request.method not in ("GET", "HEAD", "OPTIONS") else Right.READ
    if request.endpoint == "queues.set_preferences":
        needed = Right.READ
    if g.queues_right < needed:
        raise Forbidden
    return None


def open_link() -> ResponseReturnValue | None:
    """Let whoever has a link see its job, whoever they are; a wrong one and an old one get the same answer."""
    if find_spec("babel") is None:
        return closed(missing(["Babel"]))
    link = read(current_app, (request.view_args or {})["token"]) if current_app.secret_key else None
    if link is None:
        raise LinkNotFound
    g.queues_link = link
    return None


def opened() -> Link:
    """The link of this request."""
    link: Link = g.queues_link
    return link


def has_token() -> bool:
    """Whether the request brings the token of `QUEUES_METRICS_TOKEN` along, as `Authorization: Bearer`."""
    wanted, given = current_queues.config.metrics_token, request.authorization
    if wanted is None or given is None or given.type != "bearer" or given.token is None:
        return False
    return compare_digest(given.token.encode(), wanted.encode())


def may_change() -> bool:
    """Whether the person of this request may change something."""
    return bool(g.get("queues_right", Right.NONE) is Right.ALL)


def why_closed() -> str:
    """Say what is missing before the panel can open; nothing if it can."""
    packages = [name for module, name in PACKAGES.items() if find_spec(module) is None]
    if packages:
        return missing(packages)
    if getattr(current_app, "login_manager", None) is None:
        return (
            "The panel of Flask-Queues is closed, since this application has no login manager: nobody can be "
            "known to be an admin. Set up Flask-Login with LoginManager(app)."
        )
    if not current_app.secret_key:
        return (
            "The panel of Flask-Queues is closed, since this application has no SECRET_KEY to sign a session with. "
            "Set one: app.secret_key = …"
        )
    return ""


def missing(packages: list[str]) -> str:
    """Say how to install what is missing."""
    *others, last = packages
    named = f"{', '.join(others)} and {last}" if others else last
    return (
        f"The panel of Flask-Queues is closed, since {named} cannot be imported. "
        'Install it with: pip install "flask-queues-panel[panel]"'
    )


def current_person() -> Any:
    """The user who has signed in, or None; one who cannot be told is refused."""
    from flask_login import current_user

    try:
        return current_user._get_current_object() if current_user.is_authenticated else None
    except Exception:
        logger.exception("Nobody was let into the panel: the application's user could not be loaded")
        raise Forbidden from None


def right_of(user: Any) -> Right:
    """Ask the application what this user may do; an exception or an unknown answer is a refusal."""
    ask = current_queues.config.admin or (lambda: is_admin(user))
    try:
        answer = ask()
    except Exception:
        logger.exception("QUEUES_ADMIN failed, so nobody was let into the panel")
        return Right.NONE
    if isinstance(answer, str):
        return {"all": Right.ALL, "read": Right.READ}.get(answer) or refused(answer)
    if answer is True or (isinstance(answer, int) and answer == 1):
        return Right.ALL
    return refused(answer) if answer else Right.NONE


def is_admin(user: Any) -> Any:
    """The user's own word: an attribute or a method `is_admin`."""
    answer = getattr(user, "is_admin", False)
    return answer() if callable(answer) else answer


def refused(answer: Any) -> Right:
    """Tell the log of an answer that means nothing."""
    logger.error("QUEUES_ADMIN answered %.80r; it may answer False, 'read' or True", answer)
    return Right.NONE


def ask_to_sign_in() -> ResponseReturnValue:
    """Send a stranger to the application's own login where a page was wanted, and refuse all else."""
    if asked_for_page() and request.method in ("GET", "HEAD"):
        manager: Any = current_app.login_manager  # type: ignore[attr-defined]
        answer: ResponseReturnValue = manager.unauthorized()
        return answer
    raise Unauthorized


def name_of_person() -> str:
    """How the person is called in what is kept of a change."""
    user = current_person()
    for attribute in ("name", "username", "email"):
        name = getattr(user, attribute, None)
        if isinstance(name, str) and name:
            return name[:80]
    return str(user.get_id())[:80]


def may_see() -> bool:
    """Whether the person of this request may see anything at all."""
    return bool(g.get("queues_right", Right.NONE) >= Right.READ)
