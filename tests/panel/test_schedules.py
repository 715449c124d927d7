"""The schedules' pages: what is due, what became of it; run now, pause, resume."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flask_queues import Status, transitions
from flask_queues.panel.schedules import clocks_note
from flask_queues.storage.values import Occurrence

from .conftest import Shop, post

XSS = "<script>alert(1)</script>"


@pytest.fixture
def scheduled(shop: Shop) -> Shop:
    """A shop with two schedules, one of them defined in its code, that a worker has seen."""
    scheduler = shop.manager.scheduler
    shop.queues.schedule("30 2 * * *", "shop:mail", {"to": "a@b.example", "password": "hunter2"}, name="nightly")
    scheduler.publish("host:1:1")
    scheduler.add(timedelta(hours=1), "shop:resize", name=f"often {XSS}")
    return shop


def plain(text: str) -> str:
    """A page's text without its tags."""
    main = text[text.index("<main") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)).replace("\u00a0", " ")


def test_the_list_tells_when_each_is_due_in_words(scheduled: Shop) -> None:
    """In the reader's language, with the expression and its zone below; names are text."""
    client = scheduled.client()
    english = client.get("/queues/schedules", headers={"Accept-Language": "en"}).text
    german = plain(client.get("/queues/schedules", headers={"Accept-Language": "de"}).text)

    assert "At 02:30" in english
    assert "30 2 * * * UTC" in english
    assert "Um 02:30" in german
    assert XSS not in english
    assert "often &lt;script&gt;" in english


def test_schedules_are_found_by_text_queue_and_state(scheduled: Shop) -> None:
    """The same on the page and in the JSON; what is no state is none."""
    client = scheduled.client()
    scheduled.manager.scheduler.pause("nightly", "too much")
    scheduled.manager.scheduler.run(f"often {XSS}")
    claim = scheduled.claim()
    scheduled.settle(transitions.failed(claim, scheduled.manager.terms(claim)._replace(tries=1), '["E", "", ""]'))

    def found(asked: str) -> list[str]:
        told = [
            one["name"][:7].rstrip("<") for one in client.get(f"/queues/api/schedules?{asked}").get_json()["schedules"]
        ]
        shown = re.findall(r'<tr id="row-(nightly|often )', client.get(f"/queues/schedules?{asked}").text)
        assert sorted(shown) == sorted(told)
        return sorted(told)

    assert found("") == found("state=late") == ["nightly", "often "]
    assert found("text=NIGHT") == found("text=send+mail&queue=mail") == found("state=paused") == ["nightly"]
    assert found("state=failed") == ["often "]
    assert found("queue=mail&state=failed") == []
    assert "Nothing matches the filter." in client.get("/queues/schedules?text=none").text


def test_one_schedule_shows_what_comes_and_what_was(scheduled: Shop) -> None:
    """The next ten, with a note where the clocks skip its time; each past occurrence with its job's status."""
    client = scheduled.client()
    assert "Has not been due yet; first in " in client.get("/queues/schedules/nightly").text
    post(client, "/queues/actions/schedule/run", schedule="nightly")
    page = client.get("/queues/schedules/nightly").text
    text = plain(page)

    assert page.count("<li><time") == 10
    assert "Run by hand" in text
    assert "Pending" in text
    assert "hunter2" not in page
    assert "in code" in text


def test_a_schedule_is_paused_and_goes_on(scheduled: Shop) -> None:
    """Its page says who paused it."""
    client = scheduled.client()
    answer = post(client, "/queues/actions/schedule/pause", schedule="nightly", back="/queues/schedules")
    assert answer.location == "/queues/schedules"
    assert "Paused" in plain(client.get("/queues/schedules").text)
    assert "Paused by anna." in plain(client.get("/queues/schedules/nightly").text)
    assert scheduled.manager.scheduler.find("nightly").next is None
    post(client, "/queues/actions/schedule/resume", schedule="nightly")
    assert scheduled.manager.scheduler.find("nightly").next is not None
    assert post(client, "/queues/actions/schedule/explode", schedule="nightly").status_code == 404


