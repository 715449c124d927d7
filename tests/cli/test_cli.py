"""The commands of `flask queues`, run as a person runs them.

Exit codes: 0 done, 1 an error of ours, 2 wrong usage, 3 nothing matched.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from flask_queues import Status
from flask_queues.storage.values import Wanted
from tests.support.site import eventually

ID = re.compile(r"[0-9a-v]{26}")
NO_JOB = "0" * 26
#: What changes more of a terminal than a text that stands there.
PAINTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def says(answer, code, *words):
    """Check an exit code, and that the error is a sentence or two on standard error."""
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    for word in words:
        assert word in answer.stderr
    if code == 1:
        assert answer.stdout == ""
        assert len(answer.stderr.strip().splitlines()) <= 2
        assert answer.stderr.startswith("Error: ")
    return answer


def done(answer):
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return answer.stdout


def run_to_failure(site, **options):
    """Push a job and let it fail."""
    job = site.push("doomed", {"how": "raise"}, tries=1, **options)
    assert site.run("run", job).returncode == 1
    return job


# --- push -------------------------------------------------------------------------------------------------------------


def test_push_prints_the_id_alone(site):
    """What `push` prints can be handed to the next command."""
    written = done(site.run("push", "add", "--payload", '{"a": 1}'))
    assert ID.fullmatch(written.strip())
    assert site.job(written.strip()).payload == {"a": 1}


def test_push_reads_the_payload_from_standard_input(site):
    """A dash reads the payload from standard input, in UTF-8."""
    written = done(site.run("push", "secret", "--payload", "-", text='{"card": "1", "name": "Zoë 🐙"}'))
    assert site.job(written.strip()).payload["name"] == "Zoë 🐙"


def test_push_takes_every_option(site):
    """Queue, priority, delay and tags reach the job; --json prints it as it is stored."""
    options = ["--queue", "images", "--priority", "-7", "--delay", "3600", "--tag", "one", "--tag", "two", "--json"]
    job = json.loads(done(site.run("push", "add", "--payload", '{"a": 1}', *options)))
    assert job["status"] == "scheduled"
    assert job["queue"] == "images"
    assert job["priority"] == -7
    assert job["tags"] == ["one", "two"]
    assert job["payload"] == {"a": 1}
    assert site.status(job["id"]) is Status.SCHEDULED


def test_push_takes_the_terms_of_one_job(site):
    """How often, how long and until when it is tried, and by when it must have begun."""
    options = ["--expires", "60", "--tries", "7", "--timeout", "2.5", "--backoff", "1", "--backoff", "60"]
    job = json.loads(done(site.run("push", "noop", *options, "--retry-for", "3600", "--profile", "--json")))
    record = site.job(job["id"])

    assert (job["tries"], job["timeout"]) == (7, 2.5)
    assert (record.backoff, record.retry_for, record.profile) == ((1, 60), 3600, True)
    assert (record.expires - record.due).total_seconds() == 60


@pytest.mark.parametrize("how", [["--unique"], ["--unique-key", "one"], ["--throttle", "600"]])
def test_push_of_what_is_to_be_the_only_one(site, how):
    """The second push prints the first one's id, and says on standard error that it is no new job."""
    first = site.run("push", "noop", *how)
    second = site.run("push", "noop", *how)

    assert (second.returncode, second.stdout) == (0, done(first))
    assert "Nothing was pushed: this job is there already." in second.stderr


def test_push_in_place_of_another(site):
    """--replace lets the last payload count, --debounce too."""
    for how in (["--unique-key", "one", "--replace"], ["--unique-key", "two", "--debounce", "600"]):
        for a in (1, 2):
            done(site.run("push", "add", "--payload", f'{{"a": {a}}}', *how))
    waiting = list(site.manager.every(type="add", statuses=["pending", "scheduled"]))

    assert {job.payload["a"] for job in waiting} == {2}
    assert len(waiting) == 2


