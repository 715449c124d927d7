"""The worker's output: one line a job, for a person or for a program."""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from typing import Any

import click

from .. import transitions
from ..masking import masked_text, secrets_in
from ..record import Outcome, Status
from ..storage.values import Claim, Settlement
from ..transitions import Terms, read_error

COLOURS = {
    "completed": "green",
    "failed": "red",
    "retry": "yellow",
    "cancelled": "bright_black",
    "lost": "red",
    "killed": "red",
    "timed out": "red",
}
WORKER_COLOURS = {"problem": "red", "finding": "yellow"}
#: Columns that line up as long as names are not longer.
WORD_WIDTH = 10
TYPE_WIDTH = 20
QUEUE_WIDTH = 8
DURATION_WIDTH = 7

Style = Callable[..., str]


class Report:
    """Writes lines to standard output; those of jobs are collected and written together."""

    def __init__(self, *, json_lines: bool, colour: bool) -> None:
        self._json = json_lines
        self._style: Style = click.style if colour else unstyled
        self._lines: list[str] = []
        self._lock = threading.Lock()
        #: Those not solved yet, which may take turns.
        self._problems: deque[str] = deque(maxlen=20)

    def settled(
        self,
        claim: Claim,
        terms: Terms,
        done: Settlement,
        seconds: float,
        sensitive: Collection[str] = (),
        *,
        lost: bool,
    ) -> None:
        """Note the line of a job that this process ran; `sensitive` names what is secret of its payload."""
        fields: dict[str, Any] = {
            "event": "completed" if done.status is Status.COMPLETED and not lost else event_of(done, lost=lost),
            "type": claim.type,
            "job": claim.id,
            "queue": claim.queue,
            "attempt": min(claim.attempts + 1, terms.tries),
            "tries": terms.tries,
            "seconds": round(seconds, 6),
        }
        if done.status is Status.SCHEDULED:
            fields["again_in"] = done.delay / 1000
        if done.status is Status.SCHEDULED and terms.until is not None and transitions.is_retried_on(claim, terms):
            fields["retry_until"] = timestamp(terms.until / 1000)
        if error := done.error or (claim.error if done.status is Status.FAILED else None):
            fields["error"] = without_secrets(str(read_error(error)), claim, sensitive)
        if done.reason:
            fields["reason"] = without_secrets(done.reason, claim, sensitive)
        self._add(fields, job_line)

    def died(self, claim: Claim, event: str, why: str) -> None:
        """Write the line of a job whose process is gone."""
        fields = {"event": event, "type": claim.type, "job": claim.id, "queue": claim.queue, "error": why}
        self._add(fields, job_line)
        self.flush()

    def says(self, event: str, text: str, **fields: Any) -> None:
        """Write a line about the worker itself, at once."""
        self._add({"event": event, "text": text, **fields}, worker_line)
        self.flush()

    def problem(self, text: str) -> None:
        """Write a line about something that keeps the worker from its work; once, until all are solved."""
        if text not in self._problems:
            self._problems.append(text)
            self.says("problem", text)

    def solved(self) -> None:
        """Say that they are over, and the same ones again when they come again."""
        if self._problems:
            self._problems.clear()
            self.says("solved", "The storage answers again; work goes on.")

    def flush(self) -> None:
        """Write the lines that were noted."""
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            write("".join(lines).encode("utf-8", "backslashreplace"))

    def _add(self, fields: dict[str, Any], line: Any) -> None:
        if self._json:
            text = json.dumps({"time": timestamp(time.time()), **fields})
        else:
            text = line(clock(int(time.time())), fields, self._style)
        with self._lock:
            self._lines.append(text + "\n")


def without_secrets(text: str, claim: Claim, sensitive: Collection[str]) -> str:
    """What a job said in its end, without the secrets of its payload: the line goes to where logs are kept."""
    try:
        secrets = set(secrets_in(json.loads(claim.payload), sensitive))
    except (ValueError, RecursionError):  # a payload that nobody can read: that is why the job has failed
        secrets = set()
    return masked_text(text, secrets)


def event_of(done: Settlement, *, lost: bool) -> str:
    """One word for what became of a job."""
    if lost:
        return "lost"
    if done.status is Status.SCHEDULED:
        return "put off" if done.outcome in (None, Outcome.PUT_OFF) else "retry"  # None: a breaker let it not begin
    return "given back" if done.status is Status.PENDING else done.status.value


def timestamp(moment: float) -> str:
    """A moment for programs, in UTC."""
    told = datetime.fromtimestamp(moment, timezone.utc)
    return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unstyled(text: Any, **_: Any) -> str:
    """Leave a text as it is, where `click.style` would colour it."""
    return str(text)


@functools.lru_cache(maxsize=2)
def clock(second: int) -> str:
    """The time of day, written once a second."""
    return time.strftime("%H:%M:%S", time.localtime(second))


def job_line(now: str, fields: dict[str, Any], style: Style) -> str:
    """The line of a job for a person."""
    event = fields["event"]
    parts = [
        style(now, dim=True),
        style(event.ljust(WORD_WIDTH), fg=COLOURS.get(event), bold=event == "failed"),
        style(fields["job"], dim=True),
        fields["type"].ljust(TYPE_WIDTH),
        style("in " + fields["queue"].ljust(QUEUE_WIDTH), dim=True),
    ]
    if "seconds" in fields:
        parts.append(f"{duration(fields['seconds']):>{DURATION_WIDTH}}")
    if fields.get("attempt", 1) > 1 or event == "retry":
        parts.append(f"attempt {fields['attempt']} of {fields['tries']}")
    if "retry_until" in fields:
        parts.append(f"or more, until {fields['retry_until']}")
    if "again_in" in fields:
        parts.append(f"again in {duration(fields['again_in'])}")
    if "error" in fields:
        parts.append(style(one_line(fields["error"]), fg="red" if event == "failed" else None))
    if "reason" in fields:
        parts.append(one_line(fields["reason"]))
    return "  ".join(parts)


def worker_line(now: str, fields: dict[str, Any], style: Style) -> str:
    """A line about the worker for a person."""
    colour = WORKER_COLOURS.get(fields["event"])
    return f"{style(now, dim=True)}  {style(one_line(fields['text'], 1000), fg=colour)}"


def one_line(text: str, width: int = 200) -> str:
    """Cut a text to one line without control characters, which could repaint a terminal."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def duration(seconds: float) -> str:
    """A time span in two units at most."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def write(data: bytes) -> None:
    """Write to standard output past its buffer, whole lines at a time; a closed pipe is not a failure."""
    try:
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    except (OSError, ValueError):
        return
