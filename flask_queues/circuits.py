"""Circuit breakers: when a job type that keeps failing is held, and what one trial job then decides.

A circuit is what is known of one key, frozen; each function says what becomes of it, from it and the time alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .errors import OptionError
from .options import Seconds, check_seconds, check_whole

#: Keys of one job type that are remembered: those that failed last.
MOST = 200
MOST_FAILURES = 1000
CLOSED, OPEN, TRYING = "closed", "open", "trying"


@dataclass(frozen=True)
class Breaker:
    """Holds a job type, or each key of it, once so many of its runs have failed in a row within so many seconds.

    Nothing of it begins for `pause` seconds, which costs no try. Then one job is tried: its success lets the
    others go on, its failure holds them for as long again. A timeout and a killed process are failures.
    """

    failures: int = 5
    within: Seconds = 60
    pause: Seconds = 60
    #: Tells from a payload what fails together, such as a host; None: the whole type does.
    key: Callable[[dict[str, Any]], str | None] | None = None

    def __post_init__(self) -> None:
        check_whole(1, 1000)("breaker: failures", self.failures)
        check_seconds("breaker: within", self.within, 1.0)
        check_seconds("breaker: pause", self.pause, 1.0)
        if self.key is not None and not callable(self.key):
            raise OptionError("breaker: key is not a function that returns a text of a payload.")

    @property
    def within_ms(self) -> int:
        """Milliseconds."""
        return round(check_seconds("within", self.within) * 1000)

    @property
    def pause_ms(self) -> int:
        """Milliseconds."""
        return round(check_seconds("pause", self.pause) * 1000)


class Circuit(NamedTuple):
    """What is known of a key. Moments are milliseconds of the storage's clock."""

    #: The moments of failures in a row.
    failures: tuple[int, ...] = ()
    #: It was opened then; None while it is closed.
    since: int | None = None
    #: A trial may begin from then on.
    until: int = 0
    #: The id of the job that is tried.
    trial: str | None = None
    #: The class of the last failure's exception.
    error: str = ""

    def state(self, now: int) -> str:
        """`closed`, `open`, or `trying`: one job is tried, or will be as soon as there is one."""
        if self.since is None:
            return CLOSED
        return TRYING if self.trial is not None or self.until <= now else OPEN


Circuits = Mapping[str, Circuit]


def failed(circuit: Circuit, breaker: Breaker, job_id: str, error: str, now: int, succeeded: int) -> Circuit:
    """A run has failed; `succeeded` is when the last run began of which is known that it went well."""
    if circuit.since is not None:
        if circuit.trial != job_id:
            return circuit  # it began before
        failures = (*circuit.failures, now)[-MOST_FAILURES:]
        return circuit._replace(failures=failures, until=now + breaker.pause_ms, trial=None, error=error)
    after = max(succeeded, now - breaker.within_ms)
    failures = (*(moment for moment in circuit.failures if moment > after), now)
    if len(failures) < breaker.failures:
        return Circuit(failures, error=error)
    return Circuit(failures, since=now, until=now + breaker.pause_ms, error=error)


def tried(circuit: Circuit, job_id: str, lasts: int, now: int) -> Circuit:
    """A job is tried; another one may be after so long, where nobody hears of this one again."""
    return circuit._replace(trial=job_id, until=now + lasts)


def unsaid(circuit: Circuit, job_id: str, now: int) -> Circuit:
    """A trial ended without a success or a failure, as by `Retry`: another job is tried."""
    return circuit._replace(trial=None, until=now + 1000) if circuit.trial == job_id else circuit


def dump(circuits: Circuits) -> str | None:
    """Write the circuits of a job type as JSON text; None where there is nothing to keep."""
    last = sorted(circuits.items(), key=lambda one: (one[1].since is not None, one[1].failures[-1:]))
    return json.dumps(dict(last[-MOST:]), separators=(",", ":")) if last else None


def load(text: str | None) -> dict[str, Circuit]:
    """Read what `dump` wrote."""
    said = json.loads(text) if text else {}
    return {key: Circuit(tuple(failures), *rest) for key, (failures, *rest) in said.items()}
