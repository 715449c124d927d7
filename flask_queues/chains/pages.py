"""Where the rest of a long chain is kept: in pages, each on a sheet, written before its first job and never changed.

A link carries what is left of its page, and where it goes on after that; so what it costs does not grow with the chain.
One sheet, the cover, says how many pages there are. All are deleted when for a day no job of the chain was stored that
might still go on, as one does that failed and is retried. The jobs of such a chain have a tag by which they are found.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import DamagedRecord
from ..record import Status
from ..storage import Storage
from ..storage.sheets import expect, fits, look
from ..storage.values import NewJob, Query

#: Links of a page, and about how many bytes, unless a single one has more.
LINKS, BYTES = 10, 65_536
#: Pages that are written, and read, in one go.
AT_ONCE = 16
#: Milliseconds for which the pages stay where nothing needs them, as while a push waits for its commit.
SPARED = 86_400_000
#: Seconds between two looks at which are needed, and before the first.
RARELY, SOON = 3_600.0, 60.0
#: What the names of the sheets begin with.
PREFIX = "chain:"

#: After which end of the link before it a link runs.
ENDS = {
    "success": frozenset({Status.COMPLETED}),
    "failure": frozenset({Status.FAILED}),
    "end": frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
}
#: All ends, in the order in which what comes after each is written.
ALL = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
#: Where a chain goes on after a page, for each end: the number of that page and the id of the link, if it does.
Beyond = Sequence[Sequence[Any] | None]
NOWHERE: Beyond = (None, None, None)


class Page(NamedTuple):
    """Some links of a chain, one after another."""

    #: Which link of the chain the first one is, from 1.
    first: int
    #: As they travel.
    links: list[Any]
    beyond: Beyond

    @classmethod
    def load(cls, text: str) -> Page:
        """Read a sheet; raises whatever is wrong with it."""
        expect(said := json.loads(text), (int, [list], list))
        page = cls(*said)
        for on, result_as, job in page.links:
            if on not in ENDS or not isinstance(result_as, str | None) or not is_job(job):
                raise DamagedRecord(f"One of its links is none: {str([on, result_as, job])[:80]}.")
        expect(page.beyond, (is_next, is_next, is_next))
        return page


def is_job(said: Any) -> bool:
    """Whether it is a job as `NewJob.said` writes one; each link is read so once more, so this is quick."""
    job = NewJob(**said)
    texts = (job.id, job.queue, job.type, job.payload)
    return all(isinstance(text, str) for text in texts) and (not (job.limits or job.gather) or bool(NewJob.read(said)))


def is_next(value: Any) -> bool:
    """Whether it is where a chain may go on: nowhere, or at the link of an id on a page of a number."""
    return value is None or fits(value, (int, str))


def first_of(links: list[Any], status: Status) -> tuple[int, list[Any]]:
    """Drop the links that do not run after such an end; tells how many, too."""
    for n, link in enumerate(links):
        if status in ENDS[link[0]]:
            return n, links[n:]
    return len(links), []


def id_of(link: list[Any]) -> str:
    """The id of a link as it travels."""
    found: str = link[2]["id"]
    return found


def followers(links: list[Any], beyond: Beyond) -> list[str | None]:
    """The ids of what would come next after each end: one of these links, or of a page after them."""
    return [
        id_of(here[0]) if (here := first_of(links, end)[1]) else there[1] if there is not None else None
        for end, there in zip(ALL, beyond, strict=True)
    ]


def paged(links: Sequence[list[Any]]) -> list[Page]:
    """Cut a chain, as it travels, into pages; a short one is a single page."""
    parts = list(parts_of(links))
    pages: list[Page] = []
    first, beyond = len(links) + 1, NOWHERE
    for n, part in reversed(list(enumerate(parts))):
        first -= len(part)
        pages.append(Page(first, part, beyond))
        beyond = [
            [n, id_of(here[0])] if (here := first_of(part, end)[1]) else there
            for end, there in zip(ALL, beyond, strict=True)
        ]
    return pages[::-1]


def parts_of(links: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    """Part links so that neither their number nor their size is too large."""
    part: list[list[Any]] = []
    size = 0
    for link in links:
        length = len(json.dumps(link, ensure_ascii=False).encode())
        if part and (len(part) == LINKS or size + length > BYTES):
            yield part
            part, size = [], 0
        part.append(link)
        size += length
    if part:
        yield part


class Cover(NamedTuple):
    """What is kept of a chain itself."""

    #: The number of the last page; the first is 1, since page 0 travels with the first job.
    pages: int
    #: Since when nothing seems to need them, by the storage's clock.
    idle: int | None

    @classmethod
    def load(cls, text: str) -> Cover:
        """Read a sheet; raises whatever is wrong with it."""
        expect(said := json.loads(text), (int, int | None))
        return cls(*said)


class ChainPages:
    """The pages of one storage."""

    def __init__(self, storage: Callable[[], Storage]) -> None:
        self._storage = storage
        self._next_look = time.monotonic() + SOON

    def put(self, chain_id: str, pages: Sequence[Page]) -> None:
        """Keep the pages of a chain whose first job is not stored yet; page 0 travels with that."""
        texts = {page_name(chain_id, n): json.dumps(page, ensure_ascii=False) for n, page in enumerate(pages) if n}
        write(self._storage(), chain_id, Cover(len(texts), self._storage().now()), texts)

    def read(self, chain_id: str, n: int) -> Page | None:
        """Read a page; None where it is gone or damaged, or encrypted with a key that nobody here has."""
        name = page_name(chain_id, n)
        return look(name, self._storage().sheets([name]).get(name), Page.load).value

    def tend_if_due(self) -> None:
        """Delete the pages of chains that are over, if it is time to look."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + RARELY
            self.tend()

    def tend(self) -> int:
        """Delete the pages that nothing has needed for a day; returns of how many chains."""
        return sum(self._look_at(name) for name in self._storage().sheet_names() if is_cover(name))

    def _look_at(self, name: str) -> bool:
        storage = self._storage()
        chain_id, seen = name.removeprefix(PREFIX), storage.sheets([name]).get(name)
        cover, now = look(name, seen, Cover.load).value, storage.now()
        if cover is None:
            return False
        idle = None if self._is_needed(chain_id) else cover.idle or now
        if idle is not None and now - idle >= SPARED:
            return storage.write_sheets((name, seen), dict.fromkeys(names_of(chain_id, cover.pages)))
        if idle != cover.idle:
            storage.write_sheets((name, seen), {name: json.dumps(cover._replace(idle=idle))})
        return False

    def _is_needed(self, chain_id: str) -> bool:
        """Whether a job of the chain is there that has not completed: what was cancelled may be retried, too."""
        left = [status for status in Status if status is not Status.COMPLETED]
        query = Query(tag=tag_of(chain_id), statuses=left, limit=1)
        while True:
            page = self._storage().page(query)
            if page.jobs or page.after is None:
                return bool(page.jobs)
            query = query._replace(after=page.after)


