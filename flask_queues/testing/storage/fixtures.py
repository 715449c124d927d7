"""What every test of the suite is given, made from the fixture `engine`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from ...storage import Storage
from .engine import Clock, Engine


class OpenedTwice:
    """The storage under test, opened by two processes, and its clock."""

    @pytest.fixture(autouse=True)
    def seen_by_processes(self, request: pytest.FixtureRequest, engine: Engine) -> None:
        """A test that takes the engine itself hands it to other processes."""
        if not engine.shared and "engine" in inspect.signature(request.function).parameters:
            pytest.skip(f"the jobs of this engine ({engine.name}) are private to one process")

    @pytest.fixture
    def storage(self, engine: Engine) -> Iterator[Storage]:
        """The storage under test."""
        opened = engine.open()
        yield opened
        opened.close()

    @pytest.fixture
    def other(self, engine: Engine) -> Iterator[Storage]:
        """The same jobs, opened as another process would."""
        opened = engine.open()
        yield opened
        opened.close()

    @pytest.fixture
    def clock(self, engine: Engine) -> Iterator[Clock]:
        """The storage's clock."""
        with engine.clock() as clock:
            yield clock
