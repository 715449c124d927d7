"""One Memcached."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from .process import Server


class Memcached(Server):
    """A Memcached with 64 MB."""

    program = "memcached"

    def arguments(self) -> list[str]:
        """Where it listens; as root it wants to be told to stay that."""
        return ["-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", getpass.getuser()]

    def answers(self) -> bool:
        """Whether it serves."""
        return self.ask("version").startswith("VERSION")

    def stop(self) -> None:
        """It keeps nothing, so it need not be waited for."""
        self.kill()

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of an application whose jobs are here."""
        return {
            "QUEUES_CACHE_TYPE": "MemcachedCache",
            "QUEUES_CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{self.port}"],
        }

    def ask(self, command: str) -> str:
        """Say a line and return the answer's; empty where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"{command}\r\n".encode())
                return connection.makefile().readline().strip()
        except OSError:
            return ""

    def empty(self) -> None:
        """Throw away everything that is in it."""
        if self.ask("flush_all") != "OK":
            raise OSError(f"{self} does not let itself be emptied")
