"""Connections that broke or never came about: nothing of them may wait for a full garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis._parsers.base import BaseParser
from redis.connection import AbstractConnection, Connection
from redis.exceptions import RedisError

from flask_queues.storage import Storage
from flask_queues.storage.redis.connection import Settings
from flask_queues.storage.values import Wanted
from tests.support.redis_jobs import opened
from tests.support.servers.process import free_port
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.servers

TIMES = 5
WANTED = Wanted(["q"], ["t"], 30, 1)


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """As in a child whose jobs leave too little behind for the collector to run."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> set[int]:
    """What is held of connections, whether anybody can still reach it or not."""
    return {id(one) for one in gc.get_objects() if isinstance(one, (AbstractConnection, BaseParser))}


def errors() -> int:
    """How many errors of redis-py are held."""
    return sum(isinstance(one, RedisError) for one in gc.get_objects())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def storage(server: RedisServer) -> Iterator[Storage]:
    """The storage on it, which has a connection."""
    made = opened(server.settings)
    made.step("w", [], WANTED)
    yield made
    made.close()


def test_broken_connections_leave_nothing_behind(server, storage):
    """The server breaks the connection again and again, and has forgotten the scripts each time."""
    with server.client() as client:
        client.ping()
        before = len(left())
        for _ in range(TIMES):
            client.client_kill_filter(_type="normal", skipme=True)
            client.script_flush()
            storage.step("w", [], WANTED)
            assert len(left()) == before


def test_errors_that_a_server_answers_are_not_kept(server, storage):
    """Neither the error nor what was on the stack when it was read."""
    with server.client() as client:
        client.ping()
        before = errors()
        for _ in range(TIMES):
            client.script_flush()
            storage.step("w", [], WANTED)
        assert errors() == before


def test_refused_connections_leave_nothing_behind():
    """Nobody listens, as while the server is away."""
    settings = Settings(Connection, {})
    before = left()
    for _ in range(TIMES):
        with pytest.raises(RedisError):
            settings.connect(("127.0.0.1", free_port()))
    assert left() <= before


def test_the_frames_of_an_error_that_was_being_handled_are_kept():
    """An error of the job's own, whose handler meets a server that is away, is still to be reported with its locals."""
    with pytest.raises(OSError, match="of the job") as raised:
        reports()
    assert raised.traceback[-1].frame.f_locals == {"word": "of the job"}


def reports() -> None:
    """Do as a job whose error handler needs the server."""
    try:
        fails("of the job")
    except OSError:
        with pytest.raises(RedisError):
            Settings(Connection, {}).connect(("127.0.0.1", free_port()))
        raise


def fails(word: str) -> None:
    """Fail as a job does."""
    raise OSError(word)
