"""`flask queues status`: queues, statuses and workers at one glance."""

from __future__ import annotations

import sys
import time
from datetime import datetime

import click
from flask.cli import with_appcontext

from ..breakers import BreakerState
from ..circuits import CLOSED, OPEN
from ..manager import Manager, current_queues
from ..record import Status, WorkerRecord
from ..shapes import breaker_fields, pause_fields, state, worker_fields
from .pausing import described
from .text import dump, local, printable, table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Show it again every second until Ctrl-C.")
@with_appcontext
def status(as_json: bool, watch: bool) -> None:
    """Show how many jobs are where, and who works."""
    manager = current_queues._get_current_object()  # type: ignore[attr-defined]
    show = print_json if as_json else print_text
    if not watch:
        show(manager)
        return
    try:
        while True:
            if sys.stdout is not None and sys.stdout.isatty() and not as_json:
                click.clear()
            show(manager)
            time.sleep(1)
    except KeyboardInterrupt:
        return


def print_json(manager: Manager) -> None:
    """Print the shape that programs read."""
    counts, now = manager.counts(), manager.now()
    click.echo(
        dump(
            {
                "statuses": counts.statuses,
                "queues": counts.queues,
                "paused": [pause_fields(one) for one in manager.pauses()],
                "breakers": [breaker_fields(one) for one in manager.breakers.states()],
                "open_batches": manager.batches.open(),
                "workers": [worker_fields(manager, worker, now) for worker in manager.workers()],
            }
        )
    )


def print_text(manager: Manager) -> None:
    """Print tables for a person."""
    counts = manager.counts()
    click.echo(click.style(manager.storage.describe(), dim=True) + "\n")
    words = [one.value for one in Status]
    rows = [[name, *(shown(numbers[word]) for word in words)] for name, numbers in counts.queues.items()]
    if rows:
        rows.append(["all", *(shown(counts.statuses[word]) for word in words)])
        click.echo(table(["Queue", *(word.capitalize() for word in words)], rows, right=range(1, 7)))
    else:
        click.echo("No queue holds a job yet.")
    for pause in manager.pauses():
        if pause.queue is not None or pause.by:  # what holds a type and is no person's is a breaker, named below
            click.echo(click.style(f"{described(pause)}.", fg="yellow"))
    for breaker in manager.breakers.states():
        click.echo(click.style(told(breaker), fg=None if breaker.state == CLOSED else "yellow"))
    if number := manager.batches.open():
        click.echo(f"{number:,} {'batch is' if number == 1 else 'batches are'} not done yet: flask queues batches")
    click.echo()
    print_workers(manager, counts.statuses["pending"])


def told(breaker: BreakerState) -> str:
    """A circuit breaker in a line."""
    what = f"Circuit breaker of {breaker.type}{f' ({breaker.key})' if breaker.key else ''} is {breaker.state}"
    row = "1 failure" if breaker.failures == 1 else f"{breaker.failures} failures in a row"
    if breaker.trial is not None:
        what += f" job {breaker.trial}"
    elif breaker.until is not None:
        what += f" until {local(breaker.until)}" if breaker.state == OPEN else " the next job"
    return printable(f"{what}: {row}, the last one {breaker.error}.")


def shown(number: int) -> str:
    """A count; zeros step back."""
    return f"{number:,}" if number else click.style("0", dim=True)


def print_workers(manager: Manager, pending: int) -> None:
    """Print who works, or that nobody does."""
    workers, now = manager.workers(), manager.now()
    if not any(state(manager, worker, now) in ("working", "idle", "quiet") for worker in workers):
        waits = f" {pending:,} {'job waits' if pending == 1 else 'jobs wait'}." if pending else ""
        click.echo(f"No worker runs.{waits} Start one with: flask queues work")
    if workers:
        rows = [worker_row(manager, worker, now) for worker in workers]
        click.echo(table(["Worker", "Status", "Busy", "Memory", "Heartbeat", "Queues"], rows, right=(2, 3)))


def worker_row(manager: Manager, worker: WorkerRecord, now: datetime) -> list[str]:
    """A worker's line."""
    busy = sum(1 for child in worker.children if child.jobs)
    memory = sum(child.memory or 0 for child in worker.children)
    return [
        worker.name if worker.damage else f"{worker.host} {worker.pid}",
        state(manager, worker, now),
        f"{busy} of {len(worker.children)}",
        f"{memory:.0f} MB" if memory else "",
        f"{worker.silence(now):.0f} s ago",
        ", ".join(worker.queues) or "all",
    ]
