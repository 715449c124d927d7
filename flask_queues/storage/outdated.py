"""The part of the contract by which ended jobs are deleted one queue, type and status at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import NamedTuple

from ..record import JobRecord, Status


class Outdated(NamedTuple):
    """The jobs of a line that were kept long enough."""

    queue: str
    type: str
    #: A final one.
    status: Status
    #: They ended so long ago.
    older: int = 0
    #: So many of the line stay, those that ended last.
    spare: int = 0


class Retaining(ABC):
    """The part of the storage contract by which ended jobs are deleted one line at a time: a queue, type and status.

    Those that ended first come first. Where many jobs of other types stand between them, a call may find fewer than
    there are, even none, and go on there when it is asked the next time.
    """

    @abstractmethod
    def outdated(self, which: Outdated, limit: int = 100) -> list[JobRecord]:
        """Read some of them, and change nothing."""

    @abstractmethod
    def drop_outdated(self, which: Outdated, limit: int = 500, among: Collection[str] | None = None) -> int:
        """Delete some of them with their logs, only those of these ids where some are given; returns how many.

        Whether they are outdated is judged anew: a job that has left its line meanwhile is left alone.
        """
