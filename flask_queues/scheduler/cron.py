"""Cron expressions: five fields, and the days and minutes of a calendar that match them.

The only place that knows croniter. It reads what stands in a field; which minutes match is decided
here, by the rules of Vixie's cron as Debian ships it. Times are those of a wall clock, without a zone.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from ..config import shortened
from ..errors import ScheduleError

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
MINUTE, HOUR, DAY, MONTH, WEEKDAY = range(5)
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: Characters of an expression: every minute, hour and day one by one takes less; a longer one may hold up its reader.
LONGEST = 1000
#: What may stand between two commas. croniter reads more, some of it anew each time (`R`).
ITEM = re.compile(r"(\*|[0-9]+|[a-z]{3})(-([0-9]+|[a-z]{3}))?(/[0-9]+)?|\?|l|l[0-9]|([0-9]|[a-z]{3})#[0-9]", re.ASCII)
#: After so many years the calendar repeats itself: what has no day in them has none at all.
CALENDAR_CYCLE = 400
LAST = -1
MINUTE_LONG = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Fields:
    """What an expression means. Ask it for the first or the last matching minute of an interval."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    #: Days of the month; -1 is the last.
    days: frozenset[int]
    months: frozenset[int]
    #: Pairs of a weekday, Sunday 0, and which one of the month it is: 0 for every, -1 for the last.
    weekdays: frozenset[tuple[int, int]]
    #: Whether a day must match both day fields, since one begins with `*`; otherwise one of them.
    both: bool
    #: Whether neither minute nor hour begins with `*`: it runs at times of its own, whatever the clock does.
    fixed: bool
    _days: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    def first(self, low: datetime, high: datetime) -> datetime | None:
        """The first matching minute from `low` on and before `high`."""
        low = ceil_minute(low)
        year, month, day = low.year, low.month, low.day
        clock: tuple[int, int] | None = (low.hour, low.minute)
        while (year, month) <= (high.year, high.month):
            if month in self.months:
                days = self._days_of(year, month)
                for found in days[bisect_left(days, day) :]:
                    time = self._time_from(*clock) if clock and found == day else (self.hours[0], self.minutes[0])
                    if time is not None:
                        moment = datetime(year, month, found, *time)
                        return moment if moment < high else None
            year, month, day, clock = year + month // 12, month % 12 + 1, 1, None
        return None

    def last(self, low: datetime, high: datetime) -> datetime | None:
        """The last matching minute from `low` on and before `high`."""
        year, month, day = high.year, high.month, high.day
        clock: tuple[int, int] | None = (high.hour, high.minute + (high.second > 0 or high.microsecond > 0))
        while (year, month) >= (low.year, low.month):
            if month in self.months:
                days = self._days_of(year, month)
                for found in reversed(days[: bisect_right(days, day)]):
                    time = self._time_before(*clock) if clock and found == day else (self.hours[-1], self.minutes[-1])
                    if time is not None:
                        moment = datetime(year, month, found, *time)
                        return moment if moment >= low else None
            year, month, day, clock = year - (month == 1), (month - 2) % 12 + 1, 31, None
        return None

    def possible(self) -> bool:
        """Whether there is any day at all that matches."""
        return self.first(datetime(2000, 1, 1), datetime(2000 + CALENDAR_CYCLE, 1, 1)) is not None

    def _time_from(self, hour: int, minute: int) -> tuple[int, int] | None:
        at = bisect_left(self.hours, hour)
        if at < len(self.hours) and self.hours[at] == hour:
            later = bisect_left(self.minutes, minute)
            if later < len(self.minutes):
                return hour, self.minutes[later]
            at += 1
        return (self.hours[at], self.minutes[0]) if at < len(self.hours) else None

    def _time_before(self, hour: int, minute: int) -> tuple[int, int] | None:
        at = bisect_left(self.hours, hour)
        if at < len(self.hours) and self.hours[at] == hour:
            earlier = bisect_left(self.minutes, minute)
            if earlier:
                return hour, self.minutes[earlier - 1]
        return (self.hours[at - 1], self.minutes[-1]) if at else None

    def _days_of(self, year: int, month: int) -> tuple[int, ...]:
        """The matching days of a month, which depend only on its length and its first weekday."""
        first, length = calendar.monthrange(year, month)
        known = self._days.get((first, length))
        if known is None:
            known = tuple(day for day in range(1, length + 1) if self._matches(day, (first + day) % 7, length))
            self._days[first, length] = known
        return known

    def _matches(self, day: int, weekday: int, length: int) -> bool:
        by_day = day in self.days or (day == length and LAST in self.days)
        which = {(weekday, 0), (weekday, (day + 6) // 7)} | ({(weekday, LAST)} if day + 7 > length else set())
        by_weekday = not self.weekdays.isdisjoint(which)
        return by_day and by_weekday if self.both else by_day or by_weekday


@lru_cache(1024)
def read_expression(expression: str) -> Fields:
    """Read an expression; raises `ScheduleError`, which names the field."""
    if len(expression) > LONGEST:
        raise ScheduleError(f"{shortened(expression)} is too long: a cron expression has up to {LONGEST} characters.")
    parts = MACROS.get(expression.strip().lower(), expression).split()
    if len(parts) != len(FIELDS):
        raise ScheduleError(
            f"{shortened(expression)} is no cron expression: it takes five fields (minute, hour, day of month, "
            f"month, day of week) or one of {', '.join(MACROS)}. For seconds, schedule every timedelta(seconds=…)."
        )
    values = [read_field(expression, index, text.lower()) for index, text in enumerate(parts)]
    stars = [text[0] in "*?" for text in parts]
    fields = Fields(
        minutes=tuple(sorted(n for n, _ in values[MINUTE])),
        hours=tuple(sorted(n for n, _ in values[HOUR])),
        days=frozenset(n for n, _ in values[DAY]),
        months=frozenset(n for n, _ in values[MONTH]),
        weekdays=frozenset(values[WEEKDAY]),
        both=stars[DAY] or stars[WEEKDAY],
        fixed=not (stars[MINUTE] or stars[HOUR]),
    )
    if not fields.possible():
        raise ScheduleError(
            f"{shortened(expression)} never comes: no {FIELDS[MONTH]} {parts[MONTH]} has a {FIELDS[DAY]} {parts[DAY]}"
            + (f" that is a {FIELDS[WEEKDAY]} {parts[WEEKDAY]}." if not stars[WEEKDAY] else ".")
        )
    return fields


def read_field(expression: str, index: int, text: str) -> set[tuple[int, int]]:
    """Read one field: its values, and with each which one of the month it is, 0 where that is not said."""
    found: set[tuple[int, int]] = set()
    for item in text.split(","):
        if not ITEM.fullmatch(item):
            raise wrong(expression, index, item)
        found |= read_item(expression, index, item)
    return found


def read_item(expression: str, index: int, item: str) -> set[tuple[int, int]]:
    """Read what stands between two commas.

    croniter takes `5-5` and, in some versions, `59/15` for the whole field, and `50-10` for a turn of it.
    """
    span, step, _ = item.partition("/")
    low, dash, high = span.partition("-")
    if not dash and not (step and low != "*"):
        return ask_croniter(expression, index, item)
    first = min(ask_croniter(expression, index, low))
    if low == high or (step and first[0] == RANGES[index][1]):
        return {first}
    if dash and index != WEEKDAY and first > min(ask_croniter(expression, index, high)):
        raise wrong(expression, index, item, f"; write {low}-{RANGES[index][1]},{RANGES[index][0]}-{high}")
    return ask_croniter(expression, index, item)


def ask_croniter(expression: str, index: int, item: str) -> set[tuple[int, int]]:
    """Let croniter read one item of a field."""
    from croniter import CroniterError, croniter  # a megabyte that not every application needs

    stars: list[Any] = ["*"] * len(FIELDS)
    stars[index] = item
    try:
        expanded, nth = croniter.expand(" ".join(stars))
    except CroniterError as error:
        raise wrong(expression, index, item) from error
    values: list[Any] = expanded[index]
    if values == ["*"]:
        return {(n, 0) for n in range(RANGES[index][0], RANGES[index][1] + 1)}
    if index == WEEKDAY and nth:
        return {(day, LAST if which == "l" else which) for day, some in nth.items() for which in some}
    return {(LAST if value == "l" else value, 0) for value in values}


def wrong(expression: str, index: int, item: str, hint: str = "") -> ScheduleError:
    """Say what is wrong with a field."""
    low, high = RANGES[index]
    return ScheduleError(
        f"{shortened(expression)}: the {FIELDS[index]} {shortened(item)} cannot be; it takes {low} to {high}{hint}."
    )


def ceil_minute(moment: datetime) -> datetime:
    """The same minute, or the next one where some of it is over."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + MINUTE_LONG
