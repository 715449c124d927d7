"""What is pushed becomes a job: checked, and written as the storage takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..config import Config, shortened
from ..errors import OptionError, PayloadError
from ..ids import bits_of, new_id, partition_bits
from ..job import Job
from ..options import LONGEST, Options
from ..record import AT_ONCE, FirstDue, to_datetime, to_milliseconds
from ..registry import JobType, Registry
from ..storage.values import Gather, NewJob
from . import permission
from .limits import limits_of
from .origin import packed
from .uniqueness import unique_of

#: The golden ratio's part after the point: adding it again and again fills a circle most evenly.
GOLDEN = 0.6180339887498949


def pair_of(given: Any) -> tuple[Any, Any]:
    """Read one of many that are pushed: a job, or a pair of job and payload."""
    if not isinstance(given, tuple):
        return given, None
    if len(given) != 2:
        raise OptionError(f"{shortened(given)}: of many jobs each is a job, or a pair (job, payload).")
    return given


def host_time() -> int:
    """The time of day on this machine, in milliseconds."""
    return time.time_ns() // 1_000_000


def new_job(
    jobs: Registry,
    config: Config,
    job: Any,
    payload: dict[str, Any] | None,
    options: Options,
    awaited: str | None = None,
    now: Callable[[], int] = host_time,
    *,
    named: bool = False,
    along: str = "",
) -> NewJob:
    """Make a job of a registered class, an instance, a function job or a type string.

    `awaited` is an argument that the payload gets later; `now` tells the time by which gathered jobs wait; `named` says
    whether the push may bring the job's id along; `along` is what goes with its options, as `luggage` has it.
    Raises `UnknownJobType`, `PayloadError`, `OptionError` or `NotAllowed`.
    """
    job_type = jobs.find(job)
    if isinstance(job, Job):
        payload = job.payload if payload is None else payload
        options = options.over(job.pushed_with)
    text = checked_payload(job_type, config, {} if payload is None else payload, awaited)
    whole, gather = gathered(job_type, options.over(job_type.options), payload or {}, now)
    queue = whole.queue or config.default
    due = first_due(whole)
    unique = unique_of(job_type, whole, payload or {}, text)
    kept = options.kept(AT_ONCE if whole.retry_for is None else due, unique.key if unique is not None else None)
    return NewJob(
        id=new_id(partition_of(queue)) if whole.id is None else checked_id(whole.id, queue, named=named),
        queue=queue,
        type=job_type.type,
        payload=text,
        priority=whole.priority or 0,
        delay=due.delay,
        at=due.at or None,
        expires=milliseconds(whole.expires),
        tags=tuple(dict.fromkeys((*job_type.options.tags, *options.tags))),
        options=packed(kept, along),
        limits=limits_of(job_type, whole, payload or {}),
        unique=unique,
        gather=gather,
    )


def first_due(options: Options) -> FirstDue:
    """Until when the job waits, as its options say; what is debounced waits for that."""
    delay = options.delay if options.debounce is None or options.unique is False else options.debounce
    return FirstDue(milliseconds(delay) or 0, to_milliseconds(options.at) if options.at else 0)


def id_for(jobs: Registry, config: Config, job: Any, queue: str | None) -> str:
    """Make an id for a push that is to come: of this job, or of any to this queue."""
    options = Options.of(queue=queue)
    if job is not None:
        job_type = jobs.find(job)
        options = options.over(job.pushed_with if isinstance(job, Job) else Options()).over(job_type.options)
    return new_id(partition_of(options.queue or config.default))


def partition_of(queue: str) -> str:
    """The part of the storage in which a queue's jobs are, which their ids tell."""
    return f"{queue}:0"


def checked_id(job_id: str, queue: str, *, named: bool) -> str:
    """Return the id that a push gives its job; raises `OptionError` where it is for another queue, or for several."""
    if not named:
        raise OptionError("id: only a push of one job takes an id; a chain, a batch and a schedule make their own.")
    if bits_of(job_id) != partition_bits(partition_of(queue)):
        raise OptionError(f"id: {job_id} was not made for the queue {queue}; take queues.new_id(queue={queue!r}).")
    return job_id


def checked_payload(job_type: JobType, config: Config, payload: Any, awaited: str | None = None) -> str:
    """Write a payload as JSON text; raises `PayloadError` or `NotAllowed`."""
    if not isinstance(payload, dict):
        raise PayloadError(f"{job_type.type}: a payload is a dict of arguments, not {type(payload).__name__}.")
    text = job_type.shape.dump(payload, config.max_payload, awaited)
    permission.check(job_type, payload)
    return text


def gathered(
    job_type: JobType, options: Options, payload: dict[str, Any], now: Callable[[], int]
) -> tuple[Options, Gather | None]:
    """Let a payload of a gathered job wait for others until its window is over, unless the push says when it is due."""
    gathering = job_type.gathering
    if gathering is None:
        return options, None
    if options.at is not None or options.delay is not None or options.debounce is not None:
        return options, None
    closes = to_datetime(gathering.closes(payload, now()))
    return replace(options, at=closes), Gather(gathering.group_of(job_type.type, payload), gathering.size)


def spread_out(seconds: float) -> Iterator[float]:
    """Delays for any number of jobs, which lie evenly in so many seconds whatever number that turns out to be.

    Each next one falls into the widest gap between those before.
    """
    place = 0.0
    while True:
        yield seconds * place
        place = (place + GOLDEN) % 1


def spread_over(options: Options, seconds: float, n: int, total: int) -> Options:
    """Give the n-th of so many jobs its share of the delay."""
    if not seconds:
        return options
    return Options.of(delay=(options.delay or 0) + seconds * n / total).over(options)


def milliseconds(seconds: float | None) -> int | None:
    """Write a time span as the storage takes it."""
    return None if seconds is None else round(min(seconds, LONGEST) * 1000)
