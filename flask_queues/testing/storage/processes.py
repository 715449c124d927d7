"""Real processes for the tests of the storage; each is ended by what started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Processes that begin with nothing of this one but what is imported: no connection crosses.
FRESH: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
FRESH.set_forkserver_preload([f"{__package__}.contract"])
#: Seconds that anything here may take before it has failed.
DEADLINE = 60


def eventually(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Return the condition's first true value; fail if it has none within the deadline."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.002)
    return value


def together(function: Callable[..., Any], *arguments: tuple[Any, ...]) -> list[Any]:
    """Call the function in one process for each tuple of arguments, all at the same moment.

    Returns what they returned, in order; raises what one of them raised.
    """
    barrier = FRESH.Barrier(len(arguments))
    pipes = [FRESH.Pipe(duplex=False) for _ in arguments]
    processes = [
        FRESH.Process(target=_call, args=(barrier, sender, function, one), daemon=True)
        for (_, sender), one in zip(pipes, arguments, strict=True)
    ]
    try:
        for process in processes:
            process.start()
        for _, sender in pipes:
            sender.close()
        return [_receive(receiver) for receiver, _ in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()
        for receiver, _ in pipes:
            receiver.close()


def _call(barrier: Any, sender: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        barrier.wait(DEADLINE)
        sender.send((function(*arguments), None))
    except BaseException:
        sender.send((None, traceback.format_exc()))


def _receive(receiver: Any) -> Any:
    assert receiver.poll(DEADLINE), f"a process did not answer within {DEADLINE} s"
    value, failure = receiver.recv()
    assert failure is None, f"in another process:\n{failure}"
    return value


@contextmanager
def running(function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Run the function in a process; yields the end of a pipe whose other end is its first argument."""
    ours, theirs = FRESH.Pipe()
    process = FRESH.Process(target=function, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Running(process, ours)
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


class Running:
    """A process that was started, and the pipe to it."""

    def __init__(self, process: Any, pipe: Any) -> None:
        self.pid: int = process.pid
        self._process = process
        self._pipe = pipe

    def hear(self) -> Any:
        """What it sends next."""
        assert self._pipe.poll(DEADLINE), f"the process said nothing for {DEADLINE} s"
        return self._pipe.recv()

    def hear_all(self) -> list[Any]:
        """Everything it has sent before it died."""
        heard = []
        try:
            while self._pipe.poll(DEADLINE):
                heard.append(self._pipe.recv())
        except (EOFError, ConnectionResetError):
            pass
        return heard

    def tell(self, word: Any) -> None:
        """Send it something."""
        self._pipe.send(word)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.join(DEADLINE)

    def end(self) -> None:
        """Wait until it has ended well."""
        self._process.join(DEADLINE)
        assert self._process.exitcode == 0


def python(code: str, *arguments: object, user: int | None = None) -> str:
    """Run Python code in a fresh process and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        user=user,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
