"""What becomes of jobs that wait for each other: once there are enough of a group, they wait for their time no more."""

from __future__ import annotations

from bisect import bisect_left

from .job import PENDING
from .state import State


def join(state: State, queue: str, group: str, size: int) -> None:
    """One more of a group waits; if it makes the group complete, all that wait for a time still ahead are pending."""
    line = state.shelves.gathered[queue, group]
    first = bisect_left(line, (state.time + 1,))
    if len(line) - first < size:
        return
    for job in [place[-1] for place in line[first:]]:
        state.shelves.take(job)
        job.status = PENDING
        job.stamp = job.due = state.time
        state.shelves.put(job)
