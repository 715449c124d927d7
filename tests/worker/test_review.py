"""Promises that were once broken in ways that only a stranger thought of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from flask_queues.record import Outcome, Status
from tests.support.site import PATIENCE, eventually


def test_a_stop_that_every_process_gets_leaves_the_job_its_grace(make_site):
    """A service manager sends SIGTERM to the whole group; that is one stop, not two."""
    site = make_site(QUEUES_GRACE=60)
    job = site.push("gate")
    worker = site.work()
    site.began(job)

    for process in [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]:
        process.send_signal(signal.SIGTERM)
    eventually(lambda: "Stopping" in worker.text, what="The stop")
    site.open()

    assert worker.wait() == 0
    assert site.job(job).status is Status.COMPLETED
    assert len(site.job(job).history) == 1


@pytest.mark.parametrize("how", ["leave-a-killer", "close-everything"])
def test_a_job_that_ends_and_then_takes_its_process_down_pays_for_it(site, how):
    """What a job leaves behind counts against its tries, and does not keep others from running."""
    job = site.push("doomed", {"how": how}, tries=2, backoff=0, priority=9)
    innocent = site.push("gate")
    site.open()
    site.work()

    assert site.ended(innocent).status is Status.COMPLETED
    record = site.ended(job)
    assert len(record.history) <= 3
    assert record.status in (Status.FAILED, Status.COMPLETED)


def test_a_timeout_that_the_job_makes_another_exception_of_is_still_a_timeout(site):
    """The reason that is kept is the true one."""
    job = site.push("doomed", {"how": "wrap"}, tries=1)
    site.work()

    record = site.ended(job)
    assert [run.outcome for run in record.history] == [Outcome.TIMED_OUT]
    assert record.error.type == "flask_queues.errors.JobTimeout"


OLDER = """
from flask import Flask
from flask_queues import Queues

app = Flask("older", instance_path={folder!r})
queues = Queues(app)


@queues.job("older:only")
def only() -> None: ...
"""


def test_a_worker_of_other_job_types_beside_does_not_slow_the_line(site):
    """As in a rolling deploy: who does not know a job's type passes it over, and leaves it where it is."""
    (site.folder / "older.py").write_text(OLDER.format(folder=str(site.database.parent)))
    newer = site.work()
    older = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "older", "queues", "work", "--sleep", "0.05"],
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: len(site.manager.workers()) == 2, what="Both workers")
        jobs = [site.push("add", {"a": n}) for n in range(300)]
        for job in jobs:
            assert site.ended(job).status is Status.COMPLETED
        assert older.poll() is None
        assert newer.process.poll() is None
    finally:
        os.killpg(older.pid, signal.SIGTERM)
        older.wait(PATIENCE)


def test_a_foreground_run_can_be_cancelled(site):
    """`flask queues run` is asked to end like any worker's job."""
    job = site.push("doomed", {"how": "sleep"}, timeout=600)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "run", job],
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    eventually(lambda: site.status(job) is Status.RUNNING)
    site.manager.cancel(job, "enough")

    output, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, site.status(job), site.job(job).reason) == (1, Status.CANCELLED, "enough")
    assert "Traceback" not in output


def test_a_worker_stops_once_a_newer_version_made_the_file_its_own(site):
    """Said in a sentence; nothing is claimed from it any more."""
    worker = site.work().ready()
    with site.manager.storage._database.write() as db:
        db.execute("PRAGMA user_version=99")

    assert worker.wait() == 1
    assert "has format 99; this version of Flask-Queues reads up to" in worker.text


ALONE = """
import os, sys
del os.fork
from sample import app
from flask_queues.manager import manager_of
from flask_queues.worker import Plan, Report, Share, make_worker

plan = Plan(processes=1, share=Share(queues=(), max_jobs=2, stop_when_empty=True))
sys.exit(make_worker(manager_of(app), plan, Report(json_lines=False, colour=False), "test").run())
"""


def test_where_nothing_can_fork_one_process_runs_the_jobs(site):
    """With retries, timeouts and recycling, and it ends when told to."""
    done = [site.push("add", {"a": n}) for n in range(5)]
    late = site.push("doomed", {"how": "sleep"}, tries=1)
    script = site.folder / "alone.py"
    script.write_text(textwrap.dedent(ALONE))

    finished = subprocess.run(
        [sys.executable, str(script)],
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        timeout=2 * PATIENCE,
        check=False,
    )

    assert (finished.returncode, finished.stderr) == (0, b"")
    assert {site.status(job) for job in done} == {Status.COMPLETED}
    assert [run.outcome for run in site.job(late).history] == [Outcome.TIMED_OUT]


def test_a_terminal_that_closes_stops_the_worker_like_any_stop(make_site):
    """SIGHUP lets the job in hand finish."""
    site = make_site(QUEUES_GRACE=60)
    job = site.push("gate")
    worker = site.work()
    site.began(job)
    worker.process.send_signal(signal.SIGHUP)
    eventually(lambda: "Stopping" in worker.text, what="The stop")
    site.open()

    assert worker.wait() == 0
    assert site.job(job).status is Status.COMPLETED


def test_once_is_once_also_when_the_job_kills_its_process(site):
    """The next try is the next worker's."""
    job = site.push("doomed", {"how": "kill"}, tries=3)
    worker = site.start("--once")

    assert worker.wait() == 0
    assert len(site.words(job)) == 1
    assert site.job(job).attempts == 1
