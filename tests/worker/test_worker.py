"""What a worker promises about the jobs it runs, tried on real ones."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timezone

import psutil
import pytest

from flask_queues import Outcome, Status
from tests.support.site import PATIENCE, eventually


def outcomes(record):
    return [run.outcome for run in record.history]


# --- Tries ------------------------------------------------------------------------------------------------------------


def test_a_failed_job_is_tried_again_after_its_backoff(site):
    """A job that raises is tried again, not before its backoff, and its record tells of every attempt."""
    job = site.push("flaky", {"failures": 2}, backoff=[0.3, 0.1])
    site.work()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert record.result == "well"
    assert record.attempts == 3
    assert outcomes(record) == [Outcome.FAILED, Outcome.FAILED, Outcome.COMPLETED]
    first, second, third = record.history
    assert (second.started - first.ended).total_seconds() >= 0.3
    assert (third.started - second.ended).total_seconds() >= 0.1
    assert str(first.error) == "ValueError: attempt 1 of the flaky job"
    assert "sample.py" in first.error.traceback
    assert "flask_queues/worker" not in first.error.traceback


def test_failed_is_called_once_when_no_try_is_left(site):
    """A job whose last try failed has failed for good, and its `failed` was called once with the exception."""
    job = site.push("flaky", {"failures": 9})
    site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert record.attempts == 3
    assert str(record.error) == "ValueError: attempt 3 of the flaky job"
    assert site.words(job) == ["ran", "ran", "ran", "failed:ValueError"]


def test_an_exception_in_failed_is_logged_and_changes_nothing(site):
    """`failed` may fail itself: the worker's log has it, the job keeps its own error."""
    job = site.push("bad-mourner")
    worker = site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert str(record.error) == "ValueError: the job's own"
    assert site.words(job) == ["failed:ValueError"]
    eventually(lambda: "failed() has failed" in worker.text, what="The log of failed()'s exception")


def test_failed_is_called_after_the_last_try_died_with_its_process(site):
    """Where the last try left nobody to call `failed`, another process calls it with WorkerLost."""
    job = site.push("doomed", {"how": "kill"})
    site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert record.attempts == 2
    assert outcomes(record) == [Outcome.KILLED, Outcome.KILLED]
    assert "SIGKILL" in record.error.message
    assert site.words(job) == ["ran", "ran", "failed:WorkerLost"]


def test_what_kills_its_workers_is_not_retried_for_a_time(site):
    """A window of an hour ends no poison job later than its tries do; one that only fails goes on in it."""
    poison = site.push("doomed", {"how": "kill"}, retry_for=3600)
    failing = site.push("doomed", retry_for=3600)
    site.work()
    record = site.ended(poison)
    assert record.status is Status.FAILED
    assert outcomes(record) == [Outcome.KILLED, Outcome.KILLED]
    assert site.words(poison) == ["ran", "ran", "failed:WorkerLost"]
    eventually(lambda: len(site.words(failing)) > 5, what="The sixth run of what has two tries")
    assert "failed:RuntimeError" not in site.words(failing)
    assert site.job(failing).attempts < 2


def test_failed_is_called_after_the_last_try_was_killed_for_its_timeout(site):
    """A last try that had to be killed for its timeout is told to `failed` as JobTimeout."""
    job = site.push("doomed", {"how": "swallow-all"}, tries=1)
    site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert outcomes(record) == [Outcome.TIMED_OUT]
    assert site.words(job) == ["ran", "failed:JobTimeout"]


@pytest.mark.slow
def test_failed_has_as_much_time_as_the_job_had(site):
    """`failed` of a job that used up its time gets the timeout once more, and is not killed before."""
    job = site.push("slow-mourner")
    site.work()
    assert outcomes(site.ended(job)) == [Outcome.TIMED_OUT]
    assert site.words(job) == ["mourns", "mourned"]


def test_retry_puts_a_job_off_without_costing_a_try(site):
    """A job with two tries may raise `Retry` more often than that, and then complete in its first."""
    job = site.push("later", {"delay": 0.05})
    site.work()
    eventually(lambda: len(site.runs(job)) > 4)
    site.open()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert record.attempts == 1
    assert set(outcomes(record)[:-1]) == {Outcome.PUT_OFF}
    assert {run.attempt for run in site.runs(job)} == {1}


