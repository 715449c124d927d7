"""Time that a test moves: the clock of a storage in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from ..errors import FakeError
from ..record import to_datetime, to_milliseconds
from ..storage.cache.clock import Clock as StorageClock
from ..storage.cache.clock import steady, wall


class Clock:
    """Stands still until it is moved; schedules, delays, backoffs, leases and retention go by it.

    Python's own `datetime.now()` is not changed.
    """

    def __init__(self, *, runs: bool = False) -> None:
        self._at = wall()
        self._since = steady() if runs else None
        #: Called with the moment to move to, in milliseconds; who listens calls `jump`.
        self.mover: Callable[[int], None] = self.jump
        #: Whether it may still be put back: nothing has happened by it.
        self.untouched: Callable[[], bool] = lambda: True
        #: How often it was moved.
        self.jumps = 0

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return to_datetime(self.milliseconds)

    @property
    def milliseconds(self) -> int:
        """The time, as a storage keeps it."""
        return self._at if self._since is None else self._at + steady() - self._since

    def move(self, by: float | timedelta) -> datetime:
        """Let so many seconds pass, and return the time then.

        What becomes due is run by `drain`, or at once where the fake is eager or a worker runs.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        return self._go(self.milliseconds + round(seconds * 1000))

    def set(self, to: datetime) -> datetime:
        """Make it this moment, which must be aware; before anything was pushed it may be a past one too."""
        if to.utcoffset() is None:
            raise FakeError(f"clock.set takes an aware datetime; {to.isoformat()} has no time zone.")
        return self._go(to_milliseconds(to))

    def run(self) -> None:
        """Let time pass as it does outside, from now on; it can be moved all the same."""
        self._at, self._since = self.milliseconds, steady()

    def jump(self, to: int) -> None:
        """Be at a moment, in milliseconds, whoever listens."""
        self._at = to
        if self._since is not None:
            self._since = steady()
        self.jumps += 1

    def _go(self, to: int) -> datetime:
        if to < self.milliseconds and not self.untouched():
            raise FakeError(
                f"The clock cannot be put back from {self.now.isoformat()} to {to_datetime(to).isoformat()}: "
                "things have happened since. Set it before the first push, or begin another fake."
            )
        self.mover(to)
        return self.now


class Hand(StorageClock):
    """A test's clock, as a storage reads it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def hear(self, moment: int) -> None:
        """Nobody else writes."""

    def now(self) -> int:
        """The time, in milliseconds since 1970."""
        return self._clock.milliseconds


def wait_until(probe: Callable[[], bool], seconds: float) -> bool:
    """Ask until the answer is yes, for so many real seconds at most; returns the last answer."""
    until = time.monotonic() + seconds
    pause = 0.001
    while not probe():
        if time.monotonic() > until:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return True
