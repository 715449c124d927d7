"""The measurements on Redis: each returns a group of figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from redis import Redis

from ..measures import Make, Settings, compare_sizes, wait_for
from ..rounds import MORE_IS_BETTER, Contender, Figure, Group, Unit, alternate
from ..stock import Stocked
from ..system import drain, drain_rate
from .peer import Peer
from .server import cluster, server
from .with_celery import CeleryOnRedis, StrictCelery
from .with_dramatiq import Dramatiq, OneThread
from .with_huey import Huey
from .with_ours import OneByOne, Ours, TwoProcesses
from .with_rq import RQ, SimpleRQ
from .with_taskiq import StrictTaskiq, Taskiq

#: The others, as they are shipped.
PEERS: list[type[Peer]] = [Huey, RQ, CeleryOnRedis, Dramatiq, Taskiq]
ALL: list[type[Peer]] = [*PEERS, Ours]
#: So many times fewer jobs for the slow ones; a rate does not depend on it.
PART: dict[type[Peer], int] = {RQ: 20, SimpleRQ: 10, CeleryOnRedis: 5, StrictCelery: 5, StrictTaskiq: 2}
#: Jobs that the memory is measured with.
WEIGHED = 100_000
#: Queues that lie on one node, on two and on all three of the cluster.
QUEUES = ("a", "b", "c", "d")


@contextmanager
def one_server(settings: Settings) -> Iterator[Callable[[type[Peer]], Peer]]:
    """Run a server; gives what makes a system on it, emptied."""
    with settings.fresh() as folder, server(folder) as url, Redis.from_url(url) as client:
        made = 0

        def make(kind: type[Peer]) -> Peer:
            nonlocal made
            made += 1
            client.flushall()
            place = folder / f"{kind.__name__}-{made}"
            place.mkdir()
            return kind(url, place)

        yield make


def run(settings: Settings) -> list[Group]:
    """How fast one worker process runs no-ops that wait, and at what cost."""
    goals: dict[type[Peer], float] = {OneByOne: 2.5, Ours: 6.0}
    kinds: list[type[Peer]] = [*PEERS, SimpleRQ, StrictCelery, OneThread, StrictTaskiq, OneByOne, Ours]
    costs = {kind: contender_figure(kind, "µs a job") for kind in kinds}
    with one_server(settings) as make:

        def rate(kind: type[Peer]) -> float:
            system = make(kind)
            jobs = settings.jobs // PART.get(kind, 1)
            system.fill(jobs)
            try:
                done = drain(system, jobs, pid_of(system))
            finally:
                system.close()
            costs[kind].values.append(done.cost)
            return done.rate

        figures = alternate([contender(kind, rate, goals.get(kind)) for kind in kinds], settings.rounds, settings.say)
    how = "one worker process with its defaults, its output in a file; from the first job gone to the last"
    rates = against_fastest(Group("redis-drain", how, figures))
    how = "processor time of worker and server together in the same runs; it depends less on what else the machine does"
    return [rates, against_fastest(Group("redis-drain, cost", how, list(costs.values())))]


def pid_of(system: Peer) -> int:
    """The process of the server."""
    with Redis.from_url(system.url) as client:
        about: Any = client.info("server")
        return int(about["process_id"])


def push(settings: Settings) -> Group:
    """How fast jobs are pushed."""
    with one_server(settings) as make:

        def rate(kind: type[Peer], act: Callable[[Peer, int], None]) -> float:
            system = make(kind)
            act(system, 10)
            began = time.perf_counter()
            act(system, settings.jobs)
            seconds = time.perf_counter() - began
            system.close()
            return settings.jobs / seconds

        each = [contender(kind, partial(rate, act=one_by_one), 0.9 if kind is Ours else None) for kind in ALL]
        many: list[Contender] = [
            (Figure("RQ, enqueue_many", "jobs/s"), partial(rate, RQ, at_once)),
            (Figure("taskiq, gather", "jobs/s"), partial(rate, Taskiq, at_once)),
            (Figure("Flask-Queues, push_many", "jobs/s", against=""), partial(rate, Ours, at_once)),
        ]
        figures = alternate([*each, *many], settings.rounds, settings.say)
    return against_fastest(Group("redis-push", "one by one, unless it says otherwise", figures), len(PEERS))


def contender(kind: type[Peer], rate: Callable[[type[Peer]], float], goal: float | None = None) -> Contender:
    """Give a system its turns; ours is compared with the fastest of the others, which is not known yet."""
    figure = contender_figure(kind, "jobs/s")
    figure.goal = goal
    return figure, partial(rate, kind)


def contender_figure(kind: type[Peer], unit: Unit) -> Figure:
    """Make a figure, to be compared with others' where it is ours."""
    return Figure(kind.name, unit, against="" if issubclass(kind, Ours) else None)


