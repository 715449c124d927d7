"""The disk that jobs are kept on: of what kind it is, and what may become of the jobs there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .base import Finding, Severity

#: Bytes of free disk below which it is time to act.
FREE = 100_000_000
MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def of_disk(folder: Path) -> list[Finding]:
    """Look at the disk that holds the folder."""
    found = [on_memory(folder), on_container(folder), on_full_disk(folder)]
    return [finding for finding in found if finding is not None]


def on_memory(folder: Path) -> Finding | None:
    """A disk that is none."""
    kind = file_system_of(folder)
    if kind not in MEMORY_FILE_SYSTEMS:
        return None
    return Finding(
        Severity.LOSES,
        "disk-memory",
        f"{folder} is in memory ({kind}): every job in it is gone when the machine or the container restarts.",
        "Set QUEUES_CACHE_DIR to a folder on a disk.",
    )


def on_container(folder: Path) -> Finding | None:
    """A disk that goes with its container."""
    if file_system_of(folder) != "overlay":
        return None
    return Finding(
        Severity.LOSES,
        "disk-container",
        f"{folder} is in the container itself, not on a volume: every job in it is gone with the container.",
        "Mount a volume and set QUEUES_CACHE_DIR to a folder on it.",
    )


def on_full_disk(folder: Path) -> Finding | None:
    """A disk with hardly any room left."""
    free = shutil.disk_usage(folder).free
    if free >= FREE:
        return None
    return Finding(
        Severity.LOSES,
        "disk-full",
        f"Only {free / 1e6:.0f} MB are free on the disk of {folder}. Once it is full, every push is refused.",
        "Free some space, or set QUEUES_CACHE_DIR to a folder on a larger disk.",
    )


def file_system_of(folder: Path) -> str | None:
    """Tell the type of the file system that holds the folder, None where the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        fields = line.split(" ")
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return None
