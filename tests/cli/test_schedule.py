"""`flask queues schedule`, run as a person runs it."""

from __future__ import annotations

import json

import pytest

from tests.support.site import eventually

from .test_cli import done, says

SCHEDULES = [
    {"when": "30 2 * * *", "name": "nightly", "timezone": "Europe/Berlin", "payload": {"note_it": False}},
    {"when": 90, "name": "often"},
]


@pytest.fixture
def site(make_site):
    return make_site(SAMPLE_SCHEDULES=SCHEDULES)


def test_the_list_tells_each_schedule_in_words(site):
    """Name, words, zone, next; and after an occurrence the last, with what became of its job."""
    site.environment["LANG"] = "C.UTF-8"
    written = done(site.run("schedule"))
    assert "nightly   At 02:30          Europe/Berlin" in written
    assert "often     Every 90 seconds  UTC" in written
    site.run("schedule", "run", "often")
    site.run("work", "--stop-when-empty")
    assert "completed" in done(site.run("schedule"))


def test_the_words_are_those_of_the_reader_s_language(site):
    """As the terminal's environment says."""
    site.environment["LANG"] = "de_DE.UTF-8"
    assert "Alle 90 Sekunden" in done(site.run("schedule"))


def test_the_list_for_programs(site):
    """All that is known of a schedule."""
    nightly, often = json.loads(done(site.run("schedule", "--json")))
    assert nightly["name"] == "nightly"
    assert nightly["when"] == "30 2 * * *"
    assert nightly["timezone"] == "Europe/Berlin"
    assert nightly["payload"] == {"note_it": False}
    assert nightly["next"].endswith("30:00.000Z")
    assert (nightly["defined_in_code"], nightly["stored"], nightly["paused"], nightly["last"]) == (
        True,
        False,
        None,
        None,
    )
    assert often["when"] == "@every 90s"


def test_no_schedules(make_site):
    """Is no error."""
    assert done(make_site().run("schedule")) == "No schedule is defined.\n"


@pytest.mark.parametrize(
    "after", ["2026-10-24T00:00:00Z", "2026-10-24", "2026-10-24T02:00:00+02:00", "2026-10-24 00:00"]
)
def test_next_prints_times_in_utc(site, after):
    """ISO 8601, a list; `--after` has a zone or is in UTC. No worker has to run."""
    assert json.loads(done(site.run("schedule", "next", "nightly", "--after", after, "--count", "3", "--json"))) == [
        "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z",
    ]  # fmt: skip


def test_next_is_for_people_too(site):
    """In the schedule's zone, and beside it in UTC; a change of clocks is told."""
    written = done(site.run("schedule", "next", "nightly", "--after", "2026-03-28T12:00Z", "--count", "2"))
    assert written.splitlines() == [
        "Sun 2026-03-29 03:00:00 CEST  2026-03-29T01:00:00Z  (its time is skipped by the clocks)",
        "Mon 2026-03-30 02:30:00 CEST  2026-03-30T00:30:00Z",
    ]


@pytest.mark.parametrize("command", ["next", "history", "run", "pause", "resume", "remove"])
def test_an_unknown_name_is_said_in_a_sentence(site, command):
    """And where the names are."""
    says(site.run("schedule", command, "nowhere"), 1, "no schedule called 'nowhere'", "flask queues schedule")


def test_a_time_that_is_none_is_said_in_a_sentence(site):
    """With one that is."""
    says(site.run("schedule", "next", "nightly", "--after", "tomorrow"), 1, "--after 'tomorrow'", "2026-10-25")


def test_run_prints_the_job_s_id(site):
    """It can be handed to the next command."""
    job = done(site.run("schedule", "run", "nightly")).strip()
    assert site.job(job).payload == {"note_it": False}
    written = done(site.run("schedule", "history", "nightly"))
    assert "run by hand" in written
    assert job in written
    (line,) = json.loads(done(site.run("schedule", "history", "nightly", "--json")))
    assert (line["outcome"], line["job"]) == ("run by hand", job)


def test_run_due_needs_no_worker(make_site):
    """It pushes what is due, and says how much."""
    site = make_site(SAMPLE_SCHEDULES=[{"when": 1, "name": "often", "overlap": True}])
    site.run("schedule", "run-due")
    due = site.manager.scheduler.next("often")
    eventually(lambda: site.manager.now() > due, what="The next occurrence")
    assert "pushed." in done(site.run("schedule", "run-due"))
    assert site.manager.counts().statuses["pending"] >= 1


def test_run_due_says_that_nothing_is_due(make_site):
    """That is no error: a cron job may ask every minute."""
    site = make_site(SAMPLE_SCHEDULES=[{"when": "0 0 29 2 *", "name": "rare"}])
    assert done(site.run("schedule", "run-due")) == "Nothing is due.\n"


def test_pause_and_resume(site):
    """The list says so, and why."""
    assert done(site.run("schedule", "pause", "nightly", "--reason", "holidays")) == "nightly is paused.\n"
    assert "paused: holidays" in done(site.run("schedule"))
    assert "due next at" in done(site.run("schedule", "resume", "nightly"))
    assert "paused" not in done(site.run("schedule"))


def test_remove(site):
    """What was made at run time can be removed; what the code defines is removed there."""
    site.manager.scheduler.add("@daily", "occurrence", name="mine")
    assert done(site.run("schedule", "remove", "mine")) == "mine is removed.\n"
    says(site.run("schedule", "remove", "nightly"), 1, "defined in the code of sample", "pause it")
