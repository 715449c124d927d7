"""The lists: what they show, how they are filtered and paged, and that nothing in them is taken for HTML."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from flask_queues import Status, StorageUnavailable
from flask_queues.doctor.examine import of_storage
from flask_queues.manager import Manager
from flask_queues.panel import words
from flask_queues.record import ChildRecord, LogLine, Progress, WorkerRecord
from flask_queues.storage.values import Finding

from .conftest import Shop, post, token_of

XSS = '<script>alert("x")</script><img src=x onerror=alert(1)>\'">{{ 7*7*1009 }}'
ADDRESSES = {
    Status.PENDING: "/queues/jobs",
    Status.RUNNING: "/queues/running",
    Status.SCHEDULED: "/queues/scheduled",
    Status.FAILED: "/queues/failed/jobs",
    Status.COMPLETED: "/queues/completed",
    Status.CANCELLED: "/queues/cancelled",
}


def rows(text: str) -> list[str]:
    """The ids of the jobs of a page, in their order."""
    return re.findall(r'<tr id="row-(\w+)"', text)


def test_the_menu_counts_the_queues_that_their_page_shows(shop: Shop) -> None:
    """Also those that are named in the configuration and hold nothing."""
    shop.pending()
    text = shop.client().get("/queues/queues").text
    assert len(re.findall(r'<tr id="row-', text)) == 4
    assert "<span>Queues</span><small>4</small>" in text


def test_how_long_jobs_ran_and_how_often_have_fields_of_their_own(shop: Shop) -> None:
    """On the lists that show it; elsewhere, and typed into the search field, they go on to work."""
    shop.failed(tries=1)
    client = shop.client()
    text = client.get("/queues/failed/jobs?text=attempts:1+mail").text
    assert re.search(r'name="attempts" value="1"', text)
    assert re.search(r'name="text" value="mail"', text)
    assert "Nothing matches the filter." in client.get("/queues/failed/jobs?attempts=2").text
    assert re.search(r'name="ran" value="60.0"', client.get("/queues/completed?ran=60").text)
    assert re.search(r'name="text" value="ran:60.0"', client.get("/queues/failed/jobs?ran=60").text)


def test_each_list_holds_the_jobs_of_its_status(shop: Shop) -> None:
    """And no other."""
    jobs = shop.one_of_each()
    client = shop.client()
    for status, address in ADDRESSES.items():
        shown = rows(client.get(address).text)
        assert jobs[status] in shown
        assert not set(shown) & {job_id for other, job_id in jobs.items() if other is not status}


def test_the_front_page_is_what_waits(shop: Shop) -> None:
    """With and without the slash."""
    client = shop.client()
    for address in ("/queues", "/queues/"):
        assert client.get(address).location == "/queues/jobs"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/jobs", "Nothing waits."),
        ("/running", "Nothing runs."),
        ("/scheduled", "Nothing is scheduled."),
        ("/failed/jobs", "Nothing has failed in the 7 days that failures are kept."),
        ("/completed", "Nothing was completed in the last 24 hours."),
        ("/cancelled", "Nothing was cancelled in the last 24 hours."),
        ("/workers", "No worker runs."),
    ],
)
def test_an_empty_list_says_so(shop: Shop, address: str, sentence: str) -> None:
    """In words that teach."""
    assert sentence in shop.client().get(f"/queues{address}").text


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/failed", "Nothing has failed in the 7 days that failures are kept."),
        ("/batches", "No batches. Jobs that belong together and report once:"),
        ("/schedules", "No schedules. Add one in code:"),
        ("/metrics", "Nothing was measured yet."),
        ("/activity", "Nobody has changed anything."),
        ("/search?q=Ada+%26+Bert", "Nothing matches Ada & Bert."),
        ("/jobs/none", "Completed jobs are kept for 24 hours, failed ones for 7 days."),
        ("/jobs", "No job was pushed yet. In code:"),
        ("/jobs?queue=none", "Nothing matches the filter."),
        ("/running", "No worker runs. Start one with: flask queues work"),
    ],
)
def test_an_empty_page_says_what_to_do(shop: Shop, address: str, sentence: str) -> None:
    """Or where to look, with nothing that seems to load."""
    assert sentence in said(shop, address)


def said(shop: Shop, address: str) -> str:
    """What the main part of a page says, without its tags."""
    text = shop.client().get(f"/queues{address}").text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text[text.index("<main") :]))
    return unescape(text).replace("\N{NO-BREAK SPACE}", " ")


def test_a_list_that_was_emptied_says_what_was_last_and_what_comes(shop: Shop) -> None:
    """The last push, in whatever status its job is now; the next occurrence; idle workers; the first occurrence."""
    shop.completed()
    assert re.search(r"Nothing waits. The last job was pushed (just now|\d+ seconds? ago).", said(shop, "/jobs"))
    assert "Nothing is scheduled. Jobs that" in said(shop, "/scheduled")
    shop.manager.scheduler.add("0 0 1 1 *", "shop:mail", {"to": "ada"}, name="new year")
    shop.manager.scheduler.add(timedelta(hours=3), "shop:mail", {"to": "ada"}, name="often")
    assert "The next occurrence is often, in " in said(shop, "/scheduled")
    assert "Has not been due yet; first in " in said(shop, "/schedules/often")
    shop.manager.scheduler.pause("often", "too much")
    assert "The next occurrence is new year, " in said(shop, "/scheduled")
    assert "Has not been due yet." in said(shop, "/schedules/often")
    shop.work()
    assert "Nothing runs. 1 worker is idle." in said(shop, "/running")


def test_completed_jobs_tell_how_long_they_waited(shop: Shop) -> None:
    """For their first run, from when they were due."""
    record = shop.manager.find(shop.completed())
    begun, due = record.history[0].started, record.history[0].started - timedelta(seconds=90)
    assert words.waited(replace(record, created=due - timedelta(hours=1), due=due)) == timedelta(seconds=90)
    assert words.waited(replace(record, created=due, due=due - timedelta(hours=1))) == timedelta(seconds=90)
    assert words.waited(replace(record, due=begun + timedelta(hours=1))) is None, "as of one that was retried"
    assert words.waited(replace(record, history=())) is None
    assert re.search(r'q-far">\d+\sms<', shop.client().get("/queues/completed").text)


def test_a_job_that_was_found_can_be_acted_on(shop: Shop) -> None:
    """As its status allows; only by who may."""
    shop.one_of_each()
    found = shop.client().get("/queues/search?q=ada").text
    for label in ("Retry Send mail", "Cancel Send mail", "Push again Send mail", "Run now Send mail"):
        assert f">{label.removesuffix(' Send mail')}<i> Send mail</i></button>" in found, label
    assert ">Retry<i>" not in shop.client("rita").get("/queues/search?q=ada").text
    assert "Nothing matches nowhere." in shop.client().get("/queues/search?q=nowhere").text


def test_scheduled_jobs_are_found_by_why_they_wait(shop: Shop) -> None:
    """Those of which an attempt has failed, not those that were delayed when they were pushed."""
    retried, delayed = shop.backing_off(), shop.scheduled()
    client = shop.client()
    assert rows(client.get("/queues/scheduled").text) in ([retried, delayed], [delayed, retried])
    assert rows(client.get("/queues/scheduled?attempts=1").text) == [retried]


def test_a_thousand_jobs_are_walked_page_by_page(shop: Shop) -> None:
    """Each once, in keyset pages of fifty; the count is the kept one."""
    pushed = [handle.id for handle in shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(1000)])]
    client = shop.client()
    seen: list[str] = []
    address, pages = "/queues/jobs", 0
    while address:
        text = client.get(address).text
        seen += rows(text)
        pages += 1
        assert f"{len(seen) - 49:,}\N{EN DASH}{len(seen):,} of 1,000" in text
        found = re.search(r'rel="next" href="([^"]+)"', text)
        address = found[1].replace("&amp;", "&") if found else ""
    assert pages == 20
    assert sorted(seen) == sorted(pushed)


def test_a_page_may_have_another_size(shop: Shop) -> None:
    """Offered where there is more than the smallest; it survives in the links, and the filter in it."""
    shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(120)])
    client = shop.client()
    text = client.get("/queues/jobs?queue=images").text
    address = re.search(r'href="([^"]+limit=100[^"]*)"', text)
    assert address is not None
    assert "queue=images" in address[1]
    text = client.get(address[1].replace("&amp;", "&")).text
    assert len(rows(text)) == 100
    assert re.search(r'rel="next" href="[^"]*limit=100', text)
    shop.manager.flush()
    shop.resize.push()
    assert "A page has" not in client.get("/queues/jobs").text


def test_pages_are_walked_back_as_they_were_walked(shop: Shop) -> None:
    """One by one to the first, with the filter in each link."""
    shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(220)])
    client = shop.client()
    address, walked, text = "/queues/jobs?queue=images", [], ""
    while address:
        text = client.get(address).text
        walked.append(rows(text))
        found = re.search(r'rel="next" href="([^"]+)"', text)
        address = found[1].replace("&amp;", "&") if found else ""
    assert [len(page) for page in walked] == [50, 50, 50, 50, 20]
    back = [walked[-1]]
    while found := re.search(r'rel="prev" href="([^"]+)"', text):
        address = found[1].replace("&amp;", "&")
        assert "queue=images" in address
        text = client.get(address).text
        back.append(rows(text))
    assert back == walked[::-1]
    assert "First page" not in text


def test_lists_are_filtered_by_queue_type_and_tag(shop: Shop) -> None:
    """And the filter survives in the links to the next page."""
    mails = [shop.mail.using(tags=[f"user:{n % 2}"]).push(to="a@example.org").id for n in range(120)]
    shop.resize.push()
    client = shop.client()

    assert set(rows(client.get("/queues/jobs?queue=images").text)).isdisjoint(mails)
    text = client.get("/queues/jobs?type=shop:mail&queue=mail").text
    assert "1\N{EN DASH}50 of 120" in text
    assert "type=shop:mail" in re.findall(r'rel="next" href="([^"]+)"', text)[0]
    text = client.get("/queues/jobs?limit=25").text
    assert "25 of 121" in text
    assert "limit=25" in re.findall(r'rel="next" href="([^"]+)"', text)[0]
    text = client.get("/queues/jobs?tag=user:1").text
    assert "50 shown, more follow" in text
    assert set(rows(text)) <= set(mails[1::2])
    assert "Nothing matches the filter." in client.get("/queues/jobs?queue=low").text


def test_an_address_that_no_page_made_is_an_error_of_the_asker(shop: Shop) -> None:
    """400, not 500."""
    shop.pending()
    client = shop.client()
    assert client.get("/queues/jobs?after=nonsense").status_code == 400
    assert client.get("/queues/api/jobs?after=nonsense").status_code == 400
    assert client.get("/queues/jobs?limit=9999999&before=-5").status_code == 200
    assert client.get("/queues/queues/none").status_code == 404


@pytest.mark.parametrize("header", [{}, {"X-Queues-Live": "1"}])
def test_nothing_that_a_job_says_is_taken_for_html(shop: Shop, header: dict[str, str]) -> None:
    """Payload, error, log, tag, result, progress, reason."""
    line = LogLine(datetime.now(timezone.utc), "info", XSS, {"key": XSS, "list": [XSS]}, 1)
    failed = shop.failed(ValueError(XSS), logs=(line,), to=XSS)
    completed = shop.completed(result='{"answer": "<script>alert(1)</script>"}', to=XSS)
    tagged = shop.mail.using(tags=[XSS[:60]]).push(to=XSS).id
    reason = shop.pending()
    shop.manager.cancel(reason, XSS)
    client = shop.client()
    for address in (
        *ADDRESSES.values(),
        *(f"/queues/jobs/{one}" for one in (failed, completed, tagged, reason)),
        "/queues/queues/mail",
        f"/queues/actions/delete/confirm?id={failed}",
        "/queues/jobs?tag=%3Cscript%3Ealert(1)%3C/script%3E&queue=%22%3E%3Cimg src=x&type=%3Cb%3E",
    ):
        text = client.get(address, headers=header).text
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address
        assert "49441" not in text, address
    assert "&lt;script&gt;" in client.get(f"/queues/jobs/{failed}", headers=header).text


def test_secrets_are_hidden_everywhere(shop: Shop) -> None:
    """In the payload by name; in error, trace, log and result wherever they are repeated; in JSON alike."""
    secret = "hunter2-is-the-word"
    line = LogLine(datetime.now(timezone.utc), "info", f"sending with {secret}", {"password": secret}, 1)
    failed = shop.failed(ValueError(f"login failed for {secret}"), logs=(line,), password=secret)
    completed = shop.completed(result=f'{{"token": "{secret}"}}', password=secret)
    cancelled = shop.pending(password=secret)
    shop.manager.cancel(cancelled, f"nobody may read {secret}")
    running = shop.running(password=secret)
    shop.manager.note(shop.manager.storage.claims_of("host:42:1")[0], Progress(50, f"at {secret}"), [])
    client = shop.client()
    for address in (
        "/queues/running",
        "/queues/cancelled",
        f"/queues/jobs/{running}",
        f"/queues/jobs/{cancelled}",
        f"/queues/api/jobs/{running}",
        f"/queues/api/jobs/{cancelled}",
        "/queues/failed/jobs",
        "/queues/completed",
        f"/queues/jobs/{failed}",
        f"/queues/jobs/{completed}",
        "/queues/api/failed/jobs",
        f"/queues/api/jobs/{failed}",
        f"/queues/api/jobs/{completed}",
        f"/queues/actions/delete/confirm?id={failed}",
    ):
        text = client.get(address).get_data(as_text=True)
        assert secret not in text, address
        assert "••••" in text or "\\u2022" in text, address


def test_no_page_names_where_the_jobs_are_kept(shop: Shop) -> None:
    """An address of a database may hold a password."""
    shop.one_of_each()
    client = shop.client()
    for address in (*ADDRESSES.values(), "/queues/workers", "/queues/api/status"):
        assert "sqlite3" not in client.get(address).text


def test_what_is_pushed_counts_at_once_and_a_scheduled_job_says_why(shop: Shop) -> None:
    """Delayed, or tried again."""
    shop.scheduled()
    shop.backing_off()
    text = shop.client().get("/queues/scheduled").text

    assert "delayed when it was pushed" in text
    assert "attempt 2 of 3 after ValueError" in text


def test_notes_tell_what_is_wrong_on_every_page(shop: Shop) -> None:
    """No worker; or none that listens to a queue with jobs."""
    shop.pending()
    client = shop.client()
    for address in (*ADDRESSES.values(), "/queues/queues", "/queues/queues/mail"):
        assert "flask queues work" in client.get(address).text
    heartbeat(shop, queues=("images",))
    assert "1 job waits in mail, and no worker listens." in client.get("/queues/failed/jobs").text
    heartbeat(shop, queues=())
    assert "q-is-warning" not in client.get("/queues/failed/jobs").text


def test_what_may_cost_jobs_is_said_on_every_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the doctor finds it, without the place of the storage; it is asked once in five minutes."""
    monkeypatch.setattr("flask_queues.panel.diagnosis.of_storage", of_storage)
    heartbeat(shop, queues=())
    folder = Path(shop.flask.instance_path)
    (folder / "queues.sqlite3").chmod(0o666)
    client = shop.client()
    for address in ("/queues/jobs", "/queues/metrics", "/queues/workers"):
        page = client.get(address).text
        assert "Jobs may be lost here." in page
        assert "<code>flask queues doctor</code>" in page
        assert str(folder) not in page
    assert "Hier können Jobs verloren gehen." in client.get("/queues/jobs", headers={"Accept-Language": "de"}).text
    (folder / "queues.sqlite3").chmod(0o600)
    asked: list[Manager] = []

    def all_is_well(manager: Manager) -> list[Finding]:
        asked.append(manager)
        return []

    monkeypatch.setattr("flask_queues.panel.diagnosis.of_storage", all_is_well)
    assert "Jobs may be lost here." in client.get("/queues/jobs").text
    assert not asked
    monkeypatch.setattr("flask_queues.panel.diagnosis.HOLDS", -1)
    assert "q-is-warning" not in client.get("/queues/jobs").text
    assert len(asked) == 1


