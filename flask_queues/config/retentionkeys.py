"""What `QUEUES_RETENTION` and the `retention` of a job type may say: for how long, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from .names import check_name

#: Stands for every job type.
ANY = "*"
HOURS = ("completed", "failed", "cancelled")
COUNTS = tuple(f"{status}_count" for status in HOURS)
NAMES = HOURS + COUNTS
#: Hours by final status, and how many of `<status>_count` are kept in each queue; None keeps all.
Retention = dict[str, float | None]
LONGEST = 24 * 3650


def read_retention(key: str, given: Any) -> Retention:
    """Read what is said of one job type, or raise `ConfigError` that says what is allowed."""
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(f"{key} is not allowed: it takes hours or numbers by name: {', '.join(NAMES)}.")
    named = {check_name(key, name, NAMES): value for name, value in given.items()}
    return {name: check_value(f"{key}[{name!r}]", name, value) for name, value in named.items()}


def check_value(key: str, name: str, value: Any) -> float | None:
    """Return hours, or a whole number of jobs."""
    if value is None:
        return None
    kinds, high = ((int, float), LONGEST) if name in HOURS else ((int,), 1_000_000_000)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value <= high:
        allowed = "hours" if name in HOURS else "a whole number of jobs"
        raise ConfigError(f"{key} = {str(value)[:80]} is not allowed: it takes {allowed} from 0 to {high:,}, or None.")
    return value
