"""Flask-Queues on Redis, or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from redis import Redis

from flask_queues.manager import Manager
from flask_queues.worker import pace

from ..ours import ONE_BY_ONE, noop, queues, start
from ..system import TEXT
from .peer import URL, Peer


def create_app(urls: str | None = None) -> Flask:
    """Make an application whose jobs are on the server, or on the nodes; a worker finds them in its environment."""
    if os.environ.get(ONE_BY_ONE):
        pace.AHEAD_CLAIMS = 1
    nodes = (urls or os.environ[URL]).split(",")
    app = Flask("benchmarks")  # its name stands in every key
    if len(nodes) > 1:
        app.config["QUEUES_CACHE_TYPE"] = "RedisClusterCache"
        app.config["QUEUES_CACHE_REDIS_CLUSTER"] = ",".join(urlsplit(node).netloc for node in nodes)
    else:
        app.config["QUEUES_CACHE_TYPE"] = "RedisCache"
        app.config["QUEUES_CACHE_REDIS_URL"] = nodes[0]
    queues.init_app(app)
    return app


class Ours(Peer):
    """One child, which claims up to 32 jobs at a time while they take less than a millisecond."""

    name = "Flask-Queues"
    keeps = "record with its history kept for 24 h, counts, lease; a log line a job"
    processes = 1

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self.app = create_app(url)

    @property
    def manager(self) -> Manager:
        """The application's queues."""
        manager: Manager = self.app.extensions["queues"]
        return manager

    def push(self) -> None:
        """Push one no-op."""
        self.manager.push(noop, {"text": TEXT})

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self.manager.push(start, {"number": number, "text": TEXT})

    def fill(self, jobs: int) -> None:
        """Push many at once."""
        self.manager.push_many((noop, {"text": TEXT}) for _ in range(jobs))

    def fill_queues(self, names: Sequence[str], jobs: int) -> None:
        """Push as many to each of these queues."""
        for name in names:
            self.manager.push_many(((noop, {"text": TEXT}) for _ in range(jobs)), queue=name)

    def command(self) -> list[str]:
        """`flask queues work`, with all its defaults but the number of processes."""
        processes = ["--processes", str(self.processes)]
        return ["-m", "flask", "--app", "benchmarks.redis.with_ours:create_app", "queues", "work", *processes]

    def waiting(self, client: Redis) -> int:
        """What waits, what has its time before it and what runs: on a cluster of all queues, as the panel counts."""
        if "," in self.url:
            statuses = self.manager.counts().statuses
            return sum(statuses[name] for name in ("pending", "running", "scheduled"))
        partition = f"{{queues:{self.app.name}:default:0}}:"
        pipeline = client.pipeline(transaction=False)
        pipeline.zcard(f"{partition}ready")
        pipeline.zcard(f"{partition}due")
        pipeline.hlen(f"{partition}run")
        return sum(int(n) for n in pipeline.execute())

    def close(self) -> None:
        """Let go of the connections."""
        self.manager.storage.close()


class OneByOne(Ours):
    """One child that claims strictly one by one, as it does with jobs that are not short."""

    name = "Flask-Queues, one by one"
    keeps = "the same"

    def surroundings(self) -> dict[str, str]:
        """Say so to the worker."""
        return {ONE_BY_ONE: "yes"}


class TwoProcesses(Ours):
    """Two children."""

    processes = 2
