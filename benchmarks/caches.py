"""What the storage in any cache reaches, beside SQLite: files, and Memcached where there is a server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Flask

from .measures import Settings
from .ours import FlaskQueues, noop, queues
from .rounds import Contender, Figure, Group, alternate
from .system import TEXT, drain_rate

#: Tells a worker's process which cache it is.
SETTINGS = "BENCHMARKS_CACHE"
#: Up to so many jobs this storage promises to work well.
PROMISED = 10_000
#: Jobs that are pushed or run in a round; a small part of what SQLite is measured with.
JOBS = 900


def create_app(settings: str | None = None) -> Flask:
    """Make an application whose jobs are in a cache; a worker finds which in its environment."""
    app = Flask("benchmarks")
    app.config.update(json.loads(settings or os.environ[SETTINGS]))
    queues.init_app(app)
    return app


class InCache(FlaskQueues):
    """Flask-Queues in a cache of this kind."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path, stored: int = 0) -> None:
        self.name = name
        self.folder = folder
        self._settings = json.dumps({"QUEUES_CACHE_DIR": str(folder / "cache"), **settings})
        self.app = create_app(self._settings)
        self.manager.push_many(((noop, {"text": TEXT}) for _ in range(stored)), delay=86_400)

    def worker(self) -> tuple[list[str], dict[str, str]]:
        """`flask queues work`, with all its defaults."""
        app = "benchmarks.caches:create_app"
        command = ["-m", "flask", "--app", app, "queues", "work", "--processes", "1"]
        return command, {SETTINGS: self._settings}

    @contextmanager
    def counter(self) -> Iterator[Callable[[], int]]:
        """Count what waits or runs now, as the panel does; what is stored for tomorrow does not."""
        yield self._waiting

    def _waiting(self) -> int:
        statuses = self.manager.counts().statuses
        return sum(statuses.get(name, 0) for name in ("pending", "running"))


def caches(settings: Settings) -> list[Group]:
    """How fast jobs are pushed and run, and what stored ones cost."""
    with memcached() as more:
        kinds = {"SQLite": {}, "files": {"QUEUES_CACHE_TYPE": "FileSystemCache"}, **more}

        def rate(name: str, stored: int, act: Callable[[InCache], float]) -> float:
            with settings.fresh() as folder:
                prefix = {} if name == "SQLite" else {"QUEUES_CACHE_KEY_PREFIX": folder.name}
                system = InCache(name, {**kinds[name], **prefix}, folder, stored)
                try:
                    return act(system)
                finally:
                    system.close()

        groups = []
        for word, act in (("push", pushed), ("drain", drained)):
            contenders: list[Contender] = []
            for name in kinds:
                for stored in (0, PROMISED - JOBS - 100):
                    label = f"{name}, {stored:,} others stored" if stored else name
                    figure = Figure(label, "jobs/s", against=None if label == "SQLite" else "SQLite")
                    contenders.append((figure, partial(rate, name, stored, act)))
            figures = alternate(contenders, settings.rounds, settings.say)
            how = f"{JOBS} jobs, " + ("one by one" if word == "push" else "one worker process with its defaults")
            groups.append(Group(f"caches-{word}", how, figures).compare())
    return groups


def pushed(system: InCache) -> float:
    """Jobs a second, pushed one by one."""
    system.push()
    began = time.perf_counter()
    for _ in range(JOBS):
        system.push()
    return JOBS / (time.perf_counter() - began)


def drained(system: InCache) -> float:
    """Jobs a second of a worker that finds them waiting."""
    system.fill(JOBS)
    return drain_rate(system, JOBS)


@contextmanager
def memcached() -> Iterator[dict[str, dict[str, Any]]]:
    """Run a Memcached; gives nothing where there is none, or no client for it."""
    program = shutil.which("memcached")
    if program is None or find_spec("pylibmc") is None:
        yield {}
        return
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-m", "256", *user])
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until and not answers(port):
            time.sleep(0.05)
        servers = {"QUEUES_CACHE_TYPE": "MemcachedCache", "QUEUES_CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{port}"]}
        yield {"Memcached": servers}
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


MEASURES: dict[str, Callable[[Settings], list[Group]]] = {"caches": caches}
