"""Tables whose rows are all at hand are sorted by links in their heads; the address says how."""

from __future__ import annotations

import re

import pytest

from flask_queues import transitions
from flask_queues.panel.sorting import Order, in_order
from flask_queues.storage.sqlite import engine

from .conftest import Shop


def rows(text: str) -> list[str]:
    """The rows of the table, in their order."""
    return re.findall(r'<tr id="row-([^"]+)"', text)


def sorted_by(text: str) -> list[tuple[str, str]]:
    """The heads that say that the table is sorted by them."""
    return [(label.strip(), how) for how, label in re.findall(r'<th scope="col"[^>]* aria-sort="(\w+)">([^<]+)<', text)]


def test_queues_by_what_waits_or_by_name(shop: Shop) -> None:
    """Most pending first, unless somebody asks otherwise."""
    shop.pending()
    shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(3)])
    client = shop.client()
    text = client.get("/queues/queues").text
    assert rows(text)[:2] == ["images", "mail"]
    assert rows(text)[2:] == sorted(rows(text)[2:])
    assert sorted_by(text) == [("Pending", "descending")]
    assert '<a href="/queues/queues?sort=name">Queue</a>' in text
    text = client.get("/queues/queues?sort=name").text
    assert rows(text) == sorted(rows(text))
    assert sorted_by(text) == [("Queue", "ascending")]
    assert rows(client.get("/queues/queues?sort=drop").text)[:2] == ["images", "mail"]


def test_causes_by_the_last_the_most_or_the_newest(shop: Shop) -> None:
    """One happened twice; each in a millisecond of its own, which is how times are stored."""
    for error in (KeyError("a"), ValueError("b"), KeyError("a"), TypeError("c")):
        shop.failed(error)
        shop.tick()
    shop.count()
    client = shop.client()
    found = {}
    for sort in ("last", "jobs", "first"):
        text = client.get(f"/queues/failed?sort={sort}").text
        found[sort] = re.findall(r'<th scope="row" class="q-main"><a href="/queues/failed/\w+"[^>]*>(\w+)', text)
        told = client.get(f"/queues/api/failed?sort={sort}").get_json()["causes"]
        assert [one["error"].rpartition(".")[2] for one in told] == found[sort]
    assert found == {
        "last": ["TypeError", "KeyError", "ValueError"],
        "jobs": ["KeyError", "TypeError", "ValueError"],
        "first": ["TypeError", "ValueError", "KeyError"],
    }


def test_schedules_by_the_next_or_by_name(shop: Shop) -> None:
    """The next one first."""
    shop.manager.scheduler.add("@yearly", "shop:resize", name="aaa")
    shop.manager.scheduler.add(60, "shop:resize", name="zzz")
    client = shop.client()
    assert rows(client.get("/queues/schedules").text) == ["zzz", "aaa"]
    text = client.get("/queues/schedules?sort=name").text
    assert rows(text) == ["aaa", "zzz"]
    assert sorted_by(text) == [("Schedule", "ascending")]


def test_job_types_of_the_metrics_by_each_of_their_columns(shop: Shop) -> None:
    """With the filters that the address has."""
    for _ in range(2):
        shop.completed()
    shop.resize.push()
    shop.settle(transitions.completed(shop.claim(), None))
    shop.count()
    client = shop.client()
    for sort, first in {"completed": "shop:mail", "name": "shop:mail"}.items():
        text = client.get(f"/queues/metrics?range=1h&sort={sort}").text
        assert rows(text)[0] == first
        assert len(rows(text)) == 2
    for sort in ("failed", "wait", "p50", "p95", "total"):
        text = client.get(f"/queues/metrics?range=1h&sort={sort}").text
        assert [how for _, how in sorted_by(text)] == ["descending"]
        assert "/queues/metrics?range=1h&amp;sort=name" in text


