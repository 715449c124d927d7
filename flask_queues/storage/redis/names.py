"""The names of the queues: the only thing that no queue's partition holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .calls import Calls, Command
from .keys import Keys, candidates
from .scripts import WHICH

#: Seconds for which a process takes a name for stored, on a cluster, before it stores it again: a server that
#: lost everything has lost the names too.
STORED_FOR = 10.0
#: So few names are taken as they are: to ask which of them hold something would cost more than it saves.
FEW = 8
#: Where more were stored, as with a queue for each customer, those that would be stored anew are forgotten.
MANY = 1000


class QueueNames:
    """Reads and keeps the set of names."""

    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self._key = keys.root + "queues"
        self._stored: dict[str, float] = {}
        self._known: list[str] = []

    def all(self) -> list[str]:
        """Every queue that holds a job or a schedule, or did so lately, by name."""
        return self._learn(self._calls.ask(self._members()))

    def ask_all(self, command: Callable[[str], Command]) -> list[tuple[str, Any]]:
        """Ask every queue something that may be repeated; returns each name with its answer, by name.

        Those that were there the last time are asked together with the names; only where others are there by
        now are they asked again.
        """
        known = self._known
        found, *answers = self._calls.ask_all([self._members(), *map(command, known)])
        if (names := self._learn(found)) != known:
            answers = self._calls.ask_all([command(queue) for queue in names])
        return list(zip(names, answers, strict=True))

    def _members(self) -> Command:
        return Command(self._key, None, ["SMEMBERS", self._key])

    def _learn(self, found: Iterable[bytes]) -> list[str]:
        self._known = names = sorted(name.decode() for name in found)
        return names

    def with_any(self, *structures: str, age: int = 0) -> list[str]:
        """The queues that may have something in one of these structures, by name.

        With an age in ms, the structures are lists, and something may have been in one for so long.
        """
        if self._calls.servers.near:
            arguments = [self._keys.root, age or "", *structures]
            found = sorted(name.decode() for name in self._calls.ask(Command(self._key, WHICH, arguments)))
            self._known = sorted({*self._known, *found})
            return found
        names = self.all()
        return names if len(names) <= FEW else self._filled(names, structures)

    def filled(self, *structures: str) -> list[str]:
        """The queues that have something in one of these structures, by name."""
        return self.with_any(*structures) if self._calls.servers.near else self._filled(self.all(), structures)

    def _filled(self, names: Sequence[str], structures: Sequence[str]) -> list[str]:
        partitions = [self._keys.partition(name) for name in names]
        commands = [Command(p, None, ["EXISTS", *(p + structure for structure in structures)]) for p in partitions]
        return [name for name, size in zip(names, self._calls.ask_all(commands), strict=True) if size]

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
            if len(self._stored) > MANY:
                self._stored = {name: until for name, until in self._stored.items() if until >= now}
            self._stored |= dict.fromkeys(missing, now + STORED_FOR)

    @contextmanager
    def surely(self, queue: str) -> Iterator[None]:
        """Let a name be stored while something is put into its queue, and once more behind it.

        Another process may have found the queue empty just before, and forget its name just after.
        """
        self.add([queue])
        yield
        self.add([queue], again=True)

    def remove(self, queues: Sequence[str]) -> None:
        """Take names off the list."""
        for name in queues:
            self._stored.pop(name, None)
        self._calls.ask(Command(self._key, None, ["SREM", self._key, *queues]))