@pytest.mark.parametrize("at", ["2031-12-24T18:00:00+01:00", "2031-12-24T17:00:00Z"])
def test_push_at_a_time(site, at):
    """--at takes ISO 8601 with a zone."""
    job = json.loads(done(site.run("push", "noop", "--at", at, "--json")))
    assert job["due"] == "2031-12-24T17:00:00.000Z"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nonsense"], 1, "nonsense is not registered"),
        (["add", "--payload", "{"], 1, "not JSON"),
        (["add", "--payload", "[1]"], 1, "not a JSON object"),
        (["add", "--payload", "[" * 100_000], 1, "nested"),
        (["add", "--payload", '{"b": 1}'], 1, "add"),
        (["add", "--payload", '{"a": "x"}'], 1, "a"),
        (["add", "--payload", '{"a": 1, "c": 1}'], 1, "c"),
        (["add", "--payload", '{"a": 1e999}'], 1, "add"),
        (["add", "--payload", '{"a": 1}', "--queue", "no spaces"], 1, "queue"),
        (["add", "--payload", '{"a": 1}', "--priority", "500"], 1, "priority"),
        (["add", "--payload", '{"a": 1}', "--delay", "-1"], 1, "delay"),
        (["add", "--payload", '{"a": 1}', "--delay", "nan"], 1, "delay"),
        (["add", "--payload", '{"a": 1}', "--at", "tomorrow"], 1, "tomorrow"),
        (["add", "--payload", '{"a": 1}', "--at", "2026-12-24T18:00:00"], 1, "time zone"),
        (["add", "--payload", '{"a": 1}', "--at", "2026-12-24T18:00:00Z", "--delay", "1"], 1, "not both"),
        (["add", "--payload", '{"a": 1}', "--tag", ""], 1, "tag"),
        (["add", "--payload", '{"a": 1}', "--tries", "0"], 1, "tries"),
        (["add", "--payload", '{"a": 1}', "--retry-for", "-1"], 1, "retry_for"),
        (["add", "--payload", '{"a": 1}', "--unique", "--unique-key", "k"], 2, "--unique-key by a key"),
        (["add", "--payload", '{"a": 1}', "--debounce", "1", "--throttle", "1"], 1, "not both"),
        (["add", "--payload", '{"a": 1}', "--unique-until", "never"], 2, "--unique-until"),
        (["add", "--priority", "high"], 2, "--priority"),
        (["add", "--wrong"], 2, "--wrong"),
        ([], 2, "TYPE"),
    ],
)
def test_push_refuses_and_stores_nothing(site, arguments, code, word):
    """Every wrong push is refused in a sentence that names what is wrong."""
    says(site.run("push", *arguments), code, word)
    assert sum(site.manager.counts().statuses.values()) == 0


def test_push_refuses_what_is_no_text(site):
    """Bytes that are no UTF-8 on standard input are refused in a sentence."""
    answer = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "push", "secret", "--payload", "-"],
        cwd=site.folder,
        env=site.environment,
        input=b'{"card": "\xff", "name": ""}',
        capture_output=True,
        timeout=60,
    )
    assert answer.returncode == 1
    assert b"Traceback" not in answer.stderr


# --- show -------------------------------------------------------------------------------------------------------------


def test_show_tells_a_person_all(site):
    """`show` tells where a job is, what it was given, its runs with the last traceback, and its log."""
    job = site.push("say-at-once", {"lines": 2}, queue="images", tags=["tagged"])
    done(site.run("run", job))
    shown = done(site.run("show", job))
    for word in ("say-at-once", job, "completed", "images", "tagged", '{"lines": 2}', "line 0", "line 1"):
        assert word in shown
    assert "Traceback" in done(site.run("show", run_to_failure(site)))


def test_show_json_is_for_programs(site):
    """`show --json` is one object, its times in UTC."""
    job = site.push("flaky", {"failures": 1}, tries=1)
    assert site.run("run", job).returncode == 1
    shown = json.loads(done(site.run("show", job, "--json")))
    assert shown["id"] == job
    assert shown["status"] == "failed"
    assert shown["error"]["message"] == "attempt 1 of the flaky job"
    assert shown["history"][0]["outcome"] == "failed"
    assert shown["created"].endswith("Z")
    assert shown["log"] == []


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_show_masks_secrets(site, form):
    """A field that its type calls sensitive is never printed."""
    job = site.push("secret", {"card": "4111-1111", "name": "Ann"})
    shown = done(site.run("show", job, *form))
    assert "4111" not in shown
    assert "Ann" in shown
    assert "4111" not in done(site.run("push", "secret", "--payload", '{"card": "4111-1111", "name": ""}', "--json"))


