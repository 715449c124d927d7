"""What becomes of each occurrence, and what may be changed at run time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from flask_queues import (
    DuplicateSchedule,
    OptionError,
    PayloadError,
    ScheduleError,
    ScheduleNotFound,
    Status,
    UnknownJobType,
)
from flask_queues.manager import Manager
from flask_queues.scheduler.decide import decide
from flask_queues.scheduler.definition import define
from flask_queues.scheduler.state import State
from flask_queues.storage.values import Settlement, Wanted

from .conftest import Clock, Report

UTC = timezone.utc


def add(manager: Manager, when="0 * * * *", name="s", **options):
    """A schedule at every full hour, where nothing else is said."""
    return manager.scheduler.add(when, Report, name=name, **options)


def told(manager: Manager, name="s"):
    """The history, oldest first: time of day and outcome."""
    return [f"{line.due:%H:%M} {line.outcome}" for line in reversed(manager.scheduler.history(name))]


def pushed(manager: Manager, name="s"):
    """When the jobs of a schedule were due, by what they themselves are told, in the order of the pushes."""
    lines = [line for line in reversed(manager.scheduler.history(name)) if line.job]
    found = []
    for line in lines:
        claim = manager.storage.claim("test", line.job or "", 1000)
        assert claim is not None
        terms = manager.terms(claim)
        assert terms.occurrence == line.due or line.outcome == "run by hand"
        found.append(f"{terms.occurrence:%H:%M}")
    return found


def finish_all(manager: Manager):
    """Run every job that waits to a good end."""
    while claims := manager.step("w", (), Wanted(["default"], ["report"], 1000)).claims:
        manager.step("w", [Settlement(one.id, one.token, Status.COMPLETED) for one in claims])


# --- Firing -----------------------------------------------------------------------------------------------------------


def test_a_due_occurrence_is_fired_once(manager: Manager, clock: Clock):
    """Not before its time; then once; and its job is told when it was due."""
    add(manager)
    assert manager.scheduler.run_due() == 0
    clock.set("2026-07-01 12:59:59.999")
    assert manager.scheduler.run_due() == 0
    clock.set("2026-07-01 13:00")
    assert manager.scheduler.run_due() == 1
    assert manager.scheduler.run_due() == 0
    assert told(manager) == ["13:00 fired"]
    assert pushed(manager) == ["13:00"]


def test_the_job_is_what_a_push_would_have_made(manager: Manager, clock: Clock):
    """Queue, priority, tags, tries and expiry are those of the definition, over those of the job's type."""
    add(manager, queue="mail", priority=7, tags=["b"], tries=5, timeout=5, expires=60)
    clock.advance(hours=1)
    manager.scheduler.run_due()
    job = manager.find(manager.scheduler.find("s").job or "")
    assert (job.queue, job.priority, job.tags, job.tries, job.timeout) == ("mail", 7, ("a tag", "b"), 5, 5)
    assert job.expires is not None
    assert job.expires - job.due == timedelta(seconds=60)


def test_the_history_tells_how_late(manager: Manager, clock: Clock):
    """When it was due, and when it was fired."""
    add(manager)
    clock.set("2026-07-01 13:00:02.500")
    manager.scheduler.run_due()
    (line,) = manager.scheduler.history("s")
    assert (line.outcome, line.late) == ("fired", 2.5)


def test_nothing_is_decided_of_what_is_not_due(manager: Manager, clock: Clock):
    """Nor of a schedule that will never be due again."""
    now = clock.wall()
    state = State.new(define(manager.jobs, manager.config, "0 * * * *", Report), "", now)
    assert decide(state, now + 59 * 60_000, lambda: False) is None
    assert decide(replace(state, left=0), now + 86_400_000, lambda: False) is None
    assert decide(state, now + 60 * 60_000, lambda: False) is not None


def test_two_workers_fire_it_once(make_manager, clock: Clock):
    """Whoever comes second finds it decided, also if both knew the same state."""
    one, two = make_manager(), make_manager()
    add(one)
    tickers = [one.scheduler.ticker(), two.scheduler.ticker()]
    for ticker in tickers:
        ticker.tick()
    clock.advance(hours=1)
    assert sorted(ticker.drain() for ticker in tickers) == [0, 1]
    assert told(one) == ["13:00 fired"]


