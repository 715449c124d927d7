"""The supervisor: starts the children and the keeper, replaces the dead, stops them all.

It holds no connection and no thread, so that every fork is a clean one. It only forks, waits and
signals; what it learns, it tells the keeper.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from ..manager import Manager
from ..record import Outcome
from .bell import Bell
from .board import Board
from .interrupts import HURRY
from .lives import child_life, keeper_life
from .loop import KILL_AFTER, End
from .notices import OVER, Mouth, Notice
from .picture import new_file
from .plan import Plan, worker_of
from .process import fork, kill_group, memory_of, pages_of, process_name, share_memory, signal_name
from .report import Report
from .systemd import Systemd

#: Seconds between two looks at deadlines, and at memory.
LOOK = 0.1
MEMORY_LOOK = 1.0
#: A child that ends sooner has not worked; its place waits longer each time, up to so many seconds.
TOO_SOON = 1.0
LONGEST_WAIT = 5.0
#: Seconds that stopping takes beyond the grace before everything left is killed.
STOP_AFTER = 5.0
#: Seconds without getting on, after which the keeper is replaced: more than any call takes while the storage is
#: away, and so much less than the usual lease that the next one still keeps it.
HUNG = 25.0
KEEPER = -1


@dataclass(slots=True)
class Child:
    """A process that the supervisor has started."""

    pid: int
    name: str
    index: int
    started: float = field(default_factory=time.monotonic)
    #: Megabytes at its last measurement, and above which it is replaced.
    memory: float | None = None
    limit: float | None = None
    #: The last job and the pages that it had then: while it has no other, it is not measured again.
    measured: tuple[int, int] | None = None
    #: Why it is being stopped or killed, which its death will be put down to.
    doomed: str | None = None


class Supervisor:
    """One worker: its children, its keeper, and their end."""

    def __init__(self, manager: Manager, plan: Plan, report: Report, version: str) -> None:
        self._manager = manager
        self._plan = plan
        self._report = report
        self._worker = worker_of(manager, plan.share.queues, version)
        self._board = Board(plan.processes)
        self._board.pictures = [new_file() for _ in range(plan.processes)]
        self._bells = [Bell() for _ in range(plan.processes)]
        self._signals = os.pipe()
        self._lifeline = os.pipe()
        self._mouth = Mouth()
        self._deaths: list[tuple[float, Notice]] = []
        self._children: dict[int, Child] = {}
        self._keeper: Child | None = None
        self._not_before: dict[int, float] = {}
        self._waits: dict[int, float] = {}
        self._finished: set[int] = set()
        #: When somebody asked to have the children begin anew that is done, or under way; who is left; who ends now.
        self._restarted = 0
        self._old: list[int] = []
        self._leaving: int | None = None
        self._unable = False
        self._stops = 0
        self._ending = False
        self._started = time.monotonic()
        self._memory_at = 0.0
        #: How often the keeper had got on, when we looked, and for how long it has not since.
        self._keeper_passes = 0
        self._keeper_rest = 0.0
        self._looked_at = time.monotonic()
        self._said_small = False
        self._systemd = Systemd.of_environment(os.environ)
        self._take_signals()

    @property
    def name(self) -> str:
        """How it is called in the storage."""
        return self._worker.name

    def run(self) -> int:
        """Work until told to stop, or until there is nothing left to do; returns the exit code."""
        self._manager.storage.close()
        share_memory()
        while not self._done():
            self._keep_keeper()
            self._start_missing()
            self._wait()
            self._reap()
            self._kill_late()
            self._restart_as_asked()
            self._watch_keeper()
            self._watch_memory()
            self._mouth.send()
            self._tell_systemd()
        self._systemd.stops("Stopping; jobs in hand may finish.")
        self._stop_children()
        self._stop_keeper()
        for bell in self._bells:
            bell.close()
        return 1 if self._unable else 0

    # The loop's steps

    def _done(self) -> bool:
        over_time = self._plan.max_time is not None and time.monotonic() - self._started >= self._plan.max_time
        return bool(self._stops) or over_time or self._unable or len(self._finished) == self._plan.processes

    def _start_missing(self) -> None:
        now = time.monotonic()
        running = {child.index for child in self._children.values()}
        for index in range(self._plan.processes):
            if index not in running and index not in self._finished and now >= self._not_before.get(index, 0):
                self._start_child(index)

    def _keep_keeper(self) -> None:
        if self._keeper is None and not self._unable and time.monotonic() >= self._not_before.get(KEEPER, 0):
            self._start_keeper()

    def _wait(self) -> None:
        """Sleep until a signal comes, a child ends, or it is time to look at deadlines."""
        if select.select([self._signals[0]], [], [], LOOK)[0]:
            os.read(self._signals[0], 4096)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._bury(pid, os.waitstatus_to_exitcode(status))

    def _kill_late(self) -> None:
        for child in self._children.values():
            if child.doomed != "timeout" and self._board.slots[child.index].late() > 0:
                child.doomed = "timeout"
                kill_group(child.pid)

    def _watch_keeper(self) -> None:
        """Replace a keeper that hangs; while this process does not get on itself, as when all sleep, no time passes."""
        now, before = time.monotonic(), self._looked_at
        self._looked_at = now
        self._keeper_rest += min(now - before, 2 * LOOK)
        passes = self._board.pulse.passes
        if self._keeper is None or passes != self._keeper_passes:
            self._keeper_passes = passes
            self._keeper_rest = 0.0
        elif self._keeper_rest > HUNG and self._keeper.doomed is None:
            self._keeper.doomed = "hung"
            self._report.says("keeper hung", f"The keeper has hung for {HUNG:g} s and is replaced.")
            kill_group(self._keeper.pid)

    def _restart_as_asked(self) -> None:
        """Let one child after another finish its job and end; each has a new one in its place before the next goes."""
        if self._board.asked.restart > self._restarted:
            self._restarted = self._board.asked.restart
            self._old = list(self._children)
            self._report.says("restarting", f"Beginning {len(self._old)} processes anew, one after another.")
        full = len(self._children) + len(self._finished) >= self._plan.processes
        if not self._old or not full or self._leaving in self._children:
            return
        self._leaving = self._old.pop(0)
        if (child := self._children.get(self._leaving)) is not None and child.doomed is None:
            child.doomed = "restart"
            signal_to(child.pid, signal.SIGTERM)

    def _watch_memory(self) -> None:
        if time.monotonic() - self._memory_at < MEMORY_LOOK:
            return
        self._memory_at = time.monotonic()
        for child in self._children.values():
            self._measure(child)
            if child.memory is not None and child.doomed is None:
                self._check_memory(child, child.memory)
        self._tell_children()

    def _measure(self, child: Child) -> None:
        slot = self._board.slots[child.index]
        now = (slot.mark, pages_of(child.pid))
        if slot.token or now != child.measured:
            child.measured, child.memory = now, memory_of(child.pid)

    def _check_memory(self, child: Child, memory: float) -> None:
        base = self._board.slots[child.index].base
        if not base:
            return
        if child.limit is None:
            child.limit = self._memory_limit(base)
        if memory > child.limit:
            child.doomed = "memory"
            self._report.says(
                "memory",
                f"A child holds {memory:.0f} MB of {child.limit:.0f} MB; it is replaced after its job.",
            )
            signal_to(child.pid, signal.SIGTERM)

    def _memory_limit(self, base: float) -> float:
        limit = self._manager.config.memory
        if base < limit:
            return limit
        if not self._said_small:
            self._said_small = True
            self._report.says(
                "memory",
                f"QUEUES_MEMORY is {limit:.0f} MB, but a child needs {base:.0f} MB to start; "
                f"children are replaced above {base + limit:.0f} MB.",
            )
        return base + limit

    def _tell_systemd(self) -> None:
        """It is ready once its first sign of life is in the storage."""
        busy = sum(1 for child in self._children.values() if self._board.slots[child.index].token)
        self._systemd.works(
            self._board.pulse.passes,
            ready=self._board.pulse.beat > 0,
            status=f"{busy} of {len(self._children)} processes have a job in hand.",
        )

    # Births

    def _start_child(self, index: int) -> None:
        self._board.slots[index].clear()
        start = int(time.time())

        def live() -> int:
            self._leave_parent_behind()
            return child_life(
                self._manager,
                process_name(os.getpid(), start, self._worker.release),
                self._plan.share,
                slot=self._board.slots[index],
                bell=self._bells[index],
                report=self._report,
                picture=self._board.pictures[index],
            )

        pid = fork(live, self._lifeline[0])
        self._children[pid] = Child(pid, process_name(pid, start, self._worker.release), index)
        self._tell_children()

    def _start_keeper(self) -> None:
        self._mouth.close()
        self._mouth = mouth = Mouth()

        def live() -> int:
            self._leave_parent_behind()
            return keeper_life(
                self._manager,
                self._worker,
                board=self._board,
                notices=mouth.ear(),
                bells=self._bells,
                report=self._report,
            )

        pid = fork(live, self._lifeline[0])
        self._keeper = Child(pid, process_name(pid, int(time.time())), KEEPER)
        self._tell_children()
        for _, notice in self._deaths:
            mouth.say(notice)

    def _leave_parent_behind(self) -> None:
        """In a new process: drop what belongs to the supervisor alone."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._lifeline[1])

    # Deaths

    def _bury(self, pid: int, code: int) -> None:
        if self._keeper is not None and pid == self._keeper.pid:
            self._lose_keeper(code)
            return
        child = self._children.pop(pid, None)
        if child is None:
            return
        kill_group(pid)
        end = End(code) if self._board.slots[child.index].left(code) else None  # None: a job may end it with any code
        if end in (End.STOPPED, End.WORN, End.EMPTY):
            self._waits.pop(child.index, None)
        else:
            self._mourn(child, code, end)
        if end is End.EMPTY or self._plan.share.once:
            self._finished.add(child.index)
        self._unable = self._unable or end is End.UNABLE

    def _mourn(self, child: Child, code: int, end: End | None) -> None:
        if child.doomed == "stop":
            self._tell_death({"stopped": child.name})
            return
        outcome, kind, reason = cause_of_death(child, code)
        mark = self._board.slots[child.index].mark if self._plan.share.threads == 1 else None
        self._tell_death({"died": child.name, "outcome": outcome.value, "error": [kind, reason, ""], "mark": mark})
        if end is not End.UNABLE and (mark or 0) <= 0:
            self._report.says("child died", f"Child {child.pid} died: {reason}", pid=child.pid)
        self._delay(child.index, child.started)

    def _lose_keeper(self, code: int) -> None:
        assert self._keeper is not None
        self._unable = self._unable or code == End.UNABLE
        self._delay(KEEPER, self._keeper.started)
        hung = self._keeper.doomed is not None
        self._keeper = None
        if code and not self._unable and not self._ending and not hung:
            self._report.says("keeper died", f"The keeper died ({describe_exit(code)}) and is replaced.")

    def _delay(self, index: int, started: float) -> None:
        """Let a place wait before its next process when the last one died at once."""
        now = time.monotonic()
        if now - started >= TOO_SOON:
            self._waits.pop(index, None)
            return
        wait = min(self._waits.get(index, 0.05) * 2, LONGEST_WAIT)
        self._waits[index] = wait
        self._not_before[index] = now + wait

    # Telling the keeper

    def _tell_children(self) -> None:
        children = [[child.name, child.pid, child.memory, child.index] for child in self._children.values()]
        self._mouth.say({"children": children})

    def _tell_death(self, notice: Notice) -> None:
        """Tell of a death, and again to the next keeper: this one may not have got to it."""
        now = time.monotonic()
        recent = now - 2 * self._manager.config.lease
        self._deaths = [(at, known) for at, known in self._deaths if at > recent]
        self._deaths.append((now, notice))
        self._mouth.say(notice)

    # The end

    def _take_signals(self) -> None:
        os.set_blocking(self._signals[1], False)
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(signal.SIGHUP, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _on_stop(self, *_: Any) -> None:
        self._stops += 1

    def _stop_children(self) -> None:
        """Let jobs in hand finish within the grace, then have them given back, then kill."""
        if self._children and not self._unable:
            jobs = sum(1 for child in self._children.values() if self._board.slots[child.index].token)
            said = (
                f"Stopping; {jobs} in hand may finish within {self._manager.config.grace:g} s." if jobs else "Stopping."
            )
            self._report.says("stopping", said)
        self._board.stopping = True
        grace_over = time.monotonic() + self._manager.config.grace
        self._signal_children(signal.SIGTERM)
        hurried = False
        while self._children:
            self._keep_keeper()
            self._wait()
            self._reap()
            self._kill_late()
            self._watch_keeper()
            self._systemd.goes_on(self._board.pulse.passes)
            if not hurried and (time.monotonic() > grace_over or self._stops > 1):
                hurried = True
                grace_over = time.monotonic()
                self._signal_children(HURRY)
            if hurried and time.monotonic() > grace_over + STOP_AFTER:
                self._kill_children()

    def _signal_children(self, number: signal.Signals) -> None:
        for child in self._children.values():
            signal_to(child.pid, number)

    def _kill_children(self) -> None:
        for child in self._children.values():
            child.doomed = "stop"
            kill_group(child.pid)

    def _stop_keeper(self) -> None:
        """Let the keeper settle what is left, and end."""
        if self._keeper is None and not self._unable:
            self._start_keeper()
        self._ending = True
        self._mouth.say(OVER)
        until = time.monotonic() + STOP_AFTER
        while self._keeper is not None:
            self._mouth.send()
            if time.monotonic() > until:
                kill_group(self._keeper.pid)
            self._wait()
            self._reap()


def cause_of_death(child: Child, code: int) -> tuple[Outcome, str, str]:
    """What the job that a child held is told: outcome, class and message of its error."""
    if child.doomed == "timeout":
        reason = f"The job ran longer than its timeout and was killed {KILL_AFTER:g} s later."
        return Outcome.TIMED_OUT, "flask_queues.errors.JobTimeout", reason
    return Outcome.KILLED, "flask_queues.errors.WorkerLost", f"The process died: {describe_exit(code)}."


def describe_exit(code: int) -> str:
    """Say in words how a process ended."""
    if code == -signal.SIGKILL:
        return "killed by SIGKILL (out of memory?)"
    return f"killed by {signal_name(-code)}" if code < 0 else f"exit code {code}"


def signal_to(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
