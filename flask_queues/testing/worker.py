"""A real worker for a test: in threads of the test's process, or in processes of its own."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import FakeError, QueuesError
from ..manager import Manager
from ..record import Counts, Status
from ..storage import SQLiteCache, SQLiteStorage, Storage
from ..storage.sealed import sealed
from ..worker import Plan, Report, Share, make_worker
from ..worker.inheritance import leave_connections
from ..worker.inside import InsideWorker
from ..worker.process import BROKEN, die_with_parent
from .clock import wait_until
from .runner import logs_kept

#: Seconds that jobs may take, and a worker's end, before a test is told.
PATIENCE = 30.0
#: Seconds between two looks of the keeper's.
LOOK = 0.002
VERSION = "a test"
#: Characters of what a worker process wrote that a message repeats.
TAIL = 2_000


class Worker(ABC):
    """Works until it is stopped; `wait` lets a test go on when there is nothing left to do."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    @abstractmethod
    def start(self) -> None:
        """Begin to work."""

    @abstractmethod
    def stop(self) -> None:
        """Let the jobs in hand end, within `QUEUES_GRACE`, and return when nothing of it is left."""

    @abstractmethod
    def trouble(self) -> str:
        """What the worker says of why it cannot go on; empty while it can."""

    def wait(self, timeout: float = PATIENCE) -> None:
        """Return when no job runs and none may be claimed; raises `AssertionError` after so many seconds.

        What waits for a later moment, or for a queue to be resumed, is not waited for.
        """
        __tracebackhide__ = True
        if not wait_until(lambda: self._is_done() or bool(self.trouble()), timeout) or self.trouble():
            raise AssertionError(self._what_is_left(timeout))

    def _is_done(self) -> bool:
        """Whether one moment knew of no running job, and nobody could claim one until the next knew the same."""
        before = self._manager.counts()
        if running(before) or self._manager.next_due() == 0:
            return False
        return not self._manager.pending() and self._manager.counts() == before

    def _what_is_left(self, timeout: float) -> str:
        left = [f"{n} {status}" for status, n in self._manager.counts().statuses.items() if n]
        why = self.trouble() or f"The worker has not done everything within {timeout:g} s."
        return f"{why} There are {', '.join(left) or 'no jobs'}."


class ThreadWorker(Worker):
    """A worker inside the test's own process."""

    def __init__(self, manager: Manager, queues: Sequence[str] = (), threads: int = 1) -> None:
        super().__init__(manager)
        self._report = Quiet()
        self._inside = InsideWorker(manager, threads, queues, self._report, look=LOOK)
        self._logs = logs_kept(manager.app)

    def start(self) -> None:
        """Start its threads."""
        self._logs.__enter__()
        self._inside.start()

    def stop(self) -> None:
        """Let the jobs in hand end, give back those that do not, and then let the keeper go."""
        ended = self._inside.stop(self._manager.config.grace)
        self._logs.__exit__(None, None, None)
        if not ended:
            raise FakeError("The worker of this test does not end: its storage does not answer.")

    def trouble(self) -> str:
        """What the threads could not cope with."""
        return self._report.text


class Quiet(Report):
    """A report of which a test reads the problems alone."""

    def __init__(self) -> None:
        super().__init__(json_lines=False, colour=False)
        #: The first problem, until it is solved.
        self.text = ""

    def problem(self, text: str) -> None:
        """Remember it."""
        self.text = self.text or text

    def solved(self) -> None:
        """Forget it."""
        self.text = ""

    def flush(self) -> None:
        """Say nothing."""
        self._lines.clear()


class ProcessWorker(Worker):
    """A supervisor with its keeper and its children, forked from the test: it knows the application as it is now.

    Where the test's own process ends, so does the worker.
    """

    def __init__(
        self, manager: Manager, output: Path, queues: Sequence[str] = (), processes: int = 1, threads: int = 1
    ) -> None:
        super().__init__(manager)
        if not hasattr(os, "fork"):
            raise FakeError("This system cannot fork: let the worker run in threads, without processes=.")
        share = Share(queues=tuple(queues), max_jobs=manager.config.max_jobs, threads=threads)
        self._plan = Plan(processes=processes, share=share)
        self._output = output
        self._pid = 0
        self._code: int | None = None
        #: Our end of the pipe by which it hears, where the system has no better way, that we are gone.
        self._ours: int | None = None

    def start(self) -> None:
        """Fork the supervisor, and wait until its children live."""
        lifeline, self._ours = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        with forking():
            self._pid = os.fork()
        if not self._pid:
            self._live(parent, lifeline)
        os.close(lifeline)
        if not wait_until(lambda: self._lives() or bool(self.trouble()), PATIENCE) or self.trouble():
            why = self.trouble() or f"The worker has not begun within {PATIENCE:g} s."
            self.stop()
            raise FakeError(why)

    def _live(self, parent: int, lifeline: int) -> None:
        """Be the supervisor, to the end of this process: nothing of the test's is done here any more."""
        code = BROKEN
        try:
            assert self._ours is not None
            os.close(self._ours)
            die_with_parent(parent, lifeline)
            leave_connections(self._manager.app)
            signal.set_wakeup_fd(-1)
            with self._output.open("ab", buffering=0) as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - lives as long as this process
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            report = Report(json_lines=False, colour=False)
            code = make_worker(self._manager, self._plan, report, VERSION).run()
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)

    def stop(self) -> None:
        """Ask it to stop, and kill it if it does not."""
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
            if not wait_until(self._has_ended, self._manager.config.grace + PATIENCE):
                os.kill(self._pid, signal.SIGKILL)
                wait_until(self._has_ended, PATIENCE)
        if self._ours is not None:
            os.close(self._ours)
            self._ours = None

    def trouble(self) -> str:
        """Why the worker has ended before it was to."""
        return f"The worker has ended with {self._code}: {self.text[-TAIL:]}" if self._has_ended() else ""

    @property
    def text(self) -> str:
        """What it has written."""
        return self._output.read_text("utf-8", "replace") if self._output.exists() else ""

    def _has_ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code is not None

    def _lives(self) -> bool:
        with suppress(QueuesError):
            return any(len(one.children) == self._plan.processes for one in self._manager.workers())
        return False


@contextmanager
def forking() -> Iterator[None]:
    """Fork although a plugin of pytest has threads: what is forked execs nothing and touches none of their locks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def running(counts: Counts) -> int:
    """How many jobs are in anybody's hands."""
    return counts.statuses[Status.RUNNING.value]


@contextmanager
def working(worker: Worker) -> Iterator[Worker]:
    """Start a worker, and stop it at the end of the block."""
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


@contextmanager
def working_outside(
    manager: Manager,
    folder: Path,
    *,
    queues: Sequence[str] = (),
    threads: int = 1,
    processes: int = 1,
    configured_storage: bool = False,
) -> Iterator[Worker]:
    """Have a worker in processes of its own on a file in this folder, or on the application's storage."""
    if configured_storage:
        storage: Storage = manager.storage
    else:
        folder = folder / "queues_worker"
        folder.mkdir()
        storage = SQLiteStorage(SQLiteCache(folder).database)
        keys = manager.config.encryption_keys
        storage = sealed(storage, keys) if keys else storage
    worker = ProcessWorker(manager, folder / "worker.txt", queues, processes, threads)
    try:
        with manager.kept_in(storage), working(worker):
            yield worker
    finally:
        if not configured_storage:
            storage.close()
