"""Nothing that a job, a worker, a schedule or a person brings along is taken for HTML, wherever it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from flask_queues import Breaker, GatheredJob, Job, transitions
from flask_queues.record import ChildRecord, LogLine, Progress, WorkerRecord

from .conftest import PAGES, Shop
from .visiting import Visitor

#: What would be an element, an attribute or an expression if it were not only text.
EVIL = "<x-evil>\"'><img onerror=x>{{7*7*1009}} "


def evil(field: str) -> str:
    """A hostile text that says where it was put."""
    return f"{EVIL}{field}."


class Tags(HTMLParser):
    """What of a page is no text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}
        self.text += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class Fragile(Job):
    type = "shop:fragile"
    name = evil("name of the type")
    tries = 1
    breaker = Breaker(failures=1, pause=600, key=lambda payload: evil("key of the breaker"))

    def handle(self, to: str, **others: object) -> None: ...


class Digest(GatheredJob):
    type = "shop:digest"

    def key(self, payload: dict[str, str]) -> str:
        return evil("key of the gathering")

    def handle(self, payloads: list[dict[str, str]]) -> None: ...


def break_one(shop: Shop) -> str:
    """A job that fails with a hostile error, after it has told of itself."""
    shop.queues.register(Fragile)
    tags = [evil("tag")[:80]]
    job_id = shop.queues.push(Fragile, {"to": evil("payload"), evil("key"): 1}, tags=tags, unique=evil("unique")).id
    claim = shop.claim()
    line = LogLine(shop.manager.now(), "info", evil("log"), {evil("context"): evil("value")}, 1)
    assert shop.manager.note(claim, Progress(40, evil("progress")), [line])
    trace = (
        f'Traceback (most recent call last):\n  File "{evil("file")}", line 1, in {evil("f")}\n    {evil("source")}\nE'
    )
    error = json.dumps([evil("error"), evil("message"), trace])
    settlement = transitions.failed(claim, shop.manager.terms(claim), error)
    shop.manager.breakers.learn(claim, settlement)
    shop.settle(settlement)
    return job_id


def complete_one(shop: Shop) -> str:
    """A job with a hostile result."""
    handle = shop.queues.push("shop:mail", {"to": "ada"}, priority=50)
    shop.settle(transitions.completed(shop.claim(), json.dumps({evil("key of the result"): evil("result")})))
    return handle.id


def run_one(shop: Shop) -> str:
    """A job that runs, has told how far it is, and where."""
    job_id = shop.queues.push("shop:mail", {"to": "ada"}, priority=60).id
    assert shop.manager.note(shop.claim(), Progress(40, evil("progress")), [])
    shop.manager.ask_picture(job_id)
    picture = shop.manager.orders().pictures[job_id]
    shop.manager.keep_picture(job_id, picture._replace(taken=picture.asked + 1, text=evil("stacks")))
    return job_id


def people_and_workers(shop: Shop) -> None:
    """What is said by whoever pauses, cancels and works."""
    manager = shop.manager
    manager.cancel(shop.pending(), evil("reason of the cancellation"))
    manager.pause("mail", reason=evil("reason of the pause"), by=evil("who paused"))
    manager.note_act(evil("who"), "retry", "jobs", evil("what"), 3, evil("why"))
    now = manager.now()
    children = (ChildRecord(name=f"{evil('host')}:42:1", pid=42),)
    manager.heartbeat(
        WorkerRecord(
            name=f"{evil('worker')}:9:1", host=evil("host"), pid=9, started=now, heartbeat=now, children=children,
            queues=(evil("queue of the worker"),), types=tuple(manager.jobs.served),
            version=evil("version"), release=evil("release"),
        )
    )  # fmt: skip


