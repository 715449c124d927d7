"""Workers and pushers at work, while something happens to their storage."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psutil

from flask_queues import JobRecord, Outcome, Status
from tests.support.pushers import Pusher
from tests.support.site import Site, Worker, eventually
from tests.support.stock import take_stock, unfinished


class Load:
    """Two workers of two processes, and two pushers; `through` are settings of the workers alone."""

    def __init__(self, site: Site, settings: dict[str, Any], through: dict[str, Any] | None = None) -> None:
        self.site = site
        site.configure(**(through or settings))
        self.workers = [site.work("--processes", "2") for _ in range(2)]
        site.configure(**settings)
        self.pushers = [Pusher(site, seed) for seed in range(2)]
        self.go_on()
        self.processes = [sorted(running(worker)) for worker in self.workers]

    def go_on(self, jobs: int = 50) -> None:
        """Wait until so many more jobs have run."""
        goal = len(self.site.runs()) + jobs
        eventually(lambda: len(self.site.runs()) >= goal, what=f"{jobs} more jobs")

    def acknowledged(self) -> list[str]:
        """Ids of all jobs whose push has returned so far."""
        return [job for pusher in self.pushers for job in pusher.acknowledged()]

    def end(self) -> tuple[list[str], dict[str, JobRecord]]:
        """Push nothing more and wait until all is done; returns what was acknowledged, and what there is."""
        for pusher in self.pushers:
            pusher.kill()
        eventually(lambda: unfinished(self.site.manager) == 0, what="The end of every job")
        return self.acknowledged(), take_stock(self.site.manager)

    def assert_nothing_is_lost(self) -> None:
        """All that was acknowledged is completed, and only what lost its lease ran again."""
        acknowledged, stock = self.end()
        assert set(acknowledged) <= set(stock)
        self.assert_all_completed(stock)
        runs = Counter(run.job for run in self.site.runs())
        assert [job for job, record in stock.items() if not 1 <= runs[job] <= 1 + cut_short(record)] == []

    def assert_all_completed(self, stock: dict[str, JobRecord]) -> None:
        """Every job came to one good end, whatever it went through."""
        ends = Counter(attempt.outcome for record in stock.values() for attempt in record.history)
        assert {record.status for record in stock.values()} == {Status.COMPLETED}
        assert ends[Outcome.COMPLETED] == len(stock)

    def assert_workers_were_not_replaced(self) -> None:
        """They go on with the processes that they had, and never lost their heads."""
        assert [sorted(running(worker)) for worker in self.workers] == self.processes
        for worker in self.workers:
            assert "Traceback" not in worker.text


def running(worker: Worker) -> list[int]:
    """The children of a worker."""
    return [child.pid for child in psutil.Process(worker.pid).children()]


def cut_short(record: JobRecord) -> int:
    """How many of a job's runs ended without their settlement."""
    return sum(1 for attempt in record.history if attempt.outcome in (Outcome.KILLED, Outcome.LOST))
