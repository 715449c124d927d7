"""The circuit breakers of an application: kept on a sheet for each job type, and made so by pauses of the type.

Who runs a job asks before it and tells after it. In the time between two looks at the sheet nothing is asked of the
storage: a type that works pays for its breaker with one read a second.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from .circuits import Breaker, Circuit, Circuits, dump, failed, load, tried, unsaid
from .errors import StorageError
from .record import Outcome, Status, storable, to_datetime
from .registry import JobType, Registry
from .storage import Storage
from .storage.sheets import Found, expect, look
from .storage.stops import Stop, is_moment
from .storage.values import Claim, Settlement
from .transitions import given_back, put_aside, read_error

logger = logging.getLogger("flask_queues")

#: Seconds for which a sheet is believed: less than the shortest pause, so that who claims after one knows of it.
FRESH = 0.5
#: So often a change is made anew where somebody else was quicker.
TRIES = 50
#: Milliseconds that a trial gets over its timeout until it is given up.
OVER = 10_000
#: So begins the reason of a pause that a breaker has made.
REASON = "Circuit breaker: "
#: Milliseconds by which a pause may end after the moment that the sheet says.
LATE = 500
FAILURES = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.KILLED)
Change = Callable[[Circuit], "Circuit | None"]


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A circuit breaker that has counted failures, or is open."""

    type: str
    #: Empty where the whole type is held.
    key: str
    #: `closed`, `open` or `trying`.
    state: str
    #: Failures in a row.
    failures: int
    #: Since when it is open; None while it is closed.
    since: datetime | None
    #: When one job is tried, or another one if the one that runs is not heard of again.
    until: datetime | None
    #: The id of the job that is tried.
    trial: str | None
    #: The class of the last failure's exception.
    error: str


