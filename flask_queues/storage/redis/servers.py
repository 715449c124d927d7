"""Which server a key is on: the one there is, the master that Sentinel names, or a node of a cluster."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Any

from redis.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Broken

from .connection import Address, Node, Settings, pack
from .sentinels import Sentinels

#: Seconds for which a command is tried again whose connection broke: where there is but one server, and where
#: another may take over.
PATIENCE_FOR_ONE = 2.0
PATIENCE_FOR_MANY = 15.0
#: Seconds between two looks at who serves which slot.
SLOTS_AGE = 0.2
SLOTS = 16_384


class Servers(ABC):
    """What the engine needs to know of the servers."""

    #: Whether one script reaches every queue.
    near = True
    #: Seconds for which a broken connection is tried again.
    patience = PATIENCE_FOR_ONE
    #: How to connect to each of them.
    settings: Settings

    @abstractmethod
    def node(self, key: str) -> Node:
        """The server that holds a key, for reading and writing."""

    @abstractmethod
    def nodes(self) -> list[Node]:
        """Every server that jobs are written to."""

    @abstractmethod
    def describe(self) -> str:
        """Name the servers in a line for a person, without passwords."""

    @abstractmethod
    def lose(self, node: Node) -> None:
        """A server failed, or is not what it was: find out again."""

    def learn(self, slot: int, address: Address) -> None:  # noqa: B027 - without slots there is nothing to learn
        """A slot is said to be at another address."""

    def at(self, address: Address) -> Node:
        """The server at an address that another one named."""
        raise LookupError(address)

    def is_moving(self, key: str) -> bool:  # noqa: ARG002
        """Whether the key's slot is on its way to or from its node."""
        return False

    def close(self) -> None:
        """Close what is idle."""
        for node in self.nodes():
            node.close()


class OneServer(Servers):
    """The only server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._node = Node(settings, settings.address)
        self._database = settings.database

    def node(self, key: str) -> Node:  # noqa: ARG002
        """The server."""
        return self._node

    def nodes(self) -> list[Node]:
        """The server."""
        return [self._node]

    def describe(self) -> str:
        """Address and number of the database."""
        return f"Redis at {self._node}, database {self._database}"

    def lose(self, node: Node) -> None:
        """Nobody else can take over: only the connections are made anew."""
        node.close()


class SentinelServers(Servers):
    """The master, whichever server that is."""

    patience = PATIENCE_FOR_MANY

    def __init__(self, pool: Any) -> None:
        self._name = pool.service_name
        self._sentinels = Sentinels(pool)
        self.settings = Settings.of(pool)
        self._node: Node | None = None

    def node(self, key: str) -> Node:  # noqa: ARG002
        """The master that the Sentinels name now."""
        node = self._node
        if node is None:
            node = self._node = Node(self.settings, self._sentinels.master())
        return node

    def nodes(self) -> list[Node]:
        """The master."""
        return [self.node("")]

    def describe(self) -> str:
        """The name of the master, and its address once it is known."""
        at = f" at {self._node}" if self._node is not None else ""
        return f"Redis master {self._name} of Sentinel{at}, database {self.settings.database}"

    def close(self) -> None:
        """Close what is idle; nobody is asked for that."""
        self._sentinels.close()
        if self._node is not None:
            self._node.close()

    def lose(self, node: Node) -> None:
        """Ask the Sentinels again."""
        node.close()
        if self._node is node:
            self._node = None


class ClusterServers(Servers):
    """A table of slots, brought up to date by what the nodes answer."""

    near = False
    patience = PATIENCE_FOR_MANY

    def __init__(self, settings: Settings, seeds: list[Address]) -> None:
        self.settings = settings
        self._seeds = seeds
        self._nodes: dict[Address, Node] = {}
        self._slots: dict[int, Address] = {}
        self._asked = 0.0
        self._lock = threading.Lock()

    def node(self, key: str) -> Node:
        """The master of the key's slot."""
        slot = key_slot(key.encode())
        address = self._slots.get(slot)
        if address is None:
            self._refresh()
            address = self._slots.get(slot)
        if address is None:
            raise ClusterDownError(f"Hash slot not served: {slot}")
        return self._node_at(address)

    def nodes(self) -> list[Node]:
        """Every master."""
        if not self._slots:
            self._refresh()
        return [self._node_at(address) for address in sorted(set(self._slots.values()))]

    def describe(self) -> str:
        """The nodes that were configured."""
        return f"Redis Cluster at {', '.join(f'{host}:{port}' for host, port in self._seeds)}"

    def lose(self, node: Node) -> None:
        """Ask the others who serves its slots now."""
        node.close()
        self._refresh(but=node)

    def learn(self, slot: int, address: Address) -> None:
        """Read the whole table, and note where this slot is."""
        self._refresh()
        self._slots[slot] = address

    def at(self, address: Address) -> Node:
        """The node at an address."""
        return self._node_at(address)

    def is_moving(self, key: str) -> bool:
        """Ask the node of the slot."""
        (answer,) = self.node(key).exchange([pack(["CLUSTER", "NODES"])])
        if isinstance(answer, ResponseError):
            return True
        slot = key_slot(key.encode())
        own = next((line for line in answer.decode().splitlines() if "myself" in line), "")
        return f"[{slot}->-" in own or f"[{slot}-<-" in own

    def missing_slots(self) -> int:
        """How many slots no node serves."""
        self._refresh(anew=True)
        return SLOTS - len(self._slots)

    def close(self) -> None:
        """Close what is idle."""
        for node in list(self._nodes.values()):
            node.close()

    def _node_at(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes.setdefault(address, Node(self.settings, address))
        return node

    def _refresh(self, *, but: Node | None = None, anew: bool = False) -> None:
        with self._lock:
            if not anew and time.monotonic() - self._asked < SLOTS_AGE:
                return
            known = dict.fromkeys([*self._slots.values(), *self._seeds])
            order = sorted(known, key=lambda address: but is not None and address == but.address)
            self._slots = self._ask(order)
            self._asked = time.monotonic()

    def _ask(self, addresses: list[Address]) -> dict[int, Address]:
        failure: Exception = Broken("no node of the cluster is known")
        for address in addresses:
            try:
                answer = self._node_at(address).exchange([pack(["CLUSTER", "SLOTS"])])[0]
            except (RedisError, OSError) as error:
                failure = error
                continue
            if isinstance(answer, ResponseError):
                failure = answer
                continue
            return read_slots(answer, address)
        raise failure


def read_slots(answer: list[Any], asked: Address) -> dict[int, Address]:
    """Read who serves which slot; a node without an address is the one that was asked."""
    slots: dict[int, Address] = {}
    for first, last, master, *_ in answer:
        host = master[0].decode() if master[0] else asked[0]
        slots |= dict.fromkeys(range(first, last + 1), (host, int(master[1])))
    return slots


def servers_of(backend: Any) -> Servers:
    """The servers that a flask-caching backend for Redis leads to."""
    client = backend._write_client
    if hasattr(client, "nodes_manager"):
        given = client.nodes_manager.connection_kwargs
        secure = given.get("ssl") or given.get("connection_class") is SSLConnection
        settings = Settings(SSLConnection if secure else Connection, {**given, "db": 0})
        return ClusterServers(settings, [(node.host, int(node.port)) for node in client.get_nodes()])
    pool = client.connection_pool
    if hasattr(pool, "get_master_address"):
        return SentinelServers(pool)
    return OneServer(Settings.of(pool))
