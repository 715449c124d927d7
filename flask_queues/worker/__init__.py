"""The worker: a supervisor with children that run jobs and a keeper that looks after them."""

from __future__ import annotations

import os

from ..manager import Manager
from .foreground import run_in_foreground
from .plan import Plan, Share
from .report import Report
from .single import SingleWorker
from .supervisor import Supervisor

__all__ = ["Plan", "Report", "Share", "Supervisor", "run_in_foreground", "work"]


def work(manager: Manager, plan: Plan, report: Report, version: str) -> int:
    """Work by this plan until told to stop; returns the exit code. The main thread must call it."""
    worker = Supervisor if hasattr(os, "fork") else SingleWorker
    return worker(manager, plan, report, version).run()
