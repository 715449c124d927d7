"""Whether the user of a request may push a job: the job type's own word."""

from __future__ import annotations

import logging
from typing import Any

from flask import current_app, has_request_context

from ..errors import NotAllowed
from ..registry import JobType

logger = logging.getLogger("flask_queues")


def check(job_type: JobType, payload: dict[str, Any]) -> None:
    """Raise `NotAllowed` unless the job type allows the user of this request to push that.

    Outside a request there is no user, and what the application does by itself is not asked for.
    """
    if job_type.authorize is None or not has_request_context():
        return
    try:
        allowed = job_type.authorize(current_person(), dict(payload))
    except Exception:
        logger.exception("authorize() of %s failed, so the push is refused", job_type.type)
        allowed = False
    if allowed is not True:
        raise NotAllowed(f"The user of this request may not push {job_type.type}: its authorize() says no.")


def current_person() -> Any:
    """Flask-Login's user, also an anonymous one; None where the application has no login manager."""
    if getattr(current_app, "login_manager", None) is None:
        return None
    from flask_login import current_user  # an application that has a login manager has it installed

    return current_user._get_current_object()
