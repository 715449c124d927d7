"""The contract of `flask_queues/storage/base.py`, sentence by sentence, as tests that know no engine.

They use what the abstract class declares and nothing else. Durations are tens of milliseconds, so
that an engine whose clock cannot be set may really wait. Each class asks for the fixture `engine`.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from ...record import (
    ChildRecord,
    JobError,
    JobRecord,
    LogLine,
    Outcome,
    Progress,
    Status,
    WorkerRecord,
    to_datetime,
)
from ...storage import Storage
from ...storage.base import Claim, NewJob, Occurrence, Query, Schedule, Settlement, Severity, Step, Wanted
from .engine import Clock, Engine
from .fixtures import OpenedTwice
from .processes import eventually, running, together

#: A lease that outlives every test.
LONG = 600_000
#: A lease, delay or age that a test waits for.
SHORT = 60
LATER = SHORT + 20

#: Ways to ask for a list of jobs of queue `q`, type `t` and tag `x`.
UNTAGGED: list[dict[str, Any]] = [{}, {"queue": "q"}, {"type": "t"}, {"queue": "q", "type": "t"}]
TAGGED: list[dict[str, Any]] = [{"tag": "x"}, {"tag": "x", "queue": "q"}]
UNINDEXED: list[dict[str, Any]] = [{"queue": "q", "type": "rare"}, {"tag": "x", "type": "rare"}]

TEXTS = [
    "Grüße aus Köln",
    "日本語のテキスト",
    "family 👨‍👩‍👧‍👦 and flag 🇺🇳",
    "שלום \u202b עולם \u202c مرحبا",
    "nothing\x00after",
    "lines\u2028and\x85others\u2029and\x1ctoo",
    "quotes ' \" \\ % ; -- {} []",
]


def new(job_id: str, **options: Any) -> NewJob:
    """A job of queue `q` and type `t`, where nothing else is said."""
    return NewJob(**{"id": job_id, "queue": "q", "type": "t", "payload": "{}", **options})


def fill(storage: Storage, *ids: str, **options: Any) -> None:
    """Push a job for each id."""
    storage.push([new(job_id, **options) for job_id in ids])


def take(
    storage: Storage,
    *queues: str,
    types: Collection[str] = ("t",),
    lease: int = LONG,
    limit: int = 1,
    short: Collection[str] = (),
    behind: bool = False,
    worker: str = "w",
) -> list[Claim]:
    """Claim from these queues."""
    return storage.step(worker, (), Wanted(queues or ("q",), types, lease, limit, short, behind)).claims


def take_one(storage: Storage, *queues: str, **options: Any) -> Claim:
    """Claim one job, which must be there."""
    (claim,) = take(storage, *queues, **options)
    return claim


def settle(storage: Storage, claim: Claim, status: Status, outcome: Outcome | None = None, **more: Any) -> Step:
    """Settle one claim and take no other."""
    return storage.step(claim.worker, [Settlement(claim.id, claim.token, status, outcome, **more)])


def complete(storage: Storage, claim: Claim, **more: Any) -> Step:
    """Settle a claim as completed."""
    return settle(storage, claim, Status.COMPLETED, Outcome.COMPLETED, counted=True, **more)


def fail(storage: Storage, claim: Claim, **more: Any) -> Step:
    """Settle a claim as failed for good."""
    return settle(storage, claim, Status.FAILED, Outcome.FAILED, counted=True, **more)


def the(storage: Storage, job_id: str) -> JobRecord:
    """The job, which must be there."""
    record = storage.get(job_id)
    assert record is not None
    return record


def line(message: str, run: int = 1, level: str = "info", context: dict[str, Any] | None = None) -> LogLine:
    """A line of a log."""
    return LogLine(datetime(2030, 1, 2, 3, 4, 5, 678_000, timezone.utc), level, message, context or {}, run)


def error_text(message: str, kind: str = "builtins.ValueError", trace: str = "") -> str:
    """An error as the JSON text in which the storage gets it."""
    return json.dumps([kind, message, trace], ensure_ascii=False)


def everything(storage: Storage, limit: int = 200, **filters: Any) -> list[JobRecord]:
    """Walk all pages of a list."""
    found: list[JobRecord] = []
    after: str | None = None
    while True:
        page = storage.page(Query(**filters, limit=limit, after=after))
        assert len(page.jobs) <= limit
        found += page.jobs
        after = page.after
        if after is None:
            return found


def ids(records: Sequence[Any]) -> list[str]:
    """The ids of records or claims."""
    return [record.id for record in records]


def in_status(storage: Storage, job_id: str, status: Status, **options: Any) -> Claim | None:
    """Push a job and bring it into a status; returns the claim it had last."""
    queue = f"way of {job_id}"
    storage.push([new(job_id, queue=queue, delay=3_600_000 if status is Status.SCHEDULED else 0, **options)])
    if status in (Status.PENDING, Status.SCHEDULED):
        return None
    claim = take_one(storage, queue, types=[options.get("type", "t")])
    if status is not Status.RUNNING:
        outcome = {Status.COMPLETED: Outcome.COMPLETED, Status.FAILED: Outcome.FAILED}.get(status)
        settle(storage, claim, status, outcome or Outcome.CANCELLED, counted=True)
    return claim


def counted(storage: Storage) -> dict[tuple[str, str, str], int]:
    """What `counts` should say, by walking through all jobs."""
    return dict(Counter((job.queue, job.type, job.status.value) for job in everything(storage)))


def a_worker(name: str, *children: str, **about: Any) -> WorkerRecord:
    """A worker with these children, whose own clock is years behind."""
    old = datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
    return WorkerRecord(
        **{
            "name": name,
            "host": "höst",
            "pid": 7,
            "started": old,
            "heartbeat": old,
            "queues": ("q", "r"),
            "version": "1.2",
            "children": tuple(ChildRecord(name=child, pid=8, memory=12.5) for child in children),
            **about,
        }
    )


# What runs in other processes


def drain(engine: Engine, worker: str, queues: Sequence[str], limit: int) -> list[str]:
    """Claim and complete until nothing is left; returns what was claimed."""
    storage = engine.open()
    done: list[str] = []
    settled: list[Settlement] = []
    wanted = Wanted(queues, ["t"], LONG, limit, ["t"])
    while True:
        step = storage.step(worker, settled, wanted)
        assert not step.lost
        if not step.claims:
            storage.close()
            return done
        done += ids(step.claims)
        settled = [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED) for one in step.claims]


def fire_all(engine: Engine, who: int, last: int) -> int:
    """Count a schedule up to `last` with others, pushing a job for each number; returns how often we did."""
    storage = engine.open()
    fired = 0
    while (schedule := storage.schedules()[0]).about != str(last):
        n = int(schedule.about) + 1
        job = new(f"{n} by {who}")
        next_one = schedule._replace(about=str(n))
        fired += storage.put_schedule(next_one, [job], [Occurrence(n, 0, "fired", job.id)]) > 0
    storage.close()
    return fired


def push_all(engine: Engine, job_ids: Sequence[str]) -> int:
    """Push jobs one by one; returns how many were new."""
    storage = engine.open()
    new_ones = sum(storage.push([new(job_id)])[0] for job_id in job_ids)
    storage.close()
    return new_ones


def claim_by_id(engine: Engine, worker: str, job_ids: Sequence[str]) -> list[str]:
    """Try to claim each job by its id; returns the ids of those it got."""
    storage = engine.open()
    got = [job_id for job_id in job_ids if storage.claim(worker, job_id, LONG)]
    storage.close()
    return got


def push_slices(pipe: Any, engine: Engine, size: int) -> None:
    """Push slices of jobs for ever, telling of each once it is acknowledged."""
    storage = engine.open()
    for n in itertools.count():
        storage.push([new(f"{n}-{m}") for m in range(size)])
        pipe.send(n)


def push_when_told(pipe: Any, engine: Engine) -> None:
    """Push one job for each word that comes."""
    storage = engine.open()
    storage.counts()
    pipe.send("ready")
    while (word := pipe.recv()) is not None:
        storage.push([new(word)])
        pipe.send("pushed")
    storage.close()


def move_jobs(pipe: Any, engine: Engine) -> None:
    """Claim, put off, complete and retry jobs for ever."""
    storage = engine.open()
    pipe.send("ready")
    dice = random.Random(1)
    while True:
        for claim in take(storage, limit=8, short=["t"]):
            status = dice.choice([Status.PENDING, Status.SCHEDULED, Status.FAILED, Status.CANCELLED])
            settle(storage, claim, status, Outcome.FAILED)
        for job in storage.page(Query(statuses=[Status.FAILED, Status.CANCELLED], limit=8)).jobs:
            storage.retry(job.id)


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
        fill(storage, "a", delay=SHORT, expires=500)
        fill(storage, "b")
        record = the(storage, "a")
        assert record.expires is not None
        assert (record.expires - record.due).total_seconds() == 0.5
        assert the(storage, "b").expires is None

        clock.advance(LATER)
        claims = {claim.id: claim for claim in (take_one(storage), take_one(storage))}
        assert to_datetime(claims["a"].expires or 0) == record.expires
        assert claims["b"].expires is None

    def test_a_record_says_what_was_pushed(self, storage: Storage, clock: Clock) -> None:
        """Every field of a push can be read again."""
        before = clock.now()
        options = json.dumps({"tries": 5, "timeout": 2.5, "backoff": [1, 2.5]})
        fill(storage, "a", queue="images", type="shop:x", payload='{"n":[1,{"x":null}]}', priority=-7,
             tags=("one", "two"), options=options)  # fmt: skip
        record = the(storage, "a")
        assert (record.id, record.queue, record.type) == ("a", "images", "shop:x")
        assert record.payload == {"n": [1, {"x": None}]}
        assert record.priority == -7
        assert record.tags == ("one", "two")
        assert (record.tries, record.timeout, record.backoff) == (5, 2.5, (1, 2.5))
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


class ClaimContract(OpenedTwice):
    """Who gets which job."""

    def test_queues_are_served_in_strict_order(self, storage: Storage) -> None:
        """A later queue is served only when those before it hold nothing."""
        fill(storage, "low 1", "low 2", queue="low", priority=100)
        fill(storage, "high 1", "high 2", queue="high", priority=-100)
        taken = [take_one(storage, "high", "low").id for _ in range(4)]
        assert [name.split()[0] for name in taken] == ["high", "high", "low", "low"]
        assert take(storage, "high", "low") == []

    def test_a_queue_that_is_not_wanted_is_left_alone(self, storage: Storage) -> None:
        """Nothing is claimed from another queue."""
        fill(storage, "a", queue="elsewhere")
        assert take(storage, "q", "r") == []
        assert the(storage, "a").held is None

    def test_within_a_queue_priority_goes_first_then_the_time_it_was_due(self, storage: Storage, clock: Clock) -> None:
        """Higher priority first; among equals, the one that was due first."""
        moment = clock.now() - 10_000
        due = {"a": (0, 30), "b": (5, 20), "c": (0, 10), "d": (-3, 0), "e": (5, 10), "f": (100, 99)}
        storage.push([new(name, priority=one, at=moment + two) for name, (one, two) in due.items()])
        assert [take_one(storage).id for _ in due] == ["f", "e", "b", "c", "a", "d"]

    def test_jobs_that_were_due_at_once_are_served_as_they_came(self, storage: Storage) -> None:
        """A queue is a line: first pushed, first claimed, within one push and over several."""
        names = [f"{n:03}" for n in range(40)]
        fill(storage, *names[:20])
        for name in names[20:]:
            fill(storage, name)
        assert [take_one(storage).id for _ in names] == names

    def test_a_job_that_has_become_due_keeps_its_place(self, storage: Storage, clock: Clock) -> None:
        """A delayed job stands where its due time puts it, not where its push would."""
        fill(storage, "delayed", delay=SHORT)
        clock.advance(LATER)
        fill(storage, "later")
        fill(storage, "urgent", priority=1)
        assert [take_one(storage).id for _ in range(3)] == ["urgent", "delayed", "later"]

    def test_many_jobs_due_in_one_queue_do_not_hide_another(self, storage: Storage, clock: Clock) -> None:
        """However many became due elsewhere, a due job of the first queue is claimed first."""
        storage.push([new(f"b{n}", queue="b", delay=SHORT - 1) for n in range(350)])
        storage.push([new("a", queue="a", delay=SHORT)])
        clock.advance(LATER)
        assert ids(take(storage, "a", "b")) == ["a"]
        assert len({take_one(storage, "b").id for _ in range(350)}) == 350
        assert storage.counts().cells == counted(storage)

    def test_a_claim_says_all_that_a_worker_needs(self, storage: Storage, clock: Clock) -> None:
        """The claim carries the job, and the record the claim."""
        fill(storage, "a", type="t", payload='{"n":1}', options='{"tries":2}')
        before = clock.now()
        claim = take_one(storage, worker="host:1:2")
        record = the(storage, "a")
        assert (claim.id, claim.queue, claim.type, claim.payload) == ("a", "q", "t", '{"n":1}')
        assert claim.options == '{"tries":2}'
        assert (claim.attempts, claim.runs, claim.error, claim.cancel) == (0, 0, None, None)
        assert before <= claim.started <= clock.now()
        assert to_datetime(claim.created) == record.created
        assert (claim.worker, claim.ahead) == ("host:1:2", False)
        assert (record.status, record.worker) == (Status.RUNNING, "host:1:2")
        assert record.started == to_datetime(claim.started)
        (run,) = record.history
        assert (run.run, run.worker, run.started) == (1, "host:1:2", record.started)
        assert (run.ended, run.outcome, run.error) == (None, None, None)

    def test_tokens_rise_and_are_never_used_again(self, storage: Storage, other: Storage) -> None:
        """Each claim has a greater token than the one before, whatever was deleted meanwhile."""
        tokens = []
        for n in range(12):
            fill(storage, f"{n}")
            claim = take_one((storage, other)[n % 2])
            tokens.append(claim.token)
            if n % 3:
                complete(storage, claim)
            else:
                settle(storage, claim, Status.CANCELLED)
                storage.delete(claim.id)
        assert tokens == sorted(set(tokens))

    def test_several_short_jobs_are_claimed_together(self, storage: Storage) -> None:
        """Up to `limit` jobs of short types come at once, told as claimed ahead, each with its token."""
        fill(storage, *"abcdef", type="s")
        claims = take(storage, types=["s"], limit=4, short=["s"])
        assert ids(claims) == list("abcd")
        assert all(claim.ahead for claim in claims)
        assert len({claim.token for claim in claims}) == 4
        assert ids(take(storage, types=["s"], limit=4, short=["s"])) == list("ef")

    def test_one_job_alone_is_not_claimed_ahead(self, storage: Storage) -> None:
        """A single claim is in hand, so its worker's death is its own."""
        fill(storage, "a", type="s")
        assert [claim.ahead for claim in take(storage, types=["s"], limit=4, short=["s"])] == [False]

    def test_a_long_job_is_never_claimed_with_others(self, storage: Storage) -> None:
        """Neither behind a short one nor before it."""
        storage.push([new("a", type="s"), new("b", type="s"), new("c"), new("d", type="s"), new("e", type="s")])
        options: dict[str, Any] = {"types": ["s", "t"], "limit": 4, "short": ["s"]}
        assert [ids(take(storage, **options)) for _ in range(4)] == [["a", "b"], ["c"], ["d", "e"], []]

    def test_jobs_claimed_together_are_of_one_queue(self, storage: Storage) -> None:
        """The next queue waits for the next claim."""
        fill(storage, "a", queue="q")
        fill(storage, "b", queue="r")
        assert ids(take(storage, "q", "r", limit=4, short=["t"])) == ["a"]
        assert ids(take(storage, "q", "r", limit=4, short=["t"])) == ["b"]

    def test_a_job_set_alone_is_never_claimed_with_others_again(self, storage: Storage) -> None:
        """What may be what kills its worker gets a worker of its own, over any number of runs."""
        fill(storage, *"abc")
        claims = take(storage, limit=2, short=["t"])
        for claim in claims:
            settle(storage, claim, Status.PENDING, Outcome.KILLED, alone=claim.id == "b")
        assert ids(take(storage, limit=4, short=["t"])) == ["a"]
        (claim,) = take(storage, limit=4, short=["t"])
        assert (claim.id, claim.ahead) == ("b", False)
        settle(storage, claim, Status.PENDING, Outcome.FAILED)
        assert ids(take(storage, limit=4, short=["t"])) == ["b"]

    def test_behind_a_job_in_hand_only_short_ones_are_claimed(self, storage: Storage) -> None:
        """And told as claimed ahead; what is not short keeps its place, and nothing is taken past it."""
        fill(storage, "a", type="s")
        fill(storage, "b")
        fill(storage, "c", type="s")
        fill(storage, "d", queue="r", type="s")
        wants: dict[str, Any] = {"types": ["t", "s"], "short": ["s"], "behind": True}
        assert [(one.id, one.ahead) for one in take(storage, "q", "r", limit=4, **wants)] == [("a", True)]
        assert take(storage, "q", "r", limit=4, **wants) == []
        assert ids(take(storage, "q", "r", types=["t", "s"])) == ["b"]

    def test_what_may_kill_its_worker_is_not_claimed_behind_another(self, storage: Storage) -> None:
        """Nobody could tell which of the two it was."""
        fill(storage, "a")
        settle(storage, take_one(storage), Status.PENDING, Outcome.LOST, alone=True)
        assert take(storage, short=["t"], behind=True) == []
        assert ids(take(storage, short=["t"])) == ["a"]

    def test_a_step_on_its_way_gives_the_same_answer(self, storage: Storage) -> None:
        """Where an engine can send a step and fetch its answer later, it does what a step does."""
        fill(storage, *"ab")
        first = take_one(storage)
        done = Settlement(first.id, first.token, Status.COMPLETED, Outcome.COMPLETED)
        wanted = Wanted(["q"], ["t"], LONG, 1, ["t"], True)
        pending = storage.begin_step("w", [done], wanted)
        step = pending.answer() if pending is not None else storage.step("w", [done], wanted)
        assert (ids(step.claims), step.lost) == (["b"], [])
        assert the(storage, "a").status is Status.COMPLETED

    def test_no_two_claims_have_the_same_token(self, storage: Storage) -> None:
        """In different queues neither: a token alone tells which of the jobs in a child's hand it was."""
        for queue in "qrs":
            fill(storage, *[f"{queue}{n}" for n in range(8)], queue=queue)
        claims = [claim for _ in range(4) for queue in "qrs" for claim in take(storage, queue, limit=2, short=["t"])]
        assert len({claim.token for claim in claims}) == len(claims) == 24
        for queue in "qrs":
            tokens = [claim.token for claim in claims if claim.queue == queue]
            assert tokens == sorted(tokens)

    def test_threads_claim_each_job_exactly_once(self, storage: Storage) -> None:
        """One storage object serves many threads."""
        names = [f"{n}" for n in range(300)]
        fill(storage, *names)

        def work(n: int) -> list[str]:
            done: list[str] = []
            while claims := take(storage, limit=1 + n % 2, short=["t"], worker=f"w{n}"):
                done += ids(claims)
                for claim in claims:
                    assert not complete(storage, claim).lost
            return done

        with ThreadPoolExecutor(6) as threads:
            done = list(itertools.chain(*threads.map(work, range(6))))
        assert sorted(done) == sorted(names)
        assert storage.counts().cells == counted(storage) == {("q", "t", "completed"): 300}

    def test_processes_claim_each_job_exactly_once(self, engine: Engine, storage: Storage) -> None:
        """However many processes claim at the same moment, no job is given to two of them or to none."""
        names = [f"{n}" for n in range(600)]
        storage.push([new(name, queue="qr"[n % 2], priority=n % 5) for n, name in enumerate(names)])
        done = together(drain, *[(engine, f"w{n}", ["qr", "rq"][n % 2], (1, 8)[n // 2]) for n in range(4)])
        assert sorted(itertools.chain(*done)) == sorted(names)
        assert storage.counts().statuses["completed"] == 600
        assert storage.counts().cells == counted(storage)

    def test_processes_that_claim_by_id_get_each_job_once(self, engine: Engine, storage: Storage) -> None:
        """Claiming by id is as exclusive as claiming from the line."""
        names = [f"{n}" for n in range(60)]
        fill(storage, *names)
        got = together(claim_by_id, *[(engine, f"w{n}", names) for n in range(3)])
        assert sorted(itertools.chain(*got)) == sorted(names)

    @pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED, Status.FAILED, Status.CANCELLED])
    def test_one_job_can_be_claimed_by_its_id(self, storage: Storage, status: Status) -> None:
        """Whatever its place in the line: waiting, not yet due, or ended badly."""
        in_status(storage, "a", status)
        runs = len(the(storage, "a").history)
        claim = storage.claim("w", "a", LONG)
        assert claim is not None
        assert (claim.id, claim.worker, claim.ahead, claim.attempts) == ("a", "w", False, 0)
        assert claim.runs == runs
        assert ids(storage.claims_of("w")) == ["a"]
        assert storage.counts().cells == counted(storage)
        assert complete(storage, claim).lost == []
        assert [run.run for run in the(storage, "a").history] == list(range(1, runs + 2))

    @pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED])
    def test_a_running_or_completed_job_cannot_be_claimed_by_its_id(self, storage: Storage, status: Status) -> None:
        """A job in hand stays there; one that is done is not done again."""
        in_status(storage, "a", status)
        before = the(storage, "a")
        assert storage.claim("other", "a", LONG) is None
        assert the(storage, "a") == before

    def test_an_unknown_job_cannot_be_claimed(self, storage: Storage) -> None:
        """There is nothing to claim."""
        assert storage.claim("w", "nowhere", LONG) is None