def test_show_does_not_let_a_job_paint_the_terminal(site):
    """Control characters that a job stored reach the terminal as a mark, not as they are."""
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202ecod.exe\u2066"
    job = site.push("secret", {"card": "", "name": evil})
    doomed = site.push("discard", {"reason": evil}, tags=["\x9b31m"])
    assert site.run("run", doomed).returncode == 1
    for shown in (done(site.run("show", job)), done(site.run("show", doomed))):
        assert not PAINTS.search(shown)
    for command in (("show", job, "--json"), ("export", "--type", "secret")):
        shown = done(site.run(*command))
        assert not PAINTS.search(shown)
        assert json.loads(shown)["payload"]["name"] == evil


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_show_masks_secrets_that_the_job_repeats(site, form):
    """In its error, its log, also deep in it, its progress, and what a run in the foreground prints."""
    job = site.push("secret", {"card": "4111-1111", "name": ""}, tries=1)
    ran = site.run("run", job)
    assert ran.returncode == 1
    shown = done(site.run("show", job, *form))
    for text in (ran.stdout + ran.stderr, shown):
        assert "has no name" in text
        assert "4111" not in text
    assert "charging" in shown


@pytest.mark.parametrize("job", [NO_JOB, "x", "", "Zoë", "--", "a" * 5000])
def test_show_of_an_unknown_id(site, job):
    """An id that is none, or of a job deleted long ago, is said in a sentence."""
    says(site.run("show", "--", job), 1, "There is no job")


def test_an_id_that_is_no_text(site):
    """Bytes that are no UTF-8 are an id that does not exist."""
    says(site.run("show", os.fsdecode(b"\xff\xfe")), 1, "There is no job")


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_runs_a_job_here(site):
    """`run` runs a job in its own process, and settles it."""
    job = site.push("add", {"a": 2})
    assert "completed" in done(site.run("run", job))
    assert site.job(job).result == 3
    assert site.manager.workers() == []


def test_run_shows_the_traceback_of_a_failing_job(site):
    """A job that fails has its traceback shown, exit code 1, and is settled as any worker would."""
    job = site.push("flaky", {"failures": 1}, tries=2)
    answer = site.run("run", job)
    assert answer.returncode == 1
    assert "ValueError: attempt 1 of the flaky job" in answer.stderr
    assert "Traceback" in answer.stderr
    assert site.status(job) is Status.SCHEDULED
    done(site.run("run", job))
    assert site.job(job).attempts == 2


def test_run_repeats_a_failed_job(site):
    """A job that has failed for good runs again, as after a retry."""
    job = run_to_failure(site)
    assert site.status(job) is Status.FAILED
    assert site.run("run", job).returncode == 1
    assert len(site.job(job).history) == 2


def test_run_has_no_time_limit(site):
    """A job in the foreground may take longer than its timeout, as in a debugger."""
    job = site.push("async", {"seconds": 0.5}, timeout=0.1)
    done(site.run("run", job))
    assert site.status(job) is Status.COMPLETED


def test_run_tells_where_the_time_went(site):
    """With --profile, for a person: the job's own functions, and none of the worker's around it."""
    answer = site.run("run", site.push("add", {"a": 2}), "--profile")
    assert (answer.returncode, "is completed" in answer.stdout) == (0, True)
    assert "cumulative" in answer.stderr
    assert "(add)" in answer.stderr
    assert "(run_in_foreground)" not in answer.stderr
    unknown = site.run("run", "0" * 26, "--profile")
    assert (unknown.returncode, "cumulative" in unknown.stderr) == (1, False)


