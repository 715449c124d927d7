"""What workers promise about schedules, tried on real ones."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from tests.support.site import PATIENCE, eventually

#: Every second, each with its job, whatever happens.
EVERY_SECOND = {"when": 1, "name": "often", "overlap": True, "catch_up": "all"}
NIGHTLY = {"when": "0 2 * * *", "name": "nightly"}


def lines(site, name="often"):
    """The history, oldest first."""
    return site.manager.scheduler.history(name)[::-1]


def fired(site, number, name="often"):
    """Wait for so many occurrences; returns the history."""

    def enough():
        known = [record.name for record in site.manager.scheduler.all() if record.stored]
        return name in known and len(told := lines(site, name)) >= number and told

    return eventually(enough, what=f"{number} occurrences")


def names(site):
    """The names of the schedules that are stored."""
    return [record.name for record in site.manager.scheduler.all() if record.stored]


def test_a_worker_fires_schedules_and_the_job_is_told_when_it_was_due(make_site):
    """`current_job.occurrence` is the point in time itself, however late the job runs."""
    site = make_site(SAMPLE_SCHEDULES=[EVERY_SECOND])
    site.work()
    for line in fired(site, 3):
        assert line.outcome == "fired"
        assert line.due.microsecond == 0
        assert site.ended(line.job).result == line.due.isoformat()


def test_a_job_of_no_schedule_has_no_occurrence(site):
    """It was pushed."""
    job = site.push("occurrence")
    site.work("--stop-when-empty").wait()
    assert site.job(job).result == "none"


def test_a_schedule_made_at_run_time_is_fired_by_workers_that_run(site):
    """They learn of it by themselves, and of its end."""
    site.work()
    site.manager.scheduler.add(1, "occurrence", name="often", overlap=True)
    fired(site, 2)
    site.manager.scheduler.pause("often", "enough")
    eventually(lambda: lines(site)[-1].outcome == "left out: paused", what="The pause")


@pytest.mark.slow
def test_each_occurrence_is_fired_once_whatever_is_killed(make_site):
    """Three workers of which one after the other is killed with all its processes: no occurrence is lost or doubled."""
    site = make_site(SAMPLE_SCHEDULES=[EVERY_SECOND], QUEUES_LEASE=2)
    workers = [site.work() for _ in range(3)]
    chance = random.Random(0)
    begin = time.monotonic()
    while time.monotonic() < begin + 12:
        time.sleep(chance.uniform(0.2, 0.9))
        victim = chance.randrange(3)
        workers[victim].kill_all()
        workers[victim] = site.start()
    told = fired(site, 14)
    dues = [line.due for line in told]
    assert dues == [dues[0] + timedelta(seconds=n) for n in range(len(dues))]
    assert all(line.outcome in ("fired", "caught up") for line in told)
    assert len({line.job for line in told}) == len(told)
    for line in told:
        assert site.ended(line.job).result == line.due.isoformat()
    pushed = [job.result for job in site.manager.every(type="occurrence") if job.status.final]
    assert len(pushed) == len(set(pushed))


def test_a_schedule_removed_from_the_code_disappears_with_the_new_code(make_site):
    """The first worker of the new code deletes it; one that was made at run time stays."""
    site = make_site(SAMPLE_SCHEDULES=[NIGHTLY, {"when": "@weekly", "name": "weekly"}])
    old = site.work()
    site.manager.scheduler.add("@hourly", "occurrence", name="mine")
    assert names(site) == ["mine", "nightly", "weekly"]
    site.configure(SAMPLE_SCHEDULES=[NIGHTLY])
    site.work()
    old.stop()
    site.manager.scheduler.forget("weekly")  # what this process knows from the old code
    assert names(site) == ["mine", "nightly"]


def test_a_worker_does_not_start_where_two_names_are_alike(site):
    """It says so, and which; the one that is stored stays as it is."""
    site.manager.scheduler.add("@hourly", "occurrence", name="nightly")
    site.configure(SAMPLE_SCHEDULES=[NIGHTLY])
    worker = site.start()
    assert worker.wait() == 1
    assert "a schedule called nightly" in worker.text
    assert "Traceback" not in worker.text
    assert site.manager.scheduler.find("nightly").when == "@hourly"


def test_a_worker_that_stops_when_empty_fires_what_is_due_first(make_site):
    """So does one that a cron job starts."""
    site = make_site(SAMPLE_SCHEDULES=[{**EVERY_SECOND, "when": 2}])
    site.run("schedule", "run-due")
    due = site.manager.scheduler.next("often")
    eventually(lambda: site.manager.now() > due, what="The next occurrence")
    assert site.work("--stop-when-empty").wait() == 0
    assert due.isoformat() in [run.word for run in site.runs()]


def test_a_stop_leaves_no_occurrence_half_done(make_site):
    """After SIGTERM every line of the history has its job, and the next worker goes on where it was."""
    site = make_site(SAMPLE_SCHEDULES=[EVERY_SECOND])
    for number in (2, 4):
        worker = site.work()
        fired(site, number)
        assert worker.stop(signal.SIGTERM) == 0
    told = lines(site)
    assert all(site.job(line.job) for line in told)
    dues = [line.due for line in told]
    assert dues == [dues[0] + timedelta(seconds=n) for n in range(len(dues))]


ALONE = """
import os, sys
del os.fork
from sample import app
from flask_queues.manager import manager_of
from flask_queues.worker import Plan, Report, Share, make_worker

plan = Plan(processes=1, share=Share(queues=(), max_jobs=1000))
sys.exit(make_worker(manager_of(app), plan, Report(json_lines=False, colour=False), "test").run())
"""


def test_where_nothing_can_fork_schedules_are_fired_too(make_site):
    """By the thread that keeps the worker."""
    site = make_site(SAMPLE_SCHEDULES=[EVERY_SECOND])
    (site.folder / "alone.py").write_text(ALONE)
    worker = subprocess.Popen([sys.executable, "alone.py"], cwd=site.folder, env=site.environment)
    try:
        line = fired(site, 2)[0]
        assert site.ended(line.job).result == line.due.isoformat()
    finally:
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
