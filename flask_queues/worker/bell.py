"""How one process of a worker wakes another."""

from __future__ import annotations

import select
import signal
import socket


class Bell:
    """Wakes whoever waits on it. Made before a fork, it rings across it, and from a signal handler.

    A pair of sockets rather than a pipe, since some systems can wait for sockets only.
    """

    def __init__(self) -> None:
        self._ear, self._clapper = socket.socketpair()
        self._ear.setblocking(False)
        self._clapper.setblocking(False)

    def ring(self) -> None:
        """Wake who waits, or who waits next; never blocks."""
        try:
            self._clapper.send(b"r")
        except OSError:  # it rings already, or was closed
            return

    def ring_on_signals(self) -> None:
        """Ring with every signal of this process, in the very moment that it comes.

        Its Python handler runs later: one that comes just before the wait would not end the wait.
        """
        signal.set_wakeup_fd(self._clapper.fileno(), warn_on_full_buffer=False)

    def wait(self, seconds: float) -> bool:
        """Wait to be woken, at most so long; tells whether it rang."""
        if not select.select([self._ear], [], [], seconds)[0]:
            return False
        self.silence()
        return True

    def close(self) -> None:
        """Let go of both ends, once nobody rings or waits any more."""
        self._ear.close()
        self._clapper.close()

    def silence(self) -> None:
        """Forget that it rang."""
        try:
            while self._ear.recv(4096):
                pass
        except BlockingIOError:
            return
