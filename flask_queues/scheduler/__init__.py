"""Schedules: when they are due, what became of each occurrence, and the jobs that they push."""

from __future__ import annotations

from .record import OccurrenceRecord, ScheduleRecord
from .scheduler import Scheduler
from .ticker import Ticker
from .timing import Cron, Every, Timing, read_timing

__all__ = [
    "Cron",
    "Every",
    "OccurrenceRecord",
    "ScheduleRecord",
    "Scheduler",
    "Ticker",
    "Timing",
    "read_timing",
]
