"""Alerts of real workers: said once, by one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.site import Site, eventually


@pytest.mark.slow
def test_of_two_workers_one_says_an_alert_and_that_it_is_over(
    make_site: Callable[..., Site], place: dict[str, Any]
) -> None:
    """The receiver may ask the storage, from its thread; the log of that worker says it too."""
    site = make_site(**place, QUEUES_LEASE=2, QUEUES_ALERTS={"paused": {"pending": 0}})
    site.manager.pause("paused")
    job = site.push("noop", queue="paused")
    workers = [site.work(), site.work()]
    told = site.folder / "alerts.txt"
    eventually(lambda: told.exists() and told.read_text().endswith("\n"))
    assert told.read_text() == "True pending paused 1\n"
    assert [str(alert) for alert in site.manager.alerts()] == ["Jobs pending in paused: 1; 0 are allowed."]
    told_to_a_probe = site.run("health").stdout
    assert told_to_a_probe.endswith("Alert: Jobs pending in paused: 1; 0 are allowed.\n")
    site.manager.cancel(job)
    eventually(lambda: told.read_text().count("\n") > 1)
    for worker in workers:
        assert worker.stop() == 0
    assert told.read_text() == "True pending paused 1\nFalse pending paused 0\n"
    said = "".join(worker.text for worker in workers)
    assert said.count("Jobs pending in paused: 1; 0 are allowed.") == 1
    assert site.manager.alerts() == []
