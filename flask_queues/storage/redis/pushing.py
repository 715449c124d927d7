"""How jobs are pushed: one script on one server, one a queue on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import PushUncertain, QueueFull
from ..parcels import Parcel
from ..values import NewJob
from .calls import Calls, Command, Doubt
from .connection import pack
from .keys import Keys, is_stray, of_job, structures
from .names import QueueNames
from .records import push_arguments, pushed_text
from .scripts import PUSH

#: Milliseconds for which a push waits for its replicas.
REPLICAS_TIMEOUT = 1000
#: Milliseconds: a job as old as this was not stored by a push whose answer was lost just now.
JUST_NOW = 30_000
#: So begins the answer of the script where a queue has no room.
FULL = b"full"


class Push(NamedTuple):
    """What is to be pushed."""

    jobs: Sequence[NewJob]
    #: By queue: how many may wait.
    bounds: Mapping[str, int]
    #: The places of jobs whose ids say not where they belong.
    stray: set[int]


def strays(jobs: Sequence[NewJob | Parcel]) -> set[int]:
    """The places of those jobs whose ids say not where they belong."""
    return {place for place, job in enumerate(jobs) if is_stray(job)}


class Holders(threading.local):
    """Who held the keys of jobs that were not stored, by their places in the push."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}


class Pushes:
    """Stores new jobs."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames, wait: int) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._wait = wait
        #: Who held the key of the job that this thread pushed last.
        self._holders = Holders()

    def push_unique(self, job: NewJob, bounds: Mapping[str, int]) -> str:
        """Store a job, and tell the id of the one that holds its key."""
        self._holders.of = {}
        self.push([job], bounds)
        return self._holders.of.pop(0, job.id)

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int]) -> list[bool]:
        """Store jobs that are not there yet, and tell of each whether it is new; raises `QueueFull` beyond a bound."""
        stray = strays(jobs)
        taken = self._taken(jobs, stray)
        groups: dict[str, list[int]] = {}
        for place, job in enumerate(jobs):
            if place not in taken:
                groups.setdefault(job.queue, []).append(place)
        created = [False] * len(jobs)
        if self._calls.servers.near:
            self._send(Push(jobs, bounds, stray), groups, created)
        else:
            for queue, places in groups.items():
                self._names.add([queue])
                self._send(Push(jobs, bounds, stray), {queue: places}, created)
        return created

    def _send(self, push: Push, groups: dict[str, list[int]], created: list[bool]) -> None:
        """Store those jobs whose places are given for each queue; notes in `created` which of them are new."""
        if not groups:
            return
        near = self._calls.servers.near
        doubt = Doubt()
        command = self._command(push, groups)
        rows: Any = self._calls.run(lambda _: command, doubt)
        confirmed = self._wait
        if self._wait:
            rows, told = rows
            confirmed = told if isinstance(told, int) else 0
        if rows[0] == FULL:
            queue = list(groups)[rows[1] - 1]
            raise QueueFull(queue, push.bounds[queue], *rows[2:])
        for row, places in zip(rows, groups.values(), strict=True):
            for place, new in zip(places, row[1:], strict=True):
                if isinstance(new, bytes):
                    self._holders.of = {place: new.decode()}
                created[place] = new == 1 or (doubt.unsure and self._is_ours(push.jobs[place]))
        if not near and rows[0][0]:
            self._names.add(groups, again=True)
        if confirmed < self._wait:
            raise PushUncertain(
                f"Stored, but confirmed by {confirmed} of the {self._wait} replicas that QUEUES_REDIS_WAIT asks for: a "
                "failover now could lose it. Pushing again with the same id is safe."
            )

    def _command(self, push: Push, groups: dict[str, list[int]]) -> Command:
        near = self._calls.servers.near
        arguments: list[Any] = [self._keys.root, "1" if near else "", len(groups)]
        keys: list[str] = []
        first = ""
        for queue, places in groups.items():
            partition = self._keys.partition(queue)
            first = first or partition
            arguments += (partition, queue, push.bounds.get(queue, ""), len(places))
            for place in places:
                arguments += push_arguments(push.jobs[place], stray=near and place in push.stray)
            if not near:
                keys += structures(partition)
                for place in places:
                    keys += of_job(partition, push.jobs[place].id, push.jobs[place].tags)
        wait = pack(["WAIT", self._wait, REPLICAS_TIMEOUT]) if self._wait else None
        return Command(first, PUSH, arguments, keys, wait)

    def free(self, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
        """The jobs without those whose id another queue holds."""
        taken = self.taken(jobs)
        return [job for n, job in enumerate(jobs) if n not in taken] if taken else jobs

    def taken(self, jobs: Sequence[NewJob | Parcel]) -> set[int]:
        """Which jobs have an id that another queue holds: only ids that say not where they belong can.

        Where one script reaches every queue, it finds out itself what is stored already.
        """
        return self._taken(jobs, strays(jobs))

    def _taken(self, jobs: Sequence[NewJob | Parcel], stray: set[int]) -> set[int]:
        if not stray:
            return stray
        seen: dict[str, str] = {}
        taken = {n for n in sorted(stray) if seen.setdefault(jobs[n].id, jobs[n].queue) != jobs[n].queue}
        if self._calls.servers.near:
            return taken
        queues = self._names.all()
        questions = [(n, queue) for n in stray for queue in queues if queue != jobs[n].queue]
        keys = [f"{self._keys.partition(queue)}j:{jobs[n].id}" for n, queue in questions]
        found = self._calls.ask_all([Command(key, None, ["EXISTS", key]) for key in keys])
        return taken | {n for (n, _), there in zip(questions, found, strict=True) if there}

    def _is_ours(self, job: NewJob) -> bool:
        """Whether a job that was there already came with this push, whose answer was lost."""
        key = f"{self._keys.partition(job.queue)}j:{job.id}"
        text = self._calls.ask(Command(key, None, ["GET", key]))
        now = self._calls.ask(Command(key, None, ["TIME"]))
        if text is None:
            return False
        place, _, said = text.decode().partition("\n")
        created = int(place.split("\t")[1])
        return bool(said == pushed_text(job) and int(now[0]) * 1000 - created < JUST_NOW)
