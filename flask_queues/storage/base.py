"""The contract that every storage engine keeps.

An engine moves records between statuses, atomically, and knows nothing of Flask, of jobs' code or
of cron. Which status a job gets is decided above, by the manager; the engine makes it so, exactly
once. Times cross this border as whole milliseconds, durations too; moments are the storage's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from ..record import Counts, JobRecord, LogLine, Outcome, Page, Progress, Status, WorkerRecord
from .figures import Measuring
from .limits import Limit
from .outdated import Retaining
from .parcels import Load
from .stops import Stopping
from .tallies import Tallying
from .unique import Unique


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

    def said(self) -> dict[str, Any]:
        """What is not as usual, for JSON: a job that is kept to be pushed later."""
        usual = self._field_defaults
        return {name: value for name, value in self._asdict().items() if name not in usual or value != usual[name]}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> NewJob:
        """Read what `said` wrote."""
        job = cls(**said)
        unique = Unique(*job.unique) if job.unique else None
        return job._replace(tags=tuple(job.tags), unique=unique, limits=tuple(Limit(*one) for one in job.limits))


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


class Storage(Stopping, Measuring, Tallying, Retaining, ABC):
    """What holds the jobs.

    Safe to use from several threads and processes. No call leaves a job in two statuses or in none,
    whatever dies in its middle. Every method raises `StorageUnavailable` where the storage cannot
    be used now, `StorageFull` where there is no room, and has changed nothing then.
    """

    #: The flask-caching backend that it stands on, where there is one.
    backend: Any = None

    #: How many stored jobs it is made for; None where that is no matter.
    made_for: int | None = None

    #: Whether worker processes beside this one see the same jobs.
    shared: bool = True

    #: Set in the processes of a worker, whose keeper calls `maintain`: housekeeping is not theirs.
    maintained: bool = False

    @classmethod
    def from_app(cls, app: Any) -> Storage:  # noqa: ARG003
        """Make the storage of a Flask application that names this class in `QUEUES_STORAGE`.

        It may read `app.config` and `app.instance_path`, and connects to nothing yet. Where the class
        does not say otherwise, it is called without arguments.
        """
        return cls()

    @property
    def busy(self) -> bool:
        """Whether this thread is inside a call, where no exception may be thrown in from a signal."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """Say in one line where the jobs are, for a person; without passwords."""

    @abstractmethod
    def close(self) -> None:
        """Let go of every connection; the next call opens one again."""

    @abstractmethod
    def now(self) -> int:
        """The storage's time; every moment in it is of this clock."""

    @abstractmethod
    def examine(self) -> list[Finding]:
        """Ask the storage what may lose, double or delay jobs here, and what it promises otherwise."""

    # The pusher's side

    @abstractmethod
    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """Store the jobs, all or none, and tell of each whether it is new.

        A job whose id is already stored is left as it is, so a push may be repeated. Once this
        returns, the jobs survive the death of any of our processes. One whose unique key another
        job of its queue holds is not stored. Raises `QueueFull`, and has changed nothing, where more
        jobs of a queue would be pending or scheduled than `bounds` say for it, and some of these are new.
        """

    @abstractmethod
    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Push one job, and return the id of the job that holds its unique key now: its own where it is stored.

        Raises `QueueFull` as `push` does.
        """

    # The worker's side

    @abstractmethod
    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle what a child has done and claim its next jobs, in one atomic step.

        A settlement whose token is not the claim in force changes nothing and is told in `lost`.
        One that would let the job run again ends it as cancelled instead where that was asked.
        Claims come by queue, then by priority, then by the time they were due, then as they
        were pushed. Jobs that have become due are claimable. More than one job is claimed only while
        each is of a `short` type and was never settled to be `alone`.
        """

    def begin_step(
        self,
        worker: str,  # noqa: ARG002
        settled: Sequence[Settlement],  # noqa: ARG002
        wanted: Wanted,  # noqa: ARG002
    ) -> PendingStep | None:
        """Send a step without waiting for its answer, so that a job may run meanwhile.

        None, and nothing is done, where the storage is so near that this would gain nothing.
        """
        return None

    @abstractmethod
    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Claim this one job, unless it is running, completed or not there."""

    @abstractmethod
    def note(self, job_id: str, token: int, progress: Progress | None = None, logs: Sequence[LogLine] = ()) -> bool:
        """Keep progress and log lines of a claimed job; False where the claim is not in force."""

    @abstractmethod
    def keep(self, job_id: str, token: int, text: str) -> bool:
        """Keep a text with a claimed job, over the one before, for this run and the next ones.

        It goes with the job. False where the claim is not in force.
        """

    @abstractmethod
    def kept(self, job_id: str) -> str | None:
        """The text that a job has kept last; None where it has kept none, or is not there."""

    # The keeper's side

    @abstractmethod
    def heartbeat(self, worker: WorkerRecord, lease: int) -> Heartbeat:
        """Keep the worker's description and extend the claims of its children."""

    @abstractmethod
    def forget_worker(self, name: str) -> None:
        """Take a worker that has stopped off the list."""

    @abstractmethod
    def claims_of(self, worker: str) -> list[Claim]:
        """The claims that a child holds."""

    @abstractmethod
    def stalled(self) -> list[Claim]:
        """The claims whose lease has run out."""

    @abstractmethod
    def release_held(self, types: Collection[str]) -> int:
        """Let a slice of the jobs be claimed again that were held for one of these types; returns how many."""

    @abstractmethod
    def maintain(self) -> None:
        """Do the engine's own housekeeping, in a slice that never stalls a claim."""

    @abstractmethod
    def watcher(self) -> Watcher:
        """Return what tells the keeper of this process about pushes."""

    @abstractmethod
    def pending(self, queues: Sequence[str], types: Collection[str]) -> bool:
        """Whether a claim from these queues may find a job of these types now."""

    @abstractmethod
    def next_due(self) -> int | None:
        """How long until the next scheduled job is due; 0 where one is, None where none waits."""

    # The operator's side

    @abstractmethod
    def cancel(self, job_id: str, reason: str) -> Status | None:
        """End a job that waits, or ask for the end of one that runs.

        Returns the status it had, None where there is no such job. A final status stays.
        """

    @abstractmethod
    def retry(self, job_id: str, delay: int = 0) -> Status | None:
        """Make a failed, cancelled or scheduled job pending, with all its tries before it and no expiry.

        With a `delay` in milliseconds it is scheduled for then instead.
        Returns the status it had, None where there is no such job. Any other status stays. Raises
        `UniqueTaken` where another job holds its unique key by now.
        """

    @abstractmethod
    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Give a job that is not running another payload, JSON text both, if `seen` is the one that it has.

        Returns the status it had, None where there is no such job; a running job stays as it is, and so
        does one that has this payload already, so it may be repeated. Raises `PayloadChanged` where the job
        has neither. Payloads are compared as the JSON that they are, not as texts. Nothing else of the job
        is changed: not its place, its options, its tags, nor what makes it unique or limits it.
        """

    @abstractmethod
    def delete(self, job_id: str) -> Status | None:
        """Delete a job and its log, unless it is running. Returns the status it had."""

    @abstractmethod
    def purge(self, statuses: Sequence[Status], *, older: int = 0, queue: str | None = None, limit: int = 500) -> int:
        """Delete up to `limit` jobs that have been in one of these statuses for so long.

        Returns how many were deleted. Running jobs are never deleted.
        """

    @abstractmethod
    def rewrite(self, job_id: str, turn: Callable[[str], str]) -> bool:
        """Put other words into the texts that are stored of a job; tells whether anything was changed.

        `turn` is asked for each piece in which payload, options, results, errors, progress, log and what it keeps are
        stored, in whatever form and with whatever else, and puts ASCII letters, digits, `-`, `_` and `=` in place of
        such. A piece that was changed meanwhile stays as it is. Nothing else changes, whether the job waits, runs or
        has ended.
        """

    # The scheduler's side

    @abstractmethod
    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Store a schedule if its stored revision is still the one given.

        Returns the new revision, or 0 where it was not and nothing has changed. In the same step the
        jobs, all of the schedule's queue, are pushed as `push` does, and the occurrences are added to
        its history, of which the last 100 are kept.
        """

    @abstractmethod
    def delete_schedule(self, schedule: Schedule) -> bool:
        """Delete a schedule and its history if its stored revision is still the one given."""

    @abstractmethod
    def schedules(self) -> list[Schedule]:
        """All schedules, by name."""

    @abstractmethod
    def schedules_changed(self) -> int:
        """A number that is another one after any change of any schedule; costs nothing to ask."""

    @abstractmethod
    def occurrences(self, schedule: Schedule, limit: int = 100) -> list[Occurrence]:
        """What became of the schedule's occurrences, the last decided first."""

    # The mover's side: every job leaves one storage and arrives in another, once, whenever the mover dies

    @abstractmethod
    def identity(self) -> str:
        """A name that no other storage has, made at random when it was first asked for."""

    @abstractmethod
    def hand_out(self, to: str, limit: int = 100) -> Load | None:
        """Take jobs out of every line, list and count, and keep them as a load for the storage `to`.

        Schedules go with the first load of their queue. As long as a load has not been let go, the
        same one comes again; raises `StorageError` where that one is for another storage. None where
        nothing is left but running jobs. On the disk, where there is one, when this returns.
        """

    @abstractmethod
    def take_in(self, source: str, load: Load) -> int:
        """Put what left the storage `source` in as it was, and tell how many jobs were new.

        One atomic step for each queue. What was taken in before, by source and number, changes
        nothing, whatever became of it here. A job that is stored, or a schedule, is left as it is.
        """

    @abstractmethod
    def let_go(self, number: int) -> bool:
        """Forget the load that has arrived; False where it is not the one that is kept."""

    @abstractmethod
    def on_the_way(self) -> int:
        """How many jobs were handed out in a load that was not let go yet."""

    # Reading

    @abstractmethod
    def get(self, job_id: str) -> JobRecord | None:
        """The job, or None."""

    @abstractmethod
    def page(self, query: Query) -> Page:
        """A page of jobs, those first that came last into their status; it costs its page.

        A scheduled job stands at the time it is due. With a tag, the last pushed come first. With
        `oldest` all of that is the other way round, at the same cost.
        Where no index serves a filter, at most 10,000 jobs are looked at: the page may then be
        short, even empty, and still tell in `after` where to go on.
        """

    @abstractmethod
    def counts(self) -> Counts:
        """How many jobs there are, by queue, type and status; kept, so it costs nothing to ask."""

    @abstractmethod
    def queues(self) -> list[str]:
        """The names of the queues in which a job waits."""

    @abstractmethod
    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """The newest lines that the job logged, in their order."""

    @abstractmethod
    def workers(self) -> list[WorkerRecord]:
        """The workers that have not been forgotten, by name."""
