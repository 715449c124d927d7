"""The options of a push: over what the job type says, for this one job."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from .config import QUEUE_NAME, QUEUE_NAME_RULE, RATE_RULE, Rate, nearest, shortened
from .errors import OptionError
from .ids import is_id
from .record import AT_ONCE, TERMS, FirstDue

#: No delay, timeout or expiry is longer: ten years, in seconds.
LONGEST = 315_360_000.0
MAX_TAGS = 20
TAG = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")

Seconds = float | timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Checked options of a push; None leaves a thing to the job type.

    Raises `OptionError` where a value is out of range or two contradict each other.
    """

    queue: str | None = None
    #: Seconds until it may start; not together with `at`.
    delay: float | None = None
    #: When it may start; aware.
    at: datetime | None = None
    #: -100 to 100, higher first.
    priority: int | None = None
    tags: tuple[str, ...] = ()
    #: Seconds after its time within which it must have begun; later it is cancelled.
    expires: float | None = None
    tries: int | None = None
    #: Seconds it may run.
    timeout: float | None = None
    #: Seconds before the next attempt, or one number an attempt; the last one repeats.
    backoff: tuple[float, ...] | None = None
    #: Seconds from the first time it was due: so long no failure ends it, however many tries that takes.
    retry_for: float | None = None
    #: Whether its runs are profiled.
    profile: bool | None = None
    #: Whether only one of its kind may be in its queue: True for one with this payload, a text for one with this key.
    unique: bool | str | None = None
    #: How long that holds: `end` (a final status, the default) or `start` (the first claim).
    unique_until: str | None = None
    #: Whether it takes the place of the one that waits, instead of being left out.
    replace: bool | None = None
    #: Starts so many seconds after the last push of its kind, once, with the last payload.
    debounce: float | None = None
    #: Of those pushed within so many seconds only the first is stored.
    throttle: float | None = None
    #: How many of its kind may run at once, in its queue.
    concurrency: int | None = None
    #: How many of its kind may begin in a time: `100/s`, `5/m`, `1000/h`, `20/30s`.
    rate: str | None = None
    #: How many of them at once after a quiet time; a tenth of the rate's number where it is not said.
    burst: int | None = None
    #: Who shares both with it: those of its type with this key, all of its type where there is none.
    limit_key: str | None = None
    #: An id made before by `Queues.new_id`: where it is stored already, the push changes nothing.
    id: str | None = None
    #: Whether it waits for the commit of the database session's transaction.
    after_commit: bool | None = None

    @classmethod
    def of(cls, **given: Any) -> Options:
        """Check what a caller gave; None means not given."""
        if not given:
            return NOTHING
        unknown = given.keys() - CHECKS.keys()
        if unknown:
            names = ", ".join(sorted(CHECKS))
            meant = nearest(min(unknown), CHECKS)
            raise OptionError(
                f"There is no option {min(unknown)!r}{meant}; a push takes {names}. What the job itself takes goes "
                "into its payload, a dict."
            )
        checked = {name: CHECKS[name](name, value) for name, value in given.items() if value is not None}
        options = cls(**checked)
        if options.at is not None and options.delay is not None:
            raise OptionError("A push takes a delay or a time (at), not both.")
        options.check_unique()
        return options

    def check_unique(self) -> None:
        """Raise `OptionError` where what is said of being unique contradicts itself."""
        if self.debounce is not None and self.throttle is not None:
            raise OptionError("A push takes debounce (the last one counts) or throttle (the first one does), not both.")
        spans = self.debounce is not None or self.throttle is not None
        if spans and (self.unique is False or self.unique_until is not None or self.replace is not None):
            raise OptionError("debounce and throttle say themselves how long a job is unique; leave out the rest.")
        if self.debounce is not None and (self.at is not None or self.delay is not None):
            raise OptionError("debounce is a delay itself: leave out delay and at.")

    def over(self, other: Options) -> Options:
        """Return the other's options with those of this one on top."""
        if self is NOTHING:
            return other
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        chosen = {name: value for name, value in mine.items() if value not in (None, ())}
        if "at" in chosen or "delay" in chosen:
            other = replace(other, at=None, delay=None)
        return replace(other, **chosen)

    def kept(self, first_due: FirstDue = AT_ONCE, unique_key: str | None = None) -> str | None:
        """JSON text of what the record keeps for the worker and for people, None where that is nothing."""
        chosen = {name: value for name in TERMS if (value := getattr(self, name)) is not None}
        if first_due != AT_ONCE:
            chosen["first_due"] = first_due
        if unique_key is not None:
            chosen["unique_key"] = unique_key
        return json.dumps(chosen, separators=(",", ":")) if chosen else None


#: What most pushes give, so nothing is made for them.
NOTHING = Options()


