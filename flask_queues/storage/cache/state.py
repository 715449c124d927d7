"""What a log amounts to: the state in memory that its entries make, one after the other.

Every process that applies the same entries holds the same state, so nothing here may look at a
clock, a random number or the order of a set. Whoever changes what an entry does raises `FORMAT` in
`log.py`: two versions that read one entry differently would hold different jobs.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Any

from .job import Job
from .shelves import Shelves

#: For so many epochs after its last entry it is remembered what a process wrote last.
REMEMBERED = 4
#: For so many it is remembered what there is to delete.
KEPT = 64
#: A worker that has been silent so long (ms) does not count among those that know a type.
SILENCE = 60_000


class Worker:
    """A worker as it described itself."""

    __slots__ = ("about", "children", "heartbeat")

    def __init__(self, heartbeat: int, about: dict[str, Any], children: list[list[Any]]) -> None:
        self.heartbeat = heartbeat
        #: What does not change: host, pid, started, queues, version, types.
        self.about = about
        #: Name, pid and memory of each.
        self.children = children


class State:
    """All jobs, workers and schedules after some entry of the log."""

    def __init__(self) -> None:
        #: Which log this is; empty where there is none yet.
        self.lineage = ""
        #: The number of the next entry: its epoch, and its place therein.
        self.epoch = 0
        self.n = 0
        #: The latest entry's name, and its time.
        self.last = ""
        self.time = 0
        self.shelves = Shelves()
        self.workers: dict[str, Worker] = {}
        #: By name: queue, text, revision and occurrences.
        self.schedules: dict[str, tuple[str, str, int, list[list[Any]]]] = {}
        #: By queue, then by type (empty for all): until when or None, why, who and since when.
        self.stops: dict[str, dict[str, list[Any]]] = {}
        #: By queue and key: the id of the job that holds it, and until when, None where its own way ends it.
        self.uniques: dict[str, dict[str, list[Any]]] = {}
        #: By queue and name: what is kept of a limit, the limit, and when those that wait are to be let through.
        self.gates: dict[str, dict[str, list[Any]]] = {}
        #: By name: what the keeper has added up.
        self.sheets: dict[str, str] = {}
        #: Counts jobs, claims, and changes of schedules.
        self.pushes = 0
        self.token = 0
        self.changes = 0
        #: The number of the last load that left for another storage, and the load that may not have arrived: its
        #: number, destination and text.
        self.loads = 0
        self.leaving: tuple[int, str, str] | None = None
        #: By storage: the number of the last load that arrived from there.
        self.arrived: dict[str, int] = {}
        #: Sets of job types by their short name; entries use that after the first.
        self.kinds: dict[str, frozenset[str]] = {}
        #: By process: the number of its last entry, its epoch, and what it answered.
        self.authors: dict[str, tuple[int, int, Any]] = {}
        #: Where entries are that were too long for one value: epoch, name, number of pieces.
        self.parts: list[tuple[int, str, int]] = []
        #: By epoch, as text: how many entries it had.
        self.lengths: dict[str, int] = {}

    def knows(self, job_type: str, now: int) -> bool:
        """Whether a living worker knows a job type."""
        return any(
            worker.heartbeat > now - SILENCE and job_type in worker.about["types"] for worker in self.workers.values()
        )

    def name_kinds(self, kinds: Collection[str]) -> str | list[str]:
        """What an entry says for a set of job types: its short name if the log has it, else all of it."""
        listed = sorted(kinds)
        name = short_name(listed)
        return name if name in self.kinds else listed

    def read_kinds(self, said: str | list[str]) -> frozenset[str]:
        """What an entry means with a set of job types."""
        if isinstance(said, str):
            return self.kinds[said]
        return self.kinds.setdefault(short_name(said), frozenset(said))

    def close_epoch(self) -> None:
        """Begin the next epoch, and forget what entries of long ago were about."""
        self.lengths[str(self.epoch)] = self.n + 1
        self.epoch, self.n = self.epoch + 1, -1
        self.kinds.clear()
        self.authors = {name: last for name, last in self.authors.items() if last[1] >= self.epoch - REMEMBERED}
        self.lengths = {epoch: n for epoch, n in self.lengths.items() if int(epoch) >= self.epoch - KEPT}
        self.parts = [part for part in self.parts if part[0] >= self.epoch - KEPT]

    def dump(self) -> list[Any]:
        """Everything, for a snapshot."""
        return [
            [self.lineage, self.epoch, self.n, self.last, self.time, self.pushes, self.token, self.changes],
            {name: [one.heartbeat, one.about, one.children] for name, one in self.workers.items()},
            self.schedules,
            self.authors,
            self.parts,
            self.lengths,
            [self.loads, self.leaving, self.arrived],
            self.stops,
            self.uniques,
            self.gates,
            self.sheets,
            self.shelves.tallies,
            [job.row() for job in self.shelves.jobs.values()],
        ]

    @classmethod
    def load(cls, dumped: list[Any]) -> State:
        """Read a snapshot."""
        *dumped, jobs = dumped
        numbers, workers, schedules, authors, parts, lengths, moved, *later = dumped
        state = cls()
        (
            state.lineage, state.epoch, state.n, state.last, state.time, state.pushes, state.token, state.changes,
        ) = numbers  # fmt: skip
        state.workers = {name: Worker(*one) for name, one in workers.items()}
        state.schedules = {name: tuple(one) for name, one in schedules.items()}
        state.authors = {name: tuple(last) for name, last in authors.items()}
        state.parts = [tuple(part) for part in parts]
        state.lengths = lengths
        state.loads, leaving, state.arrived = moved
        state.leaving = tuple(leaving) if leaving else None
        state.shelves = Shelves(Job(*row) for row in jobs)
        state.stops, state.uniques, state.gates, state.sheets, state.shelves.tallies = later or ({}, {}, {}, {}, {})
        return state


def short_name(listed: list[str]) -> str:
    """Name a sorted list of job types in a few characters."""
    return blake2b("\n".join(listed).encode(), digest_size=6).hexdigest()
