"""The contract: a schedule is changed by whoever saw its last state, together with what it pushes."""

from __future__ import annotations

import json

from ....record import Status
from ....storage import Storage
from ....storage.values import Occurrence, Schedule
from ..engine import Engine
from ..fixtures import OpenedTwice
from ..processes import together
from .others import fire_all
from .words import LONG, TEXTS, fill, new, the


class ScheduleContract(OpenedTwice):
    """A schedule is changed by whoever saw its last state, together with what it pushes."""

    def test_a_schedule_is_kept_as_it_was_written(self, storage: Storage, other: Storage) -> None:
        """Whatever is in its name and text."""
        text = json.dumps({"w": TEXTS}, ensure_ascii=False, indent="\t")
        revision = storage.put_schedule(Schedule("Müll: räumen", "q", text))
        assert revision > 0
        assert other.schedules() == [Schedule("Müll: räumen", "q", text, revision)]

    def test_schedules_come_by_name(self, storage: Storage) -> None:
        """Over all queues."""
        for name, queue in [("c", "q"), ("a", "r"), ("b", "q")]:
            storage.put_schedule(Schedule(name, queue, "{}"))
        assert [one.name for one in storage.schedules()] == ["a", "b", "c"]

    def test_only_one_of_two_changes_of_the_same_state_is_made(self, storage: Storage, other: Storage) -> None:
        """The other changes nothing and pushes nothing."""
        first = storage.put_schedule(Schedule("s", "q", "1"))
        second = storage.put_schedule(Schedule("s", "q", "2", first), [new("a")], [Occurrence(7, 0, "fired", "a")])
        assert second not in (0, first)
        late = Schedule("s", "q", "3", first)
        assert other.put_schedule(late, [new("b")], [Occurrence(8, 0, "fired", "b")]) == 0
        assert storage.get("b") is None
        assert other.schedules() == [Schedule("s", "q", "2", second)]
        assert [one.due for one in other.occurrences(late)] == [7]

    def test_a_schedule_is_stored_anew_by_one_only(self, storage: Storage, other: Storage) -> None:
        """A name that is there already is not written over."""
        assert storage.put_schedule(Schedule("s", "q", "1"))
        assert other.put_schedule(Schedule("s", "q", "2"), [new("a")]) == 0
        assert storage.get("a") is None
        assert storage.schedules()[0].about == "1"

    def test_its_jobs_are_pushed_with_the_change(self, storage: Storage) -> None:
        """As a push would do it: an id that is there stays as it is."""
        fill(storage, "a", priority=7)
        storage.put_schedule(Schedule("s", "q", "1"), [new("a"), new("b"), new("c", delay=LONG)])
        assert the(storage, "a").priority == 7
        assert the(storage, "b").status is Status.PENDING
        assert the(storage, "c").status is Status.SCHEDULED
        assert storage.counts().statuses == {
            **dict.fromkeys([status.value for status in Status], 0), "pending": 2, "scheduled": 1,
        }  # fmt: skip

    def test_the_history_tells_the_last_first(self, storage: Storage) -> None:
        """With the storage's time of each decision, and without end growing."""
        before = storage.now()
        revision = storage.put_schedule(Schedule("s", "q", "1"), [], [Occurrence(1, 0, "fired", "a")])
        past = [Occurrence(n, 0, "left out: it was paused") for n in range(2, 150)]
        schedule = Schedule("s", "q", "2", revision)
        assert storage.put_schedule(schedule, [], past)
        told = storage.occurrences(schedule)
        assert [one.due for one in told] == list(range(149, 49, -1))
        assert told[0].outcome == "left out: it was paused"
        assert told[0].job is None
        assert all(before <= one.decided <= storage.now() for one in told)
        assert storage.occurrences(schedule, 2) == told[:2]

    def test_a_schedule_that_is_not_stored_cannot_be_deleted(self, storage: Storage) -> None:
        """Nothing changes."""
        before = storage.schedules_changed()
        assert not storage.delete_schedule(Schedule("s", "q", "{}"))
        assert storage.schedules_changed() == before

    def test_a_deleted_schedule_is_gone_with_its_history(self, storage: Storage) -> None:
        """What saw an older state of it cannot bring it back, nor change its namesake."""
        schedule = Schedule("s", "q", "1")
        first = storage.put_schedule(schedule, [], [Occurrence(1, 0, "fired", "a")])
        second = storage.put_schedule(schedule._replace(revision=first))
        assert not storage.delete_schedule(schedule._replace(revision=first))
        assert storage.delete_schedule(schedule._replace(revision=second))
        assert not storage.delete_schedule(schedule._replace(revision=second))
        assert storage.schedules() == []
        assert storage.occurrences(schedule) == []
        assert storage.put_schedule(schedule._replace(revision=second)) == 0
        assert storage.put_schedule(schedule) not in (0, first, second)
        assert storage.put_schedule(schedule._replace(revision=first)) == 0

    def test_every_change_is_told_cheaply(self, storage: Storage, other: Storage) -> None:
        """A change, a new one and a deletion; jobs that come and go are none."""
        seen = [other.schedules_changed()]
        schedule = Schedule("s", "q", "1")
        revision = storage.put_schedule(schedule)
        seen.append(other.schedules_changed())
        revision = storage.put_schedule(schedule._replace(revision=revision))
        seen.append(other.schedules_changed())
        fill(storage, "a")
        assert other.schedules_changed() == seen[-1]
        storage.delete_schedule(schedule._replace(revision=revision))
        seen.append(other.schedules_changed())
        assert len(set(seen)) == 4

    def test_of_many_processes_one_fires(self, engine: Engine, storage: Storage) -> None:
        """Each point in time once, with its job, however many try."""
        storage.put_schedule(Schedule("s", "q", "0"))
        fired = together(fire_all, *[(engine, n, 40) for n in range(4)])
        assert sum(fired) == 40
        assert storage.schedules()[0].about == "40"
        assert storage.counts().statuses["pending"] == 40
        assert [one.due for one in storage.occurrences(storage.schedules()[0])] == list(range(40, 0, -1))
