"""A worker inside the web process: jobs run in it, from its first request on, and go back when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from flask_queues import Queues, Status, current_job
from flask_queues.worker.inside import InsideWorker
from tests.support.site import eventually

SERVER = """
import sys, os, time
from flask import Flask
from flask_queues import Queues

app = Flask("shop", instance_path=sys.argv[1])
app.config["QUEUES_WORK_INSIDE"] = 2
queues = Queues(app)

@queues.job("shop:where")
def where() -> int:
    return os.getpid()

@queues.job("shop:long")
def long() -> None:
    print("runs", flush=True)
    time.sleep(600)

with app.app_context():
    ids = [where.push().id, long.push().id]
client = app.test_client()
client.get("/")
deadline = time.monotonic() + 60
with app.app_context():
    handle = queues.handle(ids[0])
    print(handle.result(timeout=60) == os.getpid(), flush=True)
    while str(queues.find(ids[1]).status) != "running" and time.monotonic() < deadline:
        time.sleep(0.01)
print(ids[1], flush=True)
"""


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_WORK_INSIDE"] = 1
    return Queues(app)


def test_jobs_run_in_the_process_that_answers_requests(tmp_path: Path) -> None:
    """Several at a time; one that does not end goes back when the process does, and loses no try."""
    told = subprocess.run(
        [sys.executable, "-c", SERVER, tmp_path],
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    words = told.stdout.split()
    assert "True" in words
    (job_id,) = [word for word in words if len(word) == 26]
    record = Queues(Flask("shop", instance_path=str(tmp_path))).find(job_id)
    assert (record.status, record.attempts) == (Status.PENDING, 0)


def test_nothing_runs_before_the_first_request(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at the terminal nor in a process that only pushes; then one worker, whatever is asked."""
    started: list[int] = []
    monkeypatch.setattr("flask_queues.worker.inside.start_inside", lambda _manager, threads: started.append(threads))
    app = queues.manager.app
    app.test_cli_runner().invoke(args=["queues", "status"])
    assert started == []
    for _ in range(3):
        app.test_client().get("/nothing")
    assert started == [1]


def test_jobs_of_a_cache_that_is_private_to_the_process(tmp_path: Path) -> None:
    """Nobody else could run them."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_CACHE_TYPE"] = "SimpleCache"
    queues = Queues(app)

    @queues.job("shop:count")
    def count() -> int:
        return current_job.attempt

    worker = InsideWorker(queues.manager, threads=1)
    worker.start()
    with app.app_context():
        handles = [count.push() for _ in range(5)]
        eventually(lambda: all(handle.status is Status.COMPLETED for handle in handles))
    assert worker.stop(grace=60)
