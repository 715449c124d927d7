"""A store with many jobs in it, and the cost of one more."""

from __future__ import annotations

import time
from typing import Protocol

from flask_queues import transitions
from flask_queues.manager import Manager
from flask_queues.storage.values import Settlement, Wanted
from flask_queues.worker import Report, Share
from flask_queues.worker.bell import Bell
from flask_queues.worker.board import Board
from flask_queues.worker.interrupts import Interrupts
from flask_queues.worker.loop import Loop
from flask_queues.worker.pace import Pace

from .system import System

SLICE = 500


class OneByOne(Pace):
    """Takes every job for a long one, which is never claimed together with others."""

    def limit(self) -> int:
        """How many claims to take."""
        return 1


class Silent(Report):
    """Writes nothing."""

    def flush(self) -> None:
        """Drop the lines that were noted."""
        self._lines.clear()


class Ours(System, Protocol):
    """Flask-Queues on one storage or another."""

    @property
    def manager(self) -> Manager:
        """The application's queues."""


class Stocked:
    """Flask-Queues with jobs in its storage, driven in this process."""

    def __init__(self, system: Ours) -> None:
        self._system = system
        self._manager = system.manager
        self._bell = Bell()

    def stock(self, jobs: int) -> None:
        """Store so many jobs, half of them completed."""
        self._system.fill(jobs // 2)
        self._complete(jobs // 2)
        self._system.fill(jobs - jobs // 2)

    def push_all(self, jobs: int) -> float:
        """Push one by one; milliseconds a job."""
        began = time.perf_counter()
        for _ in range(jobs):
            self._system.push()
        return (time.perf_counter() - began) * 1000 / jobs

    def run_all(self, jobs: int) -> float:
        """Claim, run and settle one by one; milliseconds a job."""
        loop = Loop(
            self._manager,
            "benchmarks",
            Share(queues=(), max_jobs=jobs),
            interrupts=Interrupts(lambda: self._manager.storage.busy),
            slot=Board(1).slots[0],
            report=Silent(json_lines=False, colour=False),
            bell=self._bell,
        )
        loop._pace = OneByOne()
        began = time.perf_counter()
        loop.work()
        return (time.perf_counter() - began) * 1000 / jobs

    def close(self) -> None:
        """Let go of the storage."""
        self._system.close()

    def _complete(self, jobs: int) -> None:
        settled: list[Settlement] = []
        while jobs or settled:
            types = self._manager.jobs.keys()
            limit = min(jobs, SLICE)
            wanted = Wanted(["default"], types, lease=30_000, limit=limit, short=types) if limit else None
            claims = self._manager.step("benchmarks", settled, wanted).claims
            settled = [transitions.completed(claim, None) for claim in claims]
            jobs -= len(claims)
            assert claims or not limit
