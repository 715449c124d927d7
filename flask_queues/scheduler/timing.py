"""When a schedule is due: moments in UTC, through all changes of the clocks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ..config import shortened
from ..errors import ScheduleError
from .cron import Fields, read_expression
from .zones import NO_TIME, Stretch, find_zone, stretches

#: Nothing is due before and after these years.
FIRST_YEAR, LAST_YEAR = 2, 9997
EPOCH = datetime(1970, 1, 1)
SHORTEST, LONGEST = 1.0, 366 * 86_400.0


class Timing(ABC):
    """The moments at which something is due. Moments handed in are aware, those returned are in UTC."""

    @property
    @abstractmethod
    def text(self) -> str:
        """What it was made of, for a person and for `read_timing`."""

    @abstractmethod
    def _after(self, moment: datetime) -> datetime | None: ...

    @abstractmethod
    def _before(self, moment: datetime) -> datetime | None: ...

    def next(self, after: datetime) -> datetime | None:
        """The first moment later than `after`; None at the end of the calendar."""
        return aware(self._after(naive(after)))

    def previous(self, before: datetime) -> datetime | None:
        """The last moment earlier than `before`; None at the calendar's beginning."""
        return aware(self._before(naive(before)))

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The moments later than `after`, up to and with `until`."""
        moment = self.next(after)
        while moment is not None and moment <= until:
            yield moment
            moment = self.next(moment)

    def stands_in(self, moment: datetime) -> bool:  # noqa: ARG002 - most have no clock
        """Whether what is due at this moment stands in for a time that the clocks have skipped."""
        return False

    def is_due(self, moment: datetime) -> bool:
        """Whether it is due in the minute of this moment."""
        minute = moment.replace(second=0, microsecond=0)
        found = self.next(minute - timedelta(microseconds=1))
        return found is not None and found < minute + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cron(Timing):
    """A cron expression on the clocks of a zone, which it follows as Debian's cron does.

    An expression with `*` in its minute or hour follows the clock: what is skipped does not run, what is
    repeated runs again. Any other runs at times of its own: those that are skipped when the clocks go forward run
    once, right after; those that come again when the clocks go back run the first time only. A change
    by three hours or more is a correction: the new time holds. Back by just three hours is none yet.
    """

    expression: str
    zone: str
    fields: Fields = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `ScheduleError`, which names the field."""
        find_zone(self.zone)
        object.__setattr__(self, "fields", read_expression(self.expression))

    @property
    def text(self) -> str:
        """The expression."""
        return self.expression

    def stands_in(self, moment: datetime) -> bool:
        """Whether the clock shows another time than any that the expression names."""
        clock = moment.astimezone(find_zone(self.zone)).replace(tzinfo=None)
        return self.fields.first(clock, clock + timedelta(minutes=1)) != clock

    def _after(self, moment: datetime) -> datetime | None:
        moment = max(moment, datetime(FIRST_YEAR, 1, 1))
        for year in range(moment.year, LAST_YEAR + 1):
            for stretch in stretches(self.zone, year):
                if stretch.end > moment and (found := self._first_in(stretch, moment)) is not None:
                    return found
        return None

    def _before(self, moment: datetime) -> datetime | None:
        moment = min(moment, datetime(LAST_YEAR + 1, 1, 1))
        for year in range(moment.year, FIRST_YEAR - 1, -1):
            for stretch in reversed(stretches(self.zone, year)):
                if stretch.start < moment and (found := self._last_in(stretch, moment)) is not None:
                    return found
        return None

    def _first_in(self, stretch: Stretch, after: datetime) -> datetime | None:
        if stretch.start > after and self._makes_up(stretch):
            return stretch.start
        low = self._opens(stretch)
        if after >= stretch.start:
            low = max(low, after + stretch.offset + timedelta(microseconds=1))
        found = self.fields.first(low, stretch.end + stretch.offset)
        return None if found is None else found - stretch.offset

    def _last_in(self, stretch: Stretch, before: datetime) -> datetime | None:
        found = self.fields.last(self._opens(stretch), min(before, stretch.end) + stretch.offset)
        if found is not None:
            return found - stretch.offset
        return stretch.start if self._makes_up(stretch) else None

    def _opens(self, stretch: Stretch) -> datetime:
        """From when on, by the clock, it may be due in a stretch."""
        return stretch.fresh if self.fields.fixed else stretch.start + stretch.offset

    def _makes_up(self, stretch: Stretch) -> bool:
        """Whether something was skipped when the stretch began that runs at its start instead."""
        if not self.fields.fixed or stretch.skipped == NO_TIME:
            return False
        opens = stretch.start + stretch.offset
        return self.fields.first(opens - stretch.skipped, opens) is not None


@dataclass(frozen=True, slots=True)
class Every(Timing):
    """Every so many seconds of real time, counted from an anchor; no change of clocks touches it."""

    seconds: float
    anchor: datetime = EPOCH

    def __post_init__(self) -> None:
        """Raises `ScheduleError` for a time that is too short or too long."""
        if not SHORTEST <= self.seconds <= LONGEST:
            raise ScheduleError(f"every {self.seconds:g} s: a schedule takes {SHORTEST:g} s to {LONGEST:,.0f} s.")

    @property
    def text(self) -> str:
        """For people; `@every 90s`."""
        return f"@every {self.seconds:g}s"

    def _after(self, moment: datetime) -> datetime | None:
        return self._nth((moment - self.anchor) // self._step + 1)

    def _before(self, moment: datetime) -> datetime | None:
        return self._nth(-((self.anchor - moment) // self._step) - 1)

    @property
    def _step(self) -> timedelta:
        return timedelta(milliseconds=round(self.seconds * 1000))

    def _nth(self, n: int) -> datetime | None:
        try:
            return self.anchor + n * self._step
        except OverflowError:
            return None


def read_timing(when: Any, zone: str, anchor: datetime | None = None) -> Timing:
    """Read what a schedule was given as its first argument; raises `ScheduleError`.

    A cron expression as text, or a time span as a timedelta or a number of seconds. A span is counted from
    `anchor`, or from 1970: every 30 s is at :00 and :30 on every machine.
    """
    if isinstance(when, str):
        return Cron(" ".join(when.split()), find_zone(zone).key)
    find_zone(zone)
    seconds = when.total_seconds() if isinstance(when, timedelta) else when
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        raise ScheduleError(f"{shortened(when)} is neither a cron expression nor a timedelta or number of seconds.")
    return Every(round(float(seconds), 3), EPOCH if anchor is None else naive(anchor))


def naive(moment: datetime) -> datetime:
    """A moment in UTC without saying so; raises `ScheduleError` for one without a zone, which is none."""
    if moment.tzinfo is timezone.utc:  # as nearly always: each offset asked for is looked up as in `masking.hidden`
        return moment.replace(tzinfo=None)
    if moment.utcoffset() is None:
        raise ScheduleError(f"{moment.isoformat()} has no time zone; use an aware datetime.")
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


def aware(moment: datetime | None) -> datetime | None:
    """The same moment, saying that it is in UTC."""
    return None if moment is None else moment.replace(tzinfo=timezone.utc)
