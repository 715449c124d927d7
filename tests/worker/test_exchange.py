"""What a child makes of claims that it did not ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask

from flask_queues import GatheredJob, Queues, Status
from flask_queues.storage.values import Claim, Settlement, Step, Wanted
from flask_queues.worker.board import Board
from flask_queues.worker.exchange import Exchange
from flask_queues.worker.gathering import like
from flask_queues.worker.plan import Share
from flask_queues.worker.report import Report
from tests.support.runs import NoLimits


class Bill(GatheredJob):
    type = "bill"
    concurrency: ClassVar[int] = 1

    def handle(self, payloads: list[dict[str, Any]]) -> None: ...


def test_what_came_along_with_a_run_that_never_was_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no place under its limits: as where an answer was lost, and the next step tells of its claims."""
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))
    queues.register(Bill)
    manager = queues.manager
    handles = [queues.push(Bill, {"n": n}, delay=0) for n in range(3)]
    first, *_ = manager.step("w", (), Wanted(["default"], ["bill"], 60_000)).claims
    strays = manager.step("w", (), like(first, 10, 60_000)).claims
    assert [stray.along for stray in strays] == [True, True]
    step = manager.step

    def tell(worker: str, settled: list[Settlement], wanted: Wanted | None = None) -> Step:
        told: list[Claim] = [first, *strays] if wanted is not None else []
        return step(worker, settled)._replace(claims=told)

    monkeypatch.setattr(manager, "step", tell)
    report, slot = Report(json_lines=False, colour=False), Board(1).slots[0]
    exchange = Exchange(manager, "w", Share(queues=(), max_jobs=10), report, NoLimits(), slot)
    assert exchange.step((), exchange.wanted(1, set())) == [first]
    assert exchange.look_again
    assert [handle.status for handle in handles] == [Status.RUNNING, Status.PENDING, Status.PENDING]
    assert [handle.record.history for handle in handles[1:]] == [(), ()]
