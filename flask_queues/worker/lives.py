"""What the processes of a worker do from their birth to their exit code."""

from __future__ import annotations

import faulthandler
import os
import signal
import time

from ..errors import QueuesError
from ..manager import Manager
from ..record import WorkerRecord
from ..signals import child_started
from .bell import Bell
from .board import Board, Slot
from .crew import Crew, Signals
from .inheritance import leave_connections
from .interrupts import Interrupts
from .keeper import Keeper
from .loop import KILL_AFTER, End, Loop
from .notes import JobLogHandler
from .notices import Listener
from .plan import Share
from .process import hear_stop, own_memory, process_name
from .report import Report
from .surroundings import Surroundings
from .telemetry import send_what_is_left


def child_life(
    manager: Manager, name: str, share: Share, *, slot: Slot, bell: Bell, report: Report, picture: int
) -> int:
    """Run jobs; returns the exit code. Asked by SIGQUIT, it writes its stacks into `picture`."""
    end = run_jobs(manager, name, share, slot=slot, bell=bell, report=report, picture=picture)
    slot.leave(end)
    return int(end)


def run_jobs(manager: Manager, name: str, share: Share, *, slot: Slot, bell: Bell, report: Report, picture: int) -> End:
    """Take over this process, and run jobs until there is a reason to end."""
    faulthandler.register(signal.SIGQUIT, picture)
    threaded = share.threads > 1
    interrupts = (Signals if threaded else Interrupts)(lambda: manager.storage.busy)
    interrupts.install(
        bell,
        lambda: slot.token != 0 and slot.cancel in interrupts.tokens,
        lambda seconds: slot.limit(seconds + KILL_AFTER),
    )
    bell.silence()
    hear_stop()
    try:
        manager.storage.maintained = True
        JobLogHandler.install(manager.app)
        leave_connections(manager.app)
        begin(manager, name)
        slot.base = own_memory()
        if isinstance(interrupts, Signals):
            crew = Crew(manager, name, share, signals=interrupts, slot=slot, report=report, bell=bell)
            return crew.work()
        found = Surroundings()
        loop = Loop(
            manager, name, share, interrupts=interrupts, slot=slot, report=report, bell=bell, surroundings=found
        )
        return loop.work()
    except QueuesError as error:
        report.problem(str(error))
        return End.UNABLE
    finally:
        send_what_is_left()


def keeper_life(
    manager: Manager,
    worker: WorkerRecord,
    *,
    board: Board,
    notices: Listener,
    bells: list[Bell],
    report: Report,
) -> int:
    """Look after the worker; returns the exit code. It ends when the supervisor says so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        manager.storage.maintained = True
        leave_connections(manager.app)
        begin(manager, process_name(os.getpid(), int(time.time())), keeper=True)
        Keeper(manager, worker, board=board, notices=notices, bells=bells, report=report).work()
    except QueuesError as error:
        report.problem(str(error))
        return int(End.UNABLE)
    finally:
        send_what_is_left()
    return 0


def begin(manager: Manager, name: str, *, keeper: bool = False) -> None:
    """Let the application drop what it has connected before this process was forked."""
    manager.teller.tell(child_started, worker=name, keeper=keeper)
