"""What people ask of workers that run: to take nothing more, to replace their processes, to show what a job does."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from flask_queues import Status, TransitionError
from flask_queues.orders import KEPT, Orders, Picture, ask_picture, keep_picture, read
from flask_queues.record import release_in
from flask_queues.testing.clock import Clock
from flask_queues.testing.memory import MemoryStorage
from tests.support.site import Site, eventually


def children_of(site: Site) -> dict[str, int]:
    """The processes of the workers that run jobs."""
    return {child.name: child.pid for worker in site.manager.workers() for child in worker.children}


def status_of(site: Site) -> list[str]:
    """How the workers are."""
    return [worker["status"] for worker in json.loads(site.run("status", "--json").stdout)["workers"]]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_quiet_worker_finishes_what_is_in_hand_and_takes_nothing_more(site: Site, threads: str) -> None:
    """Until it is told to go on; people see how it is."""
    worker = site.work("--threads", threads)
    running = site.push("gate")
    site.began(running)
    site.known(worker)
    assert site.run("quiet", str(worker.pid)).returncode == 0
    eventually(lambda: "Taking nothing more" in worker.text, what="The worker's word")
    left = site.push("noop")
    site.open()
    assert site.ended(running).status is Status.COMPLETED
    eventually(lambda: status_of(site) == ["quiet"], what="The status")
    assert site.status(left) is Status.PENDING
    done = site.run("quiet", "--off")
    assert f"{worker.pid}  takes jobs again" in done.stdout
    assert site.ended(left).status is Status.COMPLETED
    assert [act.action for act in site.manager.acts()] == ["go on", "quiet"]
    assert worker.stop() == 0
    assert read(site.manager.storage) == Orders()


def test_a_deploy_waits_until_nothing_is_in_hand(site: Site) -> None:
    """The command returns when what ran has ended; where that takes too long it says what is left."""
    worker = site.work()
    running = site.push("gate")
    site.began(running)
    site.known(worker)
    late = site.run("quiet", "--wait", "--timeout", "0.5")
    assert (late.returncode, late.stderr) == (1, f"Error: Still in hand after 0.5 s: {running}. Wait again.\n")
    eventually(lambda: status_of(site) == ["quiet"], what="The status")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(site.run, "quiet", "--wait")
        eventually(lambda: len([act for act in site.manager.acts() if act.action == "quiet"]) == 2, what="Its order")
        assert not waiting.done()
        site.open()
        done = waiting.result()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Nothing is in hand any more.")
    assert site.status(running) is Status.COMPLETED
    assert site.run("quiet", str(worker.pid), "--wait").returncode == 0, "of one that has nothing in hand"
    assert worker.stop() == 0


def test_waiting_for_nothing_is_a_mistake(site: Site) -> None:
    """Of whoever typed it."""
    assert "--wait waits for workers that take nothing more" in site.run("quiet", "--off", "--wait").stderr
    assert "--timeout goes with --wait" in site.run("quiet", "--timeout", "3").stderr


def test_a_quiet_worker_claims_nothing_in_a_new_process(site: Site) -> None:
    """One that takes the place of another keeps quiet as well."""
    worker = site.work("--max-jobs", "1")
    running = site.push("gate")
    site.began(running)
    before = eventually(lambda: children_of(site), what="The process")
    site.run("quiet")
    eventually(lambda: "Taking nothing more" in worker.text, what="The worker's word")
    left = site.push("noop")
    site.open()
    site.ended(running)
    eventually(lambda: children_of(site) and not children_of(site).keys() & before.keys(), what="The new process")
    (pid,) = children_of(site).values()
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_SLEEPING, what="Its rest")
    assert site.status(left) is Status.PENDING
    assert worker.stop() == 0
    assert site.status(left) is Status.PENDING


def test_processes_are_replaced_one_after_another_and_jobs_run_to_their_end(site: Site) -> None:
    """While one ends the others work; the supervisor stays."""
    worker = site.work("--processes", "2")
    running = [site.push("gate"), site.push("gate")]
    for job in running:
        site.began(job)
    eventually(lambda: len(children_of(site)) == 2, what="Both processes")
    before = children_of(site)
    assert site.run("restart").returncode == 0
    eventually(lambda: "Beginning 2 processes anew" in worker.text, what="The worker's word")
    site.open()
    for job in running:
        record = site.ended(job)
        assert (record.status, len(record.history)) == (Status.COMPLETED, 1)
    eventually(
        lambda: len(after := children_of(site)) == 2 and not after.keys() & before.keys(), what="Two new processes"
    )
    assert worker.process.poll() is None
    assert site.ended(site.push("noop")).status is Status.COMPLETED
    assert "died" not in worker.text
    assert worker.text.count("anew, one after another") == 1
    assert worker.stop() == 0


def test_nobody_who_runs_is_said(site: Site) -> None:
    """With an exit code of its own."""
    for command in ("quiet", "restart"):
        answer = site.run(command)
        assert (answer.returncode, answer.stdout, answer.stderr) == (3, "", "No worker runs.\n")
        assert "No worker elsewhere runs." in site.run(command, "elsewhere").stderr


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_running_job_shows_where_it_is(site: Site, threads: str) -> None:
    """With every frame of its own, and goes on."""
    worker = site.work("--threads", threads)
    job = site.push("gate")
    site.began(job)
    answer = site.run("stacks", job)
    assert answer.returncode == 0, answer.stderr
    assert "sample.py" in answer.stdout
    assert "in wait_for" in answer.stdout
    again = site.run("stacks", job).stdout
    assert again.count("in wait_for") == 1, "the picture of before is not in it"
    site.open()
    assert site.ended(job).status is Status.COMPLETED
    late = site.run("stacks", job)
    assert (late.returncode, late.stdout) == (1, "")
    assert "is completed; only what runs has a stack" in late.stderr
    assert worker.stop() == 0


def test_a_process_that_does_not_answer_is_said(site: Site) -> None:
    """One that is stopped cannot."""
    site.work()
    job = site.push("gate")
    pid = site.began(job).pid
    eventually(
        lambda: any(job in child.jobs for one in site.manager.workers() for child in one.children), what="Its claim"
    )
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = site.run("stacks", job)
        assert answer.returncode == 1
        assert "did not answer: it is stopped" in answer.stderr
    finally:
        os.kill(pid, signal.SIGCONT)


def test_pictures_are_forgotten() -> None:
    """They lie on one sheet with what is asked, which every keeper reads each second."""
    clock = Clock()
    storage = MemoryStorage(clock)
    ask_picture(storage, "a")
    keep_picture(storage, "a", Picture(storage.now(), storage.now(), "x" * 100_000))
    assert len(read(storage).pictures["a"].text) == 30_000
    clock.move(KEPT / 1000 + 1)
    for n in range(30):
        clock.move(1)
        ask_picture(storage, f"b{n}")
    assert list(read(storage).pictures) == [f"b{n}" for n in range(10, 30)]


def test_a_picture_is_of_a_job_that_runs(site: Site) -> None:
    """Any other is refused."""
    with pytest.raises(TransitionError, match="is pending; only what runs has a stack"):
        site.manager.ask_picture(site.push("noop"))


def test_each_attempt_tells_its_release(make_site: Any) -> None:
    """As it is configured, or as the platform says; failures tell in which they were seen first."""
    site: Site = make_site(QUEUES_RELEASE="v1.2+3")
    job = site.push("doomed", tries=1)
    worker = site.work()
    record = site.ended(job)
    assert [attempt.release for attempt in record.history] == ["v1.2+3"]
    assert record.worker is not None
    assert release_in(record.worker) == "v1.2+3"
    eventually(lambda: [one.release for one in site.manager.causes()] == ["v1.2+3"], what="The cause")
    assert [one.release for one in site.manager.workers()] == ["v1.2+3"]
    assert worker.stop() == 0
    assert "(release v1.2+3)" in site.run("show", job).stdout
    site.configure()
    site.environment["SOURCE_VERSION"] = "0123abc"
    again = site.push("doomed", tries=1)
    site.run("run", again)
    shown = json.loads(site.run("show", again, "--json").stdout)
    assert [attempt["release"] for attempt in shown["history"]] == ["0123abc"]