def test_a_schedule_that_was_changed_a_moment_ago_is_fired_as_it_is_now(manager: Manager, clock: Clock):
    """A worker that has not heard of the change yet reads it again, at once."""
    add(manager)
    ticker = manager.scheduler.ticker()
    ticker.tick()
    manager.scheduler.change("s", priority=5)
    clock.advance(hours=1)
    assert ticker.drain() == 1
    assert manager.find(manager.scheduler.find("s").job or "").priority == 5


def test_schedules_that_were_changed_many_times_are_fired_in_their_order(manager: Manager, clock: Clock, monkeypatch):
    """A worker that has seen every change forgets those that are over."""
    monkeypatch.setattr("flask_queues.scheduler.ticker.LONGEST_LOOK", 0.0)
    ticker = manager.scheduler.ticker()
    for name in "abc":
        add(manager, "0 18 * * *", name=name)
    for n in range(150):
        for minute, name in enumerate("cab"):
            manager.scheduler.change(name, when=f"{minute} {13 + n % 2} * * *")
        ticker.tick()
    fired = []
    for minute in range(60, 130):
        clock.set(f"2026-07-01 {12 + minute // 60}:{minute % 60:02}")
        if ticker.drain():
            fired += [f"{one.name} {one.last:%H:%M}" for one in manager.scheduler.all() if one.last == clock.now]
    assert fired == ["c 14:00", "a 14:01", "b 14:02"]


def test_a_zone_that_only_another_machine_knows_holds_up_no_other_schedule(manager: Manager, clock: Clock, caplog):
    """That schedule is left to others, which is said; the rest is fired."""
    add(manager)
    definition = define(manager.jobs, manager.config, "* * * * *", Report, name="far")
    far = State.new(replace(definition, timezone="Mars/Olympus"), "", clock.wall())
    assert manager.storage.put_schedule(far.row())
    clock.advance(hours=1)
    assert manager.scheduler.ticker().drain() == 1
    assert "The schedule far is left to other workers: timezone: 'Mars/Olympus'" in caplog.text


# --- Overlap ----------------------------------------------------------------------------------------------------------


def test_an_occurrence_is_left_out_while_the_last_job_runs(manager: Manager, clock: Clock):
    """By default jobs do not overlap; a job that waits has not ended either. The next is fired once it has."""
    add(manager, "* * * * *")
    for _ in range(3):
        clock.advance(minutes=1)
        manager.scheduler.run_due()
    assert told(manager) == ["12:01 fired", "12:02 left out: still running", "12:03 left out: still running"]
    finish_all(manager)
    clock.advance(minutes=1)
    manager.scheduler.run_due()
    assert told(manager)[-1] == "12:04 fired"


def test_a_deleted_job_does_not_run_any_more(manager: Manager, clock: Clock):
    """A job that is not there does not hold up its schedule."""
    add(manager, "* * * * *")
    clock.advance(minutes=1)
    manager.scheduler.run_due()
    manager.delete(manager.scheduler.find("s").job or "")
    clock.advance(minutes=1)
    assert manager.scheduler.run_due() == 1


def test_jobs_may_overlap_where_the_schedule_says_so(manager: Manager, clock: Clock):
    """Each is fired whatever the one before does."""
    add(manager, "* * * * *", overlap=True)
    for _ in range(3):
        clock.advance(minutes=1)
        manager.scheduler.run_due()
    assert told(manager) == ["12:01 fired", "12:02 fired", "12:03 fired"]


def test_the_configuration_says_whether_jobs_may_overlap(make_manager, clock: Clock):
    """`QUEUES_OVERLAP` is for schedules that do not say."""
    manager = make_manager(QUEUES_OVERLAP=True)
    add(manager, "* * * * *")
    for _ in range(2):
        clock.advance(minutes=1)
        manager.scheduler.run_due()
    assert told(manager) == ["12:01 fired", "12:02 fired"]


# --- Missed -----------------------------------------------------------------------------------------------------------


