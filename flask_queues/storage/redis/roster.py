"""The workers that describe themselves, and the job types that they know."""

from __future__ import annotations

import json
import time
from collections.abc import Collection

from ...errors import ConfigError, StorageFormatError
from ...record import WorkerRecord
from ..workers import whole_about
from .calls import Calls, Command
from .examination import read_info
from .keys import Keys
from .records import decoded, dump
from .scripts import ROOT
from .sentences import OLDEST, too_old

#: The version of the layout; a newer one is refused.
FORMAT = 1
#: A worker that has been silent so long (ms) does not count among those that know a type.
SILENCE = 60_000
#: Seconds for which a type that some worker knows is taken for known.
TYPES_AGE = 1.0


class Roster:
    """Whose keys these are, and who works on them."""

    def __init__(self, calls: Calls, keys: Keys, owner: str) -> None:
        self._calls = calls
        self._keys = keys
        self._owner = owner
        self._key = keys.root + "workers"
        #: Since when the keys have been ours, as the server tells it; nothing where that is not known.
        self._since = b""
        self._types: set[str] = set()
        self._types_until = 0.0

    def greet(self, worker: WorkerRecord | None = None) -> bool:
        """Make sure that the keys are ours and of a format that this version knows; note what a worker says.

        Tells whether all were deleted since the last time. Raises `StorageFormatError` where they are not ours.
        """
        if worker is None:
            self._refuse_cluster()
        said = ("", "") if worker is None else (worker.name, dump(whole_about(worker)))
        arguments = [self._keys.root, FORMAT, self._owner, *said]
        command = Command(self._keys.root, ROOT, arguments, self._keys.of_root)
        stored, owner, now, version, since = self._calls.ask(command)
        self._calls.clock.learn(int(now))
        where = self._calls.servers.describe()
        if not version and worker is None:
            self._refuse_old(where)
        if not stored.isdigit() or int(stored) > FORMAT:
            raise StorageFormatError(
                f"{where} holds format {stored.decode()} under {self._keys.prefix}; this version of Flask-Queues "
                f"reads up to {FORMAT}. Install the newer version that wrote it."
            )
        if owner.decode() != self._owner:
            raise StorageFormatError(
                f"{where}: the prefix {self._keys.prefix} belongs to the application {owner.decode()!r}, and this one "
                f"is {self._owner!r}. Set QUEUES_CACHE_KEY_PREFIX to another prefix, so that neither runs the jobs of "
                "the other."
            )
        emptied = self._since not in (b"", since)
        self._since = since
        return emptied

    def _refuse_cluster(self) -> None:
        """Refuse a node of a cluster as the only server: it has a part of the keys, or none that may be changed."""
        if not self._calls.servers.near or self._said("INFO", "cluster").get("cluster_enabled") != "1":
            return
        if int(self._said("CLUSTER", "INFO").get("cluster_size", 0)) > 1:
            raise ConfigError(
                f"{self._calls.servers.describe()} belongs to a cluster. Set QUEUES_CACHE_TYPE to RedisClusterCache, "
                "and QUEUES_CACHE_REDIS_CLUSTER to its nodes."
            )

    def _said(self, *command: str) -> dict[str, str]:
        """What the server says of itself; nothing where nobody may ask."""
        try:
            text = self._calls.ask(Command(self._key, None, command)).decode()
        except ConfigError:
            return {}
        return dict(read_info(text))

    def _refuse_old(self, where: str) -> None:
        """Refuse a server on which the scripts were never tried."""
        version = self._said("INFO", "server").get("redis_version")
        if version and tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise too_old(where, version)

    def forget(self, name: str) -> None:
        """Take a worker off the list."""
        self._calls.ask(Command(self._key, None, ["HDEL", self._key, name]))

    def all(self) -> dict[str, tuple[int, str]]:
        """Heartbeat and description of each worker, by name."""
        rows = self._calls.ask(Command(self._key, None, ["HGETALL", self._key]))
        workers: dict[str, tuple[int, str]] = {}
        for name, text in zip(rows[::2], rows[1::2], strict=True):
            heartbeat, _, about = decoded(text).partition("\t")
            workers[decoded(name)] = (int(heartbeat) if heartbeat.isdecimal() else 0, about)
        return dict(sorted(workers.items()))

    def types(self, asked: Collection[str]) -> set[str]:
        """The job types that some worker knows, which were told just now where one of those asked is not among them."""
        if time.monotonic() > self._types_until or not self._types.issuperset(asked):
            now = time_of(self._calls, self._key)
            known: set[str] = set()
            for heartbeat, about in self.all().values():
                if heartbeat > now - SILENCE:
                    known.update(types_in(about))
            self._types = known
            self._types_until = time.monotonic() + TYPES_AGE
        return self._types


def types_in(about: str) -> list[str]:
    """The job types that a worker says it knows; none where that cannot be read."""
    try:
        return [name for name in json.loads(about)["types"] if isinstance(name, str)]
    except (ValueError, TypeError, LookupError):
        return []


def time_of(calls: Calls, key: str) -> int:
    """What time it is on the server of a key."""
    seconds, micros = calls.ask(Command(key, None, ["TIME"]))
    return int(seconds) * 1000 + int(micros) // 1000