def against_fastest(group: Group, first: int = len(PEERS)) -> Group:
    """Compare ours with that one of the others, as they are shipped, which was the fastest."""
    best = max if MORE_IS_BETTER[group.figures[0].unit] else min
    fastest = best(group.figures[:first], key=lambda figure: figure.median)
    for figure in group.figures:
        if figure.against is not None:
            figure.against = fastest.name
    return group.compare()


def one_by_one(system: Peer, jobs: int) -> None:
    """Push so many no-ops."""
    system.push_each(jobs)


def at_once(system: Peer, jobs: int) -> None:
    """Push so many no-ops in as few calls as the system can."""
    system.fill(jobs)


def latency(settings: Settings) -> Group:
    """How long an idle worker takes to begin a job, all of them idle on one server."""
    with settings.fresh() as folder, server(folder) as url:
        makes: list[Make] = [partial(kind, url) for kind in ALL]
        group = wait_for(makes, settings, {})
    best = min((one for one in group.figures[:-2] if one.name.endswith("p50")), key=lambda figure: figure.median)
    ours = group.figures[-2]
    ours.against, ours.goal = best.name, 1.2
    return Group("redis-latency", group.how, group.figures).compare()


def memory(settings: Settings) -> Group:
    """What a waiting job takes in the server, with all that is kept of it and of its queue."""
    figures = []
    with one_server(settings) as make:
        for kind in ALL:
            jobs = WEIGHED if kind is Ours else WEIGHED // 10
            system = make(kind)
            system.push_each(100)
            with Redis.from_url(system.url) as client:
                before = used(client)
                system.fill(jobs) if kind is Ours else system.push_each(jobs)
                taken = (used(client) - before) / jobs
            system.close()
            figures.append(Figure(kind.name, "bytes", [taken], goal=450.0 if kind is Ours else None))
            settings.say(f"{kind.name} {taken:.0f} bytes")
    how = f"used_memory by the number of jobs: {WEIGHED:,} of ours, {WEIGHED // 10:,} of others; 100 bytes of argument"
    return Group("redis-memory", how, figures)


def used(client: Any) -> int:
    """Bytes that the server holds, without those for its clients and for what it is about to write."""
    time.sleep(1)  # it looks at its clients now and then
    told = client.info("memory")
    return int(told["used_memory"] - told["mem_clients_normal"] - told["mem_aof_buffer"])


def size(settings: Settings) -> Group:
    """What a million stored jobs cost."""
    with settings.fresh() as few, settings.fresh() as many, server(few) as small, server(many) as large:
        group = compare_sizes(Stocked(Ours(small, few)), Stocked(Ours(large, many)), settings)
    return Group("redis-size", group.how, group.figures)


def spread(settings: Settings) -> Group:
    """How fast one worker with two processes drains one, two and four queues on three nodes of a cluster."""
    with settings.fresh() as folder, cluster(folder) as urls:

        def rate(names: tuple[str, ...]) -> float:
            for url in urls:
                with Redis.from_url(url) as client:
                    client.flushall()
            system = TwoProcesses(",".join(urls), folder)
            system.fill_queues(names, settings.jobs // len(names))
            try:
                return drain_rate(system, settings.jobs // len(names) * len(names))
            finally:
                system.close()

        contenders: list[Contender] = []
        for n in (1, 2, 4):
            name = f"{n} queue{'s' if n > 1 else ''}"
            against = "1 queue" if n > 1 else None
            contenders.append((Figure(name, "jobs/s", against=against), partial(rate, QUEUES[:n])))
        figures = alternate(contenders, settings.rounds, settings.say)
    how = "a worker with two processes, three masters; as it comes"
    return Group("redis-cluster", how, figures).compare()


MEASURES: dict[str, Callable[[Settings], Group | list[Group]]] = {
    "redis-push": push,
    "redis-drain": run,
    "redis-latency": latency,
    "redis-memory": memory,
    "redis-size": size,
    "redis-cluster": spread,
}
