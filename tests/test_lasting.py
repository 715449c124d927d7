"""What a worker does again and again leaves nothing behind in CPython's cache of attributes.

That keeps each name that was looked up, up to 512 times where each look-up made it anew, with the memory around it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from flask_queues.masking import masked_text
from flask_queues.scheduler.timing import naive

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


def left_behind(work: Callable[[], object]) -> int:
    """How many objects are there after doing this thousands of times that were not there before."""
    chance = random.Random(9)
    others = [str(n) for n in range(100_000_000, 100_020_000)]
    getattr(sys, "_clear_internal_caches", getattr(sys, "_clear_type_cache", int))()  # the latter before 3.13
    before = sys.getallocatedblocks()
    for n in range(5_000):
        others[chance.randrange(len(others))] = str(200_000_000 + n)  # the next small object is somewhere else
        work()
    return sys.getallocatedblocks() - before


@pytest.mark.parametrize(
    "work",
    [
        lambda: naive(NOW),
        lambda: masked_text("redis://user:secret@host/0 is away, password=x"),
        lambda: masked_text("a"),
    ],
    ids=["the time of an occurrence", "a line with secrets", "a line without"],
)
def test_nothing_is_left_behind(work: Callable[[], object]) -> None:
    """Of what a tick and a log line do."""
    assert left_behind(work) < 100
