"""What a test asks after, and what it reads where that is not so."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..errors import QueuesError
from ..manager import Manager
from ..masking import masked
from ..record import JobRecord, to_milliseconds

#: Jobs that a message names, and characters that it shows of a payload.
SHOWN = 20
WIDTH = 300


class Wanted(NamedTuple):
    """A job as a test would have it."""

    type: str
    #: As the test wrote it, and as it is read from the storage; or a function.
    payload: Any
    stored: Any
    queue: str | None
    tags: Sequence[str] | None
    priority: int | None
    delay: int | None
    at: int | None
    where: Callable[[JobRecord], Any] | None

    @classmethod
    def of(
        cls,
        manager: Manager,
        job: Any,
        payload: Any,
        queue: str | None,
        tags: Sequence[str] | None,
        priority: int | None,
        delay: float | timedelta | None,
        at: datetime | None,
        where: Callable[[JobRecord], Any] | None,
    ) -> Wanted:
        """Read what a test asks after; raises `UnknownJobType`."""
        job_type = manager.jobs.find(job)
        stored = payload
        if isinstance(payload, dict):
            with suppress(QueuesError):  # with something in it that equals anything, it is compared as it is
                stored = json.loads(job_type.shape.dump(payload, manager.config.max_payload))
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        return cls(
            job_type.type,
            payload,
            stored,
            queue,
            [tags] if isinstance(tags, str) else tags,
            priority,
            None if seconds is None else round(seconds * 1000),
            None if at is None else to_milliseconds(at),
            where,
        )

    def fits(self, pushed: JobRecord, now: JobRecord) -> bool:
        """Whether a job is one, as it was pushed and as it is now."""
        due = to_milliseconds(pushed.due)
        return (
            pushed.type == self.type
            and self.queue in (None, pushed.queue)
            and self.priority in (None, pushed.priority)
            and set(self.tags or ()) <= set(pushed.tags)
            and self.delay in (None, due - to_milliseconds(pushed.created))
            and self.at in (None, due)
            and self._fits_payload(pushed.payload)
            and (self.where is None or bool(self.where(now)))
        )

    def _fits_payload(self, payload: dict[str, Any]) -> bool:
        if callable(self.payload):
            return bool(self.payload(payload))
        return self.payload is None or payload in (self.payload, self.stored)

    def words(self, sensitive: Collection[str]) -> str:
        """What is wanted, for a message."""
        said = [self.type]
        if callable(self.payload):
            said.append(f"with a payload for which {name_of(self.payload)} is true")
        elif self.payload is not None:
            said.append(f"with {payload_text(self.payload, sensitive)}")
        said += [f"on queue {self.queue!r}"] if self.queue is not None else []
        said += [f"with priority {self.priority}"] if self.priority is not None else []
        said += [f"with tags {', '.join(self.tags)}"] if self.tags else []
        said += [f"with a delay of {self.delay / 1000:g} s"] if self.delay is not None else []
        said += [f"at {self.at} ms since 1970"] if self.at is not None else []
        said += [f"for which {name_of(self.where)} is true"] if self.where is not None else []
        return " ".join(said)


def not_pushed(manager: Manager, wanted: Wanted, times: int | None, found: int, pushed: Iterable[JobRecord]) -> str:
    """Say that there are too few, or too many, and what there is."""
    words = wanted.words(manager.sensitive(wanted.type))
    wish = "was not pushed" if times is None else f"was pushed {often(found)}, not {often(times)}"
    return f"{words} {wish}. {list_of(manager, sorted(pushed, key=lambda one: one.type != wanted.type))}"


def not_expected(manager: Manager, wanted: Wanted, found: Sequence[JobRecord]) -> str:
    """Say that there should be none, and which there are."""
    words = wanted.words(manager.sensitive(wanted.type))
    return f"{words} was pushed {often(len(found))}, but should not have been. {list_of(manager, found)}"


def too_many(manager: Manager, pushed: Iterable[JobRecord]) -> str:
    """Say that there should be nothing at all."""
    return f"Something was pushed. {list_of(manager, pushed)}"


def not_chained(types: Sequence[str], chains: Sequence[Sequence[str]]) -> str:
    """Say that there is no such chain, and which there are."""
    there = "\n".join(["Chained were:", *(f"  {', '.join(chain)}" for chain in chains[:SHOWN])])
    return f"No chain of {', '.join(types)} was pushed. {there if chains else 'No chain was.'}"


def not_batched(name: str | None, times: int | None, found: int, names: Sequence[str]) -> str:
    """Say that there are too few batches, or too many, and which there are."""
    what = "A batch" if name is None else f"The batch {name!r}"
    wish = "was not pushed" if times is None else f"was pushed {often(found)}, not {often(times)}"
    there = f"Batches were: {', '.join(repr(one) for one in names[:SHOWN])}." if names else "No batch was."
    return f"{what} {wish}. {there}"


def often(times: int) -> str:
    """So many times, in words."""
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")


def list_of(manager: Manager, pushed: Iterable[JobRecord]) -> str:
    """Every job in a line of its own, secrets hidden."""
    jobs = list(pushed)
    if not jobs:
        return "Nothing was pushed."
    lines = [f"  {line_of(job, manager.sensitive(job.type))}" for job in jobs[:SHOWN]]
    more = [f"  and {len(jobs) - SHOWN} more"] if len(jobs) > SHOWN else []
    return "\n".join(["Pushed were:", *lines, *more])


def line_of(job: JobRecord, sensitive: Collection[str]) -> str:
    """One job in a line."""
    wait = (job.due - job.created).total_seconds()
    said = [
        f"{job.type} {payload_text(job.payload, sensitive)}",
        f"queue {job.queue!r}",
        *([f"delay {wait:g} s"] if wait > 0 else []),
        *([f"priority {job.priority}"] if job.priority else []),
        *([f"tags {', '.join(job.tags)}"] if job.tags else []),
    ]
    return ", ".join(said)


def payload_text(payload: dict[str, Any], sensitive: Collection[str]) -> str:
    """A payload as Python writes it, without what nobody may read."""
    text = repr(masked(payload, sensitive))
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"


def name_of(function: Callable[..., Any]) -> str:
    """How a function is called."""
    return getattr(function, "__name__", None) or repr(function)
