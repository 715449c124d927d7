"""The contract: what can be read."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import pytest

from ....damaged import options_of
from ....record import JobRecord, Outcome, Status, to_milliseconds
from ....storage import Storage
from ....storage.values import Claim, Query, Severity
from ..engine import Clock, Engine
from ..fixtures import OpenedTwice
from ..processes import running
from .others import move_jobs, push_when_told
from .words import (
    LONG,
    TAGGED,
    UNINDEXED,
    UNTAGGED,
    complete,
    counted,
    error_text,
    everything,
    fail,
    fill,
    ids,
    new,
    settle,
    take,
    take_one,
    the,
)


class ReadContract(OpenedTwice):
    """What can be read."""

    def mixed(self, storage: Storage) -> list[JobRecord]:
        """Push jobs of every queue, type, tag and status; returns their records."""
        job_ids = []
        for n, (queue, type_, tag) in enumerate(itertools.product(("q", "r"), ("t", "u"), ((), ("x",), ("x", "y")))):
            for m, status in enumerate(Status):
                job_id = f"{n}-{m}"
                delay = LONG if status is Status.SCHEDULED else 0
                storage.push([new(job_id, queue=queue, type=type_, tags=tag, delay=delay)])
                job_ids.append(job_id)
                if status not in (Status.PENDING, Status.SCHEDULED):
                    claim = storage.claim("w", job_id, LONG)
                    assert claim is not None
                    if status is not Status.RUNNING:
                        settle(storage, claim, status, Outcome.FAILED)
        return [the(storage, job_id) for job_id in job_ids]

    @pytest.mark.parametrize(
        "said",
        [
            {"payload": "{"},
            {"payload": "[]"},
            {"options": "{"},
            {"options": "[]"},
            {"options": '{"tries":1e308,"timeout":1e308}'},
            {"options": '{"timeout":"x"}'},
            {"options": '{"chain":[1]}'},
        ],
    )
    def test_a_record_that_cannot_be_read_says_so_among_the_others(
        self, storage: Storage, said: dict[str, Any]
    ) -> None:
        """Wherever it is read: in a list, alone, as a claim, and once it has ended."""
        storage.push([new("a"), new("b", **said), new("c")])
        assert sorted(ids(everything(storage))) == ["a", "b", "c"]
        assert [the(storage, job_id).error is not None for job_id in "abc"] == [False, True, False]
        claims = [take_one(storage) for _ in range(3)]
        assert ids(claims) == ["a", "b", "c"]
        assert [options_of(claim)[1] is not None for claim in claims] == [False, "options" in said, False]
        record = the(storage, "b")
        assert (record.status, record.started is not None, record.payload) == (Status.RUNNING, True, {})
        fail(storage, claims[1], error=error_text("unreadable"))
        record = the(storage, "b")
        assert (record.status, record.finished is not None) == (Status.FAILED, True)
        assert storage.delete("b") is Status.FAILED
        assert sorted(ids(everything(storage))) == ["a", "c"]

    def test_every_combination_of_filters_shows_what_fits_and_nothing_else(self, storage: Storage) -> None:
        """Queue, type, tag and statuses, alone and together, on pages of any size, each job once."""
        records = self.mixed(storage)
        sets: list[tuple[Status, ...]] = [
            (),
            *[(one,) for one in Status],
            (Status.FAILED, Status.PENDING),
            (Status.RUNNING, Status.SCHEDULED),
            tuple(Status),
        ]
        for queue, type_, tag, statuses in itertools.product(
            (None, "q", "nowhere"), (None, "u"), (None, "x", "y", "none"), sets
        ):
            fitting = {
                job.id
                for job in records
                if queue in (None, job.queue)
                and type_ in (None, job.type)
                and (tag is None or tag in job.tags)
                and (not statuses or job.status in statuses)
            }
            for limit, oldest in itertools.product((3, 50), (False, True)):
                found = everything(storage, limit, queue=queue, type=type_, tag=tag, statuses=statuses, oldest=oldest)
                assert sorted(ids(found)) == sorted(fitting), (queue, type_, tag, statuses, limit, oldest)

    @pytest.mark.parametrize("filters", [*UNTAGGED, *TAGGED])
    def test_a_status_that_is_asked_for_twice_is_shown_once(self, storage: Storage, filters: dict[str, Any]) -> None:
        """On whichever way the list is read, from either end."""
        fill(storage, *"abc", tags=("x",))
        twice = [Status.CANCELLED, Status.PENDING, Status.PENDING]
        assert sorted(ids(everything(storage, 2, statuses=twice, **filters))) == list("abc")
        assert sorted(ids(everything(storage, 2, statuses=twice, oldest=True, **filters))) == list("abc")

    def test_a_list_shows_whole_records(self, storage: Storage) -> None:
        """A record on a page is the record that `get` returns."""
        records = self.mixed(storage)
        assert {job.id: job for job in everything(storage)} == {job.id: job for job in records}

    @pytest.mark.parametrize("status", [one for one in Status if one is not Status.SCHEDULED])
    def test_those_come_first_that_came_last_into_their_status(
        self, storage: Storage, clock: Clock, status: Status
    ) -> None:
        """The newest in its status is on top, whenever it was pushed."""
        names = list("abcdef")
        fill(storage, *names)
        order = ["c", "f", "a", "e", "b", "d"]
        for name in order:
            clock.advance(2)
            claim = storage.claim("w", name, LONG)
            assert claim is not None
            if status is not Status.RUNNING:
                settle(storage, claim, status, Outcome.FAILED)
        for filters in UNTAGGED:
            for limit in (2, 50):
                found = everything(storage, limit, statuses=[status], **filters)
                assert ids(found) == order[::-1], (filters, limit)
                assert ids(everything(storage, limit, **filters)) == order[::-1], (filters, limit)
                found = everything(storage, limit, statuses=[status], oldest=True, **filters)
                assert ids(found) == order, (filters, limit)
                assert ids(everything(storage, limit, oldest=True, **filters)) == order, (filters, limit)

    def test_a_scheduled_job_stands_at_the_time_it_is_due(self, storage: Storage) -> None:
        """Among scheduled jobs the one due last is on top, and all of them above what came before."""
        for name, delay in (("a", 3000), ("b", 9000), ("c", 0), ("d", 6000)):
            fill(storage, name, delay=delay)
        for filters in UNTAGGED:
            assert ids(everything(storage, 2, **filters)) == ["b", "d", "a", "c"]
            assert ids(everything(storage, 2, statuses=[Status.SCHEDULED], **filters)) == ["b", "d", "a"]
            soonest = everything(storage, 2, statuses=[Status.SCHEDULED], oldest=True, **filters)
            assert ids(soonest) == ["a", "d", "b"]

    @pytest.mark.parametrize("limit", [1, 2, 50])
    def test_the_oldest_first_is_the_same_list_from_its_other_end(self, storage: Storage, limit: int) -> None:
        """Also of many that came in the same moment, into any status, at any priority, and with a tag."""
        self.mixed(storage)
        for n in range(9):
            fill(storage, f"p{n}", priority=(n % 3) * 50 - 50, queue="qr"[n % 2], tags=("x",))
        statuses: list[tuple[Status, ...]] = [(), *[(one,) for one in Status], tuple(Status)]
        for filters, some in itertools.product((*UNTAGGED, *TAGGED), statuses):
            wanted = {**filters, "statuses": some}
            newest = ids(everything(storage, limit, **wanted))
            assert ids(everything(storage, limit, **wanted, oldest=True)) == newest[::-1], wanted

    def test_a_list_may_begin_at_a_moment(self, storage: Storage, clock: Clock) -> None:
        """Newest first with what came before it, oldest first with what came at it or later, on pages of any size."""
        fill(storage, *"abcdef")
        ended = {}
        for name in "cfaebd":
            clock.advance(2)
            claim = storage.claim("w", name, LONG)
            assert claim is not None
            complete(storage, claim)
            finished = the(storage, name).finished
            assert finished is not None
            ended[name] = to_milliseconds(finished)
        moments = [*ended.values(), min(ended.values()) - 1, max(ended.values()) + 1]
        for filters, limit, moment in itertools.product(UNTAGGED, (1, 4, 50), moments):
            before = [name for name in reversed(ended) if ended[name] < moment]
            since = [name for name in ended if ended[name] >= moment]
            wanted = {**filters, "statuses": [Status.COMPLETED], "begin": moment}
            assert ids(everything(storage, limit, **wanted)) == before
            assert ids(everything(storage, limit, **wanted, oldest=True)) == since

    def test_the_two_sides_of_a_moment_are_the_whole_list(self, storage: Storage) -> None:
        """Of every status and all of them, also where many came in one moment; with a tag the list is whole."""
        records = self.mixed(storage)
        moments = {
            to_milliseconds(moment) for job in records for moment in (job.created, job.due, job.finished) if moment
        }
        statuses: list[tuple[Status, ...]] = [(), *[(one,) for one in Status]]
        for filters, some, moment in itertools.product(
            UNTAGGED, statuses, sorted(moments)[:: max(1, len(moments) // 4)]
        ):
            wanted = {**filters, "statuses": some}
            since = ids(everything(storage, 7, **wanted, begin=moment, oldest=True))[::-1]
            assert since + ids(everything(storage, 7, **wanted, begin=moment)) == ids(everything(storage, **wanted))
        tagged = ids(everything(storage, tag="x"))
        assert ids(everything(storage, 7, tag="x", begin=max(moments))) == tagged

    @pytest.mark.parametrize("oldest", [False, True])
    def test_a_job_that_was_due_at_no_time_hides_no_other(self, storage: Storage, oldest: bool) -> None:
        """As one of 1970, or before."""
        fill(storage, "1", at=0)
        fill(storage, "2", at=-1)
        fill(storage, "3")
        for limit in (1, 200):
            assert set(ids(everything(storage, limit, statuses=(Status.PENDING,), oldest=oldest))) == {"1", "2", "3"}

    def test_with_a_tag_the_last_pushed_come_first(self, storage: Storage, clock: Clock) -> None:
        """Whatever became of them."""
        for name in "abcde":
            fill(storage, name, tags=("x",))
            clock.advance(1)
        complete(storage, take_one(storage))
        storage.cancel("c", "why")
        for filters in TAGGED:
            assert ids(everything(storage, 2, **filters)) == list("edcba")
            assert ids(everything(storage, 2, **filters, oldest=True)) == list("abcde")

    @pytest.mark.parametrize("tag", [None, "x"])
    def test_a_status_that_is_named_twice_counts_once(self, storage: Storage, tag: str | None) -> None:
        """With a tag and without."""
        fill(storage, "a", "b", tags=("x",))
        take_one(storage)
        named = [Status.RUNNING, Status.PENDING, Status.PENDING]
        for statuses in (named, [Status.PENDING, *named], [*named, *named]):
            assert sorted(ids(everything(storage, 1, tag=tag, statuses=statuses))) == ["a", "b"]
        assert ids(everything(storage, 5, tag=tag, statuses=[Status.PENDING] * 2)) == ["b"]

    def test_a_list_ends_with_its_last_job(self, storage: Storage) -> None:
        """A page that holds the last job says that there is no other, however full it is."""
        fill(storage, *"abcd")
        complete(storage, take_one(storage))
        for filters in (*UNTAGGED[:3], {"statuses": tuple(Status)}, {"oldest": True}):
            whole = storage.page(Query(**filters, limit=4))
            assert (len(whole.jobs), whole.after) == (4, None), filters
            part = storage.page(Query(**filters, limit=3))
            assert part.after is not None
            rest = storage.page(Query(**filters, limit=3, after=part.after))
            assert (len(rest.jobs), rest.after) == (1, None), filters
        assert storage.page(Query(queue="nowhere")) == ((), None)

    def test_pages_cover_everything_once_while_new_jobs_arrive(self, storage: Storage, clock: Clock) -> None:
        """Jobs pushed while somebody turns pages neither hide nor repeat those that were there."""
        for n in range(5):
            fill(storage, *[f"{n}.{m}" for m in range(8)], tags=("x",))
            clock.advance(1)
        there = set(ids(everything(storage)))
        for filters in (*UNTAGGED, *TAGGED, {"oldest": True}, {"oldest": True, "tag": "x"}):
            seen: list[str] = []
            after: str | None = None
            while True:
                page = storage.page(Query(**filters, limit=3, after=after))
                seen += ids(page.jobs)
                fill(storage, f"new {len(seen)} {sorted(filters)}", tags=("x",))
                after = page.after
                if after is None:
                    break
            old = [job_id for job_id in seen if job_id in there]
            assert sorted(old) == sorted(there), filters
            assert len(set(seen)) == len(seen)
            there = set(ids(everything(storage)))

    def test_no_job_is_on_a_page_twice_while_others_move_them(self, engine: Engine, storage: Storage) -> None:
        """A page shows one moment, in which each job is in exactly one status."""
        names = {f"{n}" for n in range(30)}
        fill(storage, *names)
        with running(move_jobs, engine) as mover:
            assert mover.hear() == "ready"
            for n in range(150):
                page = storage.page(Query(**UNTAGGED[n % 4], limit=100))
                assert sorted(ids(page.jobs)) == sorted(names)

    def test_a_list_that_no_index_serves_looks_at_a_bounded_number(self, storage: Storage) -> None:
        """It stops after 10,000 jobs with what it has, and goes on from there to the end."""
        fill(storage, "needle", type="rare", tags=("x",))
        hay = [new(f"{n}", tags=("x",)) for n in range(10_100)]
        for start in range(0, len(hay), 1000):
            storage.push(hay[start : start + 1000])
        for filters in UNINDEXED:
            page = storage.page(Query(**filters))
            assert page.jobs or page.after, "an empty page that does not tell where to go on"
            assert ids(everything(storage, **filters)) == ["needle"], filters

    def test_counts_are_kept_through_every_transition(self, storage: Storage, clock: Clock) -> None:
        """After each step the kept counts are those that a walk through all jobs finds."""
        assert storage.counts().cells == {}
        dice = random.Random(20260101)
        names = [f"{n}" for n in range(24)]
        claims: dict[str, Claim] = {}
        for n in range(250):
            name = dice.choice(names)
            what = dice.randrange(7)
            if what == 0:
                storage.push([new(name, queue=dice.choice("qr"), type=dice.choice("tu"), delay=dice.choice([0, 9]))])
            elif what in (1, 2):
                for claim in take(storage, "q", "r", types="t" if n % 2 else "tu", limit=2, short=["t"]):
                    claims[claim.id] = claim
            elif what == 3 and claims:
                claim = claims.pop(dice.choice(sorted(claims)))
                status = dice.choice([one for one in Status if one is not Status.RUNNING])
                settle(storage, claim, status, Outcome.FAILED, delay=dice.choice([0, 5]))
            elif what == 4:
                storage.cancel(name, "why")
            elif what == 5:
                storage.retry(name)
                storage.release_held(["u"])
            else:
                storage.delete(name)
                storage.purge([dice.choice(list(Status))], limit=1)
            clock.advance(1)
            assert storage.counts().cells == counted(storage)

    def test_counts_name_every_status_of_every_queue(self, storage: Storage) -> None:
        """By status over all, and by queue."""
        fill(storage, "a", "b")
        fill(storage, "c", queue="r", delay=LONG)
        counts = storage.counts()
        none = dict.fromkeys((status.value for status in Status), 0)
        assert counts.statuses == {**none, "pending": 2, "scheduled": 1}
        assert counts.queues == {"q": {**none, "pending": 2}, "r": {**none, "scheduled": 1}}

    def test_queues_are_those_in_which_a_job_waits(self, storage: Storage) -> None:
        """Pending or scheduled; a queue whose jobs have all ended is not named."""
        assert storage.queues() == []
        fill(storage, "a", queue="ended")
        complete(storage, take_one(storage, "ended"))
        fill(storage, "b", "b2", queue="pending")
        fill(storage, "c", queue="scheduled", delay=LONG)
        fill(storage, "d", queue="running")
        take(storage, "running")
        assert sorted(storage.queues()) == ["pending", "scheduled"]

    def test_a_storage_says_in_one_line_where_the_jobs_are(self, storage: Storage) -> None:
        """A line for a person."""
        assert len(storage.describe().splitlines()) == 1

    def test_an_examination_says_what_is_promised_and_how_to_mend_the_rest(self, storage: Storage) -> None:
        """Each finding has a code of its own, and each that is more than a note a way out."""
        fill(storage, "a")
        found = storage.examine()
        assert found
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", one.code) and one.problem for one in found)
        assert all(one.fix for one in found if one.severity > Severity.NOTE)
        assert len({one.code for one in found}) == len(found)

    def test_worker_processes_see_the_same_jobs(self, engine: Engine, storage: Storage) -> None:
        """What says that it is shared is seen by another process, and the other way round."""
        assert storage.shared
        with running(push_when_told, engine) as pusher:
            assert pusher.hear() == "ready"
            pusher.tell("theirs")
            assert pusher.hear() == "pushed"
            assert the(storage, "theirs").status is Status.PENDING
            fill(storage, "ours")
            pusher.tell("ours")
            assert pusher.hear() == "pushed"
            pusher.tell(None)
        assert storage.counts().statuses["pending"] == 2

    def test_a_closed_storage_opens_again_with_the_next_call(self, storage: Storage) -> None:
        """Letting go of connections loses nothing; nothing is inside a call then."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.close()
        storage.close()
        assert not storage.busy
        assert complete(storage, claim).lost == []
        storage.close()
        assert the(storage, "a").status is Status.COMPLETED
        assert not storage.busy
