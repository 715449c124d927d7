"""The pages: each asks its read function and renders it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..activity import Act
from ..errors import JobNotFound
from ..manager import current_queues
from ..masking import MASK, masked
from ..record import Attempt, JobRecord, LogLine, Outcome, Status
from ..reproducing import as_test
from ..shapes import log_fields, masked_error, secrets_of, unique_key_shown
from ..storage.unique import was_replaced
from . import charts, reads, stacks, words
from .address import asked_listing
from .changes import can_change
from .deeds import IN_ROWS, SPREADS, for_status
from .formats import now
from .listing import PAGES, Filters, Listing, listing
from .metrics import RANGE, Asked, Figures, axis_places
from .mistakes import QueueNotFound
from .pausing import LASTS
from .payloads import Difference, read_lines
from .prospects import Prospects, last_push, next_occurrence
from .render import page
from .routes import ADDRESSES
from .sentences import what_next
from .sorting import Order, in_order
from .trace import blocks

#: The script tells which rows it shows, so that it can be told what became of them.
ROWS_HEADER = "X-Queues-Rows"
#: Lines of a log that stand on a page, and those that are handed out as text.
LOG, ALL_LINES = 500, 100_000
#: Levels of lines, the mildest first.
LEVELS = ("debug", "info", "warning", "error", "critical")
#: What people did with a job, as far as it stands on its page.
ACTS = 20
ORDERS: dict[str, Order[reads.QueueRow]] = {
    "pending": Order(lambda row: row.counts["pending"]),
    "name": Order(lambda row: row.name, falling=False),
}
#: Bytes of JSON that are shown unfolded.
FOLD = 4096
#: Bytes of a payload that is laid out as code.
LAID_OUT = 65_536


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("", "root_bare", root)
    blueprint.add_url_rule("/", "root", root)
    for status, path in ADDRESSES.items():
        blueprint.add_url_rule(path, f"list_{status}", list_view(status))
    blueprint.add_url_rule("/jobs/<job_id>", "job", job)
    blueprint.add_url_rule("/jobs/<job_id>/log.txt", "job_log", log_as_text)
    blueprint.add_url_rule("/queues", "queues", queues)
    blueprint.add_url_rule("/queues/<name>", "queue", queue)


def root() -> ResponseReturnValue:
    """The page that people open first."""
    return redirect(url_for("queues.list_pending"), 302)


def list_view(status: Status) -> Any:
    """The list of one status."""

    def view() -> ResponseReturnValue:
        overview = reads.Overview.read(current_queues, now())
        listed = asked_listing(current_queues, overview.counts, status)
        return page(
            f"list_{status}.html",
            overview=overview,
            listing=listed,
            rows=listed.jobs,
            status=status,
            actions=for_status(status),
            row_actions=[action for action in for_status(status) if action.name in IN_ROWS[status]],
            spreads=SPREADS if status is Status.FAILED else (),
            moved=rows_that_left(listed),
            prospects=prospects(overview, listed),
            last_push=partial(last_push, current_queues),
            next_occurrence=partial(next_occurrence, current_queues),
        )

    return view


def prospects(overview: reads.Overview, listed: Listing) -> Prospects | None:
    """What may be expected of the jobs of a page, where they wait for a worker."""
    if listed.status is not Status.PENDING:
        return None
    return Prospects.read(current_queues, overview, listed)


def rows_that_left(listed: Listing) -> list[JobRecord | str]:
    """What became of the rows that the script still shows; the id alone where the job is gone."""
    here = {record.id for record in listed.jobs}
    shown = [one for one in request.headers.get(ROWS_HEADER, "").split(",") if one and one not in here]
    return [found_or_id(job_id) for job_id in shown[: max(PAGES)]]


def found_or_id(job_id: str) -> JobRecord | str:
    """A job, or its id where it is not there."""
    try:
        return current_queues.find(job_id)
    except JobNotFound:
        return job_id


def job(job_id: str) -> ResponseReturnValue:
    """One job, for somebody who looks for the cause of something."""
    record, lines = reads.one_job(current_queues, job_id)
    overview = reads.Overview.read(current_queues, now())
    hidden, secrets = current_queues.sensitive(record.type), secrets_of(current_queues, record)
    neighbours = reads.neighbours(current_queues, record)
    acts = current_queues.acts_on("job", record.id)[:ACTS]
    return page(
        "job.html",
        overview=overview,
        record=record,
        status=record.status,
        actions=for_status(record.status),
        changeable=can_change(record),
        unique_key=unique_key_shown(record, secrets),
        acts=acts,
        next_sentence=what_next(current_queues, record, overview),
        alike=reads.alike(current_queues, record),
        batch=reads.batch_of(current_queues, record),
        neighbours=neighbours,
        before=next((job for way, job in neighbours if way == "before"), None),
        origin_job=reads.origin_job(current_queues, record),
        scheduled=reads.is_of_a_schedule(current_queues, record),
        followers=reads.followers(current_queues, record),
        replaced=was_replaced(record.reason),
        runs=[run_view(record, attempt, secrets) for attempt in reversed(record.history)],
        total_run=sum(((one.ended or now()) - one.started).total_seconds() for one in record.history),
        changed=changes_of(record, acts),
        payload=json_view(masked(record.payload, hidden)),
        result=json_view(masked(record.result, hidden)) if record.result is not None else None,
        log=log_views(chosen_lines(record, lines), hidden, secrets),
        lines=len(lines),
        levels=[level for level in LEVELS if any(line.level == level for line in lines)],
        asked=asked_of_log(),
        stacks=stacks.of_job(current_queues, record),
        usual=reads.usual_times(current_queues, record.type),
        test=test_of(record),
    )


def changes_of(record: JobRecord, acts: Sequence[Act]) -> list[tuple[Act, int, list[Difference]]]:
    """How its payload was changed, the last change first: by whom, before which run, and what of it."""
    return [
        (act, 1 + sum(attempt.started <= act.when for attempt in record.history), list(read_lines(act.reason)))
        for act in acts
        if act.action == "change"
    ]


def test_of(record: JobRecord) -> str | None:
    """A failed job as a test; a large payload takes its time to be laid out, and is left to the terminal."""
    if record.status is not Status.FAILED or record.error is None:
        return None
    return as_test(current_queues, record) if len(json.dumps(record.payload)) <= LAID_OUT else None


def run_view(record: JobRecord, attempt: Attempt, secrets: set[str]) -> dict[str, Any]:
    """One run with its error read, and how long the job had waited before it."""
    error = masked_error(attempt.error, secrets) if attempt.error else None
    before = [other for other in record.history if other.run < attempt.run]
    since = (before[-1].ended if before else max(record.created, min(record.due, attempt.started))) or attempt.started
    return {
        "attempt": attempt,
        "error": error._replace(message=words.reason_text(error.message)) if error else None,
        "blocks": blocks(error.traceback, current_queues.root) if error else [],
        "waited": attempt.started - since,
        "backoff": bool(before) and backed_off(record, before[-1]),
    }


def backed_off(record: JobRecord, failed: Attempt) -> bool:
    """Whether a job waited for its next try after this run; not where somebody has retried it since."""
    if failed.outcome not in (Outcome.FAILED, Outcome.TIMED_OUT):
        return False
    since = [run for run in record.history if run.run >= failed.run and run.outcome is not None and run.outcome.counted]
    return len(since) <= record.attempts


def json_view(value: Any) -> dict[str, Any]:
    """A value as it is stored, and whether it is too long to stand unfolded."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return {"text": text, "size": size, "folded": size > FOLD, "masked": MASK if MASK in text else ""}


