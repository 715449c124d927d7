"""Whether jobs are being run, for probes: answered by the storage alone, without the application."""

from .check import Demands, Health, Problem, check
from .text import fields, lines

__all__ = ["Demands", "Health", "Problem", "check", "fields", "lines"]
