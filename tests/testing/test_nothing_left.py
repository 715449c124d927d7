"""Fifty applications one after another, as a factory makes them for fifty tests, leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import atexit, gc, json, logging, os, sys, tempfile, threading, weakref
from pathlib import Path

from flask import Flask

from flask_queues import Queues, current_job
from flask_queues.storage.cache import log
from flask_queues.storage.sqlite import database
from flask_queues.testing.worker import ThreadWorker, working, working_outside

folder = Path(sys.argv[1])
queues = Queues()


@queues.job("shop:one")
def one(n: int) -> int:
    logging.getLogger("shop").warning("one")
    current_job.progress(50)
    return n


queues.schedule("* * * * *", one, {"n": 0}, name="each minute")


def use(n):
    app = Flask("shop", instance_path=str(folder))
    queues.init_app(app)
    with queues.fake(app) as fake:
        one.push(n=1)
        fake.clock.move(60)
        assert len(fake.drain()) == 2
    with queues.fake(app, eager=True, twice="cut") as fake:
        one.push(n=2)
    with queues.fake(app) as fake:
        fake.clock.run()
        with working(ThreadWorker(app.extensions["queues"])) as worker:
            handle = one.push(n=3)
            worker.wait()
            assert handle.result() == 3
    with app.app_context():
        one.push(n=4)
    if n % 10 == 0:
        with tempfile.TemporaryDirectory() as place, working_outside(app.extensions["queues"], Path(place)) as worker:
            one.push(n=5)
            worker.wait()
    return weakref.ref(app)


def state():
    gc.collect()
    return {
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
        "atexit": atexit._ncallbacks(),
        "handlers": len(logging.getLogger().handlers),
        "databases": len(database._databases),
        "logs": len(log._logs),
        "files": sorted(str(path) for path in [*folder.iterdir(), *Path(tempfile.gettempdir()).iterdir()]),
        "modules": len(sys.modules),
    }


use(0)
before = state()
apps = [use(n) for n in range(50)]
after = state()
print(json.dumps([before, after, sum(app() is not None for app in apps)]), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc tells what a process holds")
def test_fifty_applications_leave_nothing_behind(tmp_path: Path) -> None:
    """No thread, descriptor, file, process, handler, exit function or application is left of them."""
    (tmp_path / "temp").mkdir()
    (tmp_path / "instance").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "instance"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temp")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after, apps = json.loads(done.stderr.splitlines()[-1])
    assert after == before
    assert apps == 0
