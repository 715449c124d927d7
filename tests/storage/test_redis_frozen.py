"""Servers that are there and do not answer: a stopped process, whose kernel still takes what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_queues.errors import StorageUnavailable
from flask_queues.storage.redis import watcher as watching
from flask_queues.testing.storage.contract import take
from flask_queues.testing.storage.processes import eventually
from tests.support.redis_jobs import job, opened
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.sentinel import Sentinel

pytestmark = [pytest.mark.servers]


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Sentinel]:
    """A master, its replica and three Sentinels, for one test."""
    with Sentinel(tmp_path, **{"min-replicas-to-write": 0}) as sentinel:
        yield sentinel


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let watchers give a silent server up sooner than they notice that another has taken over."""
    monkeypatch.setattr(watching, "ASK_AFTER", 0.05)
    monkeypatch.setattr(watching, "GIVE_UP_AFTER", 0.1)


def test_the_next_sentinel_is_asked(sentinel: Sentinel) -> None:
    """One that is frozen, the first on the list, holds nobody up for long."""
    sentinel.sentinels[0].pause()
    try:
        storage = opened(sentinel.settings)
        assert storage.push([job()]) == [True]
        assert len(take(storage)) == 1
        storage.close()
    finally:
        sentinel.sentinels[0].resume()


def test_no_sentinel_answers(sentinel: Sentinel) -> None:
    """It is told in a sentence which were asked; where some are gone and some frozen, too."""
    first, second, third = sentinel.sentinels
    first.pause()
    second.kill()
    third.kill()
    try:
        with pytest.raises(StorageUnavailable, match=rf"No Sentinel answers at .*127\.0\.0\.1:{second.port}"):
            opened(sentinel.settings).counts()
    finally:
        first.resume()


def test_a_watcher_outlives_a_frozen_master(sentinel: Sentinel, impatient: None) -> None:
    """It listens to the one that has taken over, and hung at no moment."""
    storage = opened(sentinel.settings)
    watcher = storage.watcher()
    assert watcher.fileno() is not None
    gone = sentinel.master
    gone.pause()
    try:
        eventually(lambda: watcher.fileno() is None or watcher.changed(), "the silence is noticed")
        watcher.fileno()
        sentinel.wait_for_failover(gone)
        storage.push([job()])
        eventually(lambda: watcher.fileno() is not None, "it listens again")
        watcher.changed()
        storage.push([job("other")])
        eventually(watcher.changed, "the push is heard")
    finally:
        gone.resume()
    watcher.close()
    storage.close()


def test_a_watcher_outlives_a_frozen_server(tmp_path: Path, impatient: None) -> None:
    """Nobody takes over: it hears again when the same one wakes up."""
    with RedisServer(tmp_path) as server:
        storage = opened(server.settings)
        watcher = storage.watcher()
        assert watcher.fileno() is not None
        server.pause()
        eventually(lambda: watcher.changed() and watcher.fileno() is None, "it is given up")
        server.resume()
        eventually(lambda: watcher.fileno() is not None, "it listens again")
        watcher.changed()
        storage.push([job()])
        eventually(watcher.changed, "the push is heard")
        watcher.close()
        storage.close()
