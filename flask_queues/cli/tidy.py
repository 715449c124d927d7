"""Commands that delete many jobs: clear and flush."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from ..config import check_queue_name
from ..manager import current_queues
from ..options import check_seconds
from ..record import Status
from .jobs import NOTHING_MATCHED, finish
from .noting import note


@click.command()
@click.option("--hours", type=click.FloatRange(min=0), required=True, help="Only jobs that ended so long ago.")
@click.option("--completed", is_flag=True, help="Only completed jobs.")
@click.option("--failed", is_flag=True, help="Only failed jobs.")
@click.option("--cancelled", is_flag=True, help="Only cancelled jobs.")
@with_appcontext
def clear(hours: float, completed: bool, failed: bool, cancelled: bool) -> None:
    """Delete ended jobs with their logs; all of them, or those of the statuses named."""
    check_seconds("--hours", hours * 3600)
    named = {Status.COMPLETED: completed, Status.FAILED: failed, Status.CANCELLED: cancelled}
    statuses = [status for status, wanted in named.items() if wanted] or list(named)
    counts = current_queues.counts().statuses
    total = sum(counts[status.value] for status in statuses)
    deleted = count_with_bar(current_queues.clear_slices(hours, statuses), total)
    if deleted:
        note("clear", "jobs", " ".join(f"status:{status}" for status in statuses), deleted, f"{hours:g} h")
    finish(deleted, "deleted", f"No such job ended more than {hours:g} hours ago.")


@click.command()
@click.option("--queue", help="Only this queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def flush(queue: str | None, yes: bool) -> None:
    """Delete every job that is not running: waiting, scheduled and ended ones."""
    if queue is not None:
        check_queue_name("--queue", queue)
    counts = current_queues.counts()
    numbers = counts.queues.get(queue, {}) if queue else counts.statuses
    total = sum(n for status, n in numbers.items() if status != Status.RUNNING.value)
    where = f"the queue {queue}" if queue else "all queues"
    if not total:
        click.echo(f"No job to delete in {where}.", err=True)
        sys.exit(NOTHING_MATCHED)
    waiting = numbers["pending"] + numbers["scheduled"]
    question = f"Delete {total:,} jobs of {where}, {waiting:,} of which have not run yet?"
    if not yes and not click.confirm(question, err=True):
        click.echo("Nothing was deleted.", err=True)
        sys.exit(1)
    statuses = [status for status in Status if status is not Status.RUNNING]
    deleted = count_with_bar(current_queues.clear_slices(0, statuses, queue), total)
    if deleted:
        note("flush", *(("queue", queue) if queue else ("jobs", "")), deleted)
    finish(deleted, "deleted", "Nothing was deleted.")


def count_with_bar(slices: Iterator[int], total: int) -> int:
    """Go through the slices with a progress bar; returns how many jobs they were."""
    deleted = 0
    with click.progressbar(length=total, label="Deleting", file=sys.stderr) as bar:
        for count in slices:
            deleted += count
            bar.update(count)
    return deleted
