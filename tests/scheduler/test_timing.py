"""When schedules are due: through a table, against a model, and where there is nothing to be due."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flask_queues import ScheduleError
from flask_queues.scheduler import read_timing
from flask_queues.scheduler.cron import read_expression
from flask_queues.scheduler.zones import stretches

from .model import minutes_due

TABLE = Path(__file__).with_name("occurrences.txt").read_text("utf-8")
UTC = timezone.utc


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cases():
    """The lines of the table: expression, zone, after, what is due next."""
    for line in TABLE.splitlines():
        if line.strip() and not line.startswith("#"):
            expression, zone, after, *due = (part.strip() for part in line.split("|"))
            moments = [f"{part[:10]} {clock.strip()}" for part in due for clock in part[10:].split(",")]
            yield pytest.param(expression, zone, utc(after), [utc(one) for one in moments], id=re.sub(" +", " ", line))


@pytest.mark.parametrize(("expression", "zone", "after", "expected"), list(cases()))
def test_what_the_table_says(expression, zone, after, expected):
    """Each line of the table holds, forwards and backwards."""
    timing = read_timing(expression, zone)
    found = []
    moment = after
    for _ in expected:
        moment = timing.next(moment)
        found.append(moment)
    assert found == expected
    assert list(timing.between(after, expected[-1])) == expected
    for earlier, later in pairwise(expected):
        assert timing.previous(later) == earlier
    assert timing.previous(expected[0]) <= after


def test_the_table_is_long():
    """There are cases around every kind of change."""
    assert len(list(cases())) >= 150


# --- Properties -------------------------------------------------------------------------------------------------------

NAMES = {3: ["jan", "feb", "sep", "dec"], 4: ["sun", "mon", "fri", "sat"]}
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
#: With a change of clocks of each kind, and a day around it.
PLACES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/Sao_Paulo", "2018-11-04T03:00"),
    ("America/Sao_Paulo", "2019-02-17T02:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Antarctica/Troll", "2026-10-25T01:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Antarctica/Casey", "2010-03-04T15:00"),
    ("Asia/Dhaka", "2009-12-31T17:00"),
    ("Asia/Kathmandu", "1985-12-31T18:30"),
    ("Pacific/Chatham", "2026-04-04T14:00"),
    ("Africa/Casablanca", "2026-02-15T02:00"),
    ("UTC", "2026-01-01T00:00"),
]


@st.composite
def items(draw, index):
    """Something that may stand between two commas."""
    low, high = RANGES[index]
    kind = draw(st.sampled_from(["number", "number", "range", "star", "step", "name", "special"]))
    first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    step = draw(st.integers(1, high))
    if kind == "range":
        return f"{first}-{last}" + draw(st.sampled_from(["", f"/{step}"]))
    if kind == "star":
        return "*"
    if kind == "step":
        return draw(st.sampled_from([f"*/{step}", f"{first}/{step}"]))
    if kind == "name" and index in NAMES:
        return draw(st.sampled_from(NAMES[index]))
    if kind == "special" and index == 2:
        return "L"
    if kind == "special" and index == 4:
        return draw(st.sampled_from([f"{first % 7}#{draw(st.integers(1, 5))}", f"L{first % 7}"]))
    return str(first)


@st.composite
def expressions(draw):
    """A cron expression, more often than not one of few minutes."""
    fields = [",".join(draw(st.lists(items(index), min_size=1, max_size=3))) for index in range(5)]
    for index in (2, 3, 4):
        if draw(st.booleans()):
            fields[index] = "*"
    return " ".join(fields)


def timing_of(expression, zone):
    try:
        return read_timing(expression, zone)
    except ScheduleError as error:
        if "never comes" not in str(error):
            raise
        return None


@settings(max_examples=60, deadline=None)
@given(expressions(), st.sampled_from(PLACES), st.integers(-2880, 2880))
@example("30 2 * * *", PLACES[0], 0)
@example("*/7,30 1-3 * * *", PLACES[1], -120)
@example("0 0 * * *", ("Antarctica/Casey", "2010-03-04T15:00"), -180)
def test_a_model_that_looks_at_every_minute_agrees(expression, place, shift):
    """Over two days around a change of clocks, what is due is what cron's rules say, minute by minute."""
    zone, change = place
    timing = timing_of(expression, zone)
    if timing is None:
        return
    start = utc(change) + timedelta(minutes=shift)
    end = start + timedelta(days=2)
    assert list(timing.between(start, end)) == minutes_due(expression, ZoneInfo(zone), start, end)


