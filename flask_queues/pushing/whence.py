"""What pushes here: a request, a command, a program or a job, by a name that tells no secret."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import click
from flask import has_request_context, request

from ..job import running_id

#: Characters that are kept of it.
LONGEST = 128


def pushed_by() -> str:
    """Kind and name of what pushes here, as `Origin` has them, with a space between."""
    if (job := running_id()) is not None:
        return f"job {job}"
    return (request_here() or command_here() or program_here())[:LONGEST]


def request_here() -> str | None:
    """Method and route of this request: as it was registered, for what stands in its place may be secret."""
    if not has_request_context():
        return None
    here = request._get_current_object()  # type: ignore[attr-defined]
    rule = here.url_rule
    return f"request {here.method} {rule.rule}" if rule is not None else "request"


def command_here() -> str | None:
    """The command of this thread's command line, without what was given to it."""
    command = click.get_current_context(silent=True)
    return None if command is None else f"command {command.command_path}"


def program_here() -> str:
    """The name of the program."""
    return f"program {name_of(sys.argv[0] if sys.argv else '')}"


@lru_cache(1)
def name_of(script: str) -> str:
    """The name of what Python runs, without its folder."""
    path = Path(script)
    name = path.parent.name if path.name == "__main__.py" else path.name
    return name if name and not name.startswith("-") else "python"
