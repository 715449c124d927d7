"""Who typed a command, for those who wonder later what happened."""

from __future__ import annotations

import getpass
import socket

from ..manager import current_queues


def who() -> str:
    """The user and the machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()


def note(action: str, kind: str, name: str, number: int = 0, reason: str = "") -> None:
    """Keep that somebody did something at the terminal."""
    current_queues.note_act(who(), action, kind, name, number, reason)