def test_a_delay_that_cannot_be_is_an_error_of_the_job(site):
    """`Retry(delay=inf)` fails the job with an OptionError and does not cost the child its life."""
    job = site.push("odd-retry")
    worker = site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert record.error.type == "flask_queues.errors.OptionError"
    assert "died" not in worker.text


def test_discard_cancels_a_job_and_keeps_its_reason(site):
    """A job that raises `Discard` never runs again and is kept as cancelled, with its reason."""
    job = site.push("discard", {"reason": "the page is gone"})
    site.work()
    record = site.ended(job)
    assert record.status is Status.CANCELLED
    assert record.reason == "the page is gone"
    assert outcomes(record) == [Outcome.DISCARDED]


def test_words_that_are_no_text_do_no_harm(site):
    """Halves of surrogate pairs in a log line, a progress and a reason are kept as escapes; nothing breaks."""
    job = site.push("odd-words")
    worker = site.work()
    record = site.ended(job)
    assert record.status is Status.CANCELLED
    assert record.reason == "half \\ud800 of a pair"
    assert record.progress is not None
    assert record.progress.message == "half \\ud800 of a pair"
    assert site.messages(job) == ["half \\ud800 of a pair"]
    assert "Traceback" not in worker.text


def test_an_error_message_that_is_no_text_can_be_shown(site):
    """An exception's message with half a surrogate pair is kept so that it can be printed."""
    job = site.push("doomed", {"how": "surrogate"}, tries=1)
    site.work()
    assert site.ended(job).error.message == "half \\ud800 of a pair"
    assert site.run("show", job).returncode == 0
    assert site.run("show", job, "--json").returncode == 0


# --- Timeouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["sleep", "busy", "swallow"])
def test_a_timeout_stops_a_job(site, how):
    """A job that sleeps, computes, or swallows every Exception ends with its timeout, and the next one runs."""
    job = site.push("doomed", {"how": how}, tries=1)
    innocent = site.push("add", {"a": 1})
    worker = site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert outcomes(record) == [Outcome.TIMED_OUT]
    assert record.error.type == "flask_queues.errors.JobTimeout"
    took = record.history[0].ended - record.history[0].started
    assert took.total_seconds() >= 1
    assert site.words(job) == ["ran", "failed:JobTimeout"]
    assert site.ended(innocent).status is Status.COMPLETED
    assert "died" not in worker.text


def test_a_job_that_swallows_its_timeout_is_killed_and_its_child_replaced(site):
    """Where nothing else helps the process is killed a few seconds later, and another takes its place."""
    job = site.push("doomed", {"how": "swallow-all"}, backoff=0)
    innocent = site.push("gate")
    site.open()
    site.work()
    record = site.ended(job)
    assert outcomes(record) == [Outcome.TIMED_OUT, Outcome.TIMED_OUT]
    assert "killed" in record.error.message
    assert site.ended(innocent).status is Status.COMPLETED
    assert len({run.pid for run in site.runs()}) > 1


def test_what_a_timed_out_job_has_started_dies_with_it(site):
    """A process that a job has started is gone when the job's time is over."""
    job = site.push("doomed", {"how": "process"}, tries=1)
    site.work()
    started = int(eventually(lambda: site.words(job)[1:])[0].removeprefix("started:"))
    assert psutil.pid_exists(started)
    assert site.ended(job).status is Status.FAILED
    eventually(lambda: not alive(started), what="The end of the job's process")


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- Replacing children -----------------------------------------------------------------------------------------------


def test_a_child_that_grew_too_large_is_replaced_after_its_job(make_site):
    """A job may grow; afterwards its process is replaced, and nothing of the job is lost."""
    site = make_site(QUEUES_MEMORY=150)
    big = site.push("grow", {"megabytes": 200, "seconds": 3})
    worker = site.work()
    assert site.ended(big).status is Status.COMPLETED
    eventually(lambda: "is replaced after its job" in worker.text)
    big_child = site.runs(big)[0].pid
    eventually(lambda: not alive(big_child), what="The end of the large child")
    after = site.push("short")
    assert site.ended(after).status is Status.COMPLETED
    assert site.runs(after)[0].pid != big_child
    assert "needs" not in worker.text


