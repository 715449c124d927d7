"""A worker whose processes run several jobs at once, each in a thread: `--threads`."""

from __future__ import annotations

import os
import signal
from functools import partial

import psutil
import pytest

from flask_queues import Status
from flask_queues.record import Outcome
from tests.support.site import PATIENCE, Site, Worker, eventually


@pytest.fixture
def site(make_site):
    return make_site(QUEUES_SLEEP=600)


def has_progress(site: Site, job: str) -> bool:
    return site.job(job).progress is not None


def ran_twice(site: Site, job: str) -> bool:
    return len(site.words(job)) == 2


def outcomes(record) -> list[Outcome | None]:
    return [attempt.outcome for attempt in record.history]


class TestSideBySide:
    def test_a_process_runs_as_many_jobs_as_it_has_threads(self, site: Site) -> None:
        """Jobs that wait do not keep each other waiting; one more than there are threads has to."""
        jobs = [site.push("gate") for _ in range(4)]
        worker = site.work("--threads", "3")
        assert "with 1 process of 3 threads" in worker.text
        began = [site.began(job) for job in jobs[:3]]
        assert len({run.pid for run in began}) == 1
        assert site.status(jobs[3]) is Status.PENDING
        site.open()
        assert [site.ended(job).status for job in jobs] == [Status.COMPLETED] * 4

    def test_a_push_begins_beside_a_job_in_hand(self, site: Site) -> None:
        """The keeper wakes a process that has a thread left."""
        first = site.push("gate")
        site.work("--threads", "2")
        site.began(first)
        assert site.ended(site.push("noop")).status is Status.COMPLETED
        assert site.status(first) is Status.RUNNING

    def test_each_job_runs_once(self, site: Site) -> None:
        """Several processes with several threads share the line without doubling a job."""
        jobs = [handle.id for handle in site.queues.push_many([("noop", {})] * 150)]
        worker = site.start("--processes", "2", "--threads", "4", "--stop-when-empty")
        assert worker.wait(PATIENCE) == 0
        assert sorted(run.job for run in site.runs()) == sorted(jobs)
        assert all(site.status(job) is Status.COMPLETED for job in jobs)

    def test_what_jobs_say_stays_apart(self, site: Site) -> None:
        """Each thread has its own running job, application context, log and progress."""
        jobs = [site.push("say") for _ in range(3)]
        site.work("--threads", "3")
        for job in jobs:
            eventually(partial(has_progress, site, job), what="The progress of a running job")
        site.open()
        for job in jobs:
            record = site.ended(job)
            assert record.progress is not None
            assert record.progress.percent == 100
            assert site.messages(job) == ["one", "two and a half", "three", "four"]

    def test_jobs_leave_nothing_in_the_next_ones_context(self, site: Site) -> None:
        """As without threads."""
        jobs = [site.push("context") for _ in range(3)]
        site.start("--threads", "2", "--stop-when-empty").wait()
        assert [site.job(job).result["g"] for job in jobs] == [[], [], []]
        assert [site.job(job).result["leaky"] for job in jobs] == ["clean"] * 3

    def test_a_failure_is_retried(self, site: Site) -> None:
        """What becomes of a job does not depend on where it runs."""
        job = site.push("flaky", {"failures": 2})
        site.work("--threads", "2")
        record = site.ended(job)
        assert record.status is Status.COMPLETED
        assert outcomes(record) == [Outcome.FAILED, Outcome.FAILED, Outcome.COMPLETED]

    def test_a_process_is_replaced_after_its_number_of_jobs(self, site: Site) -> None:
        """Those in hand end before."""
        jobs = [site.push("noop") for _ in range(6)]
        site.start("--threads", "2", "--max-jobs", "3", "--stop-when-empty").wait()
        runs = [site.runs(job)[0].pid for job in jobs]
        assert sorted(runs.count(pid) for pid in set(runs)) == [3, 3]


