"""What the tests of the storage stand on: each engine in a folder of its own, opened twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_queues.storage import Storage
from flask_queues.testing.storage import Clock, Engine
from tests.support.servers.redis_server import RedisServer

from .engines import ENGINES, ServedEngine


def parameter(kind: type[Engine]) -> Any:
    """What pytest is told of an engine."""
    return pytest.param(kind, id=kind.name, marks=[pytest.mark.servers] if issubclass(kind, ServedEngine) else [])


@pytest.fixture(params=map(parameter, ENGINES))
def engine(request, tmp_path: Path) -> Engine:
    """One engine of the list, on an empty place."""
    kind: type[Engine] = request.param
    if issubclass(kind, ServedEngine):
        return kind(tmp_path, request.getfixturevalue("servers").empty(kind.kind))
    return kind(tmp_path)


@pytest.fixture
def storage(engine: Engine) -> Iterator[Storage]:
    """The storage under test."""
    opened = engine.open()
    yield opened
    opened.close()


@pytest.fixture
def other(engine: Engine) -> Iterator[Storage]:
    """The same jobs, opened as another process would."""
    opened = engine.open()
    yield opened
    opened.close()


@pytest.fixture
def clock(engine: Engine) -> Iterator[Clock]:
    """The storage's clock."""
    with engine.clock() as clock:
        yield clock


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests of a file."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running_server: RedisServer) -> RedisServer:
    """That Redis, empty."""
    running_server.empty()
    return running_server