def test_of_what_was_missed_the_last_is_caught_up(manager: Manager, clock: Clock):
    """Nobody was there for hours: by default one job makes up for all, with the last time at which it was due."""
    add(manager)
    clock.set("2026-07-01 15:30")
    assert manager.scheduler.run_due() == 1
    assert told(manager) == ["13:00 left out: missed", "14:00 left out: missed", "15:00 caught up"]
    assert pushed(manager) == ["15:00"]


def test_an_occurrence_of_the_last_minute_is_not_missed(manager: Manager, clock: Clock):
    """It is fired as it is, and stands for what was missed before it."""
    add(manager)
    clock.set("2026-07-01 15:00:50")
    assert manager.scheduler.run_due() == 1
    assert told(manager) == ["13:00 left out: missed", "14:00 left out: missed", "15:00 fired"]


@pytest.mark.parametrize("none", ["none", 0])
def test_nothing_is_caught_up_where_nothing_shall_be(manager: Manager, clock: Clock, none):
    """`none`: what was missed is told and left out; what comes is fired."""
    add(manager, catch_up=none)
    clock.set("2026-07-01 14:30")
    assert manager.scheduler.run_due() == 0
    clock.set("2026-07-01 15:00")
    assert manager.scheduler.run_due() == 1
    assert told(manager) == ["13:00 left out: missed", "14:00 left out: missed", "15:00 fired"]


def test_all_are_caught_up_where_they_may_overlap(manager: Manager, clock: Clock):
    """`all`: a job for each, with its own time."""
    add(manager, catch_up="all", overlap=True)
    clock.set("2026-07-01 16:30")
    assert manager.scheduler.run_due() == 4
    assert pushed(manager) == ["13:00", "14:00", "15:00", "16:00"]


def test_those_that_must_not_overlap_are_caught_up_one_after_the_other(manager: Manager, clock: Clock):
    """The next is pushed when the job before has ended; none is left out."""
    add(manager, catch_up="all")
    clock.set("2026-07-01 15:30")
    assert manager.scheduler.run_due() == 1
    changes = manager.storage.schedules_changed()
    assert manager.scheduler.run_due() == 0
    assert manager.storage.schedules_changed() == changes  # to wait writes nothing
    for _ in range(2):
        finish_all(manager)
        clock.advance(seconds=5)
        assert manager.scheduler.run_due() == 1
    finish_all(manager)
    clock.advance(seconds=5)
    assert manager.scheduler.run_due() == 0
    assert told(manager) == ["13:00 caught up", "14:00 caught up", "15:00 caught up"]


def test_a_limit_catches_up_the_last_ones(manager: Manager, clock: Clock):
    """A number: so many, the latest; those before are told as missed."""
    add(manager, catch_up=2, overlap=True)
    clock.set("2026-07-01 16:30")
    assert manager.scheduler.run_due() == 2
    assert told(manager) == [
        "13:00 left out: missed", "14:00 left out: missed", "15:00 caught up", "16:00 caught up",
    ]  # fmt: skip


def test_a_long_absence_costs_no_long_tick(manager: Manager, clock: Clock):
    """Of a schedule of every second that was missed for a year, one is caught up and the last are told."""
    add(manager, timedelta(seconds=1), catch_up="one")
    clock.advance(days=365)
    ticker = manager.scheduler.ticker()
    ticker.tick()
    assert ticker.pushed == 1
    assert len(manager.scheduler.history("s")) == 100


def test_a_long_absence_is_caught_up_in_steps(manager: Manager, clock: Clock):
    """Where all shall be, a step takes a hundred; none is left out, none comes twice."""
    add(manager, timedelta(minutes=1), catch_up="all", overlap=True)
    clock.advance(minutes=350)
    assert manager.scheduler.run_due() == 350
    assert manager.counts().statuses["pending"] == 350


# --- Pause, limits ----------------------------------------------------------------------------------------------------


