"""How a server is spoken to: connections made from the backend's settings, with a policy of our own.

redis-py repeats a command ten times or never, depending on how the cache was configured, and a step
that is repeated blindly would claim twice. So its clients are only asked how to connect; what is sent,
how long an answer may take and what happens to a broken connection is decided here.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TimedOut

#: Seconds that a connection may take to be made.
CONNECT_TIMEOUT = 3.0
#: Seconds that an answer may take: a server that hangs longer is given up.
ANSWER_TIMEOUT = 5.0
#: Seconds after which an idle connection is looked at before it is used: the server may have closed it.
IDLE = 0.5
#: Idle connections kept to one server.
KEPT = 32
#: What of the backend's settings says how to connect, as opposed to how to behave.
SETTINGS = ("host", "port", "path", "db", "username", "password", "credential_provider", "client_name")
#: Seconds: a peer that vanished is noticed by the kernel, also where nobody waits for an answer.
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

Address = tuple[Any, ...]
_nodes: weakref.WeakSet[Node] = weakref.WeakSet()


class NoTLS(Broken):
    """The server was reached, or may have been, and did not agree on TLS."""


class Settings:
    """How to connect to servers of one kind: everything but the address."""

    def __init__(self, kind: type[Any], given: dict[str, Any], timeout: float | None = None) -> None:
        self.kind = kind
        self._connect_timeout = timeout or CONNECT_TIMEOUT
        self._answer_timeout = timeout or ANSWER_TIMEOUT
        #: How often a connection broke, or a server was not what it had been.
        self.breaks = 0
        self.given = {name: value for name, value in given.items() if name in SETTINGS or name.startswith("ssl_")}

    @classmethod
    def of(cls, pool: Any, timeout: float | None = None) -> Settings:
        """Read them from a client's connection pool; `timeout` in seconds where another than the usual is meant."""
        kinds: tuple[type[Any], ...] = (UnixDomainSocketConnection, SSLConnection)
        kind = next((kind for kind in kinds if issubclass(pool.connection_class, kind)), Connection)
        return cls(kind, pool.connection_kwargs, timeout)

    @property
    def address(self) -> Address:
        """Where these settings lead."""
        if "path" in self.given:
            return (self.given["path"],)
        return (self.given.get("host", "localhost"), int(self.given.get("port", 6379)))

    @property
    def database(self) -> int:
        """The number of the database."""
        return int(self.given.get("db") or 0)

    def connect(self, address: Address) -> Any:
        """Open a connection: authenticated, on the right database, without any retry."""
        given = dict(self.given)
        if self.kind is not UnixDomainSocketConnection:
            given |= {
                "host": address[0],
                "port": address[1],
                "socket_keepalive": True,
                "socket_keepalive_options": {
                    getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)
                },
                "socket_connect_timeout": self._connect_timeout,
            }
        connection = self.kind(**given, socket_timeout=self._answer_timeout, protocol=2, decode_responses=False)
        # It would introduce itself in two exchanges, and miss what a server says that turns it away.
        connection.driver_info = connection.lib_name = connection.lib_version = None
        handled = sys.exc_info()[1]
        try:
            connection.connect()
        except Exception as error:
            let_go(connection)
            clear_frames(error, handled)
            if self.kind is not SSLConnection or not isinstance(error, (TimedOut, Broken)):
                raise
            if isinstance(error, TimedOut) or "SSL" in str(error):
                raise NoTLS(f"no TLS: {error}") from error
            raise
        return connection


