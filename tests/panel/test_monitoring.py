"""What programs ask that watch: with a token or as an admin, with nothing else, and by status codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Shop

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def watched(make_shop: Callable[..., Shop]) -> Shop:
    """A shop that has a token."""
    return make_shop(QUEUES_METRICS_TOKEN=TOKEN)


def test_the_token_opens_what_is_for_monitoring_and_nothing_else(watched: Shop) -> None:
    """Neither pages nor JSON."""
    client = watched.client(None)
    assert client.get("/queues/health", headers=BEARER).status_code == 503
    watched.work()
    assert client.get("/queues/health", headers=BEARER).status_code == 200
    for path in ("/queues/jobs", "/queues/api/status", "/queues/metrics", "/queues/nothing"):
        assert client.get(path, headers=BEARER).status_code in (302, 401)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer a-token-of-the-test"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ä"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ],
)
def test_a_wrong_token_opens_nothing(watched: Shop, headers: dict[str, str]) -> None:
    """401, without a redirect that a program would follow."""
    assert watched.client(None).get("/queues/health", headers=headers).status_code == 401


def test_without_a_token_in_the_configuration_none_opens_anything(shop: Shop) -> None:
    """An admin may look all the same."""
    assert shop.client(None).get("/queues/health", headers={"Authorization": "Bearer None"}).status_code == 401
    assert shop.client("ben").get("/queues/health").status_code == 403
    assert shop.client("anna").get("/queues/health").status_code == 503


def test_the_token_is_enough_where_nobody_can_sign_in(tmp_path: Path) -> None:
    """The panel stays closed, for want of a login manager; probes need none."""
    shop = Shop(tmp_path, login=False, QUEUES_METRICS_TOKEN=TOKEN)
    shop.work()
    assert shop.flask.test_client().get("/queues/health", headers=BEARER).status_code == 200
    assert shop.flask.test_client().get("/queues/health").status_code == 503
    assert shop.flask.test_client().get("/queues/jobs", headers=BEARER).status_code == 503


def test_the_answer_says_what_is_not_well(watched: Shop) -> None:
    """As the command line does."""
    watched.pending()
    answer = watched.client(None).get("/queues/health", headers=BEARER)
    told: Any = answer.get_json()
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert (told["healthy"], told["pending"], told["workers"]) == (False, 1, 0)
    assert [one["code"] for one in told["problems"]] == ["worker"]
    watched.work()
    late = watched.client(None).get("/queues/health?max_wait=0", headers=BEARER).get_json()
    assert [one["code"] for one in late["problems"]] == ["wait"]


def test_what_the_storage_says_is_for_the_log(
    watched: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may name a server or a path."""
    from flask_queues import StorageUnavailable

    def away() -> None:
        raise StorageUnavailable("db.intern:6379 does not answer.")

    monkeypatch.setattr(watched.manager.storage, "now", away)
    answer = watched.client(None).get("/queues/health", headers=BEARER)
    assert answer.status_code == 503
    assert "db.intern" not in answer.text
    assert answer.get_json()["problems"][0]["code"] == "storage"
    assert "db.intern:6379 does not answer." in caplog.text
