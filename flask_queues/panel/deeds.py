"""What can be done with jobs, in a request or by a worker for whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from ..errors import QueuesError, StorageError, TransitionError
from ..manager import Manager, current_queues
from ..record import Status
from . import access
from .listing import ORDERS, Filters, flags_of, order_of

#: Seconds over which retried jobs may be spread.
SPREADS = (60, 600, 3600)
#: Jobs that one request changes; what is left is a worker's, or the next request's.
AT_ONCE = 1000

#: What is offered in each row; the rest is on the job's own page and for checked rows.
IN_ROWS = {
    Status.PENDING: ("run", "cancel"),
    Status.RUNNING: ("cancel",),
    Status.SCHEDULED: ("run", "cancel"),
    Status.FAILED: ("retry", "delete"),
    Status.COMPLETED: ("push",),
    Status.CANCELLED: ("push",),
}


class Action(NamedTuple):
    """Something that can be done with a job."""

    name: str
    #: In which it is offered.
    statuses: tuple[Status, ...]
    #: Asks first.
    danger: bool
    #: Does it with a job, for the person of this name.
    act: Callable[[Manager, str, str], object]


def cancel(manager: Manager, job_id: str, who: str) -> None:
    """End it, and keep who did."""
    if not manager.cancel(job_id, f"cancelled by {who} in the panel"):
        raise TransitionError(f"Job {job_id} has ended.")


WAITING = (Status.PENDING, Status.SCHEDULED)
ACTIONS = {
    action.name: action
    for action in (
        Action("retry", (Status.FAILED,), False, lambda manager, job_id, _: manager.retry(job_id)),
        Action("run", WAITING, False, lambda manager, job_id, _: manager.hurry(job_id)),
        Action(
            "push", (Status.COMPLETED, Status.CANCELLED), False, lambda manager, job_id, _: manager.push_again(job_id)
        ),
        Action("cancel", (*WAITING, Status.RUNNING), True, cancel),
        Action(
            "delete",
            tuple(s for s in Status if s is not Status.RUNNING),
            True,
            lambda manager, job_id, _: manager.delete(job_id),
        ),
    )
}


def for_status(status: Status) -> list[Action]:
    """What can be done with a job in this status."""
    return [action for action in ACTIONS.values() if status in action.statuses]


class Chosen(NamedTuple):
    """The jobs that an action is asked for."""

    #: Named one by one; empty where all that match are meant.
    ids: tuple[str, ...]
    status: Status | None
    filters: Filters
    #: How many they are; None where no count is kept.
    number: int | None
    #: Whether all that match are meant.
    every: bool = False

    def walk(self, manager: Manager, *, as_listed: bool = False) -> Iterator[str]:
        """Their ids; of all that match in the usual order of their list, or else those first that came last."""
        if not self.every or self.status is None:
            return iter(self.ids)
        flags = flags_of(order_of(ORDERS[self.status][0], self.filters)) if as_listed else {}
        return (record.id for record in manager.every(statuses=[self.status], **self.filters._asdict(), **flags))


def do(
    action: Action, ids: Iterable[str], who: str | None = None, delays: Iterator[float] | None = None
) -> tuple[list[str], QueuesError | None]:
    """Act on each job; one that has changed its status meanwhile, or is gone, does not keep the others from it.

    With `delays` they are retried, each so many seconds later.
    """
    done: list[str] = []
    problem: QueuesError | None = None
    who = access.name_of_person() if who is None else who
    for job_id in ids:
        try:
            result = act(action, job_id, who, delays)
        except StorageError:
            raise
        except QueuesError as error:
            problem = error
        else:
            done.append(getattr(result, "id", job_id))
    return done, problem


def act(action: Action, job_id: str, who: str, delays: Iterator[float] | None) -> object:
    """Do it with one job, or retry that later."""
    if delays is None:
        return action.act(current_queues, job_id, who)
    current_queues.retry(job_id, next(delays))
    return None


def named(filters: Mapping[str, str]) -> tuple[str, str]:
    """How several jobs are called in the activity."""
    if set(filters) == {"cause"}:
        return "cause", filters["cause"]
    return "jobs", " ".join(f"{key}:{value}" for key, value in filters.items())
