"""`flask queues pause` and `resume`: a queue or a job type of which nothing is claimed for a while."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from ..pausing import Pause
from .jobs import NOTHING_MATCHED, this_manager
from .noting import note, who
from .text import local, printable


@click.command()
@click.argument("queue", required=False)
@click.option("--type", "job_type", help="A job type instead of a queue.")
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="Ends by itself. Default: until resumed.")
@click.option("--reason", default="", help="Shown wherever the pause is.")
@with_appcontext
def pause(queue: str | None, job_type: str | None, seconds: float | None, reason: str) -> None:
    """Let nothing more of a queue or job type be claimed; what runs goes on, pushes too."""
    manager = this_manager()
    manager.pause(queue, type=job_type, seconds=seconds, reason=reason, by=who())
    note("pause", "type" if queue is None else "queue", queue or job_type or "", reason=reason)
    found = next(one for one in manager.pauses() if (one.queue, one.type) == (queue, job_type))
    click.echo(f"{described(found)}.")


@click.command()
@click.argument("queue", required=False)
@click.option("--type", "job_type", help="A job type instead of a queue.")
@with_appcontext
def resume(queue: str | None, job_type: str | None) -> None:
    """Let a paused queue or job type go on."""
    if not this_manager().resume(queue, type=job_type):
        click.echo(f"{printable(queue or job_type or '')} was not paused.", err=True)
        sys.exit(NOTHING_MATCHED)
    note("resume", "type" if queue is None else "queue", queue or job_type or "")
    click.echo(f"{printable(queue or job_type or '')} goes on.")


def described(pause: Pause) -> str:
    """A pause in a line."""
    what = f"Queue {pause.queue}" if pause.queue is not None else f"Job type {pause.type}"
    until = f" until {local(pause.until)}" if pause.until is not None else ""
    by = f" by {pause.by}" if pause.by else ""
    reason = f": {pause.reason.rstrip('.')}" if pause.reason else ""
    return printable(f"{what} is paused{until}{by}{reason}")