@pytest.mark.parametrize("sort", ["", "big", "none"])
def test_equals_stay_as_they_came(shop: Shop, sort: str) -> None:
    """In falling orders, too."""
    orders = {"big": Order[tuple[int, str]](lambda row: row[0])}
    with shop.flask.test_request_context(f"/?sort={sort}"):
        assert in_order([(1, "a"), (2, "b"), (1, "c"), (2, "d")], orders).rows == [
            (2, "b"), (2, "d"), (1, "a"), (1, "c"),
        ]  # fmt: skip


def heads(text: str) -> list[tuple[str, str]]:
    """The heads of a list of jobs that say how it is sorted: the way, and what turns it round."""
    return re.findall(r'<th scope="col"[^>]* aria-sort="(\w+)"><a href="([^"]+)">', text)


def test_a_list_of_jobs_is_read_from_either_end(shop: Shop) -> None:
    """What is scheduled begins with the soonest, what has ended with the newest; the head of the column turns it."""
    for make, path, usual, other in (
        (shop.failed, "/failed/jobs", "descending", "oldest"),
        (shop.scheduled, "/scheduled", "ascending", "newest"),
    ):
        ids = [make() for _ in range(3)]
        first = ids if other == "newest" else ids[::-1]
        client = shop.client()
        text = client.get(f"/queues{path}").text
        assert rows(text) == first
        assert heads(text) == [(usual, f"/queues{path}?sort={other}")]
        text = client.get(f"/queues{path}?sort={other}").text
        assert rows(text) == first[::-1]
        assert heads(text) == [("ascending" if usual == "descending" else "descending", f"/queues{path}")]
        for way, order in (("", first), (f"?sort={other}", first[::-1])):
            found = client.get(f"/queues/api{path}{way}").get_json()["jobs"]
            assert [job["id"] for job in found] == order


def test_pending_jobs_stand_as_they_are_claimed(shop: Shop) -> None:
    """The next one first, whatever it waits; the others are a link away, and so is this from them."""
    low, late, high = [shop.resize.using(priority=priority).push(file_id=n).id for n, priority in enumerate((-1, 0, 7))]
    shop.tick()
    mail = shop.pending()
    shop.queues.hurry(late)
    client, manager = shop.client(), shop.manager
    line = [late, high, low, mail]
    assert [queue for queue in manager.queue_order() if queue in ("images", "mail")] == ["images", "mail"]
    text = client.get("/queues/jobs").text
    assert rows(text) == line
    assert sorted_by(text) == []
    assert re.search('>Next to run first · <a href="/queues/jobs[?]sort=oldest">Longest wait first</a> · ', text)
    assert '<a href="/queues/jobs?sort=oldest">Waiting for</a>' in text
    assert [job["id"] for job in client.get("/queues/api/jobs?sort=next").get_json()["jobs"]] == line
    assert rows(client.get("/queues/jobs?queue=images").text) == [late, high, low]
    assert rows(client.get("/queues/queues/images").text) == [late, high, low]
    for sort, way, other in (("oldest", "descending", "newest"), ("newest", "ascending", "oldest")):
        text = client.get(f"/queues/jobs?sort={sort}").text
        assert rows(text) == ([low, late, high, mail] if sort == "oldest" else [mail, high, late, low])
        assert heads(text) == [(way, f"/queues/jobs?sort={other}")]
        assert '<a href="/queues/jobs">Next to run first</a>' in text
    assert "Nächste zuerst" in client.get("/queues/jobs", headers={"Accept-Language": "de"}).text


def test_what_nothing_can_be_claimed_of_stands_last(shop: Shop) -> None:
    """A queue that is paused, and what is held back; page by page, whatever is paused or empty by then."""
    mails = [shop.pending() for _ in range(30)]
    images = [job.id for job in shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(30)])]
    client = shop.client()
    assert rows(client.get("/queues/jobs?limit=25").text) == images[:25]
    shop.manager.pause("images")
    text = client.get("/queues/jobs?limit=25").text
    assert rows(text) == mails[:25]
    [onward] = re.findall(r'rel="next" href="([^"]+)"', text)
    for job in mails[25:]:
        shop.manager.cancel(job)
    assert rows(client.get(onward.replace("&amp;", "&")).text) == images[:25]


