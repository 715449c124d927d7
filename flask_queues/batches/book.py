"""Where batches are kept: a sheet each, and on sixteen others which there are.

Each change of a batch is compared with the sheet that lists it, which has a number for that, so that of two who
change batches at once neither overwrites the other. The lists are not encrypted, so that a process with another key
than the others, which can read none of their batches, does not take the lists for empty.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from ..errors import BatchNotFound, StorageError
from ..storage import Storage
from ..storage.figures import LISTS, legible
from .record import Sheet

SHARDS = 16
#: Ended batches that each of the sixteen lists; the oldest are forgotten first.
ENDED = 500
#: So often a change is tried where somebody else was quicker.
TRIES = 200


@dataclass
class Listed:
    """A sheet that lists batches."""

    #: Rises with each change.
    number: int = 0
    #: By id, when each was made: those that are not over, and the others, the last ended last.
    open: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)

    def dump(self) -> str:
        """Write it as JSON text."""
        return json.dumps([self.number, self.open, self.ended], separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> Listed:
        """Read what `dump` has written, or begin."""
        return cls(*json.loads(text)) if (text := legible(text)) is not None else cls()

    def put(self, batch: Sheet) -> None:
        """List a batch where it belongs."""
        self.forget(batch.id)
        (self.open if batch.open else self.ended)[batch.id] = batch.created

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
        texts = self._storage().sheets([shard(n) for n in range(SHARDS)])
        whole = Listed()
        for text in texts.values():
            one = Listed.load(text)
            whole.open |= one.open
            whole.ended |= one.ended
        return whole

    def read(self, ids: Iterable[str]) -> dict[str, Sheet]:
        """Read batches; those that are not there are left out."""
        texts = self._storage().sheets([sheet_of(batch_id) for batch_id in ids])
        found = (Sheet.load(text) for one in texts.values() if (text := legible(one)) is not None)
        return {batch.id: batch for batch in found}

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

    def forget(self, batch_ids: Collection[str]) -> None:
        """Delete batches."""
        for batch_id in batch_ids:
            self._change(batch_id, lambda _: None)

    def _change(self, batch_id: str, update: Callable[[Sheet | None], Sheet | None]) -> Sheet | None:
        listing, sheet = shard_of(batch_id), sheet_of(batch_id)
        for _ in range(TRIES):
            texts = self._storage().sheets([listing, sheet])  # in this order: an old sheet never meets a new list
            text = legible(texts.get(sheet))
            stored = Sheet.load(text) if text is not None else None
            changed = update(stored)
            if changed == stored:
                return changed
            listed = Listed.load(texts.get(listing))
            listed.number += 1
            listed.forget(batch_id) if changed is None else listed.put(changed)
            texts_now = {listing: listed.dump(), sheet: None if changed is None else changed.dump()}
            if self._storage().write_sheets((listing, texts.get(listing)), texts_now):
                return changed
        raise StorageError(f"The batch {batch_id} could not be changed: too many change batches at once. Try again.")


def shard(n: int) -> str:
    """The name of a sheet that lists batches."""
    return f"{LISTS}{n}"


def shard_of(batch_id: str) -> str:
    """The name of the sheet that lists a batch."""
    return shard(zlib.crc32(batch_id.encode()) % SHARDS)


def sheet_of(batch_id: str) -> str:
    """The name of a batch's own sheet."""
    return f"batch:{batch_id}"


def not_found(batch_id: str) -> BatchNotFound:
    """Say that there is no such batch, and why that may be."""
    return BatchNotFound(f"There is no batch {batch_id[:64]}. Ended batches are forgotten after their retention.")
