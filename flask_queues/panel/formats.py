"""Numbers, durations and times as they are written in the reader's language and zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from flask import current_app, g, request

from ..manager import current_queues
from .language import _l, locale, ngettext
from .language import gettext as _

#: What the script has read from the browser, and what a person has chosen, which comes first.
ZONE_COOKIE, CHOSEN_ZONE_COOKIE = "queues_zone", "queues_chosen_zone"
SPACE = "\N{NO-BREAK SPACE}"
EN_DASH = "\N{EN DASH}"
UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
#: Older moments are shown as a date.
RELATIVE = timedelta(days=7)
#: Zones whose short names are others in other languages; to `tzname` all are English.
ZONES = frozenset({_l("CET"), _l("CEST"), _l("EET"), _l("EEST"), _l("WET"), _l("WEST")})


def number(value: float) -> str:
    """1,204 or 1.204."""
    return decimal(value, str(locale()))


@lru_cache(4096)
def decimal(value: float, language: str) -> str:
    """A number in a language; a page writes the same few again and again."""
    from babel.numbers import format_decimal

    return str(format_decimal(value, locale=language))


def short_number(value: int) -> str:
    """Exact up to 999, then 12.3 k and 1.2 M, for where there is little room."""
    for size, unit in ((999_950, "M"), (1_000, "k")):
        if value >= size:
            return f"{number(round(value / (1_000_000 if unit == 'M' else 1_000), 1))}{SPACE}{unit}"
    return str(value)


def percent(value: float) -> str:
    """72 % as the language has it, to one decimal."""
    from babel.numbers import format_percent

    return str(format_percent(round(value / 100, 3), locale=locale(), decimal_quantization=False))


def size(count: int) -> str:
    """Bytes."""
    if count < 1000:
        return f"{number(count)}{SPACE}B"
    return f"{number(round(count / 1000, 1))}{SPACE}kB"


def duration(span: float | timedelta) -> str:
    """A time span in SI symbols, two units at most."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds < 0.9995:
        return f"{max(0, round(seconds * 1000))}{SPACE}ms"
    if seconds < 9.95:
        return f"{number(round(seconds, 1))}{SPACE}s"
    return whole_duration(seconds)


def whole_duration(seconds: float) -> str:
    """A time span in whole seconds or more."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, length in UNITS:
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{SPACE}{unit}")
        elif parts:
            break
    return SPACE.join(parts[:2])


def kept(hours: float) -> str:
    """For how long something is kept, in a word or two: 24 hours, 7 days."""
    if hours % 1:
        return duration(hours * 3600)
    if hours % 24 or hours < 48:
        return ngettext("%(n)s hour", "%(n)s hours", round(hours))
    return ngettext("%(n)s day", "%(n)s days", round(hours / 24))


def now() -> datetime:
    """One moment of the storage's clock for the whole answer, so that no two times of it contradict each other."""
    moment: datetime | None = g.get("queues_now")
    if moment is None:
        moment = g.queues_now = current_queues.now()
    return moment


def ago(moment: datetime) -> str:
    """A time as a person says it: 2 minutes ago, in 3 hours; a date where it is far."""
    away = moment - now()
    return nearby(away) if abs(away) <= RELATIVE else day(moment.astimezone(zone()).date(), str(locale()))


def when(moment: datetime) -> str:
    """The same in a sentence: 2 minutes ago, in 3 hours; on a date where it is far."""
    text = ago(moment)
    return text if abs(moment - now()) <= RELATIVE else _("on %(date)s", date=text)


def nearby(away: timedelta) -> str:
    """A time that is not far, as a person says it."""
    if abs(away) < timedelta(seconds=1):
        return _("just now") if away < timedelta(0) else _("now")
    return relative(rounded(away), str(locale()))


def rounded(away: timedelta) -> int:
    """Seconds, whole units of the largest of which it is at least one and a half: all that is said of it."""
    seconds = away.days * 86_400 + away.seconds
    length = next(length for _, length in UNITS if length == 1 or abs(seconds) >= 1.5 * length)
    return round(seconds / length) * length


@lru_cache(4096)
def relative(seconds: int, language: str) -> str:
    """How far away something is, in a language."""
    from babel.dates import format_timedelta

    return str(format_timedelta(seconds, add_direction=True, threshold=1.5, locale=language))


