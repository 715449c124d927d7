"""A child's loop in this process, on a storage that answers later, as one on another machine does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask

from flask_queues import GatheredJob, Queues, Status
from flask_queues.storage import SQLiteStorage
from flask_queues.storage.values import PendingStep, Settlement, Step, Wanted
from flask_queues.worker import Report, Share, hand
from flask_queues.worker.bell import Bell
from flask_queues.worker.board import Board
from flask_queues.worker.interrupts import Interrupts
from flask_queues.worker.loop import End, Loop
from flask_queues.worker.pace import AHEAD_CLAIMS, Pace


class Sent(NamedTuple):
    """An exchange that was sent ahead."""

    #: Jobs that had run by then, and by the time at which its answer was asked for.
    ran: int
    ran_before_answer: int
    limit: int


class Line:
    """Storage and jobs that keep a record of what happened when."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queues = Queues(Flask("line", instance_path=str(folder)))
        self.queues.job("noop")(self._run)
        self.ran = 0
        #: The signals of the child, which is asked to stop after so many jobs.
        self.interrupts = Interrupts(lambda: False)
        self.stop_after = 0
        self.sent: list[Sent] = []
        #: Exchanges that were waited for; and how many claims the storage knew of at the most.
        self.waited = 0
        self.held = 0
        #: Exchanges that were not answered yet, and how often claims were asked for meanwhile.
        self.on_their_way = 0
        self.meanwhile = 0
        step = SQLiteStorage.step

        def carry_out(
            storage: SQLiteStorage, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None
        ) -> Step:
            answer = step(storage, worker, settled, wanted)
            self.held = max(self.held, self.queues.counts().statuses["running"])
            return answer

        def waited_for(
            storage: SQLiteStorage, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None
        ) -> Step:
            self.waited += 1
            self.meanwhile += wanted is not None and self.on_their_way > 0
            return carry_out(storage, worker, settled, wanted)

        def sent(
            storage: SQLiteStorage, worker: str, settled: Sequence[Settlement], wanted: Wanted
        ) -> PendingStep | None:
            self.on_their_way += 1
            return Later(self, carry_out(storage, worker, settled, wanted), wanted.limit)

        ran = Pace.ran
        monkeypatch.setattr(Pace, "ran", lambda pace, type_, seconds: ran(pace, type_, 0.00005))
        monkeypatch.setattr(hand, "PATIENCE", 60)  # whatever else this machine has to do
        monkeypatch.setattr(SQLiteStorage, "step", waited_for)
        monkeypatch.setattr(SQLiteStorage, "begin_step", sent)

    def _run(self) -> None:
        self.ran += 1
        self.interrupts.stopping = self.interrupts.stopping or self.ran == self.stop_after

    def work(self, jobs: int) -> End:
        """Run so many jobs."""
        loop = self.loop(jobs)
        try:
            return loop.work()
        finally:
            loop._bell.close()

    def loop(self, jobs: int) -> Loop:
        """A child that is to run so many jobs."""
        bell = Bell()
        return Loop(
            self.queues.manager,
            "here:1:1",
            Share(queues=("default",), max_jobs=jobs),
            interrupts=self.interrupts,
            slot=Board(1).slots[0],
            report=Report(json_lines=False, colour=False),
            bell=bell,
        )


class Later(PendingStep):
    """An answer that is there when it is asked for."""

    def __init__(self, line: Line, step: Step, limit: int) -> None:
        self._line = line
        self._step = step
        self._limit = limit
        self._ran = line.ran

    def answer(self) -> Step:
        """Note when it was asked for."""
        self._line.on_their_way -= 1
        self._line.sent.append(Sent(self._ran, self._line.ran, self._limit))
        return self._step


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A line that is worked off here."""
    made = Line(tmp_path, monkeypatch)
    yield made
    made.queues.manager.storage.close()


def test_short_jobs_run_while_the_next_are_on_their_way(line: Line) -> None:
    """The next exchange is sent while half of what was claimed together still waits, and asked for after it."""
    line.queues.push_many([("noop", {})] * 500)
    assert line.work(500) is End.WORN
    assert line.ran == 500
    assert line.queues.counts().statuses[Status.COMPLETED.value] == 500
    assert line.waited < 5
    full = [one for one in line.sent if one.limit == AHEAD_CLAIMS // 2]
    assert len(full) > 10
    assert all(one.ran_before_answer - one.ran >= AHEAD_CLAIMS // 2 for one in full[1:-1])


def test_what_comes_together_is_claimed_when_nothing_is_on_its_way(line: Line) -> None:
    """A storage that has lost a connection gives claims again of which this child has not heard."""

    class Together(GatheredJob):
        type = "together"

        def handle(self, payloads: list[dict[str, Any]]) -> None: ...

    line.queues.register(Together)
    line.queues.push_many([("together", {})] * 2, delay=0)
    manager, loop = line.queues.manager, line.loop(2)
    wanted = Wanted(["default"], ["together"], 30_000, short=["together"])
    (first,) = manager.step("here:1:1", (), wanted).claims
    pending = manager.begin_step("here:1:1", (), wanted._replace(behind=True))
    assert pending is not None
    loop._hand.expect(lambda: pending.answer().claims)
    together = loop._begin(first)
    loop._bell.close()
    assert len(together.claims) == 2
    assert line.meanwhile == 0


def test_no_more_is_held_than_may_be_claimed_ahead(line: Line) -> None:
    """Whatever is on its way, a crash repeats no more than the jobs that one exchange may claim."""
    line.queues.push_many([("noop", {})] * 500)
    line.work(500)
    assert 1 < line.held <= AHEAD_CLAIMS


def test_what_is_on_its_way_at_the_end_is_given_back(line: Line) -> None:
    """A child that has run its number of jobs leaves the others as they were."""
    line.queues.push_many([("noop", {})] * 500)
    assert line.work(100) is End.WORN
    assert line.ran == 100
    statuses = line.queues.counts().statuses
    assert (statuses["completed"], statuses["pending"], statuses["running"]) == (100, 400, 0)


@pytest.mark.parametrize("jobs", [1, 2, 3, 40])
def test_no_exchange_on_its_way_asks_for_nothing(line: Line, jobs: int) -> None:
    """A storage need not know what a claim of no job is."""
    line.queues.push_many([("noop", {})] * 100)
    line.work(jobs)
    assert line.ran == jobs
    assert all(one.limit > 0 for one in line.sent)


def test_a_stop_begins_nothing_of_what_was_claimed_together(line: Line) -> None:
    """The job in hand was the last one; those that wait in the same hand go back."""
    line.queues.push_many([("noop", {})] * 500)
    line.stop_after = 100
    assert line.work(500) is End.STOPPED
    assert line.held > 1
    assert line.ran == 100
    statuses = line.queues.counts().statuses
    assert (statuses["completed"], statuses["pending"], statuses["running"]) == (100, 400, 0)