@pytest.fixture
def pages(shop: Shop) -> list[str]:
    """The addresses of everything, in a shop full of hostile texts."""
    shop.queues.register(Digest)
    shop.flask.name = evil("application")
    jobs = [break_one(shop), complete_one(shop), run_one(shop)]
    with shop.flask.test_request_context(headers={"X-Request-ID": "<x-evil>", "Accept-Language": "<x-evil>"}):
        jobs.append(shop.queues.push(Digest, {"to": evil("gathered")}).id)
    jobs.append(shop.queues.chain([("shop:mail", {"to": evil("link")}), ("shop:resize", {})]).push().id)
    batch = shop.queues.batch([("shop:mail", {"to": evil("member")})], name=evil("batch")[:100]).push().id
    schedule = evil("schedule")[:100]
    shop.manager.scheduler.add("30 2 * * 1", "shop:mail", {"to": evil("payload of the schedule")}, name=schedule)
    shop.manager.scheduler.pause(schedule, evil("reason of the schedule"))
    people_and_workers(shop)
    shop.count()
    causes = [one.cause.key for one in shop.manager.causes()]
    found = [*PAGES, *(f"/jobs/{one}" for one in jobs), *(f"/jobs/{one}/payload" for one in jobs if one != jobs[2])]
    found += [f"/batches/{batch}", f"/schedules/{quote(schedule, safe='')}"]
    found += [f"/failed/{key}" for key in causes] + ["/push", "/push?type=shop:fragile", "/preferences"]
    found += [f"/actions/delete/confirm?id={jobs[0]}", f"/actions/cancel/confirm?id={jobs[2]}"]
    given = quote(evil("address"))
    found += [f"/{name}?queue={given}&type={given}&tag={given}&text={given}" for name in ("jobs", "failed/jobs")]
    found += [f"/search?q={given}", f"/failed?queue={given}", f"/metrics?queue={given}&type={given}", f"/{given}"]
    found += [f"/activity?who={given}&action={given}", f"/jobs/{given}", f"/schedules/{given}", f"/batches/{given}"]
    found += [f"/queues/{given}", f"/jobs?sort={given}&limit={given}", f"/push?type={given}"]
    return [f"/queues{path}" for path in found]


#: What stands on some page; the key of a gathering and of a breaker that is closed stand on none.
FIELDS = (
    "payload", "key", "tag", "unique", "log", "context", "value", "progress", "file", "f", "source", "error", "message",
    "name of the type", "key of the breaker", "key of the result", "result", "stacks",
    "reason of the cancellation", "reason of the pause", "who paused", "who", "what", "why", "version", "release",
    "host", "queue of the worker", "gathered", "link", "member", "batch", "schedule", "payload of the schedule",
    "reason of the schedule", "application", "address",
)  # fmt: skip


@pytest.mark.parametrize("headers", [{}, {"X-Queues-Live": "1"}, {"Accept-Language": "de"}], ids=str)
def test_a_hostile_text_is_a_text_on_every_page(shop: Shop, pages: list[str], headers: dict[str, str]) -> None:
    """Each field is really shown somewhere, and is neither an element nor an attribute nor evaluated."""
    client = shop.client()
    seen: set[str] = set()
    for page in pages:
        answer = client.get(page, headers=headers)
        tags = Tags(answer.text)
        assert not {"x-evil", "onerror"} & tags.found, page
        assert "49441" not in answer.text, page
        seen |= {field for field in FIELDS if any(f"}}}} {field}." in text for text in tags.text)}
    if "X-Queues-Live" not in headers:
        assert set(FIELDS) - seen == set()


def test_links_and_programs_get_hostile_texts_as_texts(shop: Shop, pages: list[str]) -> None:
    """The page of a link, the log as text, and JSON, which no browser takes for a page."""
    client = shop.client()
    with shop.flask.test_request_context():
        links = [
            shop.queues.link(one, result=True, cancel=True)
            for page in pages
            if (one := page.removeprefix("/queues/jobs/")) != page and len(one) == 26
        ]
    assert len(links) == 5  # of each of the jobs
    for link in links:
        for address in (link, f"{link}/part"):
            assert not {"x-evil", "onerror"} & Tags(client.get(address).text).found
        assert client.get(f"{link}/json").mimetype == "application/json"
    told = 0
    for page in pages:
        answer = client.get(page.replace("/queues", "/queues/api", 1))
        told += answer.mimetype == "application/json"
        assert answer.mimetype == "application/json" or not {"x-evil", "onerror"} & Tags(answer.text).found, page
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert told > 15
    log = re.search(r'href="([^"]+log\.txt)"', client.get(pages[len(PAGES)]).text)
    assert log is not None
    assert client.get(log[1]).mimetype == "text/plain"


@pytest.mark.browser
def test_a_browser_runs_nothing_of_it(shop: Shop, pages: list[str], visit: Callable[..., Visitor]) -> None:
    """Neither when a page is opened nor when it brings itself up to date."""
    anna = visit()
    for path in pages[: len(PAGES) + 5]:
        page = anna.go(path.removeprefix("/queues"))
        assert page.locator("x-evil, [onerror]").count() == 0, path
    anna.go(pages[len(PAGES)].removeprefix("/queues"))
    anna.updates(2)
    assert anna.page.locator("x-evil, [onerror]").count() == 0
    assert anna.complaints == []
