"""What becomes of a claimed job: every decision, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flask_queues import transitions
from flask_queues.options import LONGEST
from flask_queues.record import Outcome, Status
from flask_queues.storage.values import Claim
from flask_queues.transitions import Terms

TERMS = Terms(tries=3, timeout=60, backoff=lambda attempt: attempt * 10)
ERROR = transitions.dump_error("ValueError", "no")


def claim(
    *,
    attempts: int = 0,
    token: int = 5,
    ahead: bool = False,
    expires: int | None = None,
    runs: int = 0,
    cancel: str | None = None,
) -> Claim:
    return Claim("id", "q", "t", "{}", None, 0, expires, attempts, runs, None, cancel, token, 1000, "w", ahead)


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
        Death(1, Outcome.TIMED_OUT, False, 5, Status.SCHEDULED, True, 20_000),
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


def test_a_job_that_was_to_be_cancelled_is_when_its_process_dies() -> None:
    """Whatever killed it, nobody wants it again; the run counts, since it began."""
    end = transitions.died(claim(cancel="not needed"), TERMS, ERROR, Outcome.KILLED, 5)

    assert (end.status, end.outcome, end.counted) == (Status.CANCELLED, Outcome.CANCELLED, True)


def test_who_may_have_killed_its_process_is_claimed_alone_from_then_on() -> None:
    """So that it takes no others with it; what had ended or had not begun is above suspicion."""
    among_others = transitions.died(claim(ahead=True), TERMS, ERROR, Outcome.LOST)
    in_hand = transitions.died(claim(), TERMS, ERROR, Outcome.KILLED, 5)
    too_slow = transitions.died(claim(), TERMS, ERROR, Outcome.TIMED_OUT, 5)
    had_ended = transitions.died(claim(), TERMS, ERROR, Outcome.KILLED, 6)
    had_not_begun = transitions.died(claim(), TERMS, ERROR, Outcome.KILLED, 4)

    assert [end.alone for end in (among_others, in_hand, too_slow)] == [True, True, True]
    assert [end.alone for end in (had_ended, had_not_begun)] == [False, False]


def test_a_job_that_had_not_begun_shows_no_run_of_a_process_that_died() -> None:
    """One that had ended, and is run again, does, with why."""
    had_not_begun = transitions.died(claim(), TERMS, ERROR, Outcome.KILLED, 4)
    had_ended = transitions.died(claim(), TERMS, ERROR, Outcome.KILLED, 6)

    assert (had_not_begun.outcome, had_not_begun.error) == (None, None)
    assert (had_ended.outcome, had_ended.error) == (Outcome.KILLED, ERROR)


def test_a_job_that_has_said_its_last_words_has_failed() -> None:
    """Nothing ran but its `failed`: no run is shown, and none is counted."""
    end = transitions.last_words_said(claim(attempts=3))

    assert (end.status, end.outcome, end.counted) == (Status.FAILED, None, False)


def test_no_wait_is_longer_than_a_push_may_ask_for() -> None:
    """Ten years, as for a delay; and a queue that is rate limited waits for some time at least."""
    longest = round(LONGEST * 1000)

    assert transitions.put_off(claim(), float("inf")).delay == longest
    assert transitions.rate_limited(claim(), float("inf")).stop == longest
    assert transitions.rate_limited(claim(), 2.5).stop == 2500
    assert transitions.rate_limited(claim(), 0.0001).stop == 1


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


@pytest.mark.parametrize("length", [1, transitions.MAX_TRACEBACK])
def test_a_traceback_that_is_short_enough_is_kept_as_it_is(length: int) -> None:
    """Nothing is left out of it, nor said to be."""
    trace = "x" * length
    assert transitions.shorten_trace(trace) == trace


def test_both_ends_of_a_long_traceback_are_kept() -> None:
    """It says how much is missing between them."""
    half = transitions.MAX_TRACEBACK // 2
    shortened = transitions.shorten_trace("a" * half + "?" * 1234 + "z" * half)
    assert shortened == "a" * half + "\n  [1,234 characters left out]\n" + "z" * half
