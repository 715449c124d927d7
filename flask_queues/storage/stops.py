"""What stops a queue, or one job type of it, for a while: a pause, or a job that was told to come back later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from .limits import held_by

#: The year 9999.
END_OF_TIME = 253_370_764_800_000


class Stop(NamedTuple):
    """Nothing of the queue, or of one type in it, is claimed as long as this is in force."""

    queue: str
    #: The job type; None for the whole queue.
    type: str | None
    #: The moment from which on jobs are claimed again; None where somebody has to say so.
    until: int | None
    #: Why, for people.
    reason: str
    #: Who said so; empty for a job that raised `RateLimited`.
    by: str
    #: The moment from which on it is in force.
    since: int


def read_stop(queue: str, job_type: str | None, until: Any, reason: Any, by: Any, since: Any) -> Stop:
    """Read a stop as it is stored; one of which nobody can read when it is over lasts until somebody ends it."""
    return Stop(
        queue, job_type or None, until if is_moment(until) else None, reason if isinstance(reason, str) else "",
        by if isinstance(by, str) else "", since if is_moment(since) else 0,
    )  # fmt: skip


def is_moment(value: Any) -> bool:
    """Whether it is a moment as storages keep them."""
    return isinstance(value, int) and 0 <= value < END_OF_TIME


def held_back(by: str) -> str:
    """Why a job is set aside: for its type, or at a gate, whose names have a space."""
    if " " in by:
        return held_by(by)
    return f"The job type {by} is paused, or no worker that looked at it knows it."


def raised(job_id: str) -> str:
    """Why a queue is stopped in which a job raised `RateLimited`."""
    return f"Job {job_id} raised RateLimited."


class Stopping(ABC):
    """The part of the storage contract by which claims are stopped."""

    @abstractmethod
    def stop(
        self, queue: str, job_type: str | None = None, *, lasts: int | None = None, reason: str = "", by: str = ""
    ) -> None:
        """Let nothing of a queue, or of one type in it, be claimed for so long, or until `go_on`.

        Whatever claims after this returns sees it; what is claimed already runs to its end. It takes
        the place of an earlier stop of the same queue and type. Pushes go on.
        """

    @abstractmethod
    def go_on(self, queue: str, job_type: str | None = None) -> bool:
        """End a stop; False where there was none in force."""

    @abstractmethod
    def stops(self) -> list[Stop]:
        """The stops in force, by queue and type."""
