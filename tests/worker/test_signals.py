"""What real workers tell an application that listens: in which process, in which order, and whatever is killed."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import psutil
import pytest

from flask_queues import Status
from tests.support.site import Site, eventually

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="The workers fork.")

#: What a signal says of itself here, beside what the receiver was given.
OWN = {"signal", "pid", "app"}


def heard(site: Site, job: str | None = None) -> list[dict[str, Any]]:
    """What other processes than this one heard so far, of one job or of everything, in its order."""
    file = site.folder / "heard.txt"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if line["pid"] != os.getpid() and job in (None, line.get("job_id"))]


def names(lines: list[dict[str, Any]]) -> list[str]:
    """The names of the signals, without those of what happened beside."""
    return [line["signal"] for line in lines]


def wait_for(site: Site, name: str, job: str | None = None, number: int = 1) -> dict[str, Any]:
    """Wait until a signal was heard so often; returns the last."""

    def found() -> list[dict[str, Any]] | None:
        lines = [line for line in heard(site, job) if line["signal"] == name]
        return lines if len(lines) >= number else None

    return eventually(found, what=name)[-1]


def by(lines: list[dict[str, Any]], pid: int) -> tuple[list[str], list[str]]:
    """The names of what this process told, and of what the others did: between the two there is no order."""
    return names([line for line in lines if line["pid"] == pid]), names([line for line in lines if line["pid"] != pid])


@pytest.fixture
def site(make_site) -> Site:
    site: Site = make_site(QUEUES_LEASE=2, QUEUES_GRACE=0, SAMPLE_HEARS=True)
    return site


@pytest.mark.parametrize("arguments", [(), ("--threads", "3"), ("--processes", "2")])
def test_the_life_of_a_job_is_told_where_it_runs(site, arguments):
    """In the process of its runs, as the record names that: claimed and retried, then claimed and completed."""
    job = site.push("flaky", {"failures": 1})
    site.work(*arguments)
    wait_for(site, "job_completed", job)
    lines = heard(site, job)
    assert names(lines) == ["job_claimed", "job_retried", "job_claimed", "job_completed"]
    assert [line["attempt"] for line in lines] == [1, 1, 2, 2]
    assert [line["pid"] for line in lines[::2]] == [run.pid for run in site.runs(job)]
    assert [line["worker"] for line in lines[::2]] == [attempt.worker for attempt in site.job(job).history]
    assert (lines[1]["outcome"], lines[1]["exception"]) == ("failed", "attempt 1 of the flaky job")
    assert lines[1]["delay"] == pytest.approx(0.05)
    assert lines[3]["result"] == "well"
    assert {(line["app"], line["type"], line["queue"]) for line in lines} == {("sample", "flaky", "default")}


@pytest.mark.parametrize("arguments", [(), ("--threads", "3")])
def test_a_job_has_failed_after_its_last_words(site, arguments):
    """`failed` has run, and the storage has it, when that is told."""
    job = site.push("doomed", {"how": "raise"}, tries=1)
    site.work(*arguments)
    told = wait_for(site, "job_failed", job)
    assert site.words(job) == ["ran", "failed:ValueError"]
    assert (told["exception"], told["outcome"]) == ("as asked", "failed")
    assert names(heard(site, job)) == ["job_claimed", "job_failed"]


@pytest.mark.parametrize("arguments", [(), ("--threads", "3")])
def test_a_timeout_and_a_cancellation_are_told(site, arguments):
    """With what the run ended in, and whoever wanted it."""
    late = site.push("doomed", {"how": "sleep"}, tries=1, timeout=0.2)
    unwanted = site.push("quiet-gate")
    site.work(*arguments)
    told = wait_for(site, "job_failed", late)
    assert told["outcome"] == "timed out"
    assert "longer than its timeout" in told["exception"]
    wait_for(site, "job_claimed", unwanted)
    site.manager.cancel(unwanted, "not wanted")
    assert wait_for(site, "job_cancelled", unwanted)["reason"] == "not wanted"
    assert names(heard(site, unwanted)) == ["job_claimed", "job_cancelled"]


def test_jobs_whose_process_is_killed_are_told_of_by_the_keeper(site):
    """Each death will be followed by a run, the last by the job's `failed` alone."""
    job = site.push("doomed", {"how": "kill"})
    site.work()
    failed = wait_for(site, "job_failed", job)
    wait_for(site, "job_retried", job, number=2)
    lines = heard(site, job)
    [keeper] = [line["pid"] for line in heard(site) if line["signal"] == "child_started" and line["keeper"]]
    assert by(lines, keeper) == (["job_retried"] * 2, [*["job_claimed"] * 3, "job_failed"])
    deaths = [line for line in lines if line["signal"] == "job_retried"]
    assert [(line["outcome"], line["pid"], line["exception"]) for line in deaths] == [("killed", keeper, None)] * 2
    assert "SIGKILL" in deaths[0]["error"][1]
    assert (failed["outcome"], failed["error"][0]) == (None, "flask_queues.errors.WorkerLost")


def test_a_job_whose_worker_vanished_is_rescued(site):
    """Another worker tells whose it was, and what becomes of it."""
    job = site.push("gate")
    first = site.work()
    worker = wait_for(site, "job_claimed", job)["worker"]
    for process in psutil.Process(first.pid).children():
        process.send_signal(signal.SIGSTOP)
    first.process.kill()
    first.process.wait()
    site.work()
    rescued = wait_for(site, "job_rescued", job)
    assert rescued["worker"] == worker
    site.open()
    wait_for(site, "job_completed", job)
    assert wait_for(site, "job_retried", job)["outcome"] == "lost"
    told = by(heard(site, job), rescued["pid"])
    assert told == (["job_rescued", "job_retried"], ["job_claimed", "job_claimed", "job_completed"])


