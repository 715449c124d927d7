"""What a worker tells of itself: what it has completed, and that it stops."""

from __future__ import annotations

import os
import signal

from flask_queues import Status
from flask_queues.record import WorkerRecord
from flask_queues.worker.board import Board
from tests.support.site import Site, eventually


def told(site: Site) -> WorkerRecord:
    """What the only worker told last; its children may be faster than its first word."""
    (worker,) = eventually(site.manager.workers, what="The worker")
    return worker


def test_a_worker_counts_what_its_processes_have_completed(site: Site) -> None:
    """Those that came to their end too, and not what has failed."""
    worker = site.work("--processes", "2", "--max-jobs", "3")
    done = [site.push("noop") for _ in range(10)]
    failed = site.push("doomed", tries=1)
    assert {site.ended(one).status for one in done} == {Status.COMPLETED}
    assert site.ended(failed).status is Status.FAILED
    eventually(lambda: told(site).completed == 10, what="The count")
    assert worker.stop() == 0


def test_a_worker_that_stops_says_so_while_a_job_is_in_hand(site: Site) -> None:
    """It serves no queue any more."""
    worker = site.work()
    running = site.push("gate")
    site.began(running)
    assert (told(site).stopping, told(site).serves("default")) == (False, True)
    os.kill(worker.pid, signal.SIGTERM)
    eventually(lambda: told(site).stopping, what="Its word")
    assert not told(site).serves("default")
    site.open()
    assert site.ended(running).status is Status.COMPLETED


def test_a_new_child_in_a_slot_goes_on_counting() -> None:
    """What was completed there before it stays; everything else begins anew."""
    board = Board(2)
    slot = board.slots[1]
    slot.completed += 3
    slot.begin(7, 60)
    slot.clear()
    slot.completed += 1
    assert (board.completed, slot.token, slot.late()) == (4, 0, -1.0)
