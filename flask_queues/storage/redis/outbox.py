"""What a job's end causes in another partition of a cluster: noted in the settling step, pushed moments later.

It is delivered at least once and applied once: the push leaves a job alone whose id is there, and the id
of one that came this way is kept for a day, also where the job itself is gone by then.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from ..values import NewJob
from .calls import Calls, Command
from .keys import Keys, of_job, structures
from .names import QueueNames
from .records import dump, push_arguments
from .scripts import DELIVER

#: Milliseconds after which the keeper delivers what whoever settled has not.
OVERDUE = 300


class Outbox:
    """Delivers pushes from one partition to another."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names

    def deliver(self, queue: str, jobs: Sequence[NewJob]) -> None:
        """Push what was noted in a queue's partition, and take it out there."""
        box = self._keys.partition(queue) + "out"
        for job in jobs:
            if job.queue != queue:
                with self._names.surely(job.queue):
                    self._calls.ask(self._delivery(job))
                self._calls.ask(Command(box, None, ["HDEL", box, job.id]))

    def _delivery(self, job: NewJob) -> Command:
        partition = self._keys.partition(job.queue)
        arguments = [self._keys.root, partition, *push_arguments(job, stray=False)]
        return Command(partition, DELIVER, arguments, [*structures(partition), *of_job(partition, job.id, job.tags)])

    def deliver_overdue(self, now: int) -> None:
        """Deliver what has waited for so long that whoever settled must have died."""
        self._deliver_noted(now - OVERDUE)

    def deliver_all(self) -> None:
        """Deliver whatever waits, as before a move: nobody delivers it afterwards."""
        self._deliver_noted(math.inf)

    def _deliver_noted(self, before: float) -> None:
        queues = self._names.with_any("out")
        boxes = [self._keys.partition(queue) + "out" for queue in queues]
        found = self._calls.ask_all([Command(box, None, ["HGETALL", box]) for box in boxes])
        for queue, rows in zip(queues, found, strict=True):
            waiting = [text.decode().split("\t", 1) for text in rows[1::2]]
            self.deliver(queue, [read_outward(text) for noted, text in waiting if int(noted) < before])


def outward_text(job: NewJob) -> str:
    """Write a push so that it can wait."""
    return dump(job.said())


def read_outward(text: str) -> NewJob:
    """Read what `outward_text` wrote."""
    return NewJob.read(json.loads(text))