@settings(max_examples=60, deadline=None)
@given(expressions(), st.sampled_from(PLACES), st.integers(-4_000_000, 4_000_000))
def test_next_is_later_and_previous_goes_back(expression, place, seconds):
    """What comes next is strictly later; from there, what came before is where we were or earlier, and back again."""
    zone, change = place
    timing = timing_of(expression, zone)
    if timing is None:
        return
    moment = utc(change) + timedelta(seconds=seconds)
    first = timing.next(moment)
    second = timing.next(first)
    assert moment < first < second
    assert timing.previous(second) == first
    assert timing.next(timing.previous(first)) == first
    assert timing.previous(first) <= moment


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789*/-,#lLwW?@ \tjanmo", max_size=24))
def test_a_text_is_read_or_refused(text):
    """Whatever is written: an expression, or a `ScheduleError`; and never a search without end."""
    try:
        timing = read_timing(text, "Europe/Berlin")
    except ScheduleError:
        return
    assert timing.next(utc("2026-01-01")) is not None


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("60 * * * *", "minute '60' cannot be; it takes 0 to 59"),
        ("-1 * * * *", "minute"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of month '0'"),
        ("* * 32 * *", "day of month '32'"),
        ("* * * 0 *", "month '0'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "day of week '8'"),
        ("* * * foo *", "month 'foo'"),
        ("* * * * foo", "day of week 'foo'"),
        ("mon * * * *", "minute 'mon'"),
        ("5-1 * * * *", "minute '5-1' cannot be; it takes 0 to 59; write 5-59,0-1"),
        ("0 22-2 * * *", "hour '22-2'"),
        ("0 0 * dec-feb *", "month 'dec-feb'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("0-70 * * * *", "minute '70'"),
        ("1, * * * *", "minute ''"),
        ("1-2-3 * * * *", "minute '1-2-3'"),
        ("1.5 * * * *", "minute '1.5'"),
        ("? * * * *", "minute '?'"),
        ("R * * * *", "minute 'r'"),
        ("H * * * *", "minute 'h'"),
        ("H/5 * * * *", "minute 'h/5'"),
        ("L * * * *", "minute 'l'"),
        ("0 0 15W * *", "day of month '15w'"),
        ("0 0 L-2 * *", "day of month 'l-2'"),
        ("0 0 * * 1#6", "day of week '1#6'"),
        ("0 0 * * 1#0", "day of week '1#0'"),
        ("0 0 * * L", "day of week 'l'"),
        ("\u0661 * * * *", "minute"),
        ("0 0 31 2 *", "never comes: no month 2 has a day of month 31"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 30 feb */2", "never comes"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("", "five fields"),
        ("@reboot", "five fields"),
        ("@every 5m", "five fields"),
        ("every day", "five fields"),
    ],
)
def test_what_cannot_be_is_refused_and_the_field_named(expression, words):
    """A wrong field is named with what it takes; a day that never comes is said to be none."""
    with pytest.raises(ScheduleError, match=re.escape(words)):
        read_timing(expression, "UTC")


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "Mars", "../etc/passwd", "/etc/localtime", "a\0b", None, 7])
def test_an_unknown_zone_is_refused(zone):
    """A zone that this machine does not know is named."""
    with pytest.raises(ScheduleError, match="timezone"):
        read_timing("* * * * *", zone)


@pytest.mark.parametrize("when", [None, True, [], float("nan"), float("inf"), b"* * * * *"])
def test_what_is_no_time_is_refused(when):
    """Neither an expression nor a time span."""
    with pytest.raises(ScheduleError, match="neither"):
        read_timing(when, "UTC")


@pytest.mark.parametrize("seconds", [0, -5, 0.5, timedelta(days=400), timedelta(0)])
def test_a_time_span_has_its_limits(seconds):
    """A schedule comes at most once a second and at least once a year."""
    with pytest.raises(ScheduleError, match="every"):
        read_timing(seconds, "UTC")


def test_a_moment_without_a_zone_is_refused():
    """A naive datetime would mean another moment on each machine."""
    with pytest.raises(ScheduleError, match="no time zone"):
        read_timing("* * * * *", "UTC").next(datetime(2026, 1, 1))


# --- Time spans -------------------------------------------------------------------------------------------------------


def test_a_time_span_is_the_same_on_every_machine():
    """Every 30 seconds is at :00 and :30, whenever it is asked, and through changes of clocks."""
    timing = read_timing(timedelta(seconds=30), "Europe/Berlin")
    after = utc("2026-03-29 00:59:31")
    found = [moment.isoformat()[11:19] for moment in timing.between(after, after + timedelta(minutes=1.5))]
    assert found == ["01:00:00", "01:00:30", "01:01:00"]
    assert timing.previous(utc("2026-03-29 01:00:00")) == utc("2026-03-29 00:59:30")
    assert read_timing(30, "UTC").next(after) == utc("2026-03-29 01:00:00")


def test_a_time_span_counts_from_its_start():
    """Where a schedule has a start, its time span counts from there."""
    timing = read_timing(timedelta(minutes=90), "UTC", utc("2026-01-01 00:10"))
    assert list(timing.between(utc("2026-01-01"), utc("2026-01-01 04:00"))) == [
        utc("2026-01-01 00:10"), utc("2026-01-01 01:40"), utc("2026-01-01 03:10"),
    ]  # fmt: skip
    assert timing.previous(utc("2026-01-01 01:40:01")) == utc("2026-01-01 01:40")


