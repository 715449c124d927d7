"""The contract: what a push promises."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from ....record import JobError, Outcome, Progress, Status, to_datetime
from ....storage import Storage
from ..engine import Clock, Engine
from ..fixtures import OpenedTwice
from ..processes import running, together
from .others import push_all, push_slices
from .words import (
    LATER,
    LONG,
    SHORT,
    TEXTS,
    complete,
    counted,
    error_text,
    everything,
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


class PushContract(OpenedTwice):
    """What a push promises."""

    def test_a_new_job_is_stored_and_told_as_new(self, storage: Storage, other: Storage) -> None:
        """Whoever pushes learns that each job is new; every process sees it."""
        assert storage.push([new("a"), new("b")]) == [True, True]
        assert the(other, "a").status is Status.PENDING
        assert the(other, "b").status is Status.PENDING

    def test_a_push_of_nothing_stores_nothing(self, storage: Storage) -> None:
        """An empty push is no error."""
        assert storage.push([]) == []
        assert everything(storage) == []

    @pytest.mark.parametrize("status", Status)
    def test_a_job_that_is_stored_is_left_as_it_is(self, storage: Storage, status: Status) -> None:
        """A push may be repeated: what became of the job meanwhile stays."""
        in_status(storage, "a", status, payload='{"n": 1}', tags=("one",))
        before = the(storage, "a")

        assert storage.push([new("a", payload='{"n": 2}', queue="r", tags=("two",)), new("b")]) == [
            False,
            True,
        ]

        assert the(storage, "a") == before
        assert everything(storage, tag="two") == []
        assert storage.counts().cells == counted(storage)

    def test_the_first_of_two_jobs_with_one_id_is_stored(self, storage: Storage) -> None:
        """Put if absent holds within one push too."""
        assert storage.push([new("a", payload='{"n":1}'), new("a", payload='{"n":2}')]) == [True, False]
        assert the(storage, "a").payload == {"n": 1}
        assert storage.counts().cells == counted(storage)

    def test_a_push_stores_all_or_none(self, storage: Storage) -> None:
        """One job that cannot be written keeps the whole push out."""
        with pytest.raises(UnicodeEncodeError):
            storage.push([new("a", tags=("x",)), new("b", payload='"\ud800"'), new("c")])

        assert everything(storage) == []
        assert everything(storage, tag="x") == []
        assert storage.counts().cells == {}
        assert storage.push([new("a")]) == [True]

    @pytest.mark.parametrize("slices", [0, 1, 2, 5])
    def test_a_push_survives_the_death_of_its_process_whole(self, engine: Engine, slices: int) -> None:
        """Killed at any moment, all that was acknowledged is there, and no push is there in part."""
        with running(push_slices, engine, 40) as pusher:
            heard = [pusher.hear() for _ in range(slices)]
            pusher.kill()
            heard += pusher.hear_all()

        storage = engine.open()
        sizes = Counter(int(job.id.partition("-")[0]) for job in everything(storage))
        assert set(sizes.values()) <= {40}
        assert set(heard) <= set(sizes)
        assert storage.counts().cells == counted(storage)
        storage.close()

    def test_processes_that_push_the_same_ids_store_each_once(self, engine: Engine, storage: Storage) -> None:
        """Of several processes that push one id, exactly one learns that it is new."""
        names = [f"job {n}" for n in range(60)]
        told = together(push_all, *[(engine, names) for _ in range(3)])
        assert sum(told) == len(names)
        assert sorted(ids(everything(storage))) == sorted(names)

    def test_a_job_waits_for_its_delay(self, storage: Storage, clock: Clock) -> None:
        """A delayed job is scheduled, due so long from the push, and claimable from then on."""
        pushed = clock.now()
        fill(storage, "a", delay=SHORT)
        record = the(storage, "a")
        assert record.status is Status.SCHEDULED
        assert to_datetime(pushed + SHORT) <= record.due <= to_datetime(clock.now() + SHORT)
        assert take(storage) == []

        clock.advance(LATER)
        assert ids(take(storage)) == ["a"]

    def test_a_moment_is_the_storage_s_own_and_hides_the_delay(self, storage: Storage, clock: Clock) -> None:
        """`at` is when a job is due, whatever the delay says; in the past, it is pending at once."""
        moment = clock.now()
        fill(storage, "future", at=moment + SHORT, delay=LONG)
        fill(storage, "past", at=moment - LONG, delay=LONG)

        assert the(storage, "future").due == to_datetime(moment + SHORT)
        assert the(storage, "future").status is Status.SCHEDULED
        assert the(storage, "past").due == to_datetime(moment - LONG)
        assert ids(take(storage)) == ["past"]
        clock.advance(LATER)
        assert ids(take(storage)) == ["future"]

    def test_expiry_counts_from_when_the_job_is_due(self, storage: Storage, clock: Clock) -> None:
        """Claim and record carry the moment by which the job must have begun."""
        fill(storage, "a", delay=SHORT, expires=2_000)
        fill(storage, "b")
        record = the(storage, "a")
        assert record.expires is not None
        assert (record.expires - record.due).total_seconds() == 2
        assert the(storage, "b").expires is None

        clock.advance(LATER)
        claims = {claim.id: claim for claim in (take_one(storage), take_one(storage))}
        assert to_datetime(claims["a"].expires or 0) == record.expires
        assert claims["b"].expires is None

    def test_a_record_says_what_was_pushed(self, storage: Storage, clock: Clock) -> None:
        """Every field of a push can be read again."""
        before = clock.now()
        carried = {"request_id": "r-1", "locale": "de", "unique_key": "shop:x:1"}
        options = json.dumps({"tries": 5, "timeout": 2.5, "backoff": [1, 2.5], **carried})
        fill(storage, "a", queue="images", type="shop:x", payload='{"n":[1,{"x":null}]}', priority=-7,
             tags=("one", "two"), options=options)  # fmt: skip
        record = the(storage, "a")
        assert (record.id, record.queue, record.type) == ("a", "images", "shop:x")
        assert record.payload == {"n": [1, {"x": None}]}
        assert record.priority == -7
        assert record.tags == ("one", "two")
        assert (record.tries, record.timeout, record.backoff) == (5, 2.5, (1, 2.5))
        assert (record.request_id, record.locale, record.unique_key) == ("r-1", "de", "shop:x:1")
        assert to_datetime(before) <= record.created <= to_datetime(clock.now())
        assert record.due == record.created
        assert (record.attempts, record.history, record.worker, record.started) == (0, (), None, None)
        assert (record.finished, record.progress, record.error, record.result) == (None, None, None, None)
        assert (record.reason, record.held) == (None, None)

    @pytest.mark.parametrize("text", TEXTS)
    def test_every_text_comes_back_as_it_was(self, storage: Storage, other: Storage, text: str) -> None:
        """No character is lost or changed, wherever a text is kept."""
        payload = json.dumps({text: [text]}, ensure_ascii=False)
        fill(storage, "a", payload=payload, tags=(text, "plain"))
        claim = take_one(storage)
        assert claim.payload == payload
        assert storage.note("a", claim.token, Progress(50, text), [line(text, context={text: text})])
        assert the(other, "a").progress == Progress(50, text)
        put_off = {"error": error_text(text, trace=text), "progress": Progress(60, text)}
        settle(storage, claim, Status.PENDING, Outcome.FAILED, **put_off)
        again = take_one(storage)
        assert json.loads(again.error or "") == ["builtins.ValueError", text, text]
        settle(storage, again, Status.CANCELLED, Outcome.FAILED, reason=text, error=error_text(text))

        record = the(other, "a")
        assert record.payload == {text: [text]}
        assert record.tags == (text, "plain")
        assert record.reason == text
        assert record.error == JobError("builtins.ValueError", text)
        assert [run.error for run in record.history] == [
            JobError("builtins.ValueError", text, text),
            JobError("builtins.ValueError", text),
        ]
        assert other.logs("a") == [line(text, context={text: text})]
        assert ids(everything(other, tag=text)) == ["a"]
        fill(storage, "b")
        complete(storage, take_one(storage), result=json.dumps(text, ensure_ascii=False))
        assert the(other, "b").result == text

        storage.delete("a")
        fill(storage, "c")
        assert everything(other, tag=text) == []
        assert everything(other, tag="plain") == []

    def test_an_engine_never_looks_inside_a_payload(self, storage: Storage) -> None:
        """The text that was pushed is the text that is claimed, to the last space."""
        text = '{ "b" : 1.10, "a":[ ],  "big":12345678901234567890123 }'
        fill(storage, "a", payload=text)
        assert take_one(storage).payload == text
