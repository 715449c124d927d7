"""Schedules lie in the partition of the queue that they push to, so that a change and its push are one step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress

from ..values import NewJob, Occurrence, Schedule
from .calls import Calls, Command
from .keys import Keys, is_stray, of_job, structures
from .names import QueueNames
from .pushing import Pushes
from .records import decoded, push_arguments, quoted, unquoted
from .scripts import REVISIONS, SCHEDULE


class Schedules:
    """Reads and changes schedules."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames, pushes: Pushes) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._pushes = pushes

    def put(self, schedule: Schedule, jobs: Sequence[NewJob], occurrences: Sequence[Occurrence]) -> int:
        """Compare, set and push; returns the new revision, or 0."""
        if schedule.revision == 0 and any(one.name == schedule.name for one in self.all()):
            return 0
        told = [occurrence_text(one.due, one.outcome, one.job) for one in occurrences]
        return self._change(schedule, f"t{schedule.about}", jobs, told)

    def delete(self, schedule: Schedule) -> bool:
        """Compare and delete."""
        return self._change(schedule, "", (), ()) > 0

    def _change(self, schedule: Schedule, about: str, jobs: Sequence[NewJob], told: Sequence[str]) -> int:
        near = self._calls.servers.near
        partition = self._keys.partition(schedule.queue)
        keys = [*structures(partition), f"{partition}h:{schedule.name}"]
        pushes = []
        jobs = self._pushes.free(jobs)
        for job in jobs:
            pushes += push_arguments(job, stray=near and is_stray(job))
            keys += of_job(partition, job.id, job.tags)

        def build(unsure: bool) -> Command:
            arguments = [
                self._keys.root, partition, schedule.queue, "1" if near else "", schedule.name, schedule.revision,
                about, "1" if unsure else "", len(jobs), *pushes, len(told), *told,
            ]  # fmt: skip
            return Command(partition, SCHEDULE, arguments, keys)

        with nullcontext() if near else self._names.surely(schedule.queue):
            return int(self._calls.run(build))

    def all(self) -> list[Schedule]:
        """All schedules, by name."""
        queues = self._names.with_any("schedules")
        keys = [self._keys.partition(queue) + "schedules" for queue in queues]
        answers = self._calls.ask_all([Command(key, None, ["HGETALL", key]) for key in keys])
        found = []
        for queue, rows in zip(queues, answers, strict=True):
            for name, text in zip(rows[::2], rows[1::2], strict=True):
                found.append(read_schedule(decoded(name), queue, decoded(text)))
        return sorted(found, key=lambda one: one.name)

    def changes(self) -> int:
        """A number that rises with each change: a revision is never less than the time at which it was given."""
        if self._calls.servers.near:
            answers = self._calls.ask(Command(self._keys.root, REVISIONS, [self._keys.root]))
        else:
            keys = [self._keys.partition(queue) + "meta" for queue in self._names.all()]
            answers = self._calls.ask_all([Command(key, None, ["HGET", key, "revision"]) for key in keys])
        return sum(int(number or 0) for number in answers)

    def history(self, schedule: Schedule, limit: int) -> list[Occurrence]:
        """What became of the schedule's occurrences, the last decided first."""
        key = f"{self._keys.partition(schedule.queue)}h:{schedule.name}"
        rows = self._calls.ask(Command(key, None, ["LRANGE", key, -limit, -1]))
        found = []
        for row in reversed(rows):
            with suppress(ValueError):  # one that cannot be read is left out
                decided, due, outcome, job = decoded(row).split("\t")
                found.append(Occurrence(int(due), int(decided), unquoted(outcome) or "", unquoted(job)))
        return found


def read_schedule(name: str, queue: str, text: str) -> Schedule:
    """Read a schedule; of one that cannot be read the scheduler gets the text as it is, and says so."""
    revision, _, rest = text.partition("\t")
    _, parted, about = rest.partition("\t")
    if not parted or not revision.isdecimal():
        return Schedule(name, queue, text, 0)
    return Schedule(name, queue, about, int(revision))


def occurrence_text(due: int, outcome: str, job: str | None) -> str:
    """Write an occurrence; the time at which it was decided goes before it."""
    return f"{due}\t{quoted(outcome)}\t{quoted(job)}"
