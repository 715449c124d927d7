"""Pushes that wait for the commit of the database session in whose transaction they were made.

Flask-SQLAlchemy's session is meant, `db.session` of the application in context; only its interface is used, so that
nothing is imported here. Which of the session's transactions ended in a commit is told by `after_commit`, that one has
ended by `after_transaction_end`, also for savepoints (SQLAlchemy's documentation, "Session Events").
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import Flask, current_app, has_app_context

from .errors import ConfigError

logger = logging.getLogger("flask_queues")

T = TypeVar("T")

#: Under this name a session keeps what waits for it.
KEY = "flask_queues"


def hold(app: Flask, jobs: Sequence[T], push: Callable[[Sequence[T]], object]) -> bool:
    """Have the jobs pushed when the transaction of this moment has been committed; dropped when it is rolled back.

    They may have any form that `push` takes. Returns False, and does nothing, where no transaction is open: there is
    nothing to wait for. What `push` raises comes out of the `commit()` that called it; the database is committed then.
    Raises `ConfigError` where there is no Flask-SQLAlchemy, or no application context.
    """
    session = session_of(app)
    if not session.in_transaction():
        return False
    waiting: Waiting | None = session.info.get(KEY)
    if waiting is None:
        waiting = session.info[KEY] = Waiting(session, push)
    waiting.add(jobs)
    return True


def session_of(app: Flask) -> Any:
    """The session of this application context."""
    extension = app.extensions.get("sqlalchemy")
    if extension is None:
        raise ConfigError(
            f"after_commit waits for a session of Flask-SQLAlchemy, which the application {app.name} has not set up. "
            "Set it up, or push at once."
        )
    if not has_app_context() or current_app._get_current_object() is not app:  # type: ignore[attr-defined]
        raise ConfigError(
            "after_commit waits for the session of an application context, and there is none here. "
            "Push within one, or with after_commit=False."
        )
    return extension.session()


class Waiting:
    """The pushes that wait for one session, by the transaction in which each was made."""

    def __init__(self, session: Any, push: Callable[[Sequence[Any]], object]) -> None:
        from sqlalchemy import event  # there is a session, so it is installed

        self._session = session
        self._push = push
        self._held: dict[Any, list[Any]] = {}
        self._committed: Any = None
        event.listen(session, "after_commit", self._on_commit)
        event.listen(session, "after_transaction_end", self._on_end)

    def add(self, jobs: Sequence[Any]) -> None:
        """Let jobs wait for the innermost transaction."""
        self._held.setdefault(self._current, []).extend(jobs)

    @property
    def _current(self) -> Any:
        return self._session.get_nested_transaction() or self._session.get_transaction()

    def _on_commit(self, _session: Any) -> None:
        self._committed = self._current

    def _on_end(self, _session: Any, transaction: Any) -> None:
        held = self._held.pop(transaction, [])
        committed, self._committed = self._committed is transaction, None
        if not held:
            return
        if not committed:
            logger.info("%d jobs are not pushed: their transaction was rolled back.", len(held))
        elif (around := self._current) is not None:
            self._held.setdefault(around, []).extend(held)
        else:
            self._push(held)
