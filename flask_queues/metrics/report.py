"""Figures of a range of time, as they are shown: slot by slot, beside the equal range before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..record import to_datetime, to_milliseconds
from .bucket import Bucket, all_of
from .ledger import MINUTE, Ledger, sheet

#: By name: minutes of a slot, and how many of them.
RANGES: Mapping[str, tuple[int, int]] = {"1h": (1, 60), "24h": (30, 48), "7d": (120, 84)}


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of a chart."""

    start: datetime
    end: datetime
    #: None where no worker was there to count.
    bucket: Bucket | None
    #: False for the last one, which is not over.
    over: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What was done in a range of time."""

    #: Minutes of a slot.
    span: int
    slots: Sequence[Slot]
    #: The equal range before, slot by slot.
    before: Sequence[Slot]
    #: Sheets of these that cannot be read: their slots have no bucket, or lack a part of it.
    unread: Sequence[str] = ()

    @property
    def whole(self) -> Bucket:
        """All of the range as one bucket."""
        return all_of(slot.bucket for slot in self.slots if slot.bucket is not None)

    @property
    def whole_before(self) -> Bucket | None:
        """All of the range before; None where nothing was measured in it."""
        buckets = [slot.bucket for slot in self.before if slot.bucket is not None]
        return all_of(buckets) if buckets else None

    @property
    def measured(self) -> bool:
        """Whether anything was measured at all."""
        return any(slot.bucket is not None for slot in self.slots)


def report(ledger: Ledger, now: datetime, range_: str = "1h") -> Report:
    """Read a range, one of `RANGES`, up to the slot of now."""
    span, n = RANGES[range_]
    minute = to_milliseconds(now) // MINUTE
    last = minute - minute % span
    starts = [last - span * k for k in range(2 * n - 1, -1, -1)]
    found = ledger.buckets(span, starts[0], last)
    slots = [
        Slot(to_datetime(start * MINUTE), to_datetime((start + span) * MINUTE), found.get(start), start != last)
        for start in starts
    ]
    wanted = {sheet(1, minute), *(sheet(span, start) for start in starts)}
    return Report(span, slots[n:], slots[:n], sorted(wanted & ledger.damaged))
