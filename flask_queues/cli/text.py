"""How the terminal shows tables, times and jobs, for a person and as JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

from ..manager import Manager
from ..masking import masked
from ..record import Attempt, JobRecord, Status

COLOURS = {
    Status.PENDING: None,
    Status.RUNNING: "blue",
    Status.SCHEDULED: "magenta",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "bright_black",
}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


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


def iso(moment: datetime | None) -> str | None:
    """A time for programs: ISO 8601 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(moment: datetime | None) -> str:
    """A time for a person, in the terminal's zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if moment else ""


def dump(value: Any) -> str:
    """JSON for programs."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def job_fields(manager: Manager, record: JobRecord) -> dict[str, Any]:
    """A job for programs, with its secrets masked."""
    hidden = manager.sensitive(record.type)
    return {
        "id": record.id,
        "type": record.type,
        "name": manager.name_of(record.type),
        "queue": record.queue,
        "status": record.status.value,
        "priority": record.priority,
        "tags": list(record.tags),
        "created": iso(record.created),
        "due": iso(record.due),
        "expires": iso(record.expires),
        "started": iso(record.started),
        "finished": iso(record.finished),
        "attempts": record.attempts,
        "tries": manager.tries_of(record),
        "timeout": manager.timeout_of(record),
        "worker": record.worker,
        "progress": record.progress._asdict() if record.progress else None,
        "payload": masked(record.payload, hidden),
        "result": masked(record.result, hidden),
        "error": record.error._asdict() if record.error else None,
        "reason": record.reason,
        "held": record.held,
        "history": [attempt_fields(attempt) for attempt in record.history],
    }


def attempt_fields(attempt: Attempt) -> dict[str, Any]:
    """A run for programs."""
    return {
        "run": attempt.run,
        "worker": attempt.worker,
        "started": iso(attempt.started),
        "ended": iso(attempt.ended),
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "error": attempt.error._asdict() if attempt.error else None,
    }
