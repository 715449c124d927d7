"""Failures by cause at the terminal."""

from __future__ import annotations

import json
from typing import Any

from flask_queues import Status
from tests.support.site import eventually


def test_failures_are_shown_and_retried_by_cause(make_site: Any) -> None:
    """The cause with its number, its first release and the error; all of it are retried, and nothing else."""
    site = make_site(QUEUES_RELEASE="2026.11")
    assert "No job has failed." in site.run("causes").stdout
    failed = [site.push("doomed") for _ in range(3)]
    site.push("add", {"a": 1})
    worker = site.work()
    eventually(lambda: [one.number for one in site.manager.causes()] == [3], what="The count")
    worker.stop()
    (cause,) = json.loads(site.run("causes", "--json").stdout)["causes"]
    assert (cause["jobs"], cause["types"], cause["error"]) == (3, ["doomed"], "ValueError")
    text = site.run("causes").stdout
    assert cause["key"] in text
    assert text.splitlines()[1].split()[5:9] == ["2026.11", "ValueError:", "as", "asked"]
    assert "sample.py:" in text
    assert site.run("retry", "--all", "--cause", "0123").returncode == 3
    done = site.run("retry", "--all", "--cause", cause["key"])
    assert "3 jobs were pushed again." in done.stdout
    assert {site.status(job) for job in failed} == {Status.PENDING}
