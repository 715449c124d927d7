"""Commands on single jobs: push, show, run, retry, hurry, cancel."""

from __future__ import annotations

import cProfile
import json
import os
import sys
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from ..errors import OptionError, PayloadError, QueuesError
from ..manager import Manager, current_queues
from ..record import Attempt, ChainPlace, JobRecord, LogLine, Status
from ..shapes import job_fields, log_fields, masked_error, secrets_of
from ..storage.unique import was_replaced
from ..transitions import read_error
from ..worker import run_in_foreground
from ..worker.profiling import table
from .noting import note
from .text import coloured, dump, local, printable

NOTHING_MATCHED = 3
#: Functions of a profile that are printed, those first in which most time went.
PROFILED = 40
PAYLOAD_FORM = """It takes an object, such as --payload '{"id": 7}'."""


@click.command()
@click.argument("type_string", metavar="TYPE")
@click.option("--payload", default="{}", help="The arguments as a JSON object; - reads it from standard input.")
@click.option("--queue", help="Over what the job type says.")
@click.option("--priority", type=int, help="-100 to 100, higher first.")
@click.option("--delay", type=float, help="Seconds before it may start.")
@click.option("--at", help="When it may start: ISO 8601 with a zone, 2026-12-24T18:00:00+01:00.")
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@click.option(
    "--expires", type=float, metavar="SECONDS", help="Cancelled where it has not begun so long after its time."
)
@click.option("--tries", type=int, help="How many runs may fail.")
@click.option("--timeout", type=float, metavar="SECONDS", help="How long one run may take.")
@click.option(
    "--backoff", type=float, multiple=True, metavar="SECONDS", help="Before the next try; one for each, if several."
)
@click.option("--retry-for", type=float, metavar="SECONDS", help="For so long no failure ends it, whatever its tries.")
@click.option("--profile", is_flag=True, default=None, help="Let its log tell where the time of each run went.")
@click.option("--unique", is_flag=True, default=None, help="Only where no other with this payload is in its queue.")
@click.option("--unique-key", metavar="KEY", help="The same, for others with this key.")
@click.option("--unique-until", type=click.Choice(["start", "end"]), help="Until it starts, or ends (as usual).")
@click.option("--replace", is_flag=True, default=None, help="Take the place of the other, if that waits.")
@click.option("--debounce", type=float, metavar="SECONDS", help="Start so long after the last push of its kind, once.")
@click.option("--throttle", type=float, metavar="SECONDS", help="Leave it out so long after another of its kind.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@with_appcontext
def push(
    type_string: str,
    payload: str,
    at: str | None,
    as_json: bool,
    unique: bool | None,
    unique_key: str | None,
    backoff: tuple[float, ...],
    **options: Any,
) -> None:
    """Push a job and print its id; where another holds its unique key, the id of that."""
    if unique and unique_key is not None:
        raise click.UsageError("--unique goes by the payload, --unique-key by a key; give one of them.")
    manager = this_manager()
    options |= {"at": read_time(at), "unique": unique_key or unique, "backoff": backoff or None, "after_commit": False}
    handle = manager.push(type_string, read_payload(payload), **options)
    if not handle.created:
        click.echo("Nothing was pushed: this job is there already.", err=True)
    click.echo(dump(job_fields(manager, handle.record)) if as_json else handle.id)


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON, with its log.")
@with_appcontext
def show(job_id: str, as_json: bool) -> None:
    """Show all that is kept of a job."""
    manager = this_manager()
    record, logs = manager.find(job_id), manager.logs(job_id)
    if as_json:
        hidden, secrets = manager.sensitive(record.type), secrets_of(manager, record)
        lines = [log_fields(line, hidden, secrets) for line in logs]
        click.echo(dump({**job_fields(manager, record), "log": lines}))
    else:
        print_job(manager, record, logs)


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--profile", is_flag=True, help="Print where its time went, as Python's own profiler has it.")
@with_appcontext
def run(job_id: str, profile: bool) -> None:
    """Run one job here, in the foreground and without a time limit, as for a debugger.

    The job counts as running meanwhile and is settled like any other. A failed or cancelled job is
    retried by this. Exit code 1 where it did not complete.
    """
    manager, spent = this_manager(), cProfile.Profile()
    if profile:
        manager.wrappers.append(lambda _job: spent)
    settlement = run_in_foreground(manager, job_id)
    if profile:
        click.echo(printable(table(spent, PROFILED)), err=True)
    if (error := read_error(settlement.error)) is not None:
        error = masked_error(error, secrets_of(manager, manager.find(job_id)))
        click.echo(printable(error.traceback or str(error)), err=True)
    record = manager.find(job_id)
    click.echo(f"Job {record.id} is {coloured(record.status)}.")
    sys.exit(0 if record.status is Status.COMPLETED else 1)


@click.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every failed job that the filters let through.")
@click.option("--queue", help="With --all: only of this queue.")
@click.option("--type", "type_", help="With --all: only of this job type.")
@click.option("--tag", help="With --all: only with this tag.")
@click.option("--cause", help="With --all: only of this cause, as `causes` names it.")
@click.option("--error", help="With --all: only after this error, by its class.")
@click.option(
    "--spread",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="With --all: not at once, but evenly over so long.",
)
@with_appcontext
def retry(job_ids: tuple[str, ...], everything: bool, type_: str | None, spread: float, **filters: str | None) -> None:
    """Give failed or cancelled jobs all their tries again."""
    manager = this_manager()
    filters["type"] = type_
    if everything == bool(job_ids):
        raise click.UsageError("Name jobs by their ids, or use --all.")
    if not everything:
        if any(filters.values()) or spread:
            raise click.UsageError("--queue, --type, --tag, --cause, --error and --spread go with --all.")
        each("retry", job_ids, manager.retry, "pending again")
        return
    failed = manager.counts().statuses["failed"]
    count = 0
    with click.progressbar(
        manager.retry_each(spread=spread, **filters), length=failed, label="Retrying", file=sys.stderr
    ) as ids:
        for count, _ in enumerate(ids, 1):  # noqa: B007 - the last count is what is wanted
            pass
    if count:
        note("retry", "jobs", " ".join(f"{name}:{value}" for name, value in filters.items() if value), count)
    finish(count, f"scheduled again, over {spread:g} s" if spread else "pushed again", "No failed job matches.")


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_appcontext
def hurry(job_ids: tuple[str, ...]) -> None:
    """Let jobs that wait be the next ones of their queues, before higher priorities too.

    The last one named comes first. Pauses and limits hold them all the same.
    """
    each("run", job_ids, this_manager().hurry, "first in its line")


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", default="", help="Kept with the job.")
@with_appcontext
def cancel(job_ids: tuple[str, ...], reason: str) -> None:
    """Cancel jobs: those that wait at once, those that run by asking them to end."""
    manager = this_manager()
    reason = reason or f"cancelled by {os.environ.get('USER', 'somebody')} at the terminal"

    def cancel_one(job_id: str) -> None:
        if not manager.cancel(job_id, reason):
            raise OptionError(f"Job {job_id} is {manager.find(job_id).status} already.")

    each("cancel", job_ids, cancel_one, "cancelled, or asked to end")


def this_manager() -> Manager:
    """The manager of the application that the command line has loaded."""
    manager: Manager = current_queues._get_current_object()  # type: ignore[attr-defined]
    return manager


def each(action: str, job_ids: tuple[str, ...], act: Any, done: str) -> None:
    """Do something with each job; what is wrong with one does not keep the others from it."""
    wrong = 0
    for job_id in job_ids:
        try:
            act(job_id)
        except QueuesError as error:
            wrong += 1
            click.echo(f"Error: {error}", err=True)
        else:
            note(action, "job", job_id, 1)
            click.echo(f"{job_id}  {done}")
    if wrong:
        sys.exit(1)


def finish(count: int, done: str, nothing: str) -> None:
    """Say how many it were; an exit code of its own says that nothing matched."""
    if not count:
        click.echo(nothing, err=True)
        sys.exit(NOTHING_MATCHED)
    click.echo(f"{count:,} {'job was' if count == 1 else 'jobs were'} {done}.")


def read_payload(text: str) -> dict[str, Any]:
    """Read the arguments, from standard input where the text is a dash."""
    try:
        payload = json.loads(sys.stdin.read() if text == "-" else text)
    except RecursionError as error:
        raise PayloadError("--payload is nested too deeply.") from error
    except ValueError as error:
        raise PayloadError(f"--payload is not JSON: {error}. {PAYLOAD_FORM}") from error
    if not isinstance(payload, dict):
        raise PayloadError(f"--payload is not a JSON object of arguments by name. {PAYLOAD_FORM}")
    return payload


def read_time(text: str | None) -> datetime | None:
    """Read a time of the command line."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    except ValueError as error:
        raise OptionError(f"--at {text!r} is not a time such as 2026-12-24T18:00:00+01:00.") from error


def print_job(manager: Manager, record: JobRecord, logs: list[LogLine]) -> None:
    """Print a job for a person."""
    fields, until = job_fields(manager, record), manager.retry_until_of(record)
    click.echo(f"{click.style(printable(fields['name']), bold=True)}  {record.id}  {coloured(record.status)}")
    facts = {
        "Type": record.type,
        "Queue": f"{record.queue}, priority {record.priority}",
        "Why": fields["reason"] or record.held,
        "Chain": chain_words(record.chain, record.status) if record.chain else "",
        "Then": follower_words(record),
        "Batch": record.batch,
        "Unique": fields["unique_key"],
        "Tags": ", ".join(record.tags),
        "Pushed": local(record.created),
        "By": f"{record.origin.kind} {record.origin.name}" if record.origin else "",
        "Occurs": f"of a schedule, for {local(record.occurrence)}" if record.occurrence else "",
        "Due": local(record.due) if record.status is Status.SCHEDULED else "",
        "Started": local(record.started),
        "Ended": local(record.finished),
        "Attempts": f"{record.attempts} of {fields['tries']}",
        "Until": f"no failure ends it before {local(until)}" if until and not record.status.final else "",
        "Progress": progress_words(fields["progress"]),
        "Worker": record.worker,
        "Request": record.request_id,
        "Language": record.locale,
        "Payload": json.dumps(fields["payload"], ensure_ascii=False),
        "Result": json.dumps(fields["result"], ensure_ascii=False) if record.result is not None else "",
    }
    for name, value in facts.items():
        if value:
            click.echo(f"  {name:9} {printable(str(value))}")
    hidden, secrets = manager.sensitive(record.type), secrets_of(manager, record)
    print_runs(record.history, secrets)
    print_log([{**log_fields(line, hidden, secrets), "moment": line.time} for line in logs])


def progress_words(progress: dict[str, Any] | None) -> str:
    """How far a job is."""
    return f"{progress['percent']:g} % {progress['message']}" if progress else ""


def chain_words(place: ChainPlace, status: Status) -> str:
    """Say where a job stands in its chain, what it came after, and what comes after its end, if all goes well."""
    follows = place.after(status) if status.final else place.on_success
    before = f", after {place.before}" if place.before else ""
    return f"link {place.at} of {place.of} of {place.id}{before}{f', then {follows}' if follows else ''}"


def follower_words(record: JobRecord) -> str:
    """Say what was let follow a job, and that it does not come where another job took the place of this one."""
    said = ", ".join(f"{one.type} {one.id} (on {one.on})" for one in record.followers)
    return f"{said}: not any more, since another job took the place" if said and was_replaced(record.reason) else said


def print_runs(history: tuple[Attempt, ...], secrets: set[str]) -> None:
    """Print every run with its error; only the last one's traceback in full."""
    if history:
        click.echo(click.style("\nRuns", bold=True))
    for attempt in history:
        took = f"{(attempt.ended - attempt.started).total_seconds():.3f} s" if attempt.ended else "running"
        error = f"  {printable(str(masked_error(attempt.error, secrets)))}" if attempt.error else ""
        release = f"  (release {printable(attempt.release)})" if attempt.release else ""
        how = f"{attempt.outcome or ''}{release}{memory_words(attempt)}"
        click.echo(f"  {attempt.run}  {local(attempt.started)}  {took}  {how}{error}")
    if history and history[-1].error and history[-1].error.traceback:
        click.echo("\n" + printable(masked_error(history[-1].error, secrets).traceback))


def memory_words(attempt: Attempt) -> str:
    """What the process of a run held at its highest, if that was measured."""
    memory = attempt.memory
    return f"  (up to {memory.most:,.0f} MB, {memory.more:,.0f} MB more than before)" if memory else ""


def print_log(logs: list[dict[str, Any]]) -> None:
    """Print what the job logged."""
    if logs:
        click.echo(click.style("\nLog", bold=True))
    for line in logs:
        context = "  ".join(f"{name}={value}" for name, value in line["context"].items())
        click.echo(
            f"  {line['moment'].astimezone():%H:%M:%S.%f}"[:-3]
            + f"  {line['level']:8}  {printable(line['message'])}  {click.style(printable(context), dim=True)}".rstrip()
        )
