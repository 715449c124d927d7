"""A server program that tests start on a free port of this machine, and that ends with whoever started it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any

#: Becomes the program given, and dies with the process whose id is given, however that ends. (Where the
#: system is not Linux, a test run that is killed leaves its servers behind.)
BECOME = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
#: Below the ports that systems hand out by themselves: a server may be started again on its own port.
PORTS = range(12_000, 32_000)
PATIENCE = 60.0


class ServerError(Exception):
    """A server for the tests does not do what it should."""


def program(name: str) -> str | None:
    """The path of a program: where its variable says, as in REDIS_SERVER, or on PATH."""
    return os.environ.get(name.upper().replace("-", "_")) or shutil.which(name)


def free_port() -> int:
    """A port on which nobody listens; by no seed, as another process of this run may have the same."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server(ABC):
    """One server process; a context manager, stopped at its end."""

    #: What is started; its variable may say where it is.
    program: str

    def __init__(self, folder: Path) -> None:
        #: What it writes, and what it keeps.
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __str__(self) -> str:
        return f"{self.program} on 127.0.0.1:{self.port}"

    def __getstate__(self) -> dict[str, Any]:
        """In another process it may be asked, not ended."""
        return {**self.__dict__, "process": None}

    @abstractmethod
    def arguments(self) -> list[str]:
        """Its command line, after the name."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves."""

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log.txt"

    @property
    def pid(self) -> int:
        """Its process."""
        if self.process is None:
            raise ServerError(f"{self} has not been started.")
        return self.process.pid

    def start(self) -> None:
        """Start it and wait until it serves; at the first start on another port if this one is taken meanwhile."""
        for _ in range(5):
            self._launch()
            if self._serves():
                return
            self.take_other_ports()
        raise ServerError(f"{self} does not start: {self.log.read_text('utf-8', 'replace')[-2000:]}")

    def take_other_ports(self) -> None:
        """Listen elsewhere from the next start on."""
        self.port = free_port()

    def _launch(self) -> None:
        path = program(self.program)
        if path is None:
            raise ServerError(f"{self.program} is not on PATH: tests/run installs it, --without-servers does without.")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BECOME, str(os.getpid()), path, *self.arguments()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _serves(self) -> bool:
        assert self.process is not None
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            if self.answers():
                return True
            if time.monotonic() > until:
                raise ServerError(f"{self} does not answer: {self.log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.01)
        return False

    def kill(self) -> None:
        """Kill it at whatever it is, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it in the way that it is meant to end, and wait for that."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)  # a paused one would not hear
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        """Start it again on the same port and with what it has kept; `kill` or `stop` comes first."""
        self.stop()
        self._launch()
        if not self._serves():
            raise ServerError(f"{self} does not start again: {self.log.read_text('utf-8', 'replace')[-2000:]}")

    def pause(self) -> None:
        """Let it hang: it keeps its connections and answers nobody."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
