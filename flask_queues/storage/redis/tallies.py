"""How many jobs of a batch stand where: each queue counts its own in the scripts that move them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from ...record import Status
from .calls import Calls, Command
from .keys import Keys
from .records import STATUSES


class Tallies:
    """Reads what the queues have counted."""

    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    def read(self, batches: Mapping[str, Collection[str]]) -> dict[str, dict[Status, int]]:
        """Ask every queue of each batch, and add up."""
        asked = [(batch, self._key(queue)) for batch, queues in batches.items() for queue in queues]
        commands = [Command(key, None, ["HMGET", key, *fields_of(batch)]) for batch, key in asked]
        sums: dict[str, Counter[Status]] = {}
        for (batch, _), (begun, *numbers) in zip(asked, self._calls.ask_all(commands), strict=True):
            if begun is not None:
                told = {status: int(n or 0) for status, n in zip(STATUSES.values(), numbers, strict=True)}
                sums.setdefault(batch, Counter()).update(told)
        return {batch: {status: n for status, n in told.items() if n} for batch, told in sums.items()}

    def forget(self, batches: Mapping[str, Collection[str]]) -> None:
        """Delete what the queues have counted of batches."""
        for batch, queues in batches.items():
            for queue in queues:
                key = self._key(queue)
                self._calls.ask(Command(key, None, ["HDEL", key, *fields_of(batch)]))

    def _key(self, queue: str) -> str:
        return self._keys.partition(queue) + "tallies"


def fields_of(batch: str) -> list[str]:
    """The fields of a batch: that it has begun, then one for each status."""
    return [batch, *(f"{batch}\t{digit}" for digit in STATUSES)]
