"""Failures by cause: how many problems there are, which first, whether one is over; and looking for jobs."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from flask_queues import Status, transitions
from flask_queues.panel.listing import FEW, Filters, total_of_cause
from flask_queues.record import Page
from flask_queues.storage.values import Query

from .conftest import Shop, post, raised, token_of

XSS = "<script>alert(1)</script>"


def cause_of(shop: Shop) -> str:
    """The key of the only cause."""
    (cause,) = shop.client().get("/queues/api/failed").get_json()["causes"]
    key: str = cause["key"]
    return key


def test_a_hundred_equal_failures_are_one_line(shop: Shop) -> None:
    """With their number; another error is another line, the last first."""
    for n in range(100):
        shop.failed(ValueError(f"no user {n}"))
    shop.failed(KeyError("price"))
    shop.count()
    text = shop.client().get("/queues/failed").text
    assert "101 in 2 causes" in text
    lines = re.findall(r'<tr id="row-\w+">.*?</tr>', text, re.DOTALL)
    assert ["KeyError" in line for line in lines] == [True, False]
    assert re.search(r">\s*100\s*<", lines[1])
    assert "no user 99" in lines[1]
    assert 'aria-label="rising, 100 in 24 hours"' in lines[1]


@pytest.mark.slow
def test_a_thousand_equal_failures_are_one_line_and_pushed_again_at_once(shop: Shop) -> None:
    """The question names their number, the answer says it again, and so many wait."""
    for n in range(1000):
        shop.failed(ValueError(f"no user {n}"))
    shop.count()
    client, key = shop.client(), cause_of(shop)
    text = client.get("/queues/failed").text
    assert "1,000 in 1 cause" in text
    (line,) = re.findall(r'<tr id="row-\w+">.*?</tr>', text, re.DOTALL)
    assert re.search(r">\s*1,000\s*<", line)
    asked = client.get(f"/queues/actions/retry/confirm?all=1&status=failed&cause={key}").text
    assert "Retry 1,000 jobs?" in asked
    answer = post(client, "/queues/actions/retry", all="1", status="failed", cause=key, seen="1000")
    assert "1,000 jobs were pushed again." in client.get(answer.location).text
    assert shop.manager.counts().statuses == {**dict.fromkeys(map(str, Status), 0), "pending": 1000}


def test_the_jobs_of_a_cause_are_counted_without_reading_thousands(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a hundred, whether they are many, or few behind many others: the keeper has counted."""
    for _ in range(3):
        shop.failed(KeyError("price"))
    for n in range(FEW + 10):
        shop.failed(ValueError(f"no user {n}"))
    shop.count()
    many, few = sorted(shop.manager.causes(), key=lambda one: -one.number)
    read = 0
    page_of = shop.manager.storage.page

    def counting(query: Query) -> Page:
        nonlocal read
        page = page_of(query)
        read += len(page.jobs)
        return page

    monkeypatch.setattr(shop.manager.storage, "page", counting)
    for cause, number in ((many, FEW + 10), (few, 3)):
        read = 0
        assert total_of_cause(shop.manager, Filters(cause=cause.cause.key)) == number
        assert read <= FEW


def test_the_json_tells_the_same(shop: Shop) -> None:
    """Of all causes, and of one with its newest jobs."""
    job = shop.failed(ValueError("no user 17"))
    shop.count()
    client = shop.client()
    (cause,) = client.get("/queues/api/failed").get_json()["causes"]
    assert (cause["error"], cause["message"], cause["jobs"]) == ("ValueError", "no user #", 1)
    assert (cause["types"], cause["queues"]) == (["shop:mail"], ["mail"])
    one = client.get(f"/queues/api/failed/{cause['key']}").get_json()
    assert [record["id"] for record in one["newest"]] == [job]
    assert client.get("/queues/api/failed/none").status_code == 404


def test_a_cause_shows_one_trace_what_jobs_have_in_common_and_the_jobs(shop: Shop) -> None:
    """And how many there are, since when."""
    jobs = [shop.failed(ValueError(f"no user {n}")) for n in range(3)]
    shop.failed(KeyError("price"))
    shop.count()
    key = shop.client().get("/queues/api/failed").get_json()["causes"][1]["key"]
    text = shop.client().get(f"/queues/failed/{key}").text
    assert "3 jobs failed this way." in text
    assert sorted(re.findall(r'<tr id="row-(\w+)"', text)) == sorted(jobs)
    assert "raise error" in text
    common = text[text.index("In common") :]
    assert re.search(r"Queue</dt><dd>mail <small>100%", common)
    assert re.search(r"Host</dt><dd>host <small>100%", common)
    assert re.search(r"Tag</dt><dd>news <small>100%", common)
    listed = shop.client().get(f"/queues/failed/jobs?cause={key}").text
    assert sorted(re.findall(r'<tr id="row-(\w+)"', listed)) == sorted(jobs)


