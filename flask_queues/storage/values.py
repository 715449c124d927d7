"""What crosses the border of a storage: jobs on their way, claims, settlements, and what is asked and answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from ..record import LogLine, Memory, Outcome, Progress, Status
from .limits import Limit
from .unique import Unique


class Gather(NamedTuple):
    """A job waits for others, and all of them for its time at the longest: once there are enough, none waits."""

    #: What they have in common, in their queue.
    group: str
    #: So many are enough.
    size: int


class NewJob(NamedTuple):
    """A job on its way into the storage."""

    id: str
    queue: str
    type: str
    #: JSON text; the engine never looks inside.
    payload: str
    priority: int = 0
    #: From now on; ignored where `at` is given.
    delay: int = 0
    #: A moment in UTC.
    at: int | None = None
    #: How long after it is due it may still begin.
    expires: int | None = None
    tags: tuple[str, ...] = ()
    #: JSON text of what the push set over its job type and carries, or None; `record.fields_of_push` reads it.
    options: str | None = None
    #: Stored only where no other job of its queue holds this key.
    unique: Unique | None = None
    #: Claimed alone, and only while each of these lets it; it waits aside for that.
    limits: Sequence[Limit] = ()
    #: The batch in whose tally it is counted, or None.
    batch: str | None = None
    #: Where it waits for its time: due as soon as so many of its group wait with it, or None.
    gather: Gather | None = None

    def said(self) -> dict[str, Any]:
        """What is not as usual, for JSON: a job that is kept to be pushed later."""
        usual = self._field_defaults
        return {name: value for name, value in self._asdict().items() if name not in usual or value != usual[name]}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> NewJob:
        """Read what `said` wrote."""
        job = cls(**said)
        unique = Unique(*job.unique) if job.unique else None
        gather = Gather(*job.gather) if job.gather else None
        limits = tuple(Limit(*one) for one in job.limits)
        return job._replace(tags=tuple(job.tags), unique=unique, limits=limits, gather=gather)


class Claim(NamedTuple):
    """A job in a worker's hand."""

    id: str
    queue: str
    type: str
    payload: str
    options: str | None
    created: int
    expires: int | None
    #: Ended runs that count against the tries.
    attempts: int
    #: All ended runs.
    runs: int
    #: JSON text of the last run's error, or None.
    error: str | None
    #: Why somebody asked to cancel it, or None.
    cancel: str | None
    #: Rises with each claim of a partition; no two claims have the same, in different queues neither.
    token: int
    #: The moment of the claim.
    started: int
    worker: str
    #: Claimed together with others, or behind one: it may not have begun when its worker died.
    ahead: bool
    #: How often its options were changed since it was pushed.
    changes: int = 0
    #: It came along with a claim that is under limits: it has no place of its own at their gates.
    along: bool = False


class Wanted(NamedTuple):
    """Which jobs a worker would take."""

    #: Strictly in this order.
    queues: Sequence[str]
    #: Job types it knows. A job of another type is passed over, and held if no worker knows it.
    types: Collection[str]
    #: How long the claims are valid.
    lease: int
    limit: int = 1
    #: Job types so short that several of them may be claimed together.
    short: Collection[str] = ()
    #: Asked while another job is in hand: only what may be claimed together with others is claimed.
    behind: bool = False
    #: Any other job stays in the line, also one whose type no worker knows, or that is stopped.
    only: bool = False
    #: Id and token of a claim in force, of a queue that is the only one here: what is claimed runs together with it.
    #: Where that claim is under limits, only jobs under just the same ones are claimed, of the same groups, which may
    #: also wait at their gates. They come `along`: they pass no gate, and their end opens none.
    along_with: tuple[str, int] | None = None


class Settlement(NamedTuple):
    """What becomes of a claimed job."""

    id: str
    token: int
    #: Any status but running.
    status: Status
    #: How the run ended; None where nothing ran.
    outcome: Outcome | None = None
    #: Whether the run counts against the tries.
    counted: bool = False
    #: For `scheduled`: due so long from now.
    delay: int = 0
    #: JSON text, as are `result` and `error` of a claim.
    error: str | None = None
    result: str | None = None
    #: Why it is cancelled; None takes the word of whoever asked for it.
    reason: str | None = None
    #: What the job said since the last note.
    progress: Progress | None = None
    logs: Sequence[LogLine] = ()
    #: Not to be claimed together with others any more, since it may be what kills its worker.
    alone: bool = False
    #: What the job's end causes, pushed in the same step; where the job is to run again, only if that step
    #: ends it as cancelled instead. Where another queue is out of the step's reach, the push is noted in it
    #: and made moments later, once.
    follows: Sequence[NewJob] = ()
    #: For so long nothing more of its queue is claimed; a stop that lasts longer stays.
    stop: int = 0
    #: Pushed in place of `follows` where somebody had asked for the job's end while it ran, who then stands in its
    #: reason, whatever its status; None where `follows` is pushed then too.
    if_cancelled: Sequence[NewJob] | None = None
    #: How often the options had been changed from which this was made.
    changes: int = 0
    #: Kept with the run; of no meaning where nothing ran.
    memory: Memory | None = None

    def pushes(self, *, asked: bool) -> Sequence[NewJob]:
        """What it causes where the job's end was asked for, or was not."""
        return self.if_cancelled if asked and self.if_cancelled is not None else self.follows