def test_run_refuses_what_it_cannot_run(make_site):
    """An unknown id or type, a completed job and a running one are refused in a sentence."""
    site = make_site(SAMPLE_KNOWS_MORE=True)
    unknown, completed, running = site.push("more"), site.push("add", {"a": 1}), site.push("gate")
    done(site.run("run", completed))
    site.configure()
    says(site.run("run", NO_JOB), 1, "There is no job")
    says(site.run("run", unknown), 1, "more is not registered")
    says(site.run("run", completed), 1, "completed", "cannot be run again")
    site.work()
    site.began(running)
    says(site.run("run", running), 1, "running")
    assert site.status(unknown) is Status.PENDING


def test_run_interrupted_by_a_person_settles_the_job(site):
    """Ctrl-C in the foreground ends the job as a failed run, and the command without a claim left behind."""
    job = site.push("gate", tries=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "run", job],
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    site.began(job)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert site.status(job) is Status.FAILED


# --- retry and cancel -------------------------------------------------------------------------------------------------


def test_retry_by_id(site):
    """Named jobs are pending again with all their tries; one that cannot be does not keep the others from it."""
    failed, pending = run_to_failure(site), site.push("noop")
    answer = site.run("retry", NO_JOB, failed, pending)
    assert answer.returncode == 1
    assert answer.stdout == f"{failed}  pending again\n"
    assert answer.stderr.count("Error: ") == 2
    assert "Traceback" not in answer.stderr
    assert site.job(failed).attempts == 0
    assert done(site.run("retry", site.push("add", {"a": 1}, delay=3600))).endswith("pending again\n")


def test_hurry_by_id(site):
    """Jobs that wait are the next ones, whether they were pending or scheduled; others are told."""
    failed, first, pending = run_to_failure(site), site.push("noop", priority=9), site.push("noop")
    scheduled = site.push("noop", delay=3600)
    answer = site.run("hurry", NO_JOB, failed, pending, scheduled)
    assert answer.returncode == 1
    assert answer.stdout == f"{pending}  first in its line\n{scheduled}  first in its line\n"
    assert "only pending or scheduled jobs are put first" in answer.stderr
    assert [act.action for act in site.manager.acts()] == ["run", "run"]
    wanted = Wanted(("default",), ("noop",), 60_000)
    claimed = [site.manager.storage.step("w", (), wanted).claims[0].id for _ in range(3)]
    assert claimed == [scheduled, pending, first]


def test_retry_all_with_filters(site):
    """--all takes every failed job that the filters let through, and nothing else."""
    one, two, three = (run_to_failure(site, queue=queue, tags=[queue]) for queue in ("a", "b", "c"))
    says(site.run("retry", "--all", "--queue", "none"), 3, "No failed job matches")
    answer = site.run("retry", "--all", "--queue", "a", "--type", "doomed")
    assert answer.returncode == 0
    assert answer.stdout == "1 job was pushed again.\n"
    assert site.run("retry", "--all", "--tag", "b").returncode == 0
    assert [site.status(job) for job in (one, two, three)] == [Status.PENDING, Status.PENDING, Status.FAILED]
    assert site.run("retry", "--all").returncode == 0
    assert site.status(three) is Status.PENDING
    assert site.run("retry", "--all").returncode == 3


def test_retry_all_spread_over_a_time(site):
    """The first at once, the others scheduled within it."""
    jobs = [run_to_failure(site) for _ in range(3)]
    answer = site.run("retry", "--all", "--spread", "600")
    assert answer.stdout == "3 jobs were scheduled again, over 600 s.\n"
    assert [site.status(job) for job in jobs].count(Status.SCHEDULED) == 2
    says(site.run("retry", "--all", "--spread", "-1"), 2, "--spread")


@pytest.mark.parametrize("arguments", [[], ["--all", NO_JOB], [NO_JOB, "--queue", "a"], [NO_JOB, "--spread", "9"]])
def test_retry_used_wrongly(site, arguments):
    """Either ids or --all; filters go with --all."""
    says(site.run("retry", *arguments), 2, "--all")