def clock(moment: datetime) -> str:
    """The time of day, with seconds."""
    return f"{moment.astimezone(zone()):%H:%M:%S}"


def exact(moment: datetime, where: tzinfo | None = None) -> str:
    """Date and time, with seconds, in the reader's zone or in another."""
    return at_second(moment.astimezone(where or zone()))


def at_second(here: datetime) -> str:
    """Date and time, with seconds, of a moment in its own zone."""
    return f"{day(here.date(), str(locale()))}, {here.time().isoformat('seconds')}"


@lru_cache(512)
def day(which: date, language: str) -> str:
    """A date in a language."""
    from babel.dates import format_skeleton

    return str(format_skeleton("yMMMd", datetime.combine(which, time()), locale=language))


def with_zone(moment: datetime) -> str:
    """Date, time and zone, for where no footer names the zone."""
    here = moment.astimezone(zone())
    name = here.tzname() or ""
    return f"{at_second(here)} {_(name) if name in ZONES else name}"


def milliseconds(moment: datetime) -> str:
    """The time of day, with milliseconds, for log lines."""
    here = moment.astimezone(zone())
    return f"{here:%H:%M:%S}.{here.microsecond // 1000:03}"


def slot_name(since: datetime, until: datetime, *, days: bool) -> str:
    """A span of time on a chart, as from 14:00 to 14:30, with its day where there are several."""
    first, last = since.astimezone(zone()), until.astimezone(zone())
    hours = f"{first:%H:%M}\N{EN DASH}{last:%H:%M}"
    return f"{short_day(first.date(), str(locale()))}, {hours}" if days else hours


def span_text(since: datetime | None, until: datetime | None) -> str:
    """The time of a filter, in words; a day is named once."""
    if until is None:
        return _("since %(time)s", time=at_minute(since)) if since is not None else ""
    if since is None:
        return _("before %(time)s", time=at_minute(until))
    first, last = since.astimezone(zone()), until.astimezone(zone())
    end = clock_of(last) if first.date() == last.date() else at_minute(until)
    return f"{at_minute(since)}{EN_DASH}{end}"


def at_minute(moment: datetime) -> str:
    """Date and time of a moment, with seconds only where it has some."""
    here = moment.astimezone(zone())
    return f"{day(here.date(), str(locale()))}, {clock_of(here)}"


def clock_of(here: datetime) -> str:
    """The time of day of a moment in its own zone, with seconds only where it has some."""
    return here.time().isoformat("seconds" if here.second or here.microsecond else "minutes")


def axis_time(moment: datetime, span: int) -> str:
    """A moment below a chart whose slots span so many minutes."""
    here = moment.astimezone(zone())
    return short_day(here.date(), str(locale())) if span > 30 else f"{here:%H:%M}"


@lru_cache(512)
def short_day(which: date, language: str) -> str:
    """A date without its year in a language."""
    from babel.dates import format_skeleton

    return str(format_skeleton("MMMd", datetime.combine(which, time()), locale=language))


def zone() -> tzinfo:
    """The person's zone as chosen, or as the browser told it, else the application's, else `QUEUES_TIMEZONE`."""
    found: tzinfo | None = g.get("queues_zone")
    if found is None:
        found = g.queues_zone = choose_zone()
    return found


def choose_zone() -> tzinfo:
    """See `zone`."""
    from zoneinfo import ZoneInfo

    told = (zone_of(request.cookies.get(cookie, "")) for cookie in (CHOSEN_ZONE_COOKIE, ZONE_COOKIE))
    return next(filter(None, told), None) or zone_of_application() or ZoneInfo(current_queues.config.timezone)


def zone_of(name: str) -> tzinfo | None:
    """The zone of a name; None where there is no such zone."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, KeyError):
        return None


def zone_of_application() -> Any:
    """What Flask-Babel answers, if the application has set it up with a zone of its own."""
    if "babel" not in current_app.extensions or "BABEL_DEFAULT_TIMEZONE" not in current_app.config:
        return None
    from flask_babel import get_timezone

    return get_timezone()


def zone_name() -> str:
    """The name of the zone, Europe/Berlin."""
    return str(zone())
