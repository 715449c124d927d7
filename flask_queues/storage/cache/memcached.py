"""`MemcachedCache`: an `add` of memcached is atomic, and what is said of one that failed is not to be trusted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from ...errors import ConfigError, StorageUnavailable
from ..values import Finding, Severity
from .port import Port
from .unpickling import PlainUnpickler

#: What memcached takes for a key; ours have up to 60 characters behind the prefix.
PREFIX = re.compile(rb"[^\x00-\x20\x7f]{0,180}\Z").match
#: What pylibmc says of a failure.
LIBRARY_WORDS = re.compile(r"error \d+ from memcached_\w+(?:\(.*?\))?: ([^:]+)")
#: Waits (s) between tries to learn whether an entry was stored.
PAUSES = (0.0, 0.05, 0.3, 1.0)
#: Of pylibmc; times in milliseconds, but that for which a server that failed is not asked: seconds.
BEHAVIORS = {"tcp_nodelay": True, "connect_timeout": 1000, "_poll_timeout": 2000, "retry_timeout": 1}
#: Of the server's memory, in percent, above which it says so.
FULL = 80


class MemcachedPort(Port):
    """Memcached, over the backend's own client.

    A connection that broke looks like a missing value, and an `add` whose answer was lost like one that failed:
    so what was added is read back, and what is missing must be proved.
    """

    severity = Severity.LOSES
    promise = "Memcached loses everything with its server, and whatever it likes when its memory is full."

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        prefix = backend.key_prefix or ""
        if not PREFIX(prefix.encode()):
            raise ConfigError(
                f"QUEUES_CACHE_KEY_PREFIX: {prefix[:64]!r} cannot begin a key of memcached. "
                "Use up to 180 characters without spaces."
            )
        if hasattr(backend, "chunksize"):
            raise ConfigError(
                "QUEUES_CACHE_TYPE: the add of SpreadSASLMemcachedCache does not store what its get reads. "
                "Use SASLMemcachedCache."
            )
        for client in self._clients():
            if hasattr(client, "behaviors"):
                client.behaviors.update(BEHAVIORS)
            if not unpickles_by_itself(client):
                client.unpickler = PlainUnpickler

    def _clients(self) -> list[Any]:
        """The client, or those of the pool."""
        client = self._backend._client
        return list(getattr(client, "queue", [client]))

    def describe(self) -> str:
        """The servers."""
        return f"memcached {', '.join(addresses(self._clients()[0]))}".rstrip()

    def add(self, key: str, text: str) -> str | None:
        """Add, and find out whether it was done."""
        error: StorageUnavailable | None = None
        for pause in PAUSES:
            time.sleep(pause)
            try:
                if self._call(self._backend.add, key, text, timeout=0):
                    return None
                found = self.get(key)
            except StorageUnavailable as failure:
                error = failure
            else:
                if found is not None:
                    return found if found != text else None
                self.disconnect()
        raise error or self._failed("it stores nothing: it is away, or its memory is too small (-m)")

    def prove(self) -> None:
        """Raise unless the server stores; some clients raise nothing where there is none, and then leave it alone."""
        try:
            super().prove()
        except StorageUnavailable:
            self.disconnect()
            raise

    def _failed(self, why: str) -> StorageUnavailable:
        """Say in our words what libmemcached says."""
        said = LIBRARY_WORDS.match(why)
        if said is None:
            return super()._failed(why)
        return StorageUnavailable(
            f"The {self.describe()} cannot be reached: {said[1].lower()}. Is it running, is the address right?"
        )

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call; after a failure, begin with new connections: a client would not ask the server again for a while."""
        try:
            return super()._call(method, *arguments, **options)
        except StorageUnavailable:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Close the connections: a child that inherited one would talk into ours."""
        for client in self._clients():
            close = getattr(client, "disconnect_all", None) or getattr(client, "close", None)
            if close is not None:
                close()
            forgive = getattr(client, "forget_dead_hosts", None)  # python-memcached, for half a minute
            if forgive is not None:
                forgive()

    def findings(self) -> list[Finding]:
        """Ask the servers about their memory."""
        findings = []
        servers = self._stats()
        if unpickles_by_itself(self._clients()[0]):
            findings.append(
                Finding(
                    Severity.NOTE,
                    "memcached-unpickles",
                    "This client unpickles whatever the server returns: who writes there runs code in the application.",
                    "Let nobody else reach the server, or take python-memcached in place of pylibmc.",
                )
            )
        if len(servers) > 1:
            findings.append(
                Finding(
                    Severity.LOSES,
                    "memcached-servers",
                    f"The jobs are spread over {len(servers)} servers; the end of any of them loses all.",
                    "Name one server in QUEUES_CACHE_MEMCACHED_SERVERS.",
                )
            )
        for name, stats in servers.items():
            used, room = stats.get("bytes", 0), stats.get("limit_maxbytes", 0)
            if stats.get("evictions", 0):
                findings.append(
                    Finding(
                        Severity.LOSES,
                        "memcached-evictions",
                        f"{name} has thrown {stats['evictions']:,} values away to make room; jobs may be among them.",
                        "Give it more memory (-m), and keep pages elsewhere.",
                    )
                )
            elif room and used * 100 > room * FULL:
                findings.append(
                    Finding(
                        Severity.LOSES,
                        "memcached-memory",
                        f"{name} uses {used * 100 // room} % of its memory and throws values away when it is full.",
                        "Give it more memory (-m), and keep pages elsewhere.",
                    )
                )
        return findings

    def _stats(self) -> dict[str, dict[str, int]]:
        """The servers' numbers, where the client can ask for them."""
        client = self._clients()[0]
        if not hasattr(client, "get_stats"):
            return {}
        return {text(server): numbers(stats) for server, stats in self._call(client.get_stats)}


def unpickles_by_itself(client: Any) -> bool:
    """Whether nobody can say how a client reads pickles, as with pylibmc; python-memcached takes another reader."""
    return not hasattr(client, "unpickler")


def addresses(client: Any) -> list[str]:
    """Where a client's servers are, as pylibmc or python-memcached tells it."""
    hosts = getattr(client, "servers", ())
    return list(getattr(client, "addresses", ())) or [":".join(map(str, host.address)) for host in hosts]


def text(name: Any) -> str:
    """Read what one client gives as text and another as bytes."""
    return name.decode() if isinstance(name, bytes) else str(name)


def numbers(stats: dict[Any, Any]) -> dict[str, int]:
    """Read those values that are whole numbers."""
    return {text(name): int(value) for name, value in stats.items() if text(value).isdigit()}
