"""The contract: what has ended within a time, and the sheets on which the sums of it are kept."""

from __future__ import annotations

from ....record import Outcome, Status, to_milliseconds
from ....storage import Storage
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LONG, SHORT, complete, error_text, fail, fill, settle, take, take_one, the

FOREVER = 2**52


def ended(storage: Storage, since: int, until: int) -> list[str]:
    """The ids of what ended within a time, few enough to be read all."""
    return [record.id for record, _ in storage.ended(since, until, 100).sample]


class FiguresContract(OpenedTwice):
    """What has ended within a time, and the sheets on which the sums of it are kept."""

    def test_what_ended_within_a_time_is_told(self, storage: Storage) -> None:
        """By queue, job type and status; what waits or runs has not ended."""
        fill(storage, "a", "b", "c", "d", "e", "waits")
        fill(storage, "f", queue="r", type="u")
        done, failed, cancelled, again, _runs = (take_one(storage) for _ in range(5))
        complete(storage, done)
        fail(storage, failed, error=error_text("no"))
        settle(storage, cancelled, Status.CANCELLED, Outcome.CANCELLED)
        settle(storage, again, Status.SCHEDULED, Outcome.FAILED, delay=LONG, error=error_text("no"))
        complete(storage, take_one(storage, "r", types=["u"]))
        found = storage.ended(0, FOREVER, 100)
        assert found.counts == {
            ("q", "t", Status.COMPLETED): 1,
            ("q", "t", Status.FAILED): 1,
            ("q", "t", Status.CANCELLED): 1,
            ("r", "u", Status.COMPLETED): 1,
        }
        assert sorted((record.id, weight) for record, weight in found.sample) == [(one, 1) for one in "abcf"]
        assert {record.id: record.error and record.error.message for record, _ in found.sample}["b"] == "no"

    def test_a_time_begins_with_its_first_moment_and_ends_before_its_last(self, storage: Storage, clock: Clock) -> None:
        """So that times which touch each other count every job once."""
        fill(storage, "a", "b")
        complete(storage, take_one(storage))
        clock.advance(SHORT)
        complete(storage, take_one(storage))
        ends = [to_milliseconds(job.finished) for job in (the(storage, "a"), the(storage, "b")) if job.finished]
        assert ended(storage, 0, ends[0]) == []
        assert ended(storage, ends[0], ends[1]) == ["a"]
        assert ended(storage, ends[1], ends[1] + 1) == ["b"]
        assert ended(storage, ends[1] + 1, FOREVER) == []

    def test_of_many_some_are_read_that_stand_for_all(self, storage: Storage) -> None:
        """What is counted is exact all the same."""
        fill(storage, *(f"j{n}" for n in range(30)))
        for claim in take(storage, limit=30, short=["t"]):
            complete(storage, claim)
        found = storage.ended(0, FOREVER, 10)
        assert found.counts == {("q", "t", Status.COMPLETED): 30}
        assert [weight for _, weight in found.sample] == [3] * 10

    def test_what_was_retried_or_deleted_has_not_ended(self, storage: Storage) -> None:
        """Only what is stored as ended is found."""
        fill(storage, "a", "b")
        fail(storage, take_one(storage), error=error_text("no"))
        complete(storage, take_one(storage))
        storage.retry("a")
        storage.delete("b")
        assert storage.ended(0, FOREVER, 9) == ({}, [])

    def test_the_job_that_has_waited_longest_is_told(self, storage: Storage, clock: Clock) -> None:
        """Of each queue, whatever the priorities; neither what is not due yet nor what has been claimed counts."""
        fill(storage, "old", priority=-5)
        clock.advance(SHORT)
        fill(storage, "a", "b")
        fill(storage, "urgent", priority=100)
        fill(storage, "late", queue="r", delay=LONG)
        due = {job: to_milliseconds(the(storage, job).due) for job in ("old", "a")}
        assert storage.oldest() == {"q": due["old"]}
        storage.cancel("old", "")
        assert [take_one(storage).id for _ in range(2)] == ["urgent", "a"]
        assert storage.oldest() == {"q": to_milliseconds(the(storage, "b").due)}
        take_one(storage)
        assert storage.oldest() == {}

    def test_sheets_are_kept_for_all(self, storage: Storage, other: Storage) -> None:
        """Whoever asks by name gets the last text; one that is not there is left out."""
        assert storage.sheets(["a"]) == {}
        assert storage.write_sheets(("a", None), {"a": "1", "b": "zwölf\n\t{}"})
        assert other.sheets(["b", "a", "c"]) == {"a": "1", "b": "zwölf\n\t{}"}
        assert other.sheets([]) == {}
        assert other.write_sheets(("a", "1"), {"a": "2", "b": None})
        assert storage.sheets(["a", "b"]) == {"a": "2"}

    def test_a_sheet_that_somebody_else_has_changed_is_left_as_it_is(self, storage: Storage, other: Storage) -> None:
        """Of two who have seen the same, one writes."""
        assert storage.write_sheets(("a", None), {"a": "1"})
        assert not other.write_sheets(("a", None), {"a": "2", "b": "2"})
        assert not other.write_sheets(("a", "0"), {"a": "2", "b": "2"})
        assert not other.write_sheets(("b", "0"), {"a": "2"})
        assert other.sheets(["a", "b"]) == {"a": "1"}
