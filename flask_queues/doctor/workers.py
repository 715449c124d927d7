"""Whether somebody does the work that waits, and whether those who do agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from ..manager import Manager
from ..record import Counts, Status, WorkerRecord
from ..storage.values import Finding, Severity
from ..worker.unknown import of_unknown_types

#: Names that a sentence can bear; of more, it gives the number.
FEW = 4
#: Part of a lease for which a worker may be silent.
SILENT = 0.5
#: Seconds of silence that any worker may have.
PATIENCE = 5.0
#: Seconds by which two clocks may differ.
APART = 2.0
#: Jobs of other workers' types that a claim looks past in a line, on every engine.
LOOK_PAST = 1000
#: Part of its job types that one version of an application has in common with another, at least.
ALIKE = 1 / 3
#: The code of what a worker says of other workers when it starts.
SHARED = "storage-shared"
WAITING = (Status.PENDING.value, Status.SCHEDULED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is to do and who is there to do it, at one moment of the storage's clock."""

    now: datetime
    lease: float
    counts: Counts
    workers: list[WorkerRecord]
    #: How many schedules there are, and how many claims whose lease has run out.
    schedules: int
    stalled: int
    #: The job types that are known here, and the version that is installed here.
    types: frozenset[str]
    version: str
    #: Those of ours, which every application has.
    own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, manager: Manager, version: str) -> Scene:
        """Ask the storage."""
        storage = manager.storage
        return cls(
            now=manager.now(),
            lease=manager.config.lease,
            counts=manager.counts(),
            workers=manager.workers(),
            schedules=len(storage.schedules()),
            stalled=len(storage.stalled()),
            types=frozenset(manager.jobs.served),
            version=version,
            own=manager.jobs.own,
        )

    @property
    def alive(self) -> list[WorkerRecord]:
        """The workers whose lease has not run out."""
        return [worker for worker in self.workers if worker.silence(self.now) <= self.lease]

    def waiting(self) -> dict[tuple[str, str], int]:
        """How many jobs wait for a worker or for their time, by queue and type."""
        waiting: dict[tuple[str, str], int] = {}
        for (queue, type_, status), n in self.counts.cells.items():
            if status in WAITING and n > 0:
                waiting[queue, type_] = waiting.get((queue, type_), 0) + n
        return waiting


def of_workers(scene: Scene) -> list[Finding]:
    """Look at the workers and at the jobs that wait for them."""
    found = [
        no_worker(scene),
        stalled(scene),
        unserved(scene),
        unknown(scene),
        hidden(scene),
        silent(scene),
        vanished(scene),
    ]
    found += [strangers(scene), versions(scene), *(ahead(scene, worker) for worker in scene.alive)]
    return [finding for finding in found if finding is not None]


def no_worker(scene: Scene) -> Finding | None:
    """Nobody works."""
    jobs = sum(scene.waiting().values())
    if scene.alive or not (jobs or scene.schedules):
        return None
    waits = " and ".join(counted(n, thing) for n, thing in ((jobs, "job"), (scene.schedules, "schedule")) if n)
    return Finding(
        Severity.DELAYS,
        "worker-none",
        f"No worker runs, and {waits} wait{'s' if jobs + scene.schedules == 1 else ''}.",
        "Start one: flask queues work",
    )


def stalled(scene: Scene) -> Finding | None:
    """Jobs of the dead that nobody gives back; a living worker does it with its next heartbeat."""
    if scene.alive or not scene.stalled:
        return None
    return Finding(
        Severity.DELAYS,
        "jobs-stalled",
        f"{counted(scene.stalled, 'job')} ran when their worker vanished, and no other is there to run them again.",
        "Start one: flask queues work",
    )


def unserved(scene: Scene) -> Finding | None:
    """Queues that no worker was told to serve."""
    if not scene.alive:
        return None
    jobs: dict[str, int] = {}
    for (queue, _), n in scene.waiting().items():
        if not any(worker.serves(queue) for worker in scene.alive):
            jobs[queue] = jobs.get(queue, 0) + n
    if not jobs:
        return None
    return Finding(
        Severity.DELAYS,
        "queue-unserved",
        f"{counted(sum(jobs.values()), 'job')} in {named(jobs)}: no running worker serves that queue.",
        f"Start one that does: flask queues work --queue {','.join(sorted(jobs))}",
    )


def unknown(scene: Scene) -> Finding | None:
    """Job types that no worker who serves their queue has the code of."""
    jobs = of_unknown_types(scene.counts, scene.alive)
    if not jobs:
        return None
    known = scene.types.issuperset(jobs)
    return Finding(
        Severity.DELAYS,
        "type-unknown",
        f"{counted(sum(jobs.values()), 'job')} of type {named(jobs)}: no worker that serves their queue knows it.",
        "Restart the workers with the code that is installed here, which knows it."
        if known
        else "Deploy the code that registers it and restart the workers, or delete these jobs.",
    )


