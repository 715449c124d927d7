"""The time of a log: the latest that any of its writers has seen, going on at this machine's pace."""

from __future__ import annotations

import time


class Clock:
    """Never goes back, and never stands still while the time of day is set back."""

    def __init__(self) -> None:
        self._latest = 0
        self._heard = 0

    def hear(self, moment: int) -> None:
        """Take in the time of an entry."""
        if moment > self._latest:
            self._latest, self._heard = moment, steady()

    def now(self) -> int:
        """The time, in milliseconds since 1970."""
        return max(wall(), self._latest + steady() - self._heard) if self._latest else wall()


def wall() -> int:
    """The time of day, in milliseconds."""
    return time.time_ns() // 1_000_000


def steady() -> int:
    """A clock that never jumps, in milliseconds."""
    return time.monotonic_ns() // 1_000_000
