"""Everything in a browser that runs no script: what is shown, what is done, and what is asked before it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from flask_queues import Status

from .conftest import PAGES, Shop
from .test_breakers import opened
from .visiting import Visitor, row

pytestmark = pytest.mark.browser


@pytest.fixture
def anna(visit: Callable[..., Visitor]) -> Visitor:
    """An admin whose browser runs no script."""
    return visit(java_script_enabled=False, viewport={"width": 1280, "height": 900})


def press(page: Page, name: str, exact: bool = False) -> None:
    """Press the button or follow the link of this name."""
    page.get_by_role("button", name=name, exact=exact).or_(page.get_by_role("link", name=name, exact=exact)).click()


def test_every_page_is_whole_and_may_be_read_again(shop: Shop, anna: Visitor) -> None:
    """Its heading, its content, the link that reads it again where a script would keep it up to date."""
    jobs = shop.one_of_each()
    shop.count()
    pages = [*PAGES, *(f"/jobs/{job_id}" for job_id in jobs.values())]
    pages += [f"/schedules/{shop.schedule()}", f"/batches/{shop.batch()}"]
    quiet = ["/push", "/push?type=shop:mail", "/preferences", f"/jobs/{jobs[Status.FAILED]}/payload"]
    quiet += ["/queues/mail/empty", f"/actions/delete/confirm?id={jobs[Status.FAILED]}"]
    for path in [*pages, *quiet]:
        page = anna.go(path)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert page.locator("main").inner_text().count("\n") > 3, path
        if path in pages:
            expect(page.get_by_role("link", name="Refresh")).to_be_visible()
            expect(page.get_by_text(re.compile(r"As of \d\d:\d\d:\d\d"))).to_be_visible()
        for lame in page.locator("[data-copy], [data-pause], [data-sign-in], #q-newer, #q-all").all():
            expect(lame).to_be_hidden()
    before = anna.go("/jobs").locator("#q-count").inner_text()
    shop.pending()
    press(anna.page, "Refresh")
    expect(anna.page.locator("#q-count")).to_have_text(str(int(before) + 1))


def test_what_can_be_done_with_a_job_is_done(shop: Shop, anna: Visitor) -> None:
    """From its row, from its page, and from the page that asks."""
    failed, waits, comes = shop.failed(), shop.pending(), shop.scheduled()
    page = anna.go("/failed/jobs")
    row(page, failed).get_by_role("button", name="Retry Send mail").click()
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    anna.go("/scheduled")
    row(page, comes).get_by_role("button", name="Run now Send mail").click()
    expect(page.get_by_role("status").first).to_contain_text("1 job")
    assert [shop.status(one) for one in (failed, comes)] == [Status.PENDING] * 2
    anna.go(f"/jobs/{waits}")
    press(page, "Cancel Send mail")
    press(page, "Cancel 1 job", exact=True)
    assert shop.status(waits) is Status.CANCELLED
    anna.go(f"/jobs/{waits}")
    press(page, "Push again Send mail")
    expect(page.get_by_text("1 job was pushed anew.")).to_be_visible()
    anna.go(f"/jobs/{waits}")
    press(page, "Delete")
    expect(page.get_by_role("heading", name="Delete 1 job?")).to_be_visible()
    press(page, "Keep it")
    assert shop.status(waits) is Status.CANCELLED
    press(page, "Delete")
    press(page, "Delete 1 job", exact=True)
    assert anna.go(f"/jobs/{waits}").get_by_role("heading", level=1).inner_text() == "No such job"


def drawn(page: Page) -> list[str]:
    """Every text that is drawn, also what the style sheet adds to a page, such as a number that it counts."""
    session = page.context.new_cdp_session(page)
    found: Any = session.send("DOMSnapshot.captureSnapshot", {"computedStyles": []})
    return [found["strings"][index] for index in found["documents"][0]["layout"]["text"] if index >= 0]


def test_what_can_be_done_with_many_jobs_is_done(shop: Shop, anna: Visitor) -> None:
    """With those that are checked, whose number stands in the bar, and with all of them."""
    ids = [shop.failed() for _ in range(4)]
    page = anna.go("/failed/jobs")
    expect(page.locator(".q-bulk")).to_be_hidden()
    assert page.locator("thead input:visible").count() == 0
    for count, job_id in enumerate(ids[:2], start=1):
        row(page, job_id).get_by_role("checkbox").check()
        expect(page.locator(".q-bulk")).to_be_visible()
        texts = drawn(page)
        assert texts[texts.index(" selected") - 1] == str(count)
    page.locator(".q-bulk").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("2 jobs were pushed again.")).to_be_visible()
    page.get_by_text("All 2 …").click()
    page.locator(".q-menu").get_by_role("link", name="Delete").click()
    press(page, "Delete 2 jobs", exact=True)
    expect(page.get_by_text("2 jobs were deleted.")).to_be_visible()
    assert shop.manager.counts().statuses["failed"] == 0


def test_a_cause_is_looked_at_tried_and_retried(shop: Shop, anna: Visitor) -> None:
    """One first, then the others, after a question with their number."""
    for _ in range(3):
        shop.failed()
    shop.count()
    page = anna.go("/failed")
    page.locator("tbody th > a").click()
    press(page, "Retry one first")
    expect(page.locator("#q-tried")).to_contain_text("Pending")
    press(page, "Retry all 2 … ValueError")
    expect(page.get_by_role("heading", name="Retry 2 jobs?")).to_be_visible()
    press(page, "Retry 2 jobs", exact=True)
    expect(page.get_by_text("2 jobs were pushed again.")).to_be_visible()
    assert shop.manager.counts().statuses["pending"] == 3


def test_queues_are_paused_resumed_and_emptied(shop: Shop, anna: Visitor) -> None:
    """With a reason; a job type that is held is let go."""
    opened(shop)
    shop.pending()
    page = anna.go("/queues")
    press(page, "Pause mail")
    expect(page.locator("#row-mail .q-is-cancelled")).to_be_visible()
    press(page, "Resume mail")
    expect(page.locator("#row-mail .q-is-cancelled")).to_have_count(0)
    [breaker] = page.locator("tr", has=page.get_by_text("SMTPException")).all()
    breaker.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("SMTPException")).to_have_count(0)
    anna.go("/queues/mail")
    page.get_by_text("Pause the queue …").click()
    page.get_by_label("Why").fill("the mail server is full")
    page.get_by_label("How long").select_option(index=1)
    press(page, "Pause", exact=True)
    expect(page.locator("#q-count")).to_contain_text("the mail server is full")
    press(page, "Empty the queue …")
    page.get_by_label("Type mail to go on:").fill("mail")
    press(page, "Empty the queue", exact=True)
    expect(page.get_by_text("1 job was deleted.")).to_be_visible()


def test_schedules_are_run_paused_and_resumed(shop: Shop, anna: Visitor) -> None:
    """On the list and on their own page."""
    shop.schedule()
    page = anna.go("/schedules")
    press(page, "Pause bericht")
    expect(page.get_by_role("button", name="Resume bericht")).to_be_visible()
    page.locator("tbody th > a", has_text="bericht").click()
    press(page, "Resume bericht")
    expect(page.get_by_role("button", name="Pause bericht")).to_be_visible()
    press(page, "Run now bericht")
    expect(page.locator("#q-rows tr")).to_have_count(2)
    assert shop.manager.counts().statuses["pending"] == 2


def test_batches_and_workers_are_told_what_to_do(shop: Shop, anna: Visitor) -> None:
    """The failed jobs of a batch, the rest of it; a worker is made quiet, goes on, begins anew."""
    batch = shop.batch()
    page = anna.go(f"/batches/{batch}")
    press(page, "Retry 1 failed job")
    expect(page.get_by_role("button", name="Retry 1 failed job")).to_have_count(0)
    page.get_by_text("Cancel the rest …").click()
    press(page, "Cancel 2 jobs")
    expect(page.get_by_role("button", name="Cancel 2 jobs")).to_have_count(0)
    shop.work()
    anna.go("/workers")
    press(page, "Make quiet host 9")
    press(page, "Let go on host 9")
    press(page, "Restart host 9")
    expect(page.get_by_role("button", name="Make quiet host 9")).to_be_visible()
    anna.go(f"/jobs/{shop.claim().id}")
    press(page, "Show stacks")
    expect(page.get_by_text("The worker was asked and answers in a second or two.")).to_be_visible()


def test_jobs_are_pushed_found_and_listed_otherwise(shop: Shop, anna: Visitor) -> None:
    """By forms and links: a new job, a search, a filter, an order, a page."""
    shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(60)])
    page = anna.go("/jobs")
    press(page, "Push a job …")
    page.get_by_label("Job type").select_option("shop:mail")
    press(page, "Next", exact=True)
    page.get_by_label("to", exact=True).fill("zoe@example.org")
    press(page, "Push", exact=True)
    pushed = shop.queues.jobs_of(type="shop:mail").jobs[0].id
    anna.go("/search")
    page.locator("main").get_by_role("searchbox").fill(pushed)
    page.locator("main").get_by_role("button", name="Search").click()
    page.wait_for_url(f"**/queues/jobs/{pushed}")
    anna.go("/jobs")
    page.locator("main select[name=queue]").select_option("images")
    press(page, "Filter", exact=True)
    expect(page.locator("#q-rows tr")).to_have_count(50)
    press(page, "Next", exact=True)
    expect(page.locator("#q-rows tr")).to_have_count(10)
    press(page, "Previous", exact=True)
    for order in ("descending", "ascending"):
        page.locator("thead a", has_text="Waiting for").click()
        expect(page.locator("thead [aria-sort]")).to_have_attribute("aria-sort", order)
    assert page.locator("#q-rows tr").first.get_attribute("id") != f"row-{pushed}"
    press(page, "Remove the filter images")
    expect(page.locator(".q-pager p").first).to_contain_text("of 61")


def test_a_phone_has_the_menu_and_everybody_their_preferences(shop: Shop, anna: Visitor) -> None:
    """Theme, language, density, zone and keys, by buttons; the menu opens and leads on."""
    shop.failed()
    page = anna.page
    page.set_viewport_size({"width": 360, "height": 740})
    anna.go("/failed/jobs")
    expect(page.get_by_role("link", name="Metrics")).to_be_hidden()
    press(page, "Menu")
    press(page, "Dark")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    press(page, "Menu")
    press(page, "Deutsch")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fehlgeschlagen")
    press(page, "Menü")
    press(page, "English")
    press(page, "Menu")
    press(page, "Compact")
    expect(page.locator("main.q-compact")).to_be_visible()
    press(page, "Menu")
    press(page, "Keys")
    page.get_by_label("All times are in this zone").fill("Asia/Tokyo")
    press(page, "Save", exact=True)
    anna.go("/metrics")
    press(page, "Menu")
    expect(page.locator(".q-foot").get_by_text("Asia/Tokyo")).to_be_visible()


def test_charts_have_a_table(shop: Shop, anna: Visitor) -> None:
    """With a head for each of its lines and a row for each of its marks."""
    shop.completed()
    shop.count()
    page = anna.go("/metrics?range=1h")
    charts = page.locator("figure").all()
    assert len(charts) >= 5
    for chart in charts:
        chart.get_by_text("As a table").click()
        expect(chart.get_by_role("table")).to_be_visible()
        expect(chart.locator("tbody tr")).to_have_count(60)
