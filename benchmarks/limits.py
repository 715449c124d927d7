"""How well a rate holds over several workers, and what jobs cost that it holds back: ours against our goals."""

from __future__ import annotations

import bisect
import time
from contextlib import ExitStack
from pathlib import Path

from .measures import Settings
from .ours import FlaskQueues, start
from .redis.server import server
from .redis.with_ours import Ours
from .rounds import Figure, Group
from .schedules import share_of_a_core
from .system import PATIENCE, STARTS, TEXT, gave_up, running

#: On SQLite or on Redis.
OneOfOurs = FlaskQueues | Ours
WORKERS = 8
#: Jobs a second, and seconds for which they are counted, from a second after the first on.
RATE, COUNTED = 100, 60
#: Jobs that wait at a closed gate.
WAITING = 2_000


def limits(settings: Settings) -> list[Group]:
    """Count what begins under a rate, and watch an idle worker with jobs that wait for theirs, on both engines."""
    on_sqlite, on_redis = figures(), figures()
    for number in range(settings.rounds):
        with settings.fresh() as first, settings.fresh() as other:
            measure(on_sqlite, FlaskQueues(first), FlaskQueues(other))
        with settings.fresh() as first, settings.fresh() as other, server(first) as one, server(other) as two:
            measure(on_redis, Ours(one, first), Ours(two, other))
        told = [
            f"{figure.values[-1]:.3g} {figure.unit}" for found in (on_sqlite, on_redis) for figure in found.values()
        ]
        settings.say(f"round {number + 1} of {settings.rounds}: {', '.join(told)}")
    how = f"{WORKERS} workers of one process each, and as many jobs as they could begin"
    return [
        Group("limits on SQLite", f"on SQLite; {how}", list(on_sqlite.values())),
        Group("limits on Redis", f"on Redis; {how}", list(on_redis.values())),
    ]


def figures() -> dict[str, Figure]:
    """What is measured on an engine."""
    return {
        "off": Figure(f"{RATE}/s with {WORKERS} workers over {COUNTED} s: off by", "%", goal=2.0),
        "most": Figure("the same, most in any second", "jobs"),
        "share": Figure(f"idle worker, {WAITING:,} jobs at a closed gate: of a core", "%"),
        "more": Figure("the same, more than with none", "%", goal=2.0),
    }


def measure(found: dict[str, Figure], limited: OneOfOurs, idle: OneOfOurs) -> None:
    """Measure once: jobs under a rate in one storage, and jobs at a closed gate in another."""
    off, most = rate(limited)
    found["off"].values.append(off)
    found["most"].values.append(most)
    before = share_of_a_core(idle)
    fill(idle, WAITING, "1/d")
    share = share_of_a_core(idle)
    found["share"].values.append(share)
    found["more"].values.append(share - before)
    idle.close()


def fill(system: OneOfOurs, jobs: int, rate: str) -> None:
    """Push jobs under a rate."""
    system.manager.push_many(((start, {"number": n, "text": TEXT}) for n in range(jobs)), rate=rate)


def rate(system: OneOfOurs) -> tuple[float, float]:
    """By how many percent the jobs that began are off the rate, and how many began in any one second at most."""
    with ExitStack() as stack:
        for _ in range(WORKERS):
            stack.enter_context(running(system))
        wait_for_all(system)
        fill(system, RATE * (COUNTED + 10), f"{RATE}/s")
        first = wait_for_first(system)
        time.sleep(first + COUNTED + 2 - time.monotonic())
    system.close()
    moments = began(system.folder)
    since = moments[0] + 1.0
    counted = bisect.bisect_left(moments, since + COUNTED) - bisect.bisect_left(moments, since)
    most = max(bisect.bisect_left(moments, moment + 1.0) - n for n, moment in enumerate(moments))
    return abs(counted / (RATE * COUNTED) - 1) * 100, float(most)


def wait_for_all(system: OneOfOurs) -> None:
    """Wait until every worker has a child: one that is still to start begins no job."""
    until = time.monotonic() + PATIENCE
    while sum(len(worker.children) for worker in system.manager.workers()) < WORKERS:
        if time.monotonic() > until:
            raise gave_up(system)
        time.sleep(0.1)


def wait_for_first(system: OneOfOurs) -> float:
    """Wait until a job begins; returns when that was."""
    until = time.monotonic() + PATIENCE
    while not (moments := began(system.folder)):
        if time.monotonic() > until:
            raise gave_up(system)
        time.sleep(0.01)
    return moments[0]


def began(folder: Path) -> list[float]:
    """When jobs began, in seconds, the first one first."""
    file = folder / STARTS
    lines = file.read_text().splitlines() if file.exists() else []
    return sorted(int(line.split()[1]) / 1e9 for line in lines if line.count(" "))


MEASURES = {"limits": limits}
