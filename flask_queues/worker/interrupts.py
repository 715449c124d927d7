"""What is thrown into a running job from outside, and the signals that throw it.

These are `BaseException`s, so that a job's `except Exception` does not swallow them.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .bell import Bell

#: While the storage is inside a call nothing is thrown; it is asked again after so many seconds.
PATIENCE = 0.01
HAS_TIMER = hasattr(signal, "setitimer")
#: Has a child give its job back at once. Not a second SIGTERM: a service manager sends that to all processes.
HURRY = getattr(signal, "SIGUSR2", signal.SIGTERM)


class Interrupt(BaseException):
    """Base of what is thrown into a job."""


class TimeUp(Interrupt):
    """The job's timeout is over."""


class StopNow(Interrupt):
    """The worker's grace is over: the job goes back."""


class CancelNow(Interrupt):
    """Somebody asked for the end of this job."""


class Interrupts:
    """Delivers a timeout, a stop or a cancellation to the job that runs in the main thread.

    Armed only while the job's own code runs, and thrown once a run, so that nothing is thrown into a
    settlement. A job that goes on all the same is killed by the supervisor.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._armed = False
        self._waiting: type[Interrupt] | None = None
        #: What was thrown into this run, whether or not the job let it through.
        self.thrown: type[Interrupt] | None = None
        #: The claim tokens of what runs.
        self.tokens: frozenset[int] = frozenset()
        #: Whether the worker was asked to stop.
        self.stopping = False
        self._bell: Bell | None = None
        self._wants_cancel: Callable[[], bool] = lambda: False
        self._tell_limit: Callable[[float], None] = lambda _: None

    def install(self, bell: Bell, wants_cancel: Callable[[], bool], tell_limit: Callable[[float], None]) -> None:
        """Take over the signals of a child; the bell is rung when the worker is to stop.

        `tell_limit` is told how many seconds the code takes at most that is about to run.
        """
        self._tell_limit = tell_limit
        self._bell = bell
        bell.ring_on_signals()
        self._wants_cancel = wants_cancel
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(HURRY, self._on_hurry)
        signal.signal(signal.SIGUSR1, self._on_cancel)
        signal.signal(signal.SIGALRM, self._on_alarm)
        os.register_at_fork(after_in_child=release_signals)

    def install_alone(self, bell: Bell) -> None:
        """Take over the signals of a worker without children, as far as this system has them."""
        self._bell = bell
        bell.ring_on_signals()
        signal.signal(signal.SIGTERM, self._on_stop_or_hurry)
        signal.signal(signal.SIGINT, self._on_stop_or_hurry)
        if HAS_TIMER:
            signal.signal(signal.SIGALRM, self._on_alarm)

    def install_foreground(self) -> None:
        """Be ready for `cancel`; every other signal keeps its meaning."""
        self._wants_cancel = lambda: True
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, self._on_cancel)
        if HAS_TIMER:
            signal.signal(signal.SIGALRM, self._on_alarm)

    def cancel(self) -> None:
        """Throw a cancellation into the job of this process; called in another thread than the job's."""
        if hasattr(signal, "SIGUSR1"):
            os.kill(os.getpid(), signal.SIGUSR1)

    @contextlib.contextmanager
    def armed(self, seconds: float) -> Iterator[None]:
        """Let interrupts through; the first comes after so many seconds."""
        self.thrown = self._waiting = None
        self._tell_limit(seconds)
        try:
            self._armed = True
            if HAS_TIMER:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            self._armed = False
            if HAS_TIMER:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def forget(self) -> None:
        """Forget what was thrown into the run before."""
        self.thrown = None

    def _on_stop(self, *_: Any) -> None:
        self.stop()

    def _on_hurry(self, *_: Any) -> None:
        self.stop()
        self._throw(StopNow)

    def _on_stop_or_hurry(self, *_: Any) -> None:
        if self.stopping:
            self._throw(StopNow)
        self.stop()

    def stop(self) -> None:
        """Ask for the worker's end after the job in hand."""
        self.stopping = True
        if self._bell is not None:
            self._bell.ring()

    def _on_cancel(self, *_: Any) -> None:
        if self._wants_cancel():
            self._throw(CancelNow)

    def _on_alarm(self, _signal: int, _frame: FrameType | None) -> None:
        self._throw(self._waiting or TimeUp)

    def _throw(self, interrupt: type[Interrupt]) -> None:
        if not self._armed:
            return
        if self._busy():
            self._waiting = interrupt
            if HAS_TIMER:
                signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            return
        self._armed = False
        self.thrown = interrupt
        raise interrupt


def release_signals() -> None:
    """Give the signals back to a process that a job forks: who forked it ends it by SIGTERM."""
    signal.set_wakeup_fd(-1)
    faulthandler.unregister(signal.SIGQUIT)
    for number in (signal.SIGTERM, HURRY, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
