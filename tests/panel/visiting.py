"""People with browsers, who look at the shop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

from tests.support.browsing import PATIENCE

if TYPE_CHECKING:
    from .conftest import Shop

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
#: A list of everything but who has what name and colour would be found by other tests as well.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Visitor:
    """An admin with a browser; keeps what the console complains about, violations of the policy among it."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.goto(f"{address}/sign-in?name=anna&next=/queues/jobs")
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.address}/queues{path}")
        return self.page

    def updates(self, count: int = 2) -> None:
        """Wait until the page was refreshed so many times."""
        for _ in range(count):
            with self.page.expect_response(lambda answer: "X-Queues-Live".lower() in answer.request.headers):
                pass
        self.page.evaluate("new Promise(requestAnimationFrame)")


@pytest.fixture
def served(shop: Shop) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, shop.flask, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def visit(browser: Browser, served: str) -> Iterator[Callable[..., Visitor]]:
    """Open a browser of one's own."""
    contexts: list[BrowserContext] = []

    def open_browser(**options: Any) -> Visitor:
        contexts.append(browser.new_context(**{"locale": "en-GB", "timezone_id": "UTC", **options}))
        return Visitor(contexts[-1], served)

    yield open_browser
    for context in contexts:
        context.close()


def violations(page: Page) -> list[Any]:
    """What axe finds wrong with a page."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    assert len(found["passes"]) > 15, page.url
    return [
        (one["id"], node["html"][:160], node["failureSummary"]) for one in found["violations"] for node in one["nodes"]
    ]


def row(page: Page, job_id: str) -> Any:
    return page.locator(f"#row-{job_id}")
