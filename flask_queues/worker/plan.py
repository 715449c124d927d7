"""What a worker is to do, and how it describes itself."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib import metadata

from ..manager import Manager
from ..record import ChildRecord, WorkerRecord
from ..storage.sealed import names_of
from .process import process_name

DISTRIBUTION = "flask-queues-panel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a child is to do."""

    #: In order; empty means all.
    queues: tuple[str, ...]
    #: Jobs after which the child ends.
    max_jobs: int
    #: Jobs that it runs at a time.
    threads: int = 1
    stop_when_empty: bool = False
    #: Whether the worker ends with this child.
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a worker is to work."""

    processes: int
    share: Share
    #: Seconds after which the whole worker ends; None: it does not.
    max_time: float | None = None


def version_here() -> str:
    """The version of Flask-Queues that is installed here."""
    return metadata.version(DISTRIBUTION)


def worker_of(manager: Manager, queues: tuple[str, ...], version: str) -> WorkerRecord:
    """Describe the worker of an application whose supervisor runs here."""
    return this_worker(queues, manager.jobs.served, version, manager.release, manager.config.encryption_keys)


def without_children(worker: WorkerRecord) -> WorkerRecord:
    """The same for one that runs jobs in this very process, its only child."""
    name = f"{worker.name}{worker.release and f':{worker.release}'}"
    return replace(worker, name=name, children=(ChildRecord(name=name, pid=worker.pid),))


def this_worker(
    queues: tuple[str, ...], types: Iterable[str], version: str, release: str = "", keys: Sequence[str] = ()
) -> WorkerRecord:
    """Describe the worker whose supervisor runs here; of the keys that it has only their names are told."""
    now = datetime.now(timezone.utc)
    pid = os.getpid()
    return WorkerRecord(
        name=process_name(pid, int(time.time())),
        host=socket.gethostname(),
        pid=pid,
        started=now,
        heartbeat=now,
        queues=queues,
        types=tuple(types),
        version=version,
        release=release,
        keys=names_of(keys),
    )
