"""What is thrown into a running job from outside, and the signals that throw it.

These are `BaseException`s, so that a job's `except Exception` does not swallow them.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import time

# `signal.getsignal` makes an Enum of each answer, which costs every job 20 µs.
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable, Iterator
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
        #: What is called at each signal, unless a job takes it over.
        self._handlers: dict[signal.Signals, Any] = {}
        #: When the run that is armed must be over.
        self._until = 0.0
        self._wants_cancel: Callable[[], bool] = lambda: False
        self._tell_limit: Callable[[float], None] = lambda _: None

    def install(self, bell: Bell, wants_cancel: Callable[[], bool], tell_limit: Callable[[float], None]) -> None:
        """Take over the signals of a child; the bell is rung when the worker is to stop.

        `tell_limit` is told how many seconds the code takes at most that is about to run.
        """
        self._tell_limit = tell_limit
        self._bell = bell
        self._wants_cancel = wants_cancel
        self._handlers = {
            signal.SIGTERM: self._on_stop,
            signal.SIGINT: signal.SIG_IGN,
            HURRY: self._on_hurry,
            signal.SIGUSR1: self._on_cancel,
            signal.SIGALRM: self._on_alarm,
        }
        self._take(self._handlers)
        os.register_at_fork(after_in_child=release_signals)

    def install_alone(self, bell: Bell) -> None:
        """Take over the signals of a worker without children, as far as this system has them."""
        self._bell = bell
        self._handlers = {signal.SIGTERM: self._on_stop_or_hurry, signal.SIGINT: self._on_stop_or_hurry}
        if HAS_TIMER:
            self._handlers[signal.SIGALRM] = self._on_alarm
        self._take(self._handlers)

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
            self._until = time.monotonic() + seconds
            self._armed = True
            if HAS_TIMER:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            self._armed = False
            if HAS_TIMER:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self._take_back()

    def _take_back(self) -> None:
        """Have the signals again that a job, or a library in it, took over, gave back to the system or blocked."""
        taken = [number for number, handler in self._handlers.items() if getsignal(number) != handler]
        if taken:
            self._take(taken)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)

    def _take(self, numbers: Iterable[signal.Signals]) -> None:
        if self._bell is not None:
            self._bell.ring_on_signals()
        for number in numbers:
            signal.signal(number, self._handlers[number])

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
        left = self._until - time.monotonic()
        if self._waiting is None and left > PATIENCE:  # an alarm that the job has set, in place of ours
            signal.setitimer(signal.ITIMER_REAL, left)
            return
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
