"""How the terminal shows tables, times and jobs, for a person and as JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from ..record import Status

COLOURS = {
    Status.PENDING: None,
    Status.RUNNING: "blue",
    Status.SCHEDULED: "magenta",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "bright_black",
}
#: What repaints a terminal, and what turns the order of the characters around it.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay out a table; columns whose number is in `right` are aligned right."""
    cells = [[click.style(cell, bold=True) for cell in head], *rows]
    widths = [max(width(row[n]) for row in cells) for n in range(len(head))]
    return "\n".join(
        "  ".join(pad(cell, widths[n], right=n in right) for n, cell in enumerate(row)).rstrip() for row in cells
    )


def pad(cell: str, to: int, *, right: bool) -> str:
    """Fill a cell up to a width, whatever colours it has."""
    space = " " * (to - width(cell))
    return space + cell if right else cell + space


def width(cell: str) -> int:
    """How many columns a cell takes on the terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in click.unstyle(cell))


def printable(text: str) -> str:
    """Show what a job stored without letting it repaint the terminal."""
    return CONTROL.sub("�", text)


def coloured(status: Status) -> str:
    """A status in its colour."""
    return click.style(status.value, fg=COLOURS[status])


def local(moment: datetime | None) -> str:
    """A time for a person, in the terminal's zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if moment else ""


def dump(value: Any) -> str:
    """JSON for programs, which may be read on a terminal."""
    return escaped(json.dumps(value, indent=2, ensure_ascii=False))


def escaped(text: str) -> str:
    """JSON text in which control characters are escapes; those that JSON does not ask for, too."""
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
