"""The id of a request and its language go with the jobs that are pushed in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import click
import pytest
from flask import Flask, g, request
from flask_babel import Babel, format_date, get_locale

from flask_queues import Job, Queues, Status, current_job
from flask_queues.manager import Manager
from tests.support.runs import run_next

#: What runs found.
found: list[Any] = []


class Look(Job):
    type = "t:look"
    tries = 1

    def handle(self, wrong: bool = False) -> None:
        look()
        if wrong:
            raise ValueError

    def failed(self, exception: BaseException) -> None:
        look()


class Parent(Job):
    type = "t:parent"

    def handle(self) -> None:
        queues.push(Look)


class Say(Job):
    type = "t:say"

    def handle(self) -> None:
        found.append(format_date(date(2026, 12, 1), "MMMM"))


def look() -> None:
    """Note what a job has of the request in which it was pushed."""
    found.append((current_job.request_id, g.get("request_id"), str(get_locale())))


queues = Queues()
queues.register(Look, Parent, Say)


def choose_locale() -> str | None:
    """As an application does: what the browser wants, which only a request knows."""
    return request.accept_languages.best_match(["de", "pt_BR"], "en")


@pytest.fixture(autouse=True)
def nothing_found() -> None:
    found.clear()


@pytest.fixture
def site(tmp_path) -> Iterator[Flask]:
    site = Flask("site", instance_path=str(tmp_path))
    queues.init_app(site)
    yield site
    site.extensions["queues"].storage.close()


@pytest.fixture
def babel(site: Flask) -> Babel:
    return Babel(site, locale_selector=choose_locale, default_locale="en")


@pytest.fixture
def manager(site: Flask) -> Manager:
    manager: Manager = site.extensions["queues"]
    return manager


def push_in_request(site: Flask, job: type[Job] = Look, payload: dict[str, Any] | None = None, **headers: str) -> str:
    """Push in a request with these headers; returns the job's id."""
    with site.test_request_context(headers={name.replace("_", "-"): value for name, value in headers.items()}):
        return queues.push(job, payload).id


def test_a_job_has_the_id_and_the_language_of_its_request(site, babel, manager):
    """In `current_job`, in `g` and for Flask-Babel; in the job and in its `failed`."""
    job = push_in_request(site, payload={"wrong": True}, X_Request_ID="r-1", Accept_Language="de")
    assert run_next(manager).status is Status.FAILED
    assert found == [("r-1", "r-1", "de")] * 2
    record = manager.find(job)
    assert (record.request_id, record.locale) == ("r-1", "de")


def test_formats_are_of_that_language(site, babel, manager):
    """Whatever Flask-Babel does in the job; nothing of it is left for the next."""
    for language in ("de", "pt-BR", "en"):
        push_in_request(site, Say, Accept_Language=language)
        assert run_next(manager).status is Status.COMPLETED
    assert found == ["Dezember", "dezembro", "December"]


def test_a_job_that_a_job_pushes_has_both_as_well(site, babel, manager):
    """So that what one request causes can be found by its id."""
    push_in_request(site, Parent, X_Request_ID="r-1", Accept_Language="pt-BR")
    run_next(manager)
    run_next(manager)
    assert found == [("r-1", "r-1", "pt_BR")]


def test_the_applications_own_id_comes_first(site, manager):
    """`g.request_id`, a text or a UUID, outside of requests too."""
    number = uuid.uuid4()
    with site.test_request_context(headers={"X-Request-ID": "of the header"}):
        g.request_id = number
        first = queues.push(Look)
    with site.app_context():
        g.request_id = "by hand"
        second = queues.push(Look)
    assert (first.record.request_id, second.record.request_id) == (str(number), "by hand")


@pytest.mark.parametrize("wrong", ["", "x" * 129, "a\x9b31m", "a\x85b", 7, object()])
def test_what_is_no_id_is_left_where_it_is(site, manager, wrong):
    """A header is anybody's word: one that is too long, or paints terminals, keeps no push from being made."""
    with site.test_request_context(headers={"X-Request-ID": wrong} if isinstance(wrong, str) else {}):
        if not isinstance(wrong, str):
            g.request_id = wrong
        assert queues.push(Look).record.request_id is None


def test_a_job_that_was_pushed_elsewhere_has_none(site, babel, manager):
    """Neither id nor language, and nor do the jobs that it pushes."""
    handle = manager.push(Parent)
    with site.app_context():
        assert queues.push(Say).record.request_id is None
    assert (handle.record.request_id, handle.record.locale) == (None, None)
    run_next(manager)
    [pushed] = manager.every(type="t:look")
    assert (pushed.request_id, pushed.locale) == (None, None)


def test_without_flask_babel_there_is_no_language(site, manager):
    """The request's id goes with the job all the same."""
    job = push_in_request(site, X_Request_ID="r-1", Accept_Language="de")
    assert (manager.find(job).request_id, manager.find(job).locale) == ("r-1", None)


def test_a_locale_selector_that_fails_keeps_nobody_from_pushing(site, manager, caplog):
    """The job has no language then, and the log says why."""

    def broken() -> str:
        raise RuntimeError("the selector's own")

    Babel(site, locale_selector=broken)
    job = push_in_request(site, X_Request_ID="r-1")
    assert (manager.find(job).request_id, manager.find(job).locale) == ("r-1", None)
    assert "the selector's own" in caplog.text


def test_a_language_that_is_not_known_here_fails_no_job(site, manager, monkeypatch, caplog):
    """Such as one of a newer Babel where it was pushed."""
    Babel(site, default_locale="de")
    monkeypatch.setattr("flask_queues.pushing.origin.locale_here", lambda: "xx_XX")
    push_in_request(site)
    assert run_next(manager).status is Status.COMPLETED
    assert found == [(None, None, "de")]
    assert "xx_XX is not known here" in caplog.text


