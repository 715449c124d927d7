"""How a worker is started, what it writes, when it ends, and what it does without its storage."""

from __future__ import annotations

import os
import pty
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from flask_queues import Status
from flask_queues.worker.picture import new_file
from tests.support.site import PATIENCE, eventually

#: What paints a terminal.
ESCAPE = "\x1b["


# --- When it ends -----------------------------------------------------------------------------------------------------


def test_once_runs_one_job_and_ends(site):
    """With --once a worker runs the next job and ends with exit code 0."""
    first, second = site.push("mark"), site.push("mark")
    worker = site.start("--once")
    assert worker.wait() == 0
    assert site.status(first) is Status.COMPLETED
    assert site.status(second) is Status.PENDING


def test_once_ends_where_nothing_waits(site):
    """With --once and no job a worker ends, too."""
    assert site.start("--once").wait() == 0


def test_so_many_jobs_are_run_and_no_more(site):
    """With --jobs a worker waits for that many, and ends; with --stop-when-empty where there are not so many."""
    jobs = [site.push("mark") for _ in range(4)]
    assert site.start("--jobs", "3").wait() == 0
    assert [site.status(job) for job in jobs] == [Status.COMPLETED] * 3 + [Status.PENDING]
    assert site.start("--jobs", "3", "--stop-when-empty").wait() == 0
    assert site.status(jobs[3]) is Status.COMPLETED
    refused = site.run("work", "--jobs", "3", "--processes", "2")
    assert (refused.returncode, "leave out --processes" in refused.stderr) == (2, True)


def test_stop_when_empty_runs_all_and_ends(site):
    """With --stop-when-empty a worker ends when no job waits; what its jobs push is run as well."""
    parents = [site.push("parent", {"children": 5}) for _ in range(3)]
    worker = site.start("--stop-when-empty", "--processes", "2")
    assert worker.wait() == 0
    children = [child for job in parents for child in site.job(job).result]
    assert len(children) == 15
    assert {site.status(child) for child in children} == {Status.COMPLETED}
    assert site.manager.workers() == []


@pytest.mark.parametrize("options", [(), ("--threads", "2")])
def test_stop_when_empty_waits_for_the_jobs_of_the_dead(site, options):
    """They come back when the lease has run out; nobody would look for them otherwise."""
    job = site.push("gate")
    worker = site.work()
    site.began(job)
    worker.kill_all()
    site.open()
    assert site.start("--stop-when-empty", *options).wait() == 0
    assert (site.status(job), site.job(job).attempts) == (Status.COMPLETED, 2)


@pytest.mark.parametrize("options", [(), ("--threads", "2")])
def test_stop_when_empty_waits_for_no_job_of_the_living(make_site, options):
    """It ends when the other worker has given a sign of life."""
    site = make_site(QUEUES_LEASE=600)
    job = site.push("gate")
    site.work()
    site.began(job)
    assert site.start("--stop-when-empty", *options).wait() == 0
    assert site.status(job) is Status.RUNNING
    site.open()


def test_max_time_ends_the_worker_after_its_jobs(site):
    """After --max-time seconds a worker ends as if it were stopped: jobs in hand finish."""
    job = site.push("short", {"seconds": 4})
    began = time.monotonic()
    worker = site.start("--max-time", "3")  # long enough to have begun it
    assert worker.wait() == 0
    assert time.monotonic() - began > 3
    assert site.status(job) is Status.COMPLETED


# --- What it writes ---------------------------------------------------------------------------------------------------


