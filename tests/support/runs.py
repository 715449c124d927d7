"""Jobs that run in the process of a test, by the code with which a worker runs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask_queues.manager import Manager
from flask_queues.storage.values import Settlement, Wanted
from flask_queues.worker.attempt import Attempt
from flask_queues.worker.interrupts import Interrupt


class NoLimits:
    """Nothing interrupts these runs."""

    thrown: type[Interrupt] | None = None
    stopping = False

    def forget(self) -> None:
        """There is nothing to forget."""

    @contextmanager
    def armed(self, seconds: float) -> Iterator[None]:
        """There is nothing to arm."""
        yield


def run_next(manager: Manager) -> Settlement:
    """Claim, run and settle the next job; returns what became of it."""
    wanted = Wanted(manager.queue_order(), manager.jobs.keys(), manager.lease)
    (claim,) = manager.step("host:1:1", (), wanted).claims
    attempt = Attempt(manager, claim, NoLimits(), lambda: None)
    began = time.monotonic()
    settlement = attempt.run()
    assert manager.step("host:1:1", [settlement]).lost == []
    manager.teller.settled(claim, settlement, time.monotonic() - began, attempt.exception)
    return settlement
