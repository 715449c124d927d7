"""A Redis with a replica, and three Sentinels that make the replica master when the master is gone."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import redis

from tests.support.site import eventually

from .redis_server import RedisServer

#: The name under which the Sentinels know the master.
NAME = "jobs"
#: Milliseconds: how long a master may be silent, and how long a failover may take before another is tried.
DOWN_AFTER = 500
FAILOVER_TIMEOUT = 3_000
#: Sentinels hear of each other in seconds; tests have less time. Milliseconds. (Not "ping-period": a replica
#: whose INFO is older than five of these is not made master, and in a failover INFO comes once a second.)
HASTE = ("info-period", 200, "publish-period", 200, "ask-period", 200)


class SentinelProcess(RedisServer):
    """One Sentinel, which agrees with one other of three on what is down."""

    def __init__(self, folder: Path, master: int) -> None:
        super().__init__(folder)
        self.master = master

    def arguments(self) -> list[str]:
        """A Sentinel writes into its configuration, so it has a file."""
        file = self.folder / "sentinel.conf"
        if not file.exists():
            file.write_text(
                f"bind 127.0.0.1\ndir {self.folder}\nsentinel monitor {NAME} 127.0.0.1 {self.master} 2\n"
                f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}\n"
                f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT}\n"
            )
        return [str(file), "--sentinel", "--port", str(self.port)]

    def hasten(self) -> None:
        """Have it look around more often."""
        with self.client() as client:
            client.execute_command("SENTINEL", "DEBUG", *HASTE)

    def named(self) -> int:
        """The port of the server that it takes for the master."""
        with self.client() as client:
            return int(client.sentinel_get_master_addr_by_name(NAME)[1])

    def knows(self) -> tuple[int, int]:
        """How many other Sentinels and how many replicas it knows."""
        with self.client() as client:
            state = client.sentinel_master(NAME)
        return int(state["num-other-sentinels"]), int(state["num-slaves"])


class Sentinel:
    """All five of them; options are those of the two Redis. A context manager."""

    def __init__(self, folder: Path, **options: object) -> None:
        quick = {"repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1, "repl-timeout": 5}
        self.folder = folder
        self.first = RedisServer(folder / "first", **quick, **options)
        self.second = RedisServer(folder / "second", **quick, **options)
        self.sentinels: list[SentinelProcess] = []
        self._running: ExitStack | None = None

    def __getstate__(self) -> dict[str, Any]:
        """In another process they may be asked, not ended."""
        return {**self.__dict__, "_running": None}

    def start(self) -> None:
        """Start them and wait until a failover would work."""
        with ExitStack() as stack:
            stack.enter_context(self.first)
            self.second.options["replicaof"] = f"127.0.0.1 {self.first.port}"
            stack.enter_context(self.second)
            for n in range(3):
                sentinel = SentinelProcess(self.folder / f"sentinel-{n}", self.first.port)
                self.sentinels.append(stack.enter_context(sentinel))
                sentinel.hasten()
            self.wait_until_whole()
            self._running = stack.pop_all()

    def wait_until_whole(self) -> None:
        """Wait until the replica has everything and each Sentinel knows all others."""
        eventually(lambda: self.in_step(), what="The replica's first copy")
        eventually(lambda: all(each.knows() == (2, 1) for each in self.sentinels), what="The Sentinels' agreement")

    def in_step(self) -> bool:
        """Whether the replica is connected to the master."""
        try:
            with self.replica.client() as client:
                state = client.info("replication")
        except redis.RedisError:
            return False
        return bool(state["role"] == "slave" and state["master_link_status"] == "up")

    def stop(self) -> None:
        """End all of them."""
        if self._running is not None:
            self._running.close()

    @property
    def master(self) -> RedisServer:
        """Who is master, as the first Sentinel has it."""
        return self.first if self.first.port == self.sentinels[0].named() else self.second

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        return self.second if self.master is self.first else self.first

    def kill_master(self) -> RedisServer:
        """Kill the master; returns it. The replica takes over in one or two seconds."""
        master = self.master
        master.kill()
        return master

    def wait_for_failover(self, gone: RedisServer) -> None:
        """Wait until another than this one is master, for every Sentinel and for itself."""
        eventually(lambda: gone.port not in {each.named() for each in self.sentinels}, what="The failover")
        with self.master.client() as client:
            eventually(lambda: client.info("replication")["role"] == "master", what="The promotion")

    def client(self) -> redis.Redis:
        """A client of the master of now."""
        return self.master.client()

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of an application whose jobs are here."""
        return {
            "QUEUES_CACHE_TYPE": "RedisSentinelCache",
            "QUEUES_CACHE_REDIS_SENTINELS": [["127.0.0.1", each.port] for each in self.sentinels],
            "QUEUES_CACHE_REDIS_SENTINEL_MASTER": NAME,
        }

    def empty(self) -> None:
        """Throw away everything that is in it."""
        self.master.empty()

    def __enter__(self) -> Sentinel:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
