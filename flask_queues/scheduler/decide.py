"""What becomes of the occurrences that are due: decided from a schedule's state and the time, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from ..record import to_datetime, to_milliseconds
from ..storage.values import NewJob, Occurrence
from .definition import Definition
from .state import State

#: An occurrence decided later than this has been missed: nobody was there to fire it.
GRACE = 60_000
#: Occurrences decided in one step; the history keeps no more.
SLICE = 100
FIRED = "fired"
CAUGHT_UP = "caught up"
BY_HAND = "run by hand"
STILL_RUNNING = "left out: still running"
PAUSED = "left out: paused"
MISSED = "left out: missed"


@dataclass(slots=True)
class Decision:
    """What one step is to change: the state after it, the jobs to push, and lines for the history."""

    state: State
    jobs: list[NewJob] = field(default_factory=list)
    lines: list[Occurrence] = field(default_factory=list)
    #: Whether a missed occurrence waits for the job of the one before to end.
    waiting: bool = False
    #: Whether a job runs that the next one must not overlap.
    busy: bool = False

    def fire(self, due: int, outcome: str) -> None:
        """Push the job of an occurrence."""
        job = self.state.definition.job(due)
        left = self.state.left
        self.jobs.append(job)
        self.lines.append(Occurrence(due, 0, outcome, job.id))
        self.state = replace(self.state, job=job.id, last=(due, outcome), left=None if left is None else left - 1)
        self.busy = not self.state.definition.overlap

    def leave_out(self, due: int, outcome: str) -> None:
        """Push nothing for an occurrence, and say why."""
        self.lines.append(Occurrence(due, 0, outcome))
        self.state = replace(self.state, last=(due, outcome))

    def make_up(self, missed: list[int]) -> int | None:
        """Fire what was missed; returns the first that must wait until a job has ended."""
        for due in missed:
            if self.state.left == 0:
                break
            if self.busy:
                return due
            self.fire(due, CAUGHT_UP)
        return None

    def go_on(self, on_time: list[int]) -> None:
        """Fire what is due now, or leave it out where a job still runs."""
        for due in on_time:
            if self.state.left == 0:
                break
            if self.busy:
                self.leave_out(due, STILL_RUNNING)
            else:
                self.fire(due, FIRED)

    def up_to(self, moment: int) -> Decision:
        """Everything up to this moment is decided."""
        self.state = replace(self.state, cursor=moment)
        return self


def next_due(state: State) -> int | None:
    """The first occurrence that is not decided; None where there will be none."""
    if state.left == 0:
        return None
    return next(occurrences(state.definition, state.cursor), None)


def decide(state: State, now: int, running: Callable[[], bool]) -> Decision | None:
    """Decide what is due by now; None where nothing is.

    `running` tells whether the schedule's last job has not ended; it is asked only where that matters.
    Occurrences are decided in their order. Those of the last minute are fired as they are. Of earlier
    ones, nobody was there for them, as many are made up for as the schedule says, the latest; where it
    says one, only if none of the last minute runs anyway. Where jobs must not overlap, an
    occurrence is left out while the last job runs; one that is made up for waits.
    """
    due = next_due(state)
    if due is None or due > now:
        return None
    definition, decision = state.definition, Decision(state)
    if state.paused is not None:
        for one in latest(definition, state.cursor, now, SLICE):
            decision.leave_out(one, PAUSED)
        return decision.up_to(now)
    in_time = max(state.cursor, now - GRACE)
    on_time = list(occurrences(definition, in_time, now))
    lost, made_up, more = missed(definition, state.cursor, in_time, on_time=bool(on_time))
    for one in lost:
        decision.leave_out(one, MISSED)
    decision.busy = not definition.overlap and bool(made_up or on_time) and running()
    waits = decision.make_up(made_up)
    if waits is not None:
        decision.waiting = True
        return decision.up_to(waits - 1)
    if more:
        return decision.up_to(made_up[-1])
    decision.go_on(on_time)
    return decision.up_to(now)


def missed(definition: Definition, after: int, until: int, *, on_time: bool) -> tuple[list[int], list[int], bool]:
    """Part what was missed into what is given up and what is made up for; and whether there is more of the latter."""
    wanted = definition.catch_up
    if wanted is None:
        some = list(islice(occurrences(definition, after, until), SLICE + 1))
        return [], some[:SLICE], len(some) > SLICE
    if wanted == 1 and on_time:
        wanted = 0
    made_up = latest(definition, after, until, wanted)
    lost = latest(definition, after, made_up[0] - 1 if made_up else until, SLICE)
    return lost, made_up[:SLICE], len(made_up) > SLICE


def occurrences(definition: Definition, after: int, until: int | None = None) -> Iterator[int]:
    """The points in time after one, up to and with another, within the schedule's own limits."""
    after = max(after, definition.starts - 1) if definition.starts is not None else after
    limits = [limit for limit in (until, definition.ends) if limit is not None]
    timing = definition.timing
    moment = timing.next(to_datetime(after))
    while moment is not None:
        due = to_milliseconds(moment)
        if limits and due > min(limits):
            return
        yield due
        moment = timing.next(moment)


def latest(definition: Definition, after: int, until: int, limit: int) -> list[int]:
    """The last of them, however many there are, in their order."""
    low = max(after, definition.starts - 1) if definition.starts is not None else after
    high = min(until, definition.ends) if definition.ends is not None else until
    found: list[int] = []
    moment = definition.timing.previous(to_datetime(high + 1)) if limit else None
    while moment is not None and (due := to_milliseconds(moment)) > low:
        found.append(due)
        moment = definition.timing.previous(moment) if len(found) < limit else None
    return found[::-1]
