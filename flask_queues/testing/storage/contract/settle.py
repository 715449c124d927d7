"""The contract: what becomes of a claim."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ....ids import new_id
from ....record import JobError, Memory, Outcome, Progress, Status, to_datetime
from ....storage import Storage
from ....storage.values import Settlement, Step, Wanted
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LATER, LONG, SHORT, complete, counted, error_text, fail, fill, ids, line, settle, take, take_one, the


class SettleContract(OpenedTwice):
    """What becomes of a claim."""

    def test_a_job_that_ended_well_keeps_its_result(self, storage: Storage, clock: Clock) -> None:
        """Completed: result, end, worker and the run are with the record."""
        fill(storage, "a")
        claim = take_one(storage)
        clock.advance(10)
        assert complete(storage, claim, result='{"n":[1]}') == Step([], [])
        record = the(storage, "a")
        assert (record.status, record.result, record.attempts) == (Status.COMPLETED, {"n": [1]}, 1)
        assert (record.error, record.reason) == (None, None)
        assert record.finished is not None
        assert to_datetime(claim.started) < record.finished <= to_datetime(clock.now())
        (run,) = record.history
        assert (run.run, run.worker, run.outcome, run.error) == (1, "w", Outcome.COMPLETED, None)
        assert (run.started, run.ended) == (to_datetime(claim.started), record.finished)

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
    def test_a_job_that_ended_badly_keeps_why(self, storage: Storage, status: Status) -> None:
        """Failed or cancelled: error and reason are with the record."""
        fill(storage, "a")
        error = error_text("no", trace="Traceback …")
        settle(storage, take_one(storage), status, Outcome.DISCARDED, counted=True, error=error, reason="so")
        record = the(storage, "a")
        assert (record.status, record.reason, record.attempts) == (status, "so", 1)
        assert record.error == JobError("builtins.ValueError", "no", "Traceback …")
        assert record.finished is not None
        assert [(run.outcome, run.error) for run in record.history] == [(Outcome.DISCARDED, record.error)]
        assert take(storage) == []

    def test_each_run_keeps_what_it_held_of_memory(self, storage: Storage) -> None:
        """Of each that ended and was measured, whatever ended it, also once the job is retried."""
        told = [Memory(187.4, 120.0), None, Memory(64.5, 0.0), Memory(65.0, 1.5)]
        fill(storage, "a")
        for n, memory in enumerate(told):
            final = n > 1
            status = Status.FAILED if final else Status.PENDING
            settle(storage, take_one(storage), status, Outcome.FAILED, error=error_text("no"), memory=memory)
            assert [run.memory for run in the(storage, "a").history] == told[: n + 1]
            if final:
                storage.retry("a")
                assert [run.memory for run in the(storage, "a").history] == told[: n + 1]
        complete(storage, take_one(storage))
        assert [run.memory for run in the(storage, "a").history] == [*told, None]
        fill(storage, "b")
        complete(storage, take_one(storage), memory=told[0])
        assert [run.memory for run in the(storage, "b").history] == told[:1]

    def test_a_job_given_back_keeps_its_place_in_the_line(self, storage: Storage, clock: Clock) -> None:
        """Pending again, it stands where it stood; nothing ran, so nothing is counted."""
        fill(storage, "a")
        clock.advance(5)
        fill(storage, "b")
        settle(storage, take_one(storage), Status.PENDING)
        record = the(storage, "a")
        assert (record.status, record.attempts, record.history, record.finished) == (
            Status.PENDING,
            0,
            (),
            None,
        )
        claim = take_one(storage)
        assert (claim.id, claim.attempts, claim.runs, claim.error) == ("a", 0, 0, None)

    def test_a_retried_job_that_is_run_by_hand_and_given_back_stands_where_the_retry_put_it(
        self, storage: Storage, clock: Clock
    ) -> None:
        """Behind those that were due before the retry, however early it was pushed."""
        fill(storage, "a")
        fail(storage, take_one(storage))
        clock.advance(5)
        fill(storage, "b")
        clock.advance(5)
        storage.retry("a")
        claim = storage.claim("w", "a", LONG)
        assert claim is not None
        settle(storage, claim, Status.PENDING)
        assert [take_one(storage).id for _ in range(2)] == ["b", "a"]

    def test_a_job_that_backs_off_is_due_after_its_delay(self, storage: Storage, clock: Clock) -> None:
        """Scheduled: due so long from the settlement."""
        fill(storage, "a")
        claim = take_one(storage)
        clock.advance(30)
        settle(storage, claim, Status.SCHEDULED, Outcome.FAILED, counted=True, delay=SHORT, error=error_text("e"))
        record = the(storage, "a")
        assert (record.status, record.attempts) == (Status.SCHEDULED, 1)
        assert record.due >= to_datetime(claim.started + 30 + SHORT)
        assert take(storage) == []
        clock.advance(LATER)
        again = take_one(storage)
        assert (again.id, again.attempts, again.runs) == ("a", 1, 1)
        assert json.loads(again.error or "null") == ["builtins.ValueError", "e", ""]

    def test_a_job_put_off_for_no_time_is_claimed_at_once(self, storage: Storage) -> None:
        """A delay of 0 is due now, in the very step that settles."""
        fill(storage, "a")
        claim = take_one(storage)
        one = Settlement("a", claim.token, Status.SCHEDULED, Outcome.PUT_OFF)
        step = storage.step("w", [one], Wanted(["q"], ["t"], LONG))
        assert ids(step.claims) == ["a"]

    def test_settling_and_claiming_are_one_step(self, storage: Storage) -> None:
        """What is settled and what comes next are in one answer."""
        fill(storage, *"abc")
        first = take_one(storage)
        one = Settlement(first.id, first.token, Status.COMPLETED, Outcome.COMPLETED)
        step = storage.step("w", [one], Wanted(["q"], ["t"], LONG))
        assert (ids(step.claims), step.lost) == (["b"], [])
        assert storage.counts().statuses == {
            "scheduled": 0, "pending": 1, "running": 1, "completed": 1, "failed": 0, "cancelled": 0,
        }  # fmt: skip

    def test_a_settlement_that_comes_twice_changes_nothing(self, storage: Storage) -> None:
        """The claim is over after the first, whatever the second says."""
        fill(storage, "a")
        claim = take_one(storage)
        complete(storage, claim, result="1")
        before = the(storage, "a")
        for status in (Status.COMPLETED, Status.FAILED, Status.PENDING, Status.SCHEDULED, Status.CANCELLED):
            words: dict[str, Any] = {"result": "2", "logs": [line("late")], "progress": Progress(1, "late")}
            assert settle(storage, claim, status, Outcome.FAILED, **words).lost == ["a"]
        assert the(storage, "a") == before
        assert storage.logs("a") == []
        assert storage.counts().cells == counted(storage)

    def test_a_worker_whose_lease_ran_out_cannot_settle(self, storage: Storage, other: Storage, clock: Clock) -> None:
        """After the rescue its settlement changes nothing and is told as lost; its notes are refused."""
        fill(storage, "a")
        late = take_one(storage, lease=SHORT)
        clock.advance(LATER)
        (stalled,) = other.stalled()
        settle(other, stalled, Status.PENDING, Outcome.LOST, counted=True)
        waiting = the(other, "a")

        assert storage.note("a", late.token, Progress(1), [line("late")]) is False
        assert complete(storage, late, logs=[line("late")]).lost == ["a"]
        assert the(other, "a") == waiting

        owner = take_one(other, worker="owner")
        held = the(other, "a")
        assert storage.note("a", late.token, Progress(1), [line("late")]) is False
        assert complete(storage, late, logs=[line("late")]).lost == ["a"]
        assert fail(storage, late).lost == ["a"]
        assert the(other, "a") == held
        assert storage.logs("a") == []
        assert complete(other, owner).lost == []
        assert storage.counts().cells == counted(storage)

    def test_a_lost_settlement_does_not_hold_up_the_others(self, storage: Storage) -> None:
        """In one step, what is in force is settled and the rest told."""
        fill(storage, *"abc")
        one, two = take_one(storage), take_one(storage)
        complete(storage, one)
        elsewhere = new_id("another queue:0")
        settled = [
            Settlement("a", one.token, Status.FAILED, Outcome.FAILED),
            Settlement("unknown", 1, Status.COMPLETED, Outcome.COMPLETED),
            Settlement(elsewhere, 1, Status.COMPLETED, Outcome.COMPLETED),
            Settlement("b", two.token, Status.COMPLETED, Outcome.COMPLETED),
            Settlement("c", two.token, Status.COMPLETED, Outcome.COMPLETED),
        ]
        step = storage.step("w", settled, Wanted(["q"], ["t"], LONG))
        assert step.lost == ["a", "unknown", elsewhere, "c"]
        assert ids(step.claims) == ["c"]
        assert the(storage, "b").status is Status.COMPLETED

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.RUNNING])
    def test_what_the_job_said_last_is_kept_with_its_end(self, storage: Storage, status: Status) -> None:
        """Progress and log lines of a settlement are stored in the same step."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.note("a", claim.token, Progress(10, "first"), [line("one")])
        settle(storage, claim, status, Outcome.FAILED, progress=Progress(90, "last"), logs=[line("two")])
        assert the(storage, "a").progress == Progress(90, "last")
        assert [one.message for one in storage.logs("a")] == ["one", "two"]

    def test_every_run_is_in_the_history(self, storage: Storage, clock: Clock) -> None:
        """Runs are numbered from 1, oldest first, each with its outcome; only counted ones cost a try."""
        outcomes = [Outcome.FAILED, Outcome.PUT_OFF, Outcome.TIMED_OUT, Outcome.GIVEN_BACK, Outcome.KILLED]
        fill(storage, "a")
        for n, outcome in enumerate(outcomes):
            claim = take_one(storage, worker=f"w{n}")
            assert claim.runs == n
            clock.advance(1)
            error = error_text(f"error {n}") if outcome.counted else None
            settle(storage, claim, Status.PENDING, outcome, counted=outcome.counted, error=error)
        claim = take_one(storage, worker="last")

        assert claim.attempts == the(storage, "a").attempts == 3
        in_hand = the(storage, "a").history
        assert [run.run for run in in_hand] == [1, 2, 3, 4, 5, 6]
        assert [run.outcome for run in in_hand] == [*outcomes, None]
        assert [run.worker for run in in_hand] == ["w0", "w1", "w2", "w3", "w4", "last"]
        assert [run.error and run.error.message for run in in_hand] == [
            "error 0", None, "error 2", None, "error 4", None,
        ]  # fmt: skip
        assert all(run.ended and run.started <= run.ended for run in in_hand[:-1])
        assert the(storage, "a").error == JobError("builtins.ValueError", "error 4")

        complete(storage, claim)
        history = the(storage, "a").history
        assert [run.outcome for run in history] == [*outcomes, Outcome.COMPLETED]
        assert history[:-1] == in_hand[:-1]

    def test_a_claim_that_only_says_last_words_is_no_run(self, storage: Storage) -> None:
        """Settled without an outcome, the job ends and its history and error stay."""
        fill(storage, "a")
        dead = error_text("killed by signal 9", "flask_queues.WorkerLost")
        settle(storage, take_one(storage), Status.PENDING, Outcome.KILLED, counted=True, error=dead)
        settle(storage, take_one(storage), Status.FAILED)
        record = the(storage, "a")
        assert (record.status, record.attempts) == (Status.FAILED, 1)
        assert [run.outcome for run in record.history] == [Outcome.KILLED]
        assert record.error == JobError("flask_queues.WorkerLost", "killed by signal 9")

    def test_progress_of_a_run_before_is_not_shown(self, storage: Storage) -> None:
        """A new run begins at no progress."""
        fill(storage, "a")
        settle(storage, take_one(storage), Status.PENDING, Outcome.FAILED, progress=Progress(80))
        take(storage)
        assert the(storage, "a").progress is None