def test_one_is_retried_first_and_its_outcome_stands_there(shop: Shop) -> None:
    """Before all others are."""
    jobs = [shop.failed(ValueError(f"no user {n}")) for n in range(3)]
    shop.count()
    client = shop.client()
    page = f"/queues/failed/{cause_of(shop)}"
    action = re.search(r'formaction="([^"]+retry[^"]+)"', client.get(page).text)
    assert action is not None
    answer = client.post(action[1].replace("&amp;", "&"), data={"csrf_token": token_of(client)})
    assert answer.location == f"{page}?tried={jobs[-1]}"
    assert shop.status(jobs[-1]) is Status.PENDING
    text = client.get(answer.location).text
    assert re.search(r'id="q-tried".*Pending', text, re.DOTALL)
    assert "Retry all 2 …" in text
    assert (
        "Retry 2 jobs?" in client.get(f"/queues/actions/retry/confirm?all=1&status=failed&cause={cause_of(shop)}").text
    )


def test_all_of_a_cause_are_retried_or_deleted_after_a_question_with_their_number(shop: Shop) -> None:
    """And no other job."""
    jobs = [shop.failed(ValueError(f"no user {n}")) for n in range(5)]
    other = shop.failed(KeyError("price"))
    shop.count()
    client = shop.client()
    key = client.get("/queues/api/failed").get_json()["causes"][1]["key"]
    asked = client.get(f"/queues/actions/retry/confirm?all=1&status=failed&cause={key}").text
    assert "Retry 5 jobs?" in asked
    answer = post(client, "/queues/actions/retry", all="1", status="failed", cause=key, seen="5")
    assert answer.status_code == 303
    assert "5 jobs were pushed again." in client.get("/queues/failed").text
    assert {shop.status(job) for job in jobs} == {Status.PENDING}
    assert shop.status(other) is Status.FAILED


def test_all_of_a_cause_are_retried_spread_over_a_time(shop: Shop) -> None:
    """Evenly, the first of them at once; a time that is not offered is none."""
    jobs = [shop.failed(ValueError(f"no user {n}")) for n in range(5)]
    shop.count()
    client, key = shop.client(), cause_of(shop)
    asked = client.get(f"/queues/actions/retry/confirm?all=1&status=failed&cause={key}").text
    assert '<option value="600">spread over 10\N{NO-BREAK SPACE}min</option>' in asked
    assert "spread over" not in client.get(f"/queues/actions/delete/confirm?all=1&status=failed&cause={key}").text
    form = {"all": "1", "status": "failed", "cause": key, "seen": "5"}
    began = shop.manager.now()
    post(client, "/queues/actions/retry", **form, spread="600")
    assert "5 jobs are scheduled again, spread over 10\N{NO-BREAK SPACE}min." in client.get("/queues/failed").text
    due = sorted((shop.manager.find(job).due - began).total_seconds() for job in jobs)
    assert [shop.status(job) for job in jobs].count(Status.SCHEDULED) == 4
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert due[-1] < 600 + 60
    assert min(gaps) > 600 / 5 / 2
    post(client, "/queues/actions/run", id=jobs)
    shop.failed()
    post(client, "/queues/actions/retry", all="1", status="failed", seen="1", spread="86400")
    assert shop.manager.counts().statuses["scheduled"] == 0


def test_causes_are_narrowed_by_time_queue_and_type(shop: Shop) -> None:
    """The numbers, and what is done to all of them, are those of the filter."""
    for _ in range(2):
        shop.failed()
    moved = shop.mail.using(queue="images").push(to="ada@example.org")
    claim = shop.claim()
    assert claim.id == moved.id
    text = transitions.describe_exception(raised(ValueError("the mail server said no")))
    shop.settle(transitions.failed(claim, shop.manager.terms(claim)._replace(tries=1), text))
    shop.count()
    client = shop.client()
    assert "3 in 1 cause" in client.get("/queues/failed").text
    page = client.get("/queues/failed?queue=images&type=shop:mail&range=1h").text
    assert "1 in 1 cause" in page
    assert "Retry …" in page
    assert "queue=images" in page
    assert "Nothing matches the filter." in client.get("/queues/failed?type=shop:resize").text
    told = client.get("/queues/api/failed?queue=images&type=shop:mail&range=1h").get_json()["causes"]
    assert [one["jobs"] for one in told] == [1]
    assert client.get("/queues/api/failed?type=shop:resize").get_json() == {"causes": [], "unread": []}
    key = cause_of(shop)
    asked = client.get(f"/queues/actions/retry/confirm?all=1&status=failed&cause={key}&queue=images").text
    assert "Retry 1 job?" in asked
    post(client, f"/queues/actions/retry?all=1&status=failed&cause={key}&queue=images", seen="1")
    assert shop.status(moved.id) is Status.PENDING
    assert shop.manager.counts().statuses["failed"] == 2


def test_checked_jobs_are_retried_spread_over_a_time(shop: Shop) -> None:
    """As all of a cause are."""
    ids = [shop.failed() for _ in range(3)]
    client = shop.client()
    assert 'name="spread"' in client.get("/queues/failed/jobs").text
    assert 'name="spread"' not in client.get("/queues/jobs").text
    post(client, "/queues/actions/retry", id=ids, spread="600")
    assert {shop.status(job_id) for job_id in ids[1:]} == {Status.SCHEDULED}


