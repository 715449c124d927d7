"""A child that runs several jobs at once, each in a thread: for jobs that wait for something most of their time.

No thread can be stopped from outside. A job that outlives its timeout, or that somebody cancels, is settled at once,
and its thread is abandoned: the child takes nothing new then, lets its other jobs finish, and ends with whatever its
threads still do.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..chains import given_back
from ..errors import JobTimeout
from ..manager import Manager
from ..record import Outcome
from ..storage.values import Claim, Settlement
from .attempt import Attempt
from .attempt import __file__ as attempt_file
from .bell import Bell
from .board import Slot
from .ending import LOOK, Ending
from .exchange import Exchange
from .gathering import gather, new_attempt
from .interrupts import Interrupt, Interrupts, StopNow
from .loop import KILL_AFTER, End
from .plan import Share
from .report import Report
from .steward import Steward

#: No job may be claimed together with others: a claim that waits for a thread could wait long.
NONE_TOGETHER: set[str] = set()


class Signals(Interrupts):
    """The signals of a child whose jobs run in other threads than the one that gets them."""

    #: Whether the jobs in hand are to be given back at once.
    hurried = False

    def _throw(self, interrupt: type[Interrupt]) -> None:
        self.hurried = self.hurried or interrupt is StopNow


class Untouched:
    """What an attempt in a thread sees of the interrupts: nothing is ever thrown into it."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self.thrown: type[Interrupt] | None = None

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._signals.stopping

    def forget(self) -> None:
        """There is nothing to forget."""

    @contextmanager
    def armed(self, _seconds: float) -> Iterator[None]:
        """The crew watches the time."""
        yield


@dataclass(slots=True)
class Member:
    """A job in its thread."""

    attempt: Attempt
    began: float
    #: When its timeout is over, by the monotonic clock.
    until: float
    thread: threading.Thread | None = None
    #: Whether that is over, and its thread abandoned.
    late: bool = False
    #: What came of it, once it has ended.
    settlement: Settlement | None = None