def test_a_line_a_job_for_people(site):
    """There is one line for each run, with type, id, time and error, and no colours where no terminal is."""
    good = site.push("add", {"a": 1})
    bad = site.push("flaky", {"failures": 1}, backoff=0)
    discarded = site.push("discard", {"reason": "not today"})
    worker = site.start("--stop-when-empty")
    assert worker.wait() == 0
    site.start("--stop-when-empty").wait()
    lines = worker.output.read_text().splitlines()
    assert [line for line in lines if good in line and "completed" in line and "add" in line]
    assert [line for line in lines if bad in line and "retry" in line and "attempt 1 of the flaky job" in line]
    assert [line for line in lines if discarded in line and "cancelled" in line and "not today" in line]
    assert len([line for line in lines if good in line]) == 1
    assert ESCAPE not in worker.text
    assert worker.errors.read_text() == ""


def test_colours_on_a_terminal(site):
    """On a terminal the lines have colours."""
    site.push("add", {"a": 1})
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "work", "--stop-when-empty"],
        cwd=site.folder,
        env={**site.environment, "TERM": "xterm"},
        stdout=side,
        start_new_session=True,
    )
    os.close(side)
    written = b""
    try:
        while part := os.read(main, 65536):
            written += part
    except OSError:
        pass  # how Linux says that the other end is closed
    os.close(main)
    assert process.wait(PATIENCE) == 0
    assert ESCAPE in written.decode()


def test_json_lines_for_programs(site):
    """With --json every line of standard output is an object with a time and an event."""
    good = site.push("add", {"a": 1})
    bad = site.push("doomed", {"how": "raise"}, tries=1)
    worker = site.start("--stop-when-empty", "--json")
    assert worker.wait() == 0
    lines = worker.lines
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["event"]
    (done,) = [line for line in lines if line.get("job") == good]
    assert {"event": "completed", "type": "add", "queue": "default", "attempt": 1, "tries": 3}.items() <= done.items()
    assert 0 <= done["seconds"] < 20
    (failed,) = [line for line in lines if line.get("job") == bad]
    assert failed["event"] == "failed"
    assert failed["error"] == "ValueError: as asked"


def test_what_a_job_says_cannot_paint_the_terminal(site):
    """Control characters in an error or a reason do not reach the terminal as they are."""
    job = site.push("discard", {"reason": "clear\x1b[2J\r\nscreen"})
    worker = site.start("--stop-when-empty")
    assert worker.wait() == 0
    assert site.job(job).reason == "clear\x1b[2J\r\nscreen"
    assert "\x1b" not in worker.text
    assert len([line for line in worker.text.splitlines() if job in line and "screen" in line]) == 1


def test_a_worker_whose_output_is_closed_works_on(site):
    """Whoever read the worker's lines may go away; the jobs are run all the same."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "work", "--stop-when-empty"],
        cwd=site.folder,
        env=site.environment,
        stdout=writing,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(writing)
    os.close(reading)
    jobs = [site.push("add", {"a": 1}) for _ in range(3)]
    process.wait(PATIENCE)
    assert {site.status(job) for job in jobs} <= {Status.COMPLETED, Status.PENDING}


# --- Development ------------------------------------------------------------------------------------------------------


def test_reload_runs_the_new_code(site):
    """With --reload a change of the code is what the next job runs."""
    worker = site.work("--reload")
    assert site.ended(site.push("add", {"a": 1})).result == 2
    code = site.folder / "sample.py"
    code.write_text(code.read_text().replace("return a + b", "return a + b + 1000"))
    eventually(lambda: worker.text.count("Working on") > 1, what="The new start")
    assert site.ended(site.push("add", {"a": 1})).result == 1002
    worker.stop()


# --- Where it cannot work ---------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_said_in_a_sentence(make_site):
    """A worker whose storage is something else says so and ends with exit code 1; the file is left alone."""
    site = make_site()
    site.database.parent.mkdir()
    site.database.write_text("This is a diary, and no database. " * 100)
    before = site.database.read_bytes()
    worker = site.start()
    assert worker.wait() == 1
    assert "is not a SQLite database" in worker.text
    assert "Traceback" not in worker.text
    assert len(worker.text.strip().splitlines()) == 1
    assert site.database.read_bytes() == before


# --- A storage that goes away and comes back --------------------------------------------------------------------------


def limit_files(worker, size):
    """Let no file of the worker's processes grow beyond this size, as if the disk were full."""
    for pid in worker.session():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_said_and_survived(make_site):
    """While nothing can be written the worker says so and waits; when there is room it goes on, losing nothing."""
    site = make_site(QUEUES_LEASE=30)
    gate = site.push("quiet-gate", tries=1)
    worker = site.work("--processes", "2", "--json", piped=True)
    eventually(lambda: site.status(gate) is Status.RUNNING)
    limit_files(worker, 1)
    site.open()
    jobs = [site.push("add", {"a": n}) for n in range(20)]
    eventually(lambda: "problem" in [line["event"] for line in worker.lines], what="The word of the problem")
    spent = busy_seconds(worker)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 2)
    assert busy_seconds(worker) - spent < 1.5, "It waits in a hot loop."
    limit_files(worker, resource.RLIM_INFINITY)
    for job in (gate, *jobs):
        record = site.ended(job)
        assert record.status is Status.COMPLETED
        assert record.attempts == 1
    problems = [line for line in worker.lines if line["event"] == "problem"]
    assert len(problems) < 12
    eventually(lambda: "solved" in [line["event"] for line in worker.lines], what="The word that it is over")
    assert worker.process.poll() is None
    assert worker.stop() == 0


