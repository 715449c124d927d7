"""`flask queues reencrypt`: everything with the first key."""

from __future__ import annotations

import sys
from collections import Counter

import click
from flask.cli import with_appcontext

from ..manager import current_queues
from .jobs import NOTHING_MATCHED
from .move import number_of


@click.command()
@with_appcontext
def reencrypt() -> None:
    """Encrypt everything that is stored with the first of QUEUES_ENCRYPTION_KEYS.

    Put the new key in front of the old one, restart the application and its workers, run this, drop the
    old key. Workers may run meanwhile. A kill does no harm: run the same command again.
    """
    total = sum(current_queues.counts().statuses.values())
    written: Counter[str] = Counter()
    closed: Counter[int] = Counter()
    last = 1
    with click.progressbar(length=total, label="Encrypting", file=sys.stderr) as bar:
        for part in current_queues.reencrypt():
            written[part.kind] += part.written
            closed[part.round] += part.closed
            last = part.round
            bar.update(part.looked_at if part.kind == "jobs" and part.round == 1 else 0)
    tell(written, closed[last])


def tell(written: Counter[str], closed: int) -> None:
    """Say what was done, and what cannot be."""
    if closed:
        click.echo(f"{number_of(closed, 'text')} cannot be read with any of the keys, and stayed as before.", err=True)
    if not any(written.values()):
        click.echo("Nothing was left that another key has encrypted.", err=True)
        sys.exit(NOTHING_MATCHED)
    jobs, schedules = number_of(written["jobs"], "job"), number_of(written["schedules"], "schedule")
    sheets = number_of(written["sheets"], "sheet of figures", "sheets of figures")
    click.echo(f"{jobs}, {schedules} and {sheets} are encrypted with the first key now. The others can be dropped.")
