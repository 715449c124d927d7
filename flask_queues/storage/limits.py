"""What holds jobs back: how many of a key may run at once, and how many may begin in a time.

A gate is what a queue keeps of a limit. The engines that are written in Python share these steps; the scripts of
Redis take the same ones.
"""

from __future__ import annotations

from typing import NamedTuple

CONCURRENCY, RATE = "concurrency", "rate"
#: The moment at which a gate opens that only a job's end can open.
NEVER = 2**53
#: Jobs that are let through a gate at a time, and how long (ms) those behind them wait where none of them gets there.
SLICE, AGAIN = 100, 1000


class Limit(NamedTuple):
    """A limit that a job is under, with others of its queue that have the same key."""

    #: `concurrency` or `rate`.
    kind: str
    key: str
    #: So many may run at once, or begin within the time.
    n: int
    #: Milliseconds, for a rate.
    per: int = 0
    #: So many may begin at once after a quiet time, for a rate.
    burst: int = 1
    #: Tells jobs apart that pass the same gate: one comes along only with a claim of its own group. Letters and digits.
    group: str = ""

    @property
    def gate(self) -> str:
        """The name of its gate; no job type has a space in its name."""
        return f"{self.kind} {self.key}"


class Gate(NamedTuple):
    """What a queue keeps of a limit."""

    #: Claims in force.
    used: int = 0
    #: In microseconds, when the next one would begin if they came evenly: behind now, there is room for a burst.
    next: int = 0


def bounded(limit: Limit, gate: Gate, now: int) -> Gate:
    """The gate, opening within the time of its rate: whoever passed it may have done so by a clock set back since."""
    if limit.kind == CONCURRENCY:
        return gate
    return gate._replace(next=min(gate.next, now * 1000 + limit.per * 1000 + ahead(limit)))


def ahead(limit: Limit) -> int:
    """So many microseconds before the next one would begin may the gate be open, for a burst."""
    return (limit.burst - 1) * limit.per * 1000 // limit.n


def opens(limit: Limit, gate: Gate, now: int) -> int:
    """The moment from which on a job may pass; 0 where it may now."""
    if limit.kind == CONCURRENCY:
        return 0 if gate.used < limit.n else NEVER
    moment = gate.next - ahead(limit)
    return 0 if moment <= now * 1000 else -(-moment // 1000)


def passed(limit: Limit, gate: Gate, now: int) -> Gate:
    """The gate after a job has passed."""
    if limit.kind == CONCURRENCY:
        return gate._replace(used=gate.used + 1)
    after = gate._replace(next=max(gate.next, now * 1000) + limit.per * 1000 // limit.n)
    return bounded(limit, after, now)


def left(gate: Gate) -> Gate:
    """The gate after a job that had passed it has ended its run."""
    return gate._replace(used=max(0, gate.used - 1))


def room(limit: Limit, gate: Gate, now: int) -> int:
    """How many may pass now, up to a slice."""
    if limit.kind == CONCURRENCY:
        return max(0, min(SLICE, limit.n - gate.used))
    step = max(1, limit.per * 1000 // limit.n)
    first = gate.next - (limit.burst - 1) * step
    return max(0, min(SLICE, limit.burst, (now * 1000 - first) // step + 1))


def held_by(gate: str) -> str:
    """Why a job is set aside that has to wait at a gate."""
    kind, _, key = gate.partition(" ")
    what = "so many run at once" if kind == CONCURRENCY else "so many begin in a time"
    return f"Only {what} of {key}; this one waits for its turn."
