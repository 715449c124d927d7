"""The panel is closed: who is let in, and to what, for every route and method."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from flask_queues import Queues
from flask_queues.panel.asked import FOR_HOLDERS, FOR_MONITORING

from .conftest import Shop, token_of

LIVE = {"X-Queues-Live": "1"}
#: What anybody may have: our own style and script, with nothing of the application in it.
PUBLIC = {"queues.static"}
#: A reader may choose a language and a theme.
FOR_READERS = {"queues.set_preferences"}


def requests_of(flask: Flask, job_id: str) -> Iterator[tuple[Rule, str, str]]:
    """Every route of the panel with every method, and an address that leads there."""
    values = {"job_id": job_id, "name": "retry", "_anything": "no/such/page", "filename": "panel.css", "what": "run"}
    values |= {
        "schedule": "nightly",
        "key": "0123456789abcdef",
        "batch_id": job_id,
        "token": "made-up.token",
        "link": job_id,
    }
    for rule in flask.url_map.iter_rules():
        if not rule.endpoint.startswith("queues."):
            continue
        arguments = {name: values[name] for name in rule.arguments}
        if rule.endpoint in ("queues.queue", "queues.api_queue"):
            arguments["name"] = "mail"
        built = flask.url_map.bind("localhost").build(rule.endpoint, arguments, append_unknown=False)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield rule, method, built


def test_every_route_is_closed_to_strangers(shop: Shop) -> None:
    """A page leads to the application's login, anything else is 401: JSON, live regions, changes."""
    client = shop.client(None)
    seen = set()
    for rule, method, address in requests_of(shop.flask, shop.failed()):
        if rule.endpoint in PUBLIC:
            continue
        seen.add(rule.endpoint)
        answer = client.open(address, method=method, buffered=True)
        if rule.endpoint in FOR_HOLDERS:
            assert answer.status_code == 404, (rule, method)
            continue
        for_programs = rule.endpoint.startswith("queues.api_") or rule.endpoint in FOR_MONITORING
        if method in ("GET", "HEAD") and not for_programs:
            assert answer.status_code == 302, (rule, method)
            assert answer.location.startswith("/sign-in?next="), (rule, method)
        else:
            assert answer.status_code == 401, (rule, method)
        assert client.open(address, method=method, buffered=True, headers=LIVE).status_code == 401, (rule, method)
    assert {"queues.list_failed", "queues.job", "queues.api_job", "queues.act", "queues.nothing"} <= seen


def test_every_route_is_closed_to_people_who_are_no_admins(shop: Shop) -> None:
    """403, whatever they ask for and in whatever form, and nothing is told."""
    client = shop.client("ben")
    job_id = shop.failed()
    for rule, method, address in requests_of(shop.flask, job_id):
        if rule.endpoint in PUBLIC:
            continue
        for headers in ({}, LIVE):
            answer = client.open(address, method=method, buffered=True, headers=headers)
            assert answer.status_code == (404 if rule.endpoint in FOR_HOLDERS else 403), (rule, method)
            assert "shop:mail" not in answer.text
            assert "Send mail" not in answer.text
            assert "q-nav" not in answer.text


def test_a_reader_sees_every_page_and_changes_nothing(shop: Shop) -> None:
    """`QUEUES_ADMIN` answered "read": no button, and no way around it."""
    client = shop.client("rita")
    job_id = shop.failed()
    shop.work()
    token = token_of(client)
    for rule, method, address in requests_of(shop.flask, job_id):
        answer = client.open(
            address, method=method, data={"csrf_token": token} if method == "POST" else None, buffered=True
        )
        if method in ("GET", "HEAD") or rule.endpoint in PUBLIC:
            assert answer.status_code in (200, 302, 303, 404), (rule, method)
        elif rule.endpoint in FOR_HOLDERS:
            assert answer.status_code == 404, (rule, method)
        elif rule.endpoint in FOR_READERS:
            assert answer.status_code == 303
        else:
            assert answer.status_code == 403, (rule, method)
    for page in ("/queues/failed/jobs", f"/queues/jobs/{job_id}"):
        text = client.get(page).text
        assert "Send mail" in text
        for word in ("Retry", "Delete", "formaction", 'form="q-', "checkbox"):
            assert word not in text


def test_an_admin_is_let_in_everywhere(shop: Shop) -> None:
    """No route is so closed that nobody has it."""
    client = shop.client("anna")
    shop.work()
    for rule, method, address in requests_of(shop.flask, shop.failed()):
        if method in ("GET", "HEAD"):
            assert client.open(address, method=method, buffered=True).status_code in (200, 302, 303, 404), (
                rule,
                method,
            )


