"""What a process has in use by the account of its own allocators, told whenever somebody asks.

Memory that a process holds goes up with the most that it ever needed at once, and so for a long while whenever a burst
is larger than all before it. What is in use goes down again: what only ever grows there is a leak.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from .ledger import FOLDER

ASK = getattr(signal, "SIGRTMIN", None)
OBJECTS = re.compile(rb"# bytes in allocated blocks *= *(?P<bytes>[0-9,]+)")


class Mallinfo(ctypes.Structure):
    """What `mallinfo2` of glibc returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "top",
        )
    ]


def answer_asked() -> None:
    """Answer from now on, in this process and those forked from it, each of which has to `tell` once before."""
    if ASK is not None:
        signal.signal(ASK, lambda *_: tell())
        tell()


def tell() -> None:
    """Write down what this process has in use, garbage and what Python keeps for the next object of a kind left out."""
    gc.collect()
    place = answer_of(Path(os.environ[FOLDER]), os.getpid())
    fresh = place.with_suffix(".new")
    with suppress(OSError):
        fresh.write_text(str(objects() + others()), "ascii")
        fresh.replace(place)


def objects() -> int:
    """Bytes in small objects, which Python only tells its standard error."""
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(before, 2)
            os.close(before)
        file.seek(0)
        found = OBJECTS.search(file.read())
    return int(found["bytes"].replace(b",", b"")) if found else 0


def others() -> int:
    """Bytes in everything larger, and of libraries in C."""
    tells = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tells is None:  # another library than glibc
        return 0
    tells.restype = Mallinfo
    told = tells()
    return int(told.uordblks + told.hblkhd)


def ask(folder: Path, pid: int) -> float | None:
    """The latest answer of a process in megabytes, which is asked for the next; None where it cannot be."""
    try:
        told = int(answer_of(folder, pid).read_text("ascii")) / 1e6
    except OSError:
        return None
    assert ASK is not None
    with suppress(ProcessLookupError):
        os.kill(pid, ASK)
    return told


def answer_of(folder: Path, pid: int) -> Path:
    """Where a process writes its answer."""
    return folder / f"used-{pid}"