def test_the_timeout_holds_for_a_child_that_is_too_large(make_site):
    """A job that outgrew the memory and then hangs is still stopped by its timeout, with force if it must be."""
    site = make_site(QUEUES_MEMORY=150)
    job = site.push("grow-and-hang", tries=1)
    worker = site.work()
    record = site.ended(job)
    assert "is replaced after its job" in worker.text
    assert outcomes(record) == [Outcome.TIMED_OUT]


def test_a_child_that_is_too_large_still_gets_the_grace(make_site):
    """The first SIGTERM lets a job finish, although its child was told to end after the job already."""
    site = make_site(QUEUES_MEMORY=150)
    job = site.push("grow-and-wait")
    worker = site.work()
    eventually(lambda: "is replaced after its job" in worker.text)
    worker.process.send_signal(signal.SIGTERM)
    eventually(lambda: "Stopping" in worker.text)
    site.open()
    assert worker.wait() == 0
    record = site.job(job)
    assert outcomes(record) == [Outcome.COMPLETED]


def test_a_memory_limit_below_a_childs_own_need_is_said_once(make_site):
    """With a limit that no child can keep the worker says so once and works on with the same children."""
    site = make_site(QUEUES_MEMORY=1)
    worker = site.work("--processes", "2")
    eventually(lambda: "needs" in worker.text)
    pids = set()
    for _ in range(3):
        job = site.push("short")
        assert site.ended(job).status is Status.COMPLETED
        pids.add(site.runs(job)[0].pid)
        eventually_beats(site)
    assert worker.text.count("needs") == 1
    assert "replaced after its job" not in worker.text
    assert len(pids) <= 2


def eventually_beats(site):
    """Wait for the worker's next sign of life."""
    (before,) = eventually(lambda: [worker.heartbeat for worker in site.manager.workers()])
    eventually(lambda: [worker.heartbeat for worker in site.manager.workers()] > [before])


def test_a_child_is_replaced_after_so_many_jobs(site):
    """With --max-jobs no process runs more than that."""
    jobs = [site.push("mark") for _ in range(7)]
    worker = site.work("--max-jobs", "2")
    for job in jobs:
        assert site.ended(job).status is Status.COMPLETED
    pids = [run.pid for run in site.runs()]
    assert len(pids) == 7
    assert max(pids.count(pid) for pid in pids) <= 2
    assert "died" not in worker.text


# --- Stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_job_in_hand_finish(site, number):
    """SIGTERM or Ctrl-C ends the worker after the job in hand, with exit code 0, and nothing else begins."""
    job = site.push("gate")
    waiting = site.push("gate")
    worker = site.work()
    site.began(job)
    worker.process.send_signal(number)
    eventually(lambda: "Stopping" in worker.text)
    site.open()
    assert worker.wait() == 0
    assert site.status(job) is Status.COMPLETED
    assert site.status(waiting) is Status.PENDING
    assert site.manager.workers() == []


def test_a_job_that_exceeds_the_grace_goes_back_and_loses_no_try(make_site):
    """A job that does not end within QUEUES_GRACE is given back uncounted, and another worker completes it."""
    site = make_site(QUEUES_GRACE=0.3)
    job = site.push("gate", tries=1)
    worker = site.work()
    site.began(job)
    assert worker.stop() == 0
    record = site.job(job)
    assert record.status is Status.PENDING
    assert record.attempts == 0
    assert outcomes(record) == [Outcome.GIVEN_BACK]
    site.open()
    site.work()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert record.attempts == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_gives_the_job_back_at_once(make_site, number):
    """Whoever cannot wait for the grace signals again."""
    site = make_site(QUEUES_GRACE=600)
    job = site.push("polite", tries=1)
    worker = site.work()
    site.began(job)
    worker.process.send_signal(number)
    eventually(lambda: "Stopping" in worker.text)
    assert worker.stop(number) == 0
    assert site.words(job) == ["began", "interrupted:StopNow"]
    assert site.status(job) is Status.PENDING
    assert site.job(job).attempts == 0


