"""What runs in other processes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

from ....errors import QueueFull
from ....record import Outcome, Status
from ....storage.unique import Unique
from ....storage.values import Gather, Occurrence, Query, Settlement, Wanted
from ..engine import Engine
from .words import LONG, ids, new, settle, take


def drain(engine: Engine, worker: str, queues: Sequence[str], limit: int) -> list[str]:
    """Claim and complete until nothing is left; returns what was claimed."""
    storage = engine.open()
    done: list[str] = []
    settled: list[Settlement] = []
    wanted = Wanted(queues, ["t"], LONG, limit, ["t"])
    while True:
        step = storage.step(worker, settled, wanted)
        assert not step.lost
        if not step.claims:
            storage.close()
            return done
        done += ids(step.claims)
        settled = [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED) for one in step.claims]


def fire_all(engine: Engine, who: int, last: int) -> int:
    """Count a schedule up to `last` with others, pushing a job for each number; returns how often we did."""
    storage = engine.open()
    fired = 0
    while (schedule := storage.schedules()[0]).about != str(last):
        n = int(schedule.about) + 1
        job = new(f"{n} by {who}")
        next_one = schedule._replace(about=str(n))
        fired += storage.put_schedule(next_one, [job], [Occurrence(n, 0, "fired", job.id)]) > 0
    storage.close()
    return fired


def push_all(engine: Engine, job_ids: Sequence[str]) -> int:
    """Push jobs one by one; returns how many were new."""
    storage = engine.open()
    new_ones = sum(storage.push([new(job_id)])[0] for job_id in job_ids)
    storage.close()
    return new_ones


def push_until_full(engine: Engine, who: int, bound: int) -> int:
    """Push jobs one by one until the queue takes no more; returns how many it took."""
    storage = engine.open()
    count = 0
    try:
        while True:
            storage.push([new(f"{count} by {who}")], {"q": bound})
            count += 1
    except QueueFull:
        return count
    finally:
        storage.close()


def push_one_of_its_kind(engine: Engine, job_id: str) -> str:
    """Push a unique job; returns the id of the one that holds the key."""
    storage = engine.open()
    holder = storage.push_unique(new(job_id, unique=Unique("only one")))
    storage.close()
    return holder


def push_to_gather(engine: Engine, who: str, number: int, gather: Gather) -> list[str]:
    """Push jobs that wait for each other, one by one; returns their ids."""
    storage = engine.open()
    names = [f"{n} by {who}" for n in range(number)]
    for name in names:
        storage.push([new(name, delay=LONG, gather=gather)])
    storage.close()
    return names


def claim_by_id(engine: Engine, worker: str, job_ids: Sequence[str]) -> list[str]:
    """Try to claim each job by its id; returns the ids of those it got."""
    storage = engine.open()
    got = [job_id for job_id in job_ids if storage.claim(worker, job_id, LONG)]
    storage.close()
    return got


def push_slices(pipe: Any, engine: Engine, size: int) -> None:
    """Push slices of jobs for ever, telling of each once it is acknowledged."""
    storage = engine.open()
    for n in itertools.count():
        storage.push([new(f"{n}-{m}") for m in range(size)])
        pipe.send(n)


def push_when_told(pipe: Any, engine: Engine) -> None:
    """Push one job for each word that comes."""
    storage = engine.open()
    storage.counts()
    pipe.send("ready")
    while (word := pipe.recv()) is not None:
        storage.push([new(word)])
        pipe.send("pushed")
    storage.close()


def move_jobs(pipe: Any, engine: Engine) -> None:
    """Claim, put off, complete and retry jobs for ever."""
    storage = engine.open()
    pipe.send("ready")
    dice = random.Random(1)
    while True:
        for claim in take(storage, limit=8, short=["t"]):
            status = dice.choice([Status.PENDING, Status.SCHEDULED, Status.FAILED, Status.CANCELLED])
            settle(storage, claim, status, Outcome.FAILED)
        for job in storage.page(Query(statuses=[Status.FAILED, Status.CANCELLED], limit=8)).jobs:
            storage.retry(job.id)
