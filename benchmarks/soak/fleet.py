"""The workers, what pushes, and the server: started, killed, and started again."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..memory import children
from ..redis.server import SETTINGS, free_port, program, wait_for_answer
from ..system import ROOT
from .ledger import BORN, lines

#: Seconds that a worker gets to finish.
PATIENCE = 60.0
#: The last words of a worker that finds no server when it starts; one that runs has the time before them.
AWAY = r"Error: Redis at .* cannot be reached: "
#: What is done to the workers, and how often of a hundred times.
BLOWS = {"child killed": 50, "keeper killed": 15, "worker killed": 20, "worker restarted": 15}


class Redis:
    """A server that keeps its files and its port over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._always = False
        self._process = self._start()

    def restart(self, pause: float) -> str:
        """End it as its `appendfsync` promises to bear, wait, and start it with the other one; says what was done."""
        word = "killed, appendfsync always" if self._always else "ended, appendfsync everysec"
        self._process.kill() if self._always else self._process.terminate()
        self._process.wait()
        self._always = not self._always
        time.sleep(pause)
        self._process = self._start()
        return f"server {word}"

    def stop(self) -> None:
        """End it in order."""
        self._process.terminate()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        given = {
            **SETTINGS,
            "dir": str(self.folder),
            "bind": "127.0.0.1",
            "port": str(self.port),
            "appendfsync": "always" if self._always else "everysec",
            "auto-aof-rewrite-percentage": "100",
            "auto-aof-rewrite-min-size": "16mb",
        }
        arguments = [word for name, value in given.items() for word in (f"--{name}", value)]
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen([program(), *arguments], stdout=log, stderr=subprocess.STDOUT)
        wait_for_answer(self.port, self.folder, process)
        return process


class Fleet:
    """The workers and what pushes. The first is spared, so that somebody grows old, and is alone at first."""

    def __init__(self, folder: Path, surroundings: Mapping[str, str], workers: int, chance: random.Random) -> None:
        self._folder = folder
        self._surroundings = {**os.environ, **surroundings}
        self._chance = chance
        self._roles: dict[int, str] = {}
        self.blows: Counter[str] = Counter()
        self.workers = [self._start_worker(0)]
        self.pusher: subprocess.Popen[bytes] | None = None
        self._size = workers

    def complete(self) -> None:
        """Start the others, and what pushes."""
        self.workers += [self._start_worker(n) for n in range(1, self._size)]
        self.pusher = self._start("pusher", "-m", "benchmarks.soak.work")

    def _start_worker(self, n: int) -> subprocess.Popen[bytes]:
        endless = () if n else ("--max-jobs", "1000000000")
        app = "benchmarks.soak.work:create_app"
        return self._start(f"worker-{n}", "-m", "flask", "--app", app, "queues", "work", "--processes", "1", *endless)

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self._surroundings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def processes(self) -> dict[int, str]:
        """Every process by its pid: what it is, `old` before it where it belongs to the one that is spared."""
        self._roles.update((int(pid), role) for pid, role in (line.split() for line in lines(self._folder, BORN)))
        found = {self.pusher.pid: "pusher"} if self.pusher is not None else {}
        for n, worker in enumerate(self.workers):
            age = "" if n else "old "
            found[worker.pid] = f"{age}supervisor"
            with suppress(OSError):  # it ends
                found |= {pid: f"{age}{self._roles.get(pid, 'newborn')}" for pid in children(worker.pid)}
        return found

    def strike(self) -> str:
        """Do something bad to one of the workers that are not spared; says what."""
        n = self._chance.randrange(1, len(self.workers))
        (blow,) = self._chance.choices(list(BLOWS), list(BLOWS.values()))
        worker = self.workers[n]
        if blow == "worker restarted":
            self._restart(n)
        elif blow == "worker killed":
            worker.kill()
            worker.wait()
            self.workers[n] = self._start_worker(n)
        else:
            self._kill(worker.pid, blow.split()[0])
        self.blows[blow] += 1
        return blow

    def _kill(self, supervisor: int, role: str) -> None:
        known = self.processes()
        victims = [pid for pid in children(supervisor) if known.get(pid) == role]
        for pid in victims[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _restart(self, n: int) -> None:
        self.workers[n].terminate()
        self._end(self.workers[n])
        self.workers[n] = self._start_worker(n)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait(PATIENCE)
        if code not in (0, -signal.SIGTERM):  # the latter where it had not begun
            self.blows[f"ended with code {code}"] += 1

    def fallen(self) -> list[str]:
        """The processes that ended by themselves, which none may, with their codes and last words."""
        named = {f"worker-{n}": worker for n, worker in enumerate(self.workers)}
        if self.pusher is not None:
            named["pusher"] = self.pusher
        return [
            f"{name} ended with code {process.poll()}: {self._last_words(name)}"
            for name, process in named.items()
            if process.poll() and not self._started_again(name)
        ]

    def _started_again(self, name: str) -> bool:
        """Do as a service manager does: who finds no server at its start says so and ends, and is started again."""
        if not name.startswith("worker-") or not re.match(AWAY, self._last_words(name)):
            return False
        n = int(name.removeprefix("worker-"))
        if self.workers[n].poll() != 1:
            return False
        self.workers[n] = self._start_worker(n)
        self.blows["worker started again, having found no server"] += 1
        return True

    def _last_words(self, name: str) -> str:
        said = (self._folder / f"{name}.log").read_text("utf-8", "replace").splitlines()
        return said[-1] if said else ""

    def stop_pushing(self) -> None:
        """Let what pushes finish its second."""
        assert self.pusher is not None
        self.pusher.terminate()
        self._end(self.pusher)

    def stop(self) -> None:
        """End all in order, and by force what does not."""
        for worker in self.workers:
            worker.terminate()
        for process in (*self.workers, *([self.pusher] if self.pusher is not None else [])):
            try:
                self._end(process)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.blows["did not stop"] += 1

    def refused(self) -> int:
        """How many pushes were not acknowledged."""
        said = (self._folder / "pusher.log").read_text("utf-8", "replace").split()
        return int(said[-1]) if said and said[-1].isdigit() else 0
