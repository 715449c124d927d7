"""`flask queues causes`: how many problems there are behind the failed jobs, and which first."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..manager import current_queues
from ..metrics import FailureCause
from ..shapes import cause_fields
from .text import dump, local, printable, table

#: Characters of a message that stand in a line.
SHOWN = 60
HEAD = ["Cause", "Jobs", "Last", "Since release", "Error", "Where"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def causes(as_json: bool) -> None:
    """Show failed jobs by cause, the last first; a worker counts them, seconds after they failed."""
    found = [one for one in current_queues.causes() if one.number]
    if as_json:
        click.echo(dump({"causes": [cause_fields(one) for one in found]}))
    elif found:
        click.echo(table(HEAD, [row(one) for one in found], right=(1,)))
        click.echo("\nRetry all of one with: flask queues retry --all --cause CAUSE")
    else:
        failed = current_queues.counts().statuses["failed"]
        jobs = f"{failed:,} failed job{'' if failed == 1 else 's'}"
        click.echo(f"No cause is counted yet of {jobs}." if failed else "No job has failed.")


def row(one: FailureCause) -> list[str]:
    """A cause's line."""
    error = f"{one.cause.type.rpartition('.')[2]}: {' '.join(one.cause.example.split())}"
    cut = error if len(error) <= SHOWN else f"{error[: SHOWN - 1]}…"
    return [
        one.cause.key,
        f"{one.number:,}",
        local(one.end),
        printable(one.release),
        printable(cut),
        printable(one.cause.frame),
    ]
