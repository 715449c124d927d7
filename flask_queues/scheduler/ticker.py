"""The tick: what a worker does for the schedules, moment by moment."""

from __future__ import annotations

import heapq
import logging
import random
import time
from dataclasses import replace

from ..errors import ScheduleError
from ..storage import Storage
from ..storage.values import Schedule
from ..telling import Teller
from .decide import Decision, decide, next_due
from .state import State, is_damaged, read_state

logger = logging.getLogger("flask_queues")

#: Seconds between two looks at whether somebody changed a schedule; longer, up to so many, where reading them all
#: would take more than a hundredth of a core.
LOOK, LONGEST_LOOK = 1.0, 5.0
#: Seconds of one tick, after which the keeper gets to its other duties.
SLICE = 0.1
#: Milliseconds until a schedule that waits for a job to end is looked at again.
WAIT = 1_000


class Ticker:
    """Fires what is due, together with everybody else who does: each occurrence once.

    It keeps the schedules in memory, in the order in which they are next due, and reads them again
    only where somebody has changed one. What it decides holds only if nobody was faster.
    """

    def __init__(self, storage: Storage, teller: Teller) -> None:
        self._storage = storage
        self._teller = teller
        self._states: dict[str, State] = {}
        #: When each is to be looked at; a number that spreads those of one moment; its name and revision.
        self._heap: list[tuple[int, float, str, int]] = []
        self._changes: int | None = None
        self._look_at = 0.0
        #: Those that cannot be read, with the revision of which that was said.
        self._damaged: dict[str, int] = {}
        #: Jobs that were pushed so far.
        self.pushed = 0

    def tick(self) -> float:
        """Decide what is due; returns in how many seconds it wants to be called again, at most a second."""
        until = time.monotonic() + SLICE
        now = self._storage.now()
        try:
            self._look()
            while self._heap and self._heap[0][0] <= now and time.monotonic() < until:
                _, _, name, revision = heapq.heappop(self._heap)
                state = self._states.get(name)
                if state is not None and state.revision == revision:
                    self._settle(state, now)
        except BaseException:
            self._changes = None
            self._look_at = 0.0
            raise
        if self._look_at == 0.0:
            return 0.0
        wait = (self._heap[0][0] - now) / 1000 if self._heap else LOOK
        return min(LOOK, max(0.0, wait))

    def drain(self) -> int:
        """Tick until nothing is due; returns how many jobs that pushed."""
        before = self.pushed
        while self.tick() == 0.0:
            pass
        return self.pushed - before

    def _look(self) -> None:
        """Read the schedules where one has changed."""
        if time.monotonic() < self._look_at:
            return
        began = time.thread_time()
        changes = self._storage.schedules_changed()
        if changes != self._changes:
            self._read(self._storage.schedules())
            self._changes = changes
        spent = time.thread_time() - began
        self._look_at = time.monotonic() + min(LONGEST_LOOK, max(LOOK, 100 * spent))

    def _read(self, rows: list[Schedule]) -> None:
        known, self._states = self._states, {}
        for row in rows:
            state = known.get(row.name)
            if state is not None and state.revision == row.revision:
                self._states[row.name] = state
            elif (read := read_state(row)) is not None:
                self._keep(read)
            else:
                self._say_damaged(row)
        if len(self._heap) > 2 * len(self._states) + 100:
            self._heap = [entry for entry in self._heap if self._is_current(entry[2], entry[3])]
            heapq.heapify(self._heap)

    def _say_damaged(self, row: Schedule) -> None:
        """Once for each state of it: nothing of it is fired until it is stored anew."""
        if is_damaged(row) and self._damaged.get(row.name) != row.revision:
            self._damaged[row.name] = row.revision
            logger.error(
                "The schedule %s is damaged in the storage, and not fired. One of the code is stored anew by a worker "
                "within a minute; remove any other (flask queues schedule remove) and add it again.",
                row.name,
            )

    def _is_current(self, name: str, revision: int) -> bool:
        state = self._states.get(name)
        return state is not None and state.revision == revision

    def _keep(self, state: State, at: int | None = None) -> None:
        self._states[state.definition.name] = state
        try:
            due = next_due(state)
        except ScheduleError as error:  # such as a zone that another machine knows
            logger.warning("The schedule %s is left to other workers: %s", state.definition.name, error)
            due = None
        if due is not None:
            entry = (due if at is None else max(due, at), random.random(), state.definition.name, state.revision)  # noqa: S311
            heapq.heappush(self._heap, entry)

    def _settle(self, state: State, now: int) -> None:
        decision = decide(state, now, lambda: is_running(self._storage, state))
        if decision is None:
            self._keep(state)
            return
        if not decision.lines:
            self._keep(state, now + WAIT)
            return
        stored = put(self._storage, decision, self._teller)
        if stored is None:
            self._look_at = 0.0
            return
        self.pushed += len(decision.jobs)
        self._keep(stored, now + WAIT if decision.waiting else None)


def put(storage: Storage, decision: Decision, teller: Teller) -> State | None:
    """Store a decision with its jobs in one step; None where somebody was faster and nothing has changed."""
    revision = storage.put_schedule(decision.state.row(), decision.jobs, decision.lines)
    if not revision:
        return None
    teller.decided(decision.state.definition.name, decision.jobs, decision.lines)
    return replace(decision.state, revision=revision)


def is_running(storage: Storage, state: State) -> bool:
    """Whether the last job of a schedule has not ended."""
    record = storage.get(state.job) if state.job is not None else None
    return record is not None and not record.status.final
