"""How pages look: whole on every screen and on paper, in the application's own colours and inside its own layout."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from flask_queues import Status

from .conftest import PAGES, Shop
from .visiting import Visitor

STATIC = Path(__file__).parents[2] / "flask_queues" / "panel" / "static"
TOKEN = re.compile(r"--q-([a-z0-9-]+): light-dark\((#[0-9a-f]+), (#[0-9a-f]+)\);")
STATUSES = ("pending", "running", "scheduled", "completed", "failed", "cancelled", "warning")
#: What has to be told apart, on which grounds, and by how much.
CONTRASTS = [
    *((ink, on, 4.5) for ink in ("ink", "ink-2", "ink-3", "accent") for on in ("surface", "bg", "sunken", "hover")),
    *((name, ground, 4.5) for name in STATUSES for ground in (f"{name}-tint", "surface", "sunken")),
    ("on-primary", "primary", 4.5),
    ("on-danger", "danger", 4.5),
    ("danger", "surface", 4.5),
    *((name, ground, 3.0) for name in ("edge", "bar", "failed", "completed") for ground in ("surface", "bg")),
]  # fmt: skip


def light_of(colour: str) -> float:
    """The relative luminance of a colour, as WCAG has it."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_is_told_from_its_ground(theme: int) -> None:
    """Texts by 4.5, edges of fields and bars by 3, in both themes."""
    found = TOKEN.findall((STATIC / "panel.css").read_text("utf-8"))
    colours = {name: light_of(both[theme]) for name, *both in found}
    assert len(colours) > 30
    for name, ground, least in CONTRASTS:
        darker, lighter = sorted((colours[name], colours[ground]))
        assert (lighter + 0.05) / (darker + 0.05) >= least, (name, ground)


def everything(shop: Shop) -> list[str]:
    """The address of every kind of page, with something of everything on it."""
    jobs = shop.one_of_each()
    shop.work()
    shop.count()
    pages = [*PAGES, *(f"/jobs/{job_id}" for job_id in jobs.values()), "/nothing", "/push", "/push?type=shop:mail"]
    pages += [f"/schedules/{shop.schedule()}", f"/batches/{shop.batch()}", "/preferences", "/queues/mail/empty"]
    failed = jobs[Status.FAILED]
    return [
        *pages,
        f"/actions/delete/confirm?id={failed}",
        f"/jobs/{failed}/payload",
        "/jobs?queue=none",
        "/metrics?range=1h",
    ]


#: What is wider than the box that hides the rest of it; where an ellipsis says so, or it scrolls, nothing is lost.
CUT = """() => [...document.querySelectorAll("body *")].filter((one) => {
    const style = getComputedStyle(one);
    if (!one.clientWidth || one.scrollWidth <= one.clientWidth + 1) return false;
    if (one.closest("svg, .q-unseen, table.q-table") || style.webkitLineClamp !== "none") return false;
    return ["hidden", "clip"].includes(style.overflowX) && style.textOverflow !== "ellipsis";
}).map((one) => one.outerHTML.slice(0, 160))"""
#: What reaches beyond the right edge of the window.
BEYOND = """() => [...document.querySelectorAll("main *")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !one.closest(".q-unseen, .q-scroll, .q-log, thead .q-check");
}).map((one) => one.outerHTML.slice(0, 160))"""


def whole(page: Page) -> None:
    """Nothing is cut, and nothing asks to be scrolled sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    assert page.evaluate(CUT) == [], page.url
    assert page.evaluate(BEYOND) == [], page.url


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_nothing_is_cut_at_any_width_and_size_of_text(shop: Shop, visit: Callable[..., Visitor], language: str) -> None:
    """Six widths, the narrowest there is, and texts twice as large."""
    shop.failed(ValueError("a-word-without-an-end-" * 60), to="شركة 🎉 " * 60)
    shop.manager.note_act("anna", "change", "job", "x", reason="title: {0}… → {0}…".format("Alter Titel " * 9))
    anna = visit(locale=language)
    for path in everything(shop):
        page = anna.go(path)
        for width in (2560, 1920, 1280, 1024, 768, 360, 320):
            page.set_viewport_size({"width": width, "height": 800})
            whole(page)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        for width in (1280, 640):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, width)
            assert page.evaluate(BEYOND) == [], (page.url, width)


@pytest.mark.browser
def test_a_theme_is_there_before_the_first_paint(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """Whatever the browser would have, and without a script; without a choice the browser's own counts."""
    grounds = {"light": "rgb(246, 246, 244)", "dark": "rgb(18, 19, 22)"}
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    for wanted, other in (("light", "dark"), ("dark", "light")):
        anna = visit(color_scheme=other, java_script_enabled=False)
        assert anna.page.evaluate(ground) == grounds[other]
        anna.context.add_cookies([{"name": "queues_theme", "value": wanted, "url": f"{anna.address}/queues/"}])
        page = anna.go("/jobs")
        assert page.evaluate(ground) == grounds[wanted]
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == grounds[wanted]


@pytest.mark.browser
def test_nothing_moves_for_who_wants_no_motion(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """For everybody else the dot of the live line breathes, and that is all."""
    assert "transition" not in (STATIC / "panel.css").read_text("utf-8")
    pages = everything(shop)
    anna = visit(reduced_motion="reduce")
    for path in pages:
        assert anna.go(path).evaluate("document.getAnimations().length") == 0, path
    bert = visit(reduced_motion="no-preference")
    for path in pages:
        moving = bert.go(path).evaluate("document.getAnimations().map((one) => one.effect.target.className)")
        assert moving in ([], ["q-dot"]), path


@pytest.mark.browser
def test_paper_tells_each_status_without_colour(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """By a glyph of its own and a word; what can only be pressed is not printed, what is folded is."""
    jobs = shop.one_of_each()
    anna = visit(color_scheme="dark", viewport={"width": 1280, "height": 900})
    told = set()
    for status, job_id in jobs.items():
        page = anna.go(f"/jobs/{job_id}")
        page.emulate_media(media="print")
        badge = page.locator("#q-count .q-badge")
        expect(badge).to_have_text(re.compile(status.value, re.IGNORECASE))
        expect(badge.locator("svg")).to_be_visible()
        told.add(badge.locator("use").get_attribute("href") or badge.locator("svg").inner_html())
        expect(page.locator("nav:visible, button:visible, .q-actions:visible, .q-live:visible")).to_have_count(0)
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.q-side .q-card')).backgroundColor")
            == "rgb(255, 255, 255)"
        )
        for folded in page.locator("details > :not(summary)").all():
            expect(folded).to_be_visible()
        page.emulate_media(media="screen")
    assert len(told) == len(Status)
    page = anna.go("/failed/jobs")
    page.emulate_media(media="print")
    assert "attr(title)" not in page.locator("td time").first.evaluate(
        "one => getComputedStyle(one, '::after').content"
    )
    assert "UTC" in page.locator("td time").first.evaluate("one => getComputedStyle(one, '::after').content")
