"""What ten thousand schedules cost, and how late one fires: no other system's figures, but ours against our goals."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from flask_queues.manager import Manager
from flask_queues.scheduler.definition import define
from flask_queues.scheduler.state import State

from .measures import Settings
from .ours import FlaskQueues, noop
from .rounds import Figure, Group
from .system import TEXT, System, running

SCHEDULES = 10_000
#: None of them is due while this runs, nor is any for months.
RARE = "0 0 29 2 *"
#: Ticks that are timed, and seconds for which a worker's processes are watched.
TICKS = 200
WATCHED = 10.0
#: Where they stand in a process's `stat`, after its name.
PARENT, USER, SYSTEM = 1, 11, 12


def schedules(settings: Settings) -> Group:
    """Time the tick of an idle worker, its share of a core, and how late an occurrence is fired."""
    figures = {
        "tick": Figure(f"a tick with {SCHEDULES:,} schedules, p99", "ms", goal=5.0),
        "read": Figure("the same, when one was changed and all are read", "ms"),
        "share": Figure(f"idle worker, {SCHEDULES:,} schedules: more of a core than with none", "%", goal=1.0),
        "late": Figure("fired after it was due, idle worker, at most", "ms", goal=1000.0),
    }
    for number in range(settings.rounds):
        with settings.fresh() as folder:
            system = FlaskQueues(folder)
            before = share_of_a_core(system)
            figures["late"].values.append(lateness(system))
            store(system.manager)
            tick, read = ticks(system.manager)
            figures["tick"].values.append(tick)
            figures["read"].values.append(read)
            figures["share"].values.append(share_of_a_core(system) - before)
            system.close()
        told = ", ".join(f"{figure.values[-1]:.3g} {figure.unit}" for figure in figures.values())
        settings.say(f"round {number + 1} of {settings.rounds}: {told}")
    how = "on SQLite; a tick comes once a second, or when something is due"
    return Group("schedules", how, list(figures.values()))


def store(manager: Manager) -> None:
    """Make the schedules, in three zones."""
    zones = ("UTC", "Europe/Berlin", "America/New_York")
    for number in range(SCHEDULES):
        zone = zones[number % len(zones)]
        one = define(manager.jobs, manager.config, RARE, noop, {"text": TEXT}, name=f"schedule {number}", timezone=zone)
        manager.storage.put_schedule(State.new(one, "", manager.storage.now()).row())


def ticks(manager: Manager) -> tuple[float, float]:
    """Milliseconds that 99 of 100 ticks take where nothing happens, and of one that reads all schedules once more."""
    ticker = manager.scheduler.ticker()

    def tick_and_look() -> None:
        ticker._look_at = 0.0
        ticker.tick()

    tick_and_look()
    idle = [timed(tick_and_look) for _ in range(TICKS)]
    manager.scheduler.pause("schedule 0")
    return statistics.quantiles(idle, n=100)[98], timed(tick_and_look)


def timed(act: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def share_of_a_core(system: System) -> float:
    """Percent of a core that an idle worker takes with all its processes, once it has begun."""
    with running(system) as worker:
        time.sleep(10)
        before = cpu(worker.pid)
        time.sleep(WATCHED)
        return (cpu(worker.pid) - before) / WATCHED * 100


def cpu(pid: int) -> float:
    """Seconds of processor time that a process and its children have taken, as Linux counts them."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            if pid in (int(path.parent.name), int(fields[PARENT])):
                ticks += int(fields[USER]) + int(fields[SYSTEM])
    return ticks / os.sysconf("SC_CLK_TCK")


def lateness(system: FlaskQueues) -> float:
    """Milliseconds after its time at which the latest of some occurrences was fired by an idle worker."""
    scheduler = system.manager.scheduler
    with running(system):
        scheduler.add(timedelta(seconds=1), noop, {"text": TEXT}, name="often", overlap=True)
        time.sleep(WATCHED)
        lines = scheduler.history("often")
        scheduler.remove("often")
    return max(line.late for line in lines[:-2]) * 1000


MEASURES = {"schedules": schedules}
