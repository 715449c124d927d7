"""How a record is written and read: one string, to which the scripts add a line for each event.

The first line is the scripts': the stem, when the job was pushed and, where they are others, when it is
due and until when it may begin. The second holds what the push said beside the payload, nothing where
it said nothing. The third is the payload. Then an event each: `S` for a claim that was settled, `C` for
a job that was cancelled while it waited, `Y` for one that was retried. `lib.lua` explains stem and claim.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from ...damaged import NO_OPTIONS, whole, whole_line
from ...record import (
    Attempt,
    JobError,
    JobRecord,
    LogLine,
    Memory,
    Outcome,
    Progress,
    Status,
    fields_of_push,
    to_datetime,
    to_milliseconds,
)
from ..limits import Limit
from ..parcels import Parcel
from ..stops import held_back
from ..unique import Unique
from ..values import Claim, NewJob

#: Statuses by the digit that stands for each.
STATUSES = {
    "0": Status.PENDING,
    "1": Status.RUNNING,
    "2": Status.SCHEDULED,
    "3": Status.COMPLETED,
    "4": Status.FAILED,
    "5": Status.CANCELLED,
}
DIGITS = {status: digit for digit, status in STATUSES.items()}


NOTHING_SAID: dict[str, Any] = {}
#: Characters of options, or of the line they stand in, that may be written or read once for many jobs.
SHORT = 200


def dump(value: Any) -> str:
    """Write a value as JSON text in one line, free of tabs."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def one_line(text: str | None) -> str:
    """Bring JSON text into one line: line ends and tabs can only stand between its tokens."""
    if text is None:
        return ""
    return text if text.isprintable() else text.replace("\n", " ").replace("\r", " ").replace("\t", " ")


def quoted(text: str | None) -> str:
    """Write any text so that it can stand in a field; nothing for None."""
    return "" if text is None else json.dumps(text)


def unquoted(field: str) -> str | None:
    """Read what `quoted` wrote."""
    if not field:
        return None
    return json.loads(field) if "\\" in field else field[1:-1]


# A push


def pushed_text(job: NewJob | Parcel) -> str:
    """The lines of a record that a push writes."""
    said: dict[str, Any] = {}
    payload, options = job.payload, job.options
    if job.tags:
        said["tags"] = job.tags
    if options is not None:
        said["options"] = options
    if isinstance(job, Parcel) and job.changes:
        said["changes"] = job.changes
    if len(said) == 1 and options is not None and len(options) <= SHORT and "\n" not in payload:
        return f"{options_alone(options)}\n{payload}"
    if "\n" in payload:
        said["payload"], payload = payload, ""
    return f"{dump(said) if said else ''}\n{payload}"


@lru_cache(256)
def options_alone(options: str) -> str:
    """What most jobs say beside their payload, which most have in common."""
    return dump({"options": options})


def pushed_lines(text: str) -> str:
    """Those lines of a stored record."""
    return "\n".join(text.split("\n", 3)[1:3])


def with_payload(lines: str, payload: str) -> str:
    """The same lines with another payload."""
    head = lines.partition("\n")[0]
    said = json.loads(head) if head else {}
    said.pop("payload", None)
    if "\n" in payload:
        said["payload"], payload = payload, ""
    return f"{dump(said) if said else ''}\n{payload}"


def with_options(lines: str, options: str | None, changes: int) -> str:
    """The same lines with other options, which have been changed so often then."""
    head, _, payload = lines.partition("\n")
    said = json.loads(head) if head else {}
    said |= {"options": options, "changes": changes}
    if options is None:
        del said["options"]
    return f"{dump(said)}\n{payload}"


def push_arguments(job: NewJob, *, stray: bool) -> list[Any]:
    """What `read_job` of `lib.lua` reads."""
    return [
        job.id,
        job.type,
        pushed_text(job),
        f"{100 - job.priority:02x}",
        job.delay,
        "" if job.at is None else job.at,
        "" if job.expires is None else job.expires,
        "1" if stray else "",
        unique_text(job.unique),
        limits_text(job.limits),
        job.batch or "",
        "" if job.gather is None else f"{job.gather.size}\t{quoted(job.gather.group)}",
        len(job.tags),
        *job.tags,
    ]


def unique_text(unique: tuple[Any, ...] | None) -> str:
    """How a job is unique, as `read_unique` of `lib.lua` reads it."""
    if unique is None:
        return ""
    key, until, lasts, replace = Unique(*unique)
    return f"{until}\t{lasts}\t{int(replace)}\t{quoted(key)}"


def limits_text(limits: Iterable[Iterable[Any]]) -> str:
    """The limits of a job, as `read_limits` of `lib.lua` reads them: a line each."""
    return "\n".join(limit_text(Limit(*limit)) for limit in limits)


