"""Jobs that take more than one run: `iterate` and `step`, in real workers that are stopped and killed."""

from __future__ import annotations

import os
import signal

from flask_queues import Status
from tests.support.site import Site, eventually


def items(site: Site, job: str) -> list[int]:
    return [int(run.word.partition(":")[2]) for run in site.runs(job) if run.word.startswith("item:")]


def test_a_stop_interrupts_a_loop_between_two_items(site: Site) -> None:
    """Another worker goes on behind the last one: nothing is left out, nothing repeated, no try is lost."""
    job = site.push("loop", {"items": 30})
    worker = site.work()
    site.began(job, "item:9")
    worker.process.send_signal(signal.SIGTERM)
    eventually(lambda: "Stopping" in worker.text)
    site.open()
    assert worker.wait() == 0
    assert not site.status(job).final
    assert items(site, job) == list(range(10))
    site.work()
    record = site.ended(job)
    assert items(site, job) == list(range(30))
    assert (record.status, record.attempts, record.result) == (Status.COMPLETED, 1, 7)
    assert site.words(job).count("step") == 1
    assert record.progress is not None
    assert (record.progress.percent, record.progress.message) == (100, "30 of 30")


def test_a_killed_loop_goes_on_at_the_last_kept_cursor(make_site, place) -> None:
    """On each kind of storage: a kill repeats the last second at most, and no step."""
    site = make_site(**place)
    job = site.push("loop", {"items": 15, "seconds": 0.3})
    site.work()
    pid = site.began(job, "item:9").pid
    os.kill(pid, signal.SIGKILL)
    site.open()
    record = site.ended(job)
    assert record.status is Status.COMPLETED
    seen = items(site, job)
    assert sorted(set(seen)) == list(range(15))
    assert 0 < len(seen) - 15 <= 5
    assert site.words(job).count("step") == 1
