"""For whoever has no mouse, hears a page, or is elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from flask_queues import Status

from .conftest import Shop, post
from .test_looks import everything
from .visiting import Visitor, row

pytestmark = pytest.mark.browser

#: Where the focus is, and what lies on top of its middle.
COVERED = """() => {
    const one = document.activeElement, box = one.getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return !(one.contains(top) || top?.contains(one)) && (top?.outerHTML.slice(0, 100) ?? "outside of the window");
}"""


def tab(page: Page) -> None:
    """One step further; the focus is seen, and under nothing."""
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement === document.body"):
        return
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert page.evaluate(COVERED) is False, page.evaluate("document.activeElement.outerHTML.slice(0, 100)")


@pytest.mark.parametrize("width", [1280, 360])
def test_the_focus_is_never_under_a_bar(shop: Shop, visit: Callable[..., Visitor], width: int) -> None:
    """Through a whole list while the bar for checked rows stands at the edge of the window."""
    ids = [shop.failed() for _ in range(15)]
    anna = visit(viewport={"width": width, "height": 600}, reduced_motion="reduce")
    page = anna.go("/failed/jobs")
    row(page, ids[-1]).get_by_role("checkbox").check()
    expect(page.locator(".q-bulk")).to_be_visible()
    page.get_by_role("button", name="Pause").focus()
    seen = set()
    for _ in range(90):
        tab(page)
        seen.add(page.evaluate("document.activeElement.closest('tr')?.id"))
    assert {f"row-{job_id}" for job_id in ids} <= seen


def test_what_is_heard_says_what_it_is_of(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """A title and a heading of its own for each page, a caption for each table, the job's name with each button."""
    anna = visit()
    titles = {}
    for path in everything(shop):
        page = anna.go(path)
        titles[path] = page.title()
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert page.title().startswith(page.get_by_role("heading", level=1).inner_text())
        for table in page.locator("table").all():
            expect(table.locator("caption")).not_to_be_empty()
        for control in page.locator("main tbody .q-acts").locator("button, a").all():
            assert re.search(r"\w+.* \w+", control.text_content() or ""), path
        pictures = "main img:not([alt]), main svg:not([aria-hidden], [aria-label], .q-acts svg)"
        assert page.locator(pictures).count() == 0, path
    assert len({titles[path] for path in ("/jobs", "/running", "/failed", "/metrics", "/workers", "/queues")}) == 6
    row_of_it = anna.go("/failed/jobs").locator("#q-rows tr").first
    expect(row_of_it.get_by_role("button", name="Retry Send mail")).to_be_visible()
    expect(row_of_it.get_by_role("button", name="Delete Send mail")).to_be_visible()
    expect(row_of_it.get_by_role("checkbox", name="Select Send mail")).to_be_visible()


def test_times_are_those_of_the_browser(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """From the second page on, and the footer names the zone; another browser has its own."""
    job_id = shop.failed()
    for zone, shown in (("America/New_York", "EST|EDT"), ("Asia/Tokyo", "JST|GMT\\+9")):
        anna = visit(timezone_id=zone)
        page = anna.go(f"/jobs/{job_id}")
        expect(page.locator(".q-foot").get_by_text(zone)).to_be_visible()
        assert re.search(shown, page.locator("time[title]").first.get_attribute("title") or "")


def test_the_keyboard_alone_in_german(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Over the link that skips the menu, to the error and its retry."""
    job_id = shop.failed()
    anna = visit(locale="de-DE")
    page = anna.go(f"/jobs/{job_id}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Zum Inhalt")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(12):
        tab(page)
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "Jetzt wiederholen: Send mail":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".q-note:focus")).to_contain_text("1 Job")
    assert shop.status(job_id) is Status.PENDING


def test_a_reader_is_shown_no_button(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """On no page, not even once it has brought itself up to date."""
    pages = everything(shop)
    post(shop.client(), "/queues/actions/queue/pause", queue="images")
    rita = visit()
    rita.page.goto(f"{rita.address}/sign-in?name=rita&next=/queues/jobs")
    for path in pages:
        page = rita.go(path)
        changing = page.locator(
            "main form[method=post], main [formaction], main [data-confirm], main button[form], main [name=id]"
        )
        if path != "/preferences":
            expect(changing).to_have_count(0)
    rita.go("/failed/jobs")
    shop.failed()
    rita.updates(2)
    expect(
        rita.page.locator("main [formaction], main [data-confirm], main button[form], main [name=id]")
    ).to_have_count(0)
