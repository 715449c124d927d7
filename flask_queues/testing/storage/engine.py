"""How the suite reaches a storage: what an author of an engine subclasses, and the clock that it goes by."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...storage import Storage


class Clock:
    """The storage's clock, where nobody can set it: letting time pass means waiting."""

    #: Whether `advance` alone moves it, so that a test may let hours pass and knows each moment.
    frozen = False

    def now(self) -> int:
        """The storage's time in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        time.sleep(milliseconds / 1000)


class FrozenClock(Clock):
    """A clock that stands still until it is told to move on."""

    frozen = True

    def __init__(self) -> None:
        self._now = time.time_ns() // 1_000_000
        self._offset = self._now - time.monotonic_ns() // 1_000_000

    def now(self) -> int:
        """The time of day."""
        return self._now

    def steady(self) -> int:
        """The clock of leases: another zero, the same pace."""
        return self._now - self._offset

    def advance(self, milliseconds: int) -> None:
        """Move on."""
        self._now += milliseconds


@dataclass(frozen=True)
class Engine(ABC):
    """How to open one kind of storage; handed to other processes, so it must pickle."""

    #: Stands in the names of the tests.
    name: ClassVar[str]
    #: Whether other processes see its jobs; tests that start some are skipped where they do not.
    shared: ClassVar[bool] = True
    #: An empty folder of this test's own.
    place: Path

    @abstractmethod
    def open(self) -> Storage:
        """Open the jobs at this place, each time with an object of its own, as another process would."""

    @abstractmethod
    def become_newer(self) -> None:
        """Leave the storage as a newer version of its engine might, in a format that this one cannot read."""

    def remove(self) -> None:
        """Throw the place away, with everything that is in it; the model makes a new one for each of its runs."""
        shutil.rmtree(self.place)

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """The clock of every storage that this process opens here, set by us where it can be."""
        yield Clock()
