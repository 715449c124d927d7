"""What an engine keeps of a worker, and how that is read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..damaged import why
from ..errors import DamagedRecord
from ..record import ChildRecord, WorkerRecord, to_datetime, to_milliseconds


def about_worker(worker: WorkerRecord) -> dict[str, Any]:
    """What seldom changes of a worker, for JSON."""
    return {
        "host": worker.host,
        "pid": worker.pid,
        "started": to_milliseconds(worker.started),
        "queues": list(worker.queues),
        "version": worker.version,
        "types": list(worker.types),
        "release": worker.release,
        "quiet": worker.quiet,
        "stopping": worker.stopping,
        "completed": worker.completed,
        "keys": list(worker.keys),
    }


def about_children(worker: WorkerRecord) -> list[list[Any]]:
    """Name, pid and memory of each of its children, for JSON."""
    return [[child.name, child.pid, child.memory] for child in worker.children]


def whole_about(worker: WorkerRecord) -> dict[str, Any]:
    """Both, where they are kept in one text."""
    return {**about_worker(worker), "children": about_children(worker)}


def worker_record(
    name: str,
    heartbeat: Any,
    about: Mapping[str, Any],
    children: Iterable[Sequence[Any]],
    jobs_of: Callable[[str], Iterable[str]],
) -> WorkerRecord:
    """Read a worker, as far as it can be read; `jobs_of` tells the ids of the jobs that a child holds."""
    return whole_worker(lambda: record_in(name, heartbeat, about, children, jobs_of), name, heartbeat)


def read_worker(name: str, heartbeat: Any, about: Any, jobs: Mapping[str, Sequence[str]]) -> WorkerRecord:
    """Read a worker that is kept as one text, with the ids of the jobs that each child holds."""

    def read() -> WorkerRecord:
        said = json.loads(about)
        return record_in(name, heartbeat, said, said["children"], lambda child: jobs.get(child, ()))

    return whole_worker(read, name, heartbeat)


def whole_worker(read: Callable[[], WorkerRecord], name: str, heartbeat: Any) -> WorkerRecord:
    """Read a worker; where that cannot be, one that says so, until its next sign of life writes it anew."""
    try:
        return read()
    except Exception as error:
        return WorkerRecord(
            name=name,
            host=name.partition(":")[0],
            pid=0,
            started=to_datetime(0),
            heartbeat=moment(heartbeat),
            queues=(),
            damage=f"What is stored of this worker cannot be read. {why(error)}"[:500],
        )


def record_in(
    name: str,
    heartbeat: Any,
    about: Mapping[str, Any],
    children: Iterable[Sequence[Any]],
    jobs_of: Callable[[str], Iterable[str]],
) -> WorkerRecord:
    """Read a worker; raises whatever is wrong with it."""
    return WorkerRecord(
        name=name,
        host=about["host"],
        pid=int(about["pid"]),
        started=to_datetime(about["started"]),
        heartbeat=to_datetime(heartbeat),
        queues=tuple(map(text, about["queues"])),
        version=about["version"],
        types=tuple(map(text, about["types"])),
        release=about.get("release", ""),
        quiet=about.get("quiet", False),
        stopping=about.get("stopping", False),
        completed=int(about.get("completed", 0)),
        keys=tuple(map(text, about.get("keys", ()))),
        children=tuple(
            ChildRecord(name=child, pid=pid, memory=memory, jobs=tuple(jobs_of(child)))
            for child, pid, memory in children
        ),
    )


def text(value: Any) -> str:
    """A name in a list; raises `DamagedRecord` where it is none."""
    if not isinstance(value, str):
        raise DamagedRecord(f"{value!r} is no name.")
    return value


def moment(value: Any) -> datetime:
    """The moment that is meant; long ago where it is none."""
    try:
        return to_datetime(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return to_datetime(0)
