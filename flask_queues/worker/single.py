"""A worker in one process, where the system cannot fork: jobs in the main thread, the keeper in another.

It cannot kill a job that does not end: a timeout is thrown into the job where the system has a timer
for it (not on Windows), and a job that swallows it goes on. A cancellation does not reach a running job,
which is only kept from running again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import QueuesError
from ..manager import Manager
from .bell import Bell
from .board import Board
from .interrupts import Interrupts
from .keeper import Keeper
from .lives import begin
from .loop import End, Loop
from .notes import JobLogHandler
from .notices import OVER, Notice
from .plan import Plan, without_children, worker_of
from .report import Report
from .surroundings import Surroundings

#: Seconds between two looks at whether somebody pushed.
LOOK = 0.005


class SingleWorker:
    """Runs jobs itself, one at a time."""

    def __init__(self, manager: Manager, plan: Plan, report: Report, version: str) -> None:
        self._manager = manager
        self._plan = plan
        self._report = report
        self._worker = without_children(worker_of(manager, plan.share.queues, version))
        self._board = Board(1)
        self._bell = Bell()
        self._over = threading.Event()
        self._interrupts = Interrupts(lambda: manager.storage.busy)
        self._interrupts.install_alone(self._bell)

    @property
    def name(self) -> str:
        """How it is called in the storage."""
        return self._worker.name

    def run(self) -> int:
        """Work until told to stop, or until there is nothing left to do; returns the exit code."""
        JobLogHandler.install(self._manager.app)
        begin(self._manager, self.name)
        keeper = threading.Thread(target=self._keep, name="flask-queues-keeper")
        keeper.start()
        timer = self._end_in_time()
        try:
            self._work()
        except QueuesError as error:
            self._report.problem(str(error))
            return 1
        finally:
            timer()
            self._over.set()
            keeper.join()
        return 0

    def _work(self) -> None:
        surroundings = Surroundings()
        while True:
            loop = Loop(
                self._manager,
                self._worker.name,
                self._plan.share,
                interrupts=self._interrupts,
                slot=self._board.slots[0],
                report=self._report,
                bell=self._bell,
                surroundings=surroundings,
            )
            if loop.work() is not End.WORN or self._plan.share.once:
                return

    def _end_in_time(self) -> Callable[[], None]:
        if self._plan.max_time is None:
            return lambda: None
        timer = threading.Timer(self._plan.max_time, self._interrupts.stop)
        timer.start()
        return timer.cancel

    def _keep(self) -> None:
        try:
            Keeper(
                self._manager,
                self._worker,
                board=self._board,
                notices=self,
                bells=[self._bell],
                report=self._report,
            ).work()
        except QueuesError as error:
            self._report.problem(str(error))
            self._interrupts.stop()

    def hear(self, seconds: float, other: int | None = None) -> list[Notice]:
        """What the keeper hears: only that it is over. A thread cannot wait for a descriptor too: it looks often."""
        return [OVER] if self._over.wait(seconds if other is None else min(seconds, LOOK)) else []
