"""What the process of a run held of memory while it ran."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flask import Flask

from flask_queues import Attempt, GatheredJob, Queues
from flask_queues.testing.worker import forking
from flask_queues.worker import Report, Share, footprint, loop
from flask_queues.worker.bell import Bell
from flask_queues.worker.board import Board
from flask_queues.worker.interrupts import Interrupts

pytestmark = pytest.mark.skipif(not os.access(footprint.MARK, os.W_OK), reason="this system does not tell")
#: Bytes, and megabytes.
LARGE = 80_000_000


class Together(GatheredJob):
    type = "together"

    def handle(self, payloads: list[dict[str, int]]) -> None:
        grow()


def grow(size: int = LARGE) -> None:
    """Hold so much for a moment."""
    held = bytearray(size)
    held[:: os.sysconf("SC_PAGE_SIZE")] = bytes(len(range(0, size, os.sysconf("SC_PAGE_SIZE"))))


@pytest.fixture
def queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queues:
    """Queues of which every run is long enough to be measured."""
    monkeypatch.setattr(loop, "BRISK", 0.0)
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.job("large")(grow)
    queues.job("small")(lambda: None)
    queues.register(Together)
    return queues


def work(queues: Queues, jobs: int) -> list[Attempt]:
    """Run so many jobs in a process like a worker's; returns their runs, in the order of their types."""
    with forking():
        pid = os.fork()
    if not pid:
        code = 1
        try:
            work_here(queues, jobs)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    runs = [job.history[0] for job in sorted(queues.jobs_of().jobs, key=lambda job: job.type)]
    queues.manager.storage.close()
    return runs


def work_here(queues: Queues, jobs: int) -> None:
    """Run so many jobs, as a child does."""
    loop.Loop(
        queues.manager,
        "here:1:1",
        Share(queues=(), max_jobs=jobs),
        interrupts=Interrupts(lambda: False),
        slot=Board(1).slots[0],
        report=Report(json_lines=False, colour=False),
        bell=Bell(),
    ).work()


def test_a_run_is_told_its_own_memory(queues: Queues) -> None:
    """At its highest, though it holds nothing of it at its end; not what runs before it held."""
    for type_ in ("large", "small"):
        queues.push(type_)
    large, small = (run.memory for run in work(queues, 2))
    assert large is not None
    assert small is not None
    assert LARGE / 1e6 * 0.9 < large.more < large.most
    assert small.more < LARGE / 1e6 * 0.5
    assert small.most < large.most - LARGE / 1e6 * 0.5


def test_runs_that_are_short_are_not_measured(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """That would cost more than it tells."""
    monkeypatch.setattr(loop, "BRISK", 3_600.0)
    queues.push("large")
    assert [run.memory for run in work(queues, 1)] == [None]


def test_where_the_system_does_not_tell_nothing_is_kept(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job runs as always."""
    monkeypatch.setattr(footprint, "MARK", "/nowhere/clear_refs")
    queues.push("large")
    [run] = work(queues, 1)
    assert (run.memory, run.outcome) == (None, "completed")


def test_jobs_that_ran_together_each_tell_the_memory_of_their_run(queues: Queues) -> None:
    """It is one run."""
    queues.push_many([("together", {})] * 2, delay=0)
    first, second = (run.memory for run in work(queues, 1))
    assert first == second
    assert first is not None
    assert first.more > LARGE / 1e6 * 0.9
