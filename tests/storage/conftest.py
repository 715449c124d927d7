"""What the tests of the storage stand on: each engine in a folder of its own, opened twice."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_queues.storage import Storage

pytest.register_assert_rewrite("tests.storage.contract", "tests.storage.model", "tests.storage.processes")

from .engines import ENGINES, Clock, Engine  # noqa: E402 - after the registration above


@pytest.fixture(params=ENGINES, ids=lambda kind: kind.name)
def engine(request, tmp_path: Path) -> Engine:
    """One engine of the list, on an empty place."""
    made: Engine = request.param(tmp_path)
    return made


@pytest.fixture(autouse=True)
def processes_see_the_jobs(request: pytest.FixtureRequest) -> None:
    """A test that takes the engine itself hands it to other processes."""
    if "engine" in inspect.signature(request.function).parameters:
        engine: Engine = request.getfixturevalue("engine")
        if not engine.shared:
            pytest.skip(f"the jobs of this engine ({engine.name}) are private to one process")


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
