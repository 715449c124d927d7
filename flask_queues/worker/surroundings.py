"""What jobs that run one after another share of their process, though each finds it as the first one did.

A changed working folder and umask are set back after the run: the next one's paths, and who may read its files, depend
on them. That has to cost jobs nothing that do nothing: Python tells who changes the folder, and the umask, of which it
does not tell, is not looked at between jobs that take no time at all, until one has changed it.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

logger = logging.getLogger("flask_queues")

#: To open a folder for nothing but to go there, where the system knows such.
GO_THERE = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
#: Seconds; a run that took less is told from the next one only with some luck.
BRIEF = 0.001


class Surroundings:
    """Those of a process in which one job runs at a time, from now on."""

    def __init__(self) -> None:
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        #: The folder, also where it is renamed; None where nobody could go back to it.
        self._home = opened(current_folder())
        self._moved = False
        #: Whether a job has changed the umask before.
        self._suspicious = False
        #: What this process has told of already.
        self._told: set[tuple[str, str]] = set()
        sys.addaudithook(self._hear)

    def restore(self, job_type: str, seconds: float, *, last: bool) -> None:
        """Set back what a run has changed, and say so once; `last` where no other begins at once."""
        if self._moved:
            self._go_home(job_type)
        if last or self._suspicious or seconds >= BRIEF:
            umask = os.umask(self._umask)
            if umask != self._umask:
                self._suspicious = True
                self._tell(job_type, "umask", f"{umask:03o}")

    def _hear(self, event: str, _: Any) -> None:
        if event == "os.chdir":
            self._moved = True

    def _go_home(self, job_type: str) -> None:
        folder = current_folder()
        if self._home is not None:
            try:
                os.chdir(self._home)
            except OSError as error:
                logger.warning("The working folder of the worker is gone, so jobs stay in %s: %s", folder, error)
                self._home = None
            if folder != current_folder():
                self._tell(job_type, "working folder", folder or "one that is deleted")
        self._moved = False

    def _tell(self, job_type: str, what: str, value: str) -> None:
        if (job_type, what) not in self._told:
            self._told.add((job_type, what))
            logger.warning(
                "A job of %s has changed the %s of its process to %s. It was set back for the next job; this is said "
                "once in a process.",
                job_type,
                what,
                value,
            )


def current_folder() -> str | None:
    """The working folder; None where it is deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def opened(folder: str | None) -> int | str | None:
    """What `os.chdir` takes to go back to a folder, also after it was renamed where the system allows that."""
    if folder is None or os.chdir not in os.supports_fd:
        return folder
    try:
        return os.open(folder, GO_THERE)
    except OSError:
        return folder