# --- Edges ------------------------------------------------------------------------------------------------------------


def test_a_moment_of_another_zone_is_the_same_moment():
    """`after` may be of any zone; what comes back is in UTC."""
    timing = read_timing("30 2 * * *", "Europe/Berlin")
    in_tokyo = utc("2026-10-24 12:00").astimezone(ZoneInfo("Asia/Tokyo"))
    found = timing.next(in_tokyo)
    assert found == utc("2026-10-25 00:30")
    assert found.utcoffset() == timedelta(0)


@pytest.fixture
def in_new_york(monkeypatch):
    """A machine whose clock shows the time of New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    stretches.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    stretches.cache_clear()


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of this system cannot be changed")
def test_the_zone_of_the_machine_does_not_matter():
    """Neither to what is due nor to the moment at which clocks elsewhere are changed."""
    timing = read_timing("30 2 * * *", "Europe/Berlin")
    assert list(timing.between(utc("2026-03-28 00:00"), utc("2026-03-30 12:00"))) == [
        utc("2026-03-28 01:30"), utc("2026-03-29 01:00"), utc("2026-03-30 00:30"),
    ]  # fmt: skip
    assert list(timing.between(utc("2026-10-25 00:00"), utc("2026-10-26 12:00"))) == [
        utc("2026-10-25 00:30"), utc("2026-10-26 01:30"),
    ]  # fmt: skip
    assert timing.stands_in(utc("2026-03-29 01:00"))
    assert read_timing(timedelta(hours=6), "UTC").next(utc("2026-07-01 05:59")) == utc("2026-07-01 06:00")


@pytest.mark.parametrize("seconds", [1, timedelta(days=366)])
def test_the_shortest_and_the_longest_time_span(seconds):
    """Both are taken."""
    timing = read_timing(seconds, "UTC", utc("2026-07-01"))
    assert timing.next(utc("2026-07-01")) == utc("2026-07-01") + (timedelta(seconds=1) if seconds == 1 else seconds)


@pytest.mark.parametrize("expression", ["* * * * *", "0 0 29 2 *", "0 2 * * *"])
def test_the_calendar_has_an_end_and_a_beginning(expression):
    """There, nothing is due any more, and nothing fails."""
    timing = read_timing(expression, "Europe/Berlin")
    assert timing.next(datetime.max.replace(tzinfo=UTC)) is None
    assert timing.previous(datetime.min.replace(tzinfo=UTC)) is None
    assert timing.next(datetime.min.replace(tzinfo=UTC)) is not None
    assert timing.previous(datetime.max.replace(tzinfo=UTC)) is not None


def test_is_due_looks_at_the_minute():
    """Any moment of the minute will do."""
    timing = read_timing("30 2 * * *", "Europe/Berlin")
    assert timing.is_due(utc("2026-07-01 00:30:00"))
    assert timing.is_due(utc("2026-07-01 00:30:59.999"))
    assert not timing.is_due(utc("2026-07-01 00:31:00"))
    assert not timing.is_due(utc("2026-07-01 00:29:59.999"))


@pytest.mark.parametrize("expression", ["0 12 * * *", timedelta(hours=12)])
def test_a_moment_after_it_was_due_has_it_before(expression):
    """However little later; the very moment is not before itself."""
    timing = read_timing(expression, "UTC")
    noon, instant = utc("2026-07-01 12:00"), timedelta(microseconds=1)
    before, after = utc("2026-07-01 00:00"), utc("2026-07-02 12:00")
    assert timing.previous(noon + instant) == noon
    assert timing.previous(noon) in (before, before - timedelta(hours=12))
    assert timing.next(noon - instant) == noon
    assert timing.next(noon) in (after, after - timedelta(hours=12))


def test_what_stands_in_for_a_skipped_time_is_told():
    """So that a person may read it."""
    timing = read_timing("30 2 * * *", "Europe/Berlin")
    assert timing.stands_in(utc("2026-03-29 01:00"))
    assert not timing.stands_in(utc("2026-03-30 00:30"))
    assert not read_timing("0 2,3 * * *", "Europe/Berlin").stands_in(utc("2026-03-29 01:00"))
    assert not read_timing(30, "UTC").stands_in(utc("2026-03-29 01:00"))


def test_an_expression_is_read_once():
    """Ten thousand schedules of few expressions cost few readings."""
    assert read_expression("1 2 3 4 5") is read_expression("1 2 3 4 5")


def test_an_expression_is_of_a_bounded_length():
    """One that somebody else has typed holds up nobody; all that can be said one by one is short enough."""
    every = [",".join(map(str, numbers)) for numbers in (range(60), range(24), range(1, 32), range(1, 13), range(7))]
    assert read_expression(" ".join(every)).minutes == tuple(range(60))
    with pytest.raises(ScheduleError, match="is too long: a cron expression has up to 1000 characters"):
        read_expression("*,*" * 100_000 + " * * * *")
