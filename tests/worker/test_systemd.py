"""What systemd is told of a worker, on a socket as it makes one."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flask_queues.worker.systemd import Systemd
from tests.support.site import PATIENCE, Site, Worker, eventually


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._ear.settimeout(PATIENCE)
        self.heard: list[str] = []

    def hear(self) -> str:
        """Wait for the next datagram."""
        self.heard += self._ear.recv(4096).decode().split("\n")
        return self.heard[-1]

    def hear_until(self, word: str) -> None:
        """Wait until a line was said, from now on."""
        begin = len(self.heard)
        while word not in self.heard[begin:]:
            self.hear()

    def forget_waiting(self) -> None:
        """Drop what has come and was not heard yet."""
        self._ear.setblocking(False)
        try:
            while True:
                self._ear.recv(4096)
        except BlockingIOError:
            self._ear.settimeout(PATIENCE)

    def nothing_for(self, seconds: float) -> bool:
        """Whether nothing is said for so long."""
        self._ear.settimeout(seconds)
        try:
            self.hear()
        except TimeoutError:
            return True
        finally:
            self._ear.settimeout(PATIENCE)
        return False

    def close(self) -> None:
        self._ear.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path: Path) -> Iterator[Manager]:
    """A socket with a name in the file system, and one without."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("Only Linux has such sockets.")
    address = str(tmp_path / "notify") if request.param == "path" else f"@flask-queues-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.close()


def work(site: Site, manager: Manager, watchdog: float | None = None) -> Worker:
    """Start a worker as systemd does."""
    site.environment["NOTIFY_SOCKET"] = manager.address
    if watchdog is not None:
        site.environment["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
    return site.start()


def test_systemd_hears_of_a_workers_life(site: Site, manager: Manager) -> None:
    """It is ready once the storage knows it, says how it does, and says that it stops."""
    worker = work(site, manager)
    manager.hear_until("READY=1")
    assert [one.pid for one in site.manager.workers()] == [worker.pid]
    if "STATUS=0 of 1 processes have a job in hand." not in manager.heard:
        manager.hear_until("STATUS=0 of 1 processes have a job in hand.")
    job = site.push("gate")
    manager.hear_until("STATUS=1 of 1 processes have a job in hand.")
    site.open()
    site.ended(job)
    worker.process.send_signal(signal.SIGTERM)
    manager.hear_until("STOPPING=1")
    assert worker.wait() == 0
    assert manager.heard.count("READY=1") == 1
    assert "WATCHDOG=1" not in manager.heard


def test_the_watchdog_hears_of_a_worker_while_its_keeper_lives(site: Site, tmp_path: Path) -> None:
    """And nothing any more once that hangs; systemd would kill it all and start it anew."""
    manager = Manager(str(tmp_path / "notify"))
    worker = work(site, manager, watchdog=0.4)
    manager.hear_until("WATCHDOG=1")
    manager.hear_until("WATCHDOG=1")
    (worker_record,) = eventually(lambda: [one for one in site.manager.workers() if one.children])
    known = {child.pid for child in worker_record.children}
    (keeper,) = (one.pid for one in psutil.Process(worker.pid).children() if one.pid not in known)
    os.kill(keeper, signal.SIGSTOP)
    eventually(lambda: psutil.Process(keeper).status() == psutil.STATUS_STOPPED)
    manager.forget_waiting()
    late = 0  # what was noticed before it hung may still be said
    while not manager.nothing_for(1.2):
        late += 1
        assert late <= 2, manager.heard
    os.kill(keeper, signal.SIGCONT)
    manager.hear_until("WATCHDOG=1")
    manager.close()


def test_what_a_job_starts_does_not_speak_for_the_worker() -> None:
    """The variables are gone from the environment; a watchdog of another process is not ours."""
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "10", "WATCHDOG_PID": "1", "HOME": "/root"}
    systemd = Systemd.of_environment(environment)
    assert environment == {"HOME": "/root"}
    assert systemd._interval is None


def test_a_service_manager_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    """Nor is one that never was."""
    for address in (str(tmp_path / "none"), None):
        systemd = Systemd(address, 0.001)
        systemd.works(1, ready=True, status="well")
        systemd.stops("stopping")
