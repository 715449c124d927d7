"""What a schedule is: when it is due, which job it pushes, and how it deals with what comes in between."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from ..config import Config, shortened
from ..errors import ScheduleError
from ..ids import new_id
from ..options import TAG, Options
from ..pushing.intake import new_job
from ..record import to_datetime, to_milliseconds
from ..registry import Registry
from ..storage.values import NewJob
from .timing import Every, Timing, read_timing

#: How many missed occurrences the words stand for; None is all.
CATCH_UP: dict[str, int | None] = {"none": 0, "one": 1, "all": None}
MOST_CAUGHT_UP = 1000
MOST_TIMES = 1_000_000_000
#: Such names are the scheduler's own.
RESERVED = ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A checked definition; it can be stored. Moments and durations in milliseconds."""

    name: str
    #: A cron expression, or seconds.
    when: str | float
    timezone: str
    type: str
    queue: str
    #: JSON text.
    payload: str
    priority: int = 0
    tags: tuple[str, ...] = ()
    expires: int | None = None
    #: JSON text of what the record of its jobs keeps for the worker.
    options: str | None = None
    #: Whether an occurrence is fired while the job of the one before has not ended.
    overlap: bool = False
    #: How many missed occurrences are made up for; None is all of them.
    catch_up: int | None = 1
    #: It is not due before, nor after.
    starts: int | None = None
    ends: int | None = None
    #: After so many jobs it is over.
    times: int | None = None

    @property
    def timing(self) -> Timing:
        """When it is due."""
        return timing_of(self.when, self.timezone, self.starts)

    def same_times(self, other: Definition) -> bool:
        """Whether both are due at the same moments."""
        return (self.when, self.timezone, self.starts) == (other.when, other.timezone, other.starts)

    def job(self, due: int) -> NewJob:
        """Make the job of an occurrence, which is told when that was due."""
        kept = {**json.loads(self.options or "{}"), "by": f"schedule {self.name}", "occurrence": due}
        return NewJob(
            id=new_id(f"{self.queue}:0"),
            queue=self.queue,
            type=self.type,
            payload=self.payload,
            priority=self.priority,
            expires=self.expires,
            tags=self.tags,
            options=json.dumps(kept, separators=(",", ":")),
        )

    def changed(self, jobs: Registry, config: Config, changes: dict[str, Any]) -> Definition:
        """Return the definition with changes, which are checked like a new one's; raises as `define` does."""
        given: dict[str, Any] = {
            "name": self.name,
            "queue": self.queue,
            "timezone": self.timezone,
            "overlap": self.overlap,
            "catch_up": next((word for word, n in CATCH_UP.items() if n == self.catch_up), self.catch_up),
            "starts": to_datetime(self.starts) if self.starts is not None else None,
            "ends": to_datetime(self.ends) if self.ends is not None else None,
            "times": self.times,
            "priority": self.priority,
            "tags": self.tags,
            "expires": self.expires / 1000 if self.expires is not None else None,
            **json.loads(self.options or "{}"),
            **changes,
        }
        when = given.pop("when", self.when)
        job = given.pop("job", self.type)
        payload = given.pop("payload", json.loads(self.payload))
        return define(jobs, config, when, job, payload, **given)

    def dump(self) -> dict[str, Any]:
        """What is stored of it: all that is not as it is by default."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) != one.default}

    @classmethod
    def load(cls, stored: dict[str, Any]) -> Definition:
        """Read what `dump` wrote."""
        return cls(**{**stored, "tags": tuple(stored.get("tags", ()))})


@lru_cache(16_384)
def timing_of(when: str | float, timezone: str, starts: int | None) -> Timing:
    """Read a timing once for all occurrences."""
    return read_timing(when, timezone, to_datetime(starts) if starts is not None else None)


def define(
    jobs: Registry,
    config: Config,
    when: str | float | timedelta,
    job: Any,
    payload: dict[str, Any] | None = None,
    *,
    name: str | None = None,
    timezone: str | None = None,
    overlap: bool | None = None,
    catch_up: str | int | None = None,
    starts: datetime | None = None,
    ends: datetime | None = None,
    times: int | None = None,
    **options: Any,
) -> Definition:
    """Check a definition as if it were pushed now.

    Raises `ScheduleError`, which names what is wrong, or what a push raises for the job, its payload
    and its options.
    """
    new = new_job(jobs, config, job, payload, Options.of(**options))
    check_says_no_time(new, options)
    zone = config.timezone if timezone is None else timezone
    begin, end = check_span(starts, ends)
    timing = read_timing(when, zone, starts)
    return Definition(
        name=check_name(new.type if name is None else name),
        when=timing.seconds if isinstance(timing, Every) else timing.text,
        timezone=zone,
        type=new.type,
        queue=new.queue,
        payload=new.payload,
        priority=new.priority,
        tags=new.tags,
        expires=new.expires,
        options=new.options,
        overlap=config.overlap if overlap is None else check_flag("overlap", overlap),
        catch_up=check_catch_up(catch_up),
        starts=begin,
        ends=end,
        times=check_times(times),
    )


def check_says_no_time(new: NewJob, options: dict[str, Any]) -> None:
    """Refuse a job that is to wait by itself, whether its push, its instance or its type says so."""
    if new.delay or new.at is not None:
        raise ScheduleError("A schedule takes no delay and no time (at): it says itself when its jobs are due.")
    if options.get("after_commit"):
        raise ScheduleError("A schedule takes no after_commit: its jobs are pushed by a worker.")


def check_span(starts: datetime | None, ends: datetime | None) -> tuple[int | None, int | None]:
    """Return from when and until when it fires."""
    begin, end = check_moment("starts", starts), check_moment("ends", ends)
    if begin is not None and end is not None and end < begin:
        raise ScheduleError("A schedule cannot end before it starts.")
    return begin, end


def check_name(name: Any) -> str:
    """Return a schedule's name."""
    if not isinstance(name, str) or not TAG.fullmatch(name) or name.startswith(RESERVED):
        raise ScheduleError(
            f"name: {shortened(name)} is not a schedule's name (1 to 128 printable characters, the first no colon)."
        )
    return name


def check_flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise ScheduleError(f"{name}: {shortened(value)} is not True or False.")
    return value


def check_catch_up(value: Any) -> int | None:
    """Return how many missed occurrences are made up for."""
    if value is None:
        return 1
    if isinstance(value, str) and value in CATCH_UP:
        return CATCH_UP[value]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_CAUGHT_UP:
        words = ", ".join(map(repr, CATCH_UP))
        raise ScheduleError(f"catch_up: {shortened(value)} is neither {words} nor a number up to {MOST_CAUGHT_UP}.")
    return value


def check_times(value: Any) -> int | None:
    """Return after how many jobs a schedule is over."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TIMES):
        raise ScheduleError(f"times: {shortened(value)} is not a whole number from 1 on.")
    return value


def check_moment(name: str, value: Any) -> int | None:
    """Return an aware datetime as it is stored."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ScheduleError(f"{name}: {shortened(value)} is not an aware datetime.")
    stored = to_milliseconds(value)
    try:
        to_datetime(stored)  # in UTC, and rounded, it may be in no year that Python knows
    except (OverflowError, ValueError) as error:
        raise ScheduleError(f"{name}: {value.isoformat()} is out of range.") from error
    return stored
