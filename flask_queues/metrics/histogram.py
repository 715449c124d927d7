"""Durations, counted in slots that grow with them, so that percentiles of any span can be told later."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

#: A percentile is at most this part of itself off.
ERROR = 0.05
GROWTH = (1 + ERROR) / (1 - ERROR)
SCALE = 1 / math.log(GROWTH)
#: What begins exactly at a slot's edge belongs below it, whatever the logarithm's last digit says.
ROUNDING = 1e-9
#: What `dump` writes. No duration that a job can take has a higher slot than 1000.
WRITTEN = re.compile(r"(?:(?:\d{1,3}|1000):\d+(?: |\Z))*")


def slot_of(duration: int) -> int:
    """The slot of a duration in milliseconds: 0 for none, from 1 on for all others; about 230 for a month."""
    return 0 if duration <= 0 else 1 + math.ceil(math.log(duration) * SCALE - ROUNDING)


def duration_of(slot: int) -> float:
    """The duration that is at most `ERROR` away from every one of its slot."""
    return 0.0 if slot == 0 else 2 * GROWTH ** (slot - 1) / (GROWTH + 1)


class Histogram:
    """How many durations fell into each slot. Those of several buckets of time add up without loss."""

    def __init__(self, written: str = "") -> None:
        self._written = written
        self._slots: Counter[int] = Counter()

    @property
    def slots(self) -> Counter[int]:
        """How many are in which slot; what was written is read when it is asked for, which most of it never is."""
        if self._written:
            pairs = (pair.split(":") for pair in self._written.split())
            self._slots.update({int(slot): int(count) for slot, count in pairs})
            self._written = ""
        return self._slots

    def add(self, duration: int, times: int = 1) -> None:
        """Count a duration in milliseconds, once or for several that are like it."""
        self.slots[slot_of(duration)] += times

    def merge(self, other: Histogram) -> None:
        """Count what another has counted, too."""
        self.slots.update(other.slots)

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return sum(self.slots.values())

    def percentile(self, share: float) -> float | None:
        """The duration that this share of all (0 to 1) did not exceed; None where nothing was counted."""
        rank = max(1, math.ceil(share * self.total))
        for slot in sorted(self.slots):
            rank -= self.slots[slot]
            if rank <= 0:
                return duration_of(slot)
        return None

    def up_to(self, limits: Sequence[float]) -> list[int]:
        """For each duration, in order: how many were not longer, at most `ERROR` off."""
        return [sum(n for slot, n in self.slots.items() if duration_of(slot) <= limit) for limit in limits]

    @property
    def sum(self) -> float:
        """Milliseconds of all durations together, at most `ERROR` off."""
        return sum(duration_of(slot) * n for slot, n in self.slots.items())

    def dump(self) -> str:
        """Write it as text, `12:3 14:1`: only what was counted, in the order of slots."""
        return " ".join(f"{slot}:{count}" for slot, count in sorted(self.slots.items()))

    @classmethod
    def load(cls, text: str) -> Histogram:
        """Read what `dump` has written; raises `ValueError` for what is none."""
        if not WRITTEN.fullmatch(text):
            raise ValueError(f"No durations: {text[:80]!r}")
        return cls(text)
