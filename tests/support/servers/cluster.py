"""A Redis Cluster of three masters with a replica each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import redis
from redis.crc import key_slot

from tests.support.site import eventually

from .process import free_port
from .redis_server import RedisServer

MASTERS = 3
SLOTS = 16_384
#: Milliseconds of silence after which the nodes agree that one of them is gone.
NODE_TIMEOUT = 1_000


class Node(RedisServer):
    """One node, which keeps its own record of the others in its folder."""

    def __init__(self, folder: Path, **options: object) -> None:
        super().__init__(folder, **options)
        self.bus = free_port()

    def take_other_ports(self) -> None:
        """That on which it speaks to the other nodes may be the one that is taken."""
        super().take_other_ports()
        self.bus = free_port()

    def arguments(self) -> list[str]:
        """As of any Redis, and how it speaks to the other nodes."""
        cluster = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": NODE_TIMEOUT,
            "cluster-port": self.bus,
            "repl-diskless-sync-delay": 0,
        }
        return [*super().arguments(), *(word for name, value in cluster.items() for word in (f"--{name}", str(value)))]

    def do(self, *command: object) -> Any:
        """Run a command on this very node."""
        with self.client() as client:
            return client.execute_command(*map(str, command))

    @property
    def id(self) -> str:
        """Its name within the cluster."""
        return str(self.do("CLUSTER MYID"))

    def state(self) -> dict[str, str]:
        """What it thinks of the cluster."""
        with self.client() as client:
            return dict(client.execute_command("CLUSTER INFO"))

    def is_replica(self) -> bool:
        """Whether it is one, and has its master's data."""
        with self.client() as client:
            state = client.info("replication")
        return bool(state["role"] == "slave" and state["master_link_status"] == "up")


class Seen(NamedTuple):
    """A node in another node's eyes."""

    id: str
    port: int
    flags: list[str]

    @property
    def met(self) -> bool:
        """Whether the two have shaken hands."""
        return "handshake" not in self.flags

    @property
    def master(self) -> bool:
        """Whether it is one, and alive."""
        return "master" in self.flags and not {"fail", "fail?", "noaddr"} & set(self.flags)


class Cluster:
    """All six; options are those of every node. A context manager."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.nodes = [Node(folder / f"node-{n}", **options) for n in range(2 * MASTERS)]
        self._running: ExitStack | None = None

    def __getstate__(self) -> dict[str, Any]:
        """In another process they may be asked, not ended."""
        return {**self.__dict__, "_running": None}

    def start(self) -> None:
        """Start them, make them a cluster and wait until it is whole."""
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._join()
            self._running = stack.pop_all()

    def _join(self) -> None:
        masters, replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
        bounds = [SLOTS * n // MASTERS for n in range(MASTERS + 1)]
        for n, master in enumerate(masters):
            master.do("CLUSTER ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
            master.do("CLUSTER SET-CONFIG-EPOCH", n + 1)
        eventually(self._have_met, what="The meeting")
        for master, replica in zip(masters, replicas, strict=True):
            replica.do("CLUSTER REPLICATE", master.id)
        eventually(self.whole, what="The cluster")

    def _have_met(self) -> bool:
        """Whether each knows all; whom the first does not know, or no more, is introduced to it."""
        first, *others = self.nodes
        known = {seen.port for seen in self.seen_by(first)}
        for node in others:
            if node.port not in known:
                first.do("CLUSTER MEET", "127.0.0.1", node.port, node.bus)
        return all(sum(seen.met for seen in self.seen_by(node)) == len(self.nodes) for node in self.nodes)

    def whole(self) -> bool:
        """Whether every node thinks all is well and knows the masters, and each of these has a replica."""
        good = all(node.state()["cluster_state"] == "ok" for node in self.nodes)
        agreed = all(sum(seen.master for seen in self.seen_by(node)) == MASTERS for node in self.nodes)
        return good and agreed and sum(node.is_replica() for node in self.nodes) == MASTERS

    def stop(self) -> None:
        """End all of them."""
        if self._running is not None:
            self._running.close()

    def alive(self) -> Iterator[Node]:
        """The nodes that run."""
        return (node for node in self.nodes if node.process is not None and node.process.poll() is None)

    def seen_by(self, node: Node) -> list[Seen]:
        """All nodes, in the eyes of one."""
        seen = []
        for address, about in node.do("CLUSTER NODES").items():
            seen.append(Seen(about["node_id"], int(address.rpartition(":")[2]), about["flags"].split(",")))
        return seen

    def node_at(self, port: int) -> Node:
        """The node that listens there."""
        return next(node for node in self.nodes if node.port == port)

    def masters(self) -> list[Node]:
        """The masters of now."""
        return [self.node_at(seen.port) for seen in self.seen_by(next(self.alive())) if seen.master]

    def master_of(self, key: str) -> Node:
        """The master that has the key, or would have it."""
        slot = key_slot(key.encode())
        for begin, end, master, *_ in next(self.alive()).do("CLUSTER SLOTS"):
            if begin <= slot <= end:
                return self.node_at(master[1])
        raise LookupError(f"Nobody serves slot {slot}.")

    def kill_master_of(self, key: str) -> Node:
        """Kill the master that has the key; returns it. Its replica takes over in two or three seconds."""
        master = self.master_of(key)
        master.kill()
        return master

    def wait_for_failover(self, gone: Node) -> None:
        """Wait until all nodes that are left have a new master in place of this one, and serve again."""

        def replaced(node: Node) -> bool:
            masters = {seen.port for seen in self.seen_by(node) if seen.master}
            return len(masters) == MASTERS and gone.port not in masters and node.state()["cluster_state"] == "ok"

        eventually(lambda: all(map(replaced, self.alive())), what=f"The failover of {gone}")

    def migrate(self, key: str, target: Node, batch: int = 1) -> Iterator[int]:
        """Move the slot of a key to another master, so many keys at a time.

        Yields after each batch how many keys it moved, so that a test decides what happens in between.
        """
        slot, source = key_slot(key.encode()), self.master_of(key)
        target.do("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.do("CLUSTER SETSLOT", slot, "MIGRATING", target.id)
        while True:
            keys = source.do("CLUSTER GETKEYSINSLOT", slot, batch)
            if not keys:
                break
            source.do("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
            yield len(keys)
        for node in (target, source, *(each for each in self.masters() if each not in (target, source))):
            node.do("CLUSTER SETSLOT", slot, "NODE", target.id)

    def client(self) -> redis.RedisCluster:
        """A client of a test's own."""
        return redis.RedisCluster("127.0.0.1", next(self.alive()).port, decode_responses=True)

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of an application whose jobs are here."""
        return {
            "QUEUES_CACHE_TYPE": "RedisClusterCache",
            "QUEUES_CACHE_REDIS_CLUSTER": ",".join(f"127.0.0.1:{node.port}" for node in self.nodes),
        }

    def empty(self) -> None:
        """Throw away everything that is in it."""
        for master in self.masters():
            master.empty()

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
