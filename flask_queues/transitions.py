"""What becomes of a claimed job: each decision is a value that the storage then makes so."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from . import damaged
from .options import LONGEST
from .record import JobError, Outcome, Status, storable
from .storage.values import Claim, Settlement

#: How often `failed` is begun anew after the machine that ran it vanished.
LAST_WORDS = 3
MAX_MESSAGE = 4_000
MAX_TRACEBACK = 32_000
WORKER_FOLDER = str(Path(__file__).parent / "worker") + os.sep


class Terms(NamedTuple):
    """On which terms a claimed job runs."""

    tries: int
    #: Seconds one run may take.
    timeout: float
    #: Seconds to wait after the n-th failed attempt.
    backoff: Callable[[int], float]
    #: No failure of a run that began before ends the job; milliseconds by the storage's clock.
    until: int | None = None
    #: When its schedule wanted it; None for a job of no schedule.
    occurrence: datetime | None = None
    #: The id of the batch that it belongs to, or reports for.
    batch: str | None = None
    #: Of the request in which it was pushed, and the language of that.
    request_id: str | None = None
    locale: str | None = None
    #: Whether its log is to tell where the time of the run went.
    profile: bool = False
    #: What is wrong with what is stored of the job: it cannot run, and these are the usual terms.
    damage: str | None = None


def completed(claim: Claim, result: str | None) -> Settlement:
    """It ran to its end."""
    return Settlement(claim.id, claim.token, Status.COMPLETED, Outcome.COMPLETED, counted=True, result=result)


def failed(claim: Claim, terms: Terms, error: str, outcome: Outcome = Outcome.FAILED) -> Settlement:
    """An exception left it, or its time was over: it waits for its next try, or has failed.

    What is to be retried for a time never uses up its tries in it, so the last one is left for when that is over.
    """
    attempt = claim.attempts + 1
    last = attempt >= terms.tries
    if last and not is_retried_on(claim, terms):
        return Settlement(claim.id, claim.token, Status.FAILED, outcome, counted=True, error=error)
    delay = round(terms.backoff(claim.runs + 1 if last else attempt) * 1000)
    return Settlement(claim.id, claim.token, Status.SCHEDULED, outcome, counted=not last, error=error, delay=delay)


def last_words_said(claim: Claim) -> Settlement:
    """Its tries were used up by runs that died; nothing ran now but its `failed`."""
    return Settlement(claim.id, claim.token, Status.FAILED)


def unreadable(claim: Claim, why: str) -> Settlement:
    """What is stored of it cannot be read: it has failed, however many tries it has."""
    error = dump_error(damaged.NAME, why)
    return Settlement(claim.id, claim.token, Status.FAILED, Outcome.FAILED, counted=True, error=error)


def put_off(claim: Claim, delay: float) -> Settlement:
    """It raised `Retry`: not now, and no try lost."""
    return Settlement(claim.id, claim.token, Status.SCHEDULED, Outcome.PUT_OFF, delay=round(min(delay, LONGEST) * 1000))


def put_aside(claim: Claim, delay: int) -> Settlement:
    """It may not run now, and has not begun: it waits for so many milliseconds."""
    return Settlement(claim.id, claim.token, Status.SCHEDULED, delay=delay)


def rate_limited(claim: Claim, after: float) -> Settlement:
    """It raised `RateLimited`: its queue waits, it keeps its place, and no try is lost."""
    stop = max(1, round(min(after, LONGEST) * 1000))
    return Settlement(claim.id, claim.token, Status.PENDING, Outcome.PUT_OFF, stop=stop)


def discarded(claim: Claim, reason: str) -> Settlement:
    """It raised `Discard`: never again."""
    return Settlement(
        claim.id, claim.token, Status.CANCELLED, Outcome.DISCARDED, counted=True, reason=storable(reason, MAX_MESSAGE)
    )


def expired(claim: Claim) -> Settlement:
    """It did not begin in time."""
    return Settlement(claim.id, claim.token, Status.CANCELLED, reason="It did not start before it expired.")


def cancelled(claim: Claim) -> Settlement:
    """Somebody asked for its end while it ran; the storage knows who and why."""
    return Settlement(claim.id, claim.token, Status.CANCELLED, Outcome.CANCELLED, counted=True)


def called_off(claim: Claim, reason: str) -> Settlement:
    """Somebody ended it while it waited."""
    return Settlement(claim.id, claim.token, Status.CANCELLED, reason=storable(reason, MAX_MESSAGE))


def given_back(claim: Claim, *, begun: bool) -> Settlement:
    """Its worker stops: it keeps its place in the line and loses no try."""
    outcome = Outcome.GIVEN_BACK if begun else None
    return Settlement(claim.id, claim.token, Status.PENDING, outcome)


def died(claim: Claim, terms: Terms, error: str, outcome: Outcome, mark: int | None = None) -> Settlement:
    """The process that held it is gone.

    `mark` is the claim token of the last job that the process began, negative if that had ended, None
    where nobody can tell any more. That job pays with a try, also if it had ended: what it left behind
    may be what killed the process. What had ended before it runs again without paying; what was only
    claimed goes back. Where nobody can tell and the job was claimed together with others, none of them
    pays, and each is claimed alone from now on.
    The last try's death leaves the job pending, to be claimed once more for its `failed`. A job that is retried for
    a time pays too, since it may be what kills its workers; but not where its last run had failed by itself.
    """
    if claim.cancel is not None:
        return cancelled(claim)
    if mark is None and claim.ahead:
        return Settlement(claim.id, claim.token, Status.PENDING, outcome, error=error, alone=True)
    if mark is not None and claim.token > abs(mark):
        return given_back(claim, begun=False)
    if mark is not None and claim.token != abs(mark):
        return Settlement(claim.id, claim.token, Status.PENDING, outcome, error=error)
    if is_last_words(claim, terms):
        return died_in_last_words(claim, terms, error, outcome)
    left = claim.attempts + 1 < terms.tries
    spared = not left and is_retried_on(claim, terms) and failed_by_itself(claim)
    if outcome is Outcome.TIMED_OUT and (left or spared):
        return failed(claim, terms, error, outcome)._replace(alone=True)
    return Settlement(claim.id, claim.token, Status.PENDING, outcome, counted=not spared, error=error, alone=True)


def died_in_last_words(claim: Claim, terms: Terms, error: str, outcome: Outcome) -> Settlement:
    """The process died in the job's `failed`; only where its machine vanished is that tried again."""
    again = outcome is Outcome.LOST and claim.attempts < terms.tries + LAST_WORDS
    status = Status.PENDING if again else Status.FAILED
    return Settlement(claim.id, claim.token, status, outcome, counted=True, error=error, alone=True)


