"""What makes a job the only one of its kind in a queue."""

from __future__ import annotations

from typing import NamedTuple

#: How long a job holds its key: to its final status, to its first claim, or for a time, whatever becomes of it.
END, START, TIME = "end", "start", "time"

#: So begins the reason of a job that was cancelled for another, which has its key since.
REPLACED = "Replaced by job "


class Unique(NamedTuple):
    """A key that one job of a queue holds at a time; a push with a key that is held stores nothing."""

    key: str
    #: `end`, `start` or `time`.
    until: str = END
    #: For `time`: milliseconds from the push on.
    lasts: int = 0
    #: A job that holds the key and still waits is cancelled, and the new one takes its place.
    replace: bool = False

    def released(self, at: str) -> bool:
        """Whether the key is free when its job has come so far: `start`, `end` or `gone`."""
        return at == "gone" or (self.until != TIME and at in (self.until, END))


def holds(unique: Unique, *, final: bool, started: bool, created: int, now: int, reason: str | None) -> bool:
    """Whether a job that comes from another storage still holds its key; `reason` is why it was cancelled."""
    if was_replaced(reason):
        return False
    if unique.until == TIME:
        return created + unique.lasts > now
    return not (final or (started and unique.until == START))


def replaced(job_id: str) -> str:
    """Why a job was cancelled in whose place another came."""
    return f"{REPLACED}{job_id}."


def was_replaced(reason: str | None) -> bool:
    """Whether a job ended since another came in its place: nothing follows it then, not even what follows any end."""
    return reason is not None and reason.startswith(REPLACED)


def taken(job_id: str, holder: str) -> str:
    """Why an ended job cannot go back into its line."""
    return f"Job {job_id} cannot run again: job {holder} holds its unique key. Wait for that one's end, or cancel it."
