"""What an open page does by itself: values change in their place, and nothing moves under the hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import BaseWSGIServer, make_server

from flask_queues import transitions
from flask_queues.config import Config
from flask_queues.record import LogLine, Progress
from flask_queues.storage.values import Claim
from tests.support.site import eventually

from .conftest import Shop
from .visiting import Visitor, row

pytestmark = pytest.mark.browser

#: The header of what a page asks for to keep itself up to date.
IS_LIVE = "x-queues-live"


def place_of(page: Page, selector: str) -> float:
    """How far from the top of the window something stands."""
    return float(page.locator(selector).evaluate("node => node.getBoundingClientRect().top"))


def lines(n: int, begin: int = 1) -> list[LogLine]:
    """What a job tells."""
    return [LogLine(datetime.now(timezone.utc), "info", f"Mail {begin + k} is sent", {}, 1) for k in range(n)]


def live_requests(anna: Visitor) -> list[str]:
    """Keep what the page asks for from here on, to keep itself up to date."""
    asked: list[str] = []
    anna.page.on("request", lambda request: asked.append(request.url) if IS_LIVE in request.headers else None)
    return asked


def test_pages_look_again_every_five_seconds_if_nothing_else_is_said(shop: Shop) -> None:
    """So that a count is five seconds old at most."""
    assert Config().refresh <= 5
    assert f'data-refresh="{shop.manager.config.refresh}"' in shop.client().get("/queues/jobs").text


def test_what_is_read_stays_where_it_is_while_rows_come(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Above, in a list whose newest row stands first: the page does not jump, and the count changes."""
    ids = [shop.failed() for _ in range(40)]
    anna = visit(viewport={"width": 1280, "height": 700})
    page = anna.go("/failed/jobs")
    page.mouse.move(5, 5)
    row(page, ids[20]).scroll_into_view_if_needed()
    before, scrolled = place_of(page, f"#row-{ids[20]}"), page.evaluate("scrollY")
    newest = shop.failed()
    expect(page.locator("#q-count")).to_have_text("41")
    expect(row(page, newest)).to_have_count(1)
    eventually(lambda: abs(place_of(page, f"#row-{ids[20]}") - before) <= 1, what="The place of before")
    assert page.evaluate("scrollY") > scrolled > 0
    assert anna.complaints == []