class TestTimeouts:
    def test_a_late_job_is_settled_while_its_thread_goes_on(self, site: Site) -> None:
        """The process takes nothing new then, lets its other jobs finish, and is replaced."""
        hung = site.push("doomed", {"how": "swallow-all"}, timeout=2, tries=1)
        other = site.push("gate")
        site.work("--threads", "3")
        first = site.began(other)
        record = site.ended(hung)
        assert record.status is Status.FAILED
        assert outcomes(record) == [Outcome.TIMED_OUT]
        assert site.status(other) is Status.RUNNING
        late = site.push("noop")
        site.open()
        assert site.ended(other).status is Status.COMPLETED
        assert site.ended(late).status is Status.COMPLETED
        assert site.runs(late)[0].pid != first.pid
        eventually(lambda: not psutil.pid_exists(first.pid), what="The end of the process")

    def test_the_error_tells_where_the_job_hangs(self, site: Site) -> None:
        """The frames of its thread at that moment, without those of the worker."""
        job = site.push("gate", timeout=0.5, tries=1)
        site.work("--threads", "2")
        error = site.ended(job).error
        assert error is not None
        assert error.message == "The job ran longer than its timeout of 0.5 s."
        assert "in wait_for" in error.traceback
        assert "threading.py" not in error.traceback

    def test_a_late_job_has_its_last_words(self, site: Site) -> None:
        """`failed` runs once, with the timeout."""
        job = site.push("doomed", {"how": "sleep"}, timeout=1.5, tries=1)
        site.work("--threads", "2")
        site.ended(job)
        assert site.words(job) == ["ran", "failed:JobTimeout"]

    def test_a_late_job_is_tried_again(self, site: Site) -> None:
        """By another process, for its own is spoilt."""
        job = site.push("doomed", {"how": "sleep"}, timeout=1.5, tries=2)
        site.work("--threads", "2")
        record = site.ended(job)
        assert outcomes(record) == [Outcome.TIMED_OUT, Outcome.TIMED_OUT]
        first, second = [run.pid for run in site.runs(job) if run.word == "ran"]
        assert first != second

    def test_last_words_that_do_not_end_do_not_hold_the_process(self, make_site) -> None:
        """They have the job's timeout once more."""
        site = make_site()
        job = site.push("slow-mourner", timeout=1.5)
        site.work("--threads", "2")
        record = site.ended(job)
        assert record.status is Status.FAILED
        assert site.words(job) == ["mourns"]


class TestEnds:
    def test_a_cancelled_job_ends_at_once(self, site: Site) -> None:
        """Its thread is abandoned like a late one's, and so is its process."""
        job, other = site.push("gate"), site.push("gate")
        site.work("--threads", "2")
        first = site.began(job)
        site.began(other)
        site.manager.cancel(job)
        assert site.ended(job).status is Status.CANCELLED
        late = site.push("noop")
        site.open()
        assert site.ended(other).status is Status.COMPLETED
        assert site.ended(late).status is Status.COMPLETED
        assert site.runs(late)[0].pid != first.pid

    def test_a_stop_lets_jobs_finish(self, site: Site) -> None:
        """And begins nothing else."""
        jobs = [site.push("gate") for _ in range(3)]
        worker = site.work("--threads", "2")
        site.began(jobs[0])
        site.began(jobs[1])
        worker.process.send_signal(signal.SIGTERM)
        eventually(lambda: "Stopping" in worker.text)
        site.open()
        assert worker.wait() == 0
        assert [site.status(job) for job in jobs] == [Status.COMPLETED, Status.COMPLETED, Status.PENDING]

    def test_a_second_signal_gives_all_back(self, site: Site) -> None:
        """Uncounted, though their threads go on until the process ends a moment later."""
        jobs = [site.push("gate", tries=1) for _ in range(2)]
        worker = site.work("--threads", "2")
        for job in jobs:
            site.began(job)
        worker.process.send_signal(signal.SIGTERM)
        eventually(lambda: "Stopping" in worker.text)
        assert worker.stop() == 0
        for job in jobs:
            record = site.job(job)
            assert record.status is Status.PENDING
            assert record.attempts == 0

    def test_all_jobs_of_a_killed_process_run_again(self, site: Site) -> None:
        """Each pays with a try: any of them may be what killed it."""
        jobs = [site.push("gate", tries=2) for _ in range(2)]
        worker: Worker = site.work("--threads", "2")
        pid = {site.began(job).pid for job in jobs}.pop()
        os.kill(pid, signal.SIGKILL)
        for job in jobs:
            eventually(partial(ran_twice, site, job), what="The second run")
        site.open()
        for job in jobs:
            record = site.ended(job)
            assert outcomes(record) == [Outcome.KILLED, Outcome.COMPLETED]
            assert record.attempts == 2
        assert worker.text.count("killed by SIGKILL") >= 2


def test_threads_work_on_every_kind_of_storage(make_site, place) -> None:
    """They share a process's connections to it."""
    site = make_site(**place)
    jobs = [site.push("say") for _ in range(3)]
    site.work("--threads", "3")
    for job in jobs:
        eventually(partial(has_progress, site, job), what="The progress of a running job")
    site.open()
    assert [site.ended(job).status for job in jobs] == [Status.COMPLETED] * 3
