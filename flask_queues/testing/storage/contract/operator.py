"""The contract: what people and the application change."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from ....errors import PayloadChanged
from ....record import Outcome, Status, to_datetime, to_milliseconds
from ....storage import Storage
from ....storage.limits import CONCURRENCY, Limit
from ....storage.unique import Unique
from ..engine import Clock
from ..fixtures import OpenedTwice
from ..processes import DEADLINE
from .words import (
    LATER,
    LONG,
    SHORT,
    TEXTS,
    complete,
    counted,
    error_text,
    everything,
    fail,
    fill,
    ids,
    in_status,
    line,
    new,
    settle,
    take,
    take_one,
    the,
)


class OperatorContract(OpenedTwice):
    """What people and the application change."""

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
    def test_a_waiting_job_is_cancelled_at_once(self, storage: Storage, clock: Clock, status: Status) -> None:
        """It ends with the reason and is never claimed."""
        in_status(storage, "a", status)
        assert storage.cancel("a", "not needed") is status
        record = the(storage, "a")
        assert (record.status, record.reason, record.history) == (Status.CANCELLED, "not needed", ())
        assert record.finished is not None
        assert record.finished <= to_datetime(clock.now())
        assert take(storage, "way of a") == []
        assert storage.next_due() is None
        assert storage.counts().cells == counted(storage)

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
    def test_a_final_status_stays(self, storage: Storage, status: Status) -> None:
        """Cancelling what has ended changes nothing."""
        in_status(storage, "a", status)
        before = the(storage, "a")
        assert storage.cancel("a", "late") is status
        assert the(storage, "a") == before

    def test_a_running_job_is_asked_to_end(self, storage: Storage, other: Storage) -> None:
        """It runs on; the claim carries the word, and its holder may still settle as it likes."""
        claim = in_status(storage, "a", Status.RUNNING)
        assert claim is not None
        assert other.cancel("a", "please") is Status.RUNNING
        assert the(storage, "a").status is Status.RUNNING
        assert [one.cancel for one in storage.claims_of("w")] == ["please"]
        assert complete(storage, claim, result="1").lost == []
        assert (the(storage, "a").status, the(storage, "a").result) == (Status.COMPLETED, 1)

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
    def test_a_job_asked_to_end_does_not_run_again(self, storage: Storage, status: Status) -> None:
        """A settlement that would let it run again ends it as cancelled, with the word of who asked."""
        claim = in_status(storage, "a", Status.RUNNING)
        assert claim is not None
        storage.cancel("a", "please")
        settle(storage, claim, status, Outcome.FAILED, counted=True, error=error_text("e"), delay=5)
        record = the(storage, "a")
        assert (record.status, record.reason) == (Status.CANCELLED, "please")
        assert [(run.outcome, run.error and run.error.message) for run in record.history] == [(Outcome.FAILED, "e")]
        assert storage.counts().cells == counted(storage)

    def test_a_job_asked_to_end_may_fail(self, storage: Storage) -> None:
        """Failed for good is an end: it stays failed."""
        claim = in_status(storage, "a", Status.RUNNING)
        assert claim is not None
        storage.cancel("a", "please")
        fail(storage, claim, error=error_text("e"))
        assert the(storage, "a").status is Status.FAILED

    def test_a_job_that_obeys_keeps_the_word_of_who_asked(self, storage: Storage) -> None:
        """Settled as cancelled without a reason, it has the reason of the request; else its own."""
        for job_id, reason in (("a", None), ("b", "its own")):
            claim = in_status(storage, job_id, Status.RUNNING)
            assert claim is not None
            storage.cancel(job_id, "please")
            settle(storage, claim, Status.CANCELLED, Outcome.CANCELLED, reason=reason)
            assert the(storage, job_id).reason == (reason or "please")

    def test_a_request_to_end_is_for_one_run(self, storage: Storage) -> None:
        """Once it has ended and is retried, nobody asks any more."""
        claim = in_status(storage, "a", Status.RUNNING)
        assert claim is not None
        storage.cancel("a", "please")
        fail(storage, claim)
        storage.retry("a")
        again = take_one(storage, "way of a")
        assert again.cancel is None
        settle(storage, again, Status.PENDING, Outcome.FAILED)
        assert the(storage, "a").status is Status.PENDING
        assert the(storage, "a").reason is None

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
    def test_a_retried_job_has_all_its_tries_and_its_history(
        self, storage: Storage, clock: Clock, status: Status
    ) -> None:
        """Pending at once; attempts begin at 0, runs go on, what happened is still told."""
        fill(storage, "a", expires=SHORT)
        settle(storage, take_one(storage), Status.PENDING, Outcome.FAILED, counted=True, error=error_text("1"))
        settle(
            storage,
            take_one(storage),
            status,
            Outcome.FAILED,
            counted=True,
            error=error_text("2"),
            reason="r",
        )
        history = the(storage, "a").history
        clock.advance(LATER)

        assert storage.retry("a") is status

        record = the(storage, "a")
        assert (record.status, record.attempts, record.history) == (Status.PENDING, 0, history)
        assert (record.finished, record.reason) == (None, None)
        assert storage.counts().cells == counted(storage)
        claim = take_one(storage)
        assert (claim.attempts, claim.runs) == (0, 2)
        complete(storage, claim)
        record = the(storage, "a")
        assert record.history[:2] == history
        assert [run.run for run in record.history] == [1, 2, 3]
        assert record.attempts == 1

    def test_a_scheduled_job_is_made_due(self, storage: Storage, clock: Clock) -> None:
        """It waits no longer."""
        in_status(storage, "a", Status.SCHEDULED)
        assert storage.retry("a") is Status.SCHEDULED
        record = the(storage, "a")
        assert record.status is Status.PENDING
        assert record.due <= to_datetime(clock.now())
        assert ids(take(storage, "way of a")) == ["a"]
        assert storage.counts().cells == counted(storage)

    @pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.COMPLETED])
    def test_no_other_job_is_retried(self, storage: Storage, status: Status) -> None:
        """It stays as it is."""
        in_status(storage, "a", status)
        before = the(storage, "a")
        assert storage.retry("a") is status
        assert the(storage, "a") == before

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
    def test_a_hurried_job_is_the_next_one(
        self, storage: Storage, other: Storage, clock: Clock, status: Status
    ) -> None:
        """Before higher priorities, and before those that were hurried earlier; nothing else of it changes."""
        delay = LONG if status is Status.SCHEDULED else 0
        fill(storage, "a", delay=delay, priority=-7, expires=LONG, batch="b", options='{"tries":5}')
        storage.push([new("b", priority=100), new("c"), new("d", queue="r", priority=-1)])
        before = the(storage, "a")
        clock.advance(2)
        assert storage.hurry("c") is Status.PENDING
        assert other.hurry("a") is status
        assert storage.hurry("a") is Status.PENDING
        record = the(storage, "a")
        assert record == replace(before, status=Status.PENDING, due=record.due)
        assert record.due <= min(before.due, to_datetime(clock.now()))
        assert storage.counts().cells == counted(storage)
        assert storage.tallies({"b": ["q"]}) == {"b": {Status.PENDING: 1}}
        assert [job.id for job in everything(storage)] == [job.id for job in everything(other)]
        claims = [take_one(storage, "q") for _ in "acb"]
        assert ids(claims) == ["a", "c", "b"]
        assert claims[0].attempts == before.attempts
        assert claims[0].options == '{"tries":5}'

    def test_a_job_is_hurried_for_one_claim(self, storage: Storage) -> None:
        """Given back, or retried after its end, it stands in its line as before."""
        storage.push([new("a"), new("b", priority=1), new("c", priority=1)])
        storage.hurry("a")
        settle(storage, take_one(storage), Status.PENDING)
        assert take_one(storage).id == "b"
        storage.hurry("a")
        storage.cancel("a", "why")
        storage.retry("a")
        assert ids([take_one(storage), take_one(storage)]) == ["c", "a"]

    def test_many_may_be_hurried(self, storage: Storage) -> None:
        """All of them stand before all others, and those that came last before the rest."""
        names = [f"h{n:03}" for n in range(230)]
        storage.push([*(new(name, priority=n % 3) for n, name in enumerate(names)), new("z", priority=100)])
        for name in names:
            storage.hurry(name)
        found = [the(storage, name).priority for name in names]
        assert found == [n % 3 for n in range(230)]
        taken = [take_one(storage).id for _ in range(231)]
        assert set(taken[:230]) == set(names)
        assert taken[230] == "z"
        first = taken[-2::-1][:199]
        assert first == names[:199]

    def test_a_hurried_job_waits_at_its_gate_and_then_goes_first(self, storage: Storage) -> None:
        """A limit holds it like any other job; behind the gate it stands before all who wait there."""
        limit = Limit(CONCURRENCY, "k", 1)
        storage.push([new(name, limits=(limit,), priority=n) for n, name in enumerate("edcba")])
        first = take_one(storage)
        assert first.id == "a"
        assert take(storage) == []
        assert storage.hurry("d") is Status.PENDING
        assert storage.hurry("e") is Status.PENDING
        assert take(storage) == []
        assert the(storage, "e").held is not None
        assert the(storage, "e").priority == 0
        order = []
        for _ in "edcb":
            complete(storage, first)
            first = take_one(storage)
            order.append(first.id)
        assert order == ["e", "d", "b", "c"]

    def test_a_stop_holds_what_is_hurried(self, storage: Storage) -> None:
        """A paused queue stays so; its first job goes first afterwards."""
        storage.push([new("a", priority=5), new("b")])
        storage.stop("q")
        storage.hurry("b")
        assert take(storage) == []
        storage.go_on("q")
        assert take_one(storage).id == "b"

    @pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED])
    def test_no_other_job_is_hurried(self, storage: Storage, status: Status) -> None:
        """It stays as it is."""
        in_status(storage, "a", status)
        before = the(storage, "a")
        assert storage.hurry("a") is status
        assert the(storage, "a") == before

    def test_of_hurried_jobs_the_age_is_known(self, storage: Storage, clock: Clock) -> None:
        """They are found and purged by it, and the oldest is told."""
        storage.push([new("a"), new("b")])
        due = to_milliseconds(the(storage, "a").due)
        storage.hurry("a")
        assert storage.oldest() == {"q": due}
        clock.advance(LATER)
        assert storage.purge([Status.PENDING], older=LATER + LONG) == 0
        assert storage.purge([Status.PENDING], older=LATER - 1) == 2

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.RUNNING])
    def test_a_job_that_does_not_run_gets_another_payload(
        self, storage: Storage, other: Storage, status: Status
    ) -> None:
        """Its next run gets it; nothing else of it is changed."""
        options = {"tags": ("x",), "options": '{"tries":5}', "priority": 7, "batch": "b"}
        in_status(storage, "a", status, payload='{"n":1,"s":"\\n"}', **options)
        before = the(storage, "a")
        assert storage.change_payload("a", '{"n":2}', '{ "n": 1, "s": "\\u000a" }') is status
        assert the(other, "a") == replace(before, payload={"n": 2})
        assert storage.counts().cells == counted(storage)
        assert storage.tallies({"b": ["way of a"]}) == {"b": {status: 1}}
        if status in (Status.SCHEDULED, Status.FAILED, Status.CANCELLED):
            other.retry("a")
        if status is not Status.COMPLETED:
            claim = take_one(storage, "way of a")
            assert (claim.payload, claim.options) == ('{"n":2}', '{"tries":5}')
            fail(storage, claim)
            assert the(storage, "a").payload == {"n": 2}

    def test_a_payload_may_be_any_json_text(self, storage: Storage) -> None:
        """On several lines, and with characters that mean something elsewhere."""
        in_status(storage, "a", Status.FAILED, payload='{"n":1}', tags=("x",))
        seen = '{"n":1}'
        for value in [*TEXTS, "%s %1 \\0 \t", "x" * 20_000]:
            for indent in (None, 1):
                text = json.dumps({"value": value}, indent=indent, ensure_ascii=False)
                assert storage.change_payload("a", text, seen) is Status.FAILED
                seen = text
                assert (the(storage, "a").payload, the(storage, "a").tags) == ({"value": value}, ("x",))
        storage.retry("a")
        assert json.loads(take_one(storage, "way of a").payload) == json.loads(seen)

    @pytest.mark.parametrize("indent", [None, 1], ids=["one line", "several lines"])
    def test_a_payload_that_was_replaced_is_kept_nowhere(self, storage: Storage, indent: int | None) -> None:
        """It may have held a secret."""
        secret = json.dumps({"card": "4111"}, indent=indent)
        in_status(storage, "a", Status.FAILED, payload=secret)
        storage.change_payload("a", "{}", secret)
        pieces = [secret]

        def noted(piece: str) -> str:
            pieces.append(piece)
            return piece

        storage.rewrite("a", noted)
        assert len(pieces) > 1
        assert "4111" not in "".join(pieces[1:])

    def test_a_running_job_keeps_its_payload(self, storage: Storage) -> None:
        """What it runs with is what is shown."""
        in_status(storage, "a", Status.RUNNING, payload='{"n":1}')
        before = the(storage, "a")
        assert storage.change_payload("a", '{"n":2}', '{"n":1}') is Status.RUNNING
        assert the(storage, "a") == before

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.SCHEDULED])
    def test_a_retry_may_wait_for_its_time(self, storage: Storage, clock: Clock, status: Status) -> None:
        """The job is scheduled, with all its tries before it, and counted there; then it is claimed as any other."""
        in_status(storage, "a", status)
        before = storage.now()
        assert storage.retry("a", 900) is status
        job = the(storage, "a")
        assert (job.status, job.attempts, job.reason) == (Status.SCHEDULED, 0, None)
        assert before + 900 <= to_milliseconds(job.due) <= storage.now() + 900
        assert storage.counts().statuses["scheduled"] == 1
        assert storage.next_due() is not None
        clock.advance(1000)
        assert ids(take(storage, "way of a")) == ["a"]
        assert the(storage, "a").due == job.due

    @pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.COMPLETED])
    def test_what_is_not_retried_is_not_put_off_either(self, storage: Storage, status: Status) -> None:
        """Any other status stays."""
        in_status(storage, "a", status)
        assert storage.retry("a", 5000) is status
        assert the(storage, "a").status is status

    def test_of_two_people_who_change_a_payload_the_second_is_refused(self, storage: Storage, other: Storage) -> None:
        """Who has seen another one is told so; what is so already may be said again."""
        in_status(storage, "a", Status.FAILED, payload='{"n":1}')
        assert storage.change_payload("a", '{"n":2}', '{"n":1}') is Status.FAILED
        for stale in ('{"n":1}', '{"n":2.0}', '{"n":"2"}'):
            with pytest.raises(PayloadChanged):
                other.change_payload("a", '{"n":3}', stale)
        assert the(storage, "a").payload == {"n": 2}
        assert other.change_payload("a", '{"n": 2}', '{"n":1}') is Status.FAILED
        assert other.change_payload("a", '{"n":true}', '{"n":2}') is Status.FAILED
        assert the(storage, "a").payload["n"] is True

    def test_of_two_people_who_change_a_payload_at_once_one_does(self, storage: Storage, other: Storage) -> None:
        """The other one is told that it is not what he has seen any more."""
        both = Barrier(2)

        def change(one: Storage, who: str, n: int) -> str:
            both.wait(DEADLINE)
            try:
                return f"{one.change_payload('a', json.dumps({who: n}), seen)}"
            except PayloadChanged:
                return "changed"

        seen = "{}"
        fill(storage, "a", payload=seen)
        with ThreadPoolExecutor(2) as people:
            for n in range(30):
                answers = [people.submit(change, one, who, n) for one, who in ((storage, "x"), (other, "y"))]
                assert sorted(answer.result() for answer in answers) == ["changed", "pending"]
                seen = json.dumps(the(storage, "a").payload)

    def test_an_unknown_job_is_told(self, storage: Storage) -> None:
        """None, where there is no such job."""
        assert storage.change_payload("unknown", "{}", "{}") is None
        assert storage.cancel("unknown", "why") is None
        assert storage.retry("unknown") is None
        assert storage.hurry("unknown") is None
        assert storage.delete("unknown") is None
        assert storage.get("unknown") is None
        assert storage.logs("unknown") == []

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.RUNNING])
    def test_a_job_is_deleted_with_its_log_and_tags(self, storage: Storage, status: Status) -> None:
        """Nothing of it is left, not even for a job that gets its id anew."""
        claim = in_status(storage, "a", status, tags=("x", "y"))
        fill(storage, "b", tags=("x",))
        if claim is not None:
            storage.retry("a")
            again = storage.claim("w", "a", LONG)
            if again is not None:
                storage.note("a", again.token, logs=[line("said")])
                settle(storage, again, status, Outcome.FAILED)

        assert storage.delete("a") is status

        assert storage.get("a") is None
        assert ids(everything(storage, tag="x")) == ["b"]
        assert everything(storage, tag="y") == []
        assert storage.counts().cells == counted(storage)
        assert storage.push([new("a")]) == [True]
        assert storage.logs("a") == []
        assert the(storage, "a").history == ()

    def test_what_was_known_of_a_deleted_job_is_not_held_against_the_next(self, storage: Storage) -> None:
        """A job that gets its id is under no limit of it, and is not kept apart as what may kill its worker."""
        fill(storage, "a", limits=[Limit(CONCURRENCY, "k", 1)], unique=Unique("k"), batch="b")
        settle(storage, take_one(storage), Status.PENDING, Outcome.KILLED, alone=True)
        storage.delete("a")
        fill(storage, "a", "b")
        assert ids(take(storage, limit=2, short=["t"])) == ["a", "b"]

    def test_a_running_job_is_not_deleted(self, storage: Storage) -> None:
        """It can be cancelled first."""
        claim = in_status(storage, "a", Status.RUNNING)
        assert claim is not None
        assert storage.delete("a") is Status.RUNNING
        assert complete(storage, claim).lost == []

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.RUNNING])
    def test_a_purge_deletes_jobs_of_the_named_statuses(self, storage: Storage, status: Status) -> None:
        """Those, with logs and tags, and no others."""
        for one in Status:
            in_status(storage, one.value, one, tags=("x",))
        assert storage.purge([status]) == 1
        left = {one.value for one in Status} - {status.value}
        assert set(ids(everything(storage))) == left
        assert set(ids(everything(storage, tag="x"))) == left
        assert storage.counts().cells == counted(storage)
        assert storage.purge([status, status]) == 0

    def test_a_purge_never_deletes_running_jobs(self, storage: Storage) -> None:
        """Even when asked to."""
        for one in Status:
            in_status(storage, one.value, one)
        assert storage.purge([*Status, *Status]) == len(Status) - 1
        assert ids(everything(storage)) == ["running"]
        assert storage.counts().cells == counted(storage)

    @pytest.mark.parametrize("status", [Status.PENDING, Status.COMPLETED, Status.FAILED, Status.CANCELLED])
    def test_a_purge_spares_what_is_younger(self, storage: Storage, clock: Clock, status: Status) -> None:
        """Age is the time since the job came into its status."""
        fill(storage, "ran long")
        claim = take_one(storage)
        in_status(storage, "old", status)
        clock.advance(LATER)
        in_status(storage, "young", status)
        settle(storage, claim, status, Outcome.COMPLETED)
        assert storage.purge([status], older=SHORT) == 1
        assert sorted(ids(everything(storage))) == ["ran long", "young"]
        assert storage.purge([status], older=LONG) == 0

    def test_a_purge_of_one_queue_spares_the_others(self, storage: Storage) -> None:
        """Only jobs of that queue are deleted."""
        for queue in "qr":
            for n in range(3):
                fill(storage, f"{queue}{n}", queue=queue)
                complete(storage, take_one(storage, queue))
        fill(storage, "q waits")
        assert storage.purge([Status.COMPLETED], queue="q") == 3
        assert sorted(ids(everything(storage))) == ["q waits", "r0", "r1", "r2"]
        assert storage.purge([Status.COMPLETED], queue="unknown") == 0

    def test_a_purge_deletes_no_more_than_its_slice(self, storage: Storage) -> None:
        """Slices of at most `limit`, over all statuses, until none is left."""
        fill(storage, *[f"p{n}" for n in range(10)])
        storage.push([new(f"s{n}", delay=LONG) for n in range(7)])
        sizes = [storage.purge([Status.PENDING, Status.SCHEDULED], limit=4) for _ in range(6)]
        assert sizes == [4, 4, 4, 4, 1, 0]
        assert storage.counts().cells == {}

    def test_a_purge_deletes_500_where_nobody_says_how_many(self, storage: Storage) -> None:
        """The default slice."""
        fill(storage, *[f"{n}" for n in range(510)])
        assert storage.purge([Status.PENDING]) == 500
        assert storage.purge([Status.PENDING]) == 10
