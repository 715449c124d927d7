"""A push with `profile=True`: where the time of each run went is in the job's log."""

from __future__ import annotations

import cProfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_queues import OptionError, Queues
from flask_queues.manager import Manager
from flask_queues.worker.profiling import BUSY
from tests.support.runs import run_next


def grind_slowly(fail: bool) -> None:
    """What the table is to name."""
    if fail:
        raise ValueError("the job's own")


def grind(fail: bool = False) -> None:
    grind_slowly(fail)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    queues = Queues(Flask("site", instance_path=str(tmp_path)))
    queues.job("t:grind", tries=2, backoff=0)(grind)
    yield queues.manager
    queues.manager.storage.close()


def said(manager: Manager, job_id: str) -> list[str]:
    return [line.message for line in manager.logs(job_id)]


def test_a_profiled_run_tells_where_its_time_went(manager: Manager) -> None:
    """In one line of its log, which names the job's functions and none of the worker's around it."""
    job = manager.push("t:grind", profile=True)
    run_next(manager)
    (message,) = said(manager, job.id)
    assert "function calls" in message
    assert "(grind_slowly)" in message
    assert "attempt.py" not in message


def test_each_run_is_profiled_however_it_ends(manager: Manager) -> None:
    """A failed one too, and the next after it."""
    job = manager.push("t:grind", {"fail": True}, profile=True)
    run_next(manager)
    run_next(manager)
    assert [line.run for line in manager.logs(job.id) if "(grind_slowly)" in line.message] == [1, 2]
    assert job.status == "failed"


def test_nothing_else_is_profiled(manager: Manager) -> None:
    """Not by itself, and not where a push says no."""
    jobs = [manager.push("t:grind"), manager.push("t:grind", profile=False)]
    run_next(manager)
    run_next(manager)
    assert [said(manager, job.id) for job in jobs] == [[], []]


def test_a_job_pushed_again_is_profiled_again(manager: Manager) -> None:
    """Like one of the other options that are kept with it."""
    job = manager.push("t:grind", profile=True)
    run_next(manager)
    again = manager.push_again(job.id)
    run_next(manager)
    assert job.record.profile is True
    assert "(grind_slowly)" in said(manager, again.id)[0]


def test_where_another_profiler_runs_the_job_runs_without(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in its log. Python refuses the second one from 3.12 on."""

    def refuse(_profile: cProfile.Profile) -> None:
        raise ValueError("Another profiling tool is already active")

    monkeypatch.setattr(cProfile.Profile, "enable", refuse, raising=False)
    job = manager.push("t:grind", profile=True)
    run_next(manager)
    assert job.status == "completed"
    assert said(manager, job.id) == [BUSY]


def test_a_profile_is_asked_for_with_true(manager: Manager) -> None:
    """Anything else is refused at the push."""
    with pytest.raises(OptionError, match="profile: 'yes' is not True or False"):
        manager.push("t:grind", profile="yes")
