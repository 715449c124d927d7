"""Where the time of a run went, as Python's own profiler has it, kept in the job's log."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Iterator
from contextlib import contextmanager

from ..job import Job

#: Functions that are told of, those first in which most time went: what fits into a line of the log.
FUNCTIONS = 20
BUSY = "Not profiled: there is one profiler for a process, and something else uses it."


@contextmanager
def profiled(job: Job) -> Iterator[None]:
    """Profile what runs meanwhile in this thread, and log it with the job, however it ends."""
    spent = cProfile.Profile()
    try:
        spent.enable()
    except ValueError:  # since Python 3.12, where a job in another thread is being profiled
        job.log("warning", BUSY)
        yield
        return
    try:
        yield
    finally:
        spent.disable()
        job.log("info", table(spent, FUNCTIONS))


def table(spent: cProfile.Profile, functions: int) -> str:
    """A profile as Python prints it; empty where nothing ran."""
    spent.create_stats()
    if not spent.stats:
        return ""
    text = io.StringIO()
    pstats.Stats(spent, stream=text).sort_stats("cumulative").print_stats(functions)
    return text.getvalue()