def test_cancel(site):
    """Waiting jobs are cancelled with the reason; ended ones are said."""
    pending, scheduled = site.push("noop"), site.push("noop", delay=3600)
    assert done(site.run("cancel", pending, scheduled, "--reason", "enough")).count("cancelled") == 2
    assert {site.job(job).reason for job in (pending, scheduled)} == {"enough"}
    says(site.run("cancel", pending), 1, "cancelled already")
    says(site.run("cancel", NO_JOB), 1, "There is no job")
    says(site.run("cancel"), 2, "ID")
    unnamed = site.push("noop")
    done(site.run("cancel", unnamed))
    assert "terminal" in site.job(unnamed).reason


# --- clear and flush --------------------------------------------------------------------------------------------------


def test_clear_deletes_ended_jobs_of_an_age(site):
    """--hours 0 deletes all that has ended, or what is named; what is younger or waits stays."""
    failed, pending = run_to_failure(site), site.push("noop")
    completed = site.push("add", {"a": 1})
    done(site.run("run", completed))
    says(site.run("clear", "--hours", "1"), 3, "more than 1 hours ago")
    assert site.run("clear", "--hours", "0", "--completed").stdout == "1 job was deleted.\n"
    says(site.run("show", completed), 1)
    assert site.status(failed) is Status.FAILED
    answer = site.run("clear", "--hours", "0")
    assert answer.returncode == 0
    assert site.run("clear", "--hours", "0").returncode == 3
    assert site.status(pending) is Status.PENDING


@pytest.mark.parametrize("hours", ["-1", "many"])
def test_clear_used_wrongly(site, hours):
    """An age is a number of hours, and must be given."""
    says(site.run("clear", "--hours", hours), 2, "--hours")
    says(site.run("clear"), 2, "--hours")


@pytest.mark.parametrize("hours", ["nan", "1e300"])
def test_clear_refuses_an_age_that_cannot_be(site, hours):
    """Not every number is an age."""
    says(site.run("clear", "--hours", hours), 1, "hours")


def test_flush_asks_first(site):
    """Without a yes nothing is deleted, also where nobody can be asked."""
    jobs = [site.push("noop"), site.push("noop", delay=3600), run_to_failure(site)]
    for text in ("n\n", "\n", None):
        answer = site.run("flush", text=text)
        assert answer.returncode == 1
        assert "Delete 3 jobs of all queues, 2 of which have not run yet?" in answer.stderr
        assert "Traceback" not in answer.stderr
        assert all(site.job(job) for job in jobs)
    answer = site.run("flush", text="y\n")
    assert answer.returncode == 0
    assert "3 jobs were deleted." in answer.stdout
    says(site.run("flush", "--yes"), 3, "No job to delete")


def test_flush_of_one_queue_spares_the_others_and_what_runs(site):
    """--queue deletes that queue's jobs alone; a running job is never deleted."""
    running, waiting, other = site.push("gate", queue="a"), site.push("noop", queue="a"), site.push("noop", queue="b")
    site.work("--queue", "a")
    site.began(running)
    assert site.run("flush", "--queue", "a", "--yes").returncode == 0
    says(site.run("show", waiting), 1)
    assert site.status(running) is Status.RUNNING
    assert site.status(other) is Status.PENDING
    says(site.run("flush", "--queue", "no spaces", "--yes"), 1, "queue name")


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_of_nothing(site):
    """Without a job and a worker it says both, and how to start one."""
    shown = done(site.run("status"))
    assert "No queue holds a job yet." in shown
    assert "flask queues work" in shown
    assert json.loads(done(site.run("status", "--json")))["workers"] == []


