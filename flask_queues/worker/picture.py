"""What a process does now: the stacks of its threads, written by itself whatever it hangs in."""

from __future__ import annotations

import os
import signal
import tempfile
import time

#: Seconds that a process gets to write them: one that is stopped, or waits for a disk, does not.
PATIENCE = 0.3
#: Seconds between two looks; it has written all when there is nothing new.
LOOK = 0.02


def new_file() -> int:
    """Open a file without a name, to be inherited; returns its descriptor."""
    if hasattr(os, "memfd_create"):  # needs no folder: a container may have none that can be written
        return os.memfd_create("flask-queues")
    file, path = tempfile.mkstemp(prefix="flask-queues-")
    os.unlink(path)  # noqa: PTH108 - the path is a text
    return file


def stacks_of(pid: int, file: int) -> str:
    """Ask a child for its stacks, and read them; empty where it does not answer.

    The file is one that it has inherited: both have the same place in it.
    """
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    try:
        os.kill(pid, signal.SIGQUIT)
    except ProcessLookupError:
        return ""
    until, before = time.monotonic() + PATIENCE, 0
    while time.monotonic() < until:
        time.sleep(LOOK)
        size = os.fstat(file).st_size
        if size and size == before:
            break
        before = size
    return os.pread(file, before, 0).decode("utf-8", "replace")
