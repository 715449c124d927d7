"""The doctor: names everything here that would lose, double or delay jobs, each with its fix."""

from .examine import UNUSABLE, at_start, examine

__all__ = ["UNUSABLE", "at_start", "examine"]
