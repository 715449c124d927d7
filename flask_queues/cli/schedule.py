"""`flask queues schedule`: when schedules are due, what became of them, and changes at run time."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import click
from flask.cli import with_appcontext

from ..errors import OptionError
from ..manager import Manager
from ..record import Status
from ..scheduler import ScheduleRecord
from ..shapes import occurrence_fields, schedule_fields, schedule_result
from .jobs import this_manager
from .text import coloured, dump, local, printable, table

MOST = 10_000


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
@with_appcontext
def schedule(ctx: click.Context, as_json: bool) -> None:
    """Show the schedules: when each is due, and what became of its last occurrence."""
    if ctx.invoked_subcommand is not None:
        return
    manager = this_manager()
    records = manager.scheduler.all()
    if as_json:
        click.echo(dump([schedule_fields(manager, record, language()) for record in records]))
    elif records:
        rows = [row(manager, record) for record in records]
        click.echo(table(["Schedule", "When", "Zone", "Next", "Last", "Result"], rows))
    else:
        click.echo("No schedule is defined.")


@schedule.command("next")
@click.argument("name")
@click.option("--after", help="ISO 8601, in UTC where it names no zone. Default: now.")
@click.option("--count", type=click.IntRange(1, MOST), default=10, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of times in UTC.")
@with_appcontext
def next_(name: str, after: str | None, count: int, as_json: bool) -> None:
    """Print when a schedule is due next."""
    scheduler = this_manager().scheduler
    found = scheduler.next(name, read_after(after), count)
    if as_json:
        click.echo(dump([precise(moment) for moment in found]))
        return
    record = scheduler.find(name)
    for moment in found:
        shown = moment.astimezone(ZoneInfo(record.timezone))
        hint = "  (its time is skipped by the clocks)" if record.timing.stands_in(moment) else ""
        click.echo(f"{shown:%a %Y-%m-%d %H:%M:%S} {shown.tzname()}  {click.style(precise(moment), dim=True)}{hint}")
    if not found:
        click.echo(f"{printable(name)} is not due any more.")


@schedule.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def history(name: str, limit: int, as_json: bool) -> None:
    """Show what became of a schedule's last occurrences."""
    lines = this_manager().scheduler.history(name, limit)
    if as_json:
        click.echo(dump([occurrence_fields(line) for line in lines]))
    elif lines:
        rows = [[local(line.due), line.outcome, f"{line.late:.1f} s", line.job or ""] for line in lines]
        click.echo(table(["Due", "Outcome", "Late", "Job"], rows, right=(2,)))
    else:
        click.echo(f"{printable(name)} was not due yet.")


@schedule.command()
@click.argument("name")
@with_appcontext
def run(name: str) -> None:
    """Push a schedule's job now, and print its id."""
    click.echo(this_manager().scheduler.run(name))


@schedule.command("run-due")
@with_appcontext
def run_due() -> None:
    """Push what is due now, as a worker does by itself; for a cron job every minute where none runs."""
    pushed = this_manager().scheduler.run_due(f"{socket.gethostname()}:{os.getpid()}:run-due")
    click.echo(f"{pushed:,} {'job was' if pushed == 1 else 'jobs were'} pushed." if pushed else "Nothing is due.")


@schedule.command()
@click.argument("name")
@click.option("--reason", default="", help="Kept with the schedule.")
@with_appcontext
def pause(name: str, reason: str) -> None:
    """Leave out a schedule's occurrences until it is resumed."""
    this_manager().scheduler.pause(name, reason)
    click.echo(f"{printable(name)} is paused.")


@schedule.command()
@click.argument("name")
@with_appcontext
def resume(name: str) -> None:
    """Let a paused schedule go on."""
    record = this_manager().scheduler.resume(name)
    click.echo(f"{printable(name)} goes on." + (f" It is due next at {local(record.next)}." if record.next else ""))


@schedule.command()
@click.argument("name")
@with_appcontext
def remove(name: str) -> None:
    """Delete a schedule that was made at run time, with its history."""
    this_manager().scheduler.remove(name)
    click.echo(f"{printable(name)} is removed.")


def read_after(text: str | None) -> datetime | None:
    """Read a time of the command line; one without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00")) if text else None
    except ValueError as error:
        raise OptionError(f"--after {text!r} is not a time such as 2026-10-25T00:30:00Z.") from error
    return moment.replace(tzinfo=timezone.utc) if moment is not None and moment.tzinfo is None else moment


def precise(moment: datetime) -> str:
    """A time for programs, to the second unless there is more to it."""
    spec = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(timezone.utc).isoformat(timespec=spec).replace("+00:00", "Z")


def language() -> str:
    """The language of whoever sits at the terminal."""
    return next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "en")


def row(manager: Manager, record: ScheduleRecord) -> list[str]:
    """A schedule's line."""
    became = schedule_result(manager, record)
    if record.paused is not None:
        upcoming = click.style(printable(f"paused: {record.paused}" if record.paused else "paused"), fg="yellow")
    else:
        upcoming = local(record.next) or click.style("over", dim=True)
    return [
        printable(record.name),
        record.words(language()),
        record.timezone,
        upcoming,
        local(record.last),
        coloured_result(became),
    ]


def coloured_result(became: str | None) -> str:
    """A status in its colour; anything else as it is."""
    try:
        return coloured(Status(became)) if became else ""
    except ValueError:
        return became or ""
