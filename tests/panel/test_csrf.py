"""No change without a token, whatever the application does about its own forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask_wtf.csrf import CSRFProtect

from flask_queues import Status

from .conftest import Shop, post, token_of


@pytest.mark.parametrize("protected", [False, True])
def test_a_change_needs_the_token_of_a_page(make_shop: Callable[..., Shop], protected: bool) -> None:
    """With and without a CSRFProtect of the application's own."""
    shop = make_shop()
    if protected:
        CSRFProtect(shop.flask)
    job_id = shop.failed()
    client = shop.client()

    assert client.post("/queues/actions/retry", data={"id": job_id}).status_code == 400
    assert client.post("/queues/actions/retry", data={"id": job_id, "csrf_token": "made up"}).status_code == 400
    assert client.post("/queues/preferences", data={"theme": "dark"}).status_code == 400
    assert shop.status(job_id) is Status.FAILED
    assert post(client, "/queues/actions/retry", id=job_id).status_code == 303
    assert shop.status(job_id) is Status.PENDING


def test_a_token_of_somebody_else_is_refused(shop: Shop) -> None:
    """It belongs to the session."""
    job_id = shop.failed()
    stolen = token_of(shop.client())

    assert shop.client().post("/queues/actions/retry", data={"id": job_id, "csrf_token": stolen}).status_code == 400
    assert shop.status(job_id) is Status.FAILED


def test_the_applications_field_name_is_used(make_shop: Callable[..., Shop]) -> None:
    """Its own protection reads the same field."""
    shop = make_shop(WTF_CSRF_FIELD_NAME="shop_token")
    CSRFProtect(shop.flask)

    assert 'name="shop_token"' in shop.client().get("/queues/jobs").text


def test_no_token_gets_into_an_address(shop: Shop) -> None:
    """A form that is sent by GET holds none; a button brings its own."""
    shop.failed()
    text = shop.client().get("/queues/failed/jobs").text
    inside = text[text.index('<form class="q-list"') :]
    inside = inside[: inside.index("</form>")]

    assert 'type="hidden" name="csrf_token"' not in inside
    assert 'formmethod="post"' in inside
