"""The part of the contract by which work is measured: what has ended, and where the sums of it are kept."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..payload import MARK
from ..record import JobRecord, Status

#: Sheets whose names begin so list ids and nothing else of interest.
LISTS = "batches:"
#: The names of sheets that are never encrypted: they hold nothing but ids, names, keys, times and numbers, as stand
#: open with jobs too. So every process reads and writes them, whatever its keys: no figures are torn between two
#: workers while keys are changed, and none ends the pause of another's breaker.
PLAIN = re.compile(rf"{LISTS}.*|index|totals|\d{{1,3}}:\d{{1,9}}|alerts|retention|pushes:\d+|breaker:.*|asides")


class Ended(NamedTuple):
    """The jobs that came to their end within a time."""

    #: How many, by queue, job type and status.
    counts: dict[tuple[str, str, Status], int]
    #: Some of them, evenly chosen, each with the number of jobs for which it stands.
    sample: list[tuple[JobRecord, int]]


class Measuring(ABC):
    """The part of the storage contract by which work is measured."""

    @abstractmethod
    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Look which jobs came to their end from one moment on and before another, and read about `sample` of them.

        Only jobs that are still stored and still ended are found. It costs what it finds.
        """

    @abstractmethod
    def oldest(self) -> dict[str, int]:
        """By queue: when that of its claimable jobs was due which has waited longest; costs the same for any number."""

    @abstractmethod
    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """The texts that are kept under these names, where there are any.

        Where something else has written bytes that are no text, they stand in it as halves of surrogate pairs, as
        `surrogateescape` has it; `write_sheets` knows them again.
        """

    @abstractmethod
    def sheet_names(self) -> list[str]:
        """The names of all sheets."""

    @abstractmethod
    def write_sheets(self, seen: tuple[str, str | None], sheets: Mapping[str, str | None]) -> bool:
        """Keep texts under names, or delete them, in one step, if one sheet still says what was seen of it.

        False, and nothing is changed, where it says something else by now. Sheets stay where they are
        when jobs move to another storage.
        """


def legible(text: str | None) -> str | None:
    """The text of a sheet; None where there is none, or it is encrypted and nobody here can read it."""
    return None if text is None or text.startswith(f'{{"{MARK}"') else text


def every(total: int, sample: int) -> int:
    """Which of so many are chosen: one of so many."""
    return max(1, -(-total // max(1, sample)))
