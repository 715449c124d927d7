"""What a child holds: claims that wait, claims on their way, settlements that wait for the next exchange."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from unittest import mock

import pytest

from flask_queues.record import Outcome, Status
from flask_queues.storage.values import Claim, Settlement
from flask_queues.worker.hand import Hand
from flask_queues.worker.pace import Pace


def claim(job_id: str, token: int) -> Claim:
    """A claim ahead."""
    return Claim(job_id, "q", "t", "{}", None, 0, None, 0, 0, None, None, token, 0, "w", True)


@pytest.fixture
def now() -> Iterator[list[float]]:
    """The clock of the hand's patience."""
    time = [100.0]
    with mock.patch("flask_queues.worker.hand.time", mock.Mock(monotonic=lambda: time[0])):
        yield time


def test_claims_on_their_way_are_taken_when_they_are_collected() -> None:
    """Until then the hand is not free, and nothing waits in it."""
    hand = Hand(lambda settled: None)
    hand.expect(lambda: [claim("a", 1), claim("b", 2)])
    assert not hand.free
    assert hand.next() is None  # nothing waits in it yet
    hand.collect()
    assert [one.id for one in (hand.next(), hand.next()) if one] == ["a", "b"]
    hand.collect()
    assert hand.next() is None


def test_what_comes_while_a_job_takes_long_goes_back_uncounted(now: list[float]) -> None:
    """It must not wait behind a job that was expected to be short."""
    settled: list[Settlement] = []
    hand = Hand(settled.extend)
    hand.expect(lambda: [claim("a", 1)])
    assert hand.relieve()
    assert settled == []
    now[0] += 1
    assert hand.relieve()
    assert settled == [Settlement("a", 1, Status.PENDING)]
    assert hand.free
    assert not hand.relieve()


def test_what_is_done_is_settled_while_a_job_takes_long(now: list[float]) -> None:
    """Whoever waits for that result need not wait for the job that came after."""
    settled: list[Settlement] = []
    hand = Hand(settled.extend)
    done = Settlement("a", 1, Status.COMPLETED, Outcome.COMPLETED)
    hand.done(done)
    now[0] += 1
    assert hand.relieve()
    assert settled == [done]


def test_two_threads_collect_each_claim_once() -> None:
    """The job's end and the steward may come at the same moment."""
    hand = Hand(lambda settled: None)
    fetched = threading.Event()
    calls: list[int] = []

    def fetch() -> list[Claim]:
        calls.append(1)
        fetched.wait(60)
        return [claim("a", 1)]

    hand.expect(fetch)
    threads = [threading.Thread(target=hand.collect) for _ in range(4)]
    for thread in threads:
        thread.start()
    fetched.set()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert hand.next() is not None
    assert hand.next() is None


def test_a_type_is_brisk_or_short_by_its_mean_and_its_last_run() -> None:
    """One long run makes it neither."""
    pace = Pace()
    pace.ran("tiny", 0.0001)
    pace.ran("small", 0.01)
    pace.ran("long", 0.5)
    assert pace.short == {"tiny"}
    assert pace.brisk == {"tiny", "small"}
    pace.ran("tiny", 1.0)
    assert pace.short == set()
    assert pace.brisk == {"small"}