class HeldContract(OpenedTwice):
    """Jobs of a type that a worker does not know."""

    def test_a_job_of_an_unknown_type_is_held_and_says_why(self, storage: Storage) -> None:
        """It stays pending, does not stop the line, and its record names the type."""
        fill(storage, "a", type="strange")
        fill(storage, "b")
        assert ids(take(storage)) == ["b"]
        record = the(storage, "a")
        assert record.status is Status.PENDING
        assert "strange" in (record.held or "")
        assert take(storage, types=["strange", "t"]) == []
        assert storage.pending(["q"], ["strange", "t"]) is False
        assert storage.counts().cells == counted(storage)

    def test_any_number_of_unknown_jobs_leaves_the_front_of_the_line(self, storage: Storage) -> None:
        """A known job behind them is claimed in the same step."""
        fill(storage, *[f"{n}" for n in range(60)], type="strange", priority=9)
        fill(storage, "known")
        assert ids(take(storage)) == ["known"]

    def test_a_job_whose_type_another_worker_knows_is_passed_over(self, storage: Storage) -> None:
        """It keeps its place in the line for the worker that knows it."""
        storage.heartbeat(a_worker("new", types=("strange",)), LONG)
        fill(storage, "a", type="strange")
        fill(storage, "b")

        assert ids(take(storage)) == ["b"]
        assert the(storage, "a").held is None
        assert storage.pending(["q"], ["t"]) is False
        assert storage.pending(["q"], ["strange"]) is True
        assert ids(take(storage, types=["strange"])) == ["a"]

    def test_a_worker_that_vanished_does_not_count_among_those_that_know_a_type(
        self, storage: Storage, clock: Clock
    ) -> None:
        """After a minute without a sign of life its types are as unknown as any."""
        if not clock.frozen:
            pytest.skip("this engine's clock cannot be set, and a minute is too long to wait")
        storage.heartbeat(a_worker("new", types=("strange",)), LONG)
        fill(storage, "a", type="strange")
        clock.advance(61_000)

        assert take(storage) == []
        assert the(storage, "a").held is not None

    def test_a_step_tells_how_many_jobs_it_set_aside(self, storage: Storage) -> None:
        """So that a worker goes on looking instead of going to sleep."""
        fill(storage, "a", "b", type="strange")

        assert storage.step("w", (), Wanted(("q",), ("t",), LONG)).held == 2
        assert storage.step("w", (), Wanted(("q",), ("t",), LONG)).held == 0

    def test_an_unknown_job_does_not_cut_what_is_claimed_together(self, storage: Storage) -> None:
        """The line closes ranks where a job was set aside."""
        storage.push([new("a"), new("b", type="strange"), new("c"), new("d")])
        assert ids(take(storage, limit=3, short=["t"])) == ["a", "c", "d"]

    def test_held_jobs_come_back_for_a_worker_that_knows_their_type(self, storage: Storage) -> None:
        """`release_held` puts back those of these types, to their places, and tells how many."""
        storage.push([new("a", type="x"), new("b", type="y"), new("c", type="x"), new("d")])
        assert ids(take(storage)) == ["d"]

        assert storage.release_held(["unrelated"]) == 0
        assert storage.release_held(["x", "unrelated"]) == 2
        assert storage.release_held(["x"]) == 0

        assert the(storage, "a").held is None
        assert the(storage, "b").held is not None
        assert storage.pending(["q"], ["t"]) is False
        assert storage.pending(["q"], ["x"]) is True
        assert [take_one(storage, types=["x", "y"]).id for _ in range(2)] == ["a", "c"]
        assert take(storage, types=["x", "y"]) == []

    @pytest.mark.parametrize("way", ["cancel", "claim", "delete", "purge"])
    def test_a_held_job_obeys_like_any_other(self, storage: Storage, way: str) -> None:
        """It can be cancelled, claimed by id and deleted."""
        fill(storage, "a", type="strange")
        take(storage)
        if way == "cancel":
            assert storage.cancel("a", "why") is Status.PENDING
            assert (the(storage, "a").status, the(storage, "a").held) == (Status.CANCELLED, None)
        elif way == "claim":
            claim = storage.claim("w", "a", LONG)
            assert claim is not None
            assert the(storage, "a").held is None
        elif way == "delete":
            assert storage.delete("a") is Status.PENDING
        else:
            assert storage.purge([Status.PENDING]) == 1
        assert storage.release_held(["strange"]) == 0
        assert storage.counts().cells == counted(storage)


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
        settled = [
            Settlement("a", one.token, Status.FAILED, Outcome.FAILED),
            Settlement("unknown", 1, Status.COMPLETED, Outcome.COMPLETED),
            Settlement("b", two.token, Status.COMPLETED, Outcome.COMPLETED),
            Settlement("c", two.token, Status.COMPLETED, Outcome.COMPLETED),
        ]
        step = storage.step("w", settled, Wanted(["q"], ["t"], LONG))
        assert step.lost == ["a", "unknown", "c"]
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


