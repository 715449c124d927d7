"""The birth of a worker's processes, and what is asked of the system about them."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from .interrupts import HURRY

PR_SET_PDEATHSIG = 1
#: What asks a child to stop; held back until it has handlers of its own.
STOPS = {signal.SIGTERM, HURRY}
#: Exit code of a process whose own code raised.
BROKEN = 70


def process_name(pid: int, start: int, release: str = "") -> str:
    """`host:pid:start`, which no other process has or had, and behind another colon the release that it runs."""
    return f"{socket.gethostname()}:{pid}:{start}{release and f':{release}'}"


def share_memory() -> None:
    """Prepare for forks: the garbage collector's marks would make each child copy all that is loaded."""
    gc.collect()
    gc.freeze()


def fork(run: Callable[[], int], lifeline: int) -> int:
    """Fork a process that runs this and dies with its parent; returns its pid.

    `lifeline` is the reading end of a pipe whose writing end only the parent holds. The child is
    its own process group, so that what a job started can be killed with it, and runs in a fresh
    context, without the application context that Flask's command line has pushed. A stop waits until
    the process calls `hear_stop`, for it would be lost on the parent's handler.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with contextlib.suppress(OSError):  # on both sides, since nobody knows which comes first
            os.setpgid(pid, pid)
        return pid
    code = BROKEN
    try:
        os.setpgid(0, 0)
        die_with_parent(parent, lifeline)
        code = contextvars.Context().run(run)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def hear_stop() -> None:
    """Let a stop through, in a process that has its own handler now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def die_with_parent(parent: int, lifeline: int) -> None:
    """Have this process killed when its parent ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=wait_for_end, args=(lifeline,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(BROKEN)


def wait_for_end(lifeline: int) -> None:
    """End this process when the other end of the pipe is gone."""
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill a child and everything it has started, or what it left behind."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def memory_of(pid: int) -> float | None:
    """Megabytes (10^6 bytes) of memory that are this process's share (PSS); None where it is not told."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


def pages_of(pid: int | str) -> int:
    """How many pages of memory a process holds, shared ones too; 0 where it is not told.

    This costs a hundredth of what `memory_of` does, for which the system walks through all of them.
    """
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0


def own_memory() -> float:
    """Megabytes that this process holds, with all that it shares and may come to own; 0 where it is not told."""
    pages = pages_of("self")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else 0


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
