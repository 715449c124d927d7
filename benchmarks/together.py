"""What chains, batches and gathered jobs cost, beside as many jobs that have nothing to do with each other."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from redis import Redis

from .measures import Settings
from .ours import FlaskQueues, Gathered, noop
from .redis.server import server
from .redis.with_ours import OneByOne, Ours
from .rounds import Contender, Figure, Group, Unit, alternate
from .stock import Stocked
from .system import LOOK, PATIENCE, ROOT, TEXT, System, gave_up, running

#: Links of long chains.
LONG = (1_000, 10_000)
#: Readings of a batch's counts.
READINGS = 200
PUSHES = ("push_many", "push_many, with a tag", "a batch")


class OurSystem(System, Protocol):
    """Flask-Queues on one storage or another."""

    @property
    def manager(self) -> Any:
        """The application's queues."""


class Make(Protocol):
    """Makes an empty store."""

    def __call__(self, *, one_by_one: bool = False) -> OurSystem:
        """Make one; with `one_by_one` its worker claims strictly so, as it does with jobs that are not short."""


@contextmanager
def on_sqlite(settings: Settings) -> Iterator[Make]:
    """Give what makes an empty store in a file."""
    with settings.fresh() as folder:

        def make(*, one_by_one: bool = False) -> OurSystem:
            return FlaskQueues(Path(tempfile.mkdtemp(dir=folder)), one_by_one=one_by_one)

        yield make


@contextmanager
def on_redis(settings: Settings) -> Iterator[Make]:
    """Give what empties a server and makes a store on it."""
    with settings.fresh() as folder, server(folder) as url:

        def make(*, one_by_one: bool = False) -> OurSystem:
            with Redis.from_url(url) as client:
                client.flushall(asynchronous=True)  # of a million jobs it takes seconds otherwise
            kind = OneByOne if one_by_one else Ours
            return kind(url, Path(tempfile.mkdtemp(dir=folder)))

        yield make


STORAGES: dict[str, Callable[[Settings], AbstractContextManager[Make]]] = {
    "SQLite": on_sqlite,
    "Redis": on_redis,
}


#: Measures on the storage of this name, in empty stores that the second argument makes.
Measure = Callable[[str, Make, Settings], list[Group]]


def on(name: str, measure: Measure, settings: Settings) -> list[Group]:
    """Measure on one storage."""
    with STORAGES[name](settings) as make:
        return measure(name, make, settings)


def chains(name: str, make: Make, settings: Settings) -> list[Group]:
    """How fast a worker runs jobs of which each is pushed by the one before."""

    def rate(fill: Callable[[Any, int], object], jobs: int, *, one_by_one: bool = False) -> float:
        system = make(one_by_one=one_by_one)
        try:
            fill(system.manager, jobs)
            return completed(system, jobs)
        finally:
            system.close()

    jobs, plainly = settings.jobs, "plain jobs, one by one"
    contenders: list[Contender] = [
        (Figure("plain jobs, as they come", "jobs/s"), partial(rate, plain, jobs)),
        (Figure(plainly, "jobs/s"), partial(rate, plain, jobs, one_by_one=True)),
        (Figure("chains of ten", "jobs/s", against=plainly), partial(rate, short_chains, jobs)),
        *(
            (Figure(f"one chain of {links:,}", "jobs/s", against=plainly), partial(rate, chain, links))
            for links in LONG
        ),
    ]
    figures = alternate(contenders, settings.rounds, settings.say)
    how = f"{jobs:,} no-ops on {name}, one worker process; from the first completed to the last"
    return [Group(f"together-chain, {name}", how, figures).compare()]


def plain(manager: Any, jobs: int) -> None:
    """Push so many jobs."""
    manager.push_many((noop, {"text": TEXT}) for _ in range(jobs))


def chain(manager: Any, jobs: int) -> None:
    """Push so many jobs as one chain."""
    manager.chain([(noop, {"text": TEXT})] * jobs).push()


