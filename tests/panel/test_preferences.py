"""What a person prefers: kept in cookies, by forms that work without a script."""

from __future__ import annotations

import pytest

from .conftest import Shop, post


def test_rows_are_as_wide_as_the_person_wants_them(shop: Shop) -> None:
    """Comfortable until somebody says otherwise; each person has their own."""
    shop.pending()
    client, other = shop.client(), shop.client()
    assert '<main class="q-content"' in client.get("/queues/jobs").text
    assert post(client, "/queues/preferences", density="compact", back="/queues/failed").location == "/queues/failed"
    assert '<main class="q-content q-compact"' in client.get("/queues/jobs").text
    assert "q-compact" not in other.get("/queues/jobs").text
    post(client, "/queues/preferences", density="tiny")
    assert "q-compact" in client.get("/queues/jobs").text
    post(client, "/queues/preferences", density="comfortable")
    assert "q-compact" not in client.get("/queues/jobs").text


def test_a_zone_is_named_by_hand(shop: Shop) -> None:
    """It counts before that of the browser; nothing means the browser's again."""
    client = shop.client()
    client.set_cookie("queues_zone", "America/New_York", path="/queues")
    form = client.get("/queues/preferences?back=/queues/workers").text
    assert '<option value="Europe/Berlin">' in form
    assert 'value="/queues/workers"' in form
    answer = post(client, "/queues/preferences", zone=" Asia/Tokyo ", back="/queues/workers")
    assert answer.location == "/queues/workers"
    assert ">Asia/Tokyo</a>" in client.get("/queues/jobs").text
    assert 'value="Asia/Tokyo"' in client.get("/queues/preferences").text
    post(client, "/queues/preferences", zone="")
    assert ">America/New_York</a>" in client.get("/queues/jobs").text


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "<b>", "x" * 5000, "Europe"])
def test_a_zone_that_there_is_not_is_said(shop: Shop, zone: str) -> None:
    """And nothing is kept."""
    client = shop.client()
    assert post(client, "/queues/preferences", zone=zone).location == "/queues/preferences"
    text = client.get("/queues/preferences").text
    assert "There is no time zone" in text
    assert "<b>" not in text
    assert "queues_chosen_zone" not in str(client.get_cookie("queues_chosen_zone", path="/queues"))


def test_a_reader_has_preferences_too(shop: Shop) -> None:
    """They change nothing but what the reader sees."""
    client = shop.client("rita")
    assert client.get("/queues/preferences").status_code == 200
    assert post(client, "/queues/preferences", zone="Asia/Tokyo", density="compact").status_code == 303
    assert ">Asia/Tokyo</a>" in client.get("/queues/jobs").text
