"""One Redis, or a server that speaks like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .process import Server


class RedisServer(Server):
    """A Redis that keeps nothing on disk unless it is told to; options are those of redis.conf.

    RedisServer(folder, appendonly="yes", requirepass="secret", maxmemory="3mb")
    """

    program = "redis-server"

    def __init__(self, folder: Path, **options: object) -> None:
        super().__init__(folder)
        #: Read at each start, so a test may change them for the next one.
        self.options: dict[str, object] = {"save": "", "appendonly": "no", **options}

    def arguments(self) -> list[str]:
        """All options on the command line."""
        own = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "daemonize": "no", **self.options}
        return [word for name, value in own.items() for word in (f"--{name.replace('_', '-')}", str(value))]

    def answers(self) -> bool:
        """Whether it lets us in and has read what it had kept."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    @property
    def password(self) -> str | None:
        """The one it asks for."""
        found = self.options.get("requirepass")
        return None if found is None else str(found)

    def client(self, **options: Any) -> redis.Redis:
        """A client of a test's own, without retries."""
        given = {"socket_timeout": 5, "password": self.password, "decode_responses": True, **options}
        return redis.Redis("127.0.0.1", given.pop("port", self.port), retry=Retry(NoBackoff(), 0), **given)

    def url(self, database: int = 0) -> str:
        """Where it is, for a configuration."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/{database}"

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of an application whose jobs are here."""
        return {"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_URL": self.url()}

    def empty(self) -> None:
        """Throw away everything that is in it."""
        with self.client() as client:
            client.flushall()


class ValkeyServer(RedisServer):
    """A Valkey, which Redis's clients speak to."""

    program = "valkey-server"
