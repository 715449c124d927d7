"""The log: each change is one `add` of the next entry, and everybody replays them in their order.

`add` stores a value only where none is, so of two processes that write entry n one wins; the other
reads the winner's entry, applies it and tries n+1. There is no lock to be left behind and no journal
to be repaired: a process dies before its `add` or after it.

A `close` entry ends an epoch. Its writer stores a snapshot, moves the pointer to it and deletes what
lies two epochs back. A process that slept through such a deletion adds its entry to a past that
nobody reads: so the pointer is compared after each `add`, unless a gate keeps it where it is.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from ...errors import StorageError, StorageUnavailable
from . import moves
from .archive import FORMAT, POINTER, Archive, decode, encode, entry_key, tail_key
from .clock import Clock
from .port import Port
from .state import State

#: Entries after which the keeper closes an epoch, and after which anybody does.
EPOCH, OVERDUE = 2000, 6000
#: For how long (s) somebody who has the jobs in memory may store them again before they are given up.
PATIENCE = 3.0
#: How old (s) a state may be to which an entry is added unseen.
FRESH = 1.0
DROPPED = "it has dropped entries of the log"

_logs: weakref.WeakSet[Log] = weakref.WeakSet()


class Known(NamedTuple):
    """The answer to a change that changes nothing, and needs no entry."""

    answer: Any


#: Makes an entry for the state and the moment that it finds: its kind, and what that needs.
Writer = Callable[[State, int], "list[Any] | Known"]


class Log:
    """One log, replayed into one state; for any number of threads."""

    def __init__(self, port: Port, clock: Clock | None = None) -> None:
        self.port = port
        #: Set in the processes of a worker, whose keeper closes epochs.
        self.maintained = False
        self._archive = Archive(port)
        self._clock = clock or Clock()
        self._state: State | None = None
        #: Entries of other processes that were applied here, and snapshots that were read.
        self._foreign = 0
        #: When the state was known to be the latest.
        self._fresh_at = 0.0
        self._broken_at: float | None = None
        #: Number and purpose of an entry of which nobody knows whether it was stored.
        self._doubt: tuple[int, Any] | None = None
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._become_author()
        _logs.add(self)

    @property
    def busy(self) -> bool:
        """Whether the calling thread is inside a call."""
        return self._owner == threading.get_ident()

    @contextmanager
    def read(self) -> Iterator[tuple[State, int]]:
        """Give the state with everything that was stored before, and the time."""
        with self._alone():
            yield self._current(), self._clock.now()

    @contextmanager
    def change(self, writer: Writer, purpose: Any = None) -> Iterator[tuple[Any, State]]:
        """Make a change; gives its answer and the state right after it.

        The writer is called again where another process was faster. A change of the same purpose as one
        of which nobody knew whether it was stored is that one, if it was.
        """
        with self._alone():
            answer = self._commit(writer, purpose)
            yield answer, self._now()
            if not self.maintained and self._now().n > OVERDUE:
                with suppress(StorageError):  # the change is made; the next long epoch is another chance
                    self._close_epoch(OVERDUE)

    def foreign_entries(self) -> int:
        """Count what others have stored since we read for the first time; costs one look where nothing is new."""
        with self._alone():
            state = self._now()
            if not state.lineage or self.port.get(place(state)) is not None:
                self._current()
            return self._foreign

    def maintain(self) -> None:
        """Close an epoch that is long enough, or that somebody could not read."""
        with self._alone():
            state = self._current()
            if self.port.forgets and state.lineage and self._archive.asked_to_mend(state.lineage):
                self._close_epoch(0)
            elif state.n > EPOCH:
                self._close_epoch(EPOCH)

    def disconnect(self) -> None:
        """Let go of connections; the state stays."""
        with self._lock:
            self.port.disconnect()

    # Reading

    def _now(self) -> State:
        if self._state is None:
            self._state = self._load()
        return self._state

    def _current(self) -> State:
        """Apply all entries that there are."""
        while True:
            state = self._now()
            text, pointer, tail = self._look(state)
            if text is not None and self._apply(state, text) is not None:
                self._apply_more(state)
            elif self._is_latest(state, pointer, tail):
                self._fresh_at, self._broken_at = time.monotonic(), None
                return state

    def _look(self, state: State) -> list[str | None]:
        """Read the next entry, the pointer and the tail, as far as they are needed."""
        key = place(state)
        if self.port.forgets:
            return self.port.get_many([key, POINTER, tail_key(state.lineage)])
        return [self.port.get(key), None, None]

    def _apply_more(self, state: State) -> None:
        """Read on in larger and larger slices."""
        asked = 1
        while True:
            for text in self.port.get_many([place(state, n) for n in range(asked)]):
                if text is None or self._apply(state, text) is None:
                    return
            asked = min(asked * 2, self.port.slice)

    def _is_latest(self, state: State, pointer_text: str | None, tail: str | None) -> bool:
        """Whether the log ends here; if it goes on elsewhere, the state is dropped."""
        pointer = self._archive.read_pointer(pointer_text or self.port.peek(POINTER))
        lineage = pointer.lineage if pointer is not None else ""
        if lineage != state.lineage:
            if pointer is None:
                self.port.prove()
            self._state = None
            if state.shelves.jobs:
                raise self._lost("it was emptied or restarted")
            return False
        if pointer is not None and pointer.epoch >= state.epoch + 2:
            self._state = None
            return False
        if tail is not None and tuple(decode(tail)) > (state.epoch, state.n):
            if self.port.get(place(state)) is None:
                raise self._broken(state.lineage, DROPPED)
            return False
        return True

    def _apply(self, state: State, text: str) -> Known | None:
        """Let an entry happen; None if it does not follow.

        Behind a gate, that is what a power cut has left of a log that ended before it: it will be overwritten.
        """
        entry, pieces = self._archive.unpack(text)
        if entry is None or entry[1] != state.last:
            if self.port.exclusive:
                return None
            raise self._broken(state.lineage, DROPPED)
        if pieces:
            state.parts.append((state.epoch, entry[0], pieces))
        try:
            answer = Known(moves.apply(state, entry))
        except BaseException:
            self._state = None
            raise
        self._clock.hear(state.time)
        self._foreign += entry[0].partition(".")[0] != self._author
        return answer

    def _load(self) -> State:
        """Read the last snapshot, or the one before and what came after it."""
        tries = 5
        while True:
            pointer = self._archive.pointer()
            if pointer is None:
                self.port.prove()
                return State()
            state = self._archive.read(pointer) or self._archive.read(pointer.before())
            if state is not None:
                if pointer.format < FORMAT:
                    self._archive.raise_format(pointer)
                self._clock.hear(state.time)
                self._foreign += 1
                return state
            tries -= 1
            if not tries:
                raise self._broken(pointer.lineage, "it has dropped a part of the last snapshot")
            time.sleep(0.01)  # it may just be replaced by a newer one

    def _broken(self, lineage: str, why: str) -> StorageError:
        """Ask for help where the log cannot be read; begin anew where nobody has it in memory."""
        self._state = None
        self.port.prove()
        now = time.monotonic()
        if self._broken_at is None:
            self._broken_at = now
            self._archive.ask_to_mend(lineage)
        if now - self._broken_at < PATIENCE:
            return StorageUnavailable(
                f"The {self.port.describe()} cannot be read: {why}. A worker that has the jobs in memory may yet help."
            )
        self._broken_at = None
        self._archive.begin_anew()
        return self._lost(why)

    def _lost(self, why: str) -> StorageError:
        return StorageError(
            f"Jobs were lost in the {self.port.describe()}: {why}. What is pushed from now on is kept. "
            "Where jobs must not be lost, use the default storage, or Redis."
        )

    # Writing

    def _commit(self, writer: Writer, purpose: Any = None) -> Any:
        blind = not self.port.exclusive and self._doubt is None and time.monotonic() - self._fresh_at < FRESH
        self._count += 1
        while True:
            with self.port.gate():
                state = self._now() if blind else self._current()
                if not state.lineage:
                    self._archive.begin()
                    self._state = None
                    continue
                heard = self._hear_late(state, purpose)
                if heard is not None:
                    return heard.answer
                now = self._clock.now()
                entry = writer(state, now)
                if not isinstance(entry, Known):
                    done = self._add(state, now, entry, purpose)
                    if done is not None:
                        return done.answer
                elif blind:
                    blind = False
                else:
                    return entry.answer

    def _hear_late(self, state: State, purpose: Any) -> Known | None:
        """Look for an entry that nobody knew the fate of; returns its answer if it is what is wanted now."""
        if self._doubt is None:
            return None
        (count, meant), self._doubt = self._doubt, None
        stored = state.authors.get(self._author, (0, 0, None))
        return Known(stored[2]) if stored[0] == count and purpose is not None and meant == purpose else None

    def _add(self, state: State, now: int, entry: list[Any], purpose: Any) -> Known | None:
        """Add the next entry; returns its answer, or None where another process was faster."""
        name = f"{self._author}.{self._count}"
        said = self._archive.pack(name, entry)
        text = encode([name, state.last, now, *said])
        if self.port.exclusive:
            self.port.put(place(state), text)
            return self._apply(state, text)
        try:
            there = self.port.add(place(state), text)
        except StorageUnavailable:
            self._doubt = (self._count, purpose)
            raise
        if there is not None:
            self._apply(state, there)
            self._apply_more(state)
            return None
        epoch = state.epoch
        answer = self._apply(state, text)
        self._fresh_at = time.monotonic()
        self._archive.tell_tail(state)
        return answer if self._is_real(state.lineage, epoch) else self._recall()

    def _is_real(self, lineage: str, epoch: int) -> bool:
        """Whether an entry that was just added is not in a past that has been cleared."""
        pointer = self._archive.pointer()
        return pointer is not None and pointer.lineage == lineage and pointer.epoch < epoch + 2

    def _recall(self) -> Known | None:
        """Read the log anew, and in it the answer to our last entry, if it is there."""
        self._state = None
        stored = self._current().authors.get(self._author, (0, 0, None))
        return Known(stored[2]) if stored[0] == self._count else None

    def _close_epoch(self, least: int) -> None:
        if self._commit(lambda state, _: ["close"] if state.n > least else Known(False)):
            state = self._now()
            self._archive.write(state)
            self._archive.sweep(state)

    # Threads and forks

    def _become_author(self) -> None:
        self._author = secrets.token_urlsafe(6)
        self._count = 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            outer, self._owner = self._owner, threading.get_ident()
            try:
                yield
            finally:
                self._owner = outer

    def before_fork(self) -> None:
        """Let go of connections, and let no thread use the log before the fork is over."""
        self._lock.acquire()
        self.port.disconnect()

    def after_fork(self, *, child: bool) -> None:
        """Let threads use it again; a child keeps the state, and writes under a name of its own."""
        if child:
            self._become_author()
            self._doubt = None
        self._lock.release()


def place(state: State, ahead: int = 0) -> str:
    """Where the next entry is, or one after it."""
    return entry_key(state.lineage, state.epoch, state.n + ahead)


class _Held(threading.local):
    """The logs that the forking thread holds shut; another may fork at the same moment."""

    def __init__(self) -> None:
        self.logs: list[Log] = []


_held = _Held()


def _before_fork() -> None:
    for log in list(_logs):
        log.before_fork()
        _held.logs.append(log)


def _after_fork(*, child: bool) -> None:
    while _held.logs:
        _held.logs.pop().after_fork(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