def test_a_paused_schedule_leaves_its_occurrences_out(manager: Manager, clock: Clock):
    """They are told; after `resume` it goes on with what comes, and makes up for nothing."""
    add(manager, catch_up="all")
    manager.scheduler.pause("s", "holidays")
    assert manager.scheduler.find("s").paused == "holidays"
    assert manager.scheduler.find("s").next is None
    clock.set("2026-07-01 14:30")
    assert manager.scheduler.run_due() == 0
    clock.set("2026-07-01 15:30")
    resumed = manager.scheduler.resume("s")
    assert resumed.next == datetime(2026, 7, 1, 16, tzinfo=UTC)
    clock.set("2026-07-01 16:00")
    assert manager.scheduler.run_due() == 1
    assert told(manager) == ["13:00 left out: paused", "14:00 left out: paused", "16:00 fired"]


def test_a_schedule_has_a_beginning_and_an_end(manager: Manager, clock: Clock):
    """It is due from `starts` on, up to and with `ends`."""
    starts, ends = datetime(2026, 7, 1, 14, tzinfo=UTC), datetime(2026, 7, 1, 15, tzinfo=UTC)
    record = add(manager, starts=starts, ends=ends, overlap=True)
    assert record.next == starts
    assert record.stored
    for hour in (13, 14, 15, 16):
        clock.set(f"2026-07-01 {hour}:00")
        manager.scheduler.run_due()
    assert told(manager) == ["14:00 fired", "15:00 fired"]
    assert manager.scheduler.find("s").next is None


def test_a_time_span_counts_from_the_beginning(manager: Manager, clock: Clock):
    """Its first occurrence is `starts` itself."""
    starts = datetime(2026, 7, 1, 12, 10, tzinfo=UTC)
    assert add(manager, timedelta(minutes=90), starts=starts).next == starts
    assert manager.scheduler.next("s", starts) == starts + timedelta(minutes=90)


def test_a_schedule_ends_after_so_many_jobs(manager: Manager, clock: Clock):
    """What was left out does not count."""
    add(manager, "* * * * *", times=2)
    for _ in range(3):
        clock.advance(minutes=1)
        manager.scheduler.run_due()
    assert manager.scheduler.find("s").left == 1
    assert len(manager.scheduler.next("s", count=5)) == 1
    finish_all(manager)
    for _ in range(3):
        clock.advance(minutes=1)
        manager.scheduler.run_due()
        finish_all(manager)
    record = manager.scheduler.find("s")
    assert (record.left, record.next) == (0, None)
    assert [line for line in told(manager) if "fired" in line] == ["12:01 fired", "12:04 fired"]


@pytest.mark.parametrize(
    ("when", "later"), [("0 * * * *", timedelta(hours=5)), (timedelta(seconds=10), timedelta(seconds=50))]
)
def test_a_schedule_that_is_late_pushes_no_more_jobs_than_it_may(manager: Manager, clock: Clock, when, later):
    """Of several that are due together, or are made up for, the first ones."""
    add(manager, when, times=2, catch_up="all", overlap=True)
    first, second = manager.scheduler.next("s", count=2)
    clock.now += later
    assert manager.scheduler.run_due() == 2
    assert [line.due for line in manager.scheduler.history("s")] == [second, first]
    assert manager.scheduler.find("s").left == 0


# --- At run time ------------------------------------------------------------------------------------------------------


def test_a_schedule_made_at_run_time_is_everybody_s(make_manager, clock: Clock):
    """Another process sees it, with its next time."""
    one, two = make_manager(QUEUES_TIMEZONE="Europe/Berlin"), make_manager()
    add(one, "30 2 * * *", catch_up=3)
    record = two.scheduler.find("s")
    assert (record.when, record.timezone, record.type, record.catch_up) == ("30 2 * * *", "Europe/Berlin", "report", 3)
    assert record.next == datetime(2026, 7, 2, 0, 30, tzinfo=UTC)
    assert not record.defined_in_code
    assert [one.name for one in two.scheduler.all()] == ["s"]


def test_a_schedule_is_named_after_its_job(manager: Manager):
    """Where no name is given."""
    assert manager.scheduler.add("@daily", "report").name == "report"


