"""How jobs are pushed: one script on one server, one a queue on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import PushUncertain
from ..base import NewJob
from ..parcels import Parcel
from .calls import Calls, Command
from .connection import pack
from .keys import Keys, is_stray, of_job, structures
from .names import QueueNames
from .records import push_arguments, pushed_text
from .scripts import PUSH

#: Milliseconds for which a push waits for its replicas.
REPLICAS_TIMEOUT = 1000
#: Milliseconds: a job as old as this was not stored by a push whose answer was lost just now.
JUST_NOW = 30_000


class Pushes:
    """Stores new jobs."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames, wait: int) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._wait = wait

    def push(self, jobs: Sequence[NewJob]) -> list[bool]:
        """Store jobs that are not there yet, and tell of each whether it is new."""
        taken = self.taken(jobs)
        places = [n for n in range(len(jobs)) if n not in taken]
        queues = list(dict.fromkeys(jobs[n].queue for n in places))
        created: dict[int, bool] = {}
        for some in [queues] if self._calls.servers.near else [[queue] for queue in queues]:
            theirs = [n for n in places if jobs[n].queue in some]
            answers = self._send([jobs[n] for n in theirs], some) if theirs else []
            created |= dict(zip(theirs, answers, strict=True))
        return [created.get(n, False) for n in range(len(jobs))]

    def _send(self, jobs: Sequence[NewJob], queues: list[str]) -> list[bool]:
        near = self._calls.servers.near
        if not near:
            self._names.add(queues)
        places = [[n for n, job in enumerate(jobs) if job.queue == queue] for queue in queues]
        was_unsure = False

        def build(unsure: bool) -> Command:
            nonlocal was_unsure
            was_unsure = unsure
            return command

        command = self._command(jobs, queues, places, near=near)
        rows: Any = self._calls.run(build)
        confirmed = self._wait
        if self._wait:
            rows, told = rows
            confirmed = told if isinstance(told, int) else 0
        created = [False] * len(jobs)
        for row, some in zip(rows, places, strict=True):
            for place, new in zip(some, row[1:], strict=True):
                created[place] = new == 1
        if not near and rows[0][0]:
            self._names.add(queues, again=True)
        if was_unsure:
            created = [new or self._is_ours(job) for new, job in zip(created, jobs, strict=True)]
        if confirmed < self._wait:
            raise PushUncertain(
                f"Stored, but confirmed by {confirmed} of the {self._wait} replicas that QUEUES_REDIS_WAIT asks for: a "
                "failover now could lose it. Pushing again with the same id is safe."
            )
        return created

    def _command(self, jobs: Sequence[NewJob], queues: list[str], places: list[list[int]], *, near: bool) -> Command:
        arguments: list[Any] = [self._keys.root, "1" if near else "", len(queues)]
        keys: list[str] = []
        for queue, some in zip(queues, places, strict=True):
            partition = self._keys.partition(queue)
            arguments += [partition, queue, len(some)]
            for place in some:
                job = jobs[place]
                arguments += push_arguments(job, stray=near and is_stray(job))
                keys += of_job(partition, job.id, job.tags)
            keys += structures(partition)
        wait = pack(["WAIT", self._wait, REPLICAS_TIMEOUT]) if self._wait else None
        return Command(self._keys.partition(queues[0]), PUSH, arguments, keys, wait)

    def free(self, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
        """The jobs without those whose id another queue holds."""
        taken = self.taken(jobs)
        return [job for n, job in enumerate(jobs) if n not in taken] if taken else jobs

    def taken(self, jobs: Sequence[NewJob | Parcel]) -> set[int]:
        """Which jobs have an id that another queue holds: only ids that say not where they belong can.

        Where one script reaches every queue, it finds out itself what is stored already.
        """
        stray = [n for n, job in enumerate(jobs) if is_stray(job)]
        seen: dict[str, str] = {}
        taken = {n for n in stray if seen.setdefault(jobs[n].id, jobs[n].queue) != jobs[n].queue}
        if not stray or self._calls.servers.near:
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