def test_options_of_the_push_hold_beside_them(site, babel, manager):
    """What is carried and what the push said are kept together."""
    with site.test_request_context(headers={"X-Request-ID": "r-1", "Accept-Language": "de"}):
        record = queues.push(Look, tries=7, backoff=[1, 2]).record
        many = queues.push_many([(Look, {})] * 2, tries=7)
    assert (record.tries, record.backoff, record.request_id, record.locale) == (7, (1, 2), "r-1", "de")
    assert [one.record.request_id for one in many] == ["r-1", "r-1"]


def test_a_schedule_carries_nothing_of_whoever_made_it(site, babel, manager):
    """Its jobs are pushed by workers, for ever."""
    with site.test_request_context(headers={"X-Request-ID": "r-1", "Accept-Language": "de"}):
        manager.scheduler.add("@daily", Look, name="daily", tries=7)
        manager.scheduler.change("daily", when="@hourly")
    record = manager.find(manager.scheduler.run("daily"))
    assert (record.tries, record.request_id, record.locale) == (7, None, None)


def test_a_job_pushed_again_is_of_the_request_that_pushes_it_again(site, babel, manager):
    """The old one keeps its own."""
    old = push_in_request(site, X_Request_ID="r-1")
    run_next(manager)
    with site.test_request_context(headers={"X-Request-ID": "r-2"}):
        new = manager.push_again(old)
    assert (manager.find(old).request_id, new.record.request_id) == ("r-1", "r-2")


def test_people_see_both(site, babel, manager):
    """At the terminal, as text and as JSON."""
    job = push_in_request(site, X_Request_ID="r-1", Accept_Language="de")
    runner = site.test_cli_runner()
    text = runner.invoke(args=["queues", "show", job]).output
    assert "Request   r-1" in text
    assert "Language  de" in text
    assert '"request_id": "r-1"' in runner.invoke(args=["queues", "show", job, "--json"]).output


def origin_of(manager: Manager, job_id: str) -> str:
    """What the record tells of its push."""
    origin = manager.find(job_id).origin
    assert origin is not None
    return f"{origin.kind} {origin.name}"


def test_a_job_tells_the_route_of_its_request(site, manager):
    """Not what stands in its place, nor the query: either may be secret. Of an address without a route nothing."""
    site.add_url_rule("/reset/<token>", "reset", lambda token: queues.push(Look).id, methods=["POST"])
    job = site.test_client().post("/reset/hunter22?key=hunter22").text
    assert origin_of(manager, job) == "request POST /reset/<token>"
    assert origin_of(manager, push_in_request(site)) == "request "


def test_a_job_tells_which_job_pushed_it(site, manager):
    """Within a request of that job, as tests of an application make them, too."""
    parent = push_in_request(site, Parent)
    run_next(manager)
    [child] = manager.jobs_of(type="t:look").jobs
    assert origin_of(manager, child.id) == f"job {parent}"


@pytest.mark.parametrize(
    ("script", "name"),
    [("/srv/shop/import.py", "import.py"), ("/v/pytest/__main__.py", "pytest"), ("-c", "python"), ("", "python")],
)
def test_outside_of_all_that_the_program_is_told(site, manager, monkeypatch, script, name):
    """Without its folder; in an application context or without one."""
    monkeypatch.setattr("sys.argv", [script, "--password=hunter22"])
    assert origin_of(manager, manager.push(Look).id) == f"program {name}"
    with site.app_context():
        assert origin_of(manager, manager.push(Look).id) == f"program {name}"


def test_a_command_is_told_without_its_arguments(site, manager):
    """Ours as those of the application."""

    @site.cli.command("import")
    @click.argument("password")
    def import_(password: str) -> None:
        click.echo(queues.push(Look).id)

    job = site.test_cli_runner().invoke(args=["import", "hunter22"]).output.strip()
    assert origin_of(manager, job) == f"command {site.name} import"


def test_an_occurrence_tells_its_schedule(site, manager):
    """Whatever has fired it."""
    manager.scheduler.add("@daily", Look, name="every day")
    assert origin_of(manager, manager.scheduler.run("every day")) == "schedule every day"


def test_a_job_that_is_pushed_again_tells_like_which(site, manager):
    """Wherever it is pushed."""
    old = push_in_request(site)
    run_next(manager)
    assert origin_of(manager, manager.push_again(old).id) == f"again {old}"


def test_many_jobs_tell_it_each(site, manager):
    """Those of one push, those of a batch and the links of a chain."""
    with site.test_request_context("/"):
        many = [one.id for one in queues.push_many([(Look, {})] * 2, tries=7)]
        chain = queues.chain([Look, Look]).push()
        batch = queues.batch([Look, Look]).then(Look).push()
    assert {origin_of(manager, one.id) for one in manager.jobs_of().jobs} == {"request "}
    assert {*many, chain.id} < {one.id for one in manager.jobs_of().jobs}
    assert len(manager.jobs_of().jobs) == 5, batch


def test_people_see_what_pushed_a_job(site, manager):
    """At the terminal, as text and as JSON."""
    job = push_in_request(site, Parent)
    run_next(manager)
    [child] = manager.jobs_of(type="t:look").jobs
    runner = site.test_cli_runner()
    assert f"By        job {job}" in runner.invoke(args=["queues", "show", child.id]).output
    told = json.loads(runner.invoke(args=["queues", "show", child.id, "--json"]).output)
    assert told["origin"] == {"kind": "job", "name": job}
