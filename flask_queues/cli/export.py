"""`flask queues export` and `reproduce`: jobs for other programs, and for a test."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from flask.cli import with_appcontext

from ..manager import Manager
from ..record import JobRecord, Status
from ..reproducing import as_test
from ..shapes import job_fields, log_fields, open_job_fields, secrets_of
from .jobs import NOTHING_MATCHED, this_manager
from .text import escaped


@click.command()
@click.option("--status", "statuses", multiple=True, type=click.Choice([str(status) for status in Status]))
@click.option("--queue", help="Only of this queue.")
@click.option("--type", "type_", help="Only of this job type.")
@click.option("--tag", help="Only with this tag.")
@click.option("--cause", help="Only of this cause, as `causes` names it.")
@click.option("--error", help="Only after this error, by its class.")
@click.option("--text", help="Only with this text in id, type, tags, payload or error.")
@click.option("--log", "with_log", is_flag=True, help="With what each has logged.")
@click.option("--secrets", is_flag=True, help="Hide nothing.")
@with_appcontext
def export(statuses: tuple[str, ...], type_: str | None, with_log: bool, secrets: bool, **filters: str | None) -> None:
    """Write jobs as lines of JSON, each as `show --json` has it; those first that came last into their status.

    Jobs that change meanwhile may come twice, or not at all; ended ones stay where they are.
    """
    manager = this_manager()
    number = 0
    for number, record in enumerate(manager.every(statuses=statuses, type=type_, **filters), 1):  # noqa: B007
        click.echo(line(manager, record, with_log=with_log, secrets=secrets))
    if not number:
        click.echo("No job matches.", err=True)
        sys.exit(NOTHING_MATCHED)


@click.command()
@click.argument("job_id", metavar="ID")
@with_appcontext
def reproduce(job_id: str) -> None:
    """Print a test for pytest that does what a failed job did.

    It uses the fixtures `queues_app` and `queues_fake`. What is secret in the payload is left out, and named.
    """
    manager = this_manager()
    click.echo(as_test(manager, manager.find(job_id)), nl=False)


def line(manager: Manager, record: JobRecord, *, with_log: bool, secrets: bool) -> bytes:
    """A job as a line, in UTF-8 whatever the terminal speaks."""
    fields: dict[str, Any] = (open_job_fields if secrets else job_fields)(manager, record)
    if with_log:
        hidden, known = manager.sensitive(record.type), secrets_of(manager, record)
        fields["log"] = [log_fields(one, hidden, known, plain=secrets) for one in manager.logs(record.id)]
    return escaped(json.dumps(fields, ensure_ascii=False, separators=(",", ":"))).encode("utf-8", "backslashreplace")
