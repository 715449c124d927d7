"""The check: is the storage there, does a worker live, and does it claim what waits?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ..alerts import Alert, standing_alerts
from ..errors import ConfigError, StorageError
from ..record import Counts, JobRecord, Status, WorkerRecord, to_datetime
from ..storage import Storage
from ..storage.values import Query

#: Seconds that a job may wait beside an idle process, and a process may be idle beside a waiting job.
STUCK = 60.0
START = "Start one: flask queues work"


class Demands(NamedTuple):
    """What has to hold for all to be well."""

    #: Seconds for which a worker that lives may say nothing: the lease.
    silence: float = 30.0
    #: Seconds that a claimable job may have waited; None: for ever, as long as workers are busy.
    wait: float | None = None
    #: Only workers of this host count; None: any.
    host: str | None = None


class Problem(NamedTuple):
    """What is not well."""

    #: `storage`, `worker`, `claims` or `wait`; stays as it is.
    code: str
    #: One sentence.
    problem: str
    #: What to do, in one; empty where the problem says it.
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How things stand, at one moment of the storage's clock."""

    now: datetime
    #: Those that live.
    workers: tuple[WorkerRecord, ...]
    counts: Counts
    #: By queue: when that of its claimable jobs was due which has waited longest.
    oldest: dict[str, datetime]
    #: Queues of which nothing is claimed since somebody said so.
    paused: frozenset[str]
    #: When a job was claimed or ended last, as far as what is stored tells.
    worked: datetime | None
    #: Thresholds of `QUEUES_ALERTS` that are crossed, the last first.
    alerts: tuple[Alert, ...]

    @classmethod
    def of(cls, storage: Storage, demands: Demands) -> Scene:
        """Ask the storage; it costs the same for any number of jobs."""
        now = to_datetime(storage.now())
        return cls(
            now=now,
            workers=tuple(one for one in storage.workers() if lives(one, now, demands)),
            counts=storage.counts(),
            oldest={queue: to_datetime(moment) for queue, moment in storage.oldest().items()},
            paused=frozenset(stop.queue for stop in storage.stops() if stop.type is None),
            worked=last_work(storage),
            alerts=tuple(standing_alerts(storage)),
        )

    @property
    def waits(self) -> dict[str, float]:
        """By queue: seconds that the first claimable job has waited."""
        return {queue: max(0.0, (self.now - due).total_seconds()) for queue, due in self.oldest.items()}

    @property
    def longest_wait(self) -> tuple[float, str] | None:
        """The longest of them, and its queue."""
        return max(((seconds, queue) for queue, seconds in self.waits.items()), default=None)

    @property
    def processes(self) -> int:
        """How many child processes live."""
        return sum(len(worker.children) for worker in self.workers)

    @property
    def busy(self) -> int:
        """How many of them have a job in hand."""
        return sum(1 for worker in self.workers for child in worker.children if child.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a probe is told."""

    problems: tuple[Problem, ...]
    #: None where the storage did not tell.
    scene: Scene | None = None

    @property
    def good(self) -> bool:
        """Whether all is well."""
        return not self.problems


def check(storage: Callable[[], Storage], demands: Demands) -> Health:
    """Look whether all is well; a storage that cannot be used is a problem, not an exception."""
    try:
        scene = Scene.of(storage(), demands)
    except ConfigError as error:
        return Health(problems=(Problem("storage", str(error), ""),))
    except StorageError as error:
        return Health(problems=(Problem("storage", str(error), "Until then every push is refused and no job runs."),))
    found = (no_worker(scene, demands), no_claims(scene), too_long(scene, demands))
    return Health(problems=tuple(one for one in found if one is not None), scene=scene)


def lives(worker: WorkerRecord, now: datetime, demands: Demands) -> bool:
    """Whether a worker is one that counts, and has given a sign of life lately."""
    return worker.silence(now) <= demands.silence and demands.host in (None, worker.host)


def last_work(storage: Storage) -> datetime | None:
    """When a job was claimed or ended last."""
    moments = [record.started for record in newest(storage, Status.RUNNING)]
    moments += [record.finished for status in (Status.COMPLETED, Status.FAILED) for record in newest(storage, status)]
    return max((moment for moment in moments if moment is not None), default=None)


def newest(storage: Storage, status: Status) -> tuple[JobRecord, ...]:
    """The job that came last into a status, if there is one."""
    return storage.page(Query(statuses=[status], limit=1)).jobs


def no_worker(scene: Scene, demands: Demands) -> Problem | None:
    """Nobody works."""
    if scene.workers:
        return None
    where = f" on {demands.host}" if demands.host else ""
    return Problem("worker", f"No worker{where} has given a sign of life for {demands.silence:g} s.", START)


def no_claims(scene: Scene) -> Problem | None:
    """A job waits, a process that could run it waits too, and has for so long that nobody will wake it."""
    if scene.worked is not None and (scene.now - scene.worked).total_seconds() <= STUCK:
        return None
    for queue, seconds in scene.waits.items():
        worker = next((one for one in scene.workers if is_idle(one, queue, scene)), None)
        if seconds > STUCK and queue not in scene.paused and worker is not None:
            return Problem(
                "claims",
                f"A job in {queue} has waited for {seconds:.0f} s beside an idle process of worker {worker.pid} on "
                f"{worker.host}, and nothing was claimed for {STUCK:g} s.",
                "Look at what that worker has written, and start it again.",
            )
    return None


def is_idle(worker: WorkerRecord, queue: str, scene: Scene) -> bool:
    """Whether a worker has a process without a job that would take any job of a queue."""
    types = {kind for name, kind, status in scene.counts.cells if name == queue and status == Status.PENDING}
    return worker.serves(queue) and types.issubset(worker.types) and any(not child.jobs for child in worker.children)


def too_long(scene: Scene, demands: Demands) -> Problem | None:
    """A job waits longer than somebody wants."""
    longest = scene.longest_wait
    if demands.wait is None or longest is None or longest[0] <= demands.wait:
        return None
    return Problem(
        "wait",
        f"A job in {longest[1]} has waited for {longest[0]:.0f} s, more than {demands.wait:g} s.",
        "Start more workers or processes: flask queues work --processes N",
    )