class Node:
    """One server, and the idle connections to it. No connection crosses a fork."""

    def __init__(self, settings: Settings, address: Address) -> None:
        self.settings = settings
        self.address = address
        self._idle: list[tuple[Any, float]] = []
        self._pid = os.getpid()
        _nodes.add(self)

    def __str__(self) -> str:
        return ":".join(str(part) for part in self.address)

    def take(self) -> Any:
        """Take a connection out; `give` it back after use, or `drop` it."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < IDLE or is_quiet(connection):
                return connection
            self.settings.breaks += 1
            self.drop(connection)
        return self.settings.connect(self.address)

    def give(self, connection: Any) -> None:
        """Keep a connection for the next use."""
        if len(self._idle) < KEPT:
            self._idle.append((connection, time.monotonic()))
        else:
            self.drop(connection)

    @staticmethod
    def drop(connection: Any) -> None:
        """Close a connection that is broken, or whose answer nobody waits for."""
        let_go(connection)

    def exchange(self, commands: Sequence[bytes]) -> list[Any]:
        """Send packed commands and read their answers; an error that the server answers is returned, not raised."""
        return self.exchange_over(self.take(), commands)

    def exchange_over(self, connection: Any, commands: Sequence[bytes]) -> list[Any]:
        """The same over a connection that was taken out."""
        self.send_over(connection, commands)
        return self.receive(connection, len(commands))

    def send_over(self, connection: Any, commands: Sequence[bytes]) -> None:
        """Send packed commands; `receive` reads the answers."""
        try:
            connection.send_packed_command(commands)
        except BaseException:
            self.settings.breaks += 1
            self.drop(connection)
            raise

    def receive(self, connection: Any, number: int) -> list[Any]:
        """Read so many answers, and keep the connection."""
        answers = []
        try:
            for _ in range(number):
                try:
                    answers.append(connection.read_response())
                except ResponseError as error:
                    answers.append(error.with_traceback(None))  # it would hold this frame, which holds it
        except BaseException:
            self.settings.breaks += 1
            self.drop(connection)
            raise
        self.give(connection)
        return answers

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self.drop(self._idle.pop()[0])

    def forget(self) -> None:
        """In a child after a fork: let go of the parent's connections without a word to the server."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            self.drop(connection)


def is_quiet(connection: Any) -> bool:
    """Whether an idle connection is still open, and nothing unasked came over it."""
    try:
        return not connection.can_read(timeout=0)
    except (RedisError, OSError):
        return False


def let_go(connection: Any) -> None:
    """Close a connection, and free its memory at once.

    A parser of redis-py holds itself, and with it a buffer of 64 kB, until a full garbage collection: in a worker's
    child, whose jobs leave few objects behind, that may be many broken connections away.
    """
    try:
        connection.disconnect()
    except (RedisError, OSError):
        pass
    parser = getattr(connection, "_parser", None)
    for name, value in list(getattr(parser, "__dict__", {}).items()):
        if getattr(value, "__self__", None) is parser:
            setattr(parser, name, None)


def clear_frames(error: BaseException, handled: BaseException | None) -> None:
    """Free what the frames behind an error hold, among it the error itself; not what was `handled` before it."""
    link: BaseException | None = error
    while link is not None and link is not handled:
        traceback.clear_frames(link.__traceback__)
        link = link.__context__


class Packed(bytes):
    """Arguments that are packed already."""

    number: int

    @classmethod
    def of(cls, arguments: Iterable[Any]) -> Packed:
        """Pack arguments that many commands have in common."""
        data, number = pack_arguments(arguments)
        packed = cls(data)
        packed.number = number
        return packed


def pack(parts: Iterable[Any]) -> bytes:
    """Write a command as it goes over the wire."""
    packed, number = pack_arguments(parts)
    return b"*%d\r\n%b" % (number, packed)


def pack_arguments(parts: Iterable[Any]) -> tuple[bytes, int]:
    """Write a part of a command, and count its arguments."""
    chunks: list[bytes] = []
    number = 0
    for part in parts:
        if type(part) is Packed:
            chunks.append(part)
            number += part.number
            continue
        data = part.encode() if type(part) is str else part if type(part) is bytes else b"%d" % part
        chunks.append(b"$%d\r\n%b\r\n" % (len(data), data))
        number += 1
    return b"".join(chunks), number


def _after_fork() -> None:
    for node in list(_nodes):
        node.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
