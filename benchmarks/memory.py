"""The memory of a process and its children."""

from __future__ import annotations

from pathlib import Path

from flask_queues.worker.process import memory_of


def shares(pid: int) -> dict[str, float]:
    """Megabytes (PSS) of the process, of each of its children in the order of their birth, and in sum."""
    pids = [pid, *children(pid)]
    values = [memory_of(one) or 0.0 for one in pids]
    names = ["parent", *(f"child {n}" for n in range(1, len(pids)))]
    return {**dict(zip(names, values, strict=True)), "sum": sum(values)}


def held(pid: int) -> float | None:
    """Megabytes of memory that the process has written, pages that a fork shares in full; None where nobody tells.

    PSS counts a shared page for its part, and so grows whenever somebody writes to one, though nobody needs more than
    before: what leaks shows here.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith("Anonymous:")]
    return int(found[0]) * 1024 / 1e6 if found else None


def children(pid: int) -> list[int]:
    """The children of a process; empty where the system does not tell."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text("ascii").split()] if path.exists() else []
