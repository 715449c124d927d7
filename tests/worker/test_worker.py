"""What a worker promises, tried on real ones."""

from __future__ import annotations

from flask_queues import Status


def test_a_failed_job_is_tried_again_after_its_backoff(site):
    """A job that raises is tried again, and its record tells of every attempt."""
    job = site.push("flaky", {"failures": 2})
    site.work()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    assert record.attempts == 3
