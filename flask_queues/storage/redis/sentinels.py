"""Which server is the master, as the Sentinels have it: asked one after another, none for long."""

from __future__ import annotations

from typing import Any

from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Broken
from redis.sentinel import MasterNotFoundError

from .connection import Address, Node, Settings, pack

#: Seconds that a Sentinel may take, for the connection and for the answer: there are others.
TIMEOUT = 1.5


class NoSentinel(Broken):
    """No Sentinel answers, so that nobody can say whether another master takes over."""


class Sentinels:
    """Asks those that a client of redis-py was given, over connections with a policy of our own."""

    def __init__(self, pool: Any) -> None:
        manager = pool.sentinel_manager
        self._name: str = pool.service_name
        self._others_needed: int = manager.min_other_sentinels
        self._forced_ip: str | None = getattr(manager, "_force_master_ip", None)
        self._nodes: list[Node] = []
        for client in manager.sentinels:
            settings = Settings.of(client.connection_pool, timeout=TIMEOUT)
            self._nodes.append(Node(settings, settings.address))

    def __str__(self) -> str:
        return ", ".join(map(str, self._nodes))

    def master(self) -> Address:
        """The address of the master; whoever names it is asked first the next time."""
        answered = False
        failure: Exception | None = None
        for node in list(self._nodes):
            try:
                (answer,) = node.exchange([pack(["SENTINEL", "MASTER", self._name])])
            except AuthenticationError as error:
                failure = error
                continue
            except (RedisError, OSError):
                continue
            if isinstance(answer, ResponseError):
                failure = answer
                continue
            answered = True
            address = self._read(answer)
            if address is not None:
                self._nodes = [node, *(other for other in self._nodes if other is not node)]
                return address
        if failure is not None and not answered and "No such master" not in str(failure):
            raise failure
        if failure is None and not answered:
            raise NoSentinel(f"No Sentinel answers at {self}")
        raise MasterNotFoundError(f"No master found for {self._name!r}")

    def _read(self, answer: list[bytes]) -> Address | None:
        """The address of a master that this Sentinel takes for alive."""
        said = {name.decode(): value.decode() for name, value in zip(answer[::2], answer[1::2], strict=True)}
        flags = said["flags"].split(",")
        if "master" not in flags or "s_down" in flags or "o_down" in flags:
            return None
        if int(said["num-other-sentinels"]) < self._others_needed:
            return None
        return (self._forced_ip or said["ip"], int(said["port"]))

    def close(self) -> None:
        """Close what is idle."""
        for node in self._nodes:
            node.close()
