"""`flask queues damaged`: what in the storage cannot be read, beside jobs, and what was kept aside of it."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from ..managing.sheets import DamagedSheet
from .jobs import NOTHING_MATCHED, this_manager
from .noting import note
from .text import dump, printable, table


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--forget", is_flag=True, help="Delete what was kept aside, or no key opens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def damaged(name: str | None, forget: bool, as_json: bool) -> None:
    """Show lists and figures in the storage that cannot be read, and what was kept of them; with NAME all of its text.

    Nothing else is held up by one: it is left out, and where another takes its place, its text is kept aside under a
    name that begins with `damaged:`; the last 50 of these are kept. One that is encrypted with a key which is missing
    here stays as it is.
    """
    if forget:
        forget_one(name)
        return
    found = [one for one in this_manager().damaged_sheets(every=True) if name in (None, one.name)]
    if as_json:
        click.echo(dump([one._asdict() for one in found]))
    elif name is not None and found:
        click.echo(printable(found[0].text))
    elif found:
        click.echo(table(["Name", "Bytes", "What is wrong"], [row(one) for one in found], right=(1,)))
    elif name is None:
        click.echo("Everything can be read.")
    else:
        say_nothing_matched(name)


def row(one: DamagedSheet) -> list[str]:
    """A line of the table."""
    size = len(one.text.encode())
    return [printable(one.name), f"{size:,}", printable(one.why or "kept aside; another has its place")]


def forget_one(name: str | None) -> None:
    """Delete a text, and keep who did."""
    if name is None:
        raise click.UsageError("Name what is to be forgotten.")
    if not this_manager().forget_aside(name):
        say_nothing_matched(name)
    note("delete", "sheet", name)
    click.echo("Forgotten.")


def say_nothing_matched(name: str) -> None:
    """End the command."""
    click.echo(f"There is nothing damaged of the name {printable(name)}.", err=True)
    sys.exit(NOTHING_MATCHED)
