"""`example/run`, for real: it starts, works, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers.process import free_port

from .conftest import EXAMPLE

PROC = Path("/proc")
RUN = [sys.executable, str(EXAMPLE / "run")]
PATIENCE = 300 if "CI" in os.environ else 100

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * PATIENCE + 60)]


class Running:
    """The command, started, with all that it printed so far."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.output = data.with_name("output.txt")
        with self.output.open("wb") as file:
            command = [*RUN, "--data", str(data), "--port", str(free_port()), *options]
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """Wait until it has printed this."""
        found = until(lambda: re.search(pattern, self.text()) or self.process.poll() is not None, self.text)
        assert isinstance(found, re.Match), self.text()
        return found

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def until(condition: Callable[[], object], explain: Callable[[], str] = str) -> object:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)
    return found


def processes_of(data: Path) -> dict[int, str]:
    """All processes that were started for this data folder: their command by their id."""
    mark = f"PICTURES_DATA={data}".encode()
    found = {int(path.name): read(path / "cmdline") for path in PROC.glob("[0-9]*") if mark in read(path / "environ")}
    return {pid: command.decode() for pid, command in found.items() if command}


def read(path: Path) -> bytes:
    """What is in the file; nothing, once its process is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started = []

    def start(*options: str) -> Running:
        started.append(Running(tmp_path / "data", *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop(signal.SIGTERM)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_work_and_leaves_no_process(run, number):
    running = run()
    address = running.wait_for(r"http://127\.0\.0\.1:\d+").group()
    running.wait_for("completed .*pictures:look")
    assert b"Sign in" in urllib.request.urlopen(address).read()
    assert len(processes_of(running.data)) >= 4

    assert running.stop(number) == 0
    assert "Traceback" not in running.text()
    assert processes_of(running.data) == {}


def test_when_a_part_dies_the_rest_is_stopped(run):
    running = run()
    running.wait_for("worker .* completed")
    server = next(pid for pid, command in processes_of(running.data).items() if "waitress" in command)
    os.kill(server, signal.SIGKILL)

    assert running.process.wait(PATIENCE) == 1
    assert "The server ended with code -9; stopping the rest." in running.text()
    assert processes_of(running.data) == {}


def test_a_folder_of_ones_own_is_imported_too(run, tmp_path, photo):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "boat.jpg").write_bytes(photo)
    running = run("--folder", str(tmp_path / "mine"))
    running.wait_for(f"Pushed import 2 of {tmp_path}/mine")
    assert running.stop(signal.SIGTERM) == 0


def test_fresh_forgets_our_files_and_no_others(run, tmp_path):
    (tmp_path / "data" / "outbox").mkdir(parents=True)
    (tmp_path / "data" / "outbox" / "mail-00099.eml").touch()
    (tmp_path / "data" / "diary.txt").touch()
    running = run("--fresh")
    running.wait_for("Daylight")
    assert running.stop(signal.SIGTERM) == 0
    assert (tmp_path / "data" / "diary.txt").exists()
    assert not (tmp_path / "data" / "outbox" / "mail-00099.eml").exists()


def refused(*options: str) -> str:
    answer = subprocess.run([*RUN, *options], capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    return answer.stderr


def test_what_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    data = ("--data", str(tmp_path / "data"))
    assert "There is no folder" in refused(*data, "--folder", str(tmp_path / "nowhere"))
    assert "cannot be made: File exists" in refused("--data", str(tmp_path / "file"))
    assert "ports go from 1 to 65535" in refused(*data, "--port", "70000")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} cannot be used" in refused(*data, "--port", str(port))


def test_it_stops_when_nobody_reads_its_lines(tmp_path):
    """As in `example/run | head`."""
    command = [*RUN, "--data", str(tmp_path / "data"), "--port", str(free_port())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) == 1
    assert process.stderr
    with process.stderr as errors:
        assert errors.read() == ""
    assert processes_of(tmp_path / "data") == {}
