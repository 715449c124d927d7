"""The contract: who gets which job."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ....record import Outcome, Status, to_datetime
from ....storage import Storage
from ....storage.values import Schedule, Settlement, Wanted
from ..engine import Clock, Engine
from ..fixtures import OpenedTwice
from ..processes import together
from .others import claim_by_id, drain
from .words import LATER, LONG, SHORT, complete, counted, fill, ids, in_status, new, settle, take, take_one, the


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

    def test_a_line_does_not_ask_who_pushed(self, storage: Storage, clock: Clock) -> None:
        """A push, the end of another job, a schedule: what came first goes first."""
        moment = clock.now()
        fill(storage, "z", at=moment)
        complete(storage, take_one(storage), follows=[new("y", at=moment)])
        storage.put_schedule(Schedule("s", "q", "{}"), [new("x", at=moment)])
        fill(storage, "w", at=moment)
        complete(storage, take_one(storage), follows=[new("v", at=moment)])
        assert [take_one(storage).id for _ in range(3)] == ["x", "w", "v"]

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

    def test_tokens_rise_whether_jobs_are_claimed_alone_or_together(self, storage: Storage) -> None:
        """Whoever is claimed after several others has a greater token than each of them."""
        fill(storage, *(f"{n:02}" for n in range(12)), type="s")
        tokens = []
        for limit in (3, 1, 1, 4, 1, 1, 1):
            tokens += [claim.token for claim in take(storage, types=["s"], limit=limit, short=["s"])]
        assert len(tokens) == 12
        assert tokens == sorted(set(tokens))

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
