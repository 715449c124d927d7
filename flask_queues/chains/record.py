"""A chain as people read it: how far it is, and its jobs that are there. It is found from any of these.

Nothing is kept of it for that: the jobs of a long chain have its tag, those of a short one name each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import JobNotFound
from ..handles import is_stopped, next_id
from ..record import ChainPlace, JobRecord, Status
from ..storage import Storage
from ..storage.values import Query
from .pages import LINKS, tag_of

#: Jobs that are looked up from one to the next, where there is no tag: the links of a chain without pages, twice.
STEPS = 2 * LINKS + 2


class ChainRecord(NamedTuple):
    """A chain."""

    #: The id of its first job.
    id: str
    #: The job that it has come to; it has ended where nothing comes after it.
    current: JobRecord
    #: Which link that is, and how many there are.
    at: int
    of: int
    #: As of `ChainHandle.status`.
    status: Status
    #: Its jobs that are there, the last first.
    jobs: tuple[JobRecord, ...]
    #: Where more of them begin; None where there are none.
    after: str | None


def find_chain(storage: Storage, job_id: str, limit: int, after: str | None = None) -> ChainRecord:
    """Find a chain by the id of a job of it, or by its own; raises `JobNotFound` where none is there."""
    job = storage.get(job_id) or next(iter(storage.page(Query(tag=tag_of(job_id), limit=1)).jobs), None)
    if job is None:
        raise JobNotFound(
            f"There is no chain {job_id[:64]}, nor a link of that id. A chain is there as long as one of its jobs is; "
            "ended ones are deleted after their retention: keep those of a job type longer to find it by them."
        )
    if job.chain is None:
        raise JobNotFound(f"Job {job_id[:64]} is no link of a chain.")
    place = job.chain
    if tag_of(place.id) in job.tags:
        return long_chain(storage, place, job, limit, after)
    jobs = sorted(neighbours(storage, job), key=at, reverse=True)
    return told(place, jobs[0], tuple(jobs), None)


def long_chain(storage: Storage, place: ChainPlace, job: JobRecord, limit: int, after: str | None) -> ChainRecord:
    """Read a page of a chain whose jobs have its tag; each is pushed when its turn comes, so the last is the first."""
    tag = tag_of(place.id)
    page = storage.page(Query(tag=tag, limit=limit, after=after))
    newest = page.jobs if after is None else storage.page(Query(tag=tag, limit=limit)).jobs
    current = max((one for one in newest if belongs(one, place)), key=at, default=job)
    return told(place, current, tuple(one for one in page.jobs if belongs(one, place)), page.after)


def neighbours(storage: Storage, job: JobRecord) -> Iterator[JobRecord]:
    """A link, and those before and after it, as far as they are there."""
    yield job
    for step in (before, next_id):
        one: JobRecord | None = job
        for _ in range(STEPS):
            name = step(one) if one is not None else None
            one = storage.get(name) if name is not None else None
            if one is None:
                break
            yield one


def before(job: JobRecord) -> str | None:
    """The id of the job that a link came after."""
    return job.chain.before if job.chain is not None else None


def at(job: JobRecord) -> int:
    """Which link a job is; what others were let follow is the first."""
    return job.chain.at if job.chain is not None else 1


def belongs(job: JobRecord, place: ChainPlace) -> bool:
    """Whether a job is a link of the same chain."""
    return job.chain is not None and job.chain.id == place.id


def told(place: ChainPlace, current: JobRecord, jobs: tuple[JobRecord, ...], after: str | None) -> ChainRecord:
    """A chain that has come to a job."""
    status = Status.PENDING if next_id(current) is not None else current.status
    status = Status.CANCELLED if is_stopped(current) and next_id(current) is None else status
    of = current.chain.of if current.chain is not None else place.of
    return ChainRecord(place.id, current, at(current), of, status, jobs, after)
