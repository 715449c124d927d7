"""A worker in threads of a process that does something else too: a web server, or a test.

Nothing can be thrown into a job: one that outlives its timeout is settled, and its thread goes on.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Sequence

from ..errors import QueuesError
from ..manager import Manager
from .bell import Bell
from .board import Board
from .crew import Crew, Signals
from .keeper import Keeper
from .loop import End
from .notes import JobLogHandler
from .notices import OVER, Notice
from .plan import Share, version_here, without_children, worker_of
from .report import Report

logger = logging.getLogger("flask_queues")

#: Seconds between two looks whether somebody has pushed.
LOOK = 0.005
#: Seconds that the threads get to end once their jobs were given back.
LAST_MOMENTS = 10.0
#: Seconds that jobs in hand get when the process ends, at most: a server does not wait for long.
AT_EXIT = 5.0


class InsideWorker:
    """A worker's loop and its keeper, each in a thread; a job has one of its own."""

    def __init__(
        self,
        manager: Manager,
        threads: int,
        queues: Sequence[str] = (),
        report: Report | None = None,
        look: float = LOOK,
    ) -> None:
        self._manager = manager
        self._share = Share(queues=tuple(queues), max_jobs=manager.config.max_jobs, threads=threads)
        self._worker = without_children(worker_of(manager, self._share.queues, version_here()))
        self._board = Board(1)
        self._bell = Bell()
        self._signals = Signals(lambda: False)
        self._over = threading.Event()
        self._report = report or Logged()
        self._look = look
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"flask-queues-{name}", daemon=True)
            for name, work in (("worker", self._work), ("keeper", self._keep))
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> bool:
        """Let the jobs in hand end within so many seconds, give back those that do not; tells whether all has ended."""
        worker, keeper = self._threads
        if not self._over.is_set():
            self._signals.stop()
            self._bell.ring()
            worker.join(grace)
            if worker.is_alive():
                self._signals.hurried = True
                self._bell.ring()
                worker.join(LAST_MOMENTS)
            self._over.set()
            keeper.join(LAST_MOMENTS)
            self._bell.close()
        return not (worker.is_alive() or keeper.is_alive())

    def hear(self, seconds: float, other: int | None = None) -> list[Notice]:
        """What the keeper hears: only that it is over."""
        return [OVER] if self._over.wait(seconds if other is None else min(seconds, self._look)) else []

    def _work(self) -> None:
        while True:
            crew = Crew(
                self._manager,
                self._worker.name,
                self._share,
                signals=self._signals,
                slot=self._board.slots[0],
                report=self._report,
                bell=self._bell,
            )
            if crew.work() is not End.WORN:
                return

    def _keep(self) -> None:
        bells, report = [self._bell], self._report
        Keeper(self._manager, self._worker, board=self._board, notices=self, bells=bells, report=report).work()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._report.problem(f"{type(error).__name__}: {error}")
            self._signals.stop()


class Logged(Report):
    """A report of which only the problems are told: a server's output is not ours."""

    def __init__(self) -> None:
        super().__init__(json_lines=False, colour=False)

    def says(self, event: str, text: str, **_fields: object) -> None:
        """Tell the log."""
        logger.log(logging.WARNING if event == "problem" else logging.INFO, "%s", text)

    def flush(self) -> None:
        """Say nothing."""
        self._lines.clear()


def start_inside(manager: Manager, threads: int) -> None:
    """Let this process run jobs from now on, until it ends; a worker of the same process is started once."""
    try:
        JobLogHandler.install(manager.app)
        worker = InsideWorker(manager, threads)
    except QueuesError:
        logger.exception("No job is run in this process.")
        return
    worker.start()
    atexit.register(worker.stop, min(manager.config.grace, AT_EXIT))
