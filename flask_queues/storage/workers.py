"""What an engine keeps of a worker, and how that is read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

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
    }


def about_children(worker: WorkerRecord) -> list[list[Any]]:
    """Name, pid and memory of each of its children, for JSON."""
    return [[child.name, child.pid, child.memory] for child in worker.children]


def whole_about(worker: WorkerRecord) -> dict[str, Any]:
    """Both, where they are kept in one text."""
    return {**about_worker(worker), "children": about_children(worker)}


def worker_record(
    name: str,
    heartbeat: int,
    about: dict[str, Any],
    children: Iterable[list[Any]],
    jobs_of: Callable[[str], Iterable[str]],
) -> WorkerRecord:
    """Read a worker; `jobs_of` tells the ids of the jobs that a child holds."""
    return WorkerRecord(
        name=name,
        host=about["host"],
        pid=about["pid"],
        started=to_datetime(about["started"]),
        heartbeat=to_datetime(heartbeat),
        queues=tuple(about["queues"]),
        version=about["version"],
        types=tuple(about["types"]),
        release=about.get("release", ""),
        quiet=about.get("quiet", False),
        children=tuple(
            ChildRecord(name=child, pid=pid, memory=memory, jobs=tuple(jobs_of(child)))
            for child, pid, memory in children
        ),
    )


def read_worker(name: str, heartbeat: int, about: str, jobs: Mapping[str, Sequence[str]]) -> WorkerRecord:
    """Read a worker that is kept as one text, with the ids of the jobs that each child holds."""
    said = json.loads(about)
    return worker_record(name, heartbeat, said, said["children"], lambda child: jobs.get(child, ()))