class Crew:
    """Claims, runs and settles jobs in this process, up to `threads` at a time."""

    def __init__(
        self,
        manager: Manager,
        name: str,
        share: Share,
        *,
        signals: Signals,
        slot: Slot,
        report: Report,
        bell: Bell,
    ) -> None:
        self._manager = manager
        self._share = share
        self._signals = signals
        self._slot = slot
        self._bell = bell
        self._exchange = Exchange(manager, name, share, report, signals, slot)
        self._steward = Steward(self._flush_notes)
        self._members: dict[int, Member] = {}
        self._left = share.max_jobs
        self._ending = Ending(manager)
        self._lock = threading.Lock()
        #: Whether a thread was abandoned, so that this process has to go.
        self._spoilt = False

    def work(self) -> End:
        """Work until there is a reason to end, and nothing left in hand."""
        try:
            return self._work()
        finally:
            self._steward.end()

    def _work(self) -> End:
        while True:
            settled = self._take_done()
            self._show()
            if not self._members and (end := self._reason_to_end()) is not None:
                self._exchange.step(settled, None)
                return end
            if self._is_free():
                claims = self._exchange.step(settled, self._exchange.wanted(1, NONE_TOGETHER))
                if claims:
                    self._ending.put_off()
                    self._start(claims[0])
                    continue
                if self._exchange.look_again:
                    continue
                if self._may_end() and self._ending.is_reached(self._exchange.queues):
                    return End.EMPTY
            elif settled:
                self._exchange.step(settled, None)
            self._wait()

    def _may_end(self) -> bool:
        return self._share.stop_when_empty and not self._members

    def _reason_to_end(self) -> End | None:
        if self._signals.stopping:
            return End.STOPPED
        return End.WORN if self._spoilt or self._left <= 0 else None

    def _is_free(self) -> bool:
        return self._reason_to_end() is None and not self._slot.quiet and len(self._members) < self._share.threads

    def _start(self, claim: Claim) -> None:
        along, others = gather(self._manager, claim, self._exchange.claim_more)
        if others:
            self._exchange.step([given_back(one, begun=False) for one in others], None)
        attempt = new_attempt(self._manager, claim, along, Untouched(self._signals), self._steward.stir)
        now = time.monotonic()
        member = self._members[claim.token] = Member(attempt, now, now + attempt.terms.timeout)
        member.thread = in_thread(self._run, member)
        self._left -= 1

    def _run(self, member: Member) -> None:
        settlement = member.attempt.run()
        with self._lock:
            if not member.late:
                member.settlement = settlement
        self._bell.ring()

    def _time_out(self, member: Member) -> None:
        """Settle a late job, in a thread of its own again: its `failed` may take time, too."""
        member.settlement = member.attempt.end(overdue(member), Outcome.TIMED_OUT)
        self._bell.ring()

    def _take_done(self) -> list[Settlement]:
        """Take out of hand what has ended, and what is ended now."""
        now = time.monotonic()
        settled = []
        for token, member in list(self._members.items()):
            settlement = member.settlement or self._end(token, member, now)
            if settlement is not None:
                del self._members[token]
                self._slot.end()
                self._exchange.ran(member.attempt, now - member.began)
                settled += [settlement, *member.attempt.along(settlement)]
        return settled

    def _end(self, token: int, member: Member, now: float) -> Settlement | None:
        """End a job that goes on: it is late, cancelled, or there is no time left."""
        if self._signals.hurried:
            return given_back(member.attempt.claim, begun=True)
        if self._slot.cancel == token or self._slot.cancel in member.attempt.tokens:
            self._spoilt = True
            return member.attempt.cancelled()
        if now < member.until:
            return None
        if member.late:
            return member.attempt.end_without_words(overdue(member), Outcome.TIMED_OUT)
        with self._lock:
            member.late = self._spoilt = member.settlement is None
        if member.late:
            member.until += member.attempt.terms.timeout
            in_thread(self._time_out, member)
        return member.settlement

    def _show(self) -> None:
        """Tell the supervisor what is in hand, and when somebody should have looked after it."""
        if self._members:
            first = min(self._members.values(), key=lambda member: member.until)
            self._slot.begin(first.attempt.claim.token, max(0.0, first.until - time.monotonic()) + KILL_AFTER)

    def _wait(self) -> None:
        """Wait until a job ends or is late, a signal comes or, where a thread is free, the keeper knows of one more."""
        seconds = [member.until - time.monotonic() for member in self._members.values()]
        if (idle := self._is_free()) or self._slot.quiet:
            seconds.append(min(LOOK, self._manager.config.sleep) if self._may_end() else self._manager.config.sleep)
        self._slot.idle = idle
        self._bell.wait(max(0.0, min(seconds, default=0.0)))
        if idle and not self._slot.idle:  # the keeper has rung
            self._exchange.trust_queues()
        self._slot.idle = False

    def _flush_notes(self) -> bool:
        flushed = [member.attempt.notes.flush() for member in list(self._members.values())]
        return any(flushed)


def in_thread(work: Callable[[Member], None], member: Member) -> threading.Thread:
    """Do something with a job in a thread that does not keep the process from ending."""
    name = f"{member.attempt.claim.type} {member.attempt.claim.id}"
    thread = threading.Thread(target=work, args=(member,), name=name, daemon=True)
    thread.start()
    return thread


def overdue(member: Member) -> JobTimeout:
    """The exception of a late job, with the place where its thread is now."""
    error = JobTimeout(f"The job ran longer than its timeout of {member.attempt.terms.timeout:g} s.")
    thread = member.thread.ident if member.thread is not None else None
    frame = sys._current_frames().get(thread or 0)
    trace = None
    while frame is not None and frame.f_code.co_filename != attempt_file:
        trace = types.TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return error.with_traceback(trace)
