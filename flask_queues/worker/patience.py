"""How long others are waited for before they are taken for dead.

A lease that has run out tells of a death only where its worker could have extended it. When the storage was
away, or its clock was put forward, the leases of all ran out at once, of the living too.
"""

from __future__ import annotations

import time

from .board import Pulse

#: Part of a lease: a longer gap between two signs of life of ours, and others may have had none either.
GAP = 0.5
#: Heartbeats that others get from the first of a worker, which cannot know what was before.
NEWCOMER = 2


class Patience:
    """Tells the keeper when it may rescue the jobs of others."""

    def __init__(self, lease: float, beat: float, pulse: Pulse) -> None:
        self._lease = lease
        self._newcomer = NEWCOMER * beat
        self._pulse = pulse
        #: Whether our own last sign of life arrived.
        self._heard = False
        #: By the monotonic clock.
        self._until = 0.0

    def cut_off(self) -> None:
        """Our sign of life did not arrive."""
        self._heard = False

    def beaten(self, now: int) -> None:
        """Our sign of life arrived at this moment of the storage's clock."""
        before, self._pulse.beat, self._heard = self._pulse.beat, now, True
        if not before:
            self._until = time.monotonic() + self._newcomer
        elif now - before > GAP * self._lease * 1000:
            self._until = time.monotonic() + self._lease

    @property
    def over(self) -> bool:
        """Whether a lease that has run out tells of a death."""
        return self._heard and time.monotonic() >= self._until
