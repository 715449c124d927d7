"""Workers are asked to take nothing more, to go on and to begin anew; alerts stand where their queue does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_queues.alerts.standing import SHEET, Key, Sheet, Standing
from flask_queues.record import ChildRecord, WorkerRecord
from flask_queues.storage.workers import read_worker

from .conftest import Shop, post, token_of

NAME = "host:9:1"


def test_a_worker_is_made_quiet_goes_on_and_begins_anew(shop: Shop) -> None:
    """Each is asked with one button, said, and kept with the name of who did."""
    shop.work()
    client = shop.client()
    text = client.get("/queues/workers").text
    assert f'name="quiet:worker" value="{NAME}"' in text
    assert "Make quiet<i> host 9</i>" in text
    assert "Restart<i> host 9</i>" in text
    assert post(client, "/queues/actions", **{"quiet:worker": NAME}).status_code == 303
    assert NAME in shop.manager.orders().quiet
    text = client.get("/queues/workers").text
    assert "takes nothing more and finishes what is in hand" in text
    assert "Let go on<i> host 9</i>" in text
    post(client, f"/queues/actions/worker/go-on?worker={NAME}")
    assert NAME not in shop.manager.orders().quiet
    post(client, f"/queues/actions/worker/restart?worker={NAME}")
    assert NAME in shop.manager.orders().restart
    acts = client.get("/queues/api/activity").get_json()["acts"]
    assert [(one["who"], one["action"], one["kind"], one["name"]) for one in acts] == [
        ("anna", action, "worker", NAME) for action in ("restart", "go on", "quiet")
    ]


@pytest.mark.parametrize("address", ["quiet?worker=nobody", "quiet", f"stop?worker={NAME}"])
def test_what_no_worker_hears_is_not_asked(shop: Shop, address: str) -> None:
    """404, and nothing is kept."""
    shop.work()
    assert post(shop.client(), f"/queues/actions/worker/{address}").status_code == 404
    assert shop.manager.orders().quiet == frozenset()
    assert list(shop.manager.acts()) == []


def test_a_worker_that_cannot_be_read_is_shown_as_damaged_and_asked_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its name, which is all that is known of it."""
    now = shop.manager.storage.now()
    monkeypatch.setattr(shop.manager.storage, "workers", lambda: [read_worker(NAME, now, "{", {})])
    client = shop.client()
    text = client.get("/queues/workers").text
    assert (NAME in text, "Damaged" in text, "Make quiet" in text) == (True, True, False)
    (worker,) = client.get("/queues/api/workers").get_json()["workers"]
    assert (worker["status"], "cannot be read" in worker["damage"]) == ("damaged", True)
    assert post(client, f"/queues/actions/worker/quiet?worker={NAME}").status_code == 404


def test_only_who_may_change_jobs_asks_workers(shop: Shop) -> None:
    """A reader sees no button, and is refused."""
    shop.work()
    client = shop.client("rita")
    assert "Make quiet" not in client.get("/queues/workers").text
    form = {"csrf_token": token_of(client)}
    assert client.post(f"/queues/actions/worker/quiet?worker={NAME}", data=form).status_code == 403


def cross(shop: Shop, **kinds: tuple[float, float]) -> None:
    """Let thresholds of the queue `mail` be crossed, as a keeper would find."""
    now = shop.manager.storage.now()
    schedule = {"schedule_late": "bericht"}
    standing = {
        Key(kind, "mail", schedule.get(kind, "")): Standing(now - 60_000, now, value, threshold, said=True)
        for kind, (value, threshold) in kinds.items()
    }
    assert shop.manager.storage.write_sheets((SHEET, None), {SHEET: Sheet(now, standing).dump()})


def test_what_an_alert_tells_stands_on_every_page_and_in_the_row_of_its_queue(shop: Shop) -> None:
    """In a sentence with the threshold, and as a badge; where something worse is wrong, that stands there."""
    shop.pending()
    cross(shop, longest_wait=(90, 60))
    client = shop.client()
    assert "No worker runs." in client.get("/queues/running").text
    shop.work()
    sentence = "A job in mail has waited for 1 min 30 s; 1 min are allowed."
    for page in ("/jobs", "/running", "/metrics", "/queues", "/queues/mail"):
        assert sentence in client.get(f"/queues{page}").text.replace("\N{NO-BREAK SPACE}", " "), page
    assert "Waits too long</span>" in client.get("/queues/queues").text
    german = client.get("/queues/queues", headers={"Accept-Language": "de"}).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Ein Job in mail wartet seit 1 min 30 s; erlaubt: 1 min." in german


def test_many_alerts_stand_in_one_note(shop: Shop) -> None:
    """One sentence, and how many others there are: it stands on every page, and a small screen has little room."""
    shop.work()
    cross(
        shop, longest_wait=(90, 60), failures_per_hour=(1200, 10), pending=(7, 5), no_worker=(30, 0), grows=(400, 300),
        schedule_late=(70, 60),
    )  # fmt: skip
    text = shop.client().get("/queues/jobs").text
    assert text.count("are allowed.") + text.count("No worker has served") == 1
    assert "5 other alerts." in text


def test_workers_are_found_by_status_and_queue(shop: Shop) -> None:
    """On the page and in the JSON; who serves all queues serves each, and what is no status is none."""
    shop.work()
    now = shop.manager.now()
    about: dict[str, Any] = {"host": "web-2", "pid": 7, "started": now, "heartbeat": now, "version": "1.2"}
    children = (ChildRecord(name="web-2:8:1", pid=8, memory=118.4), ChildRecord(name="web-2:9:1", pid=9, memory=60.0))
    shop.manager.heartbeat(
        WorkerRecord(name="web-2:7:1", queues=("images",), stopping=True, completed=1234, children=children, **about)
    )
    client = shop.client()

    def found(asked: str) -> list[str]:
        told = [one["host"] for one in client.get(f"/queues/api/workers?{asked}").get_json()["workers"]]
        shown = re.findall(r'<tr id="row-([^:]+):', client.get(f"/queues/workers?{asked}").text)
        assert told == shown
        return shown

    assert found("") == found("status=nonsense") == ["host", "web-2"]
    assert (found("status=stopping"), found("status=lost")) == (["web-2"], [])
    assert (found("queue=images"), found("queue=mail")) == (["host", "web-2"], ["host"])
    page = client.get("/queues/workers?status=stopping").text
    assert all(words in page for words in ("Stopping", "1,234", "118 of 128 MB", "1.2"))
    assert "Make quiet web-2" not in page
    assert "Nothing matches the filter." in client.get("/queues/workers?status=lost").text
    assert client.get("/queues/api/workers?status=stopping").get_json()["workers"][0]["completed"] == 1234
