"""The panel in a real browser: it lives, holds still under the hand, and fits every screen and everybody."""

from __future__ import annotations

import cProfile
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from flask_queues import Status, transitions
from flask_queues.record import LogLine, Progress
from flask_queues.worker.profiling import table

from .conftest import PAGES, Shop
from .test_breakers import opened
from .test_changes import PAYLOAD, Report
from .test_workers import cross
from .visiting import Visitor, row, violations

pytestmark = pytest.mark.browser


def test_a_pushed_job_appears_and_counts_change_by_themselves(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Without a reload, and without a complaint."""
    anna = visit()
    page = anna.go("/jobs")
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    job_id = shop.pending()
    expect(row(page, job_id)).to_be_visible()
    expect(page.locator("#q-count")).to_have_text("1")
    expect(page.locator(".q-nav a[aria-current] small")).to_have_text("1")
    assert anna.complaints == []


def test_a_checked_list_holds_still_and_says_what_is_newer(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """No row comes, goes or moves; one that left its status says so; the check marks stay."""
    first, second = shop.failed(), shop.failed()
    anna = visit()
    page = anna.go("/failed/jobs")
    row(page, first).get_by_role("checkbox").check()
    expect(page.locator(".q-bulk")).to_be_visible()
    third = shop.failed()
    shop.manager.retry(second)
    expect(row(page, second)).to_have_class("q-moved")
    expect(
        row(page, second).get_by_text("Failed", exact=True).or_(row(page, second).get_by_text("Pending"))
    ).to_be_visible()
    expect(page.locator("#q-newer")).to_contain_text("1 newer")
    anna.updates()
    assert [one.get_attribute("id") for one in page.locator("#q-rows tr").all()] == [f"row-{second}", f"row-{first}"]
    expect(row(page, first).get_by_role("checkbox")).to_be_checked()
    page.get_by_role("button", name="Show").click()
    expect(row(page, third)).to_be_visible()
    expect(row(page, second)).to_have_count(0)
    assert anna.complaints == []


def test_nothing_moves_under_the_pointer(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """The list waits until the pointer has left it."""
    first = shop.failed()
    anna = visit()
    page = anna.go("/failed/jobs")
    row(page, first).hover()
    second = shop.failed()
    expect(page.locator("#q-newer")).to_contain_text("1 newer")
    expect(row(page, second)).to_have_count(0)
    page.locator("h1").hover()
    expect(row(page, second)).to_be_visible()


def test_focus_selection_and_open_details_stay(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Over several updates while jobs complete around them."""
    first = shop.failed()
    anna = visit()
    page = anna.go("/failed/jobs")
    button = row(page, first).get_by_role("button", name="Retry Send mail")
    button.focus()
    shop.failed()
    anna.updates(3)
    expect(button).to_be_focused()
    page = anna.go(f"/jobs/{first}")
    page.get_by_text("As text").click()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.q-last'))")
    shop.failed()
    anna.updates(3)
    expect(page.locator("#q-error details[open] pre").last).to_be_visible()
    assert "the mail server said no" in page.evaluate("getSelection().toString()")
    assert anna.complaints == []


def test_a_running_jobs_bar_and_log_grow(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """On its own page; when it ends, the verdict is another."""
    shop.pending()
    claim = shop.claim()
    anna = visit()
    page = anna.go(f"/jobs/{claim.id}")
    line = LogLine(datetime.now(timezone.utc), "info", "Half of it is sent", {}, 1)
    shop.manager.note(claim, Progress(50, "half way"), [line])
    expect(page.get_by_text("Half of it is sent")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")
    shop.settle(transitions.completed(claim, None))
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    assert anna.complaints == []


def test_pause_stops_the_updates_and_a_gone_server_is_said(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Paused is kept from page to page; signed out ends it with a link."""
    anna = visit()
    page = anna.go("/jobs")
    page.get_by_role("button", name="Pause").click()
    page = anna.go("/failed/jobs")
    expect(page.get_by_text("Paused ·")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Live ·")).to_be_visible()
    page.route("**/queues/failed/jobs", lambda route: route.abort())
    expect(page.locator("#q-live-line")).to_contain_text("Not reached since")
    expect(page.get_by_role("status")).to_contain_text("Not reached since")
    page.unroute("**/queues/failed/jobs")
    expect(page.get_by_text("Live ·")).to_be_visible()
    anna.context.clear_cookies()
    expect(page.get_by_role("link", name="Sign in again.")).to_be_visible()
    expect(page.get_by_text("Who is there?")).to_have_count(0)


def test_a_danger_is_asked_about_in_a_dialog(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Escape keeps, focus returns; the button says what it does."""
    ids = [shop.failed() for _ in range(2)]
    anna = visit()
    page = anna.go("/failed/jobs")
    opener = row(page, ids[0]).get_by_role("button", name="Delete Send mail")
    opener.click()
    expect(page.get_by_role("dialog", name="Delete 1 job?")).to_be_visible()
    expect(page.get_by_role("link", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()
    for job_id in ids:
        row(page, job_id).get_by_role("checkbox").check()
    expect(page.locator(".q-bulk strong")).to_have_text("selected")
    page.locator(".q-bulk").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 2 jobs").click()
    expect(page.get_by_text("2 jobs were deleted.")).to_be_visible()
    assert shop.manager.counts().statuses["failed"] == 0
    assert anna.complaints == []


def test_rows_are_checked_all_at_once_or_in_a_range(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """By the box in the head, or with the shift key; how many is said to whoever does not see it."""
    ids = [shop.pending() for _ in range(5)]
    anna = visit(viewport={"width": 1280, "height": 800})
    page = anna.go("/jobs")
    boxes = [row(page, job_id).get_by_role("checkbox") for job_id in ids]
    boxes[1].check()
    boxes[3].click(modifiers=["Shift"])
    assert [box.is_checked() for box in boxes] == [False, True, True, True, False]
    expect(page.locator("#q-said")).to_have_text("3 selected")
    boxes[4].check()
    boxes[2].click(modifiers=["Shift"])
    assert [box.is_checked() for box in boxes] == [False, True, False, False, True]
    every = page.get_by_role("checkbox", name="Select all on this page")
    every.check()
    assert all(box.is_checked() for box in boxes)
    anna.updates(1)
    assert all(box.is_checked() for box in boxes)
    every.uncheck()
    assert not any(box.is_checked() for box in boxes)
    assert anna.complaints == []


def test_all_rows_are_checked_on_a_phone_too(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Where rows are cards, the box of all stands above the first, with its words."""
    for _ in range(2):
        shop.failed()
    page = visit(viewport={"width": 360, "height": 800}).go("/failed/jobs")
    page.get_by_label("Select all on this page").check()
    expect(page.locator("#q-rows input:checked")).to_have_count(2)
    expect(page.locator(".q-bulk")).to_be_visible()


def test_what_was_done_is_said_to_who_does_not_see_it(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """The outcome of an action has the focus, a copy is told; the queue's name is asked for in a dialog."""
    job_id = shop.failed()
    shop.failed()
    anna = visit(permissions=["clipboard-read", "clipboard-write"])
    page = anna.go(f"/jobs/{job_id}")
    page.get_by_role("button", name="Copy Id").click()
    expect(page.locator("#q-said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == job_id
    page.get_by_role("button", name="Retry now Send mail").click()
    expect(page.locator(".q-note:focus")).to_have_text("1 job was pushed again. Open")
    page = anna.go("/queues/mail")
    page.get_by_role("link", name="Empty the queue …").click()
    dialog = page.get_by_role("dialog", name="Empty mail?")
    expect(dialog.get_by_role("link", name="Keep them")).to_be_focused()
    dialog.get_by_label("Type mail to go on:").fill("mail")
    dialog.get_by_role("button", name="Empty the queue").click()
    expect(page.locator(".q-note:focus")).to_have_text("1 job was deleted.")
    assert shop.manager.counts().statuses["failed"] == 1
    assert anna.complaints == []


def test_keys_do_something_for_whoever_turned_them_on(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Nothing before; then rows, check marks, pages; nothing where somebody types."""
    ids = [shop.pending() for _ in range(3)]
    anna = visit(viewport={"width": 1280, "height": 800})
    page = anna.go("/jobs")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_role("link", name="Keys").click()
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("button", name="Turn off").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url(re.compile(r"^[^?]+/queues/jobs$"))
    for key in "jjk":
        page.keyboard.press(key)
    expect(row(page, ids[0]).locator("th > a")).to_be_focused()
    page.keyboard.press("x")
    expect(row(page, ids[0]).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("/")
    page.keyboard.type("gfx.")
    expect(page.get_by_role("searchbox")).to_have_value("gfx.")
    expect(row(page, ids[0]).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press(".")
    expect(page.get_by_text("Paused ·")).to_be_visible()
    assert anna.complaints == []


def test_all_of_it_works_without_javascript(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Refresh instead of live, the question on its own page, the menu, the bar for checked rows."""
    ids = [shop.failed() for _ in range(3)]
    anna = visit(java_script_enabled=False, viewport={"width": 360, "height": 740})
    page = anna.go("/failed/jobs")
    expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Failed").click()
    page.get_by_role("link", name="All jobs").first.click()
    row(page, ids[0]).get_by_role("button", name="Retry Send mail").click()
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    row(page, ids[1]).get_by_role("checkbox").check()
    page.locator(".q-bulk").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    page.get_by_role("checkbox").check()
    page.locator(".q-bulk").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 1 job?")).to_be_visible()
    page.get_by_role("button", name="Delete 1 job").click()
    expect(page.get_by_text("1 job was deleted.")).to_be_visible()
    assert [shop.status(job_id) for job_id in ids[:2]] == [Status.PENDING] * 2


@pytest.mark.parametrize("script", [True, False])
def test_a_payload_is_repaired_in_a_browser(shop: Shop, visit: Callable[..., Visitor], script: bool) -> None:
    """What is wrong is said at its field, what was right is still there; the secret was never sent to the browser."""
    shop.queues.register(Report)
    job_id = shop.queues.push("shop:report", PAYLOAD, priority=9).id
    claim = shop.claim()
    shop.settle(
        transitions.failed(claim, shop.manager.terms(claim)._replace(tries=1), transitions.dump_error("E", "e"))
    )
    anna = visit(java_script_enabled=script)
    page = anna.go(f"/jobs/{job_id}")
    page.get_by_role("link", name="Retry with changed payload").click()
    assert "hunter2" not in page.content()
    page.get_by_label("title", exact=True).fill("Quarter 2")
    page.get_by_label("urgent").check()
    page.get_by_label("to JSON").fill("[1,")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.get_by_text("This is no JSON; look at line 1, column 4.")).to_be_visible()
    expect(page.get_by_label("title", exact=True)).to_have_value("Quarter 2")
    page.get_by_label("to JSON").fill('["c"]')
    page.get_by_role("button", name="Save and retry").click()
    expect(page.get_by_role("heading", name="Check the change")).to_be_visible()
    assert violations(page) == [] if script else True
    page.get_by_role("button", name="Save and retry").click()
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    expect(page.locator("#q-acts")).to_contain_text('to: ["a", "b"] → ["c"]')
    expected = {**PAYLOAD, "title": "Quarter 2", "urgent": True, "to": ["c"]}
    assert shop.manager.find(job_id).payload == expected
    assert shop.status(job_id) is Status.PENDING
    assert [one for one in anna.complaints if "422" not in one] == []


def test_the_keyboard_alone_finds_reads_and_retries_a_failed_job(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """With Tab and Enter, and a focus that is seen at each step."""
    job_id = shop.failed()
    anna = visit()
    page = anna.go("/jobs")

    def tab_to(name: str, role: str = "link") -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.get_by_role(role, name=name).first.evaluate("node => node === document.activeElement"):  # type: ignore[arg-type]
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
                return
        raise AssertionError(f"{name} was not reached")

    tab_to("Failed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="By cause")).to_be_visible()
    tab_to("All jobs")
    page.keyboard.press("Enter")
    tab_to("Send mail")
    page.keyboard.press("Enter")
    expect(page.get_by_text("the mail server said no").first).to_be_visible()
    tab_to("Retry now Send mail", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    assert shop.status(job_id) is Status.PENDING


def test_a_page_costs_three_requests_and_nothing_from_elsewhere(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """The page, its style, its script; the icon is the browser's own wish."""
    shop.one_of_each()
    anna = visit()
    anna.page.evaluate("sessionStorage.queuesPaused = true")  # it does not bring itself up to date meanwhile
    anna.go("/search")
    anna.requests.clear()
    anna.go("/failed/jobs")
    asked = [url for url in anna.requests if not url.endswith(".svg") and "icon.svg" not in url]
    assert len(asked) <= 3
    assert all(url.startswith(anna.address) for url in anna.requests)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_no_card_is_wider_than_its_column_at_any_width(
    shop: Shop, visit: Callable[..., Visitor], language: str
) -> None:
    """From a phone to a wall; long names, messages and right-to-left text break nothing."""
    shop.one_of_each()
    shop.failed(ValueError("a-word-without-an-end-" * 60), to="شركة " * 60)
    shop.schedule()
    anna = visit(locale=language)
    for path in (*PAGES, "/schedules/bericht", f"/batches/{shop.batch()}", f"/jobs/{shop.failed()}"):
        page = anna.go(path)
        for width in (320, 360, 640, 768, 900, 1024, 1100, 1280, 1920, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            too_wide = page.evaluate(
                """() => {
                    const edge = document.querySelector(".q-head").getBoundingClientRect().right + 1;
                    return [...document.querySelectorAll(".q-card, .q-card .q-button, .q-filter form > *")]
                        .filter((one) => one.getBoundingClientRect().right > edge)
                        .map((one) => one.outerHTML.slice(0, 120));
                }"""
            )
            assert too_wide == [], (path, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_an_answer_that_nothing_has_changed_breaks_no_policy(visit: Callable[..., Visitor]) -> None:
    """Of the document that a 304 has not, a browser makes an error page when asked, with styles that are forbidden."""
    anna = visit()
    page = anna.go("/activity")
    with page.expect_response(lambda answer: answer.status == 304):
        pass
    anna.updates(1)
    assert anna.complaints == []


def newer_pages(shop: Shop) -> list[str]:
    """A breaker that holds, a chain, a log with a profile, the stacks of a process, a cause, alerts above each page."""
    opened(shop)
    chain = shop.queues.chain([("shop:mail", {"to": "ada"}), ("shop:resize", {})]).push().id
    job_id = shop.claim().id
    shop.manager.ask_picture(job_id)
    picture = shop.manager.orders().pictures[job_id]
    shop.manager.keep_picture(job_id, picture._replace(taken=picture.asked + 1, text="Thread 1\n  File x, line 3"))
    spent = cProfile.Profile()
    spent.runcall(sorted, range(9))
    shop.failed(logs=(LogLine(datetime.now(timezone.utc), "info", table(spent, 20), {}, 1),))
    shop.count()
    cross(shop, pending=(7, 5), no_worker=(30, 0))
    causes = [f"/failed/{one.cause.key}" for one in shop.manager.causes()]
    return ["/queues", f"/jobs/{chain}", f"/jobs/{job_id}", *causes]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("width", "scheme", "language"),
    [
        (360, "dark", "de-DE"),
        (360, "light", "en-GB"),
        (768, "light", "de-DE"),
        (1024, "dark", "en-GB"),
        (2560, "light", "de-DE"),
    ],
)
def test_pages_fit_the_screen_and_axe_finds_nothing(
    shop: Shop, visit: Callable[..., Visitor], tmp_path: Path, scheme: str, width: int, language: str
) -> None:
    """No page scrolls sideways; names, contrast, structure; a picture of each is kept with the test's files."""
    jobs = shop.one_of_each()
    shop.failed(ValueError("a-word-without-an-end-" * 60), to="x" * 300)
    anna = visit(color_scheme=scheme, viewport={"width": width, "height": 900}, locale=language)
    pages = [*PAGES, *(f"/jobs/{job_id}" for job_id in jobs.values()), "/nothing"]
    pages += [f"/schedules/{shop.schedule()}", f"/batches/{shop.batch()}"]
    pages += [
        f"/actions/delete/confirm?id={jobs[Status.FAILED]}",
        "/preferences",
        f"/jobs/{jobs[Status.FAILED]}/payload",
    ]
    shop.queues.register(Report)
    report = shop.queues.push("shop:report", PAYLOAD).id
    pages += [f"/jobs/{report}/payload", "/push", "/push?type=shop:report", "/queues/mail/empty"]
    pages += [*newer_pages(shop), "/failed/jobs?compact"]
    anna.page.evaluate("sessionStorage.queuesPaused = true")  # axe and the camera set styles: no update between them
    for path in pages:
        if path.endswith("?compact"):
            anna.context.add_cookies([{"name": "queues_density", "value": "compact", "url": f"{anna.address}/queues/"}])
        page = anna.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert violations(page) == [], path
        page.screenshot(path=tmp_path / f"{path.strip('/').split('?')[0].replace('/', '-')}.png", full_page=True)
        assert [one for one in anna.complaints if "404" not in one] == [], path


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_page_of_a_link_keeps_itself_up_to_date(
    shop: Shop, browser: Browser, served: str, width: int, scheme: Any
) -> None:
    """For a stranger, through every status, without a complaint of the browser or of axe."""
    job_id = shop.pending()
    with shop.flask.test_request_context():
        link = shop.queues.link(job_id, result=True, cancel=True)
    with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700}) as context:
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{served}{link}")
        expect(page.get_by_text("Waits its turn.")).to_be_visible()
        page.get_by_text("Cancel …").click()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        assert violations(page) == []

        claim = shop.claim()
        assert shop.manager.note(claim, Progress(40, "half of it"), [])
        expect(page.get_by_text("40% · half of it")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()  # the question is still open
        shop.settle(transitions.completed(claim, '"All is well"'))
        expect(page.get_by_text("All is well")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []
        assert complaints == []
