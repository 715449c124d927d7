"""The storage of a fake keeps the contract of every engine, by the clock of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from cachelib import SimpleCache

from flask_queues.storage import Storage
from flask_queues.testing.clock import Clock
from flask_queues.testing.memory import MemoryStorage
from flask_queues.testing.storage import Clock as SuiteClock
from flask_queues.testing.storage import StorageContract
from tests.storage.engines import OnCache


class Moved(SuiteClock):
    """A test's clock, as the suite moves it."""

    frozen = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> int:
        """The time in milliseconds since 1970."""
        return self._clock.milliseconds

    def advance(self, milliseconds: int) -> None:
        """Move on."""
        self._clock.move(milliseconds / 1000)


class FakeEngine(OnCache):
    """The memory of a fake; one clock for all that is opened anywhere."""

    name = "fake"
    shared = False
    _caches: ClassVar[dict[Path, SimpleCache]] = {}
    _clock: ClassVar[Clock] = Clock()

    def open(self) -> Storage:
        """Use the memory of this place once more."""
        return MemoryStorage(self._clock, cache=self._caches.setdefault(self.place, SimpleCache()))

    @contextmanager
    def clock(self) -> Iterator[SuiteClock]:
        """The clock that it goes by."""
        yield Moved(self._clock)


class TestTheStorageOfAFake(StorageContract):
    """Every promise."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> FakeEngine:
        """A place of this test's own."""
        return FakeEngine(tmp_path)
