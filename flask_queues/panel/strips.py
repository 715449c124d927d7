"""The last occurrences of a schedule as a strip of marks: which came about, which were left out, whose jobs failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import NamedTuple

from ..manager import Manager
from ..record import Counts, Status
from ..scheduler import ScheduleRecord
from .language import ngettext

#: Occurrences on a strip, and failed jobs that are looked through for theirs, of each queue and job type.
LAST, FAILED = 30, 100
#: The middle of a mark, of which all stand on one line: those that failed are 16 pixels high, the others 10.
MIDDLES = {"fired": 11, "failed": 8, "left_out": 11}
#: Pixels from the left side of a mark to that of the next.
STEP = 5


class Strip(NamedTuple):
    """What a strip shows, newest at the right: a path for each kind of mark, whose dashes are the marks."""

    fired: str
    failed: str
    left_out: str
    #: The same in words.
    text: str


def strips_of(manager: Manager, counts: Counts, records: Sequence[ScheduleRecord]) -> dict[str, Strip]:
    """The strip of each schedule by name: a read for the occurrences of each, and one for each kind of failed jobs."""
    failed = failed_jobs(manager, counts, {(record.queue, record.type) for record in records})
    past = manager.scheduler.outcomes([record.name for record in records], LAST)
    return {name: strip_of([job for _, job in lines], failed) for name, lines in past.items() if lines}


def failed_jobs(manager: Manager, counts: Counts, kinds: Collection[tuple[str, str]]) -> set[str]:
    """The ids of the newest failed jobs of each queue and type, where there are any."""
    pages = [
        manager.jobs_of(queue=queue, type=type_, statuses=[Status.FAILED], limit=FAILED)
        for queue, type_ in sorted(kinds)
        if counts.cells.get((queue, type_, Status.FAILED.value))
    ]
    return {record.id for page in pages for record in page.jobs}


def strip_of(jobs: Sequence[str | None], failed: Collection[str]) -> Strip:
    """Draw a strip of the jobs of occurrences, the last decided first; of what was left out there is none."""
    kinds = ["left_out" if job is None else "failed" if job in failed else "fired" for job in reversed(jobs)]
    paths: dict[str, list[str]] = {"fired": [], "failed": [], "left_out": []}
    x = (LAST - len(kinds)) * STEP
    for kind, run in groupby(kinds):
        length = len(list(run)) * STEP
        paths[kind].append(f"M{x} {MIDDLES[kind]}h{length - 1}")
        x += length
    drawn = {kind: "".join(found) for kind, found in paths.items()}
    return Strip(**drawn, text=in_words(len(kinds), kinds.count("failed"), kinds.count("left_out")))


def in_words(number: int, failed: int, left_out: int) -> str:
    """How many of each kind there are."""
    parts = [
        ngettext("%(n)s occurrence", "%(n)s occurrences", number),
        *([ngettext("%(n)s failed", "%(n)s failed", failed)] if failed else []),
        *([ngettext("%(n)s left out", "%(n)s left out", left_out)] if left_out else []),
    ]
    return ", ".join(parts)
