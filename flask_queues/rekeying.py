"""Everything that is stored encrypted, encrypted with the first key: the old ones can be dropped after that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .errors import ConfigError
from .record import Status
from .storage import Storage
from .storage.sealed import Renewed, Sealed
from .storage.values import Query

#: Jobs that are looked at between two words on how far it is.
PAGE = 100
#: So often all is looked through where workers go on writing with an old key.
PASSES = 10
#: The order in which most jobs come by: one that moves on meanwhile is met again.
WAY = (Status.SCHEDULED, Status.PENDING, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Slice(NamedTuple):
    """What was done since the last word."""

    #: Of these: `jobs`, `schedules`, `sheets`.
    kind: str
    looked_at: int
    written: int
    #: Texts that no key opens; they stay as they are.
    closed: int
    #: Counts the times that all is looked through, from 1.
    round: int


def reencrypt(storage: Storage) -> Iterator[Slice]:
    """Encrypt everything with the first key, slice by slice, until nothing is left to be.

    It may be interrupted at any moment and begun again: what is done is passed over. Workers may go on. Raises
    `ConfigError` without keys, while jobs are on their way to another storage, and where others go on writing with an
    old key.
    """
    if not isinstance(storage, Sealed):
        raise ConfigError("Nothing is encrypted here: QUEUES_ENCRYPTION_KEYS is not set.")
    refuse_on_the_way(storage)
    for n in range(1, PASSES + 1):
        written = 0
        for part in look_through(storage, n):
            written += part.written
            yield part
        refuse_on_the_way(storage)  # a move that began meanwhile: what it has taken out was in no list
        if not written:
            return
    raise ConfigError(
        "Somebody goes on writing with an old key. Give every process of the application and every worker the new key "
        "in front, restart them, and run this again."
    )


def refuse_on_the_way(storage: Sealed) -> None:
    """Raise `ConfigError` while jobs are out of reach, in a load that has not arrived."""
    if storage.inner.on_the_way():
        raise ConfigError("Jobs are on their way to another storage. Run flask queues move again to its end first.")


def look_through(storage: Sealed, n: int) -> Iterator[Slice]:
    """Look at all there is once."""
    yield summed("sheets", [storage.renew_sheet(name) for name in storage.inner.sheet_names()], n)
    yield summed("schedules", [storage.renew_schedule(one) for one in storage.inner.schedules()], n)
    for status in WAY:
        after: str | None = None
        while True:
            page = storage.inner.page(Query(statuses=[status], limit=PAGE, after=after))
            yield summed("jobs", [storage.renew_job(job.id) for job in page.jobs], n)
            after = page.after
            if after is None:
                break


def summed(kind: str, done: list[Renewed], n: int) -> Slice:
    """Add up what was done."""
    return Slice(kind, len(done), sum(one.written for one in done), sum(one.closed for one in done), n)