def busy_seconds(worker):
    """Processor time that the worker's processes have used."""
    spent = 0.0
    for pid in worker.session():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def test_a_storage_that_is_locked_by_another_program_is_survived(site):
    """A foreign program may lock the file for a while; the worker goes on afterwards."""
    worker = site.work()
    site.ended(site.push("mark"))
    foreign = sqlite3.connect(site.database, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    eventually(lambda: "has been locked" in worker.text)
    foreign.execute("ROLLBACK")
    foreign.close()
    assert site.ended(site.push("mark")).status is Status.COMPLETED
    assert worker.process.poll() is None
    assert "Traceback" not in worker.text


@pytest.mark.parametrize("anew", [False, True])
def test_a_folder_that_is_moved_away_and_back_is_survived(site, anew):
    """A worker whose folder is gone says so, and works on when it is back; its processes may begin anew meanwhile."""
    worker = site.work()
    site.ended(site.push("mark"))
    site.manager.storage.close()
    folder = site.database.parent
    away = folder.with_name("away")
    folder.rename(away)
    folder.touch()
    for child in worker.session():
        if anew and child != worker.pid:
            os.kill(child, signal.SIGKILL)
    eventually(lambda: "cannot be" in worker.text or "is gone" in worker.text)
    folder.unlink()
    away.rename(folder)
    assert site.ended(site.push("mark")).status is Status.COMPLETED
    assert worker.process.poll() is None
    assert "Traceback" not in worker.text


def test_more_processes_than_files_may_be_open_is_said_in_a_sentence(site):
    """Each process needs three; who is allowed 64 cannot have a hundred processes."""
    command = [sys.executable, "-m", "flask", "--app", "sample", "queues", "work", "--processes", "100"]
    answer = subprocess.run(
        ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *command],
        cwd=site.folder,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 1
    assert "A worker with 100 processes cannot start here: Too many open files. Give it fewer" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="here it needs a folder for temporary files")
def test_a_worker_needs_no_folder_for_temporary_files(monkeypatch):
    """A container whose root cannot be written has none."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    file = new_file()
    os.write(file, b"stacks")
    assert os.pread(file, 10, 0) == b"stacks"
    os.close(file)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_line_of_a_job_repeats_no_secret_of_it(site, form):
    """It goes to wherever logs are kept."""
    site.push("secret", {"card": "4111-1111", "name": ""}, tries=1)
    worker = site.start("--stop-when-empty", *form)
    assert worker.wait() == 0
    assert "has no name" in worker.text
    assert "4111" not in worker.text
