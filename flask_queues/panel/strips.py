"""The last occurrences of a schedule as a strip of marks: which came about, which were left out, whose jobs failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..manager import Manager
from ..record import Counts, Status
from ..scheduler import OccurrenceRecord, ScheduleRecord
from .language import ngettext

#: Occurrences on a strip, and failed jobs that are looked through for theirs, of each queue and job type.
LAST, FAILED = 30, 100
#: Of a mark, in pixels: from its left side to that of the next, its width, its height, and that of a failed one.
STEP, WIDTH, LOW, HIGH = 5, 4, 10, 16


class Strip(NamedTuple):
    """What a strip shows, newest at the right; the paths of each kind of mark are one."""

    fired: str
    failed: str
    left_out: str
    #: The same in words.
    text: str


def strips_of(manager: Manager, counts: Counts, records: Sequence[ScheduleRecord]) -> dict[str, Strip]:
    """The strip of each schedule by name: a read for the occurrences of each, and one for each kind of failed jobs."""
    failed = failed_jobs(manager, counts, {(record.queue, record.type) for record in records})
    past = manager.scheduler.histories([record.name for record in records], LAST)
    return {name: strip_of(lines, failed) for name, lines in past.items() if lines}


def failed_jobs(manager: Manager, counts: Counts, kinds: Collection[tuple[str, str]]) -> set[str]:
    """The ids of the newest failed jobs of each queue and type, where there are any."""
    pages = [
        manager.jobs_of(queue=queue, type=type_, statuses=[Status.FAILED], limit=FAILED)
        for queue, type_ in sorted(kinds)
        if counts.cells.get((queue, type_, Status.FAILED.value))
    ]
    return {record.id for page in pages for record in page.jobs}


def strip_of(lines: Sequence[OccurrenceRecord], failed: Collection[str]) -> Strip:
    """Draw a strip of occurrences, the last decided first."""
    paths: dict[str, list[str]] = {"fired": [], "failed": [], "left_out": []}
    for n, line in enumerate(lines[:LAST]):
        kind = "left_out" if line.job is None else "failed" if line.job in failed else "fired"
        paths[kind].append(mark((LAST - 1 - n) * STEP, HIGH if kind == "failed" else LOW))
    drawn = {kind: "".join(reversed(found)) for kind, found in paths.items()}
    return Strip(**drawn, text=in_words({kind: len(found) for kind, found in paths.items()}))


def mark(x: int, height: int) -> str:
    """A mark as part of a path; all of them stand on one line."""
    return f"M{x} {HIGH - height}h{WIDTH}v{height}h-{WIDTH}z"


def in_words(numbers: dict[str, int]) -> str:
    """How many of each kind there are."""
    failed, left_out = numbers["failed"], numbers["left_out"]
    parts = [
        ngettext("%(n)s occurrence", "%(n)s occurrences", sum(numbers.values())),
        *([ngettext("%(n)s failed", "%(n)s failed", failed)] if failed else []),
        *([ngettext("%(n)s left out", "%(n)s left out", left_out)] if left_out else []),
    ]
    return ", ".join(parts)