class FollowContract(OpenedTwice):
    """What a job's end causes is stored with it, or not at all."""

    def test_what_follows_is_pushed_with_the_end(self, storage: Storage) -> None:
        """In its own queue and in others, as a push would do it."""
        fill(storage, "a")
        claim = take_one(storage)
        complete(storage, claim, follows=[new("b"), new("c", queue="r", priority=5), new("d", delay=LONG)])
        eventually(lambda: storage.get("c"), "what follows arrives in another queue")
        assert the(storage, "b").status is Status.PENDING
        assert the(storage, "c").priority == 5
        assert the(storage, "d").status is Status.SCHEDULED
        assert ids(take(storage, "r")) == ["c"]
        assert storage.counts().statuses["pending"] == 1

    def test_what_follows_a_failure_is_pushed_too(self, storage: Storage) -> None:
        """Any end may cause something."""
        fill(storage, "a")
        fail(storage, take_one(storage), follows=[new("b")])
        assert the(storage, "b").status is Status.PENDING

    def test_nothing_follows_a_settlement_that_came_too_late(self, storage: Storage) -> None:
        """The claim was another's by then."""
        fill(storage, "a")
        claim = take_one(storage)
        assert complete(storage, claim).lost == []
        assert complete(storage, claim, follows=[new("b"), new("c", queue="r")]).lost == ["a"]
        assert storage.get("b") is None
        assert storage.get("c") is None

    def test_nothing_follows_where_the_end_became_another(self, storage: Storage) -> None:
        """A job that is cancelled instead of waiting does not cause what the wait would have caused."""
        fill(storage, "a")
        claim = take_one(storage)
        storage.cancel("a", "stop")
        settle(storage, claim, Status.SCHEDULED, Outcome.FAILED, delay=LONG, follows=[new("b")])
        assert the(storage, "a").status is Status.CANCELLED
        assert storage.get("b") is None

    def test_what_follows_is_stored_once(self, storage: Storage) -> None:
        """A job of that id stays as it is."""
        fill(storage, "a")
        fill(storage, "b", queue="r", priority=7)
        complete(storage, take_one(storage), follows=[new("b", queue="r"), new("c", queue="r")])
        eventually(lambda: storage.get("c"), "what follows arrives in another queue")
        assert the(storage, "b").priority == 7
        assert storage.counts().queues["r"]["pending"] == 2