def test_a_job_that_ignores_the_stop_is_killed_and_goes_back(make_site):
    """Even a job that swallows everything does not keep a worker from ending, and loses no try."""
    site = make_site(QUEUES_GRACE=0.1)
    job = site.push("stubborn", tries=1)
    worker = site.work()
    site.began(job)
    assert worker.stop() == 0
    record = site.job(job)
    assert record.status is Status.PENDING
    assert record.attempts == 0
    assert outcomes(record) == [Outcome.GIVEN_BACK]


def test_an_idle_worker_stops_at_once(make_site):
    """A worker without a job in hand ends long before its grace, however long its children sleep."""
    site = make_site(QUEUES_GRACE=600)
    worker = site.work("--processes", "2", "--sleep", "600")
    eventually(lambda: site.manager.workers())
    assert worker.stop() == 0
    assert "Stopped." in worker.text


def test_a_worker_that_is_stopped_while_it_starts_stops_soon(make_site):
    """No moment of a child's birth is deaf to the stop."""
    site = make_site(QUEUES_GRACE=600)
    for pause in (0.0, 0.002, 0.004, 0.006, 0.01):
        worker = site.work("--processes", "3")
        eventually_begins(worker)
        time.sleep(pause)
        assert worker.stop() == 0


def eventually_begins(worker):
    """Wait for the first child to be born."""
    eventually(lambda: len(worker.session()) > 1)


# --- Death ------------------------------------------------------------------------------------------------------------


def test_a_killed_childs_job_goes_on_at_once_on_another(make_site):
    """A child that is killed is noticed long before the lease ends; another child runs its job again."""
    site = make_site(QUEUES_LEASE=600)
    job = site.push("gate")
    site.work("--processes", "2")
    first = site.began(job)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: len(site.runs(job)) > 1)
    second = site.runs(job)[1]
    site.open()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert second.pid != first.pid
    assert outcomes(record) == [Outcome.KILLED, Outcome.COMPLETED]
    assert record.attempts == 2


def test_a_process_that_dies_without_a_job_is_said_and_replaced(site):
    """Which one, and of what: no job's line tells it."""
    worker = site.work("--json")
    (child,) = eventually(lambda: [child for one in site.manager.workers() for child in one.children])
    os.kill(child.pid, signal.SIGKILL)
    (line,) = eventually(lambda: [line for line in worker.lines if line["event"] == "child died"])
    assert (line["pid"], "SIGKILL" in line["text"]) == (child.pid, True)
    assert site.ended(site.push("noop")).status is Status.COMPLETED


@pytest.mark.parametrize("arguments", [(), ("--threads", "3")])
@pytest.mark.parametrize("code", [0, 10, 11, 12])
def test_a_job_may_end_its_process_with_any_code(make_site, code, arguments):
    """Also with those by which a child says that it has stopped or cannot work: it is no end of the worker."""
    site = make_site(QUEUES_LEASE=600)
    job = site.push("doomed", {"how": f"exit-{code}"}, tries=1)
    site.work(*arguments)
    record = site.ended(job)
    assert (record.status, str(record.error)) == (
        Status.FAILED,
        f"WorkerLost: The process died: exit code {code}.",
    )
    assert site.ended(site.push("noop")).status is Status.COMPLETED


def test_a_job_may_end_its_process_by_the_first_signal(make_site):
    """Its number, 1 below zero, is no exit code by which a child says that it ends."""
    site = make_site(QUEUES_LEASE=600)
    job = site.push("doomed", {"how": "hang-up"}, tries=1)
    site.work()
    assert str(site.ended(job).error) == "WorkerLost: The process died: killed by SIGHUP."
    assert site.ended(site.push("noop")).status is Status.COMPLETED


def test_a_poison_job_fails_and_harms_no_innocent(site):
    """A job that kills its process fails after its tries; jobs claimed together with it lose none."""
    warm: list[tuple[str, dict[str, bool]]] = [("mixed", {}) for _ in range(50)]
    mixed = [("mixed", {"poison": n % 40 == 20}) for n in range(160)]
    site.work("--processes", "2")
    for handle in site.manager.push_many(warm):
        site.ended(handle.id)
    records = [site.ended(handle.id) for handle in site.manager.push_many(mixed)]
    poison = [record for record in records if record.payload.get("poison")]
    innocent = [record for record in records if not record.payload.get("poison")]
    assert len(poison) == 4
    for record in poison:
        assert record.status is Status.FAILED
        assert record.attempts == 2
        assert "SIGKILL" in str(record.error)
    for record in innocent:
        assert record.status is Status.COMPLETED
        assert record.attempts == 1