def limit_text(limit: Limit) -> str:
    """One of them; the group is nothing to `lib.lua`, but what has another is no longer just the same text."""
    kind, key, n, per, burst, group = limit
    return f"{kind} {quoted(key)}\t{kind}\t{n}\t{per}\t{burst}" + (f"\t{group}" if group else "")


def read_limits(text: str) -> Iterator[Limit]:
    """Read what `limits_text` wrote."""
    for line in text.split("\n") if text else ():
        gate, kind, n, per, burst, *group = line.split("\t")
        yield Limit(kind, unquoted(gate.partition(" ")[2]) or "", int(n), int(per), int(burst), "".join(group))


def memory_text(memory: Memory | None) -> str:
    """What a run held of memory, as its event ends; nothing where that was not measured."""
    return "" if memory is None else dump(memory)


def held_text(held: str, job_type: str) -> str | None:
    """Why a job is set aside: `1` for its type, or a gate."""
    if not held:
        return None
    kind, _, key = held.partition(" ")
    return held_back(job_type) if held == "1" else held_back(f"{kind} {unquoted(key)}")


def read_unique(text: str) -> Unique | None:
    """Read what `unique_text` wrote."""
    if not text:
        return None
    until, lasts, replace, key = text.split("\t")
    return Unique(unquoted(key) or "", until, int(lasts), replace == "1")


# Reading


class Run(NamedTuple):
    """One claim that was settled."""

    token: int
    status: Status
    ended: int
    started: int
    worker: str
    #: None where nothing ran.
    outcome: Outcome | None
    counted: bool
    due: int | None
    progress: str
    reason: str | None
    error: str
    result: str
    memory: Memory | None = None


class InHand(NamedTuple):
    """A claim in force."""

    token: int
    started: int
    #: `0` by itself, `1` ahead together with others, `2` along with a claim under limits.
    how: str
    due: int
    worker: str
    cancel: str | None
    progress: str


class Story(NamedTuple):
    """A record, taken apart."""

    number: str
    priority: int
    type: str
    created: int
    due: int
    expires: int | None
    tags: tuple[str, ...]
    options: str | None
    payload: str
    runs: list[Run]
    #: Since the push or the last retry by hand.
    attempts: int
    #: Why it was cancelled, or ended.
    reason: str | None
    #: When it came to its end, if it is at one.
    finished: int
    #: How often its options were changed.
    changes: int = 0


def tags_in(said: str) -> list[str]:
    """The tags in the second line of a record; those that cannot be read stay in their lists, and lead nowhere."""
    try:
        return list(json.loads(said).get("tags", ())) if said else []
    except (ValueError, TypeError, AttributeError):
        return []


def read_stem(stem: str) -> tuple[str, int, str]:
    """Number of the push, priority and type."""
    return stem[:11], 100 - int(stem[11:13], 16), stem[13:]


def read_story(text: str) -> Story:
    """Take a record apart."""
    place, head, payload, *events = text.split("\n")
    stem, created_, *rest = place.split("\t")
    number, priority, type_ = read_stem(stem)
    created = int(created_)
    due = int(rest[0]) if rest and rest[0] else created
    expires = int(rest[1]) if len(rest) > 1 else None
    said = read_said(head)
    runs: list[Run] = []
    attempts, finished = 0, 0
    reason: str | None = None
    for event in events:
        kind, *fields = event.split("\t")
        if kind == "S":
            run = read_run(fields)
            runs.append(run)
            attempts += run.counted
            due = due if run.due is None else run.due
            reason, finished = run.reason, run.ended
        elif kind == "C":
            reason, finished = unquoted(fields[3]), int(fields[0])
        else:
            due, expires, reason, attempts = int(fields[0]), None, None, 0
    return Story(
        number,
        priority,
        type_,
        created,
        due,
        expires,
        tuple(said.get("tags", ())),
        said.get("options"),
        said.get("payload", payload),
        runs,
        attempts,
        reason,
        finished,
        said.get("changes", 0),
    )


def read_said(head: str) -> dict[str, Any]:
    """Read the second line of a record; nobody may change what this returns."""
    if not head:
        return NOTHING_SAID
    return read_short(head) if len(head) <= SHORT else json.loads(head)


#: Most jobs have it in common.
read_short: Callable[[str], dict[str, Any]] = lru_cache(256)(json.loads)


def read_run(fields: list[str]) -> Run:
    """Read an `S` event."""
    token, status, ended, started, worker, outcome, counted, due, progress, reason, error, result, *memory = fields
    return Run(
        int(token),
        STATUSES[status],
        int(ended),
        int(started),
        json.loads(worker),
        Outcome(outcome) if outcome else None,
        counted == "1",
        int(due) if due else None,
        progress,
        unquoted(reason),
        error,
        result,
        Memory(*json.loads(memory[0])) if memory else None,
    )


