"""What becomes of the jobs that a process held when it died, was stopped or vanished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from flask_queues import GatheredJob, Job, Queues, Status
from flask_queues.record import JobError, Outcome
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.storage.values import Claim, Wanted
from flask_queues.testing.storage import FrozenClock

KILLED = JobError("Killed", "by a test")


class Work(Job):
    type = "work"
    tries = 3

    def handle(self) -> None: ...


class Digest(GatheredJob):
    type = "digest"
    tries = 3

    def key(self, payload: dict[str, Any]) -> Any:
        return payload["key"]

    def handle(self, payloads: list[dict[str, Any]]) -> None: ...


@pytest.fixture
def clock() -> Iterator[FrozenClock]:
    clock = FrozenClock()
    with mock.patch.multiple(sqlite_engine, wall=clock.now, steady=clock.steady):
        yield clock


@pytest.fixture
def queues(tmp_path: Path, clock: FrozenClock) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(Work, Digest)
    return queues


def claim(queues: Queues, n: int, job_type: str) -> list[Claim]:
    """Claim so many jobs together."""
    claims = queues.manager.step("child", (), Wanted(["default"], [job_type], 60_000, n, [job_type])).claims
    assert len(claims) == n
    return claims


def ends(queues: Queues, claims: list[Claim]) -> list[tuple[Status, int, list[str]]]:
    """Of each: its status, the tries that it has lost, and how its runs ended."""
    found = [queues.find(one.id) for one in claims]
    return [(job.status, job.attempts, [str(run.outcome) for run in job.history]) for job in found]


def test_of_several_jobs_in_a_hand_the_one_that_ran_pays(queues: Queues) -> None:
    """The one before it had ended, and only shows that it ran; the one behind it had not begun."""
    queues.push_many([(Work, None)] * 3)
    claims = claim(queues, 3, "work")

    ran = queues.manager.rescuer.bury("child", Outcome.KILLED, KILLED, claims[1].token)

    assert [one.id for one in ran] == [claims[1].id]
    assert ends(queues, claims) == [
        (Status.PENDING, 0, ["killed"]), (Status.PENDING, 1, ["killed"]), (Status.PENDING, 0, []),
    ]  # fmt: skip


def test_all_payloads_of_a_run_that_died_pay(queues: Queues) -> None:
    """Those of another key, which had not begun, do not."""
    queues.push_many([(Digest, {"key": key}) for key in "aab"], delay=0)
    claims = sorted(claim(queues, 3, "digest"), key=lambda one: one.payload)

    queues.manager.rescuer.bury("child", Outcome.KILLED, KILLED, claims[0].token)

    assert ends(queues, claims) == [
        (Status.PENDING, 1, ["killed"]), (Status.PENDING, 1, ["killed"]), (Status.PENDING, 0, []),
    ]  # fmt: skip


def test_all_payloads_of_runs_in_threads_pay(queues: Queues) -> None:
    """A process of threads ran all that it held."""
    queues.push_many([(Digest, {"key": "a"})] * 2, delay=0)
    claims = claim(queues, 2, "digest")

    queues.manager.rescuer.bury("child", Outcome.KILLED, KILLED, None)

    assert ends(queues, claims) == [(Status.PENDING, 1, ["killed"])] * 2


def test_payloads_of_a_run_that_died_come_together_again(queues: Queues) -> None:
    """Unlike other jobs that may have killed their process: each of those is claimed alone from then on."""
    queues.push_many([(Digest, {"key": "a"})] * 2, delay=0)
    queues.manager.rescuer.bury("child", Outcome.KILLED, KILLED, claim(queues, 2, "digest")[0].token)

    claim(queues, 2, "digest")


def test_gathered_payloads_do_not_pay_for_another_job(queues: Queues) -> None:
    """They were claimed, and a job of another type ran."""
    queues.push(Work)
    queues.push_many([(Digest, {"key": "a"})] * 2, delay=0)
    (ran,) = claim(queues, 1, "work")
    claims = claim(queues, 2, "digest")

    queues.manager.rescuer.bury("child", Outcome.KILLED, KILLED, ran.token)

    assert ends(queues, [ran, *claims]) == [
        (Status.PENDING, 1, ["killed"]), (Status.PENDING, 0, []), (Status.PENDING, 0, []),
    ]  # fmt: skip


def test_a_machine_that_vanished_lets_none_of_several_pay(queues: Queues, clock: FrozenClock) -> None:
    """Nobody can tell which one ran; one that was alone pays."""
    queues.push_many([(Work, None)] * 3)
    several, alone = claim(queues, 2, "work"), claim(queues, 1, "work")
    clock.advance(60_001)

    rescued = queues.manager.rescuer.rescue()

    assert {one.id for one in rescued} == {one.id for one in [*several, *alone]}
    assert ends(queues, several) == [(Status.PENDING, 0, ["lost"])] * 2
    assert ends(queues, alone) == [(Status.PENDING, 1, ["lost"])]


def test_gathered_payloads_of_a_machine_that_vanished_show_a_run(queues: Queues, clock: FrozenClock) -> None:
    """They may have begun; one that was claimed by itself pays, several do not, as with any other job."""
    queues.push_many([(Digest, {"key": key}) for key in "aab"], delay=0)
    several, alone = claim(queues, 2, "digest"), claim(queues, 1, "digest")
    clock.advance(60_001)

    queues.manager.rescuer.rescue()

    assert ends(queues, several) == [(Status.PENDING, 0, ["lost"])] * 2
    assert ends(queues, alone) == [(Status.PENDING, 1, ["lost"])]


def test_what_a_stopped_process_held_goes_back_for_nothing(queues: Queues) -> None:
    """What it ran shows a run; what it had claimed ahead shows none."""
    queues.push_many([(Work, None)] * 3)
    alone, several = claim(queues, 1, "work"), claim(queues, 2, "work")

    given = queues.manager.rescuer.give_back("child")

    assert {one.id for one in given} == {one.id for one in [*alone, *several]}
    assert ends(queues, alone) == [(Status.PENDING, 0, ["given back"])]
    assert ends(queues, several) == [(Status.PENDING, 0, [])] * 2
