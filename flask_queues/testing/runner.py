"""Runs the jobs of a fake in the test's process: claimed, run and settled as a worker does it, by the test's clock."""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from flask import Flask

from .. import transitions
from ..chains import given_back
from ..errors import FakeError
from ..manager import Manager
from ..record import Outcome, to_milliseconds
from ..storage.values import Claim, Settlement, Wanted
from ..worker.attempt import Attempt
from ..worker.gathering import GatheredAttempt, gather, like
from ..worker.notes import JobLogHandler
from ..worker.process import process_name
from .clock import Clock
from .memory import MemoryStorage
from .repeat import Repeat, Undisturbed

T = TypeVar("T")

#: Runs of one `drain`: more are taken for a job that pushes itself for ever.
MOST = 10_000


class Run(NamedTuple):
    """One run of a job in a test."""

    #: The job's id.
    job: str
    type: str
    #: None where its code did not run, as for a job that expired.
    outcome: Outcome | None
    #: What left the job.
    error: BaseException | None = None
    #: Where it was cut by `twice="cut"`.
    cut: str | None = None
    #: Whether it repeats a run, as `twice` asks for.
    again: bool = False


class Watching(Attempt):
    """Remembers what left the job; its backoff is no matter of chance."""

    error: BaseException | None = None

    def _watch(self) -> None:
        self.terms = self._manager.terms(self.claim, jitter=False)

    def _hand_on(self) -> None:
        """Keep at once what the job says: there is no thread that would do so later."""
        self.notes.flush()

    def _fail(self, error: BaseException, outcome: Outcome) -> Settlement:
        self.error = error
        return super()._fail(error, outcome)


class Watched(Watching):
    """The attempt of one claim."""

    def __init__(self, manager: Manager, claim: Claim, limits: Undisturbed) -> None:
        super().__init__(manager, claim, limits, self._hand_on)
        self._watch()


class WatchedTogether(Watching, GatheredAttempt):
    """That of several, gathered into one run."""

    def __init__(self, manager: Manager, claim: Claim, along: Sequence[Claim], limits: Undisturbed) -> None:
        GatheredAttempt.__init__(self, manager, claim, along, limits, self._hand_on)
        self._watch()


