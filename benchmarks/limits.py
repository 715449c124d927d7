"""How well a rate holds over several workers, and what jobs cost that it holds back: ours against our goals."""

from __future__ import annotations

import bisect
import time
from contextlib import ExitStack
from pathlib import Path

from .measures import Settings
from .ours import FlaskQueues, start
from .rounds import Figure, Group
from .schedules import share_of_a_core
from .system import PATIENCE, STARTS, TEXT, gave_up, running

WORKERS = 8
#: Jobs a second, and seconds for which they are counted, from a second after the first on.
RATE, COUNTED = 100, 20
#: Jobs that wait at a closed gate.
WAITING = 2_000


def limits(settings: Settings) -> Group:
    """Count what begins under a rate, and watch an idle worker with jobs that wait for theirs."""
    figures = {
        "off": Figure(f"{RATE}/s with {WORKERS} workers over {COUNTED} s: off by", "%", goal=2.0),
        "most": Figure("the same, most in any second", "jobs"),
        "share": Figure(f"idle worker, {WAITING:,} jobs at a closed gate: of a core", "%"),
        "more": Figure("the same, more than with none", "%", goal=2.0),
    }
    for number in range(settings.rounds):
        with settings.fresh() as folder:
            off, most = rate(FlaskQueues(folder))
            figures["off"].values.append(off)
            figures["most"].values.append(most)
        with settings.fresh() as folder:
            system = FlaskQueues(folder)
            before = share_of_a_core(system)
            fill(system, WAITING, "1/d")
            share = share_of_a_core(system)
            figures["share"].values.append(share)
            figures["more"].values.append(share - before)
            system.close()
        told = ", ".join(f"{figure.values[-1]:.3g} {figure.unit}" for figure in figures.values())
        settings.say(f"round {number + 1} of {settings.rounds}: {told}")
    how = f"on SQLite; {WORKERS} workers of one process each, and as many jobs as they could begin"
    return Group("limits", how, list(figures.values()))


def fill(system: FlaskQueues, jobs: int, rate: str) -> None:
    """Push jobs under a rate."""
    system.manager.push_many(((start, {"number": n, "text": TEXT}) for n in range(jobs)), rate=rate)


def rate(system: FlaskQueues) -> tuple[float, float]:
    """By how many percent the jobs that began are off the rate, and how many began in any one second at most."""
    fill(system, RATE * (COUNTED + 10), f"{RATE}/s")
    with ExitStack() as stack:
        for _ in range(WORKERS):
            stack.enter_context(running(system))
        first = wait_for_first(system)
        time.sleep(first + COUNTED + 2 - time.monotonic())
    system.close()
    moments = began(system.folder)
    since = moments[0] + 1.0
    counted = bisect.bisect_left(moments, since + COUNTED) - bisect.bisect_left(moments, since)
    most = max(bisect.bisect_left(moments, moment + 1.0) - n for n, moment in enumerate(moments))
    return abs(counted / (RATE * COUNTED) - 1) * 100, float(most)


def wait_for_first(system: FlaskQueues) -> float:
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
