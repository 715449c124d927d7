"""The two jobs of every system, as plain functions.

Imports next to nothing: RQ's worker imports it anew for every job.
"""

from __future__ import annotations


def noop(text: str) -> None:
    """Do nothing."""


def start(number: int, text: str) -> None:  # noqa: ARG001 - as long as that of a no-op
    """Note when it began."""
    from ..system import note_start

    note_start(number)


async def noop_async(text: str) -> None:
    """Do nothing."""


async def start_async(number: int, text: str) -> None:
    """Note when it began."""
    start(number, text)
