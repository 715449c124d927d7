"""What is said once on the next page; apart from the application's own messages, so that neither takes the other's."""

from __future__ import annotations

from typing import NamedTuple

from flask import session

KEY = "_queues_flashes"


class Flash(NamedTuple):
    """One message."""

    text: str
    #: Whether something did not work.
    wrong: bool = False
    #: The job that it is about.
    job: str | None = None


def add(text: str, *, wrong: bool = False, job: str | None = None) -> None:
    """Keep a message for the next page."""
    session[KEY] = [*session.get(KEY, []), [text, wrong, job]]


def take() -> list[Flash]:
    """The messages that wait; each is told once."""
    return [Flash(*one) for one in session.pop(KEY, [])] if KEY in session else []
