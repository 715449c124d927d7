"""A real worker in a test: in threads or in processes, gone when the test is over."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_queues import Outcome, Status, current_job
from flask_queues.manager import Manager
from flask_queues.testing import Fake
from flask_queues.testing.worker import ProcessWorker, ThreadWorker, Worker, working, working_outside
from tests.support.site import eventually
from tests.testing.shop import Shop

#: So late that only a wake-up can be why a job runs.
NEVER = 3600


def manager_of(shop: Shop) -> Manager:
    """The application's manager."""
    manager: Manager = shop.app.extensions["queues"]
    return manager


@contextmanager
def in_threads(shop: Shop, threads: int = 1) -> Iterator[tuple[Fake, Worker]]:
    """A worker in threads on a fake whose clock runs, as the fixture has it."""
    with shop.queues.fake(shop.app) as fake:
        fake.clock.run()
        with working(ThreadWorker(manager_of(shop), threads=threads)) as worker:
            yield fake, worker


def test_a_worker_in_threads_runs_what_is_pushed(shop: Shop) -> None:
    """In this process, through the worker's own loop; what is pushed by a job too."""
    before = set(threading.enumerate())
    with in_threads(shop) as (fake, worker):
        handle = shop.queues.push("shop:context")
        shop.queues.push("shop:order", {"customer": "ada"})
        worker.wait()
        assert handle.result() == [False, os.getpid()]
        [mail] = fake.pushed("shop:mail")
        assert mail.status is Status.COMPLETED
        assert [line.message for line in shop.queues.logs(mail.id)] == ["mail to ada"]
        eventually(lambda: len(shop.queues.workers()) == 1)
    assert not [one for one in threading.enumerate() if one not in before and one.name.startswith("flask-queues")]


def test_the_clock_wakes_the_worker(shop: Shop) -> None:
    """A delayed job runs as soon as the test says that its time has come."""
    with in_threads(shop) as (fake, worker):
        handle = shop.queues.push("shop:mail", {"to": "ada"}, delay=NEVER)
        worker.wait()
        assert handle.record.status is Status.SCHEDULED
        fake.clock.move(NEVER)
        worker.wait()
        assert handle.result() == "ADA"


def test_schedules_fire_in_a_worker_of_a_test(shop: Shop) -> None:
    """Its keeper looks after them, by the clock that the test moves."""
    shop.queues.schedule("0 0 * * *", "shop:mail", {"to": "daily"}, name="daily")
    with in_threads(shop) as (fake, worker):
        eventually(lambda: shop.queues.scheduler.find("daily").stored)
        fake.clock.move(timedelta(days=1))
        eventually(lambda: shop.done == ["daily"])
        worker.wait()


def test_several_jobs_run_at_once(shop: Shop) -> None:
    """With threads, as `--threads` has it."""
    both = threading.Barrier(2)

    @shop.queues.job("shop:together")
    def together() -> int:
        return both.wait(60)

    with in_threads(shop, threads=2) as (_, worker):
        handles = [together.push(), together.push()]
        worker.wait()
        assert {handle.result() for handle in handles} == {0, 1}


def test_wait_tells_what_is_left(shop: Shop) -> None:
    """A job that does not end within the patience of the test is counted in the message, and given back at the end."""
    go, begun = threading.Event(), threading.Event()

    @shop.queues.job("shop:stuck")
    def stuck() -> None:
        begun.set()
        go.wait(120)

    manager_of(shop).config = replace(manager_of(shop).config, grace=0.1)
    with in_threads(shop) as (_, worker):
        handle = stuck.push()
        assert begun.wait(60)
        with pytest.raises(AssertionError, match=r"not done everything within 0.05 s\. There are 1 running"):
            worker.wait(timeout=0.05)
        worker.stop()
        assert [run.outcome for run in handle.record.history] == [Outcome.GIVEN_BACK]
        go.set()


def test_processes_know_the_application_as_it_is(shop: Shop, tmp_path: Path) -> None:
    """Also what a test has defined a line before; results come back through a file of this test's."""

    @shop.queues.job("shop:closure")
    def closure() -> list[object]:
        return [str(tmp_path), os.getpid(), current_job.attempt]

    before = set(psutil.Process().children(recursive=True))
    with working_outside(manager_of(shop), tmp_path, processes=2) as worker:
        handles = [closure.push() for _ in range(5)]
        worker.wait()
        results = [handle.result() for handle in handles]
    assert {result[0] for result in results} == {str(tmp_path)}
    assert os.getpid() not in {result[1] for result in results}
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_kill_is_survived_in_a_test(shop: Shop, tmp_path: Path) -> None:
    """What a worker of processes is for: the next one runs the job again."""

    @shop.queues.job("shop:dies")
    def dies() -> int:
        if current_job.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return current_job.attempt

    with working_outside(manager_of(shop), tmp_path) as worker:
        handle = dies.push()
        worker.wait()
        assert handle.result() == 2
        assert handle.record.history[0].outcome is Outcome.KILLED


def test_a_worker_that_has_ended_is_told(shop: Shop, tmp_path: Path) -> None:
    """With what it wrote, instead of a test that waits for nothing."""
    before = set(psutil.Process().children())
    with working_outside(manager_of(shop), tmp_path) as worker:
        assert isinstance(worker, ProcessWorker)
        [supervisor] = set(psutil.Process().children()) - before
        supervisor.send_signal(signal.SIGKILL)
        eventually(lambda: supervisor.status() == psutil.STATUS_ZOMBIE)
        shop.queues.push("shop:mail", {"to": "ada"})
        with pytest.raises(AssertionError, match="The worker has ended with -9"):
            worker.wait()


def test_a_worker_of_processes_makes_its_own_connections(shop: Shop, tmp_path: Path) -> None:
    """Those that the test has open are the test's: two processes on one connection would mix up their answers."""
    db = SQLAlchemy()
    shop.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/shop.db"
    db.init_app(shop.app)

    @shop.queues.job("shop:count")
    def count() -> list[int]:
        rows = db.session.execute(text("SELECT count(*) FROM orders")).scalar_one()
        return [rows, id(db.engine.pool)]

    with shop.app.app_context():
        db.session.execute(text("CREATE TABLE orders (id INTEGER)"))
        db.session.execute(text("INSERT INTO orders VALUES (1)"))
        db.session.commit()
        pool = id(db.engine.pool)
        with working_outside(manager_of(shop), tmp_path) as worker:
            handle = count.push()
            worker.wait()
            rows, other = handle.result()
        db.session.remove()
        assert rows == 1
        assert other != pool
        assert id(db.engine.pool) == pool
        db.engine.dispose()


def test_a_worker_does_not_outlive_its_test_s_process(shop: Shop, tmp_path: Path) -> None:
    """Whoever kills a run of tests leaves no worker behind."""
    pid = os.fork()
    if not pid:
        try:
            with working_outside(manager_of(shop), tmp_path):
                (tmp_path / "ready").write_text(str([one.pid for one in psutil.Process().children(recursive=True)]))
                signal.pause()
        finally:
            os._exit(1)
    eventually(lambda: (tmp_path / "ready").exists() and (tmp_path / "ready").read_text())
    pids = [int(one) for one in (tmp_path / "ready").read_text().strip("[]").split(",")]
    assert len(pids) == 3
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    eventually(lambda: not any(psutil.pid_exists(one) and psutil.Process(one).status() != "zombie" for one in pids))
