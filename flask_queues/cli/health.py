"""`flask queues health`: whether jobs are being run, for probes."""

from __future__ import annotations

import socket
import sys

import click
from flask.cli import with_appcontext

from ..health import Demands, check, fields, lines
from .jobs import this_manager
from .text import dump, printable


@click.command()
@click.option("--max-wait", type=click.FloatRange(min=0), help="Seconds that a job may wait.")
@click.option("--here", is_flag=True, help="Only workers of this host count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def health(max_wait: float | None, here: bool, as_json: bool) -> None:
    """Tell whether jobs are being run; exit code 0 if so, 1 if not.

    The storage has to answer, a worker has to live, and no job may wait beside an idle process. Where the
    application need not be imported for that, this is quicker: python -m flask_queues.health --help
    """
    manager = this_manager()
    demands = Demands(manager.config.lease, max_wait, socket.gethostname() if here else None)
    found = check(lambda: manager.storage, demands)
    click.echo(dump(fields(found)) if as_json else printable("\n".join(lines(found))))
    sys.exit(0 if found.good else 1)
