"""Looking for jobs by what no index serves: each is read, the newest first, a bounded number at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from .causes import Cause
from .errors import OptionError
from .masking import masked, masked_text, secrets_in
from .record import JobRecord, Page, Status, to_milliseconds
from .storage import Storage
from .storage.values import Query

#: Jobs that are looked at for one page; then the one who asked may go on.
LOOK_AT = 2000
#: Jobs that are read at a time.
SLICE = 200


class Where(NamedTuple):
    """What jobs are looked for, beyond queue, type, tag and status. Empty matches all."""

    #: The key of the cause of its last error.
    cause: str | None = None
    #: The class of its last error, with or without its module.
    error: str | None = None
    #: Stands in its id, type, tags, payload, or the message of its last error; upper and lower case are alike.
    text: str | None = None
    #: So many attempts at least.
    attempts: int | None = None
    #: Its last attempt took so many seconds at least.
    ran: float | None = None
    #: The host, or the child process, of its last attempt.
    worker: str | None = None
    #: The id of the chain of which it is a link; `*` for any.
    chain: str | None = None

    @property
    def given(self) -> bool:
        """Whether anything is looked for."""
        return any(value is not None for value in self)

    def fits(self, job: JobRecord, hidden: frozenset[str], cause_of_job: Callable[[JobRecord], Cause | None]) -> bool:
        """Whether a job is one of them; what is hidden of its payload is not looked into."""
        return (
            (self.error is None or has_error(job, self.error))
            and (self.attempts is None or job.attempts >= self.attempts)
            and (self.ran is None or ran(job) >= self.ran)
            and (self.worker is None or ran_on(job, self.worker))
            and (self.chain is None or (job.chain is not None and self.chain in ("*", job.chain.id)))
            and (self.text is None or self.text.casefold() in words_of(job, hidden))
            and (self.cause is None or ((cause := cause_of_job(job)) is not None and cause.key == self.cause))
        )


def has_error(job: JobRecord, name: str) -> bool:
    """Whether a job's last error is of a class."""
    return job.error is not None and name in (job.error.type, job.error.type.rpartition(".")[2])


def ran(job: JobRecord) -> float:
    """Seconds that a job's last attempt took."""
    last = job.history[-1] if job.history else None
    return (last.ended - last.started).total_seconds() if last is not None and last.ended is not None else 0.0


def ran_on(job: JobRecord, worker: str) -> bool:
    """Whether a child process, or any of a host, had a job last."""
    return job.worker is not None and (job.worker == worker or job.worker.partition(":")[0] == worker)


def words_of(job: JobRecord, hidden: frozenset[str]) -> str:
    """Everything of a job in which a text is looked for, without its secrets."""
    payload = json.dumps(masked(job.payload, hidden), ensure_ascii=False)
    secrets = {*secrets_in(job.payload, hidden), *secrets_in(job.result, hidden)}
    error = f"{job.error.type} {masked_text(job.error.message, secrets)}" if job.error is not None else ""
    return "\n".join([job.id, job.type, *job.tags, payload, error]).casefold()


class Span(NamedTuple):
    """Jobs that ended within a time: at `since` or later, and before `until`. None is open."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def given(self) -> bool:
        """Whether there is an end to it."""
        return self != (None, None)

    def holds(self, job: JobRecord) -> bool:
        """Whether a job ended in it."""
        return job.finished is not None and not self.is_after(job.finished) and not self.is_before(job.finished)

    def is_after(self, moment: datetime) -> bool:
        """Whether a moment is too early for it."""
        return self.since is not None and moment < self.since

    def is_before(self, moment: datetime) -> bool:
        """Whether a moment is too late for it."""
        return self.until is not None and moment >= self.until

    def page(self, storage: Storage, query: Query) -> Page:
        """Read a page of its jobs: from its near edge on, up to its far one; with a tag, what of a page is in it."""
        near = self.since if query.oldest else self.until
        page = storage.page(query._replace(begin=to_milliseconds(near) if near is not None else None))
        last = page.jobs[-1].finished if page.jobs and query.tag is None else None
        over = last is not None and (self.is_before(last) if query.oldest else self.is_after(last))
        return Page(tuple(job for job in page.jobs if self.holds(job)), None if over else page.after)


def look_through(read: Callable[[Query], Page], query: Query, fits: Callable[[JobRecord], bool]) -> Page:
    """Read a page of jobs that fit, or fewer where none was found among those that were looked at.

    A page may have a few jobs more than its limit, so that it ends where the storage can go on.
    """
    found: list[JobRecord] = []
    after, looked, size = query.after, 0, query.limit
    while True:
        page = read(query._replace(limit=size, after=after))
        fitting = [job for job in page.jobs if fits(job)]
        if size > query.limit < len(fitting):  # where they lie close together: from here on in small slices
            size = query.limit
            continue
        found += fitting
        looked += len(page.jobs)
        after = page.after
        if after is None or len(found) >= query.limit or looked >= LOOK_AT:
            return Page(tuple(found), after)
        size = query.limit if found else max(SLICE, query.limit)


def check_statuses(statuses: Sequence[Status | str]) -> list[Status]:
    """Return statuses given as such or by their names; raises `OptionError` for what is none."""
    if isinstance(statuses, str):
        statuses = [statuses]
    try:
        return [Status(status) for status in statuses]
    except (ValueError, TypeError) as error:
        names = ", ".join(Status)
        raise OptionError(f"statuses: {error}; there are {names}.") from error


def check_line(query: Query) -> Query:
    """Return a query for what is claimed next; raises `OptionError` for filters that no index serves in that order."""
    if query.type is not None or query.tag is not None or any(one is not Status.PENDING for one in query.statuses):
        raise OptionError("next_first: of pending jobs alone, and of all types and tags, it is known who is next.")
    return query


def check_span(since: datetime | None, until: datetime | None, statuses: Sequence[Status]) -> Span:
    """Return the time in which jobs ended; raises `OptionError` for moments of no zone, and for jobs that have not."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and getattr(moment, "tzinfo", None) is None:
            raise OptionError(f"{name}: {moment!r} is not a datetime with a time zone.")
    span = Span(since, until)
    if span.given and not (statuses and all(status.final for status in statuses)):
        raise OptionError("since and until: jobs have ended then; say of which statuses: completed, failed, cancelled.")
    return span


def check_where(where: dict[str, Any]) -> Where:
    """Return what is looked for; raises `OptionError` for what is no filter, or not what one takes."""
    for name, value in where.items():
        if name not in Where._fields:
            known = ", ".join(("queue", "type", "tag", *Where._fields))
            raise OptionError(f"There is no filter {name!r}; there are {known}.")
        kinds = (int, float) if name in ("attempts", "ran") else str
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise OptionError(f"{name}: {value!r} is not {'a number' if kinds is not str else 'a text'}.")
    return Where(**where)