def test_status_shows_queues_and_workers(site):
    """It counts by queue and status, and shows each worker with its jobs and memory."""
    job = site.push("gate")
    site.push("noop", queue="images")
    site.push("noop", delay=3600)
    worker = site.work("--queue", "default", "--processes", "2")
    site.began(job)

    def measured():
        status = json.loads(done(site.run("status", "--json")))
        processes = status["workers"] and status["workers"][0]["processes"]
        return status if [bool(one["memory_mb"]) for one in processes] == [True, True] else None

    status = eventually(measured)
    assert status["statuses"] == {
        "scheduled": 1, "pending": 1, "running": 1, "completed": 0, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    assert status["queues"]["images"]["pending"] == 1
    (shown,) = status["workers"]
    assert shown["pid"] == worker.pid
    assert shown["jobs"] == [job]
    assert shown["queues"] == ["default"]
    assert len(shown["processes"]) == 2
    text = done(site.run("status"))
    assert str(worker.pid) in text
    assert "1 of 2" in text
    assert re.search(r"images +0 +1 +0", text)
    assert "\x1b" not in text


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_status_watch_ends_on_ctrl_c(site, form):
    """--watch shows it again and again, and ends quietly on Ctrl-C."""
    output = site.folder / "status.txt"
    with output.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "sample", "queues", "status", "--watch", *form],
            cwd=site.folder,
            env=site.environment,
            stdout=written,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    word = b"No worker runs" if not form else b'"workers"'
    eventually(lambda: output.read_bytes().count(word) > 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == b""


# --- Everything -------------------------------------------------------------------------------------------------------

EVERY = [
    ("status",),
    ("status", "--json"),
    ("push", "noop"),
    ("show", NO_JOB),
    ("run", NO_JOB),
    ("retry", "--all"),
    ("clear", "--hours", "1"),
    ("flush", "--yes"),
    ("work", "--once"),
]


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_storage_that_cannot_be_read_is_a_sentence(make_site, arguments):
    """With a file that is no database every command ends in a sentence and exit code 1."""
    site = make_site()
    site.database.parent.mkdir()
    site.database.write_bytes(b"no database at all" * 1000)
    says(site.run(*arguments), 1, "is not a SQLite database")


@pytest.mark.parametrize("arguments", EVERY[:3], ids=" ".join)
def test_a_folder_that_cannot_be_made_is_a_sentence(make_site, arguments):
    """With a file where the folder should be every command ends in a sentence and exit code 1."""
    site = make_site()
    site.database.parent.touch()
    says(site.run(*arguments), 1, "cannot be")


def test_a_wrong_setting_is_named(make_site):
    """The key and the value of a wrong setting are named; this happens while the application is loaded."""
    site = make_site()
    site.configure(QUEUES_LEASE=0)
    answer = site.run("status")
    assert answer.returncode != 0
    assert "QUEUES_LEASE" in answer.stderr


def test_an_application_without_queues_has_no_such_command(site):
    """Where Queues was not set up the command does not exist."""
    (site.folder / "plain.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    says(site.run("status", app="plain"), 2, "queues")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--queue", "no spaces"], 2, "--queue"),
        (["--timeout", "0"], 2, "--timeout"),
        (["--memory", "nan"], 2, "--memory"),
        (["--tries", "0"], 2, "--tries"),
        (["--max-jobs", "0"], 2, "--max-jobs"),
        (["--sleep", "-1"], 2, "--sleep"),
        (["--processes", "0"], 2, "--processes"),
        (["--max-time", "-1"], 2, "--max-time"),
        (["--wrong"], 2, "--wrong"),
    ],
)
def test_work_refuses_wrong_options(site, arguments, code, word):
    """A wrong option is named, and no worker starts."""
    says(site.run("work", *arguments), code, word)


def test_every_command_has_a_help(site):
    """The group lists its commands, and each explains itself."""
    listed = done(site.run("--help"))
    for name in ("work", "status", "push", "show", "run", "retry", "hurry", "cancel", "clear", "flush", "doctor"):
        assert name in listed
        assert "Usage:" in done(site.run(name, "--help"))


def test_a_progress_bar_on_a_terminal(site):
    """Long work shows a bar on a terminal."""
    site.manager.push_many([("noop", {})] * 1500)
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "flush", "--yes"],
        cwd=site.folder,
        env={**site.environment, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    written, _ = process.communicate(timeout=60)
    shown = os.read(main, 65536)
    os.close(main)
    assert b"1,500 jobs were deleted." in written
    assert b"Deleting" in shown
    assert b"100%" in shown


def test_a_closed_pipe_is_no_error(site):
    """`flask queues show | head -1` ends without a traceback."""
    job = site.push("noop")
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "sample", "queues", "status", "--watch"],
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert b"Traceback" not in errors
    assert site.status(job) is Status.PENDING
