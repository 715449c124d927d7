"""The keeper: extends leases, fires schedules, wakes sleeping children, rescues stalled jobs, tidies up.

A process of its own beside the children, so that a job that never lets go of the interpreter does
not cost its worker the lease.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..errors import StorageError, StorageFormatError, StorageFull
from ..manager import Manager
from ..orders import Picture
from ..record import ChildRecord, JobError, Outcome, WorkerRecord
from ..signals import worker_started, worker_stopped
from ..storage.values import Claim
from .bell import Bell
from .board import Board
from .notices import Listener, Notice
from .patience import Patience
from .picture import stacks_of
from .process import kill_group
from .report import Report
from .unknown import in_words, of_unknown_types

#: Seconds between heartbeats, unless the lease asks for more.
HEARTBEAT = 1.0
#: Seconds between two looks at which workers have vanished.
ROLL_CALL = 60.0
#: Seconds after a change in which changes are asked for often, and how seldom (s) after it.
LIVELY = 1.0
QUIET_INTERVAL = 0.005
#: Seconds between two looks at how many jobs were completed: a log of entries is spared what seldom matters.
COUNTED = 5.0
#: Seconds that a receiver of alerts gets when the worker stops.
TELLING = 2.0
#: Seconds of each heartbeat for tidying up.
SLICES = 0.1
QUIET = "Taking nothing more, as somebody asked; what is in hand goes on."
GOES_ON = "Taking jobs again."


class Keeper:
    """Looks after one worker. The supervisor tells it which children live, and which died of what."""

    def __init__(
        self,
        manager: Manager,
        worker: WorkerRecord,
        *,
        board: Board,
        notices: Listener,
        bells: list[Bell],
        report: Report,
    ) -> None:
        self._manager = manager
        self._worker = worker
        self._board = board
        self._notices = notices
        self._bells = bells
        self._report = report
        self._slots: dict[str, int] = {}
        self._over = False
        #: Notices not heeded yet, as while the storage is away.
        self._heard: list[Notice] = []
        self._watcher = manager.watcher()
        self._beat = min(HEARTBEAT, manager.config.lease / 3)
        self._patience_with_others = Patience(manager.config.lease, self._beat, board.pulse)
        #: Whether there was a problem since the last beat in which all went well.
        self._troubled = False
        self._next_beat = 0.0
        self._next_roll_call = 0.0
        self._next_count = 0.0
        #: Which storage it was at the last roll call.
        self._identity = ""
        #: The job types of which it was said that nobody knows them.
        self._unknown: set[str] = set()
        self._ticker = manager.scheduler.ticker()
        self._next_tick = 0.0
        self._stale = True
        #: Whether the watcher has said so, and nobody was woken for it yet.
        self._changed = False
        self._changed_at = 0.0
        self._due_at: float | None = None
        self._cancelling: dict[int, float] = {}
        #: By child: the jobs in its hands.
        self._jobs: dict[str, list[str]] = {}

    def work(self) -> None:
        """Keep the worker until the supervisor says that it is over."""
        while not self._over:
            try:
                self._each(self._listen, self._wake_children, self._tick_if_due, self._tend_batches, self._beat_if_due)
            except StorageFormatError:
                raise
            except StorageError as error:
                self._troubled = True
                self._report.problem(str(error))
                time.sleep(0.2)
        self._manager.forget_worker(self._worker.name)
        self._watcher.close()
        self._manager.finish_telling(TELLING)
        self._manager.teller.tell(worker_stopped, record=self._worker)

    def _each(self, *duties: Callable[[], object]) -> None:
        """Do every one, also where there is no room for what another would write; the first failure is raised then.

        A storage that cannot be reached is not asked for the next.
        """
        full: StorageFull | None = None
        for duty in duties:
            self._board.pulse.passed()
            try:
                duty()
            except StorageFull as error:
                full = full or error
        if full is not None:
            raise full

    # What the supervisor says

    def _listen(self) -> None:
        self._heard += self._notices.hear(0, self._watcher.fileno()) if self._heard else self._wait()
        while self._heard:
            self._board.pulse.passed()
            self._heed(self._heard[0])
            self._heard.pop(0)

    def _wait(self) -> list[Notice]:
        """Wait until somebody says something, something has changed, or it is time for a duty.

        A storage that must be asked whether something has changed is asked hundreds of times a second, so that is all
        that is done in between.
        """
        while True:
            now, until = time.monotonic(), self._next_duty()
            notices = self._notices.hear(self._patience(now, until), self._watcher.fileno())
            if notices or self._stale or now >= until or self._watcher.fileno() is not None or self._has_changed():
                return notices

    def _next_duty(self) -> float:
        """When it is time for something, by the monotonic clock; a job in a thread may bring that forward."""
        due = self._due_at or self._next_beat
        return min(self._next_beat, self._next_tick, self._manager.batches.tending.next_look, due)

    def _patience(self, now: float, until: float) -> float:
        """How long to wait for somebody to say something before looking at the clock again."""
        interval = self._watcher.interval
        if self._watcher.fileno() is not None:
            return interval if self._stale else max(0.0, until - now)
        return max(interval, QUIET_INTERVAL) if now - self._changed_at > LIVELY else interval

    def _has_changed(self) -> bool:
        self._changed = self._changed or self._watcher.changed()
        return self._changed

    def _heed(self, notice: Notice) -> None:
        if "children" in notice:
            self._know(notice["children"])
        elif "died" in notice:
            self._bury(notice["died"], Outcome(notice["outcome"]), JobError(*notice["error"]), notice["mark"])
        elif "stopped" in notice:
            self._manager.rescuer.give_back(notice["stopped"])
        else:
            self._over = True

    def _know(self, children: list[list[Any]]) -> None:
        self._slots = {name: slot for name, _, _, slot in children}
        known = tuple(ChildRecord(name=name, pid=pid, memory=memory) for name, pid, memory, _ in children)
        self._worker = described(self._worker, known)
        self._next_beat = min(self._next_beat, time.monotonic() + 0.1)

    def _bury(self, child: str, outcome: Outcome, error: JobError, mark: int) -> None:
        for claim in self._manager.rescuer.bury(child, outcome, error, mark):
            self._report.died(claim, str(outcome), error.message)
        self._stale = True

    # Waking

    def _wake_children(self) -> None:
        if self._has_changed():
            self._changed = False
            self._stale = True
            self._changed_at = time.monotonic()
            self._due_at = None
            self._ring_idle()  # most likely a push: whether one more child is wanted is asked while this one looks
            return
        if self._due_at is not None and time.monotonic() >= self._due_at:
            self._stale = True
            self._due_at = None
        if self._stale:
            self._wake_one()

    def _ask_due(self) -> float | None:
        left = self._manager.next_due()
        return None if left is None else time.monotonic() + left / 1000

    def _wake_one(self) -> None:
        if not any(slot.idle for slot in self._board.slots):
            return
        if not self._manager.pending(self._worker.queues):
            self._stale = False
            if self._due_at is None:
                self._due_at = self._ask_due()
            return
        self._ring_idle()

    def _ring_idle(self) -> None:
        """Wake one child that has nothing to do, if there is one."""
        for slot, bell in zip(self._board.slots, self._bells, strict=True):
            if slot.idle:
                slot.idle = False
                bell.ring()
                return

    # Schedules

    def _tick_if_due(self) -> None:
        """Fire what is due; nobody else tells this process of the jobs that it pushes itself."""
        if time.monotonic() < self._next_tick:
            return
        pushed = self._ticker.pushed
        self._next_tick = time.monotonic() + self._beat  # where it fails
        self._next_tick = time.monotonic() + self._ticker.tick()
        if self._ticker.pushed > pushed:
            self._stale = True
            self._changed_at = time.monotonic()

    def _tend_batches(self) -> None:
        """Push the callbacks of batches that are done."""
        if self._manager.tend_batches():
            self._stale = True
            self._changed_at = time.monotonic()

    # The heartbeat and what goes with it

    def _beat_if_due(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + self._beat
        try:
            self._each(
                self._show_life,
                self._obey,
                self._rescue,
                self._manager.breakers.mend,
                self._release_held,
                self._call_the_roll,
                self._manager.gather,
                self._manager.look_out,
                lambda: in_slices(self._manager.retain_aside),
                self._manager.tend_chains,
                self._manager.tend_asides,
                self._manager.maintain,
            )
        except StorageError:
            self._next_beat = time.monotonic() + self._beat
            raise
        if not self._troubled:
            self._report.solved()
        self._troubled = False

    def _show_life(self) -> None:
        self._patience_with_others.cut_off()
        is_new = not self._board.pulse.beat
        self._look_at_board()
        heartbeat = self._manager.heartbeat(self._worker)
        self._patience_with_others.beaten(self._manager.storage.now())
        self._cancel(heartbeat.to_cancel)
        self._jobs = heartbeat.jobs
        if heartbeat.emptied:
            self._next_roll_call = 0.0  # which says so, and stores the schedules of the code again
        if is_new:
            self._manager.teller.tell(worker_started, record=self._worker)

    def _look_at_board(self) -> None:
        """Bring up to date what is told of this worker."""
        self._worker = replace(self._worker, stopping=self._board.stopping)
        if time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + COUNTED
            self._worker = replace(self._worker, completed=self._board.completed)

    def _obey(self) -> None:
        """Pass on what people ask of this worker."""
        orders, asked = self._manager.orders(), self._board.asked
        asked.restart = orders.restart.get(self._worker.name, 0)
        if asked.quiet is not (quiet := self._worker.name in orders.quiet):
            asked.quiet = quiet
            self._report.says("quiet" if quiet else "going on", QUIET if quiet else GOES_ON)
            for bell in self._bells:
                bell.ring()
        if self._worker.quiet is not quiet:
            self._worker = replace(self._worker, quiet=quiet)
            self._next_beat = time.monotonic()  # so that people see it
        for job_id, picture in orders.pictures.items():
            if picture.taken is None:
                self._take_picture(job_id, picture)

    def _take_picture(self, job_id: str, picture: Picture) -> None:
        """Show what a job does, if it is in the hands of a child of this worker."""
        child = next((name for name, jobs in self._jobs.items() if job_id in jobs), None)
        pid = next((one.pid for one in self._worker.children if one.name == child), None)
        if child in self._slots and pid is not None and self._board.pictures:
            text = stacks_of(pid, self._board.pictures[self._slots[child]])
            self._manager.keep_picture(job_id, picture._replace(taken=self._manager.storage.now(), text=text))

    def _rescue(self) -> None:
        if not self._patience_with_others.over:
            return
        for claim in self._manager.rescuer.rescue():
            self._report.died(claim, "rescued", "Its worker vanished and the lease ran out.")
            self._stale = True

    def _release_held(self) -> None:
        if in_slices(self._manager.release_held):
            self._stale = True

    def _call_the_roll(self) -> None:
        now = time.monotonic()
        if now < self._next_roll_call:
            return
        self._next_roll_call = now + ROLL_CALL
        self._manager.forget_vanished()
        self._manager.scheduler.publish(self._worker.name)
        self._notice_loss()
        self._notice_unknown()

    def _notice_unknown(self) -> None:
        """Say once that jobs wait whose type nobody knows: they raise no error anywhere."""
        now, lease = self._manager.now(), self._manager.config.lease
        alive = [worker for worker in self._manager.workers() if worker.silence(now) <= lease]
        jobs = of_unknown_types(self._manager.counts(), alive)
        fresh = {type_: n for type_, n in jobs.items() if type_ not in self._unknown}
        self._unknown = set(jobs)
        if fresh:
            self._report.says("finding", in_words(fresh), severity="delays", code="type-unknown")

    def _notice_loss(self) -> None:
        """Say that the storage is another than it was, as after a FLUSHALL: jobs that vanish say nothing."""
        known, self._identity = self._identity, self._manager.storage.identity()
        if known not in ("", self._identity):
            self._report.says(
                "emptied",
                "The storage was emptied, or replaced by another: the jobs that were in it are gone. The schedules "
                "of the code are stored again.",
            )

    def _cancel(self, claims: list[Claim]) -> None:
        """Throw the cancellation into the job; kill its process where that does not help in time."""
        now = time.monotonic()
        self._cancelling = {claim.token: self._cancelling.get(claim.token, now) for claim in claims}
        for claim in claims:
            slot = self._slots.get(claim.worker)
            pid = next((child.pid for child in self._worker.children if child.name == claim.worker), None)
            if slot is None or pid is None:
                continue
            if now - self._cancelling[claim.token] > self._manager.config.grace:
                kill_group(pid)
            else:
                self._board.slots[slot].cancel = claim.token
                signal_cancel(pid)


def in_slices(work: Callable[[], int]) -> int:
    """Do slices of work while there are any, as long as the other duties can wait; returns how many things."""
    until = time.monotonic() + SLICES
    total = 0
    while (done := work()) > 0:
        total += done
        if time.monotonic() > until:
            break
    return total


def described(worker: WorkerRecord, children: tuple[ChildRecord, ...]) -> WorkerRecord:
    """The worker with its children of now."""
    return replace(worker, children=children, heartbeat=datetime.now(timezone.utc))


def signal_cancel(pid: int) -> None:
    """Tell a child that the job in its hand is to be cancelled."""
    try:
        os.kill(pid, signal.SIGUSR1)
    except ProcessLookupError:
        return
