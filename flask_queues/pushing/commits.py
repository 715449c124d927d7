"""Pushes that wait for the commit of the database session in whose transaction they were made.

Flask-SQLAlchemy's session is meant, `db.session` of the application in context; only its interface is used, so that
nothing is imported here. Which of the session's transactions ended in a commit is told by `after_commit`, that one has
ended by `after_transaction_end`, also for savepoints (SQLAlchemy's documentation, "Session Events").
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from flask import Flask, current_app, has_app_context

from ..errors import ConfigError

logger = logging.getLogger("flask_queues")

T = TypeVar("T")

#: Under this name a session keeps what waits for it.
KEY = "flask_queues"


class Held(NamedTuple):
    """What waits for a commit: jobs in any form, and what is called with them then."""

    push: Callable[[Sequence[Any]], object]
    jobs: Sequence[Any]


def is_open(app: Flask) -> bool:
    """Whether there is a transaction to wait for; raises `ConfigError` as `hold` does."""
    return bool(session_of(app).in_transaction())


def hold(app: Flask, jobs: Sequence[T], push: Callable[[Sequence[T]], object]) -> bool:
    """Have the jobs pushed when the transaction of this moment has been committed; dropped when it is rolled back.

    They may have any form that `push` takes; those that wait one after another for the same `push` are handed to it
    together. Returns False, and does nothing, where no transaction is open: there is nothing to wait for. What `push`
    raises comes out of the `commit()` that called it, once the others were called too; the database is committed then.
    Raises `ConfigError` where there is no Flask-SQLAlchemy, or no application context.
    """
    session = session_of(app)
    if not session.in_transaction():
        return False
    waiting: Waiting | None = session.info.get(KEY)
    if waiting is None:
        waiting = session.info[KEY] = Waiting(session)
    waiting.add(Held(push, jobs))
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

    def __init__(self, session: Any) -> None:
        from sqlalchemy import event  # there is a session, so it is installed

        self._session = session
        self._held: dict[Any, list[Held]] = {}
        self._committed: Any = None
        event.listen(session, "after_commit", self._on_commit)
        event.listen(session, "after_transaction_end", self._on_end)

    def add(self, held: Held) -> None:
        """Let jobs wait for the innermost transaction."""
        self._held.setdefault(self._current, []).append(held)

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
            jobs = sum(len(one.jobs) for one in held)
            logger.info("%d jobs are not pushed: their transaction was rolled back.", jobs)
        elif (around := self._current) is not None:
            self._held.setdefault(around, []).extend(held)
        else:
            push_all(held)


def push_all(held: Sequence[Held]) -> None:
    """Push what has waited, all of it also where some of it cannot be pushed; raises the first error in the end."""
    first: Exception | None = None
    for push, group in itertools.groupby(held, lambda one: one.push):
        try:
            push([job for one in group for job in one.jobs])
        except Exception as error:
            if first is not None:
                logger.exception("A push that waited for a commit failed, after another one did.")
            first = first or error
    if first is not None:
        raise first
