"""A queue is emptied from its page, after its name was typed."""

from __future__ import annotations

import pytest

from flask_queues import Status

from .conftest import Shop, post

ADDRESS = "/queues/queues/mail/empty"


def test_a_queue_is_emptied_of_what_waits(shop: Shop) -> None:
    """What has ended stays, and so does what is in another queue; who did it is kept."""
    failed, running = shop.failed(), shop.running()
    waiting = [shop.pending(), shop.scheduled()]
    other = shop.resize.push().id
    client = shop.client()
    asked = client.get(ADDRESS).text
    assert "that wait or are scheduled (2)" in asked
    assert "all but those that run (3)" in asked
    answer = post(client, ADDRESS, which="waiting", typed=" mail ")
    assert (answer.status_code, answer.location) == (303, "/queues/queues")
    assert "2 jobs were deleted." in client.get("/queues/queues").text
    assert [record.id for record in shop.manager.every() if record.id in waiting] == []
    assert shop.status(failed) is Status.FAILED
    assert shop.status(running) is Status.RUNNING
    assert shop.status(other) is Status.PENDING
    (act,) = shop.manager.acts_on("queue", "mail")
    assert (act.who, act.action, act.number) == ("anna", "flush", 2)


def test_all_but_what_runs_goes_where_that_was_chosen(shop: Shop) -> None:
    """Also what has ended."""
    jobs = shop.one_of_each()
    assert post(shop.client(), ADDRESS, which="all", typed="mail").status_code == 303
    assert [record.id for record in shop.manager.every()] == [jobs[Status.RUNNING]]


def test_another_name_empties_nothing(shop: Shop) -> None:
    """It is asked again, and says why, at the field."""
    job_id = shop.pending()
    answer = post(shop.client(), ADDRESS, which="all", typed="Mail")
    assert answer.status_code == 422
    assert 'aria-describedby="q-wrong"' in answer.text
    assert shop.status(job_id) is Status.PENDING


def test_who_may_only_read_is_not_asked(shop: Shop) -> None:
    """Neither is anybody asked about a queue that is not there."""
    shop.pending()
    assert "Empty the queue" in shop.client().get("/queues/queues/mail").text
    assert "Empty the queue" not in shop.client("rita").get("/queues/queues/mail").text
    assert shop.client("rita").get(ADDRESS).status_code == 303
    assert shop.client().get("/queues/queues/nowhere/empty").status_code == 404


def test_what_one_request_has_no_time_for_is_left_and_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a page answers, however long the line is."""
    monkeypatch.setattr("flask_queues.panel.emptying.LONGEST", 0.0)
    monkeypatch.setattr("flask_queues.manager.PURGE_SLICE", 1)
    for _ in range(3):
        shop.pending()
    client = shop.client()
    post(client, ADDRESS, typed="mail")
    assert "More are left than one request has time for" in client.get("/queues/queues").text
    assert shop.manager.counts().statuses["pending"] == 2
