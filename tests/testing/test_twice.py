"""`twice`: each job again, after its end or a cut, so that what is not safe to repeat shows it."""

from __future__ import annotations

import sys
import threading

import pytest

from flask_queues import Outcome, Status, current_job
from flask_queues.testing import Fake, FakeError
from tests.testing.shop import Shop

#: Enough that each line is cut somewhere; what is hit is fixed by the seed.
SEEDS = range(40)


def test_a_completed_job_runs_again_and_loses_no_try(shop: Shop) -> None:
    """As after a worker that was stopped between the job's end and its settlement."""
    with shop.queues.fake(twice=True) as fake:
        handle = shop.queues.push("shop:mail", {"to": "ada"}, tries=1)
        runs = fake.drain()
        assert [(run.outcome, run.again) for run in runs] == [(Outcome.COMPLETED, False), (Outcome.COMPLETED, True)]
        assert [run.outcome for run in handle.record.history] == [Outcome.GIVEN_BACK, Outcome.COMPLETED]
        assert (handle.status, handle.record.attempts) == (Status.COMPLETED, 1)
    assert shop.done == ["ada", "ada"]


def test_what_is_pushed_twice_is_seen(shop: Shop) -> None:
    """A job that pushes another is not safe to repeat unless that is unique: the assertion says so."""
    with shop.queues.fake(twice=True, eager=True) as fake:
        shop.queues.push("shop:order", {"customer": "ada"})
        with pytest.raises(AssertionError, match="was pushed twice, not once"):
            fake.pushed("shop:mail", times=1)


