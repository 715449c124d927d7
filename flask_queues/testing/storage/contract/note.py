"""The contract: what a running job says of itself."""

from __future__ import annotations

from ....record import Outcome, Progress, Status
from ....storage import Storage
from ..fixtures import OpenedTwice
from .words import LONG, TEXTS, complete, fill, line, settle, take_one, the


class NoteContract(OpenedTwice):
    """What a running job says of itself."""

    def test_notes_are_seen_while_the_job_runs(self, storage: Storage, other: Storage) -> None:
        """Progress replaces, log lines are added."""
        fill(storage, "a")
        claim = take_one(storage)
        assert storage.note("a", claim.token, Progress(12.5, "begun")) is True
        assert (
            storage.note("a", claim.token, logs=[line("one", context={"page": 1}), line("two", level="error")]) is True
        )
        assert the(other, "a").progress == Progress(12.5, "begun")
        assert other.logs("a") == [line("one", context={"page": 1}), line("two", level="error")]
        assert storage.note("a", claim.token, Progress(50)) is True
        assert the(other, "a").progress == Progress(50, "")

    def test_a_note_without_the_claim_in_force_is_refused(self, storage: Storage) -> None:
        """Wrong token, ended job, unknown job: nothing is kept."""
        fill(storage, "a", "b")
        claim = take_one(storage)
        assert storage.note("a", claim.token + 1, Progress(1), [line("x")]) is False
        assert storage.note("b", claim.token, Progress(1), [line("x")]) is False
        assert storage.note("unknown", claim.token, Progress(1), [line("x")]) is False
        complete(storage, claim)
        assert storage.note("a", claim.token, Progress(1), [line("x")]) is False
        assert the(storage, "a").progress is None
        assert storage.logs("a") == storage.logs("b") == storage.logs("unknown") == []

    def test_logs_are_the_newest_lines_in_their_order(self, storage: Storage) -> None:
        """Lines stay in order over notes and runs; a limit cuts at the front."""
        fill(storage, "a", "b")
        for run in (1, 2):
            claim = take_one(storage)
            for n in range(30):
                storage.note("a", claim.token, logs=[line(f"{n}.0", run), line(f"{n}.1", run)])
            settle(storage, claim, Status.PENDING, Outcome.FAILED, logs=[line("end", run)])
        expected = [
            (run, text) for run in (1, 2) for text in [*(f"{n}.{m}" for n in range(30) for m in range(2)), "end"]
        ]
        assert [(one.run, one.message) for one in storage.logs("a")] == expected
        assert [(one.run, one.message) for one in storage.logs("a", 7)] == expected[-7:]
        assert [(one.run, one.message) for one in storage.logs("a", 1)] == [(2, "end")]
        assert storage.logs("b") == []

    def test_at_most_500_lines_are_read_where_nobody_asks_for_more(self, storage: Storage) -> None:
        """The default limit of `logs`."""
        fill(storage, "a")
        storage.note("a", take_one(storage).token, logs=[line(f"{n}") for n in range(501)])
        assert [one.message for one in storage.logs("a")] == [f"{n}" for n in range(1, 501)]
        assert len(storage.logs("a", 1000)) == 501

    def test_what_a_job_keeps_is_there_for_its_next_run(self, storage: Storage, other: Storage) -> None:
        """Over what it kept before, whatever became of the run; each job has its own."""
        fill(storage, "a", "b")
        assert storage.kept("a") is None
        claim = take_one(storage)
        for text in ("x", *TEXTS):
            assert storage.keep("a", claim.token, text) is True
            assert other.kept("a") == text
        settle(storage, claim, Status.PENDING, Outcome.FAILED)
        assert (other.kept("a"), other.kept("b")) == (TEXTS[-1], None)
        again = storage.claim("w", "a", LONG)
        assert again is not None
        complete(storage, again)
        assert other.kept("a") == TEXTS[-1]

    def test_nothing_is_kept_without_the_claim_in_force(self, storage: Storage) -> None:
        """Wrong token, ended job, unknown job."""
        fill(storage, "a", "b")
        claim = take_one(storage)
        assert storage.keep("a", claim.token, "mine") is True
        assert storage.keep("a", claim.token + 1, "x") is False
        assert storage.keep("b", claim.token, "x") is False
        assert storage.keep("unknown", claim.token, "x") is False
        complete(storage, claim)
        assert storage.keep("a", claim.token, "x") is False
        assert (storage.kept("a"), storage.kept("b"), storage.kept("unknown")) == ("mine", None, None)

    def test_what_a_job_keeps_goes_with_it(self, storage: Storage) -> None:
        """One that gets its id later finds nothing."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.keep("a", claim.token, "x")
        complete(storage, claim)
        assert storage.delete("a") is Status.COMPLETED
        assert storage.kept("a") is None
        fill(storage, "a")
        assert storage.kept("a") is None