def is_last_words(claim: Claim, terms: Terms) -> bool:
    """Whether the claim is only for the job's `failed`: its tries are used up."""
    return claim.attempts >= terms.tries


def on_last_try(claim: Claim, terms: Terms) -> Terms:
    """The terms of a claim of which this run is the last, whatever tries and time it has left."""
    return terms._replace(tries=claim.attempts + 1, until=None)


def is_retried_on(claim: Claim, terms: Terms) -> bool:
    """Whether no failure of this run ends the job: it began while the job is to be retried for a time."""
    return terms.until is not None and claim.started < terms.until


def failed_by_itself(claim: Claim) -> bool:
    """Whether the last run that failed could still say how: its process did not die with it."""
    error = read_error(claim.error)
    return error is not None and error.traceback != ""


def is_expired(claim: Claim) -> bool:
    """Whether a job that never began has missed its time."""
    return claim.expires is not None and claim.runs == 0 and claim.started > claim.expires


def describe_exception(exception: BaseException) -> str:
    """Write an exception as the JSON text that is kept with the run."""
    kind = type(exception)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return dump_error(name, message_of(exception), format_trace(exception))


def message_of(exception: BaseException) -> str:
    """The message of an exception, whose own code may do anything, also end the process."""
    try:
        return str(exception)
    except BaseException:
        return "(its message could not be made)"


def format_trace(exception: BaseException) -> str:
    """Write the traceback without the worker's own frames, above the job's code and below it."""
    told = traceback.TracebackException.from_exception(exception)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not frame.filename.startswith(WORKER_FOLDER)]
    )
    return "".join(told.format())


def dump_error(name: str, message: str, trace: str = "") -> str:
    """Write an error as JSON text, cut to what is kept."""
    shortened = shorten_trace(trace)
    error = [name, storable(message, MAX_MESSAGE), storable(shortened, len(shortened))]
    return json.dumps(error)


def shorten_trace(trace: str) -> str:
    """Keep both ends of a traceback that is too long."""
    if len(trace) <= MAX_TRACEBACK:
        return trace
    half = MAX_TRACEBACK // 2
    return f"{trace[:half]}\n  [{len(trace) - MAX_TRACEBACK:,} characters left out]\n{trace[-half:]}"


def read_error(text: str | None) -> JobError | None:
    """Read an error as it is kept."""
    try:
        return JobError(*json.loads(text)) if text else None
    except (ValueError, TypeError) as error:
        return JobError(damaged.NAME, damaged.words(error))
