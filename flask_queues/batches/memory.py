"""What a keeper remembers of the batches, so that it reads again only what somebody has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..record import Status
from ..storage import Storage
from .book import Book, Line, Listed, joined
from .sheet import Sheet

#: Sheets that are read at once.
SLICE = 500


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of an ended batch."""

    number: int
    #: None where nobody here can read its sheet.
    ended: int | None
    queues: tuple[str, ...]
    #: None where nobody has looked yet.
    tally: Mapping[Status, int] | None = None


class Memory:
    """Which batches there are and what their sheets say, of one storage."""

    def __init__(self, storage: Callable[[], Storage], book: Book) -> None:
        self._storage = storage
        self._book = book
        self._of: Storage | None = None
        self._numbers: dict[str, str | None] = {}
        self._lists: dict[str, Listed] = {}
        #: By id, of those that are open: the number that it had when it was read, and what it said.
        self._sheets: dict[str, tuple[int, Sheet | None]] = {}
        #: Of those that have ended.
        self.past: dict[str, Past] = {}

    def look(self) -> Listed:
        """Which batches there are; reads the lists whose numbers are others than before."""
        if self._of is not (storage := self._storage()):
            self._of, self._numbers, self._lists, self._sheets, self.past = storage, {}, {}, {}, {}
        numbers = self._book.numbers()  # before the lists, so that none of these is older than its number
        changed = [name for name in numbers if name not in self._lists or numbers[name] != self._numbers[name]]
        self._lists |= self._book.lists(changed)
        self._numbers = numbers
        return joined(self._lists.values())

    def forget_lists(self) -> None:
        """Read every list again with the next look."""
        self._lists = {}

    def open(self, ids: Collection[str], listed: Listed) -> list[Sheet]:
        """The sheets of open batches; reads those that were changed."""
        known = {batch_id: one for batch_id, one in self._sheets.items() if batch_id in listed.open}
        missing = [batch_id for batch_id in ids if not is_current(known.get(batch_id), listed.open[batch_id])]
        read = self._book.read(missing) if missing else {}
        known |= {batch_id: (listed.open[batch_id].number, read.get(batch_id)) for batch_id in missing}
        self._sheets = known
        return [sheet for batch_id in ids if (sheet := known[batch_id][1]) is not None]

    def ended(self, listed: Listed) -> Iterator[dict[str, Sheet]]:
        """Bring up to date what is remembered of ended batches; gives the sheets that were read for that."""
        self.past = {batch_id: past for batch_id, past in self.past.items() if batch_id in listed.ended}
        missing = [
            batch_id
            for batch_id, line in listed.ended.items()
            if batch_id not in self.past or not self.past[batch_id].number == line.number != 0
        ]
        for ids in sliced(missing):
            read = self._book.read(ids)
            for batch_id in ids:
                sheet = read.get(batch_id)
                ended, queues = (sheet.ended, sheet.queues) if sheet is not None else (None, ())
                self.past[batch_id] = Past(listed.ended[batch_id].number, ended, queues)
            yield read


def is_current(known: tuple[int, Sheet | None] | None, line: Line) -> bool:
    """Whether what was read of a batch is what its sheet still says."""
    return known is not None and known[0] == line.number != 0


def sliced(ids: Iterable[str]) -> Iterator[list[str]]:
    """Cut what is to be read."""
    whole = list(ids)
    for start in range(0, len(whole), SLICE):
        yield whole[start : start + SLICE]
