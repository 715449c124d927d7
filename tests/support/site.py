"""A sample application in a folder of its own, and the real processes that work for it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psutil
from flask import Flask

from flask_queues import ConfigError, JobRecord, Queues, Status
from flask_queues.manager import Manager
from flask_queues.record import WorkerRecord

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).with_name("sample.py")
#: How long anything may take that is bound to happen; nothing in a test waits for it to pass.
PATIENCE = 60.0


def eventually(probe: Callable[[], T | None], timeout: float = PATIENCE, what: str = "") -> T:
    """Return the first true answer; fail if there is none within so many seconds."""
    until = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"{what or 'It'} did not happen within {timeout:g} s; last answer: {answer!r}")
        time.sleep(0.01)


class Run(NamedTuple):
    """A line that a job wrote."""

    job: str
    attempt: int
    pid: int
    word: str


class Worker:
    """A worker as its user starts it, in a session of its own."""

    def __init__(self, site: Site, arguments: tuple[str, ...], *, piped: bool = False) -> None:
        self.output = site.folder / f"worker-{time.monotonic_ns()}.txt"
        self.errors = self.output.with_suffix(".err")
        with self.output.open("wb") as output, self.errors.open("wb") as errors:
            self.pipe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=output) if piped else None
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "sample", "queues", "work", *arguments],
                cwd=site.folder,
                env=site.environment,
                stdin=subprocess.DEVNULL,
                stdout=self.pipe.stdin if self.pipe else output,
                stderr=errors,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def text(self) -> str:
        """What it wrote so far, to standard output and to standard error."""
        return self.output.read_text("utf-8", "replace") + self.errors.read_text("utf-8", "replace")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it wrote to standard output with --json."""
        return [json.loads(line) for line in self.output.read_text("utf-8").splitlines()]

    def ready(self) -> Worker:
        """Wait until it works."""
        eventually(lambda: "Working on" in self.text or self.process.poll() is not None, what="The worker's start")
        assert "Working on" in self.text, self.text  # and it may have come to its end already, as it was asked to
        return self

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(timeout)

    def stop(self, number: int = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Ask it to end and wait for that; returns the exit code."""
        self.process.send_signal(number)
        return self.wait(timeout)

    def session(self) -> list[int]:
        """All processes of its session, those of its jobs too."""
        found = []
        for pid in psutil.pids():
            with suppress(ProcessLookupError, PermissionError, psutil.Error):
                if os.getsid(pid) == self.pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    found.append(pid)
        return found

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the session, the supervisor first."""
        for pid in sorted(self.session(), key=lambda pid: pid != self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_all(self) -> None:
        """Kill everything in the session, whatever is started meanwhile, and reap it."""
        while left := self.session():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        self.process.wait(PATIENCE)
        if self.pipe is not None and self.pipe.stdin is not None:
            self.pipe.stdin.close()
            self.pipe.wait(PATIENCE)


class Site:
    """The sample application in a folder, seen from a process beside the worker."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLASK_")},
            "PYTHONPATH": str(ROOT),
        }
        shutil.copy(SAMPLE, folder / "sample.py")
        self.configure(**settings)
        self.flask = self._load()
        self.manager: Manager = self.flask.extensions["queues"]
        self.processes: list[Worker] = []

    def configure(self, **settings: Any) -> None:
        """Write the settings that processes started from now on will read."""
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def _load(self) -> Flask:
        spec = importlib.util.spec_from_file_location(f"sample_{time.monotonic_ns()}", self.folder / "sample.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.queues: Queues = module.queues
        app: Flask = module.app
        return app

    @property
    def database(self) -> Path:
        """The file that holds the jobs."""
        return self.folder / "instance" / "queues.sqlite3"

    def push(self, type_string: str, payload: dict[str, Any] | None = None, **options: Any) -> str:
        """Push a job; returns its id."""
        return self.manager.push(type_string, payload, **options).id

    def job(self, job_id: str) -> JobRecord:
        """The job as it is now."""
        return self.manager.find(job_id)

    def status(self, job_id: str) -> Status:
        """Where the job stands."""
        return self.job(job_id).status

    def ended(self, job_id: str, timeout: float = PATIENCE) -> JobRecord:
        """Wait for the job's end."""
        eventually(lambda: self.status(job_id).final, timeout, f"The end of {job_id}")
        return self.job(job_id)

    def messages(self, job_id: str) -> list[str]:
        """What the job has logged."""
        return [line.message for line in self.manager.logs(job_id)]

    def runs(self, job_id: str | None = None) -> list[Run]:
        """What jobs wrote, or one job."""
        file = self.folder / "runs.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        runs = [Run(job, int(attempt), int(pid), word) for job, attempt, pid, word in (line.split() for line in lines)]
        return [run for run in runs if job_id in (None, run.job)]

    def words(self, job_id: str) -> list[str]:
        """What one job wrote, without the particulars."""
        return [run.word for run in self.runs(job_id)]

    def known(self, worker: Worker) -> WorkerRecord:
        """Wait until the storage knows of a worker, whose processes may begin jobs before that; returns its record."""
        return eventually(
            lambda: next((one for one in self.manager.workers() if one.pid == worker.pid), None), what="A sign of life"
        )

    def began(self, job_id: str, word: str = "began") -> Run:
        """Wait until the job has written a word; returns the line."""
        return eventually(lambda: next((run for run in self.runs(job_id) if run.word == word), None), what=word)

    def open(self, name: str = "open") -> None:
        """Make the file that waiting jobs wait for."""
        (self.folder / name).touch()

    def work(self, *arguments: str, piped: bool = False) -> Worker:
        """Start a worker and wait until it works."""
        return self.start(*arguments, piped=piped).ready()

    def start(self, *arguments: str, piped: bool = False) -> Worker:
        """Start a worker; `piped`, it writes to no file itself."""
        worker = Worker(self, arguments, piped=piped)
        self.processes.append(worker)
        return worker

    def run(self, *arguments: str, text: str | None = None, app: str = "sample") -> subprocess.CompletedProcess[str]:
        """Run `flask queues` with these arguments to its end."""
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", app, "queues", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=2 * PATIENCE,
            start_new_session=True,
        )

    def close(self) -> None:
        """End every process that was started for this site."""
        for worker in self.processes:
            worker.kill_all()
        with suppress(ConfigError):  # one that cannot be made need not be closed
            self.manager.storage.close()


def sites(folder: Path) -> Iterator[Callable[..., Site]]:
    """Make sites in this folder, and close them."""
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        path = folder / f"site-{len(made)}"
        path.mkdir()
        made.append(Site(path, **settings))
        return made[-1]

    yield make
    for site in made:
        site.close()
