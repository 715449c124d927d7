"""Pauses of queues and job types: what people say, and how the storage is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from .errors import OptionError
from .options import Seconds, check_queue, check_seconds
from .record import storable, to_datetime
from .storage import Storage
from .storage.stops import Stop

#: Characters of a reason, and of a name, that are kept.
MOST = 500


@dataclass(frozen=True, slots=True)
class Pause:
    """A queue, or a job type, of which nothing is claimed for a while."""

    #: None for a job type that is paused in every queue it is known in.
    queue: str | None
    #: None for a whole queue.
    type: str | None
    #: When it ends by itself; None where somebody has to resume it.
    until: datetime | None
    reason: str
    #: Who paused it; empty where a job raised `RateLimited`.
    by: str
    since: datetime


def pause(
    storage: Storage, queues: Iterable[str], job_type: str | None, seconds: Seconds | None, reason: str, by: str
) -> None:
    """Stop these queues, or a job type in them."""
    lasts = None if seconds is None else max(1, round(check_seconds("seconds", seconds) * 1000))
    for queue in queues:
        storage.stop(
            check_queue("queue", queue), job_type, lasts=lasts, reason=storable(reason, MOST), by=storable(by, MOST)
        )


def resume(storage: Storage, queues: Iterable[str], job_type: str | None) -> bool:
    """Let these queues, or a job type in them, go on; False where none was paused."""
    return sum(storage.go_on(check_queue("queue", queue), job_type) for queue in queues) > 0


def pauses(stops: Iterable[Stop]) -> list[Pause]:
    """The stops as people said them: a queue each, and a job type once for all of its queues."""
    found: dict[tuple[str | None, str | None], Stop] = {}
    for stop in stops:
        key = (stop.queue, None) if stop.type is None else (None, stop.type)
        if key not in found or lasts_longer(stop, found[key]):
            found[key] = stop
    return [
        Pause(
            queue, type_, to_datetime(stop.until) if stop.until is not None else None, stop.reason, stop.by,
            to_datetime(stop.since),
        )
        for (queue, type_), stop in found.items()
    ]  # fmt: skip


def lasts_longer(one: Stop, other: Stop) -> bool:
    """Whether a stop ends after another."""
    return other.until is not None and (one.until is None or one.until > other.until)


def one_of(queue: str | None, job_type: str | None) -> None:
    """Refuse both, and neither."""
    if (queue is None) is (job_type is None):
        raise OptionError("Name one thing to pause: a queue, or a job type.")