#: A system that does not end a process with its parent, as any but Linux.
ELSEWHERE = """
from types import SimpleNamespace
from flask_queues.worker import process
process.sys = SimpleNamespace(platform="elsewhere", stdout=sys.stdout, stderr=sys.stderr)
"""


@pytest.mark.parametrize("system", ["", ELSEWHERE], ids=["here", "elsewhere"])
def test_the_children_die_with_their_supervisor(site, system):
    """When only the supervisor is killed no child and no keeper outlives it, whatever is in hand."""
    with (site.folder / "sample.py").open("a") as sample:
        sample.write(system)
    job = site.push("gate")
    worker = site.work("--processes", "2")
    site.began(job)
    eventually(lambda: len(worker.session()) == 4, what="The second child")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    eventually(lambda: not worker.session(), what="The end of the orphans")
    site.work()
    site.open()
    assert site.ended(job).status is Status.COMPLETED


def test_a_killed_worker_is_shown_as_lost_and_then_forgotten(site):
    """A worker that was killed stays on the list for an hour; the next one's keeper takes it off then."""
    killed = site.work()
    eventually(lambda: site.manager.workers())
    killed.kill_all()
    other = site.work("--queue", "a")
    eventually(lambda: len(site.manager.workers()) == 2)
    other.stop()
    (lost,) = site.manager.workers()
    assert lost.pid == killed.pid
    with site.manager.storage._database.write() as db:
        db.execute("UPDATE workers SET heartbeat=heartbeat-3600000")
    last = site.work()
    eventually(lambda: [worker.pid for worker in site.manager.workers()] == [last.pid])


def test_a_killed_keeper_is_replaced(site):
    """Leases go on being extended when the keeper is killed: a long job is not lost for it."""
    job = site.push("gate")
    worker = site.work()
    site.work("--queue", "other")
    began = site.began(job)
    (keeper,) = set(worker.session()) - {worker.pid, began.pid}
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: "keeper died" in worker.text.lower())
    seen = datetime.now(timezone.utc)
    eventually(lambda: (site.known(worker).heartbeat - seen).total_seconds() > 4, what="Signs of life for two leases")
    site.open()
    record = site.ended(job)
    assert outcomes(record) == [Outcome.COMPLETED]


def test_a_death_is_told_to_the_next_keeper(make_site):
    """The one before never got to it: what the dead process held goes on long before its lease is over."""
    site = make_site(QUEUES_LEASE=600)
    job = site.push("gate")
    worker = site.work()
    began = site.began(job)
    (keeper,) = set(worker.session()) - {worker.pid, began.pid}
    os.kill(keeper, signal.SIGSTOP)
    os.kill(began.pid, signal.SIGKILL)
    eventually(lambda: set(worker.session()) - {worker.pid, keeper, began.pid}, what="Another process for jobs")
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: len(site.runs(job)) > 1, what="The second run")
    site.open()
    assert outcomes(site.ended(job)) == [Outcome.KILLED, Outcome.COMPLETED]


def test_a_job_that_blocks_its_process_keeps_its_lease(site):
    """As one in native code that lets nothing else run: another process gives the signs of life, so it runs once."""
    job = site.push("gate")
    worker = site.work()
    site.work("--queue", "other")
    began = site.began(job)
    os.kill(began.pid, signal.SIGSTOP)
    seen = datetime.now(timezone.utc)

    try:
        eventually(
            lambda: (site.known(worker).heartbeat - seen).total_seconds() > 4, what="Signs of life for two leases"
        )
    finally:
        os.kill(began.pid, signal.SIGCONT)
    site.open()
    record = site.ended(job)
    assert outcomes(record) == [Outcome.COMPLETED]
    assert [run.pid for run in site.runs(job) if run.word == "began"] == [began.pid]


