"""`flask queues chain`: how far a chain is, and its jobs."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..shapes import chain_record_fields
from .jobs import this_manager
from .text import coloured, dump, local, printable, table


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many jobs are shown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def chain(job_id: str, limit: int, as_json: bool) -> None:
    """Show how far a chain is, and its jobs that are there, the last first.

    ID is that of any of its jobs, or its own.
    """
    manager = this_manager()
    found = manager.chain_with(job_id, limit)
    if as_json:
        click.echo(dump(chain_record_fields(manager, found)))
        return
    click.echo(f"{click.style(found.id, bold=True)}  link {found.at:,} of {found.of:,}  {coloured(found.status)}")
    rows = [
        [f"{job.chain.at if job.chain else 1:,}", job.id, printable(job.type), coloured(job.status), local(job.created)]
        for job in found.jobs[:limit]
    ]
    click.echo(table(["Link", "Job", "Type", "Status", "Pushed"], rows, right=(0,)))
