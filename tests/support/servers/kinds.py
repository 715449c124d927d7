"""The servers that engines are tried on, each started once, when the first test wants it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from .cluster import Cluster
from .memcached import Memcached
from .process import program
from .redis_server import RedisServer, ValkeyServer
from .sentinel import Sentinel


class Running(Protocol):
    """A server, or several that are one to their users."""

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of an application whose jobs are here."""

    def empty(self) -> None:
        """Throw away everything that is in it."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *_: Any) -> None: ...


KINDS: dict[str, Callable[[Path], Running]] = {
    "redis": RedisServer,
    "valkey": ValkeyServer,
    "sentinel": Sentinel,
    "cluster": Cluster,
    "memcached": Memcached,
}


def has_valkey() -> bool:
    """Whether there is one: Debian has it from trixie on, so its engine is left out elsewhere."""
    return program(ValkeyServer.program) is not None


class Servers:
    """One server of each kind that is asked for, until the end; what breaks one starts its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, Running] = {}
        self._stack = ExitStack()

    def empty(self, kind: str) -> Running:
        """The server of this kind, with nothing in it."""
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(KINDS[kind](self.folder / kind))
        server = self._running[kind]
        server.empty()
        return server

    def close(self) -> None:
        """Stop them all."""
        self._stack.close()
        self._running.clear()