def chain_beyond(options: str | None) -> str | None:
    """The id of the chain that goes on from a job of these options after what travels with it; None where none does."""
    if options is None or '"beyond"' not in options:
        return None
    found: str | None = json.loads(options)["chain"][0]
    return found


def copy_pages(source: Storage, target: Storage, chain_id: str) -> None:
    """Keep the pages of a chain in another storage, too; those that are there already stay: they are the same."""
    name = cover_name(chain_id)
    cover = look(name, source.sheets([name]).get(name), Cover.load).value
    if cover is None:
        return
    cover = cover._replace(idle=target.now())
    names = names_of(chain_id, cover.pages)[1:]
    found: dict[str, str] = {}
    for start in range(0, len(names), AT_ONCE):
        found |= source.sheets(names[start : start + AT_ONCE])
    write(target, chain_id, cover, {name: found[name] for name in names if name in found})


def write(storage: Storage, chain_id: str, cover: Cover, texts: Mapping[str, str]) -> None:
    """Write the cover, by which all are found again, then pages; who died in between has written the same."""
    name = cover_name(chain_id)
    storage.write_sheets((name, None), {name: json.dumps(cover)})
    items = list(texts.items())
    for start in range(0, len(items), AT_ONCE):
        part = dict(items[start : start + AT_ONCE])
        storage.write_sheets((next(iter(part)), None), part)


def cover_name(chain_id: str) -> str:
    """The name of the sheet that says how many pages there are."""
    return f"{PREFIX}{chain_id}"


def page_name(chain_id: str, n: int) -> str:
    """The name of a page's sheet."""
    return f"{PREFIX}{chain_id}:{n}"


def names_of(chain_id: str, pages: int) -> list[str]:
    """The names of all sheets of a chain, its cover's first."""
    return [cover_name(chain_id), *(page_name(chain_id, n) for n in range(1, pages + 1))]


def is_cover(name: str) -> bool:
    """Whether a sheet is a cover."""
    return name.startswith(PREFIX) and ":" not in name.removeprefix(PREFIX)


def tag_of(chain_id: str) -> str:
    """The tag of all jobs of a chain that has pages."""
    return f"{PREFIX}{chain_id}"