def test_a_worker_that_lost_its_lease_settles_nothing(site):
    """A frozen worker whose job was taken over wakes up, and its end of the job changes nothing."""
    job = site.push("gate", {"name": "first"})
    frozen = site.work("--json")
    began = site.began(job)
    freeze(site, frozen)
    other = site.work()
    eventually(lambda: len(site.runs(job)) > 1, what="The rescue")
    site.open("first")
    record = site.ended(job)
    assert outcomes(record) == [Outcome.LOST, Outcome.COMPLETED]
    frozen.signal_all(signal.SIGCONT)
    eventually(lambda: "lost" in [line["event"] for line in frozen.lines], what="The word that it came too late")
    assert site.job(job) == record
    assert site.words(job) == ["began", "began", "ended", "ended"]
    assert site.runs(job)[0].pid == began.pid
    for worker in (frozen, other):
        assert worker.stop() == 0


def freeze(site, worker):
    """Stop every process of a worker, at a moment when none of them holds the gate of the storage."""
    import fcntl

    with site.database.with_name("queues.sqlite3.lock").open("rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        worker.signal_all(signal.SIGSTOP)
        fcntl.flock(gate, fcntl.LOCK_UN)


# --- Cancelling -------------------------------------------------------------------------------------------------------


def test_a_running_job_can_be_cancelled_from_another_process(site):
    """A cancelled job is interrupted within about a second and keeps the reason; the worker goes on."""
    job = site.push("polite")
    site.work()
    site.began(job)
    assert site.run("cancel", job, "--reason", "not needed").returncode == 0
    record = site.ended(job)
    assert record.status is Status.CANCELLED
    assert record.reason == "not needed"
    assert outcomes(record) == [Outcome.CANCELLED]
    assert site.words(job) == ["began", "interrupted:CancelNow"]
    assert site.ended(site.push("add", {"a": 1})).status is Status.COMPLETED


def test_a_job_that_swallows_its_cancellation_is_killed(make_site):
    """After QUEUES_GRACE a cancelled job that does not end is killed, and is cancelled then."""
    site = make_site(QUEUES_GRACE=1)
    job = site.push("stubborn")
    site.work()
    site.began(job)
    assert site.manager.cancel(job, "enough")
    record = site.ended(job)
    assert record.status is Status.CANCELLED
    assert record.reason == "enough"
    assert outcomes(record) == [Outcome.CANCELLED]


# --- What a job says --------------------------------------------------------------------------------------------------


def test_log_lines_and_progress_are_visible_while_the_job_runs(site):
    """What a job says by `log`, by the standard logging and by `progress` is kept at once and in order."""
    job = site.push("say")
    site.work()
    eventually(lambda: site.messages(job) == ["one", "two and a half", "three"])
    record = eventually(lambda: site.job(job).progress and site.job(job))
    assert record.status is Status.RUNNING
    assert record.progress == (50, "half way")
    site.open()
    assert site.ended(job).progress == (100, "there")
    lines = site.manager.logs(job)
    assert [line.message for line in lines] == ["one", "two and a half", "three", "four"]
    assert [line.level for line in lines] == ["info", "warning", "error", "debug"]
    assert lines[0].context == {"page": 1}


def test_no_line_is_lost_at_the_end_of_a_job(site):
    """Jobs that end while their lines are being kept lose none of them, and their order stays."""
    jobs = [site.push("say-at-once", {"lines": 8, "pause": n / 4000}) for n in range(100)]
    site.work("--processes", "2")
    for job in jobs:
        site.ended(job)
        assert site.messages(job) == [f"line {n}" for n in range(8)]


def test_what_a_job_logs_reaches_the_terminal_too(site):
    """Keeping log lines with the job does not take them away from the worker's own log."""
    job = site.push("say")
    site.open()
    worker = site.work()
    site.ended(job)
    eventually(lambda: "two and a half" in worker.text)
    eventually(lambda: "three" in worker.text)
    assert worker.text.count("two and a half") == 1
    assert worker.text.count("three") == 1


@pytest.mark.parametrize("kind", ["large", "object", "nan"])
def test_a_result_that_cannot_be_kept_does_not_fail_the_job(site, kind):
    """A result that is too large or no JSON is left out with a warning; the job has completed."""
    job = site.push("result", {"kind": kind})
    worker = site.work()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert record.result is None
    eventually(lambda: f"The result of job {job}" in worker.text)
    (line,) = site.manager.logs(job)
    assert (line.level, line.message.startswith("The result is not kept: result: ")) == ("warning", True)


def test_a_result_is_kept_with_the_record(site):
    """What `handle` returns is read from any process."""
    job = site.push("result", {"kind": "small"})
    site.work()
    assert site.manager.handle(job).result(timeout=PATIENCE) == {"a": [1, None]}


# --- Which job is next ------------------------------------------------------------------------------------------------


def test_a_job_that_did_not_start_in_time_is_cancelled(site):
    """An expired job never runs, and says why."""
    job = site.push("short", expires=0.05)
    eventually(lambda: datetime.now(timezone.utc) > site.job(job).expires)
    site.work()
    record = site.ended(job)
    assert record.status is Status.CANCELLED
    assert "expire" in record.reason
    assert site.runs(job) == []


def test_a_higher_priority_comes_first(site):
    """Within a queue jobs run by priority, then in the order of their pushes."""
    jobs = [site.push("mark", priority=priority) for priority in (0, -5, 7, 0, 7)]
    site.work()
    for job in jobs:
        site.ended(job)
    assert [jobs.index(run.job) for run in site.runs()] == [2, 4, 0, 3, 1]


def test_queues_are_served_strictly_in_the_order_named(site):
    """With --queue a,b nothing of b runs before a is empty, and nothing of other queues at all."""
    jobs = [site.push("mark", queue=queue) for queue in ("b", "a", "other", "b", "a")]
    site.work("--queue", "a,b")
    for index in (0, 1, 3, 4):
        site.ended(jobs[index])
    assert [jobs.index(run.job) for run in site.runs()] == [1, 4, 0, 3]
    assert site.status(jobs[2]) is Status.PENDING


def test_without_queues_all_are_served_high_first_and_low_last(site):
    """A worker without --queue serves high, then all others, then low."""
    jobs = [site.push("mark", queue=queue) for queue in ("low", "special", "high", "default")]
    site.work()
    for job in jobs:
        site.ended(job)
    ran = [site.job(run.job).queue for run in site.runs()]
    assert ran[0] == "high"
    assert ran[-1] == "low"
    assert set(ran) == {"high", "special", "default", "low"}


def test_a_delayed_job_starts_at_its_time(site):
    """An idle worker begins a delayed job on time, however long it would sleep."""
    site.known(site.work("--sleep", "600"))
    jobs = [site.push("mark", delay=delay) for delay in (0.4, 1.1)]
    for job in jobs:
        record = site.ended(job)
        assert record.started >= record.due


def test_a_push_wakes_an_idle_worker(site):
    """A push to a worker that would sleep for ten minutes starts long before."""
    site.known(site.work("--sleep", "600", "--processes", "2"))
    for _ in range(5):
        assert site.ended(site.push("mark")).status is Status.COMPLETED


def test_a_job_of_an_unknown_type_waits_for_a_worker_that_knows_it(make_site):
    """It stays pending and says why, keeps nobody from work, and runs once a worker knows it."""
    site = make_site(SAMPLE_KNOWS_MORE=True)
    job = site.push("more")
    after = site.push("short")
    site.configure()
    site.work()
    assert site.ended(after).status is Status.COMPLETED
    record = site.job(job)
    assert record.status is Status.PENDING
    assert "more" in record.held
    site.configure(SAMPLE_KNOWS_MORE=True)
    site.work()
    assert site.ended(job).status is Status.COMPLETED
    assert site.words(job) == ["ran"]


# --- What a job may do ------------------------------------------------------------------------------------------------


def test_sys_exit_fails_the_job_and_not_the_worker(site):
    """A job that calls sys.exit has failed; its process goes on with the next job."""
    job = site.push("doomed", {"how": "exit"}, tries=1)
    worker = site.work()
    record = site.ended(job)
    assert record.status is Status.FAILED
    assert str(record.error) == "SystemExit: 3"
    after = site.push("short")
    site.ended(after)
    assert site.runs(after)[0].pid == site.runs(job)[0].pid
    assert "died" not in worker.text


@pytest.mark.parametrize("how", ["take-signals", "block-signals"])
def test_signals_that_a_job_took_are_taken_back(make_site, how):
    """The next job of its process is ended in time by an interrupt, and the worker is stopped at once."""
    site = make_site(QUEUES_GRACE=600)
    job = site.push("doomed", {"how": how})
    late = site.push("doomed", {"how": "sleep"}, timeout=0.5, tries=1)
    again = [site.push("doomed", {"how": how}) for _ in range(2)]
    worker = site.work()
    assert site.ended(job).status is Status.COMPLETED
    assert str(site.ended(late).error) == "JobTimeout: The job ran longer than its timeout of 0.5 s."
    assert {site.ended(one).status for one in again} == {Status.COMPLETED}
    assert worker.stop() == 0


def test_an_alarm_that_a_job_sets_is_not_its_timeout(site):
    """Both want the same timer: the job's own passes, and its timeout holds all the same."""
    job = site.push("doomed", {"how": "alarm"}, timeout=60)
    site.work()
    assert outcomes(site.ended(job)) == [Outcome.COMPLETED]


#: An application that reads from its database while it is made.
WITH_DATABASE = """
import sqlalchemy
from flask_sqlalchemy import SQLAlchemy

app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{HERE / 'shop.db'}"
db = SQLAlchemy(app)


@queues.job("whose-connection")
def whose_connection():
    with db.engine.connect() as opened:
        return opened.info["pid"] == os.getpid()


with app.app_context():
    sqlalchemy.event.listen(db.engine, "connect", lambda _, record: record.info.update(pid=os.getpid()))
    db.session.execute(sqlalchemy.text("SELECT 1"))
"""


def test_no_connection_of_the_database_crosses_the_fork(site):
    """Two processes on one connection would read each other's rows."""
    with (site.folder / "sample.py").open("a") as sample:
        sample.write(WITH_DATABASE)
    job = site.run("push", "whose-connection").stdout.strip()
    site.work()
    assert site.ended(job).result is True


def test_every_job_runs_in_a_fresh_context(site):
    """Neither `flask.g` nor a context variable brings anything from one job to the next."""
    jobs = [site.push("context") for _ in range(3)]
    site.work()
    for job in jobs:
        assert site.ended(job).result == {"g": [], "leaky": "clean", "app": "sample", "thread": True}


def test_handle_may_be_a_coroutine(site):
    """`async def handle` is run to its end, and its timeout holds."""
    job = site.push("async")
    late = site.push("async", {"seconds": 600}, timeout=0.5, tries=1)
    site.work()
    assert site.ended(job).result == "awaited"
    assert outcomes(site.ended(late)) == [Outcome.TIMED_OUT]


def test_a_job_may_push_jobs(site):
    """What a job pushes is run like any other."""
    job = site.push("parent", {"children": 3})
    site.work()
    children = site.ended(job).result
    assert [site.ended(child).result for child in children] == [1, 2, 3]


def test_a_job_may_fork(site):
    """A fork that leaves by sys.exit does not become a second worker, and does not settle the job."""
    job = site.push("fork")
    worker = site.work("--json")
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert site.words(job) == ["ran", "parent"]
    worker.stop()
    assert [line["event"] for line in worker.lines if line.get("job") == job] == ["completed"]


def test_a_job_may_use_a_pool_of_processes(site):
    """Processes that a job forks can be ended by SIGTERM, as multiprocessing does."""
    job = site.push("pool")
    site.work()
    assert site.ended(job).result == [0, 1, 4, 9, 16]


def test_a_process_forked_by_a_job_may_push(site):
    """No connection crosses the fork: what the forked process pushes is stored and runs."""
    job = site.push("push-after-fork")
    site.work()
    pushed = site.ended(job).result
    assert site.ended(pushed).status is Status.COMPLETED


def test_a_lazy_name_is_readable_in_a_job(site):
    """A name whose language depends on a request is readable where there is none."""
    job = site.push("named")
    site.work()
    assert site.ended(job).result == "A lazy name"
