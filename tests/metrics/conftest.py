"""A storage whose clock stands still until it is told to move on, and in which counting has begun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_queues.metrics.ledger import INDEX, MINUTE, Index
from flask_queues.storage import Storage
from flask_queues.testing.storage import Clock
from tests.storage.engines import SQLiteEngine

HOUR = 60 * MINUTE


@pytest.fixture
def engine(tmp_path: Path) -> SQLiteEngine:
    """A file in the test's folder."""
    return SQLiteEngine(tmp_path)


@pytest.fixture
def clock(engine: SQLiteEngine) -> Iterator[Clock]:
    """The storage's clock, at the beginning of an hour."""
    with engine.clock() as clock:
        clock.advance(2 * HOUR - clock.now() % (2 * HOUR))
        yield clock


@pytest.fixture
def storage(engine: SQLiteEngine, clock: Clock) -> Iterator[Storage]:
    """A storage in which counting has begun."""
    storage = engine.open()
    storage.write_sheets((INDEX, None), {INDEX: Index(clock.now(), {}).dump()})
    yield storage
    storage.close()
