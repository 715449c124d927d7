"""What the tests of the storage stand on: each engine in a folder of its own, opened twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_queues.storage import Storage
from flask_queues.testing.storage import Clock, Engine

from .engines import ENGINES


@pytest.fixture(params=ENGINES, ids=lambda kind: kind.name)
def engine(request, tmp_path: Path) -> Engine:
    """One engine of the list, on an empty place."""
    made: Engine = request.param(tmp_path)
    return made


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
