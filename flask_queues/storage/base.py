"""The contract that every storage engine keeps.

An engine moves records between statuses, atomically, and knows nothing of Flask, of jobs' code or
of cron. Which status a job gets is decided above, by the manager; the engine makes it so, exactly
once. Times cross this border as whole milliseconds, durations too; moments are the storage's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..record import Counts, JobRecord, LogLine, Page, Progress, Status, WorkerRecord
from .figures import Measuring
from .outdated import Retaining
from .parcels import Load
from .stops import Stopping
from .tallies import Tallying
from .values import (
    Claim,
    Finding,
    Heartbeat,
    NewJob,
    Occurrence,
    PendingStep,
    Query,
    Schedule,
    Settlement,
    Step,
    Wanted,
    Watcher,
)


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

        Where a job that is stored to wait for its time makes its group complete (`gather`), all of the
        group in its queue that wait for a time still ahead are due now, in the same step. So it is wherever
        jobs are pushed: with a schedule, or since another job has ended. A job counts until it is claimed,
        cancelled, retried or moved, however it waits afterwards. Once it has ended, its record may still name
        the time for which it would have waited.
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

        A settlement whose token is not the claim in force changes nothing and is told in `lost`. Neither does one
        that was made from other options than the job has by now: its claim, as it is now, is told in `outdated`.
        One that would let the job run again ends it as cancelled instead where that was asked.
        Claims come by queue, then by priority, then by the time they were due, then as they
        were pushed. Jobs that have become due are claimable. More than one job is claimed only while
        each is of a `short` type and was never settled to be `alone`, or all come along with a claim
        under limits (`along_with`), whose end frees their common place.
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

        Returns the status it had, None where there is no such job. A final status stays. Raises `OptionsChanged`
        for one that waits and whose options were changed, and leaves it: whoever claims it knows what its end causes.
        """

    @abstractmethod
    def retry(self, job_id: str, delay: int = 0) -> Status | None:
        """Make a failed, cancelled or scheduled job pending, with all its tries before it and no expiry.

        With a `delay` in milliseconds it is scheduled for then instead.
        Returns the status it had, None where there is no such job. Any other status stays. Raises
        `UniqueTaken` where another job holds its unique key by now.
        """

    @abstractmethod
    def hurry(self, job_id: str) -> Status | None:
        """Let a pending or scheduled job be the next one to be claimed of its queue, before higher priorities too.

        Nothing else of it is changed: not its attempts, its expiry, its priority; a scheduled one is due now. Stops,
        limits and unknown types hold it as any other. Those that are hurried after it stand before it; an engine may
        keep to that for the first two hundred in a line alone. Once it was claimed, retried or moved, it stands in its
        line as before. Returns the status it had, which may be the new one where an answer was lost; None where there
        is no such job. Any other status stays.
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
    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Put other options in the place of those that a job has, JSON text both, whatever its status.

        `turn` is asked what stands for these, and again where somebody else was quicker; where it returns
        them as they are, nothing is changed. Returns the status that the job had in that moment, None where there is
        no such job. Each change is counted in the `changes` of its claims, also where the job has moved.
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
        With a `line` it costs its page too; what is held back there comes in an order of the engine's own, by queue.
        """

    @abstractmethod
    def places(self, queue: str, job_ids: Collection[str]) -> dict[str, int]:
        """How far down the line of a queue these of its jobs stand, 1 for the one that is claimed next of it.

        Those that may not be claimed, since they are held back, do not wait or are not there, are left out. So may be
        those that stand behind the first thousand, where to count would cost more than a page.
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