def asked_of_log() -> dict[str, str]:
    """Of which run, and of which level on, lines are wanted, as the address says."""
    return {name: request.args[name][:16] for name in ("run", "level") if request.args.get(name)}


def chosen_lines(record: JobRecord, lines: list[LogLine]) -> list[LogLine]:
    """Those lines that are wanted; all where nothing is, or what there is not."""
    run, level = request.args.get("run", type=int), request.args.get("level", "")
    if run in {attempt.run for attempt in record.history}:
        lines = [line for line in lines if line.run == run]
    if level in LEVELS:
        wanted = LEVELS[LEVELS.index(level) :]
        lines = [line for line in lines if line.level in wanted]
    return lines


def log_as_text(job_id: str) -> ResponseReturnValue:
    """Every line that is kept of a job's log, secrets hidden, for whoever wants to search or keep it."""
    record, lines = current_queues.find(job_id), current_queues.logs(job_id, ALL_LINES)
    hidden, secrets = current_queues.sensitive(record.type), secrets_of(current_queues, record)
    texts = [text_line(log_view(log_fields(line, hidden, secrets), line)) for line in lines]
    return Response("".join(texts), mimetype="text/plain")


def text_line(view: dict[str, Any]) -> str:
    """One line of a log as text."""
    context = "".join(f"  {name}={value}" for name, value in view["context"].items())
    return f"{view['time']}  {view['run']}  {view['level']:8}  {view['message']}{context}\n"


def log_views(lines: list[LogLine], hidden: frozenset[str], secrets: set[str]) -> list[dict[str, Any]]:
    """The newest lines of a log, in their order, secrets hidden."""
    return [log_view(log_fields(line, hidden, secrets), line) for line in lines[-LOG:]]


def log_view(fields: dict[str, Any], line: LogLine) -> dict[str, Any]:
    """One line of a log; values by name that are no texts stand as JSON."""
    context = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in fields["context"].items()
    }
    return {**fields, "context": context, "moment": line.time}


def queues() -> ResponseReturnValue:
    """All queues."""
    overview = reads.Overview.read(current_queues, now())
    order = in_order(rows_of_queues(overview), ORDERS)
    day = current_queues.report("24h").whole
    return page(
        "queues.html",
        overview=overview,
        rows=order.rows,
        failed={row.name: day.some(row.name, None).failed for row in order.rows},
        order=order,
        breakers=current_queues.breakers.states(),
        charts=charts,
    )


def rows_of_queues(overview: reads.Overview) -> list[reads.QueueRow]:
    """All queues at one glance."""
    forecast = overview.forecast(current_queues)
    return reads.queue_rows(current_queues, overview.counts, overview.fleet, forecast)


def queue(name: str) -> ResponseReturnValue:
    """One queue with the jobs that wait in it."""
    overview = reads.Overview.read(current_queues, now())
    rows = {row.name: row for row in rows_of_queues(overview)}
    if name not in rows:
        raise QueueNotFound
    filters = Filters(queue=name)
    listed = listing(current_queues, overview.counts, Status.PENDING, filters, None, 0, 20)
    figures = Figures(current_queues.report(RANGE), Asked(RANGE, name, None))
    return page(
        "queue.html",
        overview=overview,
        row=rows[name],
        listing=listed,
        status=Status.PENDING,
        lasts=LASTS,
        figures=figures,
        places=axis_places(figures.report),
        charts=charts,
    )
