"""What has ended within a time, and the sheets on which the sums of it are kept."""

from __future__ import annotations

from bisect import bisect_left
from hashlib import blake2b
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


def digest(text: str | None) -> str:
    """What an entry says for the text that was seen, so that it need not hold all of it."""
    return "" if text is None else blake2b(text.encode(errors="surrogateescape"), digest_size=12).hexdigest()


def write(state: State, name: str, seen: str, texts: dict[str, str | None]) -> bool:
    """Write sheets, unless one was changed."""
    if digest(state.sheets.get(name)) != seen:
        return False
    for changed, now in texts.items():
        if now is None:
            state.sheets.pop(changed, None)
        else:
            state.sheets[changed] = now
    return True
