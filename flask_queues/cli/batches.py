"""`flask queues batches`: how far each is; retry what failed in one, cancel the rest."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..batches import BatchRecord, tag_of
from ..shapes import batch_fields
from .jobs import this_manager
from .noting import note, who
from .text import coloured, dump, local, printable, table


@click.command()
@click.argument("batch_id", metavar="[ID]", required=False)
@click.option("--retry", is_flag=True, help="Give its failed jobs all their tries again.")
@click.option("--cancel", is_flag=True, help="Cancel its jobs that have not ended.")
@click.option("--give-up", is_flag=True, help="Forget it, since nobody has its key any more; its jobs stay.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many are shown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def batches(batch_id: str | None, retry: bool, cancel: bool, give_up: bool, limit: int, as_json: bool) -> None:
    """Show the batches, the newest first, or one of them."""
    asked = retry + cancel + give_up
    if asked > 1 or (asked and batch_id is None):
        raise click.UsageError("Name a batch, and say --retry, --cancel or --give-up.")
    if batch_id is None:
        show_all(limit, as_json=as_json)
        return
    if give_up:
        forget(batch_id)
        return
    if retry or cancel:
        change(batch_id, retry=retry)
    record = this_manager().batches.find(batch_id)
    click.echo(dump(batch_fields(record)) if as_json else words(record))


def show_all(limit: int, *, as_json: bool) -> None:
    """Show a table, or JSON."""
    records, after, total = this_manager().batches.all(limit)
    if as_json:
        click.echo(dump({"batches": [batch_fields(record) for record in records], "after": after, "total": total}))
    elif records:
        rows = [row(record) for record in records]
        click.echo(table(["Batch", "Name", "Status", "Done", "Failed", "Jobs", "Pushed"], rows, right=(3, 4, 5)))
    else:
        click.echo("There is no batch.")


def row(record: BatchRecord) -> list[str]:
    """A batch's line."""
    numbers = (f"{record.percent:.0f} %", f"{record.counts['failed']:,}", f"{record.total:,}")
    return [record.id, printable(record.name), coloured(record.status), *numbers, local(record.created)]


def change(batch_id: str, *, retry: bool) -> None:
    """Retry or cancel, and keep who did."""
    handle = this_manager().batches.handle(batch_id)
    before = handle.record
    if retry:
        note("retry", "batch", batch_id, handle.retry())
    elif handle.cancel(f"cancelled by {who()} at the terminal"):
        note("cancel", "batch", batch_id, before.total - before.done)


def forget(batch_id: str) -> None:
    """Give up what nobody can read, and keep who did."""
    this_manager().give_up_batch(batch_id)
    note("delete", "batch", batch_id)
    click.echo(f"Given up. What was to be pushed at its end is gone; its jobs stay: --tag {tag_of(batch_id)}")


def words(record: BatchRecord) -> str:
    """One batch for a person."""
    counts = ", ".join(f"{n:,} {status}" for status, n in record.counts.items() if n)
    reports = [
        f"{name} {'pushed' if name in record.fired else 'not pushed'} ({job})" for name, job in record.callbacks.items()
    ]
    facts = {
        "Why": record.reason or "",
        "Jobs": f"{record.total:,}: {counts}" if record.total else "none",
        "Done": f"{record.percent:.0f} %{', more are being added' if record.growing else ''}",
        "Queues": ", ".join(record.queues),
        "Reports": "; ".join(reports),
        "Pushed": local(record.created),
        "Ended": local(record.ended),
        "List": f"tag {tag_of(record.id)}",
    }
    lines = [f"{click.style(printable(record.name or 'Batch'), bold=True)}  {record.id}  {coloured(record.status)}"]
    return "\n".join([*lines, *(f"  {name:9} {printable(value)}" for name, value in facts.items() if value)])
