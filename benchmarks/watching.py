"""What an open panel costs the workers: the processor time that its refreshes take from them, directly and indirectly.

A rate alone would not tell: one refresh in five seconds is lost in its noise. So the panel is refreshed many times as
often, and what that costs is divided down. Processor time depends less on what else the machine does.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

from .measures import Settings
from .ours import FlaskQueues
from .panel import shop
from .redis.measures import one_server, pid_of
from .redis.with_ours import Ours
from .rounds import Figure, Group
from .system import Drained, System, drain

#: Seconds between two refreshes of a panel, and per cent of their rate that it may cost the workers.
REFRESH, GOAL = 5.0, 1.0
#: Seconds between two refreshes here.
QUICK = 0.1
#: The list that changes with every job, as the script of the panel asks for it.
PAGE, LIVE = "/queues/jobs", {"X-Queues-Live": "1"}
#: So many times more jobs, for a run of some seconds.
LONGER = 4


class Seen(NamedTuple):
    """What somebody did who looked on."""

    refreshes: int
    #: Seconds of processor time.
    spent: float


class Round(NamedTuple):
    """What a worker did, and who looked on."""

    jobs: int
    done: Drained
    seen: Seen


class Place(NamedTuple):
    """Where the jobs are, for the process that looks on."""

    folder: str
    keys: dict[str, Any]
    #: The name of the application, which stands in each key on Redis.
    name: str


def watching(settings: Settings) -> list[Group]:
    """Drain in turns with the panel closed and open, on SQLite and on Redis."""

    def on_sqlite(*, seen: bool) -> Round:
        with settings.fresh() as folder:
            place = Place(str(folder), {"QUEUES_CACHE_DIR": str(folder)}, "shop")
            return drained(FlaskQueues(folder), settings, place, seen=seen)

    groups = [compare("SQLite", settings, on_sqlite)]
    with one_server(settings) as make:

        def on_redis(*, seen: bool) -> Round:
            system = make(Ours)
            keys = {"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_URL": system.url}
            place = Place(str(system.folder), keys, "benchmarks")
            return drained(system, settings, place, seen=seen, server=pid_of(system))

        return [*groups, compare("Redis", settings, on_redis)]


def compare(name: str, settings: Settings, drained: Callable[..., Round]) -> Group:
    """Alternate, and work out what one refresh in five seconds costs."""
    closed, often = Figure("panel closed", "jobs/s"), Figure("panel open, refreshed all the time", "jobs/s")
    often.against = closed.name
    own, others = Figure("a refresh, where it is rendered", "ms"), Figure("a refresh, in worker and server", "ms")
    lost = Figure(f"lost to a refresh every {REFRESH:g} s", "%", goal=GOAL)
    for number in range(settings.rounds):
        order = (False, True) if number % 2 == 0 else (True, False)
        alone, seen = (one for _, one in sorted((looks, drained(seen=looks)) for looks in order))
        closed.values.append(alone.done.rate)
        often.values.append(seen.done.rate)
        own.values.append(1000 * seen.seen.spent / seen.seen.refreshes)
        more = (seen.done.cost - alone.done.cost) * seen.jobs / 1000
        others.values.append(more / seen.seen.refreshes)
        lost.values.append((own.values[-1] + others.values[-1]) / (REFRESH * 1000) * 100)
        settings.say(f"round {number + 1}: {seen.seen.refreshes} refreshes, {lost.values[-1]:.3g} % at one in 5 s")
    how = (
        f"on {name}, one worker process; another process renders the live part of the list of pending jobs up to "
        f"{1 / QUICK:g} times a second; processor time of a refresh, and its share of one core at one in {REFRESH:g} s"
    )
    return Group(f"watching, {name}", how, [closed, often, own, others, lost]).compare()


def drained(system: System, settings: Settings, place: Place, *, seen: bool, server: int | None = None) -> Round:
    """What a worker does with jobs that wait for it, and who looked on."""
    jobs = settings.jobs * LONGER
    system.fill(jobs)
    try:
        with open_panel(place) if seen else nullcontext(lambda: Seen(0, 0.0)) as looked:
            return Round(jobs, drain(system, jobs, server), looked())
    finally:
        system.close()


@contextmanager
def open_panel(place: Place) -> Iterator[Callable[[], Seen]]:
    """Let another process look on; gives what tells what it did since it began."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    made, spent = context.Value("i", 0), context.Value("d", 0.0)
    process = context.Process(target=look_on, args=(place, ready, stop, made, spent))
    process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("The process that looks on did not start.")
        yield lambda: Seen(made.value, spent.value)
    finally:
        stop.set()
        process.join(30)


def look_on(place: Place, ready: Event, stop: Event, made: Any, spent: Any) -> None:
    """Refresh a page as a browser would, many times as often; the first, which reads the templates, does not count."""
    with shop(Path(place.folder), place.keys, place.name) as (_, client):
        etag = client.get(PAGE, headers=LIVE).headers["ETag"]
        ready.set()
        while not stop.wait(QUICK):
            before = time.process_time()
            answer = client.get(PAGE, headers={**LIVE, "If-None-Match": etag})
            assert answer.status_code in (200, 304)
            etag = answer.headers["ETag"]
            spent.value += time.process_time() - before
            made.value += 1


MEASURES = {"watching": watching}
