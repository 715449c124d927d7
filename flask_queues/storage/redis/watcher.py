"""How the keeper is woken: a channel on which each script publishes that makes something claimable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from ...errors import StorageError
from ..values import Watcher
from .connection import Node, pack

#: Seconds between two attempts to listen again.
RETRY = 0.5
#: Seconds of silence after which the server is asked for a sign of life, and after which it is given up.
ASK_AFTER, GIVE_UP_AFTER = 10.0, 20.0


class Channel(Watcher):
    """Listens over a connection of its own, which may be silent for long: it is read only when something came."""

    interval = 0.05

    def __init__(self, find: Callable[[], Node], name: str) -> None:
        self._find = find
        self._name = name
        self._connection: Any = None
        self._missed = True
        self._next_try = 0.0
        self._heard_at = 0.0
        self._asked = False

    def fileno(self) -> int | None:
        """The socket; None while there is no connection."""
        self._listen()
        if self._connection is None:
            return None
        descriptor: int = self._connection._sock.fileno()
        return descriptor

    def changed(self) -> bool:
        """Whether anything came, or may have come while nobody listened."""
        self._listen()
        missed, self._missed = self._missed, False
        return self._drain() or missed

    def close(self) -> None:
        """Stop listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            Node.drop(connection)

    def _listen(self) -> None:
        now = time.monotonic()
        if self._connection is not None or now < self._next_try:
            return
        try:
            self._connection = self._subscribe()
        except (RedisError, OSError, StorageError):
            # A server that hangs takes long to fail: as much time is left for everything else.
            self._next_try = time.monotonic() + max(RETRY, time.monotonic() - now)
            return
        self._missed = True
        self._heard_at = time.monotonic()
        self._asked = False

    def _subscribe(self) -> Any:
        """A connection that listens; no step of it is waited for longer than any other answer."""
        node = self._find()
        connection = node.settings.connect(node.address)
        try:
            connection.send_packed_command([pack(["SUBSCRIBE", self._name])])
            connection.read_response()
        except BaseException:
            Node.drop(connection)
            raise
        return connection

    def _drain(self) -> bool:
        """Read what has come, without waiting."""
        if self._connection is None:
            return False
        came = False
        try:
            while self._connection.can_read(timeout=0):
                came = self._connection.read_response()[0] == b"message" or came
                self._heard_at, self._asked = time.monotonic(), False
            self._ask_for_life()
        except (RedisError, OSError):
            self._lost()
        return came

    def _ask_for_life(self) -> None:
        silent = time.monotonic() - self._heard_at
        if silent > GIVE_UP_AFTER:
            self._lost()
        elif silent > ASK_AFTER and not self._asked:
            self._asked = True
            self._connection.send_packed_command([pack(["PING"])])

    def _lost(self) -> None:
        self.close()
        self._missed = True
        self._next_try = 0.0