def read_in_hand(claim: str) -> InHand:
    """Read a claim; one that cannot be read is nobody's, until the keeper has written it anew."""
    try:
        token, started, _, how, due, _, worker, _, cancel, progress = claim.split("\t")
        return InHand(int(token), int(started), how, int(due), unquoted(worker) or "", unquoted(cancel), progress)
    except ValueError:
        return InHand(0, 0, "0", 0, "", None, "")


def claim_of(queue: str, job_id: str, claim: str, text: str) -> Claim:
    """Make the claim that a worker gets."""
    hand = read_in_hand(claim)
    try:
        story = read_story(text)
    except Exception:  # whoever gets it finds no options, and settles it as failed
        story = Story(*stem_in(claim), 0, 0, None, (), NO_OPTIONS, "", [], 0, None, 0)
    return Claim(
        id=job_id,
        queue=queue,
        type=story.type,
        payload=story.payload,
        options=story.options,
        created=story.created,
        expires=story.expires,
        attempts=story.attempts,
        runs=sum(run.outcome is not None for run in story.runs) if story.runs else 0,
        error=last_error(story.runs) if story.runs else None,
        cancel=hand.cancel,
        token=hand.token,
        started=hand.started,
        worker=hand.worker,
        ahead=hand.how != "0",
        changes=story.changes,
        along=hand.how == "2",
    )


def stem_in(claim: str) -> tuple[str, int, str]:
    """Number, priority and type as a claim tells them."""
    fields = claim.split("\t")
    try:
        return read_stem(fields[5])
    except (ValueError, IndexError):
        return "", 0, "?"


def last_error(runs: list[Run]) -> str | None:
    """The error that the next run is told of."""
    error = ""
    for run in runs:
        waits = run.status in (Status.PENDING, Status.SCHEDULED)
        error = run.error if run.outcome is not None and not waits else run.error or error
    return error or None


def record_of(queue: str, job_id: str, digit: str, held: str, claim: str, text: str, stem: str = "") -> JobRecord:
    """Make the record that people see, as far as it can be read; the stem is that of its place on a list."""
    type_ = (stem or text.partition("\t")[0])[13:] or "?"
    return whole(lambda: read_record(queue, job_id, digit, held, claim, text), job_id, queue, type_, STATUSES[digit])


def read_record(queue: str, job_id: str, digit: str, held: str, claim: str, text: str) -> JobRecord:
    """Make the record that people see."""
    status = STATUSES[digit]
    story = read_story(text)
    hand = read_in_hand(claim) if status is Status.RUNNING else None
    due = hand.due if hand else int(claim) if claim else story.due
    last = story.runs[-1] if story.runs else None
    history = history_of(story, hand)
    progress = hand.progress if hand else last.progress if last else ""
    started = hand.started if hand else last.started if last else None
    return JobRecord(
        id=job_id,
        type=story.type,
        queue=queue,
        status=status,
        payload=json.loads(story.payload),
        priority=story.priority,
        tags=story.tags,
        created=to_datetime(story.created),
        due=to_datetime(min(due, story.due)),
        expires=to_datetime(story.expires) if story.expires is not None else None,
        attempts=story.attempts,
        history=history,
        worker=hand.worker if hand else last.worker if last else None,
        started=to_datetime(started) if started is not None else None,
        finished=to_datetime(story.finished) if status.final else None,
        progress=Progress(*json.loads(progress)) if progress else None,
        error=next((run.error for run in reversed(history) if run.error), None),
        result=json.loads(last.result) if last and last.result and status is Status.COMPLETED else None,
        reason=story.reason,
        held=held_text(held, story.type),
        **fields_of_push(story.options),
    )


def history_of(story: Story, hand: InHand | None) -> tuple[Attempt, ...]:
    """Every run, with the one in hand."""
    runs = [run for run in story.runs if run.outcome is not None]
    history = [
        Attempt(
            run=number,
            worker=run.worker,
            started=to_datetime(run.started),
            ended=to_datetime(run.ended),
            outcome=run.outcome,
            error=JobError(*json.loads(run.error)) if run.error else None,
            memory=run.memory,
        )
        for number, run in enumerate(runs, 1)
    ]
    if hand is not None:
        history.append(Attempt(run=len(runs) + 1, worker=hand.worker, started=to_datetime(hand.started)))
    return tuple(history)


# The log


def log_text(line: LogLine) -> str:
    """Write a line of the log."""
    return dump([to_milliseconds(line.time), line.level, line.message, line.context, line.run])


def log_line(text: str) -> LogLine:
    """Read a line of the log, as far as it can be read."""

    def read() -> LogLine:
        time, level, message, context, run = json.loads(text)
        return LogLine(to_datetime(time), level, message, context, run)

    return whole_line(read)


def decoded(text: bytes) -> str:
    """Read what is stored as text; bytes that are none stand in it in a form that no reader takes for whole."""
    return text.decode(errors="backslashreplace")
