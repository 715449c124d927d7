"""The thresholds of `QUEUES_ALERTS`: which there are, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ConfigError
from .names import check_name

#: Stands for every queue that has no thresholds of its own.
EVERY = "*"
#: Seconds for which a queue may be without a worker where only True is said: a restart takes less.
NO_WORKER = 30.0
#: Seconds for which more may come than can be done where only True is said: as long as the pace is told over.
GROWS = 300.0
#: Thresholds that take True.
SWITCHES = {"no_worker": NO_WORKER, "grows": GROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is too much for a queue; None is never said. Times are in seconds."""

    #: That its first claimable job has waited.
    longest_wait: float | None = None
    #: Jobs that failed for good within the last hour.
    failures_per_hour: float | None = None
    #: Pending jobs.
    pending: float | None = None
    #: That more comes than can be done, as the forecast of the panel has it.
    grows: float | None = None
    #: That no worker serves it.
    no_worker: float | None = None
    #: That an occurrence of a schedule whose jobs it takes is overdue, or was fired late.
    schedule_late: float | None = None


KINDS = tuple(one.name for one in fields(Thresholds))


def read_thresholds(key: str, given: Any) -> Thresholds:
    """Read the thresholds of one queue, or raise `ConfigError` that says what is allowed."""
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(f"{key} is not allowed: it takes thresholds by name: {', '.join(KINDS)}.")
    named = {check_name(key, kind, KINDS): value for kind, value in given.items()}
    return Thresholds(**{kind: check_value(f"{key}[{kind!r}]", kind, value) for kind, value in named.items()})


def check_value(key: str, kind: str, value: Any) -> float | None:
    """Return a threshold; None switches one off that holds for every queue."""
    if kind in SWITCHES and isinstance(value, bool):
        return SWITCHES[kind] if value else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e12:
        allowed = "True, False or a number of seconds" if kind in SWITCHES else "a number from 0 on"
        raise ConfigError(f"{key} = {str(value)[:80]} is not allowed: it takes {allowed}.")
    return float(value)


def thresholds_of(alerts: Mapping[str, Thresholds], queue: str) -> Thresholds | None:
    """What holds for a queue: its own thresholds, or those of every queue."""
    return alerts.get(queue) or alerts.get(EVERY)
