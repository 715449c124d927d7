"""Which page lists which status."""

from __future__ import annotations

from ..record import Status

#: The path of each status; `jobs` is the page that people open first.
ADDRESSES = {
    Status.PENDING: "/jobs",
    Status.RUNNING: "/running",
    Status.SCHEDULED: "/scheduled",
    Status.FAILED: "/failed/jobs",
    Status.COMPLETED: "/completed",
    Status.CANCELLED: "/cancelled",
}
