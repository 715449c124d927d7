"""What becomes of a claimed job: every decision, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flask_queues import transitions
from flask_queues.record import Outcome, Status
from flask_queues.storage.base import Claim
from flask_queues.transitions import Terms

TERMS = Terms(tries=3, timeout=60, backoff=lambda attempt: attempt * 10)
ERROR = transitions.dump_error("ValueError", "no")


def claim(
    *, attempts: int = 0, token: int = 5, ahead: bool = False, expires: int | None = None, runs: int = 0
) -> Claim:
    return Claim("id", "q", "t", "{}", None, 0, expires, attempts, runs, None, None, token, 1000, "w", ahead)


def test_a_failure_waits_longer_each_time_and_then_is_for_good() -> None:
    """The backoff of the attempt that failed; the last try ends it."""
    ends = [transitions.failed(claim(attempts=n), TERMS, ERROR) for n in range(3)]

    assert [end.status for end in ends] == [Status.SCHEDULED, Status.SCHEDULED, Status.FAILED]
    assert [end.delay for end in ends] == [10_000, 20_000, 0]
    assert all(end.counted for end in ends)


def test_not_now_and_a_stop_cost_no_try() -> None:
    """Put off, given back: not counted."""
    assert transitions.put_off(claim(), 2.5) == transitions.put_off(claim(), 2.5)._replace(counted=False, delay=2500)
    assert not transitions.given_back(claim(), begun=True).counted
    assert transitions.given_back(claim(), begun=False).outcome is None


@dataclass
class Death:
    attempts: int
    outcome: Outcome
    ahead: bool
    mark: int | None
    status: Status
    counted: bool
    delay: int = 0


@pytest.mark.parametrize(
    "death",
    [
        # The job in hand pays; it continues at once.
        Death(0, Outcome.KILLED, False, 5, Status.PENDING, True),
        Death(1, Outcome.KILLED, True, 5, Status.PENDING, True),
        # A timeout is a failure: it backs off.
        Death(0, Outcome.TIMED_OUT, False, 5, Status.SCHEDULED, True, 10_000),
        # The last try's death leaves it pending, for its failed().
        Death(2, Outcome.KILLED, False, 5, Status.PENDING, True),
        Death(2, Outcome.TIMED_OUT, False, 5, Status.PENDING, True),
        # What was only claimed, or had run already, goes back.
        Death(0, Outcome.KILLED, True, 4, Status.PENDING, False),
        Death(0, Outcome.KILLED, True, 6, Status.PENDING, False),
        Death(0, Outcome.KILLED, False, 0, Status.PENDING, False),
        Death(0, Outcome.KILLED, True, -6, Status.PENDING, False),
        # It had ended and was not settled: what it left behind may be what killed the process.
        Death(0, Outcome.KILLED, False, -5, Status.PENDING, True),
        # Nobody can tell: alone it pays, among others none does.
        Death(0, Outcome.LOST, False, None, Status.PENDING, True),
        Death(0, Outcome.LOST, True, None, Status.PENDING, False),
        # failed() killed its process: that was its chance. The machine vanished: it gets another.
        Death(3, Outcome.KILLED, False, 5, Status.FAILED, True),
        Death(3, Outcome.LOST, False, None, Status.PENDING, True),
        Death(6, Outcome.LOST, False, None, Status.FAILED, True),
    ],
)
def test_what_a_process_held_when_it_died(death: Death) -> None:
    """Only the job that it ran pays with a try."""
    held = claim(attempts=death.attempts, ahead=death.ahead)

    end = transitions.died(held, TERMS, ERROR, death.outcome, death.mark)

    assert (end.status, end.counted, end.delay) == (death.status, death.counted, death.delay)


def test_a_job_expires_only_if_it_never_began() -> None:
    """A retry after its time is still a retry."""
    assert transitions.is_expired(claim(expires=999))
    assert not transitions.is_expired(claim(expires=1000))
    assert not transitions.is_expired(claim(expires=999, runs=1))


def test_an_exception_is_kept_cut_and_readable() -> None:
    """A message of megabytes, one that cannot be made, and a traceback too long."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    long = transitions.read_error(transitions.describe_exception(ValueError("x" * 10**6)))
    broken = transitions.read_error(transitions.describe_exception(Broken()))

    assert long is not None
    assert len(long.message) == transitions.MAX_MESSAGE
    assert len(long.traceback) < transitions.MAX_TRACEBACK + 100
    assert broken is not None
    assert broken.message == "(its message could not be made)"