def test_no_get_changes_anything(shop: Shop) -> None:
    """Whatever is read, every job stays as it was."""
    jobs = shop.one_of_each()
    client = shop.client()
    before = {job_id: shop.manager.find(job_id) for job_id in jobs.values()}
    for rule, method, address in requests_of(shop.flask, jobs[next(iter(jobs))]):
        if method == "GET" and rule.endpoint not in PUBLIC:
            for name in ("retry", "run", "push", "cancel", "delete"):
                client.get(address.replace("retry", name), query_string={"all": 1, "status": "failed", "id": "x"})
    assert {job_id: shop.manager.find(job_id) for job_id in jobs.values()} == before


@pytest.mark.parametrize("answer", [False, None, 0, 2, "", "no", "ALL", "none", [], ["admin"], object()])
def test_any_answer_but_the_known_ones_is_a_refusal(make_shop: Callable[..., Shop], answer: Any) -> None:
    """A text such as "no" is true in Python, and opens nothing here."""
    assert make_shop(QUEUES_ADMIN=lambda: answer).client().get("/queues/jobs").status_code == 403


@pytest.mark.parametrize("answer", [True, 1, "all", "read"])
def test_the_known_answers_open_the_panel(make_shop: Callable[..., Shop], answer: Any) -> None:
    assert make_shop(QUEUES_ADMIN=lambda: answer).client().get("/queues/jobs").status_code == 200


def test_an_exception_is_a_refusal(make_shop: Callable[..., Shop], caplog: pytest.LogCaptureFixture) -> None:
    """And stands in the log, so that somebody can repair it."""

    def broken() -> bool:
        raise RuntimeError("the database is down")

    with caplog.at_level(logging.ERROR, "flask_queues"):
        assert make_shop(QUEUES_ADMIN=broken).client().get("/queues/jobs").status_code == 403
    assert "QUEUES_ADMIN failed" in caplog.text


def test_a_user_who_cannot_be_loaded_is_refused(shop: Shop) -> None:
    """The panel does not fall over with the application's users."""
    client = shop.client()

    @shop.flask.login_manager.user_loader  # type: ignore[attr-defined]
    def broken(_id: str) -> None:
        raise RuntimeError("the database is down")

    assert client.get("/queues/jobs").status_code == 403


def test_without_arule_the_users_own_word_counts(make_shop: Callable[..., Shop]) -> None:
    """`is_admin` of the Flask-Login user."""
    shop = make_shop(QUEUES_ADMIN=None)
    assert shop.client("anna").get("/queues/jobs").status_code == 200
    assert shop.client("ben").get("/queues/jobs").status_code == 403


def test_a_stranger_is_refused_whatever_therule_says(make_shop: Callable[..., Shop]) -> None:
    """Who has not signed in cannot be an admin."""
    assert make_shop(QUEUES_ADMIN=lambda: True).client(None).get("/queues/api/jobs").status_code == 401


def test_without_a_login_manager_there_is_no_panel_but_a_sentence_why(make_shop: Callable[..., Shop]) -> None:
    """On every route alike."""
    shop = make_shop(login=False)
    for rule, method, address in requests_of(shop.flask, "x"):
        if rule.endpoint not in PUBLIC | FOR_HOLDERS:
            answer = shop.flask.test_client().open(address, method=method, buffered=True)
            assert answer.status_code == 503, (rule, method)
            assert method == "HEAD" or "login manager" in answer.text


@pytest.mark.parametrize("package", ["flask_login", "flask_wtf", "babel"])
def test_without_a_package_the_application_works_and_the_panel_says_what_is_missing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """Nothing of the extra `panel` is imported before somebody opens it."""
    monkeypatch.setattr("flask_queues.panel.access.find_spec", lambda name: None if name == package else name)

    assert shop.pending()
    answer = shop.flask.test_client().get("/queues/jobs")
    assert answer.status_code == 503
    assert "flask-queues-panel[panel]" in answer.text


def test_the_host_keeps_its_own_addresses(shop: Shop) -> None:
    """Outside the prefix nothing is ours, errors neither."""

    @shop.flask.errorhandler(404)
    def lost(_error: Exception) -> tuple[str, int]:
        return "the shop's own page", 404

    assert shop.client().get("/nothing").text == "the shop's own page"
    assert "Not found" in shop.client().get("/queues/nothing").text


def test_several_applications_have_a_panel_each(make_shop: Callable[..., Shop]) -> None:
    """In one process, with one extension and other prefixes."""
    first, second = make_shop(), make_shop(QUEUES_URL_PREFIX="/admin/jobs")
    mine = first.pending(to="first@example.org")
    other = Flask("third", instance_path=first.flask.instance_path + "-third")
    Queues(other)

    assert f"/queues/jobs/{mine}" in first.client().get("/queues/jobs").text
    text = second.client().get("/admin/jobs/jobs").text
    assert mine not in text
    assert 'href="/admin/jobs/failed"' in text
    assert "/queues/" not in text
    assert other.test_client().get("/queues/jobs").status_code == 503
