"""Where batches are kept: a sheet each, and on sixteen others which there are.

Each change of a batch is compared with the sheet that lists it, which has a number for that, so that of two who
change batches at once neither overwrites the other. Beside each list stands its number alone, so that whoever looks
often need not read the list; and in it, for each batch, the number that it had when that was changed last, so that
its sheet is not read again either. Numbers follow the clock: a server that has forgotten its last writes does not give
one of them twice. The lists are not encrypted, so that a process with another key
than the others, which can read none of their batches, does not take the lists for empty. A damaged list is made anew
of the batches' own sheets.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import BatchNotFound, StorageError
from ..storage import Storage
from ..storage.figures import LISTS
from ..storage.sheets import expect, look
from .sheet import Sheet, refuse_newer

SHARDS = 16
#: What the names of their own sheets begin with.
BATCH = "batch:"
#: Of the lists. Those without one are from before there was one.
FORMAT = 2
#: Ended batches that each of the sixteen lists; the oldest are forgotten first.
ENDED = 500
#: So often a change is tried where somebody else was quicker.
TRIES = 200


class Line(NamedTuple):
    """What a list says of a batch."""

    #: When it was made.
    created: int
    #: The number of the list when it was changed last; 0 where nobody has noted that.
    number: int = 0


@dataclass
class Listed:
    """A sheet that lists batches."""

    #: Rises with each change.
    number: int = 0
    #: By id: those that are not over, and the others, the last ended last.
    open: dict[str, Line] = field(default_factory=dict)
    ended: dict[str, Line] = field(default_factory=dict)

    def dump(self) -> str:
        """Write it as JSON text."""
        return json.dumps([self.number, self.open, self.ended, FORMAT], separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Listed:
        """Read what `dump` has written; raises `StorageFormatError` where a newer version has written it.

        Raises whatever is wrong with it, where it is damaged.
        """
        number, opened, ended, *format_ = json.loads(text)
        if format_:
            refuse_newer("The list of batches", format_[0], FORMAT)
        expect([number, opened, ended], (int, dict, dict))
        return cls(number, lines_of(opened), lines_of(ended))

    def renumber(self) -> None:
        """Give it another number than it ever had: microseconds, within which nobody makes two changes."""
        self.number = max(self.number + 1, time.time_ns() // 1_000)

    def put(self, batch: Sheet) -> None:
        """List a batch where it belongs."""
        self.forget(batch.id)
        (self.open if batch.open else self.ended)[batch.id] = Line(batch.created, self.number)

    def forget(self, batch_id: str) -> None:
        """List a batch no more."""
        self.open.pop(batch_id, None)
        self.ended.pop(batch_id, None)


class Book:
    """Reads and changes the batches of one storage."""

    def __init__(self, storage: Callable[[], Storage]) -> None:
        self._storage = storage

    def all(self) -> Listed:
        """Which batches there are."""
        return joined(self.lists(shards()).values())

    def lists(self, names: Collection[str]) -> dict[str, Listed]:
        """Read lists by name."""
        texts = self._storage().sheets(names) if names else {}
        return {name: self._list(name, texts.get(name))[0] for name in names}

    def numbers(self) -> dict[str, str | None]:
        """By name, the number of each list: another one after each change of one of its batches."""
        names = shards()
        texts = self._storage().sheets([number_of(name) for name in names])
        return {name: texts.get(number_of(name)) for name in names}

    def read(self, ids: Iterable[str]) -> dict[str, Sheet]:
        """Read batches; those that are not there are left out."""
        texts = self._storage().sheets([sheet_of(batch_id) for batch_id in ids])
        found = [sheet_in(name, text) for name, text in texts.items()]
        return {batch.id: batch for batch in found if batch is not None}

    def create(self, batch: Sheet) -> None:
        """Keep a new batch."""
        self._change(batch.id, lambda _: batch)

    def change(self, batch_id: str, update: Callable[[Sheet], Sheet]) -> Sheet:
        """Change a batch, and return what it is now; raises `BatchNotFound`, and what `update` raises."""

        def change(stored: Sheet | None) -> Sheet:
            if stored is None:
                raise not_found(batch_id)
            return update(stored)

        changed = self._change(batch_id, change)
        assert changed is not None
        return changed

    def forget(self, batch_id: str, *, open_too: bool = False) -> bool:
        """Delete a batch that has ended, also one whose sheet nobody here can read; False where it is not listed."""
        listing, sheet = shard_of(batch_id), sheet_of(batch_id)
        for _ in range(TRIES):
            text = self._storage().sheets([listing]).get(listing)
            listed, aside = self._list(listing, text)
            if batch_id not in listed.ended and not (open_too and batch_id in listed.open):
                return False
            listed.renumber()
            listed.forget(batch_id)
            texts = {listing: listed.dump(), number_of(listing): str(listed.number), sheet: None, **aside}
            if self._storage().write_sheets((listing, text), texts):
                return True
        raise too_many(batch_id)

    def mend(self) -> None:
        """Write lists anew that cannot be read; what they said is kept aside."""
        names = shards()
        texts = self._storage().sheets(names)
        for name in names:
            listed, aside = self._list(name, texts.get(name))
            if aside:
                texts_now = {name: listed.dump(), number_of(name): str(listed.number), **aside}
                self._storage().write_sheets((name, texts[name]), texts_now)

    def _list(self, name: str, text: str | None) -> tuple[Listed, Mapping[str, str]]:
        """Read a list, or make it anew where it is damaged; what of it is to be kept aside when it is written."""
        found = look(name, text, Listed.load)
        return (self._rebuilt(name) if found.damage else found.value or Listed()), found.aside

    def _rebuilt(self, listing: str) -> Listed:
        """Make a list of the sheets of its batches; one that cannot be read counts as not over, and is told so."""
        names = (name for name in self._storage().sheet_names() if name.startswith(BATCH))
        ids = [batch_id for name in names if shard_of(batch_id := name.removeprefix(BATCH)) == listing]
        read, listed = self.read(ids), Listed()
        listed.renumber()
        listed.open = {batch_id: Line(0, listed.number) for batch_id in ids if batch_id not in read}
        for batch in sorted(read.values(), key=lambda one: (one.ended or 0, one.created)):
            listed.put(batch)
        return listed

    def _change(self, batch_id: str, update: Callable[[Sheet | None], Sheet | None]) -> Sheet | None:
        listing, sheet = shard_of(batch_id), sheet_of(batch_id)
        for _ in range(TRIES):
            texts = self._storage().sheets([listing, sheet])  # in this order: an old sheet never meets a new list
            stored = sheet_in(sheet, texts.get(sheet))
            changed = update(stored)
            if changed == stored:
                return changed
            listed, aside = self._list(listing, texts.get(listing))
            listed.renumber()
            listed.forget(batch_id) if changed is None else listed.put(changed)
            texts_now = {
                listing: listed.dump(),
                number_of(listing): str(listed.number),
                sheet: None if changed is None else changed.dump(),
                **aside,
            }
            if self._storage().write_sheets((listing, texts.get(listing)), texts_now):
                return changed
        raise too_many(batch_id)


def sheet_in(name: str, text: str | None) -> Sheet | None:
    """Read a batch; None where it is not there, or cannot be read: no key here opens it, or it is damaged."""
    return look(name, text, Sheet.load).value


def joined(lists: Iterable[Listed]) -> Listed:
    """All batches of several lists."""
    whole = Listed()
    for one in lists:
        whole.open |= one.open
        whole.ended |= one.ended
    return whole


def lines_of(said: Mapping[str, Any]) -> dict[str, Line]:
    """Read a part of a list, also one in which only the moments stand."""
    lines = {batch_id: Line(*one) if isinstance(one, list) else Line(one) for batch_id, one in said.items()}
    expect([number for line in lines.values() for number in line], [int])
    return lines


def number_of(listing: str) -> str:
    """The name of the sheet that has only the number of a list."""
    return f"{listing}:number"


def shards() -> list[str]:
    """The names of all lists."""
    return [shard(n) for n in range(SHARDS)]


def shard(n: int) -> str:
    """The name of a sheet that lists batches."""
    return f"{LISTS}{n}"


def shard_of(batch_id: str) -> str:
    """The name of the sheet that lists a batch."""
    return shard(zlib.crc32(batch_id.encode()) % SHARDS)


def sheet_of(batch_id: str) -> str:
    """The name of a batch's own sheet."""
    return f"{BATCH}{batch_id}"


def too_many(batch_id: str) -> StorageError:
    """Say that others were always quicker."""
    return StorageError(f"The batch {batch_id} could not be changed: too many change batches at once. Try again.")


def not_found(batch_id: str) -> BatchNotFound:
    """Say that there is no such batch, and why that may be."""
    return BatchNotFound(
        f"There is no batch {batch_id[:64]}. Ended batches are forgotten after their retention; one that waits for a "
        "commit is there after it."
    )
