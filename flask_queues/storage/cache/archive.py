"""What lies in the backend: the pointer, the entries of the log, long entries' pieces, snapshots.

    queues-epoch                            the format, which log this is, and its last epoch with a snapshot
    queues-log:<lineage>:<epoch>:<n>        one entry
    queues-part:<name>:<n>                  a piece of an entry that is too long for one value
    queues-snap:<lineage>:<epoch>:<n>       a piece of the state that an epoch begins with
    queues-swept:<lineage>                  the first epoch that is not deleted yet

And where entries may vanish:

    queues-tail:<lineage>                   how far the log has come, about
    queues-broken                           which log somebody could not read, so that a keeper stores it again
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import msgspec

from ...errors import StorageFormatError, StorageFull
from .port import Port
from .state import State

#: Of everything that is stored, and of what each kind of entry does.
FORMAT = 8
POINTER = "queues-epoch"
BROKEN = "queues-broken"
#: Characters of one piece of a snapshot where the backend takes values of any length.
PIECE = 1_000_000
#: The tail is told with every so-many-th entry.
TAIL = 16


class Pointer(NamedTuple):
    """Where a newcomer begins."""

    format: int
    lineage: str
    epoch: int

    def before(self) -> Pointer:
        """Where it began until then: what was there is deleted one epoch later."""
        return self._replace(epoch=max(0, self.epoch - 1))


class Archive:
    """Reads and writes it."""

    def __init__(self, port: Port) -> None:
        self._port = port

    # The pointer

    def pointer(self) -> Pointer | None:
        """Read the pointer; raises `StorageFormatError` where a newer version wrote it."""
        return self.read_pointer(self._port.peek(POINTER))

    def read_pointer(self, text: str | None) -> Pointer | None:
        """Read the pointer's text."""
        if text is None:
            return None
        pointer = Pointer(*decode(text)[:3])
        if pointer.format > FORMAT:
            raise StorageFormatError(
                f"The jobs in the {self._port.describe()} have format {pointer.format}; this version of Flask-Queues "
                f"reads up to {FORMAT}. Install the newer version that wrote them."
            )
        return pointer

    def begin(self) -> None:
        """Make a first log, unless another process does."""
        self._port.add(POINTER, encode([FORMAT, new_lineage(), 0]))

    def begin_anew(self) -> None:
        """Leave a log that cannot be read any more."""
        self._port.put(POINTER, encode([FORMAT, new_lineage(), 0]))

    def raise_format(self, old: Pointer) -> None:
        """Say that entries of this version's format follow, which older code reads no more."""
        with self._port.gate():
            pointer = self.pointer()
            if pointer is not None and pointer.lineage == old.lineage and pointer.format < FORMAT:
                self._port.put(POINTER, encode([FORMAT, pointer.lineage, pointer.epoch]))

    # Entries

    def pack(self, name: str, entry: list[Any]) -> list[Any]:
        """Store an entry in pieces if it is too long; returns what to say for it in the log."""
        text = encode(entry)
        limit = self._port.limit
        if limit is None or len(text) < limit:
            return entry
        pieces = cut(text, limit)
        for n, piece in enumerate(pieces):
            self._port.put(part_key(name, n), piece)
        return ["parts", len(pieces)]

    def unpack(self, text: str) -> tuple[list[Any] | None, int]:
        """Read an entry, and in how many pieces it lies; None if one is missing."""
        entry: list[Any] = decode(text)
        if entry[3] != "parts":
            return entry, 0
        count: int = entry[4]
        pieces = self._port.get_many([part_key(entry[0], n) for n in range(count)])
        if None in pieces:
            return None, count
        return [*entry[:3], *decode("".join(filter(None, pieces)))], count

    def tell_tail(self, state: State) -> None:
        """Leave word now and then how far the log has come, so that a gap in it is noticed."""
        if self._port.forgets and state.n % TAIL == 0:
            self._port.put(tail_key(state.lineage), encode([state.epoch, state.n]))

    # Snapshots

    def read(self, pointer: Pointer) -> State | None:
        """Read the snapshot that the pointer names; None if a piece is missing."""
        if pointer.epoch == 0:
            state = State()
            state.lineage = pointer.lineage
            return state
        first = self._port.get(snap_key(pointer.lineage, pointer.epoch, 0))
        if first is None:
            return None
        count, _, start = first.partition("\n")
        rest = [snap_key(pointer.lineage, pointer.epoch, n) for n in range(1, int(count))]
        pieces = [start, *self._port.get_many(rest)]
        if None in pieces:
            return None
        return State.load(decode("".join(filter(None, pieces))))

    def write(self, state: State) -> None:
        """Store a snapshot, and let newcomers begin with it."""
        pieces = cut(encode(state.dump()), self._port.limit or PIECE)
        pieces[0] = f"{len(pieces)}\n{pieces[0]}"
        keys = [snap_key(state.lineage, state.epoch, n) for n in range(len(pieces))]
        for key, piece in zip(keys, pieces, strict=True):
            self._port.put(key, piece)
        if self._port.forgets and self._port.get_many(keys) != pieces:
            raise StorageFull(f"The {self._port.describe()} does not keep a snapshot of the jobs. Give it more memory.")
        with self._port.gate():
            pointer = self.pointer()
            if pointer is not None and pointer.lineage == state.lineage and pointer.epoch < state.epoch:
                self._port.put(POINTER, encode([FORMAT, state.lineage, state.epoch]))

    def sweep(self, state: State) -> None:
        """Delete what lies two epochs back: a process that is one epoch behind still reads the last one."""
        pointer = self.pointer()
        if pointer is None or pointer.lineage != state.lineage:
            return
        swept = swept_key(state.lineage)
        begin, end = int(self._port.get(swept) or 0), pointer.epoch - 1
        for epoch in range(begin, end):
            self._delete_epoch(state, epoch)
        if begin < end:
            self._port.put(swept, str(end))

    def _delete_epoch(self, state: State, epoch: int) -> None:
        for n in range(state.lengths.get(str(epoch), 0)):
            self._port.delete(entry_key(state.lineage, epoch, n))
        for written, name, count in state.parts:
            if written == epoch:
                for n in range(count):
                    self._port.delete(part_key(name, n))
        first = self._port.get(snap_key(state.lineage, epoch, 0))
        if first is not None:
            for n in range(int(first.partition("\n")[0])):
                self._port.delete(snap_key(state.lineage, epoch, n))

    # Asking a keeper for help

    def ask_to_mend(self, lineage: str) -> None:
        """Ask whoever still has this log's state in memory to store it again."""
        self._port.put(BROKEN, lineage)

    def asked_to_mend(self, lineage: str) -> bool:
        """Whether somebody asked; the question is then taken back."""
        asked = self._port.get(BROKEN) == lineage
        if asked:
            self._port.delete(BROKEN)
        return asked


def new_lineage() -> str:
    """Name a log, so that nothing of another is taken for its own."""
    return secrets.token_hex(4)


def entry_key(lineage: str, epoch: int, n: int) -> str:
    """Where an entry is."""
    return f"queues-log:{lineage}:{epoch}:{n}"


def part_key(name: str, n: int) -> str:
    """Where a piece of an entry is."""
    return f"queues-part:{name}:{n}"


def snap_key(lineage: str, epoch: int, n: int) -> str:
    """Where a piece of a snapshot is."""
    return f"queues-snap:{lineage}:{epoch}:{n}"


def tail_key(lineage: str) -> str:
    """Where it is told how far the log has come."""
    return f"queues-tail:{lineage}"


def swept_key(lineage: str) -> str:
    """Where it is told how far the log has been deleted."""
    return f"queues-swept:{lineage}"


def cut(text: str, length: int) -> list[str]:
    """Cut a text into pieces of so many characters at most."""
    return [text[start : start + length] for start in range(0, len(text), length)]


def encode(value: Any) -> str:
    """Write JSON; raises `UnicodeEncodeError` for half of a surrogate pair."""
    return msgspec.json.encode(value).decode()


def decode(text: str) -> Any:
    """Read JSON."""
    return msgspec.json.decode(text)