def test_two_names_alike_are_an_error(manager: Manager):
    """At run time, in the code, and between the two."""
    add(manager)
    with pytest.raises(DuplicateSchedule, match="called s already"):
        add(manager)
    manager.scheduler.define("@daily", Report)
    with pytest.raises(DuplicateSchedule, match="its job's type: give one of them another name"):
        manager.scheduler.define("@hourly", Report)
    with pytest.raises(DuplicateSchedule, match="report"):
        add(manager, name="report")


def test_a_schedule_is_changed(manager: Manager, clock: Clock):
    """What is named is changed, the rest stays; other times count from now on."""
    add(manager, tries=7, tags=["b"], times=9)
    record = manager.scheduler.change("s", when="30 * * * *", payload={"page": 3}, priority=5)
    assert (record.when, record.payload, record.priority, record.tags, record.left) == (
        "30 * * * *", {"page": 3}, 5, ("a tag", "b"), 9,
    )  # fmt: skip
    clock.set("2026-07-01 12:30:00")
    manager.scheduler.run_due()
    assert told(manager) == ["12:30 fired"]
    assert manager.find(manager.scheduler.find("s").job or "").tries == 7


def test_a_changed_schedule_goes_on_counting_its_jobs(manager: Manager, clock: Clock):
    """Another limit counts from now on; a change of anything else leaves what is left."""
    add(manager, times=3)
    clock.advance(hours=1)
    manager.scheduler.run_due()
    assert manager.scheduler.change("s", priority=5).left == 2
    assert manager.scheduler.change("s", times=5).left == 5
    assert manager.scheduler.change("s", times=None).left is None


def test_a_change_that_somebody_else_was_faster_with_is_made_upon_theirs(make_manager, monkeypatch):
    """Neither is lost."""
    one, two = make_manager(), make_manager()
    add(one)
    put = one.storage.put_schedule

    def late(*arguments):
        monkeypatch.setattr(one.storage, "put_schedule", put)
        two.scheduler.pause("s", "theirs")
        return put(*arguments)

    monkeypatch.setattr(one.storage, "put_schedule", late)
    changed = one.scheduler.change("s", priority=5)
    assert (changed.priority, changed.paused) == (5, "theirs")
    assert (two.scheduler.find("s").priority, two.scheduler.find("s").paused) == (5, "theirs")


def test_a_schedule_moves_to_another_queue(manager: Manager, clock: Clock):
    """Its jobs go there from then on."""
    add(manager)
    manager.scheduler.change("s", queue="images")
    clock.advance(hours=1)
    manager.scheduler.run_due()
    assert manager.find(manager.scheduler.find("s").job or "").queue == "images"
    assert len(manager.scheduler.all()) == 1


def test_a_removed_schedule_is_gone(manager: Manager, clock: Clock):
    """It fires no more, and its name is free."""
    add(manager)
    manager.scheduler.remove("s")
    clock.advance(hours=1)
    assert manager.scheduler.run_due() == 0
    assert manager.scheduler.all() == []
    add(manager)


def test_a_schedule_is_run_by_hand(manager: Manager, clock: Clock):
    """Besides its times, which stay; the job's occurrence is now."""
    add(manager)
    job = manager.scheduler.run("s")
    assert manager.find(job).status is Status.PENDING
    assert told(manager) == ["12:00 run by hand"]
    record = manager.scheduler.find("s")
    assert (record.job, record.last, record.outcome) == (job, clock.now, "run by hand")
    assert manager.scheduler.find("s").next == datetime(2026, 7, 1, 13, tzinfo=UTC)