class Runner:
    """A worker without processes, lease or sleep: it works while `drain` is called."""

    def __init__(self, manager: Manager, storage: MemoryStorage, clock: Clock, repeat: Repeat | None) -> None:
        self._manager = manager
        self._storage = storage
        self._clock = clock
        self._repeat = repeat
        self._name = process_name(os.getpid(), int(time.time()))
        self._lock = threading.Lock()
        #: Whether jobs run here now.
        self.working = False
        #: Whether something was pushed meanwhile that is to run at once.
        self._more = False
        #: Every run so far.
        self.runs: list[Run] = []
        #: By job, what ran and is not settled yet: signals tell of it afterwards, as a worker's do.
        self._ran: dict[str, tuple[Watching, Claim, float]] = {}

    def publish(self) -> None:
        """Store the schedules of the code, which count from now on."""
        self._manager.scheduler.publish(self._name)

    def drain(self, until: int | None = None, queues: Sequence[str] = (), most: int = MOST) -> list[Run]:
        """Run all that is due; with `until`, a moment, let time pass and run what becomes due up to then."""
        if not self._begin():
            raise FakeError("drain() was called while jobs run here; what they have pushed is run as well.")
        begun = len(self.runs)
        try:
            with logs_kept(self._manager.app):
                self.publish()
                while True:
                    self._run_due(queues, begun + most)
                    if not self._let_time_pass(until) and self._end():
                        break
            while self._manager.retain():
                pass
        finally:
            self.working = False
        return self.runs[begun:]

    def run_at_once(self) -> list[Run]:
        """Run all that is due, unless somebody does so already, who then runs this too."""
        with self._lock:
            self._more = self.working
            if self.working:
                return []
        return self.drain()

    def _begin(self) -> bool:
        with self._lock:
            free, self.working = not self.working, True
            return free

    def _end(self) -> bool:
        with self._lock:
            more, self._more = self._more, False
            self.working = more
            return not more

    def _run_due(self, queues: Sequence[str], most: int) -> None:
        """Fire, rescue and run, until none of them leaves anything to do."""
        while True:
            self._manager.release_held()
            fired = self._manager.scheduler.ticker().drain()
            rescued = len(self._manager.rescuer.rescue())
            reported = self._manager.tend_batches(at_once=True)
            if not fired + rescued + reported + self._run_pending(queues, most):
                return

    def _run_pending(self, queues: Sequence[str], most: int) -> int:
        begun = len(self.runs)
        while True:
            step = self._manager.step(self._name, (), self._wanted(queues))
            if not step.claims and not step.held:
                return len(self.runs) - begun
            settled = [one for claim in step.claims for one in self._run(claim)]
            self._tell(self._manager.settle(self._name, settled))
            if len(self.runs) >= most:
                raise FakeError(
                    f"{len(self.runs) - begun:,} jobs ran in one drain() and there may be more: does "
                    f"{self.runs[-1].type} push itself? most= lets more run."
                )

    def _tell(self, settled: Sequence[Settlement]) -> None:
        for settlement in settled:
            ran = self._ran.pop(settlement.id, None)
            if ran is not None:
                attempt, claim, seconds = ran
                self._manager.teller.settled(claim, settlement, seconds, attempt.exception)

    def _wanted(self, queues: Sequence[str]) -> Wanted:
        return Wanted(
            queues=self._manager.queue_order(queues), types=self._manager.jobs.served, lease=self._manager.lease
        )

    def _run(self, claim: Claim) -> list[Settlement]:
        job_type = self._manager.jobs[claim.type]
        limits = self._repeat.limits(claim, job_type) if self._repeat else Undisturbed()
        again = self._repeat is not None and self._repeat.is_second(claim)
        attempt, others = self._attempt(claim, limits)
        began = time.monotonic()
        settlement = as_in_a_worker(attempt.run)
        self._ran |= {one.id: (attempt, one, time.monotonic() - began) for one in attempt.claims}
        self._let_through(claim, attempt.error)
        if again and attempt.error is not None:
            add_note(attempt.error, f"raised by the second run of {claim.type}: it is not safe to repeat")
        outcome = settlement.outcome
        if self._repeat is not None:
            settlement = self._repeat.decide(claim, limits, settlement)
        self.runs.append(Run(claim.id, claim.type, outcome, attempt.error, limits.place, again))
        back = [given_back(one, begun=False) for one in others]
        return [settlement, *attempt.along(settlement), *back]

    def _attempt(self, claim: Claim, limits: Undisturbed) -> tuple[Watching, list[Claim]]:
        """The attempt of a claim with what comes along, and what was claimed beside it."""
        if self._manager.jobs[claim.type].gathering is None:
            return Watched(self._manager, claim, limits), []
        along, others = gather(self._manager, claim, self._claim_more)
        return WatchedTogether(self._manager, claim, along, limits), others

    def _claim_more(self, claim: Claim, limit: int) -> list[Claim]:
        return self._manager.step(self._name, (), like(claim, limit, self._manager.lease)).claims

    def _let_through(self, claim: Claim, error: BaseException | None) -> None:
        """Raise at once what is meant for the test itself: Ctrl-C, and `pytest.fail` or a timeout of the test."""
        if error is not None and is_for_the_test(error):
            self._manager.step(self._name, [transitions.given_back(claim, begun=True)])
            raise error

    def _let_time_pass(self, until: int | None) -> bool:
        """Move the clock to what is due next, or else to the end; tells whether something is due."""
        if until is None:
            return False
        moment = self._next_moment()
        if moment is not None and moment <= until:
            self._clock.jump(moment)
            return True
        self._clock.jump(max(until, self._clock.milliseconds))
        return False

    def _next_moment(self) -> int | None:
        now = self._clock.milliseconds
        moments = [to_milliseconds(one.next) for one in self._manager.scheduler.all() if one.next is not None]
        stored = self._storage.next_moment()
        return min((moment for moment in [*moments, stored] if moment is not None and moment > now), default=None)


def is_for_the_test(error: BaseException) -> bool:
    """Whether it is Ctrl-C, or one of pytest's own, which name their module otherwise."""
    return isinstance(error, KeyboardInterrupt) or any(
        base.__module__.startswith("_pytest.") for base in type(error).__mro__
    )


def as_in_a_worker(run: Callable[[], T]) -> T:
    """Call this without the contexts of the test, such as its request, and without its event loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return contextvars.Context().run(run)
    answers: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            answers.append(contextvars.Context().run(run))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="flask-queues-fake")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


@contextmanager
def logs_kept(app: Flask) -> Iterator[None]:
    """Keep with a job what it logs, as a worker does, and leave the logging as it was."""
    root = logging.getLogger()
    before = list(root.handlers)
    JobLogHandler.install(app)
    try:
        yield
    finally:
        for handler in [one for one in root.handlers if isinstance(one, JobLogHandler) and one not in before]:
            root.removeHandler(handler)


def add_note(error: BaseException, text: str) -> None:
    """Say more about an exception; on standard output where Python cannot yet."""
    if sys.version_info >= (3, 11):
        error.add_note(text)
    else:
        print(f"flask_queues: {type(error).__name__} was {text}")  # noqa: T201
