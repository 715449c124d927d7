"""Commands to workers that run: quiet, restart, stacks."""

from __future__ import annotations

import sys
import time
from datetime import datetime

import click
from flask.cli import with_appcontext

from ..errors import OptionError
from ..manager import Manager
from ..record import WorkerRecord
from ..shapes import state
from .jobs import NOTHING_MATCHED, this_manager
from .noting import note
from .text import printable

#: Seconds between two looks at whether a worker has answered.
LOOK = 0.1


@click.command()
@click.argument("worker", metavar="[WORKER]", required=False)
@click.option("--off", is_flag=True, help="Let it take jobs again.")
@click.option("--wait", is_flag=True, help="Return when nothing that it had in hand runs any more.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), help="With --wait: give up after so many seconds; it stays quiet."
)
@with_appcontext
def quiet(worker: str | None, off: bool, wait: bool, timeout: float | None) -> None:
    """Let a worker, or all that run now, take no more jobs and finish what is in hand.

    WORKER is its name, host, process number or `host:process`. It goes on firing schedules and rescuing, until it is
    stopped or told to take jobs again. A worker that is started later takes jobs.
    """
    if off and wait:
        raise click.UsageError("--wait waits for workers that take nothing more; it does not go with --off.")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait.")
    manager = this_manager()
    chosen = those_called(manager, worker)
    manager.be_quiet([one.name for one in chosen], quiet=not off)
    say("quiet" if not off else "go on", chosen, "takes jobs again" if off else "takes nothing more")
    if wait:
        wait_for_rest(manager, {one.name for one in chosen}, timeout)
        click.echo("Nothing is in hand any more.")


@click.command()
@click.argument("worker", metavar="[WORKER]", required=False)
@with_appcontext
def restart(worker: str | None) -> None:
    """Replace the processes of a worker, or of all that run, one after another, each when its job has ended.

    They begin with the code that the worker has loaded. For new code, start another worker and stop this one.
    """
    manager = this_manager()
    chosen = those_called(manager, worker)
    manager.restart([one.name for one in chosen])
    say("restart", chosen, "replaces its processes")


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--wait", type=click.FloatRange(min=0), default=10, show_default=True, help="Seconds to wait for it.")
@with_appcontext
def stacks(job_id: str, wait: float) -> None:
    """Print where a running job is now: the stacks of its process, whatever it hangs in."""
    manager = this_manager()
    asked, until = manager.ask_picture(job_id).asked, time.monotonic() + wait
    while True:
        picture = manager.orders().pictures.get(job_id)
        if picture is not None and picture.asked == asked and picture.taken is not None:
            break
        if time.monotonic() > until:
            raise OptionError(
                f"Nobody has shown what job {job_id} does: it has ended meanwhile, runs in the foreground or on a "
                "system without signals, or its worker is busy or gone."
            )
        time.sleep(LOOK)
    if not picture.text:
        raise OptionError(f"The process of job {job_id} did not answer: it is stopped, or waits for a disk.")
    click.echo(printable(picture.text), nl=False)


def wait_for_rest(manager: Manager, names: set[str], timeout: float | None) -> None:
    """Return when these workers have nothing in hand, or are gone; raises `OptionError` after so many seconds."""
    until = None if timeout is None else time.monotonic() + timeout
    empty: dict[str, datetime] = {}
    while busy := [one for one in those_that_run(manager) if one.name in names and not rests(one, empty)]:
        if until is not None and time.monotonic() > until:
            jobs = " ".join(job for one in busy for child in one.children for job in child.jobs)
            raise OptionError(f"Still in hand after {timeout:g} s: {jobs or 'what was claimed last'}. Wait again.")
        time.sleep(LOOK)


def rests(worker: WorkerRecord, empty: dict[str, datetime]) -> bool:
    """Whether a worker has nothing in hand over two signs of life: what it claimed last is known by the second."""
    if not worker.quiet or any(child.jobs for child in worker.children):
        empty.pop(worker.name, None)
        return False
    return worker.heartbeat > empty.setdefault(worker.name, worker.heartbeat)


def those_that_run(manager: Manager) -> list[WorkerRecord]:
    """The workers that have not vanished."""
    now = manager.now()
    return [one for one in manager.workers() if state(manager, one, now) not in ("lost", "damaged")]


def those_called(manager: Manager, word: str | None) -> list[WorkerRecord]:
    """The workers that are meant; ends the command where there is none."""
    found = [
        one
        for one in those_that_run(manager)
        if word in (None, one.name, one.host, str(one.pid), f"{one.host}:{one.pid}")
    ]
    if not found:
        click.echo("No worker runs." if word is None else f"No worker {printable(word)} runs.", err=True)
        sys.exit(NOTHING_MATCHED)
    return found


def say(action: str, workers: list[WorkerRecord], what: str) -> None:
    """Say what each was asked, and keep who asked."""
    for one in workers:
        note(action, "worker", one.name)
        click.echo(f"{one.host} {one.pid}  {what}")
