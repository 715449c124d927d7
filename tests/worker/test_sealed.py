"""Jobs behind encryption, run by real workers."""

from __future__ import annotations

import base64
from typing import Any

KEY = base64.urlsafe_b64encode(b"0123456789abcdef" * 2).decode()


def test_a_job_runs_behind_encryption(make_site: Any, place: dict[str, Any]) -> None:
    """A real worker, on each kind of storage: claims in flight, log, progress and result."""
    site = make_site(**place, QUEUES_ENCRYPTION_KEYS=[KEY])
    jobs = [site.push("add", {"a": n}) for n in range(40)]
    said = site.push("say-at-once")
    assert site.start("--stop-when-empty").wait() == 0
    assert [site.job(job).result for job in jobs] == [n + 1 for n in range(40)]
    assert site.messages(said) == [f"line {n}" for n in range(5)]
