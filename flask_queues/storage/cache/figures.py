"""What has ended within a time, and the sheets on which the sums of it are kept."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from ..figures import Ended, every
from .job import CANCELLED, COMPLETED, FAILED, STATUSES, Job
from .reading import record_of
from .shelves import Shelves
from .state import State


def ended(shelves: Shelves, since: int, until: int, sample: int) -> Ended:
    """Look into each list of ended jobs."""
    counts: dict[Any, int] = {}
    jobs: list[Job] = []
    for (queue, type_, number), line in shelves.lists.items():
        if number in (COMPLETED, FAILED, CANCELLED):
            found = [place[-1] for place in line[bisect_left(line, (since,)) : bisect_left(line, (until,))]]
            if found:
                counts[queue, type_, STATUSES[number]] = len(found)
                jobs += found
    step = every(len(jobs), sample)
    return Ended(counts, [(record_of(job), step) for job in jobs[::step]])


def write(state: State, name: str, text: str | None, texts: dict[str, str | None]) -> bool:
    """Write sheets, unless one was changed."""
    if state.sheets.get(name) != text:
        return False
    for changed, now in texts.items():
        if now is None:
            state.sheets.pop(changed, None)
        else:
            state.sheets[changed] = now
    return True