def test_of_a_type_it_is_told_who_waits_longest(shop: Shop) -> None:
    """As no index serves another order; the address keeps the usual one for the time when the filter is gone."""
    ids = [shop.resize.using(priority=n).push(file_id=n).id for n in range(3)]
    shop.tick()
    ids.append(shop.resize.push(file_id=9).id)
    client = shop.client()
    text = client.get("/queues/jobs?type=shop:resize").text
    assert rows(text) == ids
    assert heads(text) == [("descending", "/queues/jobs?type=shop:resize&amp;sort=newest")]
    assert ">Longest wait first · <a" in text
    assert "Next to run first" not in text
    assert 'name="sort"' not in text
    assert rows(client.get("/queues/jobs?text=file_id").text) == [*ids[2:0:-1], ids[0], ids[3]]
    assert client.get("/queues/jobs?after=1:2").status_code == 400


def test_pages_filters_and_sizes_keep_the_order(shop: Shop) -> None:
    """Also the form of the filters, which has it hidden in it; an order that is not known is the usual one."""
    ids = shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(60)])
    client = shop.client()
    text = client.get("/queues/jobs?sort=newest&limit=25&queue=images").text
    assert rows(text) == [job.id for job in ids[::-1]][:25]
    [onward] = re.findall(r'rel="next" href="([^"]+)"', text)
    assert "sort=newest" in onward
    assert "queue=images" in onward
    assert '<input type="hidden" name="sort" value="newest">' in text
    assert rows(client.get(onward.replace("&amp;", "&")).text) == [job.id for job in ids[::-1]][25:50]
    assert rows(client.get("/queues/jobs?sort=payload&limit=25").text) == [job.id for job in ids][:25]


def test_the_slowest_of_the_newest_completed_jobs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No storage keeps that order, so the page says of how many; filters and sizes stay, and the JSON says the same."""
    begin, ahead = shop.manager.storage.now(), [0]
    monkeypatch.setattr(engine, "wall", lambda: begin + ahead[0])
    ids: list[str] = []
    for seconds in (5, 2, 9, 1):
        ids.append(shop.pending())
        claim = shop.claim()
        ahead[0] += seconds * 1000
        shop.settle(transitions.completed(claim, None))
    monkeypatch.setattr("flask_queues.panel.listing.AMONG", 3)
    slowest, client = [ids[2], ids[1], ids[3]], shop.client()
    assert '<a href="/queues/completed?sort=slowest">Ran</a>' in client.get("/queues/completed").text
    text = client.get("/queues/completed?sort=slowest&queue=mail").text
    assert rows(text) == slowest
    assert 'The slowest of the newest 3 · <a href="/queues/completed?queue=mail">Newest first</a>' in text
    assert sorted_by(text) == [("Ran", "descending")]
    assert '<input type="hidden" name="sort" value="slowest">' in text
    assert "3 shown" in text
    german = client.get("/queues/completed?sort=slowest", headers={"Accept-Language": "de"}).text
    assert "Die langsamsten der neuesten 3" in german
    found = client.get("/queues/api/completed?sort=slowest&ran=2").get_json()
    assert ([job["id"] for job in found["jobs"]], found["after"]) == ([ids[2], ids[0], ids[1]], None)
    assert "Newest first" in client.get("/queues/cancelled?sort=slowest").text


def test_with_a_tag_jobs_stand_as_they_were_pushed(shop: Shop) -> None:
    """Which no column shows, so no head says that it is sorted by it."""
    ids = [shop.pending() for _ in range(2)]
    text = shop.client().get("/queues/jobs?tag=news").text
    assert rows(text) == ids
    assert heads(text) == []
    assert "First pushed first" in text
    assert "Last pushed first" in text
