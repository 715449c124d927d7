"""Who did what, and queues that are paused: in the panel and at the terminal."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_queues import Status

from .conftest import Shop, post


def acts(shop: Shop, **query: Any) -> list[tuple[str, str, str, str, int]]:
    """What the JSON tells of the activity."""
    found = shop.client().get("/queues/api/activity", query_string=query).get_json()["acts"]
    return [(act["who"], act["action"], act["kind"], act["name"], act["number"]) for act in found]


def test_every_change_in_the_panel_is_noted(shop: Shop) -> None:
    """Who, what, on what, how many; what changed nothing is not."""
    client = shop.client()
    one, two, three = (shop.failed() for _ in range(3))
    waiting = shop.pending()
    shop.schedule()
    post(client, "/queues/actions/retry", id=one)
    post(client, "/queues/actions/delete", id=[two, three])
    post(client, "/queues/actions/cancel", all="1", status="pending", queue="mail", seen="9")
    post(client, "/queues/actions/schedule/pause?schedule=bericht")
    post(client, "/queues/actions/queue/pause", queue="mail", reason="provider is down")
    post(client, "/queues/actions/delete", id="none")
    assert shop.status(waiting) is Status.CANCELLED
    assert acts(shop) == [
        ("anna", "pause", "queue", "mail", 0),
        ("anna", "pause", "schedule", "bericht", 0),
        ("anna", "cancel", "jobs", "queue:mail", 3),
        ("anna", "delete", "jobs", "", 2),
        ("anna", "retry", "job", one, 1),
    ]
    text = client.get("/queues/activity").text
    assert "provider is down" in text
    assert f"/queues/jobs/{one}" in text


def test_changes_at_the_terminal_are_noted_too(shop: Shop) -> None:
    """With the user and the machine."""
    failed, waiting = shop.failed(), shop.pending()
    runner = shop.flask.test_cli_runner()
    for command in (
        ["retry", failed], ["cancel", waiting], ["pause", "mail", "--reason", "moving"], ["resume", "mail"],
        ["flush", "--yes"],
    ):  # fmt: skip
        assert runner.invoke(args=["queues", *command]).exit_code == 0, command
    found = acts(shop)
    assert [act[1:] for act in found] == [
        ("flush", "jobs", "", 2),
        ("resume", "queue", "mail", 0),
        ("pause", "queue", "mail", 0),
        ("cancel", "job", waiting, 1),
        ("retry", "job", failed, 1),
    ]
    assert "@" in found[0][0]


def test_the_activity_is_filtered_and_paged(shop: Shop) -> None:
    """By person and action; the filter stands in the links."""
    for n in range(60):
        shop.manager.note_act("otto", "retry", "job", f"j{n}", 1)
    shop.manager.note_act("anna", "delete", "job", "x", 1)
    assert [act[0] for act in acts(shop, action="delete")] == ["anna"]
    assert len(acts(shop, who="otto")) == 50
    assert [act[3] for act in acts(shop, who="otto", before=50)] == [f"j{n}" for n in range(9, -1, -1)]
    text = shop.client().get("/queues/activity?who=otto").text
    assert "before=50&amp;who=otto" in text
    assert "Nothing matches the filter." in shop.client().get("/queues/activity?who=nobody").text


def test_nobody_has_changed_anything_at_first(shop: Shop) -> None:
    """Which is said."""
    assert "Nobody has changed anything." in shop.client().get("/queues/activity").text


def test_a_paused_queue_says_so_wherever_its_jobs_stand(shop: Shop) -> None:
    """By whom, why, until when; and is resumed there."""
    client = shop.client()
    job = shop.pending()
    failed_later = shop.scheduled()
    answer = post(client, "/queues/actions/queue/pause", queue="mail", reason="provider <b>is</b> down", seconds="3600")
    assert answer.status_code == 303
    assert "mail is paused" in client.get("/queues/jobs").text
    (pause,) = shop.manager.pauses()
    assert (pause.queue, pause.by, pause.reason) == ("mail", "anna", "provider <b>is</b> down")
    assert pause.until is not None
    for page in ("/jobs", "/scheduled", "/queues", "/queues/mail", f"/jobs/{job}", f"/jobs/{failed_later}"):
        text = client.get(f"/queues{page}").text
        assert "paused by anna, until " in text, page
        assert "provider &lt;b&gt;is&lt;/b&gt; down" in text, page
        assert "<b>is" not in text, page
    assert 'name="resume:queue" value="mail"' in client.get("/queues/queues").text
    post(client, "/queues/actions", **{"resume:queue": "mail"})
    assert shop.manager.pauses() == []
    assert "paused by" not in client.get("/queues/jobs").text


@pytest.mark.parametrize("data", [{}, {"queue": "mail", "type": "shop:mail"}, {"queue": "a b\x00"}])
def test_a_pause_of_nothing_is_refused(shop: Shop, data: dict[str, str]) -> None:
    """It names a queue or a job type, and both must be possible names."""
    assert post(shop.client(), "/queues/actions/queue/pause", **data).status_code in (400, 404)
    assert shop.manager.pauses() == []


def test_a_job_type_is_paused_in_the_panel(shop: Shop) -> None:
    """In every queue."""
    client = shop.client()
    post(client, "/queues/actions/queue/pause", type="shop:mail")
    (pause,) = shop.manager.pauses()
    assert (pause.queue, pause.type) == (None, "shop:mail")
    post(client, "/queues/actions/queue/resume", type="shop:mail")
    assert shop.manager.pauses() == []


@pytest.mark.parametrize("before", ["9" * 19, "9" * 400, "9" * 5000, "-1"])
def test_no_page_of_the_activity_is_too_far(shop: Shop, before: str) -> None:
    """An address that no page of ours made is answered, too."""
    shop.manager.note_act("anna", "retry", "job", "x")
    for path in ("activity", "api/activity"):
        assert shop.client().get(f"/queues/{path}?before={before}").status_code == 200


def test_the_columns_tell_when_who_what_on_what_how_many_and_what_changed(shop: Shop) -> None:
    """In this order; each line has an id of its own, so that the script tells a new one from those that are there."""
    shop.manager.note_act("otto", "change", "job", "j1", reason='to: "a" → "b"')
    shop.manager.note_act("anna", "delete", "jobs", "queue:mail", 3)
    page = shop.client().get("/queues/activity").text
    head = page[page.index("<thead>") : page.index("</thead>")]
    assert re.findall(r'scope="col"[^>]*>([^<]+)', head) == [
        "When", "Who", "Action", "On", "How many", "Before → after",
    ]  # fmt: skip
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr id=.*?</tr>", page, re.DOTALL)]
    assert [row[-5:] for row in rows] == [
        ["anna", "Delete", "Jobs", "queue:mail", "3"], ["j1", "to:", "&#34;a&#34;", "→", "&#34;b&#34;"],
    ]  # fmt: skip
    ids = re.findall(r'<tr id="([^"]+)"', page)
    assert len(set(ids)) == 2
    assert not any(" " in one for one in ids)
    assert 'id="q-newer"' in page