def test_a_worker_is_told_from_its_start_to_its_stop(site):
    """Its own first and last word are the keeper's; each process says when it begins, and no two are one."""
    job = site.push("gate")
    worker = site.work("--processes", "2")
    wait_for(site, "job_claimed", job)
    wait_for(site, "child_started", number=3)
    started = wait_for(site, "worker_started")
    worker.stop()
    assert names(heard(site, job)) == ["job_claimed", "job_retried"]
    assert heard(site, job)[-1]["outcome"] == "given back"
    lines = [line for line in heard(site) if line.keys() - OWN and not line.get("job_id")]
    assert sorted(names(lines)) == [*["child_started"] * 3, "worker_started", "worker_stopped"]
    children = {line["pid"]: line for line in lines if line["signal"] == "child_started"}
    [keeper] = [pid for pid, line in children.items() if line["keeper"]]
    assert len({worker.pid, *children}) == 4
    assert lines[-1]["signal"] == "worker_stopped"
    assert started["pid"] == lines[-1]["pid"] == keeper
    assert f":{worker.pid}:" in started["record"]
    assert {line["worker"].split(":")[1] for line in children.values()} == {str(pid) for pid in children}


def test_a_keeper_that_is_replaced_does_not_start_the_worker_again(site):
    """A process more begins; the worker has started once."""
    site.work()
    keeper = wait_for(site, "worker_started")["pid"]
    os.kill(keeper, signal.SIGKILL)
    wait_for(site, "child_started", number=3)
    [new] = [
        line for line in heard(site) if line["signal"] == "child_started" and line["keeper"] and line["pid"] != keeper
    ]
    job = site.push("doomed", {"how": "kill"}, tries=1)
    assert wait_for(site, "job_retried", job)["pid"] == new["pid"]
    assert names(heard(site)).count("worker_started") == 1


def test_progress_is_told_while_a_job_runs(site):
    """Once it is stored: a receiver hears what the panel shows."""
    job = site.push("say")
    site.work()
    told = wait_for(site, "job_progressed", job)
    assert (told["percent"], told["message"]) == (50, "half way")
    assert site.job(job).progress == (50, "half way")
    site.open()
    wait_for(site, "job_completed", job)
    assert names(heard(site, job)) == ["job_claimed", "job_progressed", "job_progressed", "job_completed"]
    assert heard(site, job)[2]["message"] == "there"


def test_a_schedule_tells_what_it_fires_and_leaves_out(make_site):
    """The job that it pushed runs; the occurrence that comes meanwhile is left out."""
    schedules = [{"when": 1, "job": "quiet-gate", "name": "often"}]
    site = make_site(SAMPLE_HEARS=True, SAMPLE_SCHEDULES=schedules)
    site.work()
    fired = wait_for(site, "schedule_fired")
    left_out = wait_for(site, "schedule_left_out")
    assert (fired["name"], fired["outcome"], fired["type"]) == ("often", "fired", "quiet-gate")
    assert (left_out["name"], left_out["outcome"]) == ("often", "left out: still running")
    assert left_out["due"] > fired["due"]
    wait_for(site, "job_claimed", fired["job_id"])
    assert by(heard(site, fired["job_id"]), fired["pid"])[0] == ["job_pushed", "schedule_fired"]
    site.open()
    wait_for(site, "job_completed", fired["job_id"])


@pytest.mark.parametrize("arguments", [(), ("--threads", "3")])
def test_receivers_that_raise_or_exit_harm_no_worker(make_site, arguments):
    """All jobs run as ever, in the same process, and the log names the receiver."""
    site = make_site(QUEUES_LEASE=2, SAMPLE_BREAKS=True)
    jobs = [site.push("flaky", {"failures": 1}), site.push("say-at-once"), site.push("doomed", {"how": "raise"})]
    short = [site.push("short") for _ in range(50)]
    worker = site.work(*arguments)
    assert site.ended(jobs[0]).status is Status.COMPLETED
    assert site.ended(jobs[2]).status is Status.FAILED
    assert {site.ended(job).status for job in [jobs[1], *short]} == {Status.COMPLETED}
    assert len({run.pid for run in site.runs()}) == 1
    assert worker.stop() == 0
    log = worker.errors.read_text()
    for receiver in ("broken", "leaving"):
        for name in ("job-claimed", "job-completed", "job-retried", "child-started", "worker-stopped"):
            assert f"sample.{receiver}, a receiver of the signal queues-{name}, failed." in log


def test_one_job_in_the_foreground_is_told_as_well(site):
    """As `flask queues run` runs it."""
    job = site.push("add", {"a": 1})
    assert site.run("run", job).returncode == 0
    assert names(heard(site, job)) == ["job_claimed", "job_completed"]
    assert heard(site, job)[-1]["result"] == 2


def test_a_push_from_a_job_is_told_in_its_process(site):
    """As from everywhere else."""
    parent = site.push("parent", {"children": 2})
    site.work()
    children = site.ended(parent).result
    for child in children:
        wait_for(site, "job_completed", child)
        assert names(heard(site, child)) == ["job_pushed", "job_claimed", "job_completed"]
    claimed = wait_for(site, "job_claimed", parent)
    assert {heard(site, child)[0]["pid"] for child in children} == {claimed["pid"]}
