"""cron's rules once more, written to be read: it looks at every minute and knows no shortcut."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
NAMES = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))} | {
    name.lower(): n for n, name in enumerate(calendar.month_abbr) if n
}


def number(text: str) -> int:
    """Read a number or a name."""
    return int(text) if text.isdigit() else NAMES[text]


def among(value: int, field: str, low: int, high: int) -> bool:
    """Whether a value is one of those that a field names."""
    for item in field.lower().split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        begin, end = (low, high) if span == "*" else (number(first), number(last or first))
        if step and not dash and span != "*":
            end = high
        if begin <= value <= end and (value - begin) % int(step or 1) == 0:
            return True
    return False


def day_of_month_matches(day: datetime, field: str) -> bool:
    """Whether the day of month does."""
    length = calendar.monthrange(day.year, day.month)[1]
    plain = ",".join(item for item in field.lower().split(",") if item != "l")
    return ("l" in field.lower() and day.day == length) or (bool(plain) and among(day.day, plain, 1, 31))


def weekday_matches(day: datetime, field: str) -> bool:
    """Whether the day of week does; Sunday is 0 and 7."""
    weekday = day.isoweekday() % 7
    for item in field.lower().split(","):
        if "#" in item:
            wanted, _, nth = item.partition("#")
            if number(wanted) % 7 == weekday and (day.day - 1) // 7 + 1 == int(nth):
                return True
        elif item.startswith("l"):
            if int(item[1:]) % 7 == weekday and (day + timedelta(days=7)).month != day.month:
                return True
        elif any(among(one, item, 0, 6) for one in ({0, 7} if weekday == 0 else {weekday})):
            return True
    return False


def matches(clock: datetime, expression: str) -> bool:
    """Whether a time on a wall clock matches an expression."""
    minute, hour, day, month, weekday = expression.split()
    if not (among(clock.minute, minute, 0, 59) and among(clock.hour, hour, 0, 23) and among(clock.month, month, 1, 12)):
        return False
    by_day, by_weekday = day_of_month_matches(clock, day), weekday_matches(clock, weekday)
    either = not day.startswith("*") and not weekday.startswith("*")
    return (by_day or by_weekday) if either else (by_day and by_weekday)


def minutes_due(
    expression: str, zone: ZoneInfo, start: datetime, end: datetime, step: timedelta = MINUTE
) -> list[datetime]:
    """What cron would run after `start` and up to `end`, as its clock ticks minute by minute.

    It keeps the time up to which jobs of fixed times have been run, as Debian's cron does. Where all times
    are multiples of a longer step, it may tick in such.
    """
    minute, hour = expression.split()[:2]
    wild = minute.startswith("*") or hour.startswith("*")
    due = []
    moment = start.replace(second=0, microsecond=0) - timedelta(days=1)
    seen = moment.astimezone(zone).replace(tzinfo=None)
    while moment <= end:
        clock = moment.astimezone(zone).replace(tzinfo=None)
        ahead = clock - seen
        if wild:
            run = matches(clock, expression)
        elif abs(ahead) >= timedelta(hours=3):  # a correction
            run = matches(clock, expression)
            seen = clock
        else:
            run = False
            while seen < clock:
                seen += step
                run = run or matches(seen, expression)
        if run and start < moment:
            due.append(moment.astimezone(timezone.utc))
        moment += step
    return due