def check_seconds(name: str, value: Any, low: float = 0.0) -> float:
    """Return a time span in seconds, given as a number or a timedelta."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise OptionError(f"{name}: {shortened(value)} is not a number of seconds.")
    if not low <= value <= LONGEST:
        raise OptionError(f"{name}: {value:g} s is out of range; it takes {low:g} to {LONGEST:,.0f} s.")
    return float(value)


def check_timeout(name: str, value: Any) -> float:
    """Return a timeout, which cannot be 0."""
    return check_seconds(name, value, 0.001)


def check_at(name: str, value: Any) -> datetime:
    """Return an aware datetime; a naive one would mean another time on each machine."""
    if not isinstance(value, datetime):
        raise OptionError(f"{name}: {shortened(value)} is not a datetime.")
    if value.tzinfo is None or value.utcoffset() is None:
        raise OptionError(
            f"{name}: {value.isoformat()} has no time zone; use an aware datetime, such as datetime.now(timezone.utc)."
        )
    try:
        ahead = value.timestamp() - time.time()
    except (OverflowError, ValueError):
        ahead = math.inf
    if ahead > LONGEST:
        raise OptionError(f"{name}: {value.isoformat()} is more than ten years from now.")
    return value


def check_whole(low: int, high: int) -> Callable[[str, Any], int]:
    """Return a check for a whole number within a range."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise OptionError(f"{name}: {shortened(value)} is not a whole number from {low} to {high}.")
        return value

    return check


def check_queue(name: str, value: Any) -> str:
    """Return the name of a queue."""
    if not isinstance(value, str) or not QUEUE_NAME.fullmatch(value):
        raise OptionError(f"{name}: {shortened(value)} is not a queue name ({QUEUE_NAME_RULE}).")
    return value


def check_tags(name: str, value: Any) -> tuple[str, ...]:
    """Return tags without doubles, in their order."""
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        raise OptionError(f"{name}: {shortened(value)} is not a list of texts.")
    tags = tuple(dict.fromkeys(value))
    if len(tags) > MAX_TAGS:
        raise OptionError(f"{name}: {len(tags)} tags are too many; a job takes {MAX_TAGS}.")
    for tag in tags:
        if not isinstance(tag, str) or not TAG.fullmatch(tag):
            raise OptionError(f"{name}: {shortened(tag)} is not a tag (1 to 128 printable characters).")
    return tags


def check_backoff(name: str, value: Any) -> tuple[float, ...]:
    """Return waits in seconds, given as one or as a list."""
    waits = value if isinstance(value, list | tuple) else [value]
    if not waits:
        raise OptionError(f"{name}: the list of waits is empty.")
    return tuple(check_seconds(name, wait) for wait in waits)


def check_flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"{name}: {shortened(value)} is not True or False.")
    return value


def parse_rate(name: str, value: Any) -> tuple[int, int]:
    """Read a rate: so many in so many milliseconds."""
    rate = Rate.read(value)
    if rate is None:
        raise OptionError(f"{name}: {shortened(value)} is not a rate, such as {RATE_RULE}.")
    if rate.per > LONGEST * 1000 or rate.n > rate.per * 1000:
        raise OptionError(f"{name}: {shortened(value)} is out of range: at most a million a second, over ten years.")
    return rate.n, rate.per


def check_rate(name: str, value: Any) -> str:
    """Return a rate as it was given."""
    parse_rate(name, value)
    return str(value)


def check_unique_key(name: str, value: Any) -> bool | str:
    """Return True, False or a key."""
    if isinstance(value, bool) or (isinstance(value, str) and 0 < len(value) <= 250):
        return value
    raise OptionError(f"{name}: {shortened(value)} is not True, False or a text of 1 to 250 characters.")


def check_key(name: str, value: Any) -> str:
    """Return a key."""
    if isinstance(value, str) and 0 < len(value) <= 250:
        return value
    raise OptionError(f"{name}: {shortened(value)} is not a text of 1 to 250 characters.")


def check_until(name: str, value: Any) -> str:
    """Return `start` or `end`."""
    if value not in ("start", "end"):
        raise OptionError(f"{name}: {shortened(value)} is not 'start' or 'end'.")
    return str(value)


def check_id(name: str, value: Any) -> str:
    """Return an id of a job."""
    if isinstance(value, str) and is_id(value):
        return value
    raise OptionError(f"{name}: {shortened(value)} is not the id of a job; queues.new_id() makes one.")


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "queue": check_queue,
    "delay": check_seconds,
    "at": check_at,
    "priority": check_whole(-100, 100),
    "tags": check_tags,
    "expires": check_seconds,
    "tries": check_whole(1, 1000),
    "timeout": check_timeout,
    "backoff": check_backoff,
    "retry_for": check_timeout,
    "profile": check_flag,
    "unique": check_unique_key,
    "unique_until": check_until,
    "replace": check_flag,
    "debounce": check_timeout,
    "throttle": check_timeout,
    "concurrency": check_whole(1, 1_000_000),
    "rate": check_rate,
    "burst": check_whole(1, 1_000_000),
    "limit_key": check_key,
    "id": check_id,
    "after_commit": check_flag,
}
