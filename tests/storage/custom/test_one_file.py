"""The example of an engine of somebody's own passes the whole suite, and works for an application."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from flask_queues import Status
from flask_queues.storage import Storage
from flask_queues.storage.values import Query, Wanted
from flask_queues.testing.storage import Clock, Engine, FrozenClock, StorageContract
from flask_queues.testing.storage.machine import HOUR, HOURLY, LEASE, StorageMachine
from tests.support.site import Site

from . import one_file
from .one_file import OneFileStorage


class OneFileEngine(Engine):
    """A file in the test's folder."""

    name = "one-file"

    def open(self) -> Storage:
        """Open the file once more."""
        return OneFileStorage(self.place / "jobs.json")

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """Replace the clock that the engine reads."""
        clock = FrozenClock()
        with mock.patch.object(OneFileStorage, "clock", clock.now):
            yield clock

    def become_newer(self) -> None:
        """The file carries its format."""
        path = self.place / "jobs.json"
        path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))


@pytest.mark.timeout(900)  # each change is synced, and a model makes thousands
class TestOneFile(StorageContract):
    """Every promise of the contract."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        """An engine on an empty folder."""
        return OneFileEngine(tmp_path)


def test_the_model_knows_that_a_gate_may_open_in_the_very_step_that_looks(tmp_path: Path) -> None:
    """A rate lets its job go ahead of those that could be claimed behind another: then none of these is claimed."""
    machine = StorageMachine(OneFileEngine(tmp_path / "place"))
    end = {"status": Status.SCHEDULED, "outcome": None, "reason": None, "error": None, "result": None, "counted": False}
    machine.work_under_a_limit("w0", "q", HOURLY, end)
    machine.push_to_gather("q", "g", [2, 2], HOUR)
    machine.advance(1)
    machine.work_on("w0", end, Wanted(["q", "r"], ("t",), LEASE, limit=1, short=("t",), behind=True))
    machine.teardown()


def test_an_application_and_its_worker_use_it_by_name(make_site: Callable[..., Site]) -> None:
    """QUEUES_STORAGE is all that the application says; the module lies beside it."""
    site = make_site(QUEUES_LEASE=2)
    shutil.copytree(Path(one_file.__file__).parent, site.folder / "one_file")
    site.configure(QUEUES_LEASE=2, QUEUES_STORAGE="one_file:OneFileStorage", ONE_FILE=str(site.folder / "j.json"))
    pushed = site.run("push", "add", "--payload", '{"a": 1}')
    assert pushed.returncode == 0, pushed.stderr
    worker = site.start("--stop-when-empty")
    assert worker.wait() == 0, worker.text
    assert f"Jobs are in JSON file {site.folder / 'j.json'}" in worker.text

    jobs = OneFileStorage(site.folder / "j.json")
    assert [job.id for job in jobs.page(Query(statuses=[Status.COMPLETED])).jobs] == [pushed.stdout.strip()]
