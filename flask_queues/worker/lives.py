"""What the processes of a worker do from their birth to their exit code."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from ..errors import QueuesError
from ..manager import Manager
from ..record import WorkerRecord
from .board import Board, Slot
from .interrupts import Interrupts
from .keeper import Keeper
from .loop import End, Loop, Share
from .notes import JobLogHandler
from .report import Report


def child_life(
    manager: Manager, name: str, share: Share, *, slot: Slot, wake: tuple[int, int], report: Report
) -> int:
    """Run jobs; returns the exit code. `wake` is the pipe through which this child is woken."""
    interrupts = Interrupts(lambda: manager.storage.busy)
    interrupts.install(wake[1], lambda: slot.cancel == slot.token != 0)
    os.set_blocking(wake[0], False)
    with suppress(BlockingIOError):
        os.read(wake[0], 65_536)
    try:
        manager.storage.maintained = True
        JobLogHandler.install()
        loop = Loop(manager, name, share, interrupts=interrupts, slot=slot, report=report, wake=wake[0])
        return int(loop.work())
    except QueuesError as error:
        report.problem(str(error))
        return int(End.UNABLE)


def keeper_life(
    manager: Manager, worker: WorkerRecord, *, board: Board, notices: int, wakes: list[int], report: Report
) -> int:
    """Look after the worker; returns the exit code. It ends when the supervisor says so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for pipe in wakes:
        os.set_blocking(pipe, False)
    try:
        manager.storage.maintained = True
        Keeper(manager, worker, board=board, notices=notices, wake=wakes, report=report).work()
    except QueuesError as error:
        report.problem(str(error))
        return int(End.UNABLE)
    return 0
