"""How a job type or a push says how many of its kind may run at once, or begin in a time: as the storage takes it."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..options import Options, parse_rate
from ..registry import JobType
from ..storage.limits import CONCURRENCY, RATE, Limit

#: Characters of a key.
MOST = 250


def limits_of(job_type: JobType, options: Options, payload: dict[str, Any]) -> tuple[Limit, ...]:
    """The limits that a job is under; raises `OptionError` for a key that cannot be.

    What gathers comes along by its own key, however many share its limits.
    """
    if options.concurrency is None and options.rate is None:
        return ()
    key = key_of(job_type, options, payload)
    group = job_type.gathering.group_of(job_type.type, payload) if job_type.gathering is not None else ""
    limits = []
    if options.concurrency is not None:
        limits.append(Limit(CONCURRENCY, key, options.concurrency, group=group))
    if options.rate is not None:
        n, per = parse_rate("rate", options.rate)
        limits.append(Limit(RATE, key, n, per, options.burst or max(1, n // 10), group))
    return tuple(limits)


def key_of(job_type: JobType, options: Options, payload: dict[str, Any]) -> str:
    """The key: the job type, with what the push or the type's method adds."""
    said = job_type.limit_key(payload) if options.limit_key is None and job_type.limit_key else options.limit_key
    if said is None:
        return job_type.type
    if not isinstance(said, str) or not 0 < len(said) <= MOST:
        raise OptionError(
            f"{job_type.type}: limit_key gave {str(said)[:80]!r}; it is a text of 1 to {MOST} characters."
        )
    return f"{job_type.type}:{said}"
