"""Each job again, after its end or after a cut in its middle: what is not safe to repeat shows it.

A worker may die, or be stopped, when a job is done and that is not stored yet, or at any line before. Both are played
as the worker's own way of giving back a job in hand, which costs no try.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import linecache
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

from .. import transitions
from ..errors import FakeError
from ..record import Outcome
from ..registry import JobType
from ..storage.values import Claim, Settlement
from ..worker.interrupts import Interrupt, StopNow

#: Code of others, in which no job is cut, wherever it is installed.
INSTALLED = ("site-packages", "dist-packages")
OURS = str(Path(__file__).resolve().parents[1]) + os.sep

#: Instructions before which nothing is raised: a `with` that is about to be left would not be, and the test's own
#: process would go on with a lock that nobody lets go. For the same reason no `finally` is cut.
SPARED = frozenset({"NOP", "SETUP_FINALLY", "POP_BLOCK", "PUSH_EXC_INFO", "WITH_EXCEPT_START", "SWAP", "ROT_TWO"})

Trace = Callable[[FrameType, str, Any], Any]


class Undisturbed:
    """What an attempt sees of the interrupts: nothing ends it. A time limit would take the timer of the test's own."""

    def __init__(self) -> None:
        self.thrown: type[Interrupt] | None = None
        #: Where the job was cut.
        self.place: str | None = None
        self.stopping = False

    def forget(self) -> None:
        """There is nothing to forget."""

    @contextmanager
    def armed(self, _seconds: float) -> Iterator[None]:
        """Let the job's code run."""
        yield


class Cutter(Undisturbed):
    """Ends a run before a line of the application's code, as a worker does whose time is over."""

    def __init__(self, line: int, root: str, handle: CodeType | None) -> None:
        super().__init__()
        self._left = line
        self._root = root.rstrip(os.sep) + os.sep
        self._handle = handle.co_filename if handle is not None else None

    @contextmanager
    def armed(self, _seconds: float) -> Iterator[None]:
        """Count the lines while the job's code runs; only the run itself is cut, not what follows it."""
        if self._left <= 0:
            yield
            return
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            self._left = 0

    def _enter(self, frame: FrameType, event: str, _argument: Any) -> Trace | None:
        return self._count if event == "call" and self._is_application(frame.f_code.co_filename) else None

    def _count(self, frame: FrameType, event: str, _argument: Any) -> Trace:
        if event == "line" and self._left > 1:
            self._left -= 1
        elif event == "line" and self._left == 1 and not is_spared(frame):
            self._left = 0
            self.thrown = StopNow
            self.place = place_of(frame)
            raise StopNow
        return self._count

    def _is_application(self, file: str) -> bool:
        if file == self._handle:
            return True
        return file.startswith(self._root) and not file.startswith(OURS) and not any(one in file for one in INSTALLED)


class Repeat:
    """Decides which run is repeated, and how; says so on standard output, which pytest shows with a test that fails."""

    def __init__(self, how: Literal["again", "cut"], seed: int | None, root: str) -> None:
        if how not in ("again", "cut"):
            raise FakeError(f'twice={how!r}: it is True (or "again") or "cut".')
        self.seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
        self._cuts = how == "cut"
        self._root = root
        self._random = random.Random(self.seed)
        self._repeated: set[str] = set()

    def limits(self, claim: Claim, job_type: JobType) -> Undisturbed:
        """What may end this run."""
        if not self._cuts or claim.id in self._repeated:
            return Undisturbed()
        code = code_of(job_type)
        return Cutter(1 + int(self._random.expovariate(1 / lines_of(code))), self._root, code)

    def decide(self, claim: Claim, limits: Undisturbed, settlement: Settlement) -> Settlement:
        """Have a job that was cut, or has completed for the first time, run again."""
        if claim.id in self._repeated:
            return settlement
        if limits.place is not None:
            self._say(claim, f"was cut {limits.place}")
        elif settlement.outcome is Outcome.COMPLETED:
            self._say(claim, "has completed")
            given_back = transitions.given_back(claim, begun=True)
            settlement = given_back._replace(progress=settlement.progress, logs=settlement.logs)
        else:
            return settlement
        self._repeated.add(claim.id)
        return settlement

    def is_second(self, claim: Claim) -> bool:
        """Whether this run repeats one."""
        return claim.id in self._repeated

    def _say(self, claim: Claim, what: str) -> None:
        if not self._repeated and self._cuts:
            print(f'flask_queues: twice="cut" with seed={self.seed}')  # noqa: T201 - for who reads the test's output
        print(f"flask_queues: {claim.type} {claim.id} {what}; it runs again")  # noqa: T201


def code_of(job_type: JobType) -> CodeType | None:
    """The code of what a job type runs; None where it is not written in Python."""
    handle = inspect.unwrap(job_type.job_class.handle)
    code = getattr(handle, "__code__", None)
    return code if isinstance(code, CodeType) else None


def lines_of(code: CodeType | None) -> int:
    """How many lines a job's own code has, with what is defined in it; 1 where nobody knows."""
    if code is None:
        return 1
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    own = len({line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno})
    return max(1, own) + sum(lines_of(one) for one in inner)


def is_spared(frame: FrameType) -> bool:
    """Whether a `with` may be on its way out, or just in, or a `finally` at work, where a frame is about to go on."""
    code = frame.f_code
    name, argument = dis.opname[code.co_code[frame.f_lasti]], code.co_code[frame.f_lasti + 1]
    if name in SPARED or (name == "LOAD_CONST" and code.co_consts[argument] is None):
        return True
    return frame.f_lineno in lines_of_finally(code.co_filename)


@functools.lru_cache(maxsize=64)
def lines_of_finally(file: str) -> frozenset[int]:
    """The lines of a file that clean up."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:  # what runs may be older than what is there now
        return frozenset()
    ends = [end for node in ast.walk(tree) for end in getattr(node, "finalbody", ())]
    return frozenset(line for end in ends for line in range(end.lineno, end.end_lineno + 1))


def place_of(frame: FrameType) -> str:
    """Where a frame is about to go on, with the line's text."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    return f"before line {line} of {Path(file).name}" + (f", {text!r}" if text else "")
