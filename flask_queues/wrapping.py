"""What an application puts around every run of a job."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

from .config import shortened
from .errors import ConfigError
from .job import Job

#: Is handed the job that is about to run, and returns the context manager to run it in.
Wrapper = Callable[[Job], AbstractContextManager[Any]]


def as_wrapper(given: Any) -> Wrapper:
    """Make a wrapper of a function that returns a context manager, or that yields once."""
    if not callable(given) or inspect.isasyncgenfunction(given) or inspect.iscoroutinefunction(given):
        raise ConfigError(
            f"{shortened(given)} cannot be put around jobs: it takes a plain function of the job that yields once, or "
            "returns a context manager."
        )
    if inspect.isgeneratorfunction(given):
        return cast("Wrapper", contextlib.contextmanager(given))
    return cast("Wrapper", given)
