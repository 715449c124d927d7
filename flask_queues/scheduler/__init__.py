"""Schedules: when they are due, what became of each occurrence, and the jobs that they push."""

from __future__ import annotations

from .timing import Cron, Every, Timing, read_timing

__all__ = ["Cron", "Every", "Timing", "read_timing"]
