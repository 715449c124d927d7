"""One job in the foreground: claimed like any other, without a time limit, its lease kept by a thread."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone

from ..errors import QueuesError, UnknownJobType
from ..manager import Manager
from ..record import ChildRecord
from ..storage.values import Settlement
from .gathering import new_attempt
from .interrupts import Interrupts
from .keeper import HEARTBEAT
from .notes import JobLogHandler
from .plan import this_worker
from .process import process_name
from .steward import Steward

#: Longer than anybody's patience: a debugger may hold the job for hours.
NO_LIMIT = 30 * 86_400.0


class Unhurried(Interrupts):
    """Lets a job take its time, and still ends it when somebody cancels it."""

    @contextlib.contextmanager
    def armed(self, seconds: float) -> Iterator[None]:  # noqa: ARG002 - the job's own limit does not count here
        """Do not limit the run."""
        with super().armed(NO_LIMIT):
            yield


def run_in_foreground(manager: Manager, job_id: str) -> Settlement:
    """Claim, run and settle one job in this process and thread.

    Raises `JobNotFound`, `UnknownJobType`, or `TransitionError` for a job that cannot run again.
    """
    record = manager.find(job_id)
    if record.type not in manager.jobs:
        raise UnknownJobType(f"The job type {record.type} is not registered in this application.")
    name = process_name(os.getpid(), int(time.time()), manager.release)
    claim = manager.claim(name, job_id)
    interrupts = Unhurried(lambda: manager.storage.busy)
    interrupts.install_foreground()
    manager.breakers.begin_trial(claim, manager.timeout_of(record))
    JobLogHandler.install(manager.app)
    manager.teller.at_work = True
    began = time.monotonic()
    with kept_alive(manager, name, interrupts):
        steward: Steward
        attempt = new_attempt(manager, claim, (), interrupts, lambda: steward.stir())  # noqa: PLW0108 - the steward is made after the attempt
        steward = Steward(attempt.notes.flush)
        try:
            settlement = attempt.run()
        finally:
            steward.end()
    for done in manager.settle(name, [settlement]):
        manager.teller.settled(claim, done, time.monotonic() - began, attempt.exception)
    return settlement


@contextlib.contextmanager
def kept_alive(manager: Manager, name: str, interrupts: Interrupts) -> Iterator[None]:
    """Extend the claims of this process while the block runs, also while a debugger holds the job.

    A cancellation is thrown into the job where the system has a signal for it.
    """
    over = threading.Event()
    child = ChildRecord(name=name, pid=os.getpid())
    worker = replace(this_worker((), (), "foreground"), name=name, children=(child,))

    def keep() -> None:
        while not over.is_set():
            with suppress(QueuesError):
                if manager.heartbeat(replace(worker, heartbeat=datetime.now(timezone.utc))).to_cancel:
                    interrupts.cancel()
            over.wait(min(HEARTBEAT, manager.config.lease / 3))

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        manager.forget_worker(name)