def heartbeat(shop: Shop, **about: Any) -> None:
    """Let a worker be heard of."""
    now = shop.manager.now()
    child = ChildRecord(name="host:42:1", pid=42, memory=43.0)
    shop.manager.heartbeat(
        WorkerRecord(name="host:1:1", host="host", pid=1, started=now, heartbeat=now, children=(child,), **about)
    )


def test_queues_and_workers_are_told(shop: Shop) -> None:
    """Counts by queue, and who serves it."""
    running = shop.running()
    shop.pending()
    heartbeat(shop, queues=("mail",))
    client = shop.client()

    assert re.search(r'href="/queues/jobs\?queue=mail">1<', client.get("/queues/queues").text)
    assert "1 worker listens to this queue." in client.get("/queues/queues/mail").text
    text = client.get("/queues/workers").text
    assert f"/queues/jobs/{running}" in text
    assert "Working" in text
    assert client.get("/queues/api/queues/mail").get_json()["workers"] == 1


def test_the_json_tells_what_the_page_shows(shop: Shop) -> None:
    """The same jobs in the same order; the status of all is what the command line prints."""
    jobs = shop.one_of_each()
    client = shop.client()
    for status, address in ADDRESSES.items():
        told = client.get(address.replace("/queues", "/queues/api", 1)).get_json()
        assert sorted(job["id"] for job in told["jobs"]) == sorted(rows(client.get(address).text))
        assert {job["status"] for job in told["jobs"]} == {status.value}
    job = client.get(f"/queues/api/jobs/{jobs[Status.RUNNING]}").get_json()
    assert job["progress"] == {"percent": 40, "message": "half of it"}
    assert [line["message"] for line in job["log"]] == ["Connecting"]
    runner = shop.flask.test_cli_runner()
    told = client.get("/queues/api/status").get_json()
    printed = json.loads(runner.invoke(args=["queues", "status", "--json"]).output)
    assert {key: told[key] for key in ("statuses", "queues")} == {key: printed[key] for key in ("statuses", "queues")}
    assert client.get("/queues/api/jobs/none").status_code == 404


