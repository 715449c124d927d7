"""The worker: a supervisor with children that run jobs and a keeper that looks after them."""

from __future__ import annotations

import os

from ..errors import OptionError
from ..manager import Manager
from .foreground import run_in_foreground
from .plan import Plan, Share, version_here
from .report import Report
from .single import SingleWorker
from .supervisor import Supervisor

__all__ = ["Plan", "Report", "Share", "make_worker", "run_in_foreground", "version_here"]


def make_worker(manager: Manager, plan: Plan, report: Report, version: str) -> Supervisor | SingleWorker:
    """Make a worker that follows this plan once its `run` is called, in the main thread.

    From here on it takes the signals that stop it. Raises `OptionError` where its processes need more than it may open.
    """
    manager.teller.at_work = True
    kind = Supervisor if hasattr(os, "fork") else SingleWorker
    try:
        return kind(manager, plan, report, version)
    except OSError as error:
        raise OptionError(
            f"A worker with {plan.processes} processes cannot start here: {error.strerror}. Give it fewer --processes, "
            "or raise the limit (ulimit -n, LimitNOFILE of systemd)."
        ) from error
