"""What a storage holds, counted by hand."""

from __future__ import annotations

from collections import Counter

from flask_queues import JobRecord, Status
from flask_queues.manager import Manager


def take_stock(manager: Manager) -> dict[str, JobRecord]:
    """Every job by its id, read from the lists of all statuses.

    Fails where a job is in two of them, or where the kept counts are not what can be counted.
    To be called when nobody changes anything.
    """
    found: dict[str, JobRecord] = {}
    for status in Status:
        for record in listed(manager, status):
            assert record.id not in found, f"{record.id} is {status} and {found[record.id].status}"
            assert record.status is status
            found[record.id] = record
    counted = Counter((record.queue, record.type, record.status.value) for record in found.values())
    assert manager.counts().cells == dict(counted)
    return found


def listed(manager: Manager, status: Status) -> list[JobRecord]:
    """All jobs of one status, page by page."""
    records: list[JobRecord] = []
    page = manager.jobs_of(statuses=[status], limit=500)
    records += page.jobs
    while page.after is not None:
        page = manager.jobs_of(statuses=[status], limit=500, after=page.after)
        records += page.jobs
    return records


def unfinished(manager: Manager) -> int:
    """How many jobs wait or run, by the kept counts."""
    statuses = manager.counts().statuses
    return statuses["pending"] + statuses["running"] + statuses["scheduled"]