def test_an_occurrence_that_was_left_out_says_why(scheduled: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paused, while it was due."""
    scheduler = scheduled.manager.scheduler
    scheduler.add(timedelta(seconds=2), "shop:resize", name="brisk", starts=datetime(2026, 1, 1, tzinfo=timezone.utc))
    scheduler.pause("brisk")
    now = scheduled.manager.storage.now()
    monkeypatch.setattr(scheduled.manager.storage, "now", lambda: now + 60_000)
    scheduler.run_due()

    assert "Left out: paused" in plain(scheduled.client().get("/queues/schedules/brisk").text)


def test_there_may_be_none_or_no_such(shop: Shop) -> None:
    """Each in words."""
    client = shop.client()
    assert "No schedules." in client.get("/queues/schedules").text
    assert "No such schedule" in client.get("/queues/schedules/none").text
    assert client.get("/queues/schedules/none").status_code == 404
    assert client.get("/queues/api/schedules/none").status_code == 404
    assert post(client, "/queues/actions/schedule/run", schedule="none").status_code == 404


def test_the_json_is_that_of_the_command_line(scheduled: Shop) -> None:
    """With the history, on one schedule's own address."""
    client = scheduled.client()
    told: Any = client.get("/queues/api/schedules").get_json()
    printed = scheduled.flask.test_cli_runner().invoke(args=["queues", "schedule", "--json"]).output
    post(client, "/queues/actions/schedule/run", schedule="nightly")
    one: Any = client.get("/queues/api/schedules/nightly").get_json()

    assert [row["name"] for row in told["schedules"]] == ["nightly", f"often {XSS}"]
    assert f'"name": "{told["schedules"][0]["name"]}"' in printed
    assert one["history"][0]["outcome"] == "run by hand"
    assert one["payload"]["password"] != "hunter2"
    assert scheduled.status(one["history"][0]["job"]) is Status.PENDING


def test_a_day_on_which_the_clocks_change_says_so(scheduled: Shop) -> None:
    """What they skip, and what they show twice, which is due once."""
    scheduled.manager.scheduler.add("30 2 * * *", "shop:mail", {"to": "a"}, name="berlin", timezone="Europe/Berlin")
    record = scheduled.manager.scheduler.find("berlin")
    autumn = datetime(2026, 10, 25, tzinfo=timezone.utc)
    [due] = record.timing.between(autumn - timedelta(hours=2), autumn + timedelta(hours=20))
    [sprung] = record.timing.between(
        datetime(2026, 3, 28, 20, tzinfo=timezone.utc), datetime(2026, 3, 29, 20, tzinfo=timezone.utc)
    )
    with scheduled.flask.test_request_context("/queues/"):
        assert clocks_note(record, due) == "the clocks show this time twice"
        assert clocks_note(record, sprung) == "the clocks skip its time"
        assert clocks_note(record, due + timedelta(days=1, hours=1)) == ""


def ran(shop: Shop, name: str, *, well: bool) -> None:
    """Run a schedule by hand, to an end."""
    claim = shop.manager.storage.claim("host:42:1", shop.manager.scheduler.run(name), 60_000)
    assert claim is not None
    terms = shop.manager.terms(claim)._replace(tries=1)
    shop.settle(transitions.completed(claim, None) if well else transitions.failed(claim, terms, '["E", "", ""]'))


def test_the_list_shows_the_last_occurrences_as_a_strip(scheduled: Shop) -> None:
    """What failed is higher, what was left out has a colour of its own; both are told in words."""
    for n in range(34):
        ran(scheduled, "nightly", well=n not in (10, 33))
    state = scheduled.manager.scheduler._state("nightly")
    left_out = Occurrence(1, 0, "left out: paused", None)
    scheduled.manager.storage.put_schedule(state.row(), [], [left_out, left_out])
    page = scheduled.client().get("/queues/schedules").text

    (strip,) = re.findall(r'<svg width="149".*?</svg>', page)
    assert 'aria-label="30 occurrences, 2 failed, 2 left out"' in strip
    drawn = re.findall(r'd="([^"]+)" stroke="var\(--q-(\w+)\)" stroke-width="(\d+)"', strip)
    assert drawn == [
        ("M0 11h19M25 11h109", "bar", "10"), ("M20 8h4M135 8h4", "failed", "16"), ("M140 11h9", "rule", "10"),
    ], "the oldest at the left"  # fmt: skip


def test_the_list_reads_the_occurrences_of_each_schedule_once(scheduled: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one page alone, however many schedules there are."""
    for n in range(60):
        scheduled.manager.scheduler.add("0 0 1 1 *", "shop:mail", {"to": "x"}, name=f"yearly-{n:02}")
    read: list[str] = []
    storage = type(scheduled.manager.storage)
    occurrences = storage.occurrences

    def counted(self: Any, schedule: Any, limit: int = 100) -> Any:
        read.append(schedule.name)
        return occurrences(self, schedule, limit)

    monkeypatch.setattr(storage, "occurrences", counted)
    client = scheduled.client()
    first, second = (client.get(f"/queues/schedules?sort=name&before={before}").text for before in (0, 50))

    assert (len(read), len(set(read))) == (62, 62)
    assert ("50 of 62" in first, "62 of 62" in second, "yearly-59" in second) == (True, True, True)
    assert "before=50&amp;sort=name" in first


def test_past_occurrences_are_found_by_what_became_of_them(scheduled: Shop) -> None:
    """Each with its delay, its job, and how long that ran."""
    ran(scheduled, "nightly", well=True)
    ran(scheduled, "nightly", well=False)
    client = scheduled.client()

    def found(result: str) -> list[str]:
        page = client.get(f"/queues/schedules/nightly?result={result}").text
        return re.findall(r'q-is-(\w+)">', page[page.index('id="q-past"') :])

    assert found("") == found("nonsense") == ["failed", "completed"]
    assert (found("failed"), found("completed"), found("left-out")) == (["failed"], ["completed"], [])
    assert "Nothing matches the filter." in client.get("/queues/schedules/nightly?result=left-out").text
