"""The claims in a child's hand: the one it runs, those claimed ahead, those done and not yet settled."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from .. import transitions
from ..storage.base import Claim, Settlement

#: Claims held so long behind a job that was expected to be short go back, uncounted.
PATIENCE = 0.02


class Hand:
    """Shared by the child's main thread and its steward; a claim is begun by one or given back by the other."""

    def __init__(self, settle: Callable[[list[Settlement]], None]) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._waiting: deque[Claim] = deque()
        self._done: list[Settlement] = []
        self._filled = 0.0

    def fill(self, claims: Iterable[Claim]) -> None:
        """Take claims in hand."""
        with self._lock:
            self._waiting.extend(claims)
            self._filled = time.monotonic()

    def next(self) -> Claim | None:
        """Take the next claim to run it, None where none is left."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def done(self, settlement: Settlement) -> None:
        """Lay a settlement aside until the next exchange with the storage."""
        with self._lock:
            self._done.append(settlement)

    def take_done(self) -> list[Settlement]:
        """Take all settlements that were laid aside."""
        with self._lock:
            done, self._done = self._done, []
        return done

    def give_back(self) -> None:
        """Give back what has not begun, as when the worker stops."""
        with self._lock:
            while self._waiting:
                self._done.append(transitions.given_back(self._waiting.popleft(), begun=False))

    def relieve(self) -> bool:
        """Settle and give back what waits behind a job that takes longer than expected.

        The steward's duty; tells whether something waits.
        """
        if not self._waiting and not self._done:
            return False
        if time.monotonic() - self._filled < PATIENCE:
            return True
        self.give_back()
        done = self.take_done()
        if done:
            self._settle(done)
        return bool(done)
