"""More jobs than a request should change: a job of ours does it, in a worker, and its page says how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

from ..errors import Retry
from ..job import Job
from ..manager import current_queues
from ..pushing.intake import spread_out
from ..record import JobRecord, Status, to_milliseconds
from . import access, reads
from .address import filters_of
from .deeds import ACTIONS, AT_ONCE, Action, Chosen, do, named

#: What may be repeated where a worker dies in the middle; pushing again may not.
ACTS = ("retry", "run", "cancel", "delete")
#: Jobs that are changed between two looks at whether the worker is to stop.
SLICE = 100
#: A run lasts no longer (s); the next goes on with what is left.
RUN, SPARE = 3600, 600


class ChangeMany(Job):
    """Retries, runs, cancels or deletes all jobs that match, for a person who asked for it in the panel.

    A run that breaks off is begun again with those jobs that are left: what was changed has left its status. Jobs
    that came after the person asked are left alone.
    """

    type = "queues:change-many"
    name = "Change many jobs"
    priority = 100
    timeout = RUN
    backoff = 10

    @staticmethod
    def authorize(_user: Any, _payload: dict[str, Any]) -> bool:
        """In a request only whoever may change jobs in the panel may push it."""
        return access.may_change()

    def handle(
        self,
        action: Literal["retry", "run", "cancel", "delete"],
        status: str,
        until: int,
        who: str,
        total: int | None = None,
        filters: dict[str, str] | None = None,
        spread: float = 0,
    ) -> int:
        """Do it; returns how many jobs were changed in this run."""
        began, changed = time.monotonic(), 0
        ids = matching(Status(status), filters or {}, until)
        delays = spread_out(spread) if spread else None
        try:
            while chunk := list(islice(ids, SLICE)):
                changed += len(do(ACTIONS[action], chunk, who, delays)[0])
                self.progress(100 * changed / max(total or 0, changed) if changed else 0)
                if self.stopping or time.monotonic() - began > RUN - SPARE:
                    raise Retry(0)
        finally:
            if changed:
                current_queues.note_act(who, action, *named(filters or {}), changed)
        return changed


def matching(status: Status, filters: dict[str, str], until: int) -> Iterator[str]:
    """The ids of all jobs that match and were in this status already at that moment; this one is not among them."""
    for record in current_queues.every(statuses=[status], **filters_of(filters)._asdict()):
        if came(record) <= until and record.type != ChangeMany.type:
            yield record.id


def came(record: JobRecord) -> int:
    """Since when a job is where it is; of one that waits, when it was pushed."""
    return to_milliseconds(record.finished or record.created)


def is_for_a_worker(action: Action, jobs: Chosen) -> bool:
    """Whether so many jobs match that a worker is to do it, and one runs that can.

    Where a job type has its own word on who may retry it, the person has to be there: it is done in requests.
    """
    if not jobs.every or jobs.status is None or action.name not in ACTS:
        return False
    if action.name == "run" and jobs.status is Status.PENDING:
        return False  # they stay pending, and a run that is begun again could not tell which were put first
    if jobs.number is not None and jobs.number <= AT_ONCE:
        return False
    return not (action.name in ("retry", "run") and asks_who(jobs.status, jobs.filters.type)) and has_worker()


def asks_who(status: Status, only: str | None) -> bool:
    """Whether a job type that may be among them says itself who may retry it."""
    types = {only} if only else {type_ for _, type_, name in current_queues.counts().cells if name == status.value}
    known = (current_queues.jobs[type_] for type_ in types if type_ in current_queues.jobs)
    return any(job_type.authorize is not None for job_type in known)


def has_worker() -> bool:
    """Whether a worker would begin with it now."""
    fleet, queue = reads.Fleet.of(current_queues), current_queues.config.default
    paused = any(pause.queue == queue or pause.type == ChangeMany.type for pause in current_queues.pauses())
    return bool(fleet.knows(ChangeMany.type) and fleet.listen_to(queue) and not paused)


def push(action: Action, jobs: Chosen, spread: int = 0) -> str:
    """Push the job that does it; returns its id."""
    assert jobs.status is not None
    payload = {
        "action": action.name,
        "status": jobs.status.value,
        "until": to_milliseconds(current_queues.now()),
        "who": access.name_of_person(),
        "total": jobs.number,
        "filters": jobs.filters.given,
        **({"spread": spread} if spread else {}),
    }
    return current_queues.push(ChangeMany, payload, queue=current_queues.config.default, after_commit=False).id
