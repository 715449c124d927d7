"""Jobs as lines of JSON, and a failed one as a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

NO_JOB = "0" * 26


def lines(answer: Any) -> list[dict[str, Any]]:
    """What was written."""
    assert (answer.returncode, answer.stderr) == (0, "")
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_jobs_are_written_one_a_line(site: Any) -> None:
    """As `show --json` has each; filters choose."""
    pushed = {site.push("add", {"a": n}, tags=["odd"] if n % 2 else []) for n in range(205)}
    mail = site.push("secret", {"card": "1234-5678", "name": "Zoë\n🐙"}, delay=60)
    written = lines(site.run("export"))
    assert {job["id"] for job in written} == {*pushed, mail}
    assert len(written) == 206
    shown = json.loads(site.run("show", mail, "--json").stdout)
    del shown["log"]
    assert lines(site.run("export", "--status", "scheduled")) == [shown]
    assert len(lines(site.run("export", "--tag", "odd", "--type", "add", "--queue", "default"))) == 102
    assert [job["id"] for job in lines(site.run("export", "--text", "zoë"))] == [mail]


@pytest.mark.parametrize(("option", "seen"), [((), False), (("--secrets",), True)])
def test_secrets_are_hidden_unless_asked_for(site: Any, option: tuple[str, ...], seen: bool) -> None:
    """In the payload, the error and the log."""
    job = site.push("teller", {"password": "hunter22"})
    assert site.run("run", job).returncode == 1
    (written,) = lines(site.run("export", "--log", *option))
    for part in ("payload", "error", "history", "log"):
        assert ("hunter22" in json.dumps(written[part])) is seen, part


def test_nothing_to_write_is_said(site: Any) -> None:
    """With an exit code of its own; a wrong status is wrong usage."""
    answer = site.run("export", "--queue", "images")
    assert (answer.returncode, answer.stdout, answer.stderr) == (3, "", "No job matches.\n")
    assert site.run("export", "--status", "fialed").returncode == 2


def test_a_failed_job_is_printed_as_a_test(site: Any) -> None:
    """One that has not failed, or is not there, is named on standard error."""
    job = site.push("doomed", tries=1)
    early = site.run("reproduce", job)
    assert (early.returncode, early.stdout) == (1, "")
    assert "has no error that could be reproduced; it is pending" in early.stderr
    site.run("run", job)
    answer = site.run("reproduce", job)
    assert (answer.returncode, answer.stderr) == (0, "")
    compile(answer.stdout, "test_it.py", "exec")
    assert f"def test_doomed_{job}(queues_app, queues_fake):" in answer.stdout
    assert "with pytest.raises(ValueError, match='as asked'):  # in sample.py:" in answer.stdout
    assert site.run("reproduce", NO_JOB).returncode == 1
