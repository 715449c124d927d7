"""A link to one job: what its holder sees, and that nothing else is opened by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import render_template_string
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from flask_queues import ConfigError, JobNotFound, OptionError, Progress, Status, links, transitions
from flask_queues.panel.headers import POLICY

from .conftest import TOKEN, Shop

#: What no holder of a link is told.
INSIDE = ("secret", "said no", "12345", "Traceback", "ValueError", "host", "news", "q-nav", "/queues/jobs")
PANEL = ("/queues/jobs", "/queues/api/jobs", "/queues/jobs/{id}", "/queues/actions/cancel?id={id}")
MACRO = '{% from "flask_queues/job_state.html" import job_state %}{{ job_state(job, result=True, cancel=True) }}'


def link_of(shop: Shop, job_id: str, **options: Any) -> str:
    """The address as a view would hand it out."""
    with shop.flask.test_request_context():
        return shop.queues.link(job_id, **options)


def told(client: FlaskClient, link: str) -> dict[str, Any]:
    """What a program is told."""
    found: dict[str, Any] | None = client.get(f"{link}/json").json
    assert found is not None
    return found


def cancel(client: FlaskClient, link: str, **data: Any) -> TestResponse:
    """Press the button."""
    return client.post(f"{link}/cancel", data=data)


@contextmanager
def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    """Let time go by for whoever reads a token."""
    now = links.host_time()
    with monkeypatch.context() as patched:
        patched.setattr(links, "host_time", lambda: now + seconds)
        yield


def test_a_stranger_sees_how_the_job_stands(shop: Shop) -> None:
    """In every status, and again as JSON; under the policy of the panel, never cached."""
    for status, job_id in shop.one_of_each().items():
        link = link_of(shop, job_id)
        page = shop.client(None).get(link)
        assert page.status_code == 200
        assert f"q-is-{status.value}" in page.text
        assert "Send mail" in page.text
        assert ('http-equiv="refresh"' in page.text) is not status.final
        assert page.headers["Content-Security-Policy"] == POLICY
        assert page.headers["Cache-Control"] == "private, no-store"
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]+src=)", page.text)
        fields = told(shop.client(None), link)
        assert (fields["id"], fields["name"], fields["status"]) == (job_id, "Send mail", status.value)


def test_nothing_of_what_goes_on_inside_is_told(shop: Shop) -> None:
    """No payload, error, worker, queue, tag; no way into the panel; a result only where the link says so."""
    ids = [shop.failed(to="secret@example.org"), shop.completed('{"bytes": 12345}'), shop.running(to="secret@x.org")]
    for job_id in ids:
        link = link_of(shop, job_id, cancel=True)
        for address in (link, f"{link}/part", f"{link}/json"):
            text = shop.client(None).get(address).text
            for word in INSIDE:
                assert word not in text.replace("localhost", ""), (word, address)


def test_progress_and_result_are_shown_without_secrets(make_shop: Callable[..., Shop]) -> None:
    """Those of the type's sensitive fields, also where another text repeats them."""
    shop = make_shop()
    job_id = shop.pending(password="hunter2")
    claim = shop.claim()
    assert shop.manager.note(claim, Progress(40, "with hunter2"), [])
    link = link_of(shop, job_id, result=True)
    assert "hunter2" not in shop.client(None).get(link).text
    assert told(shop.client(None), link)["progress"]["percent"] == 40
    shop.settle(transitions.completed(claim, '{"token": "abcdef", "bytes": 12345}'))
    for address in (link, f"{link}/json"):
        text = shop.client(None).get(address).text
        assert "12345" in text
        assert "abcdef" not in text


