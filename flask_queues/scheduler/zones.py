"""Time zones as stretches of a constant offset, between the moments at which clocks are changed.

Times without a zone are UTC or, where it says so, those of the zone's clocks.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..config import shortened
from ..errors import ScheduleError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

#: cron takes a change of the clock by less, or back by just as much, for daylight saving, any other for a correction.
CORRECTION = timedelta(hours=3)
#: No zone has changed its clocks twice in so short a time.
PROBE = timedelta(hours=12)
SECOND = timedelta(seconds=1)
NO_TIME = timedelta(0)


class Stretch(NamedTuple):
    """A time in which the clocks of a zone go evenly."""

    #: In UTC, `end` excluded.
    start: datetime
    end: datetime
    #: What the clocks are ahead of UTC.
    offset: timedelta
    #: What the clocks were put forward by at the start: so much before it, on the clock, was skipped.
    skipped: timedelta
    #: Until then, by the clock, each time has been seen before.
    fresh: datetime


@lru_cache(4096)
def stretches(zone: str, year: int) -> tuple[Stretch, ...]:
    """The stretches of a year in UTC."""
    start, end = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    place = find_zone(zone)
    lead = start - CORRECTION
    offset = offset_at(place, lead - SECOND)
    found = [Stretch(lead, end, offset, NO_TIME, lead + offset)]
    for change in changes(place, lead, end):
        before, offset = offset, offset_at(place, change)
        ahead = offset - before
        small = -CORRECTION <= ahead < CORRECTION
        found[-1] = found[-1]._replace(end=change)
        fresh = change + (before if small and ahead < NO_TIME else offset)
        found.append(Stretch(change, end, offset, ahead if small and ahead > NO_TIME else NO_TIME, fresh))
    return tuple(cut(one, start) for one in found if one.end > start)


def cut(stretch: Stretch, start: datetime) -> Stretch:
    """Let a stretch begin no earlier, without forgetting what has been seen before."""
    if stretch.start >= start:
        return stretch
    return stretch._replace(start=start, skipped=NO_TIME, fresh=max(stretch.fresh, start + stretch.offset))


def changes(place: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The moments from `start` on and before `end` from which on another offset holds."""
    found = []
    low = start - SECOND
    before = offset_at(place, low)
    while low < end - SECOND:
        high = min(low + PROBE, end - SECOND)
        offset = offset_at(place, high)
        if offset != before:
            found.append(first_with(place, offset, low, high))
        low, before = high, offset
    return found


def first_with(place: ZoneInfo, offset: timedelta, low: datetime, high: datetime) -> datetime:
    """The second after `low` and up to `high` from which on this offset holds."""
    while high - low > SECOND:
        middle = low + timedelta(seconds=(high - low) // SECOND // 2)
        if offset_at(place, middle) == offset:
            high = middle
        else:
            low = middle
    return high


def offset_at(place: ZoneInfo, moment: datetime) -> timedelta:
    """What the clocks of a zone are ahead of UTC."""
    offset = moment.replace(tzinfo=timezone.utc).astimezone(place).utcoffset()
    return offset or NO_TIME


@lru_cache(1024)
def find_zone(name: str) -> ZoneInfo:
    """Return a time zone; raises `ScheduleError` where this machine knows none of this name."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # a megabyte in every process of a worker

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ScheduleError(f"timezone: {shortened(name)} is not a time zone such as Europe/Berlin.") from error