def test_a_cause_of_which_nothing_is_left_says_so(shop: Shop) -> None:
    """Its page stays; the list forgets it as soon as somebody has counted anew."""
    jobs = [shop.failed() for _ in range(3)]
    shop.count()
    key = cause_of(shop)
    for job in jobs:
        shop.manager.delete(job)
    text = shop.client().get(f"/queues/failed/{key}").text
    assert "All 3 jobs of this cause were retried or deleted." in text
    assert "Retry one first" not in text


def test_failures_that_nobody_has_counted_yet_are_not_hidden(shop: Shop) -> None:
    """They stand on the other page."""
    shop.failed()
    text = shop.client().get("/queues/failed").text
    assert "Causes are counted by workers; these failures were not yet." in text
    assert "/queues/failed/jobs" in text


def test_a_cause_shows_no_secret_and_no_html(shop: Shop) -> None:
    """In the list, on its page, in JSON and search."""
    shop.failed(ValueError(f"no {XSS} swordfish!!"), to="anna", password="swordfish!!")
    shop.count()
    client = shop.client()
    pages = ["/queues/failed", f"/queues/failed/{cause_of(shop)}", "/queues/api/failed", "/queues/search?q=anna"]
    for page in pages:
        text = client.get(page).text
        assert "swordfish" not in text, page
        assert XSS not in text or page.startswith("/queues/api"), page
    assert "No job" not in client.get("/queues/search?q=swordfish").text
    assert client.get("/queues/api/search?q=swordfish").get_json()["jobs"] == []


class TestSearch:
    def test_an_id_leads_to_its_job(self, shop: Shop) -> None:
        """Wherever it was copied from."""
        job = shop.failed()
        assert shop.client().get(f"/queues/search?q=+{job}+").location == f"/queues/jobs/{job}"

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("anna", ["anna"]),
            ("ANNA@", ["anna"]),
            ("queue:mail error:ValueError", ["failed"]),
            ("type:shop:mail tag:news anna", ["anna"]),
            ("worker:host", ["failed"]),
            ("attempts:1", ["failed"]),
            ("attempts:nonsense nobody", []),
            ("queue:images", []),
            ("", []),
        ],
    )
    def test_texts_and_named_fields_are_looked_for(self, shop: Shop, text: str, found: list[str]) -> None:
        """In jobs of every status."""
        jobs = {"failed": shop.failed(to="otto"), "anna": shop.pending(to="anna@example.org")}
        answer = shop.client().get("/queues/api/search", query_string={"q": text}).get_json()
        assert sorted(job["id"] for job in answer["jobs"]) == sorted(jobs[name] for name in found)
        page = shop.client().get("/queues/search", query_string={"q": text}).text
        assert sorted(re.findall(r'<tr id="row-(\w+)"', page)) == sorted(jobs[name] for name in found)

    def test_a_list_is_searched_by_its_own_field(self, shop: Shop) -> None:
        """What was found is a list like any other: with the filter in each link, and actions on all."""
        job = shop.pending(to="anna")
        shop.pending(to="otto")
        client = shop.client()
        text = client.get("/queues/jobs?text=tag:news+anna").text
        assert re.findall(r'<tr id="row-(\w+)"', text) == [job]
        assert 'value="tag:news anna"' in text
        post(client, "/queues/actions/cancel", all="1", status="pending", text="anna", seen="0")
        assert {record.id: record.status for record in shop.manager.every()}[job] is Status.CANCELLED
        assert len(shop.manager.jobs_of(statuses=[Status.PENDING]).jobs) == 1


def test_failures_that_share_a_cause_are_said_on_every_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a link to it, where they are many and most of those of the last hours."""
    monkeypatch.setattr("flask_queues.panel.trends.HOLDS", -1)
    shop.work()
    client = shop.client()
    for n in range(19):
        shop.failed(ValueError(f"no user {n}"))
    shop.count()
    assert "failed the same way" not in client.get("/queues/jobs").text
    shop.failed(ValueError("no user 20"))
    shop.count()
    text = client.get("/queues/schedules").text
    assert "20 jobs failed the same way in the last two hours: ValueError." in text
    assert re.search(r'<a href="/queues/failed/\w+">Cause</a>', text)
    for n in range(20):
        shop.failed(KeyError(f"price{n}"))
    shop.count()
    assert "failed the same way" not in client.get("/queues/schedules").text


def test_a_cause_says_how_long_it_lasted(shop: Shop) -> None:
    """Between its first failure and its last, where there are two."""
    shop.failed()
    shop.count()
    client = shop.client()
    assert "between them" not in client.get(f"/queues/failed/{cause_of(shop)}").text
    [first] = shop.manager.jobs_of(statuses=["failed"]).jobs
    while first.finished is not None and shop.manager.now() <= first.finished:
        pass
    shop.failed()
    shop.count()
    text = client.get(f"/queues/failed/{cause_of(shop)}").text
    assert re.search(r"last [^,]*, [0-9.]+\sm?s between them\.", text)
