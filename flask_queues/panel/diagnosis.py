"""The worst that the doctor says of the storage, asked once in a while: for the note on every page."""

from __future__ import annotations

import time
from typing import NamedTuple
from weakref import WeakKeyDictionary

from flask import Flask

from ..doctor.examine import of_storage, worst_first
from ..errors import ConfigError, StorageError
from ..manager import Manager
from ..storage.values import Finding, Severity

#: Seconds for which an answer holds in this process: a page is not to wait for it, and little of it changes.
HOLDS = 300.0


class Diagnosis(NamedTuple):
    """What was found, and when."""

    at: float
    worst: Finding | None


_known: WeakKeyDictionary[Flask, Diagnosis] = WeakKeyDictionary()


def worst_finding(manager: Manager) -> Finding | None:
    """What about the storage may lose jobs or run them twice, the worst of it."""
    known, now = _known.get(manager.app), time.monotonic()
    if known is None or known.at + HOLDS < now:
        known = _known[manager.app] = Diagnosis(now, examined(manager))
    return known.worst


def examined(manager: Manager) -> Finding | None:
    """Ask the doctor; a storage that cannot be used is told by the page itself."""
    try:
        found = worst_first(of_storage(manager))
    except (StorageError, ConfigError):
        return None
    return next((finding for finding in found if finding.severity >= Severity.DOUBLES), None)
