"""A worker before a storage that a newer version has written to: it says so and ends, on every engine."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from flask_queues import Status
from flask_queues.storage import CacheStorage, SQLiteStorage
from flask_queues.storage.cache.archive import POINTER
from flask_queues.storage.redis import RedisStorage
from flask_queues.storage.redis.calls import Command
from tests.support.site import Site


@pytest.fixture
def site(make_site: Callable[..., Site], place: dict[str, Any]) -> Site:
    """A sample application whose jobs are on one kind of storage."""
    return make_site(QUEUES_LEASE=2, **place)


def become_newer(site: Site) -> None:
    """Write the format of a version to come."""
    storage = site.manager.storage
    if isinstance(storage, SQLiteStorage):
        storage.close()
        with closing(sqlite3.connect(site.database)) as connection:
            connection.execute("PRAGMA user_version=99")
    elif isinstance(storage, CacheStorage):
        storage._port.put(POINTER, '[99,"newer",0]')
    else:
        assert isinstance(storage, RedisStorage)
        meta = storage._keys.root + "meta"
        storage._calls.ask(Command(meta, None, ["HSET", meta, "format", 99]))


def test_a_newer_storage_is_left_alone(site: Site) -> None:
    """A worker does not touch what a newer version has written; it names the version and ends."""
    site.push("add", {"a": 1})
    become_newer(site)
    worker = site.start()
    assert worker.wait() == 1
    assert "format 99" in worker.text
    assert "newer" in worker.text
    assert "Traceback" not in worker.text


@pytest.mark.parametrize("killed", [False, True])
def test_a_storage_that_becomes_newer_ends_the_worker(site: Site, killed: bool) -> None:
    """Its keeper sees it, or a fresh child: nothing is claimed from it any more, and there is no restart loop."""
    worker = site.work("--processes", "2", "--max-jobs", "1")
    assert site.ended(site.push("short")).status is Status.COMPLETED
    become_newer(site)
    for child in worker.session():
        if killed and child != worker.pid:
            os.kill(child, signal.SIGKILL)
    assert worker.wait() == 1
    assert "format 99" in worker.text
    assert worker.text.count("format 99") <= 4