def hidden(scene: Scene) -> Finding | None:
    """Jobs that may stand behind more of another worker's than one looks past."""
    waiting = scene.waiting()
    for worker in scene.alive:
        for queue in sorted({queue for queue, _ in waiting if worker.serves(queue)}):
            here = {type_: n for (at, type_), n in waiting.items() if at == queue}
            passed = sum(n for type_, n in here.items() if type_ not in worker.types)
            behind = sorted(set(here).intersection(worker.types))
            if passed > LOOK_PAST and behind:
                return Finding(
                    Severity.DELAYS,
                    "type-hidden",
                    f"{counted(passed, 'job')} in {queue} are of types that {places([worker])[0]} does not know. It "
                    f"looks past {LOOK_PAST:,} at the head of a line, and may not see those of {named(behind)} behind.",
                    "Give job types that not every worker knows a queue of their own.",
                )
    return None


def silent(scene: Scene) -> Finding | None:
    """Workers that may lose what they run."""
    limit = max(PATIENCE, scene.lease * SILENT)
    quiet = [worker for worker in scene.alive if worker.silence(scene.now) > limit]
    if not quiet:
        return None
    return Finding(
        Severity.DOUBLES,
        "worker-silent",
        f"No sign of life for more than {limit:.0f} s from {named(places(quiet))}. If it still runs, its jobs start "
        f"again elsewhere {scene.lease:g} s after its last one and run twice.",
        "Look whether that machine is overloaded, swapping or cut off.",
    )


def vanished(scene: Scene) -> Finding | None:
    """Workers that ended without a word in the last hour."""
    lost = [worker for worker in scene.workers if worker not in scene.alive]
    if not lost:
        return None
    return Finding(
        Severity.NOTE,
        "worker-lost",
        f"Vanished without stopping: {named(places(lost))}. What it ran goes on elsewhere.",
        "Look in that machine's log: it was killed, perhaps for want of memory.",
    )


def versions(scene: Scene) -> Finding | None:
    """Workers of different releases."""
    there = {worker.version for worker in scene.alive if worker.version}
    if not there - {scene.version}:
        return None
    return Finding(
        Severity.DELAYS,
        "worker-versions",
        f"Workers run Flask-Queues {', '.join(sorted(there))}; here it is {scene.version}. A worker stops when a newer "
        "version has changed the format of the storage.",
        "Deploy one version everywhere and restart the workers.",
    )


def strangers(scene: Scene) -> Finding | None:
    """Workers of another application: a deploy changes some of the job types, hardly ever most of them."""
    others = [worker for worker in scene.alive if are_strangers(scene.types - scene.own, set(worker.types) - scene.own)]
    if not others:
        return None
    theirs = {type_ for worker in others for type_ in worker.types}.difference(scene.types)
    return Finding(
        Severity.LOSES,
        SHARED,
        f"Another application works in the same place: {named(places(others))} knows {named(theirs)}, not what is "
        "known here. `flush` and `clear` of one delete the jobs of the other, and jobs of a type that both have run "
        "in either.",
        "Give each application a place of its own: another QUEUES_CACHE_KEY_PREFIX, QUEUES_CACHE_DIR or database. If "
        "it is one application, import the modules of all its job types in each worker.",
    )


def are_strangers(ours: Collection[str], theirs: Collection[str]) -> bool:
    """Whether two sets of job types are hardly of one application, by what the smaller has in common with the other."""
    smaller = min(len(ours), len(theirs))
    return len(set(ours).intersection(theirs)) < ALIKE * smaller


def ahead(scene: Scene, worker: WorkerRecord) -> Finding | None:
    """A worker that started after its last sign of life: by two clocks."""
    seconds = (worker.started - worker.heartbeat).total_seconds()
    if seconds <= APART:
        return None
    return off(f"The clock of {worker.host}", seconds, scene.lease, "worker-clock")


def off(clock: str, seconds: float, lease: float, code: str) -> Finding:
    """Say what a clock does that is ahead of the storage's, or behind where negative."""
    where = "ahead of" if seconds > 0 else "behind"
    return Finding(
        Severity.DELAYS if abs(seconds) > lease else Severity.NOTE,
        code,
        f"{clock} is {abs(seconds):,.0f} s {where} the storage's. Leases and delays go by the storage's clock, but a "
        "time of day that was computed there, for a push with `at`, is off by as much.",
        "Let NTP set the clocks of all machines.",
    )


def counted(n: int, thing: str) -> str:
    """`1 job`, `1,200 jobs`."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def places(workers: Iterable[WorkerRecord]) -> list[str]:
    """Name workers as a person finds them."""
    return [f"worker {worker.pid} on {worker.host}" for worker in workers]


def named(names: Iterable[str]) -> str:
    """Name some, and say how many more there are."""
    every = sorted(names)
    rest = len(every) - FEW
    return ", ".join(every[:FEW]) + (f" and {rest} more" if rest > 0 else "")