@pytest.mark.parametrize("act", ["find", "history", "pause", "resume", "remove", "run", "next", "previous", "forget"])
def test_an_unknown_name_is_an_error(manager: Manager, act):
    """It says where the names are."""
    with pytest.raises(ScheduleNotFound, match="no schedule called 'nowhere'"):
        getattr(manager.scheduler, act)("nowhere")
    with pytest.raises(ScheduleNotFound):
        manager.scheduler.change("nowhere", when="@daily")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"when": "60 * * * *"}, ScheduleError, "minute"),
        ({"when": "0 0 31 2 *"}, ScheduleError, "never comes"),
        ({"timezone": "Mars"}, ScheduleError, "timezone"),
        ({"overlap": "yes"}, ScheduleError, "overlap"),
        ({"catch_up": "some"}, ScheduleError, "catch_up"),
        ({"catch_up": -1}, ScheduleError, "catch_up"),
        ({"catch_up": 1001}, ScheduleError, "catch_up"),
        ({"catch_up": True}, ScheduleError, "catch_up"),
        ({"times": 0}, ScheduleError, "times"),
        ({"starts": datetime(2026, 1, 1)}, ScheduleError, "starts"),
        ({"ends": "tomorrow"}, ScheduleError, "ends"),
        ({"starts": datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))}, ScheduleError, "out of range"),
        ({"ends": datetime.max.replace(tzinfo=UTC)}, ScheduleError, "out of range"),
        (
            {"starts": datetime(2026, 2, 1, tzinfo=UTC), "ends": datetime(2026, 1, 1, tzinfo=UTC)},
            ScheduleError,
            "end before it starts",
        ),
        ({"name": ""}, ScheduleError, "name"),
        ({"name": ":mine"}, ScheduleError, "name"),
        ({"name": "two\nlines"}, ScheduleError, "name"),
        ({"delay": 5}, ScheduleError, "delay"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, ScheduleError, "at"),
        ({"job": Report().delayed(60)}, ScheduleError, "delay"),
        ({"priority": 1000}, OptionError, "priority"),
        ({"colour": "red"}, OptionError, "colour"),
        ({"payload": {"pages": 1}}, PayloadError, "pages"),
        ({"payload": {"page": "x"}}, PayloadError, "page"),
        ({"job": "nowhere"}, UnknownJobType, "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(manager: Manager, options, error, words):
    """As a push does, and by name; nothing is stored. The same holds for a change."""
    given = {"when": "@daily", "job": Report, "payload": None, **options}
    with pytest.raises(error, match=words):
        manager.scheduler.add(**given)
    with pytest.raises(error, match=words):
        manager.scheduler.define(**given)
    assert manager.scheduler.all() == []
    if "name" not in options:
        add(manager)
        with pytest.raises(error, match=words):
            manager.scheduler.change("s", **options)


# --- Times ------------------------------------------------------------------------------------------------------------


def test_times_are_asked_of_a_schedule_or_an_expression(make_manager, clock: Clock):
    """By name, by expression, by time span; by default from now."""
    manager = make_manager(QUEUES_TIMEZONE="Europe/Berlin")
    scheduler = manager.scheduler
    add(manager, "30 2 * * *")
    due = datetime(2026, 7, 2, 0, 30, tzinfo=UTC)
    assert scheduler.next("s") == scheduler.next("30 2 * * *") == due
    assert scheduler.next("30 2 * * *", timezone="UTC") == due + timedelta(hours=2)
    assert scheduler.next(timedelta(hours=1)) == datetime(2026, 7, 1, 13, tzinfo=UTC)
    assert scheduler.next("s", due, 2) == [due + timedelta(days=1), due + timedelta(days=2)]
    assert scheduler.previous("s") == due - timedelta(days=1)
    assert scheduler.previous("s", due) == due - timedelta(days=1)
    assert scheduler.is_due("s", due + timedelta(seconds=59))
    assert not scheduler.is_due("s", due + timedelta(seconds=60))
    assert not scheduler.is_due("s")
    assert scheduler.is_due("* * * * *")


def test_an_expression_is_valid_or_not(manager: Manager):
    """No exception, only a word."""
    assert manager.scheduler.is_valid("0 2 * * *")
    assert manager.scheduler.is_valid(timedelta(seconds=30))
    assert not manager.scheduler.is_valid("0 0 31 2 *")
    assert not manager.scheduler.is_valid("0 2 * *")
    assert not manager.scheduler.is_valid("0 2 * * *", "Mars")
    assert not manager.scheduler.is_valid(None)


def test_a_moment_without_a_zone_is_refused(manager: Manager):
    """It would be another one on each machine."""
    with pytest.raises(ScheduleError, match="aware"):
        manager.scheduler.next("* * * * *", datetime(2026, 1, 1))