def test_the_second_run_that_fails_says_what_it_shows(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The exception comes out as any other, with a word on why it is there."""
    paid: set[int] = set()

    @shop.queues.job("shop:pay")
    def pay(order: int) -> None:
        if order in paid:
            raise ValueError(f"order {order} is paid already")
        paid.add(order)

    with shop.queues.fake(twice=True) as fake:
        pay.push(order=1)
        with pytest.raises(ValueError, match="is paid already") as caught:
            fake.drain()
    said = capsys.readouterr().out
    notes = said if sys.version_info < (3, 11) else "".join(vars(caught.value)["__notes__"])
    assert "raised by the second run of shop:pay: it is not safe to repeat" in notes
    assert "shop:pay" in said


def test_steps_and_loops_go_on_where_they_were(shop: Shop) -> None:
    """What a job has kept is there in the run that repeats it: these are safe."""
    charged: list[int] = []

    @shop.queues.job("shop:charge")
    def charge() -> None:
        current_job.step("charge", lambda: charged.append(1))

    with shop.queues.fake(twice=True) as fake:
        charge.push()
        fake.drain()
        assert len(fake.runs) == 2
    assert charged == [1]


def transfer(shop: Shop, safe: bool) -> dict[str, int]:
    """Register a job that takes money here and gives it there; returns the accounts."""
    money = {"ada": 10, "bob": 0}

    @shop.queues.job("shop:transfer")
    def move(key: str) -> None:
        if safe:
            if key in money:
                return
            money.update(ada=money["ada"] - 1, bob=money["bob"] + 1, **{key: 1})
        else:
            money["ada"] -= 1
            money["bob"] += 1

    return money


@pytest.mark.parametrize("safe", [True, False])
def test_a_cut_shows_what_is_half_done(shop: Shop, safe: bool) -> None:
    """Money that is taken and not yet given when the run is cut is taken again; in one step with a key it is not."""
    money = transfer(shop, safe)
    seen = set()
    for seed in SEEDS:
        money.update(ada=10, bob=0)
        with shop.queues.fake(twice="cut", seed=seed) as fake:
            shop.queues.push("shop:transfer", {"key": str(seed)})
            fake.drain()
            [job] = fake.jobs
            assert (job.status, job.attempts) == (Status.COMPLETED, 1)
        seen.add((money["ada"], money["bob"]))
    assert seen == {(9, 1)} if safe else (8, 1) in seen


def cuts_of(shop: Shop, seed: int | None) -> tuple[list[str | None], Fake]:
    """Run three mails, each cut somewhere; returns where."""
    with shop.queues.fake(twice="cut", seed=seed) as fake:
        for to in "abc":
            shop.queues.push("shop:mail", {"to": to})
        fake.drain()
    return [run.cut for run in fake.runs if not run.again], fake


def test_the_same_seed_cuts_at_the_same_lines(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed, so that whoever sees a test fail can play it again; without one each run is another."""
    first, fake = cuts_of(shop, None)
    said = capsys.readouterr().out
    assert f"seed={fake.seed}" in said
    assert all(cut in said for cut in first if cut)
    again, _ = cuts_of(shop, fake.seed)
    assert again == first
    assert len({tuple(cuts_of(shop, seed)[0]) for seed in SEEDS}) > 10


def test_every_line_is_cut_some_time(shop: Shop) -> None:
    """Also the lines of functions that the job calls, and none of anybody else's code."""

    def inner(n: int) -> int:
        n += 1
        return n

    @shop.queues.job("shop:lines")
    def lines() -> int:
        first = inner(1)
        return first + 0

    places = set()
    for seed in range(100):
        with shop.queues.fake(twice="cut", seed=seed) as fake:
            lines.push()
            fake.drain()
        places |= {run.cut.partition(", ")[2] for run in fake.runs if run.cut}
    assert places == {"'first = inner(1)'", "'return first + 0'", "'n += 1'", "'return n'"}


def test_a_job_cannot_go_on_after_its_cut(shop: Shop) -> None:
    """One that swallows everything is run again all the same."""
    ended: list[str] = []

    @shop.queues.job("shop:swallow")
    def swallow() -> str:
        try:
            ended.append("half")
            ended.append("whole")
        except BaseException:
            return "swallowed"
        return "done"

    for seed in SEEDS:
        with shop.queues.fake(twice="cut", seed=seed) as fake:
            handle = swallow.push()
            fake.drain()
            assert handle.result() == "done"
            assert len(fake.runs) == 2
    assert ended.count("half") > ended.count("whole") > len(SEEDS)


def test_what_a_run_holds_is_let_go_when_it_is_cut(shop: Shop) -> None:
    """The test's process goes on: a lock that stays shut would be a deadlock in the run that repeats."""
    first, second = threading.Lock(), threading.Lock()

    @shop.queues.job("shop:locks")
    def locks(n: int) -> int:
        with first:
            try:
                n += 1
            finally:
                n += 1
        with first, second:
            if n > 2:
                return n + 1
        assert second.acquire(timeout=1)
        try:
            return n + 2
        finally:
            n += 5
            second.release()

    for seed in range(150):
        with shop.queues.fake(twice="cut", seed=seed) as fake:
            handles = [locks.push(n=0), locks.push(n=1)]
            fake.drain()
            assert [handle.result() for handle in handles] == [4, 4]
            assert not first.locked()
            assert not second.locked()


def test_a_cut_is_neither_a_failure_nor_an_end(shop: Shop) -> None:
    """`failed` is not called, `except Exception` does not see it, tries are whole."""
    with shop.queues.fake(twice="cut", seed=1) as fake:
        handle = shop.queues.push("shop:flaky", {"good_at": 3})
        fake.drain(within=600, raises=False)
        assert handle.result() == 3
        assert handle.record.attempts == 3


def test_a_tracer_of_the_test_s_is_there_again(shop: Shop) -> None:
    """Coverage and debuggers trace as before once a run was cut."""

    def tracer(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with shop.queues.fake(twice="cut", seed=1) as fake:
            shop.queues.push("shop:mail", {"to": "ada"})
            fake.drain()
            assert fake.runs[0].cut
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_another_word_is_refused(shop: Shop) -> None:
    """A misspelt mode would repeat nothing."""
    with pytest.raises(FakeError, match='it is True \\(or "again"\\) or "cut"'), shop.queues.fake(twice="thrice"):  # type: ignore[arg-type]
        pass
