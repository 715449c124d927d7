"""Jobs that wait for ever, since no worker that runs has the code of their type."""

from __future__ import annotations

from collections.abc import Sequence

from ..record import Counts, Status, WorkerRecord

WAITING = (Status.PENDING.value, Status.SCHEDULED.value)
#: Types that a line names; of more, it says how many.
FEW = 4


def of_unknown_types(counts: Counts, workers: Sequence[WorkerRecord]) -> dict[str, int]:
    """How many jobs wait, by type, in queues that these workers serve without knowing the type."""
    jobs: dict[str, int] = {}
    for (queue, type_, status), n in counts.cells.items():
        if status not in WAITING or n <= 0:
            continue
        serving = [worker for worker in workers if worker.serves(queue)]
        if serving and not any(type_ in worker.types for worker in serving):
            jobs[type_] = jobs.get(type_, 0) + n
    return jobs


def in_words(jobs: dict[str, int]) -> str:
    """Say so, and what to do, in a line of a worker."""
    names = ", ".join(sorted(jobs)[:FEW]) + (f" and {len(jobs) - FEW} more" if len(jobs) > FEW else "")
    number = sum(jobs.values())
    return (
        f"{number:,} job{'' if number == 1 else 's'} of type {names}: no worker that serves their queue knows it. "
        "Import the module that defines it where the application is made, and restart the worker."
    )
