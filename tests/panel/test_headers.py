"""What every answer says about itself, and what a page is made of."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_queues.panel.headers import POLICY

from .conftest import PAGES, Shop

STATIC = Path(__file__).parents[2] / "flask_queues" / "panel" / "static"
#: How many bytes each may have, and how many packed.
BUDGETS = {"panel.css": (24_576, 6_656), "panel.js": (10_240, 3_584)}


def test_every_answer_carries_the_policy(shop: Shop) -> None:
    """Pages, JSON, refusals, redirects and our own files."""
    job_id = shop.failed()
    paths = [*PAGES, f"/jobs/{job_id}", "/api/jobs", "/nothing", "", "/jobs/none", "/static/panel.css"]
    for name in ("anna", "ben", None):
        client = shop.client(name)
        for path in paths:
            headers = client.get(f"/queues{path}", buffered=True).headers
            assert headers["Content-Security-Policy"] == POLICY, path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert path.startswith("/static") or headers["Cache-Control"] == "private, no-store"


def test_a_page_has_nothing_inline_and_nothing_from_elsewhere(shop: Shop) -> None:
    """Three files of our own: the page, one style, one script."""
    jobs = shop.one_of_each()
    client = shop.client()
    for path in [*PAGES, *(f"/jobs/{job_id}" for job_id in jobs.values())]:
        text = client.get(f"/queues{path}").text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]+src=)", text)
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text)
        assert text.count("<script") == 1
        assert text.count('rel="stylesheet"') == 1


def test_our_files_are_small_and_kept_for_ever(shop: Shop) -> None:
    """Their address changes with them."""
    assert (STATIC / "panel.css").stat().st_size <= 24 * 1024
    assert (STATIC / "panel.js").stat().st_size <= 10 * 1024
    assert (STATIC / "keys.js").stat().st_size <= 2 * 1024
    client = shop.client()
    for address in re.findall(r'(?:src|href)="(/queues/static/[^"]+)"', client.get("/queues/jobs").text):
        answer = client.get(address, buffered=True)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]}, buffered=True)
        assert again.status_code == 304
        assert "immutable" in again.headers["Cache-Control"]


def test_a_list_of_fifty_is_a_small_page(shop: Shop) -> None:
    """Up to 64 kB before it is compressed, each row with its two buttons and what is heard of them."""
    for n in range(60):
        shop.pending(to=f"customer-{n}@example.org")

    assert len(shop.client().get("/queues/jobs").data) < 64_000


def test_the_layout_of_the_application_keeps_its_own_policy(make_shop: Callable[..., Shop]) -> None:
    """Its pages may need what ours do not; JSON and our files stay under ours."""
    shop = make_shop(QUEUES_LAYOUT="layout.html")
    templates = Path(shop.flask.root_path) / "templates"
    templates.mkdir()
    (templates / "layout.html").write_text(
        "<!doctype html><title>{% block title %}{% endblock %}</title>"
        "{% block head %}<meta name='of-the-shop'>{% endblock %}<h6>The shop</h6>{% block content %}{% endblock %}"
    )
    client = shop.client()
    page = client.get("/queues/jobs")

    assert "The shop" in page.text
    assert "of-the-shop" in page.text
    assert "<title>Pending</title>" in page.text
    assert page.text.count("<html") == 0
    assert "Content-Security-Policy" not in page.headers
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.get("/queues/api/jobs").headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("name", BUDGETS)
def test_style_and_script_are_small(name: str) -> None:
    """As they are, readable, and as they travel."""
    text = (STATIC / name).read_bytes()
    assert (len(text) <= BUDGETS[name][0], len(gzip.compress(text, 9)) <= BUDGETS[name][1]) == (True, True)


def test_no_drawing_has_a_style_of_its_own() -> None:
    """A browser that opens one by its address would hold it to the policy, and complain."""
    drawings = [path.read_text() for path in STATIC.glob("*.svg")]
    assert drawings
    assert not any("style" in text for text in drawings)