def short_chains(manager: Any, jobs: int) -> None:
    """Push so many jobs in chains of ten."""
    for _ in range(jobs // 10):
        chain(manager, 10)


def completed(system: OurSystem, jobs: int) -> float:
    """Jobs a second of a worker, from the look that first sees one completed to the one that sees all."""
    with running(system) as worker:
        until = time.monotonic() + PATIENCE
        first = began = 0.0
        while (done := system.manager.counts().statuses["completed"]) < jobs:
            if done and not first:
                first, began = done, time.perf_counter()
            if worker.poll() is not None or time.monotonic() > until:
                raise gave_up(system)
            time.sleep(LOOK)
        return (jobs - first) / (time.perf_counter() - began)


def batches(name: str, make: Make, settings: Settings) -> list[Group]:
    """How fast a batch is pushed, what its pusher holds, and how long its counts take to read."""
    jobs = settings.stored
    most: dict[str, list[float]] = {how: [] for how in PUSHES}
    reading = Figure(f"its counts read, {jobs:,} jobs, at most of {READINGS}", "ms")

    def rate(how: str) -> float:
        system = make()
        try:
            told = pushed_elsewhere(system, how, jobs)
            most[how].append(told["megabytes"])
            if how == "a batch":
                reading.values.append(read_counts(system.manager))
            return jobs / float(told["seconds"])
        finally:
            system.close()

    contenders: list[Contender] = [
        (Figure(how, "jobs/s", against="push_many" if how != "push_many" else None), partial(rate, how))
        for how in PUSHES
    ]
    figures = alternate(contenders, max(1, settings.rounds // 2), settings.say)
    memory = [Figure(f"{how}, what the pusher's memory grew by at most", "MB", most[how]) for how in PUSHES]
    how = f"{jobs:,} jobs of 100 bytes, from a generator, on {name}"
    return [Group(f"together-push, {name}", how, [*figures, *memory, reading]).compare()]


def read_counts(manager: Any) -> float:
    """Milliseconds that the slowest of some readings of a batch takes."""
    (batch,) = manager.batches.all()[0]
    slowest = 0.0
    for _ in range(READINGS):
        began = time.perf_counter()
        manager.batches.find(batch.id)
        slowest = max(slowest, time.perf_counter() - began)
    return slowest * 1000


def pushed_elsewhere(system: OurSystem, how: str, jobs: int) -> dict[str, float]:
    """Push in a process of its own, whose memory nothing else has filled before."""
    place = system.url if isinstance(system, Ours) else str(system.folder)
    command = [sys.executable, "-m", "benchmarks.together", place, how, str(jobs)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    told: dict[str, float] = json.loads(said)
    return told


def push_here(place: str, how: str, jobs: int) -> dict[str, float]:
    """Push so many, and tell how long that took and by how many megabytes this process grew at most."""
    system: OurSystem = Ours(place, Path()) if "://" in place else FlaskQueues(Path(place))
    plain(system.manager, 1_000)  # so that all is loaded
    made = ((noop, {"text": TEXT}) for _ in range(jobs))
    before, began = peak(), time.perf_counter()
    if how == "a batch":
        system.manager.batch(made, name="all").push()
    else:
        system.manager.push_many(made, **({"tags": ["all"]} if how != "push_many" else {}))
    seconds = time.perf_counter() - began
    system.close()
    return {"seconds": seconds, "megabytes": peak() - before}


def peak() -> float:
    """The most megabytes that this process has ever held."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def settling(name: str, make: Make, settings: Settings) -> list[Group]:
    """What it costs to run jobs of a batch, which are counted and have a tag, beside others."""
    jobs = max(settings.jobs // 2, 100)

    def cost(fill: Callable[[Any], object]) -> float:
        system = make()
        stocked = Stocked(system)
        fill(system.manager)
        try:
            return stocked.run_all(jobs)
        finally:
            stocked.close()

    def some() -> Iterator[tuple[Any, dict[str, str]]]:
        return ((noop, {"text": TEXT}) for _ in range(jobs))

    fills: dict[str, Callable[[Any], object]] = {
        "plain jobs": lambda manager: manager.push_many(some()),
        "with a tag": lambda manager: manager.push_many(some(), tags=["all"]),
        "of a batch": lambda manager: manager.batch(some()).push(),
    }
    unit: Unit = "ms a job"
    contenders: list[Contender] = [
        (Figure(name, unit, against="plain jobs" if name != "plain jobs" else None), partial(cost, fill))
        for name, fill in fills.items()
    ]
    figures = alternate(contenders, settings.rounds, settings.say)
    how = f"{jobs:,} no-ops on {name}: claim, run, settle one by one, in-process"
    return [Group(f"together-settle, {name}", how, figures).compare()]


def gathered(name: str, make: Make, settings: Settings) -> list[Group]:
    """How fast payloads that come as lists are pushed and run, beside as many jobs."""
    jobs = settings.jobs * 10
    pushes = {job: Figure(f"push_many, {word}", "jobs/s") for job, word in ((noop, "jobs"), (Gathered, "payloads"))}

    def rate(job: Any) -> float:
        system = make()
        try:
            began = time.perf_counter()
            system.manager.push_many((job, {"text": TEXT, "number": n} if job is Gathered else {"text": TEXT})
                                     for n in range(jobs))  # fmt: skip
            pushes[job].values.append(jobs / (time.perf_counter() - began))
            time.sleep(Gathered.window + 0.1)  # all are due
            return completed(system, jobs)
        finally:
            system.close()

    contenders: list[Contender] = [
        (Figure("drain, jobs", "jobs/s"), partial(rate, noop)),
        (Figure("drain, payloads", "jobs/s", against="drain, jobs"), partial(rate, Gathered)),
    ]
    figures = alternate(contenders, max(1, settings.rounds // 2), settings.say)
    pushes[Gathered].against = pushes[noop].name
    how = f"{jobs:,} on {name}, a hundred keys, a window of 1 s, up to {Gathered.size} in a run; one worker process"
    return [Group(f"together-gathered, {name}", how, [*figures, *pushes.values()]).compare()]


PARTS: dict[str, Measure] = {"chain": chains, "push": batches, "settle": settling, "gathered": gathered}
MEASURES: dict[str, Callable[[Settings], list[Group]]] = {
    f"together-{part}-{name.lower()}": partial(on, name, measure)
    for part, measure in PARTS.items()
    for name in STORAGES
}


if __name__ == "__main__":
    print(json.dumps(push_here(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
