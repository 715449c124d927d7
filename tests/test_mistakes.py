"""What beginners do wrong is told in a sentence that says what to do instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import ConfigError, Job, OptionError, PayloadError, Queues, ScheduleError, UnknownJobType
from flask_queues.doctor import at_start, examine
from tests.support.site import eventually


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return Flask("shop", instance_path=str(tmp_path))


@pytest.fixture
def queues(app: Flask) -> Iterator[Queues]:
    """Of an application with one job type."""
    queues = Queues(app)

    @queues.job("shop:mail")
    def mail(to: str) -> None: ...

    queues.mail = mail  # type: ignore[attr-defined]
    yield queues
    assert queues.counts().cells == {}


def test_arguments_of_a_push_have_names(queues: Any) -> None:
    """A payload in its place, as `queues.push` has it, and arguments as in a call."""
    for push in (queues.mail.push, queues.mail.using(priority=1).push):
        with pytest.raises(PayloadError, match=r"shop:mail: .* by name, as in push\(to=1\)"):
            push({"to": "ada@example.org"})
    with pytest.raises(PayloadError, match="by name"):
        queues.mail.later(60, "ada@example.org")


def test_what_is_no_option_may_be_meant_as_payload(queues: Any) -> None:
    """`queues.push` takes a dict, where a function job takes names."""
    with pytest.raises(OptionError, match=r"There is no option 'to'; .* goes into its payload, a dict"):
        queues.push(queues.mail, to="ada@example.org")


def unregistered(to: str) -> None: ...


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("shop:mial", "The job type shop:mial is not registered; .* Did you mean shop:mail\\?"),
        ("garden:water", "The job type garden:water is not registered; .* before the application starts\\.$"),
        (Job, "The job type Job is not registered"),
        (unregistered, "<function unregistered .* is no job: push a type string, .* or a function with @queues.job"),
        ({"to": "x"}, "is no job: push a type string"),
    ],
)
def test_what_is_no_job_type_is_named_with_what_would_be(queues: Queues, job: Any, said: str) -> None:
    """A misspelt type with the right one."""
    with pytest.raises(UnknownJobType, match=said):
        queues.push(job, {"to": "ada@example.org"})


def test_a_subclass_that_has_its_parents_type_is_told_so(queues: Any) -> None:
    """It is not registered, and its type is."""

    class Parent(Job):
        type = "shop:parent"

        def handle(self) -> None: ...

    class Child(Parent): ...

    queues.register(Parent)
    with pytest.raises(UnknownJobType, match=r"Child is not registered; its type .* is that of .*Parent\. Give"):
        queues.push(Child)


def test_a_job_that_needs_arguments_to_be_made_is_refused(queues: Any) -> None:
    """A worker has none: what a job is about is its payload."""

    class Mail(Job):
        type = "shop:letter"

        def __init__(self, to: str) -> None: ...

        def handle(self) -> None: ...

    with pytest.raises(ConfigError, match=r"Mail cannot be made without arguments .*'to'.* arguments of handle\."):
        queues.register(Mail)


@pytest.mark.parametrize("push", ["push_many", "batch", "chain"])
def test_what_is_no_pair_of_job_and_payload_is_told_so(queues: Any, push: str) -> None:
    """Wherever many are pushed."""
    with pytest.raises(OptionError, match=r"\('shop:mail',\): .* a job, or a pair \(job, payload\)"):
        getattr(queues, push)([("shop:mail",)]).push()


def test_a_misspelt_option_is_told_which_was_meant(queues: Any) -> None:
    """Of a push, and of a job type."""
    with pytest.raises(OptionError, match=r"There is no option 'dely' \(did you mean 'delay'\?\); a push takes"):
        queues.push("shop:mail", {"to": "ada@example.org"}, dely=3)
    with pytest.raises(ConfigError, match=r"there is no option 'tires' \(did you mean 'tries'\?\); a job type takes"):
        queues.job("shop:other", tires=3)(unregistered)


def test_a_decorator_without_its_type_is_refused(queues: Any) -> None:
    """`@queues.job` alone would leave something that is never registered, without a word."""
    with pytest.raises(ConfigError, match=r'it takes a type string: @queues\.job\("shop:mail"\)'):

        @queues.job
        def forgotten() -> None: ...


def test_a_schedule_is_not_made_by_a_request(app: Flask, queues: Any) -> None:
    """No worker would know of it; one made at run time is stored."""

    @app.post("/every-day")
    def every_day() -> str:
        with pytest.raises(ScheduleError, match=r"Make a schedule at run time with queues\.scheduler\.add\(\)"):
            queues.schedule("@daily", "shop:mail", {"to": "ada@example.org"})
        queues.scheduler.add("@daily", "shop:mail", {"to": "ada@example.org"}, name="stored")
        return "ok"

    assert app.test_client().post("/every-day").text == "ok"
    assert [schedule.name for schedule in queues.manager.storage.schedules()] == ["stored"]


def test_a_schedule_is_made_in_the_context_of_a_request_that_a_test_has_pushed(app: Flask, queues: Any) -> None:
    """As the fixtures of pytest-flask do it around every test."""
    with app.test_request_context():
        queues.schedule("@daily", "shop:mail", {"to": "ada@example.org"})

    assert queues.scheduler.next("shop:mail")


@pytest.mark.parametrize("key", ["QUEUES_PROCESSES", "QUEUES_FOO"])
def test_no_far_key_is_proposed_for_one_that_is_none(tmp_path: Path, key: str) -> None:
    """That all of them begin alike makes none of them near."""
    with pytest.raises(ConfigError, match=r"is not a setting of Flask-Queues\.$"):
        Queues(app_with(tmp_path, key))


def test_a_key_that_is_set_too_late_is_named(app: Flask, queues: Any) -> None:
    """After `Queues(app)`; so is one that was taken out again."""
    assert "config-late" not in [one.code for one in examine(queues.manager)]
    app.config["QUEUES_TRIES"] = 5
    app.config["QUEUES_CACHE_TYPE"] = "RedisCache"

    [late] = [one for one in at_start(queues.manager) if one.code == "config-late"]
    assert late.problem.endswith("without effect: QUEUES_CACHE_TYPE, QUEUES_TRIES.")
    assert "before Queues(app)" in late.fix
    assert late in examine(queues.manager)


def app_with(folder: Path, key: str) -> Flask:
    """An application with this key in its configuration."""
    app = Flask("shop", instance_path=str(folder))
    app.config[key] = 3
    return app


@pytest.mark.parametrize("command", [["queues", "status"], ["run", "--port", "1"], ["routes"]])
def test_a_wrong_configuration_is_a_sentence_in_the_terminal(tmp_path: Path, command: list[str]) -> None:
    """Not a traceback, whichever command has loaded the application."""
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom flask_queues import Queues\n"
        "app = Flask(__name__)\napp.config['QUEUES_TRYS'] = 3\nQueues(app)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "flask", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr == "Error: QUEUES_TRYS is not a setting of Flask-Queues. Did you mean QUEUES_TRIES?\n"


def test_a_worker_says_which_types_it_lacks_the_code_of(make_site: Any) -> None:
    """Once; a job whose module nobody imports raises no error anywhere."""
    site = make_site(SAMPLE_KNOWS_MORE=True)
    site.push("more")
    site.configure()

    worker = site.work("--json")
    eventually(lambda: "no worker that serves their queue knows it" in worker.text, what="A word of it")

    line = next(one for one in worker.lines if one.get("code") == "type-unknown")
    assert line["text"].startswith("1 job of type more: ")
    assert "Import the module" in line["text"]
    site.ended(site.push("noop"))
    assert json.dumps(worker.lines).count("type-unknown") == 1


def test_a_worker_says_nothing_of_types_that_another_one_knows(make_site: Any) -> None:
    """While old and new code run side by side."""
    site = make_site(SAMPLE_KNOWS_MORE=True)
    new = site.work("--processes", "1")
    site.push("more", delay=3600)
    site.configure()
    handle = site.push("noop")
    old = site.work("--processes", "1")
    site.ended(handle)

    assert "knows it" not in new.text + old.text
