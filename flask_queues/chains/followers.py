"""Jobs that follow one that was pushed before anybody knew of them: `queues.push(A).then(B)`.

What follows is kept on a sheet, with the ends of the job before that were heeded, and pushed by whoever sees first that
it is due: who attaches it where that job has ended, or a keeper within about a second. Each end is noted before what
follows it is pushed, and crossed out after; the ids are fixed. So nothing is lost or pushed twice, whoever is killed.
Sixteen lists, which are not encrypted, say what there is, and are compared with each change, as those of batches are.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import JobNotFound, OptionError, StorageError
from ..record import JobRecord, Status
from ..storage import Storage
from ..storage.figures import FOLLOWERS, legible
from ..storage.values import NewJob
from ..telling import Teller
from .chains import Following
from .pages import LINKS, NOWHERE, first_of, id_of

logger = logging.getLogger("flask_queues")

SHARDS = 16
#: So often a change is tried where somebody else was quicker.
TRIES = 200
#: How many are looked at in one go.
LOOKED_AT = 100
#: Seconds between two looks where something waits, where nothing does, and at what follows a job that has failed.
SOON, SELDOM, RARELY = 0.5, 1.0, 10.0


class Waiting(NamedTuple):
    """What waits for the end of a job."""

    #: The id of that job.
    after: str
    #: One after another, as they travel in a chain.
    links: list[Any]
    #: Ends of that job after which something may come, and those of them after which it was pushed.
    due: list[str] = []  # noqa: RUF012 - nobody changes it
    fired: list[str] = []  # noqa: RUF012

    @property
    def owed(self) -> list[Status]:
        """The ends after which something may have to be pushed."""
        return [Status(end) for end in self.due if end not in self.fired]

    def ended_as(self, status: Status) -> Waiting:
        """The same where the job stands so now: each end is heeded once."""
        return self if not status.final or status.value in self.due else self._replace(due=[*self.due, status.value])

    def pushed_after(self, end: Status, before: JobRecord | None) -> NewJob | None:
        """What comes after such an end, with the others behind it, as in a chain."""
        passed, links = first_of(self.links, end)
        if not links:
            return None
        result = json.dumps(before.result) if before is not None and end is Status.COMPLETED else None
        return Following(self.after, 1 + len(self.links), self.after).next(links, 2 + passed, NOWHERE, result)


#: What becomes of what waits, None where nothing does.
Update = Callable[[Waiting | None], Waiting | None]


class Followers:
    """Those of one storage."""

    def __init__(self, storage: Callable[[], Storage], teller: Teller) -> None:
        self._storage = storage
        self._teller = teller
        self._turn = 0
        self._rarely = 0.0
        #: When it is time to look, by the monotonic clock.
        self.next_look = 0.0

    def attach(self, after: str, link: list[Any], entry: str | None) -> str:
        """Let a link come after a job; returns the name by which it is kept.

        `entry` is that of the job, where it follows another itself. Raises `JobNotFound` where the job is not there.
        """
        if entry is not None and self._append(entry, after, link):
            return entry
        if self._storage().get(after) is None:
            raise JobNotFound(
                f"There is no job {after} that another could follow: it was deleted, it waits for a commit, it follows "
                "a job that has ended otherwise, or another job follows it already."
            )
        name = id_of(link)
        self._change(name, lambda known: known or Waiting(after, [link]))
        self._look_at(name)
        self.next_look = 0.0
        return name

    def _append(self, entry: str, after: str, link: list[Any]) -> bool:
        """Let a link come after one that waits itself; False where that waits no more, or is not the last."""

        def appended(known: Waiting | None) -> Waiting | None:
            if known is None or known.due or id_of(known.links[-1]) != after:
                return known
            if len(known.links) >= LINKS:
                raise OptionError(f"Up to {LINKS} jobs follow one another so: push a chain instead.")
            return known._replace(links=[*known.links, link])

        changed = self._change(entry, appended)
        if changed is not None and changed.due:
            self._look_at(entry)  # so that the job is there to which the link is attached
        return changed is not None and link in changed.links

    def detach(self, entry: str, job_id: str) -> bool:
        """Let a link, and those behind it, not come; False where it waits no more."""

        def without(known: Waiting | None) -> Waiting | None:
            if known is None or known.due:
                return known
            ids = [id_of(link) for link in known.links]
            links = known.links[: ids.index(job_id)] if job_id in ids else known.links
            return known._replace(links=links) if links else None

        before = self._read([entry]).get(entry)
        return before is not None and before != self._change(entry, without)

    def open(self) -> int:
        """How many wait."""
        return len(self._listed())

    def tend(self) -> int:
        """Push what is due, if it is time to look; returns how many jobs."""
        if time.monotonic() < self.next_look:
            return 0
        listed = self._listed()
        self.next_look = time.monotonic() + (SOON if listed else SELDOM)
        rarely = time.monotonic() >= self._rarely
        if rarely:
            self._rarely = time.monotonic() + RARELY
        return sum(self._look_at(name) for name in self._some([n for n, slow in listed.items() if rarely or not slow]))

    def _some(self, names: list[str]) -> list[str]:
        """Those whose turn it is, of very many."""
        if len(names) <= LOOKED_AT:
            return names
        start, self._turn = self._turn % len(names), self._turn + LOOKED_AT
        return (names + names)[start : start + LOOKED_AT]

    def _look_at(self, name: str) -> int:
        """Note the end of the job before, then push what follows it."""
        found = self._read([name]).get(name)
        if found is None:
            return 0
        before = self._storage().get(found.after)
        if before is None and not found.owed:
            self._forget(name, found)
            return 0
        noted = found if before is None else found.ended_as(before.status)
        if noted != found and self._change(name, lambda known: noted if known == found else known) != noted:
            return 0
        pushed = [job for end in noted.owed if (job := noted.pushed_after(end, before)) is not None]
        if pushed:
            self._teller.pushed(pushed, self._storage().push(pushed))
        if noted.owed:
            self._change(name, lambda known: crossed_out(known, noted))
        return len(pushed)

    def _forget(self, name: str, found: Waiting) -> None:
        """Let nothing wait for a job that is gone."""
        if not found.due:
            logger.warning("Job %s was deleted before its end, so what follows it is not pushed.", found.after)
        self._change(name, lambda known: None if known == found else known)

    # Where it is kept

    def _listed(self) -> dict[str, bool]:
        texts = self._storage().sheets([f"{FOLLOWERS}{n}" for n in range(SHARDS)])
        return {name: slow for text in texts.values() for name, slow in json.loads(text)[1].items()}

    def _read(self, names: Iterable[str]) -> dict[str, Waiting]:
        texts = self._storage().sheets([sheet_of(name) for name in names])
        readable = {sheet: text for sheet, one in texts.items() if (text := legible(one)) is not None}
        return {sheet.partition(":")[2]: Waiting(*json.loads(text)) for sheet, text in readable.items()}

    def _change(self, name: str, update: Update) -> Waiting | None:
        """Change what waits, and return it as it is now."""
        listing, sheet = f"{FOLLOWERS}{zlib.crc32(name.encode()) % SHARDS}", sheet_of(name)
        for _ in range(TRIES):
            texts = self._storage().sheets([listing, sheet])
            text = legible(texts.get(sheet))
            stored = Waiting(*json.loads(text)) if text is not None else None
            changed = update(stored)
            if changed == stored:
                return changed
            number, listed = json.loads(texts.get(listing) or "[0, {}]")
            if changed is None:
                listed.pop(name, None)
            else:
                listed[name] = bool(changed.due) and not changed.owed
            now = {listing: json.dumps([number + 1, listed]), sheet: None if changed is None else json.dumps(changed)}
            if self._storage().write_sheets((listing, texts.get(listing)), now):
                return changed
        raise StorageError("Too many let jobs follow others at once. Try again.")


def crossed_out(known: Waiting | None, noted: Waiting) -> Waiting | None:
    """What is left once all that was noted is pushed: a job that failed may be retried, one that completed may not."""
    if known is None or (Status.COMPLETED.value in known.due and known.due == noted.due):
        return None
    return known._replace(fired=[end for end in known.due if end in noted.due])


def sheet_of(name: str) -> str:
    """The name of the sheet on which it is kept."""
    return f"follower:{name}"
