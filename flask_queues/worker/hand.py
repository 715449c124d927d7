"""The claims in a child's hand: what it runs, what waits or is on its way, what is done and not yet settled."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from ..chains import given_back
from ..storage.values import Claim, Settlement

#: Claims held so long behind a job that was expected to be short go back, uncounted.
PATIENCE = 0.02


class Hand:
    """Shared by the child's main thread and its steward; a claim is begun by one or given back by the other."""

    def __init__(self, settle: Callable[[list[Settlement]], None]) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._collecting = threading.Lock()
        self._fetch: Callable[[], list[Claim]] | None = None
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

    def take_like(self, claim: Claim) -> list[Claim]:
        """Take out those that wait and are of the same queue and type."""
        with self._lock:
            alike = [one for one in self._waiting if (one.queue, one.type) == (claim.queue, claim.type)]
            if alike:
                self._waiting = deque(one for one in self._waiting if one not in alike)
        return alike

    @property
    def waiting(self) -> int:
        """How many claims wait in it."""
        return len(self._waiting)

    @property
    def expecting(self) -> bool:
        """Whether claims are on their way."""
        return self._fetch is not None

    @property
    def free(self) -> bool:
        """Whether nothing waits in it, and nothing is on its way."""
        return not self._waiting and self._fetch is None

    def expect(self, fetch: Callable[[], list[Claim]]) -> None:
        """Take note of claims on their way; `fetch` waits for them."""
        self._fetch = fetch
        self._filled = time.monotonic()

    def collect(self) -> None:
        """Take the claims in hand that were on their way, if any were."""
        with self._collecting:
            fetch, self._fetch = self._fetch, None
            if fetch is not None:
                self.fill(fetch())

    def done(self, *settled: Settlement) -> None:
        """Lay settlements aside until the next exchange with the storage."""
        with self._lock:
            self._done += settled

    def take_done(self) -> list[Settlement]:
        """Take all settlements that were laid aside."""
        with self._lock:
            done, self._done = self._done, []
        return done

    def give_back(self) -> None:
        """Give back what has not begun, as when the worker stops."""
        with self._lock:
            while self._waiting:
                self._done.append(given_back(self._waiting.popleft(), begun=False))

    def relieve(self) -> bool:
        """Settle and give back what waits behind a job that takes longer than expected.

        The steward's duty; tells whether something waits.
        """
        if self.free and not self._done:
            return False
        if time.monotonic() - self._filled < PATIENCE:
            return True
        self.collect()
        self.give_back()
        done = self.take_done()
        if done:
            self._settle(done)
        return bool(done)
