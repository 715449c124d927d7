"""How a job's row is read and its history written."""

from __future__ import annotations

import json
from typing import Any

from ...damaged import whole, whole_line
from ...errors import DamagedRecord
from ...record import (
    Attempt,
    JobError,
    JobRecord,
    LogLine,
    Memory,
    Outcome,
    Progress,
    Status,
    fields_of_push,
    to_datetime,
)
from ..hurried import plain
from ..stops import held_back

#: Statuses by the number that stands for each in the file.
STATUSES = (
    Status.PENDING,
    Status.RUNNING,
    Status.SCHEDULED,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
)
NUMBERS = {status: number for number, status in enumerate(STATUSES)}
PENDING, RUNNING, SCHEDULED, COMPLETED, FAILED, CANCELLED = range(6)

#: The columns that `record` reads, in its order.
COLUMNS = (
    "id, type, queue, status, payload, priority, tags, created, due, expires, options, attempts, runs, "
    "history, worker, started, ended, outcome, stamp, progress, error, result, reason, held, memory"
)


def dump(value: Any) -> str:
    """Write a value as the JSON text that the file keeps."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def record(row: tuple[Any, ...]) -> JobRecord:
    """Read a row of `COLUMNS`, as far as it can be read."""
    job_id, type_, queue, status = row[:4]
    return whole(lambda: read_record(row), job_id, queue, type_, status_of(status))


def read_record(row: tuple[Any, ...]) -> JobRecord:
    """Read a row of `COLUMNS`."""
    (
        id_, type_, queue, status, payload, priority, tags, created, due, expires, options, attempts, runs,
        history, worker, started, ended, outcome, stamp, progress, error, result, reason, held, memory,
    ) = row  # fmt: skip
    if status not in NUMBERS.values():
        raise DamagedRecord(f"Its status is {status!r}.")
    status = STATUSES[status]
    past = [json.loads(line) for line in history.split("\n")] if history else []
    if started is not None and status is Status.RUNNING:
        past.append([runs + 1, worker, started, None, None, None])
    elif outcome is not None:
        told = json.loads(memory) if memory else None
        past.append([runs, worker, started, ended, outcome, json.loads(error) if error else None, told])
    return JobRecord(
        id=id_,
        type=type_,
        queue=queue,
        status=status,
        payload=json.loads(payload),
        priority=plain(priority),
        tags=tuple(json.loads(tags)) if tags else (),
        created=to_datetime(created),
        due=to_datetime(due),
        expires=to_datetime(expires) if expires is not None else None,
        attempts=attempts,
        history=tuple(attempt(line) for line in past),
        worker=worker,
        started=to_datetime(started) if started is not None else None,
        finished=to_datetime(stamp) if status.final else None,
        progress=Progress(*json.loads(progress)) if progress else None,
        error=last_error(past),
        result=json.loads(result) if result is not None else None,
        reason=reason,
        held=held_back(held) if held else None,
        **fields_of_push(options),
    )


def attempt(line: list[Any]) -> Attempt:
    """Read one run as `history` keeps it."""
    run, worker, started, ended, outcome, error, *memory = line
    return Attempt(
        run=run,
        worker=worker,
        started=to_datetime(started),
        ended=to_datetime(ended) if ended is not None else None,
        outcome=Outcome(outcome) if outcome is not None else None,
        error=JobError(*error) if error else None,
        memory=Memory(*memory[0]) if memory and memory[0] else None,
    )


def last_error(past: list[list[Any]]) -> JobError | None:
    """The error of the last run that had one."""
    return next((JobError(*line[5]) for line in reversed(past) if line[5]), None)


def log_line(row: tuple[Any, ...]) -> LogLine:
    """Read a row of the log, as far as it can be read."""
    time, level, message, context, run = row
    return whole_line(lambda: LogLine(to_datetime(time), level, message, json.loads(context), run))


def status_of(number: Any) -> Status:
    """The status that a number stands for; of a job that is in none it is shown that it has failed."""
    return STATUSES[number] if isinstance(number, int) and 0 <= number < len(STATUSES) else Status.FAILED
