"""What a measurement needs of a job system: to push, to count, and a worker as its users start it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

from .processor import seconds

ROOT = Path(__file__).resolve().parent.parent
#: The argument of every job: about 100 bytes.
TEXT = "A no-op takes an argument of about a hundred bytes, which is what an id, a path and a flag come to.."
#: Tells the worker's process where the files are.
FOLDER = "BENCHMARKS_FOLDER"
#: Jobs write when they began to this file in the folder, one number a line.
STARTS = "starts"
#: Seconds between two looks at how far a worker is, and after which one is given up.
LOOK = 0.005
PATIENCE = 300.0


class System(Protocol):
    """A job system, with a folder for what its worker writes."""

    name: str
    folder: Path

    def push(self) -> None:
        """Push one no-op."""

    def push_start(self, number: int) -> None:
        """Push a job that notes when it began."""

    def fill(self, jobs: int) -> None:
        """Push so many no-ops, as fast as the system can."""

    def worker(self) -> tuple[list[str], dict[str, str]]:
        """The command of its worker, and variables of its environment."""

    def counter(self) -> AbstractContextManager[Callable[[], int]]:
        """Give what counts the jobs that wait or run, at a cost that does not depend on their number."""

    def close(self) -> None:
        """Let go of the storage."""


class InFile(System, Protocol):
    """A job system on SQLite."""

    def file(self) -> Path:
        """The database."""


@cache
def start_file() -> int:
    """Open, in a worker, the file that jobs note their beginning in."""
    path = Path(os.environ[FOLDER]) / STARTS
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def note_start(number: int) -> None:
    """Note that a job began now, by the clock that all processes share."""
    now = time.monotonic_ns()
    os.write(start_file(), b"%d %d\n" % (number, now))


@contextmanager
def running(system: System) -> Iterator[subprocess.Popen[bytes]]:
    """Run the system's worker, its output in a file, and stop it in the end."""
    command, surroundings = system.worker()
    with (system.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, FOLDER: str(system.folder), **surroundings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Drained(NamedTuple):
    """What a worker did with jobs that waited for it."""

    #: Jobs a second.
    rate: float
    #: Microseconds of processor time a job, of its processes and of the server where there is one.
    cost: float


def drain(system: System, jobs: int, server: int | None = None) -> Drained:
    """Run a worker that finds so many jobs waiting; its start is left out. `server` is the pid of a server.

    The count is looked at every 5 ms, on a connection of its own. The time runs from the look that first
    sees a job gone to the one that sees none left.
    """

    def spent(pid: int) -> float:
        return seconds(pid) + (seconds(server) if server is not None else 0.0)

    with system.counter() as count, running(system) as worker:
        left = watch(system, count, worker, lambda left: left < jobs)
        began, before = time.perf_counter(), spent(worker.pid)
        watch(system, count, worker, lambda left: left == 0)
        took = time.perf_counter() - began
        return Drained(left / took, (spent(worker.pid) - before) / left * 1e6)


def drain_rate(system: System, jobs: int) -> float:
    """Jobs a second of a worker that finds so many waiting."""
    return drain(system, jobs).rate


@contextmanager
def reader(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database such that nothing can be written."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        yield connection


def watch(
    system: System,
    count: Callable[[], int],
    worker: subprocess.Popen[bytes],
    enough: Callable[[int], bool],
) -> int:
    """Look at the count until it is enough, and return it."""
    until = time.monotonic() + PATIENCE
    while not enough(left := count()):
        if worker.poll() is not None or time.monotonic() > until:
            raise gave_up(system)
        time.sleep(LOOK)
    return left


def gave_up(system: System) -> RuntimeError:
    """Say what the worker said that did not do its work."""
    log = (system.folder / "worker.log").read_text("utf-8", "replace")
    return RuntimeError(f"The worker of {system.name} did not do its work:\n{log[-2000:]}")