class Breakers:
    """Asked before a job runs, told how it ended."""

    def __init__(
        self, jobs: Registry, storage: Callable[[], Storage], queues_of: Callable[[str], Iterable[str]]
    ) -> None:
        self._jobs = jobs
        self._storage = storage
        self._queues_of = queues_of
        #: By type: what its sheet said, and when that was read.
        self._seen: dict[str, tuple[float, dict[str, Circuit]]] = {}
        #: By type and key: when the last run began that this process saw go well.
        self._succeeded: dict[tuple[str, str], int] = {}

    def key(self, claim: Claim) -> str:
        """The key of the breaker that a claimed job is under; empty where there is none, or it holds the whole type."""
        job_type = self._jobs.get(claim.type)
        return "" if job_type is None or job_type.breaker is None else key_of(job_type, claim)

    # Around a run

    def admit(self, claim: Claim, timeout: float) -> Settlement | None:
        """What becomes of a claimed job that may not run now; None where it may."""
        if (job_type := self._jobs.get(claim.type)) is None or job_type.breaker is None:
            return None
        try:
            return self._admit(claim, job_type.breaker, key_of(job_type, claim), timeout)
        except StorageError as error:
            logger.warning("The circuit breaker of %s cannot be asked, so job %s runs: %s", claim.type, claim.id, error)
            return None

    def learn(self, claim: Claim, settlement: Settlement) -> None:
        """Take note of how a run ended."""
        if (job_type := self._jobs.get(claim.type)) is None or job_type.breaker is None or settlement.outcome is None:
            return
        try:
            self._learn(claim, job_type.breaker, key_of(job_type, claim), settlement)
        except StorageError as error:
            logger.warning("The circuit breaker of %s does not know how job %s ended: %s", claim.type, claim.id, error)

    def begin_trial(self, claim: Claim, timeout: float) -> None:
        """Run a job although its breaker is open, as the one that is tried: somebody has asked for it."""
        job_type = self._jobs.get(claim.type)
        if job_type is not None and job_type.breaker is not None:
            lasts = trial_time(job_type.breaker, timeout)
            self._change(
                claim.type,
                key_of(job_type, claim),
                lambda one: None if one.since is None else tried(one, claim.id, lasts, claim.started),
            )

    def _admit(self, claim: Claim, breaker: Breaker, key: str, timeout: float) -> Settlement | None:
        if self._circuits(claim.type).get(key, Circuit()).since is None:
            return None
        lasts = trial_time(breaker, timeout)

        def begin(circuit: Circuit) -> Circuit | None:
            may = circuit.since is not None and circuit.until <= claim.started
            return tried(circuit, claim.id, lasts, claim.started) if may else None

        circuit = self._change(claim.type, key, begin)
        if circuit.since is None:
            return None
        mine = circuit.trial == claim.id
        if breaker.key is None:
            self._hold(claim.type, circuit.until, self._all_queues(claim) if mine else {claim.queue}, why(circuit))
        if mine:
            return None
        if breaker.key is None:
            return given_back(claim, begun=False)
        return put_aside(claim, min(max(1, circuit.until - claim.started), breaker.pause_ms))

    def _learn(self, claim: Claim, breaker: Breaker, key: str, settlement: Settlement) -> None:
        if settlement.status is Status.COMPLETED:
            self._succeeded[claim.type, key] = claim.started
            if self._circuits(claim.type).get(key, Circuit()).since is not None:
                self._close_by(claim, key, breaker)
        elif settlement.outcome in FAILURES:
            self._fail(claim, breaker, key, settlement)
        elif self._circuits(claim.type).get(key, Circuit()).trial == claim.id:
            now = self._storage().now()
            circuit = self._change(claim.type, key, lambda one: unsaid(one, claim.id, now))
            if breaker.key is None and circuit.since is not None and circuit.trial is None:
                self._hold(claim.type, circuit.until, self._all_queues(claim), why(circuit))

    def _close_by(self, claim: Claim, key: str, breaker: Breaker) -> None:
        """Close a circuit whose trial went well; a job that began before it was opened says nothing."""
        closed = []

        def close(circuit: Circuit) -> Circuit | None:
            closed.append(circuit.trial == claim.id)
            return Circuit() if closed[-1] else None

        self._change(claim.type, key, close)
        if closed[-1]:
            logger.info("%s goes on: job %s was tried and went well.", called(claim.type, key), claim.id)
            if breaker.key is None:
                self._let_go(claim.type)

    def _fail(self, claim: Claim, breaker: Breaker, key: str, settlement: Settlement) -> None:
        now = self._storage().now()
        error = read_error(settlement.error)
        name = storable(error.type.rpartition(".")[2] if error else str(settlement.outcome), 100)
        succeeded = self._succeeded.get((claim.type, key), 0)
        circuit = self._change(claim.type, key, lambda one: failed(one, breaker, claim.id, name, now, succeeded))
        if circuit.since is None or circuit.failures[-1] != now:
            return
        logger.warning("%s is held for %g s: %s.", called(claim.type, key), breaker.pause_ms / 1000, why(circuit))
        if breaker.key is None:
            self._hold(claim.type, circuit.until, self._all_queues(claim), why(circuit))

    # The pauses

    def _all_queues(self, claim: Claim) -> set[str]:
        return {*self._queues_of(claim.type), claim.queue}

    def _hold(self, job_type: str, until: int, queues: set[str], reason: str) -> None:
        """Let nothing of a type be claimed from these queues until a trial may begin.

        A person's pause that lasts longer stays. Where the breaker was closed meanwhile, nothing stays.
        """
        storage = self._storage()
        for stop in storage.stops():
            if stop.type == job_type and (stop.until is None or (stop.by and stop.until > until)):
                queues.discard(stop.queue)
        lasts = max(1, until - storage.now())
        for queue in sorted(queues):
            storage.stop(queue, job_type, lasts=lasts, reason=storable(f"{REASON}{reason}.", 500))
        if self._read(job_type)[1].get("", Circuit()).since is None:
            self._let_go(job_type)

    def _let_go(self, job_type: str) -> None:
        """End the pauses that the breaker has made."""
        storage = self._storage()
        for stop in storage.stops():
            if stop.type == job_type and is_ours(stop):
                storage.go_on(stop.queue, job_type)

    def mend(self) -> None:
        """Bring the pauses of breakers in line with their sheets: who changed the one may have died before the other.

        The keeper's duty.
        """
        if not any(job_type.breaker for job_type in self._jobs.values()):
            return
        ours = [stop for stop in self._storage().stops() if is_ours(stop)]
        for job_type in {stop.type for stop in ours if stop.type in self._jobs}:
            assert job_type is not None
            known = self._read(job_type)[1] if self._jobs[job_type].breaker is not None else {}
            circuit = known.get("", Circuit())
            late = {stop.queue for stop in ours if stop.type == job_type and (stop.until or 0) > circuit.until + LATE}
            if circuit.since is None:
                self._let_go(job_type)
            elif late:
                self._hold(job_type, circuit.until, late, why(circuit))

    # For people

    def states(self) -> list[BreakerState]:
        """The breakers that are open or have counted failures, by type and key."""
        names = [name for name, job_type in self._jobs.items() if job_type.breaker is not None]
        if not names:
            return []
        storage = self._storage()
        texts, now = storage.sheets([sheet(name) for name in names]), storage.now()
        return [
            state_of(name, key, circuit, now)
            for name in sorted(names)
            for key, circuit in sorted(circuits_in(name, texts.get(sheet(name))).items())
        ]

    def close(self, job_type: str) -> bool:
        """Close all circuits of a type, as a person does who resumes it; False where none was open."""
        if job_type not in self._jobs or self._jobs[job_type].breaker is None:
            return False
        storage = self._storage()
        self._seen.pop(job_type, None)
        text = storage.sheets([sheet(job_type)]).get(sheet(job_type))
        found = found_in(job_type, text)
        storage.write_sheets((sheet(job_type), text), {sheet(job_type): None, **found.aside})
        return any(circuit.since is not None for circuit in (found.value or {}).values())

    # The sheets

    def _circuits(self, job_type: str) -> Circuits:
        """What the sheet of a type says, or said a moment ago."""
        moment, circuits = self._seen.get(job_type, (-FRESH, {}))
        if time.monotonic() - moment < FRESH:
            return circuits
        return self._read(job_type)[1]

    def _read(self, job_type: str) -> tuple[str | None, dict[str, Circuit]]:
        now = time.monotonic()
        text = self._storage().sheets([sheet(job_type)]).get(sheet(job_type))
        circuits = circuits_in(job_type, text)
        self._seen[job_type] = now, circuits
        return text, circuits

    def _change(self, job_type: str, key: str, change: Change) -> Circuit:
        """Change a circuit by what is stored of it now, and return what it is then; None changes nothing."""
        before = Circuit()
        for _ in range(TRIES):
            text, circuits = self._read(job_type)
            before = circuits.get(key, Circuit())
            after = change(before)
            if after is None or after == before:
                return before
            changed = {name: one for name, one in circuits.items() if name != key}
            if after != Circuit():
                changed[key] = after
            texts = {sheet(job_type): dump(changed), **found_in(job_type, text).aside}
            if self._storage().write_sheets((sheet(job_type), text), texts):
                self._seen[job_type] = time.monotonic(), changed
                return after
        logger.warning(
            "The circuit breaker of %s was changed by so many at once that this run is not counted.", job_type
        )
        return before


