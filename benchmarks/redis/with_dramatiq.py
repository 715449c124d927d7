"""Dramatiq: a list of ids, a hash of messages, a set of what each worker has fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from ..system import TEXT
from .jobs import noop, start
from .peer import URL, Peer


def make(url: str) -> tuple[Any, Any, Any]:
    """Make a broker with its default middleware, and its two actors."""
    broker = RedisBroker(url=url)
    return broker, dramatiq.actor(noop, broker=broker), dramatiq.actor(start, broker=broker)


#: What its worker imports.
broker = make(os.environ[URL])[0] if URL in os.environ else None


class Dramatiq(Peer):
    """One process with its eight threads, which fetches sixteen jobs at a time."""

    name = "Dramatiq"
    keeps = "job kept until it is done, no result, no log line"
    options: tuple[str, ...] = ()

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._broker, self._noop, self._start = make(url)

    def push(self) -> None:
        """Push one no-op."""
        self._noop.send(TEXT)

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""
        self._start.send(number, TEXT)

    def command(self) -> list[str]:
        """`dramatiq` with one process and all other defaults."""
        return ["-m", "dramatiq", "benchmarks.redis.with_dramatiq:broker", "--processes", "1", *self.options]

    def waiting(self, client: Redis) -> int:
        """The number of messages, which go when they are acknowledged."""
        return int(client.hlen("dramatiq:default.msgs"))

    def close(self) -> None:
        """Let go of the connections."""
        self._broker.close()


class OneThread(Dramatiq):
    """One thread, which fetches two jobs at a time: with one, it waits for the next."""

    name = "Dramatiq, one thread"
    keeps = "the same"
    options = ("--threads", "1")