def test_the_live_regions_are_sent_alone_and_only_when_something_changed(shop: Shop) -> None:
    """304 otherwise; rows that have left are named with what became of them."""
    failed = shop.failed()
    client = shop.client()
    live = {"X-Queues-Live": "1", "X-Queues-Rows": f"{failed},gone"}
    first = client.get("/queues/completed", headers=live)

    assert "q-menu-button" not in first.text
    assert f'data-row="{failed}"' in first.text
    assert 'data-row="gone"' in first.text
    assert first.headers["X-Queues-Clock"]
    again = client.get("/queues/completed", headers={**live, "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    shop.completed()
    assert client.get("/queues/completed", headers={**live, "If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_storage_that_cannot_be_reached_is_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, without the storage's own words: they may name a server."""
    client = shop.client()

    def broken() -> None:
        raise StorageUnavailable("redis://user:pass@cache is down")

    monkeypatch.setattr(shop.manager, "counts", broken)
    for address in ("/queues/jobs", "/queues/queues", "/queues/api/queues"):
        answer = client.get(address)
        assert answer.status_code == 503
        assert "storage cannot be reached" in answer.text
        assert "cache" not in answer.text
    assert client.get("/queues/jobs", headers={"X-Queues-Live": "1"}).status_code == 503


def test_the_panel_lives_below_a_script_root(shop: Shop) -> None:
    """Behind a proxy that mounts the application at /shop: links, forms and the way back stay below it."""
    shop.failed()
    client = shop.client()
    base = "http://localhost/shop"
    text = client.get("/queues/failed/jobs", base_url=base).text
    assert set(re.findall(r'(?:href|action)="(/[a-z]*)', text)) == {"/shop"}
    answer = client.post(
        "/queues/preferences",
        base_url=base,
        data={"csrf_token": token_of(client), "theme": "dark", "back": "/shop/queues/failed/jobs?tag=a"},
    )
    assert answer.location == "/shop/queues/failed/jobs?tag=a"
    assert "Path=/shop/queues" in answer.headers["Set-Cookie"]


def test_a_list_of_what_has_ended_may_be_of_a_time(shop: Shop) -> None:
    """In the page and the JSON, over pages, with other filters; the range is said in words and can be removed."""
    before, middle, after = shop.completed(), [shop.completed() for _ in range(30)], shop.completed()
    first, last = (shop.manager.find(one).finished for one in (middle[0], after))
    assert first is not None
    assert last is not None
    span = {"since": first.isoformat(), "until": last.isoformat()}
    expected = {job for job in (before, *middle, after) if first <= ended(shop, job) < last}
    assert len(expected) >= 20
    client = shop.client()
    for sort in ("newest", "oldest"):
        for more in ({}, {"tag": "news"}, {"text": "ada@"}, {"queue": "mail", "type": "shop:mail"}):
            found, place = set[str](), dict[str, str]()
            while True:
                page = client.get(
                    "/queues/api/completed", query_string={**span, **more, **place, "limit": 25, "sort": sort}
                ).json
                assert page is not None
                assert page["total"] is None
                found |= {job["id"] for job in page["jobs"]}
                if page["after"] is None:
                    break
                place = {"after": page["after"]}
            assert found == expected, (sort, more)
    text = client.get("/queues/completed", query_string={**span, "limit": 25}).text
    assert f"{min(25, len(expected))} shown" in unescape(text)
    chips = re.findall(r'<a class="q-chip" href="([^"]*)" aria-label="Remove the filter ([^"]*)">', text)
    assert [(address, f"{first:%H:%M}" in words and "\N{EN DASH}" in words) for address, words in chips] == [
        ("/queues/completed", True)
    ]
    assert text.count('name="since"') == text.count('name="until"') == 1


def ended(shop: Shop, job: str) -> datetime:
    """When a job ended."""
    finished = shop.manager.find(job).finished
    assert finished is not None
    return finished


def test_what_is_done_with_all_jobs_of_a_time_leaves_others_alone(shop: Shop) -> None:
    """The range goes along to the question, the deed and back to the list."""
    old = shop.failed()
    while shop.manager.now() <= ended(shop, old):
        pass
    new = shop.failed()
    span = {"since": ended(shop, new).isoformat()}
    client = shop.client()
    question = client.get("/queues/actions/delete/confirm", query_string={"all": 1, "status": "failed", **span}).text
    assert 'name="since"' in question
    assert "since=" in post(client, "/queues/actions/delete", all="1", status="failed", **span).location
    assert [job.id for job in shop.manager.jobs_of(statuses=["failed"]).jobs] == [old]


@pytest.mark.parametrize(
    "asked", ["completed?since=yesterday", "completed?until=2026-13-01", "jobs?since=2026-11-30T14:00Z"]
)
def test_a_time_that_is_none_or_of_what_has_not_ended_is_refused(shop: Shop, asked: str) -> None:
    """Rather than all jobs shown."""
    assert shop.client().get(f"/queues/{asked}").status_code == 400
    assert shop.client().get(f"/queues/api/{asked}").status_code == 400


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("since=2026-11-30T14:00Z&until=2026-11-30T14:30Z", "30. Nov. 2026, 14:00\N{EN DASH}14:30"),
        ("since=2026-11-30T14:00Z&until=2026-12-01T14:00:05Z", "30. Nov. 2026, 14:00\N{EN DASH}1. Dez. 2026, 14:00:05"),
        ("since=2026-11-30T14:00Z", "ab 30. Nov. 2026, 14:00"),
        ("until=2026-11-30T14:00Z", "bis 30. Nov. 2026, 14:00"),
    ],
)
def test_the_time_of_a_list_is_said_in_words(shop: Shop, span: str, said: str) -> None:
    """A day once, seconds where there are some, and an open end as that."""
    client = shop.client()
    client.set_cookie("queues_language", "de", path="/queues")
    assert f'aria-label="Filter {said} entfernen"' in client.get(f"/queues/completed?{span}").text