class Step(NamedTuple):
    """The answer to one round of settling and claiming."""

    claims: list[Claim]
    #: Ids of settlements that came too late: the claim was no longer the worker's.
    lost: list[str]
    #: Jobs that were set aside since no worker knows their type; with some, the next step may find more.
    held: int = 0
    #: Claims that stay in force, with the options as they are now: their settlements were made from others.
    outdated: tuple[Claim, ...] = ()


class PendingStep(Protocol):
    """A step on its way."""

    def answer(self) -> Step:
        """Wait for the answer; called once, from any thread. Raises as `step` does."""


class Heartbeat(NamedTuple):
    """The answer to a worker's sign of life."""

    #: Claims of this worker's children that somebody asked to cancel.
    to_cancel: list[Claim]
    #: The claims that were extended, by child: ids of the jobs in its hands.
    jobs: dict[str, list[str]]
    #: Whether somebody has emptied the storage since the last sign of life of this process.
    emptied: bool = False


class Query(NamedTuple):
    """Which jobs a list shows."""

    queue: str | None = None
    type: str | None = None
    tag: str | None = None
    #: Empty means all.
    statuses: Sequence[Status] = ()
    limit: int = 50
    #: Where the page before ended; anything else raises `OptionError`.
    after: str | None = None
    #: The other way round: those first that came first. The end of a page is one in its own order alone.
    oldest: bool = False
    #: Where the first page begins, unless `tag` is given: with those that came into their status before this moment,
    #: or with `oldest` at it and later. None begins at the end of the list.
    begin: int | None = None
    #: With queues: their pending jobs as a worker would claim that serves these in this order, the next one first, and
    #: behind all of these what is held back of them. Nothing else but `limit` and `after` counts then, and `after`
    #: raises `OptionError` where its queue is not among them.
    line: Sequence[str] = ()


class Schedule(NamedTuple):
    """A schedule with its state, as the scheduler wrote it; the engine compares and keeps it."""

    name: str
    #: The queue of its jobs: on a cluster, it lies where they are pushed. Fixed for its life.
    queue: str
    #: JSON text; the engine never looks inside.
    about: str
    #: Another number after each change, never one that it or a deleted namesake had; 0 where it is not stored yet.
    revision: int = 0


class Occurrence(NamedTuple):
    """What became of one point in time at which a schedule was due."""

    #: The point in time.
    due: int
    #: When it was decided, by the storage's clock; the engine sets it.
    decided: int
    #: `fired`, `caught up`, or why it was left out.
    outcome: str
    #: The id of its job, None where it was left out.
    job: str | None = None


class Severity(IntEnum):
    """What a finding may cost, the worst highest."""

    #: Good to know; nothing is wrong.
    NOTE = 0
    #: Jobs may come late.
    DELAYS = 1
    #: Jobs may run twice.
    DOUBLES = 2
    #: Jobs may be lost.
    LOSES = 3


class Finding(NamedTuple):
    """Something about the storage or its configuration that an operator should know."""

    severity: Severity
    #: A stable name for programs, `redis-eviction`; `storage-load` where another engine suits the load better,
    #: which a worker says when it starts, whatever else there is.
    code: str
    #: What is so, in one or two sentences.
    problem: str
    #: What to do about it, in one.
    fix: str = ""


class Watcher(ABC):
    """Tells the keeper that something was changed in the storage by somebody else."""

    @abstractmethod
    def changed(self) -> bool:
        """Whether anything may have changed since the last call; microseconds, no side effect."""

    #: How often `changed` may be asked without harm, in seconds.
    interval: float = 0.002

    def fileno(self) -> int | None:
        """A descriptor that becomes readable when `changed` would say so; None where it must be asked."""
        return None

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Stop watching."""
