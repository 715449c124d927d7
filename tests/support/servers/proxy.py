"""A network of the tests' own: what goes through it can be cut, held up, or lost on the way back."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from types import TracebackType

from .process import free_port

CHUNK = 65_536


class Proxy:
    """Hands on what comes to its port to another port, and back; a context manager.

    Its thread is the only one that moves bytes, so after each method returns, the method's word holds.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._replying: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._listen()
        self._lock = threading.Lock()
        self._open = True
        self._stalled = False
        self._to_drop = 0
        self._marker = b""
        #: How many replies were lost on the way.
        self.dropped = 0
        self._awaiting: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run, daemon=True, name="proxy")

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
            for one in list(self._pairs):
                self._break(one)

    def stall(self) -> None:
        """Keep every connection and hand on nothing, as a network does whose packets are lost."""
        with self._lock:
            self._stalled = True

    def heal(self) -> None:
        """Let everything through again; what was held up arrives."""
        with self._lock:
            self._stalled = False
            if self._listener is None:
                self._listen()

    def drop_replies(self, number: int = 1, to: bytes = b"") -> None:
        """Lose the replies to the next so many requests that contain these bytes, and break their connections.

        The server has done what was asked; whoever asked does not learn it.
        """
        with self._lock:
            self._to_drop = number
            self._marker = to
            self._awaiting.clear()

    @property
    def dropping(self) -> int:
        """How many replies are to be lost still."""
        return self._to_drop

    def _run(self) -> None:
        while self._open:
            if self._stalled:
                time.sleep(0.01)
                continue
            for key, _ in self._selector.select(0.01):
                with self._lock:
                    self._serve(key.fileobj)

    def _serve(self, ready: object) -> None:
        if self._stalled:
            return
        if self._listener is not None and ready is self._listener:
            self._accept(self._listener)
        elif isinstance(ready, socket.socket) and ready in self._pairs:
            self._pass_on(ready)

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)
        self._replying.add(server)

    def _pass_on(self, source: socket.socket) -> None:
        """Hand on what has come; nothing that came means that this side has closed."""
        try:
            data = source.recv(CHUNK)
            if not data or self._is_lost(source, data):
                self._break(source)
            else:
                self._pairs[source].sendall(data)
        except OSError:
            self._break(source)

    def _is_lost(self, source: socket.socket, data: bytes) -> bool:
        """Whether this is a reply to be dropped; notes the requests whose replies will be."""
        if source not in self._replying:
            if len(self._awaiting) < self._to_drop and self._marker in data:
                self._awaiting.add(self._pairs[source])
            return False
        if source not in self._awaiting:
            return False
        self._awaiting.discard(source)
        self._to_drop -= 1
        self.dropped += 1
        return True

    def _break(self, one: socket.socket) -> None:
        for end in (one, self._pairs.get(one)):
            if end is not None and self._pairs.pop(end, None) is not None:
                self._replying.discard(end)
                self._awaiting.discard(end)
                self._selector.unregister(end)
                end.close()

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open = False
        self._thread.join()
        self.cut()
        self._selector.close()
