"""The names of the queues: the only thing that no queue's partition holds."""

from __future__ import annotations

import time
from collections.abc import Iterable

from .calls import Calls, Command
from .keys import Keys, candidates

#: Seconds for which a process takes a name for stored, on a cluster, before it stores it again: a server that
#: lost everything has lost the names too.
STORED_FOR = 10.0


class QueueNames:
    """Reads and keeps the set of names."""

    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._key = keys.root + "queues"
        self._stored: dict[str, float] = {}
        self._known: list[str] = []

    def all(self) -> list[str]:
        """Every queue that ever held a job or a schedule, by name."""
        found = self._calls.ask(Command(self._key, None, ["SMEMBERS", self._key]))
        self._known = sorted(name.decode() for name in found)
        return self._known

    def holding(self, job_id: str) -> list[str]:
        """The queues that may hold a job: for an id of ours one, read anew where none is known."""
        return candidates(job_id, self._known) or candidates(job_id, self.all())

    def holding_anew(self, job_id: str) -> list[str]:
        """The same, of the names that are stored now."""
        return candidates(job_id, self.all())

    def add(self, queues: Iterable[str], *, again: bool = False) -> None:
        """Store names before anything is stored under them."""
        now = time.monotonic()
        missing = [name for name in queues if again or self._stored.get(name, 0) < now]
        if missing:
            self._calls.ask(Command(self._key, None, ["SADD", self._key, *missing]))
            self._stored |= dict.fromkeys(missing, now + STORED_FOR)
