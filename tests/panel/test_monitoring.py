"""What programs ask that watch: with a token or as an admin, with nothing else, and by status codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flask_queues import StorageUnavailable
from flask_queues.metrics import Bucket
from flask_queues.panel import monitoring
from flask_queues.panel.prometheus import durations

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

    def away() -> None:
        raise StorageUnavailable("db.intern:6379 does not answer.")

    monkeypatch.setattr(watched.manager.storage, "now", away)
    answer = watched.client(None).get("/queues/health", headers=BEARER)
    assert answer.status_code == 503
    assert "db.intern" not in answer.text
    assert answer.get_json()["problems"][0]["code"] == "storage"
    assert "db.intern:6379 does not answer." in caplog.text


# --- Prometheus -------------------------------------------------------------------------------------------------------


class Figures:
    """What Prometheus reads."""

    def __init__(self, shop: Shop) -> None:
        answer = shop.client(None).get("/queues/prometheus", headers=BEARER)
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.text)
        self.samples = [sample for family in families for sample in family.samples]

    def all(self, name: str, **labels: str) -> list[float]:
        """Every value of this name and these labels, in order."""
        return [
            sample.value
            for sample in self.samples
            if sample.name == f"flask_queues_{name}" and labels.items() <= sample.labels.items()
        ]

    def one(self, name: str, **labels: str) -> float:
        """The only value."""
        (value,) = self.all(name, **labels)
        return value


def test_prometheus_reads_how_things_stand(watched: Shop) -> None:
    """Jobs by queue and status, the longest wait, workers."""
    watched.work()
    watched.one_of_each()
    found = Figures(watched)
    assert found.one("jobs", queue="mail", status="pending") == 1
    assert found.one("jobs", queue="mail", status="failed") == 1
    assert 0 <= found.one("longest_wait_seconds", queue="mail") < 60
    assert (found.one("workers"), found.one("processes"), found.one("processes_busy")) == (1, 1, 1)


def test_prometheus_reads_what_was_done(watched: Shop) -> None:
    """Counters and histograms, by queue and type, from what the keeper has counted."""
    watched.completed()
    watched.completed()
    watched.failed()
    watched.count()
    found = Figures(watched)
    mail = {"queue": "mail", "type": "shop:mail"}
    assert found.one("jobs_ended_total", **mail, status="completed") == 2
    assert found.one("jobs_ended_total", **mail, status="failed") == 1
    assert found.one("run_duration_seconds_count", **mail) == 3
    assert found.one("run_duration_seconds_bucket", **mail, le="+Inf") == 3
    assert found.one("run_duration_seconds_bucket", **mail, le="3600.0") == 3
    waits = found.all("wait_duration_seconds_bucket", **mail)
    assert waits == sorted(waits)
    assert waits[-1] == 3


def test_durations_are_parted_where_they_are_long() -> None:
    """A second and a minute are told apart, and their sum is theirs."""
    totals = Bucket()
    cell = totals.cells["mail", "t"]
    for milliseconds in (900, 60_000 - 5000):
        cell.process.add(milliseconds)
        cell.total += milliseconds
    family = durations(totals, "taken", "", lambda cell: (cell.process, cell.total))
    found = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
    assert [found[limit] for limit in ("0.5", "1.0", "30.0", "60.0", "+Inf")] == [0, 1, 1, 2, 2]
    assert found["taken_sum"] == 55.9


def test_an_alert_that_stands_is_a_figure(make_shop: Callable[..., Shop]) -> None:
    """So that Prometheus may pass it on."""
    shop = make_shop(QUEUES_METRICS_TOKEN=TOKEN, QUEUES_ALERTS={"mail": {"pending": 0}})
    shop.pending()
    assert Figures(shop).all("alert") == []
    shop.manager.look_out()
    assert Figures(shop).one("alert", queue="mail", kind="pending", schedule="") == 1


def test_prometheus_gets_the_format_that_it_asks_for(watched: Shop) -> None:
    """OpenMetrics, or the older text."""
    client = watched.client(None)
    for accept, kind in {
        "application/openmetrics-text; version=1.0.0": "application/openmetrics-text",
        "text/plain;version=0.0.4": "text/plain",
        "": "text/plain",
    }.items():
        answer = client.get("/queues/prometheus", headers={**BEARER, "Accept": accept})
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.text.endswith("# EOF\n") is (kind != "text/plain")


def test_without_its_package_there_is_nothing_and_a_sentence(watched: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setattr(monitoring, "find_spec", lambda name: None)
    answer = watched.client(None).get("/queues/prometheus", headers=BEARER)
    assert answer.status_code == 404
    assert 'pip install "flask-queues-panel[prometheus]"' in answer.get_json()["error"]


def test_a_storage_that_is_away_is_told_to_prometheus_without_its_name(
    watched: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scrape fails; the log says more."""

    def away() -> None:
        raise StorageUnavailable("db.intern:6379 does not answer.")

    monkeypatch.setattr(watched.manager.storage, "oldest", away)
    answer = watched.client(None).get("/queues/prometheus", headers=BEARER)
    assert answer.status_code == 503
    assert "db.intern" not in answer.text


def test_a_wrong_token_does_not_open_the_figures(watched: Shop) -> None:
    """Names of queues and job types are the application's own."""
    assert watched.client(None).get("/queues/prometheus").status_code == 401
    assert watched.client("ben").get("/queues/prometheus").status_code == 403
    assert watched.client("rita").get("/queues/prometheus").status_code == 200
