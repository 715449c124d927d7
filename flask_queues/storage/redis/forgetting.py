"""How a queue is forgotten that holds nothing any more, so that a name used once costs nothing for ever.

On one server this is one step, and the next push stores the name again. On a cluster the names are on
another node than the queue: a name is noted as forgotten before it goes, and looked at once more when
whoever may have pushed meanwhile, trusting that it is stored, has done so or has died.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from .calls import Calls, Command
from .keys import STRUCTURES, Keys, structures
from .names import QueueNames
from .roster import time_of
from .scripts import FORGET

#: Seconds between two looks for queues to forget.
EVERY = 10.0
#: Queues that one script looks at, which keeps the server for that time from all else.
SLICE = 200
#: Milliseconds after which nobody pushes who took the name for stored: longer than a process believes it is, and
#: than a push is tried.
SETTLED_AFTER = 60_000
#: Any of these makes a queue worth keeping.
WORTH_KEEPING = tuple(name for name in STRUCTURES if name not in ("meta", "counts"))


class Forgetting:
    """Takes empty queues off the list of names."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._forgotten = keys.root + "forgotten"
        self._next = 0.0

    def work_if_due(self) -> None:
        """Look for empty queues, unless this process has done so a moment ago."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        names = self._names.all()
        if self._calls.servers.near:
            for start in range(0, len(names), SLICE):
                self._calls.ask(self._command(names[start : start + SLICE]))
            return
        self._look_again()
        filled = set(self._names.filled(*WORTH_KEEPING))
        empty = [name for name in names if name not in filled][:SLICE]
        if empty:
            self._forget_apart(empty)

    def _command(self, queues: Sequence[str]) -> Command:
        near = self._calls.servers.near
        arguments: list[Any] = [self._keys.root, "1" if near else "", len(WORTH_KEEPING), *WORTH_KEEPING]
        for queue in queues:
            arguments += [self._keys.partition(queue), queue]
        partition = self._keys.partition(queues[0])
        return Command(partition, FORGET, arguments, [] if near else structures(partition))

    def _forget_apart(self, queues: Sequence[str]) -> None:
        """On a cluster: note the names, take them off the list, then empty those that are empty still."""
        now = self._now()
        noted = [part for queue in queues for part in (now, queue)]
        self._calls.ask(Command(self._forgotten, None, ["ZADD", self._forgotten, *noted]))
        self._names.remove(queues)
        answers = self._calls.ask_all([self._command([queue]) for queue in queues])
        pushed_to = [queue for queue, forgotten in zip(queues, answers, strict=True) if not forgotten]
        if pushed_to:
            self._names.add(pushed_to, again=True)

    def _look_again(self) -> None:
        """On a cluster: a queue may hold something again whose pusher, or whoever forgot it, died too early."""
        key, until = self._forgotten, self._now() - SETTLED_AFTER
        noted = self._calls.ask(Command(key, None, ["ZRANGEBYSCORE", key, "-inf", until]))
        queues = [name.decode() for name in noted]
        metas = [self._keys.partition(queue) + "meta" for queue in queues]
        there = self._calls.ask_all([Command(meta, None, ["EXISTS", meta]) for meta in metas])
        alive = [queue for queue, exists in zip(queues, there, strict=True) if exists]
        if alive:
            self._names.add(alive, again=True)
        if queues:
            self._calls.ask(Command(key, None, ["ZREMRANGEBYSCORE", key, "-inf", until]))

    def _now(self) -> int:
        return time_of(self._calls, self._keys.root)
