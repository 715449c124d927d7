"""The processes that `example/run` starts: their lines, their end. Standard library only."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child:
    """A process in a group of its own, so that Ctrl-C reaches it only through us."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, surroundings: Mapping[str, str]) -> None:
        self.name = name
        self._process = subprocess.Popen(  # noqa: S603 - the commands are our own
            command,
            cwd=folder,
            env={**os.environ, **surroundings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def read_into(self, lines: "queue.SimpleQueue[str]") -> None:
        """Hand on every line it prints, with its name before it."""
        thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
        thread.start()

    def _read(self, lines: "queue.SimpleQueue[str]") -> None:
        for line in self._process.stdout or ():
            lines.put(f"{self.name:>6} | {line.rstrip()}")

    def ask_to_stop(self) -> None:
        if self.code is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it with all that it started and that is still in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class Children:
    """The processes that belong together: when one ends, all shall."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._all: list[Child] = []

    def start(self, name: str, command: Sequence[str], folder: Path, surroundings: Mapping[str, str]) -> Child:
        child = Child(name, command, folder, surroundings)
        self._all.append(child)
        child.read_into(self.lines)
        return child

    def ended(self) -> Child | None:
        """One that has ended by itself."""
        return next((child for child in self._all if child.code is not None), None)

    def forget(self, child: Child) -> None:
        """Do not mind the end of this one any more."""
        self._all.remove(child)

    def print_lines(self, patience: float = 0.2) -> None:
        """Print what they said, waiting a moment for the first line."""
        with contextlib.suppress(queue.Empty):
            print(self.lines.get(timeout=patience), flush=True)
            while True:
                print(self.lines.get_nowait(), flush=True)

    def stop(self, grace: float) -> None:
        """Ask all to stop, print their last words, and end what does not go within the grace."""
        for child in self._all:
            child.ask_to_stop()
        deadline = time.monotonic() + grace
        while any(child.code is None for child in self._all) and time.monotonic() < deadline:
            self.print_lines()
        for child in self._all:
            child.kill()
        self.print_lines()
