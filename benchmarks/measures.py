"""The measurements: each returns a group of figures."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .memory import shares
from .ours import UNLIMITED, FlaskQueues
from .rounds import Contender, Figure, Group, alternate
from .stock import Stocked
from .system import STARTS, InFile, System, drain_rate, gave_up, running
from .theirs import Huey


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    jobs: int
    rounds: int
    #: Jobs stored while the cost of a large store is measured.
    stored: int
    #: Pushes to an idle worker.
    pushes: int
    seed: int
    folder: Path
    say: Callable[[str], None]

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Give a folder for one run."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)


Make = Callable[[Path], System]


def push(settings: Settings) -> Group:
    """How fast jobs are pushed."""

    def rate(make: Make, act: Callable[[System, int], None]) -> float:
        with settings.fresh() as folder:
            system = make(folder)
            act(system, 10)
            began = time.perf_counter()
            act(system, settings.jobs)
            seconds = time.perf_counter() - began
            system.close()
            return settings.jobs / seconds

    figures = alternate(
        [
            (Figure("Huey", "jobs/s"), partial(rate, Huey, one_by_one)),
            (Figure("Huey, fsync=False", "jobs/s", against="Huey"), partial(rate, unsynced_huey, one_by_one)),
            (
                Figure("Flask-Queues", "jobs/s", against="Huey", goal=1.2),
                partial(rate, FlaskQueues, one_by_one),
            ),
            (
                Figure("Flask-Queues, push_many", "jobs/s", against="Huey"),
                partial(rate, FlaskQueues, at_once),
            ),
        ],
        settings.rounds,
        settings.say,
    )
    how = "one by one, each on the disk when the call returns, unless it says otherwise"
    return Group("push", how, figures).compare()


def unsynced_huey(folder: Path) -> System:
    """Make a Huey that waits neither for the disk nor for its log."""
    return Huey(folder, fsync=False, quiet=True)


def one_by_one(system: System, jobs: int) -> None:
    """Push so many no-ops."""
    for _ in range(jobs):
        system.push()


def at_once(system: System, jobs: int) -> None:
    """Push so many no-ops in as few calls as the system can."""
    system.fill(jobs)


def drain(settings: Settings) -> Group:
    """How fast one worker process runs no-ops that wait."""

    def rate(make: Make) -> float:
        with settings.fresh() as folder:
            system = make(folder)
            system.fill(settings.jobs)
            system.close()
            return drain_rate(system, settings.jobs)

    def ours(name: str, goal: float | None, **options: object) -> tuple[Figure, Callable[[], float]]:
        make: Make = partial(FlaskQueues, **options)  # type: ignore[arg-type]
        return Figure(name, "jobs/s", against="Huey", goal=goal), partial(rate, make)

    figures = alternate(
        [
            (Figure("Huey", "jobs/s"), partial(rate, Huey)),
            (Figure("Huey, fsync=False, no log", "jobs/s", against="Huey"), partial(rate, unsynced_huey)),
            ours("one by one", 2.5, one_by_one=True),
            ours("one by one, child never replaced", None, one_by_one=True, max_jobs=UNLIMITED),
            ours("as shipped", 6.0),
            ours("as shipped, child never replaced", None, max_jobs=UNLIMITED),
        ],
        settings.rounds,
        settings.say,
    )
    how = "one worker process with its defaults, its output in a file; from the first job gone to the last"
    return Group("drain", how, figures).compare()


def latency(settings: Settings) -> Group:
    """How long an idle worker takes to begin a job, from the call of push."""
    return wait_for([Huey, FlaskQueues], settings, {"Flask-Queues, p50": 5.0})


def wait_for(makes: Sequence[Make], settings: Settings, goals: Mapping[str, float]) -> Group:
    """Push to idle workers in turn and see how long each of them takes to begin."""
    gaps = random.Random(settings.seed)
    with ExitStack() as stack:
        waits: list[tuple[System, list[float]]] = []
        for make in makes:
            system = make(stack.enter_context(settings.fresh()))
            system.push_start(-1)
            stack.enter_context(running(system))
            stack.callback(system.close)
            wait_for_start(system, -1)
            waits.append((system, []))
        time.sleep(1)
        for number in range(settings.pushes):
            for system, values in waits:
                time.sleep(gaps.uniform(0.02, 0.25))
                began = time.monotonic_ns()
                system.push_start(number)
                values.append((wait_for_start(system, number) - began) / 1e6)
    figures = []
    for system, values in waits:
        figures.append(Figure(f"{system.name}, p50", "ms", [statistics.median(values)]))
        figures.append(Figure(f"{system.name}, p99", "ms", [statistics.quantiles(values, n=100)[98]]))
    for figure in figures:
        figure.goal = goals.get(figure.name)
    apart = f"20 to {250 * len(waits)} ms apart"
    return Group(
        "latency", f"from the call of push to the job's first line; {settings.pushes} pushes, {apart}", figures
    )


def wait_for_start(system: System, number: int) -> int:
    """Wait until a job has noted when it began, and return that."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        path = system.folder / STARTS
        lines = path.read_text("ascii").splitlines() if path.exists() else []
        for line in lines[-1:]:
            began, _, at = line.partition(" ")
            if int(began) == number:
                return int(at)
        time.sleep(0.002)
    raise gave_up(system)


