"""Pages where the application has set up Jinja in a way of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import StrictUndefined

from .conftest import Shop
from .test_looks import everything


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"undefined": StrictUndefined}, id="strict"),
        pytest.param({"variable_start_string": "[[", "variable_end_string": "]]"}, id="beside Vue"),
        pytest.param({"block_start_string": "<%", "block_end_string": "%>", "line_statement_prefix": "#"}, id="lines"),
    ],
)
def test_pages_are_whole_whatever_the_application_does_to_jinja(shop: Shop, settings: dict[str, object]) -> None:
    """Each is there, and nothing of a template stands in it; what the application renders is still as it wants."""
    for name, value in settings.items():
        setattr(shop.flask.jinja_env, name, value)
    client = shop.client()
    for path in everything(shop):
        answer = client.get(f"/queues{path}")
        assert answer.status_code == (404 if path == "/nothing" else 200), path
        assert not {"{{", "{%", "{#"} & {answer.text[at : at + 2] for at in range(len(answer.text))}, path
        assert "</html>" in answer.text, path
    assert {name: getattr(shop.flask.jinja_env, name) for name in settings} == settings


def test_a_layout_is_read_in_the_syntax_of_its_application(make_shop: Callable[..., Shop]) -> None:
    """Where a value that is missing is an error in the application's pages, it is none in those of the panel."""
    shop = make_shop(QUEUES_LAYOUT="layout.html")
    shop.flask.jinja_env.undefined = StrictUndefined
    templates = Path(shop.flask.root_path) / "templates"
    templates.mkdir()
    (templates / "layout.html").write_text("<html>The shop {{ 1 + 1 }}{% block content %}{% endblock %}</html>")
    client = shop.client()
    for path in everything(shop):
        answer = client.get(f"/queues{path}")
        assert answer.status_code == (404 if path == "/nothing" else 200), path
        assert "The shop 2" in answer.text, path