class ScheduleContract(OpenedTwice):
    """A schedule is changed by whoever saw its last state, together with what it pushes."""

    def test_a_schedule_is_kept_as_it_was_written(self, storage: Storage, other: Storage) -> None:
        """Whatever is in its name and text."""
        text = json.dumps({"w": TEXTS}, ensure_ascii=False)
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


class KeeperContract(OpenedTwice):
    """What the keeper does for its worker."""

    def test_a_claim_is_stalled_once_its_lease_has_run_out(
        self, storage: Storage, other: Storage, clock: Clock
    ) -> None:
        """Any process sees it then, and not before."""
        fill(storage, "a", "b")
        short, long = take_one(storage, lease=SHORT), take_one(storage, lease=LONG)
        assert other.stalled() == []
        clock.advance(LATER)
        assert other.stalled() == [short]
        settle(other, short, Status.PENDING, Outcome.LOST)
        assert other.stalled() == []
        assert complete(storage, long).lost == []

    def test_a_claim_by_id_has_a_lease_too(self, storage: Storage, clock: Clock) -> None:
        """It stalls like any other."""
        fill(storage, "a")
        claim = storage.claim("w", "a", SHORT)
        clock.advance(LATER)
        assert storage.stalled() == [claim]

    def test_a_heartbeat_extends_the_claims_of_its_children(self, storage: Storage, clock: Clock) -> None:
        """Theirs only, all of theirs, and tells which."""
        fill(storage, *"abcd")
        for worker in ("one", "two", "two", "stranger"):
            take(storage, worker=worker, lease=SHORT)
        beat = storage.heartbeat(a_worker("boss", "one", "two", "idle"), LONG)
        assert {child: sorted(jobs) for child, jobs in beat.jobs.items()} == {
            "one": ["a"],
            "two": ["b", "c"],
            "idle": [],
        }
        assert beat.to_cancel == []
        clock.advance(LATER)
        assert ids(storage.stalled()) == ["d"]

    def test_a_heartbeat_can_cut_no_token(self, storage: Storage) -> None:
        """The claim stays what it was: its holder settles it."""
        fill(storage, "a")
        claim = take_one(storage, worker="one")
        storage.heartbeat(a_worker("boss", "one"), LONG)
        assert complete(storage, claim).lost == []

    def test_a_heartbeat_tells_what_is_to_be_cancelled(self, storage: Storage, other: Storage) -> None:
        """Claims of its children that somebody asked to cancel, with the word."""
        fill(storage, *"abc")
        for worker in ("one", "one", "stranger"):
            take(storage, worker=worker)
        for job_id in "bc":
            other.cancel(job_id, f"why {job_id}")
        beat = storage.heartbeat(a_worker("boss", "one"), LONG)
        assert [(claim.id, claim.cancel) for claim in beat.to_cancel] == [("b", "why b")]

    def test_workers_are_listed_by_name_with_the_jobs_they_hold(
        self, storage: Storage, other: Storage, clock: Clock
    ) -> None:
        """Each as it last described itself; the time of its heartbeat is the storage's."""
        fill(storage, *"abc")
        take(storage, worker="child 1")
        take(storage, worker="child 1")
        take(storage, worker="nobody's")
        before = clock.now()
        storage.heartbeat(a_worker("z", "gone"), LONG)
        storage.heartbeat(a_worker("z", "child 1", "child 2", queues=(), version="2"), LONG)
        storage.heartbeat(a_worker("a"), LONG)

        first, last = other.workers()
        assert (first.name, first.children, first.queues) == ("a", (), ("q", "r"))
        assert (last.name, last.host, last.pid, last.queues, last.version) == ("z", "höst", 7, (), "2")
        assert last.started == datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
        assert to_datetime(before) <= last.heartbeat <= to_datetime(clock.now())
        assert [(child.name, child.pid, child.memory) for child in last.children] == [
            ("child 1", 8, 12.5),
            ("child 2", 8, 12.5),
        ]
        assert [sorted(child.jobs) for child in last.children] == [["a", "b"], []]

    def test_a_worker_that_stopped_is_taken_off_the_list(self, storage: Storage) -> None:
        """Forgotten, it is not listed; its jobs stay where they are."""
        fill(storage, "a")
        take(storage, worker="child")
        storage.heartbeat(a_worker("boss", "child"), LONG)
        storage.heartbeat(a_worker("other"), LONG)
        storage.forget_worker("boss")
        storage.forget_worker("unknown")
        assert [worker.name for worker in storage.workers()] == ["other"]
        assert ids(storage.claims_of("child")) == ["a"]

    def test_the_claims_of_a_child_are_found_by_its_name(self, storage: Storage, other: Storage) -> None:
        """All it holds, as it got them; what it settled is not among them."""
        fill(storage, *"abcd")
        held = [take_one(storage, worker="one") for _ in range(3)]
        take(storage, worker="two")
        complete(storage, held[1])
        other.cancel("c", "why")
        assert sorted(other.claims_of("one")) == sorted([held[0], held[2]._replace(cancel="why")])
        assert other.claims_of("nobody") == []

    def test_housekeeping_changes_no_job(self, storage: Storage) -> None:
        """`maintain` may be called at any time."""
        for status in Status:
            in_status(storage, status.value, status)
        before = [the(storage, status.value) for status in Status]
        for maintained in (False, True):
            storage.maintained = maintained
            storage.maintain()
            assert storage.maintained is maintained
        assert [the(storage, status.value) for status in Status] == before

    def test_a_watcher_sees_what_another_process_changed(self, engine: Engine, storage: Storage) -> None:
        """Nothing happened: nothing changed. A push elsewhere: changed, once."""
        with running(push_when_told, engine) as pusher:
            assert pusher.hear() == "ready"
            watcher = storage.watcher()
            watcher.changed()
            assert watcher.changed() is False
            assert watcher.interval > 0
            for name in "abc":
                pusher.tell(name)
                assert pusher.hear() == "pushed"
                eventually(watcher.changed, "the watcher sees the push")
                assert watcher.changed() is False
            pusher.tell(None)

    def test_a_watcher_misses_nothing_while_the_storage_was_closed(self, storage: Storage, other: Storage) -> None:
        """What was pushed between two looks is seen, whatever happened to the connection."""
        fill(storage, "before")
        for n in range(4):
            watcher = storage.watcher()
            for m in range(n):
                fill(other, f"{n}.{m}")
            watcher.changed()
            assert watcher.changed() is False
            fill(other, f"{n}")
            storage.close()
            eventually(watcher.changed, "the watcher sees the push", 5)

    def test_pending_tells_whether_a_claim_may_find_a_job(self, storage: Storage, clock: Clock) -> None:
        """True while one waits in one of the queues, or has become due."""
        assert storage.pending(["q", "r"], ["t"]) is False
        fill(storage, "a", queue="r")
        assert storage.pending(["q", "r"], ["t"]) is True
        assert storage.pending(["q"], ["t"]) is False
        complete(storage, take_one(storage, "r"))
        assert storage.pending(["q", "r"], ["t"]) is False
        fill(storage, "b", delay=SHORT)
        assert storage.pending(["q"], ["t"]) is False
        clock.advance(LATER)
        assert storage.pending(["q"], ["t"]) is True

    def test_next_due_tells_how_long_until_a_scheduled_job_is_due(self, storage: Storage, clock: Clock) -> None:
        """None where none is scheduled, the time until the first, 0 once it is due."""
        fill(storage, "pending")
        assert storage.next_due() is None
        fill(storage, "later", delay=LONG)
        fill(storage, "soon", delay=SHORT)
        due = storage.next_due()
        assert due is not None
        assert 0 < due <= SHORT
        clock.advance(LATER)
        assert storage.next_due() == 0
        for _ in range(2):
            complete(storage, take_one(storage))
        due = storage.next_due()
        assert due is not None
        assert SHORT < due <= LONG - SHORT


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

    def test_an_unknown_job_is_told(self, storage: Storage) -> None:
        """None, where there is no such job."""
        assert storage.cancel("unknown", "why") is None
        assert storage.retry("unknown") is None
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
            for limit in (3, 50):
                found = everything(storage, limit, queue=queue, type=type_, tag=tag, statuses=statuses)
                assert sorted(ids(found)) == sorted(fitting), (queue, type_, tag, statuses, limit)

    def test_a_status_that_is_asked_for_twice_is_shown_once(self, storage: Storage) -> None:
        """Each job is on the list once."""
        fill(storage, *"abc")
        assert sorted(ids(everything(storage, 2, statuses=[Status.PENDING] * 3))) == list("abc")

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

    def test_a_scheduled_job_stands_at_the_time_it_is_due(self, storage: Storage) -> None:
        """Among scheduled jobs the one due last is on top, and all of them above what came before."""
        for name, delay in (("a", 3000), ("b", 9000), ("c", 0), ("d", 6000)):
            fill(storage, name, delay=delay)
        for filters in UNTAGGED:
            assert ids(everything(storage, 2, **filters)) == ["b", "d", "a", "c"]
            assert ids(everything(storage, 2, statuses=[Status.SCHEDULED], **filters)) == ["b", "d", "a"]

    def test_with_a_tag_the_last_pushed_come_first(self, storage: Storage, clock: Clock) -> None:
        """Whatever became of them."""
        for name in "abcde":
            fill(storage, name, tags=("x",))
            clock.advance(1)
        complete(storage, take_one(storage))
        storage.cancel("c", "why")
        for filters in TAGGED:
            assert ids(everything(storage, 2, **filters)) == list("edcba")

    def test_a_list_ends_with_its_last_job(self, storage: Storage) -> None:
        """A page that holds the last job says that there is no other, however full it is."""
        fill(storage, *"abcd")
        complete(storage, take_one(storage))
        for filters in (*UNTAGGED[:3], {"statuses": tuple(Status)}):
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
        for filters in (*UNTAGGED, *TAGGED):
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
