"""What a running job says: progress and log lines, kept with it while it runs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from flask import Flask

from ..errors import QueuesError
from ..job import running_job
from ..payload import dump_json
from ..record import LogLine, Progress, storable

#: Lines kept of one run.
MAX_LINES = 1000
MAX_LINE = 4_000
MAX_NAME = 100
TOO_MANY = f"Only {MAX_LINES} lines of a run are kept; the rest is left out."
LEVELS = ("debug", "info", "warning", "error", "critical")

Keep = Callable[[Progress | None, Sequence[LogLine]], bool]


class Notes:
    """Collects what one run says and hands it on, at most a tenth of a second later."""

    def __init__(self, keep: Keep, run: int, stir: Callable[[], None]) -> None:
        self._keep = keep
        self._run = run
        self._stir = stir
        self._lock = threading.Lock()
        self._handing_on = threading.Lock()
        self._progress: Progress | None = None
        self._lines: list[LogLine] = []
        self._count = 0

    def progress(self, progress: Progress) -> None:
        """Note how far the job is; only the last word counts."""
        with self._lock:
            self._progress = progress._replace(message=storable(progress.message, MAX_LINE))
        self._stir()

    def log(self, level: str, message: str, context: dict[str, Any]) -> None:
        """Note a line; a level that is none counts as info."""
        level = level.lower()
        line = LogLine(
            datetime.now(timezone.utc),
            level if level in LEVELS else "info",
            storable(message, MAX_LINE),
            {storable(name, MAX_NAME): plain(value) for name, value in context.items()},
            self._run,
        )
        with self._lock:
            self._count += 1
            if self._count <= MAX_LINES:
                self._lines.append(line)
            elif self._count == MAX_LINES + 1:
                self._lines.append(line._replace(level="warning", message=TOO_MANY, context={}))
        self._stir()

    def finish(self) -> tuple[Progress | None, list[LogLine]]:
        """Take what is left for the settlement, once nothing is on its way any more."""
        with self._handing_on:
            return self._take()

    def _take(self) -> tuple[Progress | None, list[LogLine]]:
        with self._lock:
            progress, lines = self._progress, self._lines
            self._progress, self._lines = None, []
        return progress, lines

    def flush(self) -> bool:
        """Hand on what there is, and tell whether there was any; where it fails, that is lost, not the job."""
        with self._handing_on:
            progress, lines = self._take()
            if progress is None and not lines:
                return False
            with suppress(QueuesError):
                self._keep(progress, lines)
        return True


class JobLogHandler(logging.Handler):
    """Keeps what the standard `logging` gets inside a job with that job."""

    @classmethod
    def install(cls, app: Flask) -> None:
        """Listen to everything that is logged in this process.

        The application's logger comes first: Flask gives it a handler only where there is none.
        """
        _ = app.logger
        root = logging.getLogger()
        if not any(isinstance(handler, cls) for handler in root.handlers):
            root.addHandler(cls())

    def emit(self, record: logging.LogRecord) -> None:
        """Note the line, if a job runs in this context."""
        self._make_up_for_this(record)
        job = running_job.get(None)
        if job is None or record.name.startswith("flask_queues"):
            return
        try:
            job.log(record.levelname, self.format(record), logger=record.name)
        except Exception:
            self.handleError(record)

    def _make_up_for_this(self, record: logging.LogRecord) -> None:
        """Print what Python would print if there were no handler: this one is none for people."""
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and handlers_of(record.name) == [self]:
            last.handle(record)


def handlers_of(name: str) -> list[logging.Handler]:
    """Every handler that gets what is logged under this name."""
    logger: logging.Logger | None = logging.getLogger(name)
    found: list[logging.Handler] = []
    while logger is not None:
        found += logger.handlers
        logger = logger.parent if logger.propagate else None
    return found


def plain(value: Any) -> Any:
    """A value as JSON can hold it, else as text."""
    if isinstance(value, (str, int, bool)) or value is None:
        return storable(value, MAX_LINE) if isinstance(value, str) else value
    try:
        text = dump_json("context", value)
    except QueuesError:
        return storable(repr(value), MAX_LINE)
    return json.loads(text) if len(text) <= MAX_LINE else storable(text, MAX_LINE)