def test_a_wrong_link_an_old_one_and_one_to_nothing_are_answered_alike(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """404 with the same words, to whoever asks, in whatever form, also where somebody cancels."""
    gone, here = shop.completed(), shop.pending()
    good, nowhere = link_of(shop, here, cancel=True), link_of(shop, gone, cancel=True)
    shop.manager.delete(gone)
    changed = good[:-9] + ("A" if good[-9] != "A" else "B") + good[-8:]  # not the last, which says but two bits
    foreign = good.replace(good.rsplit("/", 1)[1], signed_elsewhere(here))
    for name in (None, "anna"):
        client = shop.client(name)
        for suffix in ("", "/part", "/json"):
            texts = {client.get(f"{link}{suffix}").text for link in (changed, foreign, nowhere)}
            statuses = {client.get(f"{link}{suffix}").status_code for link in (changed, foreign, nowhere)}
            with later(monkeypatch, 7 * 86_400 + 1):
                old = client.get(f"{good}{suffix}")
            assert statuses == {404, old.status_code}
            assert len({re.sub(r"/links/[^\"/]+", "", text) for text in (*texts, old.text)}) == 1
        assert {cancel(client, link).status_code for link in (changed, foreign, nowhere)} == {404}
    assert shop.status(here) is Status.PENDING


def signed_elsewhere(job_id: str) -> str:
    """A token of another application."""
    from flask import Flask

    other = Flask("other")
    other.secret_key = "another"
    return links.sign(other, links.Link(job_id, True, True), 60)


@pytest.mark.parametrize("salt", [None, "password-reset"])
def test_what_the_application_signs_for_something_else_is_no_link(shop: Shop, salt: str | None) -> None:
    """Though the key is the same: whoever gets to sign a text of his own opens no job with it."""
    job_id = next(iter(shop.one_of_each().values()))
    assert links.read(shop.flask, links.sign(shop.flask, links.Link(job_id), 60)) == links.Link(job_id)
    key = str(shop.flask.secret_key)
    signer = URLSafeTimedSerializer(key) if salt is None else URLSafeTimedSerializer(key, salt=salt)
    token = signer.dumps([job_id, "rc", 60])
    assert links.read(shop.flask, str(token)) is None


def test_a_link_lasts_as_long_as_it_was_made_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A week where nothing is said; what the old key of the application signed is still read."""
    job_id = shop.pending()
    short, usual = link_of(shop, job_id, max_age=timedelta(hours=1)), link_of(shop, job_id)
    client = shop.client(None)
    with later(monkeypatch, 3590):
        assert client.get(short).status_code == 200
    with later(monkeypatch, 3602):
        assert client.get(short).status_code == 404
        assert client.get(usual).status_code == 200
    shop.flask.config["SECRET_KEY_FALLBACKS"] = [shop.flask.secret_key]
    shop.flask.secret_key = "new"
    assert client.get(usual).status_code == 200
    shop.flask.config["SECRET_KEY_FALLBACKS"] = None
    assert client.get(usual).status_code == 404


def test_only_who_may_cancels_and_only_this_job(shop: Shop) -> None:
    """With a POST; who comes too late is told how it ended."""
    job_id, other = shop.pending(), shop.pending()
    client = shop.client(None)
    read_only, full = link_of(shop, job_id), link_of(shop, job_id, cancel=True)
    assert "Cancel" not in client.get(read_only).text
    assert not told(client, read_only)["may_cancel"]
    assert cancel(client, read_only).status_code == 404
    assert client.get(f"{full}/cancel").status_code == 302  # to the login, like all that is not there
    assert "Cancel" in client.get(full).text
    assert shop.status(job_id) is Status.PENDING

    answer = cancel(client, full)
    assert (answer.status_code, answer.location) == (303, full)
    record = shop.manager.find(job_id)
    assert (record.status, record.reason) == (Status.CANCELLED, "cancelled through a link to it")
    assert cancel(client, full).status_code == 303
    assert "cancelled" in client.get(full).text
    assert shop.status(other) is Status.PENDING


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:x", "/a\nb"]
)
def test_the_way_back_never_leads_to_another_host(shop: Shop, back: str) -> None:
    link = link_of(shop, shop.pending(), cancel=True)
    assert cancel(shop.client(None), link, back=back).location == link


@pytest.mark.parametrize("what", PANEL)
def test_a_link_opens_nothing_else(shop: Shop, what: str) -> None:
    """Not even for who has just used it."""
    job_id = shop.pending()
    client = shop.client(None)
    assert client.get(link_of(shop, job_id, result=True, cancel=True)).status_code == 200
    method = "POST" if "actions" in what else "GET"
    assert client.open(what.format(id=job_id), method=method).status_code in (302, 401)
    assert shop.status(job_id) is Status.PENDING


def test_it_works_where_nobody_can_sign_in(make_shop: Callable[..., Shop]) -> None:
    """Without Flask-Login's manager, and with the application's own protection of forms."""
    shop = make_shop(login=False)
    CSRFProtect(shop.flask)
    job_id = shop.pending()
    client, link = shop.flask.test_client(), link_of(shop, job_id, cancel=True)

    found = TOKEN.search(client.get(link).text)
    assert found is not None
    assert cancel(client, link).status_code == 400
    assert cancel(client, link, csrf_token=found[1]).status_code == 303
    assert shop.status(job_id) is Status.CANCELLED


def test_the_application_shows_a_job_in_its_own_page(shop: Shop) -> None:
    """With the macro: it knows where to look again, cancels, and comes back here; style and script come once."""
    second, gone, first = shop.completed('"Done it"'), shop.completed(), shop.pending()
    shop.manager.delete(gone)

    @shop.flask.get("/orders")
    def orders() -> str:
        jobs = [shop.queues.handle(first), shop.manager.find(second), gone]
        return "".join(render_template_string(MACRO, job=job) for job in jobs)

    client = shop.client("ben")
    text = client.get("/orders?page=2").text
    assert text.count("<script") == text.count("<link") == 1
    assert "Done it" in text
    assert "no longer there" in text
    shown = re.search(r'data-job-state="([^"]+)"', text)
    assert shown is not None
    part = client.get(shown[1].replace("&amp;", "&"))
    assert 'value="/orders?page=2"' in part.text
    assert "<script" not in part.text
    address = re.search(r'action="([^"]+)"', part.text)
    assert address is not None
    answer = client.post(address[1], data={"back": "/orders?page=2"})
    assert (answer.status_code, answer.location) == (303, "/orders?page=2")
    assert shop.status(first) is Status.CANCELLED


def test_the_start_of_a_waiting_job_is_told_by_its_place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of three starts when two have run; one that waits for its time starts then."""
    waiting = [shop.pending() for _ in range(3)]
    asked: list[int] = []

    def start_of(_self: Any, _queue: str, place: int) -> float:
        asked.append(place)
        return place * 10.0

    monkeypatch.setattr("flask_queues.metrics.Forecast.start_of", start_of)
    first, last = [told(shop.client(None), link_of(shop, job_id)) for job_id in (waiting[0], waiting[2])]
    assert asked[0] < asked[1] <= 3
    assert first["expected_start"] < last["expected_start"]
    assert "Starts in" in shop.client(None).get(link_of(shop, waiting[2])).text
    shop.manager.hurry(waiting[2])
    assert told(shop.client(None), link_of(shop, waiting[2]))["expected_start"] is not None
    assert asked[-1] == 1
    shop.manager.pause(type="shop:mail")
    assert told(shop.client(None), link_of(shop, waiting[2]))["expected_start"] is None
    shop.work()
    assert "its job type is paused" in shop.client().get(f"/queues/jobs/{waiting[2]}").text
    shop.manager.resume(type="shop:mail")

    delayed = told(shop.client(None), link_of(shop, shop.scheduled()))
    assert delayed["expected_start"] > last["expected_start"]


def test_a_link_can_be_made_where_its_address_is_known(make_shop: Callable[..., Shop]) -> None:
    """Outside of a request with SERVER_NAME; by handle, record and id; what cannot be is said."""
    shop = make_shop()
    handle = shop.mail.push(to="ada@example.org")
    with pytest.raises(ConfigError, match="SERVER_NAME"):
        handle.link()
    with shop.flask.test_request_context():
        assert handle.link().startswith("/queues/links/")
        assert shop.queues.link(shop.manager.find(handle.id)).startswith("/queues/links/")
        assert handle.link(external=True).startswith("http://localhost/queues/links/")
        with pytest.raises(JobNotFound):
            shop.queues.link("nonsense")
        with pytest.raises(OptionError, match="max_age"):
            handle.link(max_age=0)
        shop.flask.secret_key = None
        with pytest.raises(ConfigError, match="SECRET_KEY"):
            handle.link()
    named = make_shop(SERVER_NAME="shop.example", PREFERRED_URL_SCHEME="https")
    assert named.mail.push(to="ada@example.org").link().startswith("https://shop.example/queues/links/")