def size(settings: Settings) -> Group:
    """What a million stored jobs cost."""
    with settings.fresh() as few, settings.fresh() as many:
        return compare_sizes(Stocked(FlaskQueues(few)), Stocked(FlaskQueues(many)), settings)


def compare_sizes(small: Stocked, large: Stocked, settings: Settings) -> Group:
    """Push to and run from a store with few jobs and one with many, and let go of both."""
    for stocked, jobs in ((small, 1000), (large, settings.stored)):
        began = time.perf_counter()
        stocked.stock(jobs)
        settings.say(f"stored {jobs:,} jobs in {time.perf_counter() - began:.1f} s")
    jobs = max(settings.jobs // 5, 100)
    names = {small: "with 1,000 stored", large: f"with {settings.stored:,} stored"}
    contenders: list[Contender] = []
    for word in ("push", "run"):
        for stocked, name in names.items():
            figure = Figure(f"{word}, {name}", "ms a job")
            if stocked is large:
                figure.against, figure.goal = f"{word}, {names[small]}", 1.1
            contenders.append((figure, partial(getattr(stocked, f"{word}_all"), jobs)))
    figures = alternate_in_order(contenders, settings)
    small.close()
    large.close()
    how = "half of the stored jobs completed, half pending; run = claim, run, settle one by one, in-process"
    return Group("size", how, figures).compare()


def alternate_in_order(contenders: list[Contender], settings: Settings) -> list[Figure]:
    """Alternate in rounds, always in this order: what is pushed is run afterwards."""
    for _ in range(settings.rounds):
        for figure, measure in contenders:
            figure.values.append(measure())
            settings.say(f"{figure.name} {figure.values[-1]:.4g} {figure.unit}")
    return [figure for figure, _ in contenders]


def memory(settings: Settings) -> Group:
    """What an idle worker with one child holds."""
    figures: dict[str, Figure] = {}
    for _ in range(settings.rounds):
        for make in (Huey, FlaskQueues):
            with settings.fresh() as folder:
                system: System = make(folder)
                system.push_start(1)
                system.close()
                with running(system) as worker:
                    wait_for_start(system, 1)
                    time.sleep(2)
                    parts = shares(worker.pid)
            for name, megabytes in parts.items():
                goal = 43.0 if (system.name, name) == ("Flask-Queues", "sum") else None
                figure = Figure(f"{system.name}, {name}", "MB", goal=goal)
                figures.setdefault(figure.name, figure).values.append(megabytes)
    how = "PSS, two seconds after its first job; memory that other programs share is counted in part"
    return Group("memory", how, list(figures.values()))


def disk(settings: Settings) -> Group:
    """What a waiting job takes on the disk."""
    figures = []
    for make in (Huey, FlaskQueues):
        with settings.fresh() as folder:
            system: InFile = make(folder)
            system.fill(settings.jobs)
            system.close()
            figures.append(Figure(system.name, "bytes", [system.file().stat().st_size / settings.jobs]))
    return Group("disk", "the file after a checkpoint, by the number of jobs in it", figures)


MEASURES: dict[str, Callable[[Settings], Group]] = {
    "push": push,
    "drain": drain,
    "latency": latency,
    "size": size,
    "memory": memory,
    "disk": disk,
}
