"""Inside an application's own layout, and in its own colours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import Shop
from .test_looks import BEYOND, everything
from .visiting import Visitor

pytestmark = pytest.mark.browser

#: Rules on elements as frameworks of a host have them: a reset, a base of its own, tables, forms, code.
FRAMEWORK = """
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0; font: 18px/1.6 Georgia, serif; color: #234; letter-spacing: .2px; background: #fff; }
h1, h2, h3, h4 { margin: 0 0 .5rem; font-weight: 500; line-height: 1.2; color: #600; }
h1 { font-size: calc(1.375rem + 1.5vw); }
p, ul, ol, dl, pre, figure, form, table { margin: 0 0 1rem; }
ul, ol { padding-left: 2rem; list-style: square; }
dt { font-weight: 700; } dd { margin: 0 0 .5rem 1rem; }
a { color: #0a58ca; text-decoration: none; font-weight: 500; } a:hover { color: #084298; text-decoration: underline; }
button, input, select, textarea { margin: 0; font-family: inherit; font-size: inherit; line-height: inherit; }
button { text-transform: uppercase; letter-spacing: .1rem; height: 3.8rem; padding: 0 3rem; background: #9b4dca; }
button { color: #fff; border: 0; border-radius: 0; }
input, select { height: 3.8rem; padding: .6rem 1rem; border: 1px solid #ddd; width: 100%; background: #eef; }
label { display: inline-block; margin-bottom: .5rem; font-weight: 700; }
table { caption-side: bottom; border-collapse: collapse; width: auto; }
th, td { padding: 1.2rem 1.5rem; border-bottom: .1rem solid #e1e1e1; text-align: left; }
th { font-weight: 700; text-align: inherit; }
code, kbd, pre { font-family: monospace; font-size: .875em; color: #d63384; background: #f4f5f6; padding: .2rem .5rem; }
pre { border-left: .3rem solid #9b4dca; overflow: auto; } kbd { color: #fff; background: #212529; }
small { font-size: .875em; color: #888; } strong { font-weight: bolder; color: #000; }
img, svg { vertical-align: middle; } progress { height: 2rem; } summary { display: list-item; font-weight: 700; }
"""
#: What has to be the same there as it is on our own page.
PROPERTIES = (
    "fontSize", "fontWeight", "fontFamily", "lineHeight", "color", "backgroundColor", "paddingTop", "paddingLeft",
    "marginTop", "marginBottom", "borderTopWidth", "borderTopLeftRadius", "textAlign", "textTransform",
    "textDecorationLine",
    "boxSizing", "minHeight",
)  # fmt: skip
#: Neither of what the browser draws itself nor of what nobody sees.
STYLES = """(names) => [...document.querySelectorAll(".queues, .queues *")]
    .filter((one) => !one.closest("svg, option, datalist, caption, [type=hidden]"))
    .map((one) => {
        const style = getComputedStyle(one);
        const sized = one.matches("button, input, select") ? [...names, "height"] : names;
        const seen = one.matches("[type=checkbox]") ? ["width", "height", "marginTop"] : sized;
        return [one.tagName + "." + one.className, ...seen.map((name) => name + ": " + style[name])];
    })"""


def inside(make_shop: Callable[..., Shop], layout: str, **config: Any) -> Shop:
    """A shop whose panel stands in its own layout."""
    shop = make_shop(QUEUES_LAYOUT="layout.html", **config)
    templates = Path(shop.flask.root_path) / "templates"
    templates.mkdir()
    (templates / "layout.html").write_text(layout)
    return shop


LAYOUT = f"""<!doctype html><html lang="en"><title>{{% block title %}}{{% endblock %}}</title><style>{FRAMEWORK}</style>
{{% block head %}}{{% endblock %}}<h6>The shop</h6><main>{{% block content %}}{{% endblock %}}</main>"""


class TestInsideAHost:
    """The pages in an application's layout, whose style sheet has rules for every element."""

    @pytest.fixture
    def shop(self, make_shop: Callable[..., Shop]) -> Shop:
        return inside(make_shop, LAYOUT)

    def test_no_rule_of_the_host_reaches_a_page(self, shop: Shop, visit: Callable[..., Visitor]) -> None:
        """Each element looks there as it does without the host's style sheet; the host's own stays as it was."""
        anna = visit(viewport={"width": 1400, "height": 900}, color_scheme="light", reduced_motion="reduce")
        anna.page.evaluate("sessionStorage.queuesPaused = true")  # no update between the two looks
        for path in everything(shop):
            page = anna.go(path)
            page.evaluate("document.querySelector('.queues').style.letterSpacing = 'normal'")
            heading = page.evaluate("getComputedStyle(document.querySelector('h6')).fontFamily")
            assert "Georgia" in heading
            hosted: list[list[str]] = page.evaluate(STYLES, PROPERTIES)
            page.evaluate("document.querySelector('style').disabled = true")
            own: list[list[str]] = page.evaluate(STYLES, PROPERTIES)
            different = {
                (before[0], *pair)
                for before, after in zip(own, hosted, strict=True)
                for pair in zip(before, after, strict=True)
                if pair[0] != pair[1]
            }
            assert different == set(), path

    def test_pages_live_and_fit_there(self, shop: Shop, visit: Callable[..., Visitor]) -> None:
        """In a column of any width, also a narrow one; with dialogs and updates."""
        failed = shop.failed()
        anna = visit(viewport={"width": 1400, "height": 900})
        for path in everything(shop):
            page = anna.go(path)
            for width in (1400, 700, 360):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
                assert page.evaluate(BEYOND) == [], (path, width)
        page = anna.go("/failed/jobs")
        page.locator(f"#row-{failed}").get_by_role("button", name="Delete Send mail").click()
        expect(page.get_by_role("dialog", name="Delete 1 job?")).to_be_visible()
        page.keyboard.press("Escape")
        page.mouse.move(1, 1)
        page.evaluate("document.activeElement.blur()")
        shop.failed()
        expect(page.locator("#q-count")).to_have_text("3")


BRAND = {"--q-accent": "rgb(1, 101, 201)", "--q-primary": "rgb(2, 102, 202)", "--q-on-primary": "rgb(253, 254, 255)"}
#: What is left of our own colours, corners and letters.
UNBRANDED = """() => [...document.querySelectorAll("body *")].filter((one) => {
    const style = getComputedStyle(one);
    const colours = [style.color, style.backgroundColor, style.borderTopColor, style.accentColor].join();
    const ours = /rgb\\((28, 91, 184|34, 37, 43)\\)/.test(colours);
    const corner = one.matches(".q-button:not(.q-link)") && style.borderTopLeftRadius !== "3px";
    const letters = !style.fontFamily.includes("Brand Sans") && !style.fontFamily.includes("mono");
    return ours || corner || (letters && !one.closest("svg, script, [type=checkbox], [type=hidden], option, datalist"));
}).map((one) => one.outerHTML.slice(0, 120))"""


def test_five_variables_reach_every_button_and_link(
    make_shop: Callable[..., Shop], visit: Callable[..., Visitor], shop: Shop
) -> None:
    """A brand of the application's own: colours, corners and letters, the focus too."""
    variables = "".join(f"{name}: {value};" for name, value in BRAND.items())
    folder = Path(shop.flask.root_path)
    (folder / "static").mkdir()
    (folder / "static" / "brand.css").write_text(f".queues {{ {variables} --q-r: 3px; --q-font: 'Brand Sans'; }}")
    templates = folder / "templates" / "flask_queues"
    templates.mkdir(parents=True)
    (templates / "base.html").write_text(
        '{% extends "flask_queues/frame.html" %}'
        '{% block head %}{{ super() }}<link rel="stylesheet" href="/static/brand.css">{% endblock %}'
        "{% block brand %}<b>The shop</b>{% endblock %}"
    )
    anna = visit(viewport={"width": 1400, "height": 900}, color_scheme="light")
    for path in everything(shop):
        assert anna.go(path).evaluate(UNBRANDED) == [], path
    page = anna.page
    expect(page.get_by_text("The shop")).to_be_visible()
    page = anna.go("/push?type=shop:mail")
    primary = page.get_by_role("button", name="Push", exact=True)
    expect(primary).to_have_css("background-color", BRAND["--q-primary"])
    expect(primary).to_have_css("color", BRAND["--q-on-primary"])
    expect(page.locator(".q-crumbs a").first).to_have_css("color", BRAND["--q-accent"])
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineColor") == BRAND["--q-accent"]
    assert [one for one in anna.complaints if "404" not in one] == []
