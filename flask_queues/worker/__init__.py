"""The worker: a supervisor with children that run jobs and a keeper that looks after them."""

from .foreground import run_in_foreground
from .loop import Share
from .report import Report
from .supervisor import Plan, Supervisor

__all__ = ["Plan", "Report", "Share", "Supervisor", "run_in_foreground"]