def test_a_button_keeps_the_focus_while_rows_around_it_leave(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Over ten updates; those that have left are marked, the button still does what it says."""
    ids = [shop.failed() for _ in range(12)]
    anna = visit(viewport={"width": 1280, "height": 900})
    page = anna.go("/failed/jobs")
    button = row(page, ids[5]).get_by_role("button", name="Retry Send mail")
    button.focus()
    before = place_of(page, f"#row-{ids[5]}")
    for job_id in [*ids[:5], *ids[6:11]]:
        shop.manager.retry(job_id)
        anna.updates(1)
        expect(button).to_be_focused()
    expect(page.locator("#q-rows tr.q-moved")).to_have_count(10)
    expect(row(page, ids[0]).get_by_text("Pending")).to_be_visible()
    expect(page.get_by_text("No worker runs.")).to_have_count(0)  # it comes when the hand has gone
    assert place_of(page, f"#row-{ids[5]}") == before
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    assert anna.complaints == []


def test_selected_text_an_open_menu_and_an_open_list_of_choices_stay(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """In a list, while rows come."""
    first = shop.failed()
    shop.failed()
    anna = visit(viewport={"width": 1280, "height": 900})
    page = anna.go("/failed/jobs")
    page.evaluate(f"getSelection().selectAllChildren(document.querySelector('#row-{first} .q-error'))")
    third = shop.failed()
    expect(page.locator("#q-newer")).to_contain_text("1 newer")
    assert "the mail server said no" in page.evaluate("getSelection().toString()")
    page.evaluate("getSelection().empty()")
    expect(row(page, third)).to_be_visible()

    page.get_by_text("All 3 …").click()
    fourth = shop.failed()
    expect(page.locator("#q-newer")).to_contain_text("1 newer")
    expect(page.locator(".q-menu").get_by_role("link", name="Delete")).to_be_visible()
    page.get_by_text("All 4 …").click()
    page.mouse.move(5, 5)
    expect(row(page, fourth)).to_be_visible()

    choices = page.locator(".q-filter select").first
    choices.click()
    assert choices.evaluate("node => node.matches(':open')")
    fifth = shop.failed()
    expect(row(page, fifth)).to_be_visible()
    anna.updates(2)
    assert choices.evaluate("node => node.matches(':open')")
    expect(choices).to_be_focused()
    assert anna.complaints == []


def test_a_list_that_was_empty_has_all_that_belongs_to_one(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """As soon as there are jobs: the bar for those that are checked, and what is done with all, with their number."""
    anna = visit(viewport={"width": 1280, "height": 900})
    page = anna.go("/failed/jobs")
    expect(page.get_by_text("Nothing has failed")).to_be_visible()
    ids = [shop.failed() for _ in range(3)]
    expect(page.get_by_text("All 3 …")).to_be_visible()
    row(page, ids[0]).get_by_role("checkbox").check()
    page.locator(".q-bulk").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("1 job was pushed again.")).to_be_visible()
    assert anna.complaints == []


def test_a_page_further_on_gains_no_rows(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Nor does it tell of newer ones; its count changes."""
    for _ in range(30):
        shop.failed()
    anna = visit(viewport={"width": 1280, "height": 900})
    page = anna.go("/failed/jobs?limit=25")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#q-rows tr")).to_have_count(5)
    for n in range(3):
        shop.failed()
        expect(page.locator("#q-count")).to_have_text(str(31 + n))
    expect(page.locator("#q-rows tr")).to_have_count(5)
    expect(page.locator("#q-newer")).to_be_hidden()


def test_a_hidden_page_asks_for_nothing(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Until it is seen again, and then at once."""
    anna = visit()
    page = anna.page
    page.clock.install()
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => sessionStorage.away === 'yes'})")
    anna.go("/jobs")
    anna.updates(2)
    page.evaluate("sessionStorage.away = 'yes'; document.dispatchEvent(new Event('visibilitychange'))")
    asked = live_requests(anna)
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_request(lambda request: IS_LIVE in request.headers):
        page.evaluate("sessionStorage.away = 'no'; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Live ·")).to_be_visible()


def test_paused_means_paused_from_page_to_page(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Nothing is asked for any more, there and on the next page, until somebody goes on."""
    for _ in range(60):
        shop.failed()
    anna = visit(viewport={"width": 1280, "height": 900})
    anna.page.clock.install()
    page = anna.go("/failed/jobs")
    anna.updates(1)
    asked = live_requests(anna)
    page.get_by_role("button", name="Pause").click()
    asked.clear()
    page.clock.run_for(60_000)
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Paused ·")).to_be_visible()
    page.clock.run_for(60_000)
    assert asked == []
    page.get_by_role("button", name="Resume").click()
    anna.updates(2)
    assert asked != []


class Server:
    """One that can be stopped, and begun again at the same address."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.port = 0
        self.begin()

    def begin(self) -> None:
        self._server: BaseWSGIServer = make_server("127.0.0.1", self.port, self.shop.flask, threaded=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(shop: Shop) -> Iterator[Server]:
    made = Server(shop)
    yield made
    made.stop()


@pytest.fixture
def served(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_a_server_that_was_away_is_found_again(shop: Shop, server: Server, visit: Callable[..., Visitor]) -> None:
    """The page says since when, once and aloud, keeps what it shows, and goes on by itself."""
    shop.failed()
    anna = visit()
    page = anna.go("/failed/jobs")
    anna.updates(1)
    server.stop()
    said = page.locator("#q-live-line [data-word]")
    expect(said).to_contain_text("Not reached since")
    since = said.inner_text()
    assert since.removeprefix("Not reached since ").count(":") == 2
    expect(page.locator("#q-said")).to_have_text(since)
    expect(page.locator("#q-rows tr")).to_have_count(1)
    shop.failed()
    expect(said).to_have_text(since)
    server.begin()
    expect(said).to_contain_text("Live ·")
    expect(page.locator("#q-rows tr")).to_have_count(2)


@pytest.mark.parametrize("path", ["/failed/jobs", "/metrics", "/workers"])
def test_who_is_signed_out_is_told_so_on_the_page(shop: Shop, visit: Callable[..., Visitor], path: str) -> None:
    """With the link that leads to the application's login and back; nothing of the login is shown inside."""
    anna = visit()
    anna.page.clock.install()
    page = anna.go(path)
    anna.updates(1)
    anna.context.clear_cookies()
    expect(page.locator("#q-live-line")).to_contain_text("Signed out.")
    expect(page.get_by_text("Who is there?")).to_have_count(0)
    asked = live_requests(anna)
    page.clock.run_for(60_000)
    assert asked == []
    page.get_by_role("link", name="Sign in again.").click()
    expect(page.get_by_text("Who is there?")).to_be_visible()
    assert path.replace("/", "%2F") in page.url or path in page.url


def test_nothing_is_sent_where_nothing_has_changed(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """304, also for the browser, and the clock goes on."""
    shop.work()
    anna = visit()
    anna.go("/schedules")
    anna.updates(2)
    with anna.page.expect_response(lambda answer: IS_LIVE in answer.request.headers) as answer:
        pass
    assert answer.value.status == 304
    expect(anna.page.get_by_text("Live ·")).to_be_visible()


def note(shop: Shop, claim: Claim, percent: int, told: list[LogLine]) -> None:
    """What the job says of itself."""
    assert shop.manager.note(claim, Progress(percent, f"{percent} of 100"), told)


def test_a_running_job_goes_on_in_its_place(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Bar and log grow in the same page and the same elements; the log follows its end while somebody is there."""
    shop.pending()
    claim = shop.claim()
    note(shop, claim, 10, lines(80))
    anna = visit(viewport={"width": 1280, "height": 900})
    page = anna.go(f"/jobs/{claim.id}")
    page.evaluate("window.unloaded = 'no'; document.querySelector('progress').mark = 'same'")
    log = page.locator("#q-log-lines")
    log.evaluate("node => (node.scrollTop = node.scrollHeight)")
    note(shop, claim, 30, lines(20, 81))
    expect(page.get_by_text("Mail 100 is sent")).to_be_visible()
    assert log.evaluate("node => node.scrollHeight - node.scrollTop - node.clientHeight") < 2
    expect(page.get_by_text("Mail 100 is sent")).to_be_in_viewport()

    log.evaluate("node => (node.scrollTop = 300)")
    note(shop, claim, 60, lines(20, 101))
    expect(page.get_by_text("Mail 120 is sent")).to_have_count(1)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "60")
    assert log.evaluate("node => node.scrollTop") == 300
    assert page.evaluate("[window.unloaded, document.querySelector('progress').mark]") == ["no", "same"]

    shop.settle(transitions.completed(claim, None))
    expect(page.locator("#q-count")).to_have_text("Completed")
    assert log.evaluate("node => node.scrollTop") == 300
    assert anna.complaints == []