def is_ours(stop: Stop) -> bool:
    """Whether a breaker has made a pause."""
    return stop.type is not None and not stop.by and stop.reason.startswith(REASON)


def circuits_in(job_type: str, text: str | None) -> dict[str, Circuit]:
    """The circuits of a job type; none where its sheet cannot be read, as if they had never seen a failure."""
    return found_in(job_type, text).value or {}


def found_in(job_type: str, text: str | None) -> Found[dict[str, Circuit]]:
    """Read the sheet of a job type."""
    return look(sheet(job_type), text, load_whole)


def load_whole(text: str) -> dict[str, Circuit]:
    """Read a sheet; raises whatever is wrong with it."""
    expect(json.loads(text), {str: ([is_moment], is_moment_if_any, is_moment, str | None, str)})
    return load(text)


def is_moment_if_any(value: object) -> bool:
    """Whether it is a moment, or none."""
    return value is None or is_moment(value)


def sheet(job_type: str) -> str:
    """The name of the sheet of a job type's circuits."""
    return f"breaker:{job_type}"


def key_of(job_type: JobType, claim: Claim) -> str:
    """The key of a claimed job; one that cannot be told is the type's own."""
    assert job_type.breaker is not None
    if job_type.breaker.key is None:
        return ""
    try:
        said = job_type.breaker.key(json.loads(claim.payload))
    except Exception:
        logger.exception("The key of the circuit breaker of %s failed", job_type.type)
        said = None
    return storable(said, 250) if said is not None else ""


def trial_time(breaker: Breaker, timeout: float) -> int:
    """Milliseconds after which a trial of which nobody hears is given up."""
    return max(breaker.pause_ms, round(timeout * 1000) + OVER)


def called(job_type: str, key: str) -> str:
    """What is held."""
    return f"The job type {job_type} with key {key}" if key else f"The job type {job_type}"


def why(circuit: Circuit) -> str:
    """What opened a circuit."""
    n = len(circuit.failures)
    return f"{n} {'failure' if n == 1 else 'failures in a row'}, the last one {circuit.error}; then one job is tried"


def state_of(job_type: str, key: str, circuit: Circuit, now: int) -> BreakerState:
    """A circuit for people."""
    is_open = circuit.since is not None
    return BreakerState(
        job_type,
        key,
        circuit.state(now),
        len(circuit.failures),
        to_datetime(circuit.since) if circuit.since is not None else None,
        to_datetime(circuit.until) if is_open else None,
        circuit.trial,
        circuit.error,
    )
