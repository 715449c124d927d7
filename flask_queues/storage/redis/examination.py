"""What the servers may lose, double or delay."""

from __future__ import annotations

from ..base import Finding, Severity
from .calls import Calls
from .keys import Keys

PROMISE = (
    "Jobs survive the death of any process of the application; a crash of Redis if AOF is on; a failover may lose the "
    "last acknowledged writes."
)


def examine(calls: Calls, keys: Keys, wait: int) -> list[Finding]:  # noqa: ARG001
    """Ask every server."""
    return [Finding(Severity.NOTE, "redis-promise", PROMISE)]
