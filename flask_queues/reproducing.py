"""A failed job as a test case of the application: what to push, and what came of it."""

from __future__ import annotations

import builtins
import re
import sys
import textwrap
from collections.abc import Collection
from pprint import pformat
from typing import Any, NamedTuple

from .errors import OptionError
from .manager import Manager
from .masking import MASK, is_secret
from .record import JobError, JobRecord
from .shapes import masked_error, secrets_of

WIDTH = 100
SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")
#: Characters of an error's message that stand in a test.
MOST = 500
#: What ends a process cannot be raised in one that is to go on.
NOT_RAISED = "flask_queues.errors."


class Expected(NamedTuple):
    """The exception that left the job, where a test can name it."""

    #: How the test calls it.
    name: str
    #: What it has to import for that.
    line: str = ""


def as_test(manager: Manager, record: JobRecord) -> str:
    """Write a test that does what the job did; raises `OptionError` for a job that has not failed.

    Secrets are left out, and the test says which.
    """
    if record.error is None:
        raise OptionError(f"Job {record.id} has no error that could be reproduced; it is {record.status}.")
    error = masked_error(record.error, secrets_of(manager, record))
    expected = expected_of(error)
    hidden: list[str] = []
    payload = without_secrets(record.payload, manager.sensitive(record.type), "payload", hidden)
    parts = [
        head(record, error),
        imports(expected),
        f"\n\ndef test_{word(record.type)}_{word(record.id)}(queues_app, queues_fake):\n",
        textwrap.indent(body(manager, record, payload, hidden) + ending(manager, record, error, expected), "    "),
    ]
    return "".join(parts)


def head(record: JobRecord, error: JobError) -> str:
    """Which job it was."""
    when = f" on {record.finished:%Y-%m-%d %H:%M:%S} UTC" if record.finished else ""
    text = f"Job {record.id} ({record.type}) of queue {record.queue}{when}: {one_line(str(error))}"
    return "".join(f"# {line}\n" for line in textwrap.wrap(visible(text), WIDTH))


def word(text: str) -> str:
    """A text as part of a name."""
    return re.sub(r"[^0-9a-zA-Z]+", "_", text).strip("_").lower()


def imports(expected: Expected | None) -> str:
    """The modules that the test needs."""
    lines = ["from flask_queues import current_queues\n"]
    if expected is not None:
        lines = ["import pytest\n", *lines, *([f"{expected.line}\n"] if expected.line else [])]
    return "\n" + "".join(lines)


def body(manager: Manager, record: JobRecord, payload: dict[str, Any], hidden: Collection[str]) -> str:
    """The push."""
    said = "".join(f"# {place} was secret: put in what reproduces the failure.\n" for place in hidden)
    literal = pformat(payload, width=WIDTH - 4, sort_dicts=False)
    options = "".join(
        f", {name}={value!r}"
        for name, value in (("queue", record.queue), ("priority", record.priority), ("tags", list(record.tags)))
        if value != usual(manager, record.type).get(name)
    )
    return (
        f"{said}payload = {textwrap.indent(literal, ' ' * 10).strip()}\n"
        f"with queues_app.app_context():\n    current_queues.push({record.type!r}, payload{options})\n"
    )


def usual(manager: Manager, type_string: str) -> dict[str, Any]:
    """What a push of this type has without a word."""
    options = manager.jobs[type_string].options if type_string in manager.jobs else None
    return {
        "queue": (options and options.queue) or manager.config.default,
        "priority": (options and options.priority) or 0,
        "tags": list(options.tags) if options else [],
    }


def ending(manager: Manager, record: JobRecord, error: JobError, expected: Expected | None) -> str:
    """The run, and what left it."""
    job_type = manager.jobs.get(record.type)
    window = job_type.gathering.window / 1000 if job_type is not None and job_type.gathering is not None else None
    run = "queues_fake.drain()" if window is None else f"queues_fake.drain(within={window:g})"
    frame = (cause := manager.cause_of(record)) and cause.frame
    at = f"  # in {one_line(frame)}" if frame else ""
    if expected is None:
        return f"{run}  # ended in {one_line(str(error))}\n"
    message = error.message[:MOST]
    match = f", match={pattern(message)}" if message.strip() and MASK not in message else ""
    return (
        f"with pytest.raises({expected.name}{match}):{at}\n    {run}\n"
        "# Once it is repaired, drain() raises nothing: assert what the job should have done.\n"
    )


def pattern(message: str) -> str:
    """A message as a regular expression, as it stands in code."""
    text = SPECIAL.sub(r"\\\g<0>", message)
    plain = text.isprintable() and '"' not in text and not text.endswith("\\")
    return f'r"{text}"' if plain and "\\" in text else repr(text)


def expected_of(error: JobError) -> Expected | None:
    """The class of an exception, where a test can name it; nothing is imported for a name that stands in a storage."""
    parts = error.type.split(".")
    if error.type.startswith(NOT_RAISED) or not all(part.isidentifier() for part in parts):
        return None
    if len(parts) == 1:
        return Expected(error.type) if isinstance(getattr(builtins, error.type, None), type) else None
    known = next((n for n in range(len(parts) - 1, 0, -1) if ".".join(parts[:n]) in sys.modules), len(parts) - 1)
    return Expected(".".join(parts[known:]), f"from {'.'.join(parts[:known])} import {parts[known]}")


def without_secrets(value: Any, sensitive: Collection[str], place: str, hidden: list[str]) -> Any:
    """A copy of a payload in which secrets are something of the same kind; notes in `hidden` where."""
    if isinstance(value, dict):
        return {
            name: instead(inner, f"{place}[{name!r}]", name, hidden)
            if is_secret(name, sensitive)
            else without_secrets(inner, sensitive, f"{place}[{name!r}]", hidden)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(inner, sensitive, f"{place}[{n}]", hidden) for n, inner in enumerate(value)]
    return value


def instead(value: Any, place: str, name: str, hidden: list[str]) -> Any:
    """What stands for a secret: of its kind, so that the signature lets it through."""
    hidden.append(place)
    if isinstance(value, str):
        return f"<{name}>"
    return type(value)() if isinstance(value, (int, float, list, dict)) else None


def one_line(text: str) -> str:
    """A text without line ends and whatever a terminal or an editor does not show, cut."""
    return visible(" ".join(text.split()))[:MOST]


def visible(text: str) -> str:
    """A text with a mark for each control character: it stands in code that somebody reads and runs."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
