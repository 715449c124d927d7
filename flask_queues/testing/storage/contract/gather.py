"""The contract: jobs that wait for each other, until there are enough of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ....record import Outcome, Status, to_datetime
from ....storage import Storage
from ....storage.unique import START, Unique
from ....storage.values import Gather, NewJob, Occurrence, Query, Schedule
from ..engine import Clock, Engine
from ..fixtures import OpenedTwice
from ..processes import together
from .others import push_to_gather
from .words import LATER, LONG, SHORT, complete, counted, fill, ids, new, settle, take, take_one, the

THREE = Gather("gröup\n\t1", 3)

Change = Callable[[Storage, Clock], object]


def part(job_id: str, gather: Gather = THREE, **options: Any) -> NewJob:
    """A job that waits for others of its group."""
    return new(job_id, **{"gather": gather, "delay": LONG, **options})


def waiting(storage: Storage, *job_ids: str) -> list[str]:
    """Which of these jobs wait for their time."""
    return [job_id for job_id in job_ids if the(storage, job_id).status is Status.SCHEDULED]


def put_off(storage: Storage, job_id: str, delay: int) -> None:
    """Run a job by hand before its time and let it wait again."""
    claim = storage.claim("me", job_id, LONG)
    assert claim is not None
    settle(storage, claim, Status.SCHEDULED, Outcome.FAILED, delay=delay)


class GatherContract(OpenedTwice):
    """Jobs that wait for each other, until there are enough of them."""

    def test_a_complete_group_is_due_at_once(self, storage: Storage, other: Storage) -> None:
        """In the step that stores its last job, whoever pushed the others; in that order, behind what was due."""
        fill(storage, "before")
        storage.push([part("1"), part("alone", Gather("another", 3)), new("later", delay=LONG)])
        other.push([part("2")])
        assert waiting(storage, "1", "2") == ["1", "2"]
        other.push([part("3", delay=2 * LONG)])
        fill(storage, "after")

        assert storage.pending(["q"], ["t"]) is True
        assert waiting(storage, "1", "2", "3", "alone", "later") == ["alone", "later"]
        assert storage.counts().cells == counted(storage)
        assert [take_one(storage).id for _ in range(5)] == ["before", "1", "2", "3", "after"]
        assert take(storage) == []

    def test_what_came_too_early_says_since_when_it_could_run(self, storage: Storage, clock: Clock) -> None:
        """Until it has ended: a person sees how long it really waits, and a look at the line too."""
        before = clock.now()
        storage.push([part("1"), part("2"), part("3")])
        after = to_datetime(clock.now())
        assert to_datetime(before) <= the(storage, "1").due <= after
        assert before <= storage.oldest()["q"] <= clock.now()
        claim = take_one(storage)
        assert the(storage, claim.id).due <= after
        settle(storage, claim, Status.PENDING, Outcome.GIVEN_BACK)
        assert the(storage, claim.id).due <= after
        assert {job.due <= after for job in storage.page(Query(statuses=[Status.PENDING])).jobs} == {True}

    def test_an_incomplete_group_waits_for_its_time(self, storage: Storage, clock: Clock) -> None:
        """Each of its jobs for its own."""
        storage.push([part("1", delay=SHORT), part("2")])
        assert take(storage) == []
        assert storage.pending(["q"], ["t"]) is False
        clock.advance(LATER)
        assert ids(take(storage)) == ["1"]
        assert take(storage) == []

    def test_of_many_in_one_push_those_are_due_that_make_groups(self, storage: Storage) -> None:
        """In the order in which they come; the rest waits for the next ones."""
        names = [str(n) for n in range(8)]
        storage.push([part(name) for name in names])
        assert waiting(storage, *names) == ["6", "7"]
        storage.push([part("8"), part("9")])
        assert waiting(storage, *names, "8", "9") == ["9"]
        assert storage.counts().cells == counted(storage)

    def test_a_group_is_of_one_queue_and_one_name(self, storage: Storage) -> None:
        """Names that begin alike are different ones."""
        groups = [Gather("g", 3), Gather("g\n", 3), Gather("g\t", 3), Gather('g"', 3)]
        for queue in ("q", "r"):
            storage.push([part(f"{queue}{n}{m}", one, queue=queue) for n, one in enumerate(groups) for m in (1, 2)])
        assert len(waiting(storage, *(f"{queue}{n}{m}" for queue in "qr" for n in range(4) for m in (1, 2)))) == 16
        storage.push([part("q13", groups[1])])
        assert waiting(storage, "q01", "q11", "q13", "q21", "q31", "r11") == ["q01", "q21", "q31", "r11"]

    def test_the_next_group_begins_with_nothing(self, storage: Storage) -> None:
        """What was complete counts no more, whatever becomes of it."""
        storage.push([part("1"), part("2"), part("3")])
        storage.push([part("4"), part("5")])
        settle(storage, take_one(storage), Status.SCHEDULED, Outcome.FAILED, delay=LONG)
        assert waiting(storage, "4", "5") == ["4", "5"]
        storage.push([part("6")])
        assert waiting(storage, "1", "4", "5", "6") == ["1"]

    @pytest.mark.parametrize("way", ["push", "push_unique", "follow", "cancelled follow", "schedule"])
    def test_however_a_job_is_stored_it_may_make_its_group_complete(self, storage: Storage, way: str) -> None:
        """Alone, with others, since a job has ended, with a schedule."""
        storage.push([part("1"), part("2")])
        last = part("3")
        if way == "push":
            storage.push([last])
        elif way == "push_unique":
            assert storage.push_unique(last) == "3"
        elif way == "schedule":
            assert storage.put_schedule(Schedule("s", "q", "{}"), [last], [Occurrence(1, 0, "fired", "3")])
        else:
            fill(storage, "first", queue="q" if way == "follow" else "r")
            claim = take_one(storage, "q", "r")
            if way == "follow":
                complete(storage, claim, follows=[last])
            else:
                storage.cancel(claim.id, "no")
                settle(storage, claim, Status.PENDING, if_cancelled=[last])
        assert waiting(storage, "1", "2", "3") == []
        assert ids([take_one(storage) for _ in range(3)]) == ["1", "2", "3"]
        assert storage.counts().cells == counted(storage)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda storage, _: storage.cancel("2", "no"), id="cancelled"),
            pytest.param(lambda storage, _: storage.delete("2"), id="deleted"),
            pytest.param(lambda storage, _: storage.purge([Status.SCHEDULED]), id="purged"),
            pytest.param(lambda storage, _: storage.retry("2"), id="retried"),
            pytest.param(lambda storage, _: storage.retry("2", LONG), id="put off"),
            pytest.param(lambda storage, _: put_off(storage, "2", LONG), id="claimed"),
            pytest.param(lambda storage, _: (storage.cancel("2", "no"), storage.retry("2", LONG)), id="begun anew"),
        ],
    )
    def test_what_does_not_wait_for_the_others_counts_no_more(
        self, storage: Storage, clock: Clock, change: Change
    ) -> None:
        """Nor if it waits again, for the same time as before."""
        storage.push([part("2")])
        change(storage, clock)
        storage.push([part("1"), part("3")])
        assert waiting(storage, "1", "3") == ["1", "3"]
        storage.push([part("4")])
        assert waiting(storage, "1", "3", "4") == []
        assert storage.counts().cells == counted(storage)

    def test_what_is_due_counts_no_more(self, storage: Storage, clock: Clock) -> None:
        """Whether anybody has asked for jobs since or not; nor what was due when it was pushed."""
        storage.push([part("1", delay=SHORT), part("2", delay=SHORT)])
        clock.advance(LATER)
        storage.push([part("3", delay=0), part("4"), part("5")])
        assert waiting(storage, "4", "5") == ["4", "5"]
        assert len([take_one(storage) for _ in range(3)]) == 3
        storage.push([part("6", delay=0), part("7", at=1)])
        assert waiting(storage, "4", "5") == ["4", "5"]
        storage.push([part("8")])
        assert waiting(storage, "4", "5", "8") == []

    def test_a_job_counts_once(self, storage: Storage) -> None:
        """However often it is pushed; one in whose place another came does not count."""
        storage.push([part("1"), part("1"), part("2")])
        storage.push([part("2")])
        replacing = [part(str(n), unique=Unique("k", START, 0, True)) for n in range(3, 6)]
        others = [Gather("other", 3)] * 2
        storage.push([*(job._replace(gather=one) for job, one in zip(replacing, others, strict=False))])
        assert waiting(storage, "1", "2", "4") == ["1", "2", "4"]
        storage.push([replacing[2]])
        assert waiting(storage, "1", "2", "5") == []
        storage.push([part("6", others[0]), part("7", others[0])])
        assert waiting(storage, "6", "7") == ["6", "7"]

    def test_the_job_that_comes_says_how_many_are_enough(self, storage: Storage) -> None:
        """Another number than those before, after a deploy."""
        storage.push([part(str(n), Gather("g", 10)) for n in range(4)])
        storage.push([part("4", Gather("g", 2))])
        assert waiting(storage, *map(str, range(5))) == []
        storage.push([part("5", Gather("g", 1))])
        assert waiting(storage, "5") == []

    def test_a_batch_is_told(self, storage: Storage) -> None:
        """Its tally says where its jobs stand."""
        storage.push([part("1", batch="b"), part("2", batch="b")])
        storage.push([part("3")])
        assert storage.tallies({"b": ["q"]}) == {"b": {Status.PENDING: 2}}

    def test_a_moved_job_waits_for_its_time_alone(self, storage: Storage, clock: Clock) -> None:
        """It arrives with its time, and with nothing that makes others wait less."""
        storage.push([part("1", delay=SHORT), part("2", delay=SHORT)])
        load = storage.hand_out("elsewhere")
        assert load is not None
        storage.let_go(load.number)
        assert storage.take_in("somewhere", load._replace(number=1)) == 2
        storage.push([part("3"), part("4")])
        assert waiting(storage, "1", "2", "3", "4") == ["1", "2", "3", "4"]
        clock.advance(LATER)
        assert sorted(ids([take_one(storage), take_one(storage)])) == ["1", "2"]
        assert take(storage) == []

    def test_what_came_too_early_keeps_its_place_in_a_move(self, storage: Storage) -> None:
        """It is pending there too, before what became due later."""
        storage.push([part("1"), part("2"), part("3")])
        load = storage.hand_out("elsewhere")
        assert load is not None
        storage.let_go(load.number)
        assert storage.take_in("somewhere", load._replace(number=1)) == 3
        fill(storage, "after")
        assert [take_one(storage).id for _ in range(4)] == ["1", "2", "3", "after"]

    def test_processes_that_push_at_once_make_each_group_complete(self, engine: Engine, storage: Storage) -> None:
        """None is left behind but the rest, and none is in two."""
        told = together(push_to_gather, *[(engine, who, 25, Gather("g", 7)) for who in "ab"])
        names = [name for some in told for name in some]
        assert len(waiting(storage, *names)) == 50 % 7
        assert storage.counts().cells == counted(storage)
