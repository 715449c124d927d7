"""What judges a soak in `benchmarks/soak` finds what is missing; the soak itself takes half an hour and is no test."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from benchmarks.soak.ledger import DONE, PROMISED, Balance, gaps
from benchmarks.soak.watch import Series

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
BATCH = ["member 3.0", "member 3.1", "then 3", "finally 3"]
ALL = ["job 1", "link 2.0", "link 2.1", *BATCH, "gathered 4"]


def balance(folder: Path, done: list[str]) -> Balance:
    """Of a job, a chain of two, a batch of two and a gathered payload that were promised."""
    (folder / PROMISED).write_text("job 1\nchain 2 2\nbatch 3 2\ngathered 4\n")
    (folder / DONE).write_text("".join(f"{line}\n" for line in done))
    return Balance(folder)


def test_nothing_is_missing_where_all_ran(tmp_path: Path) -> None:
    found = balance(tmp_path, ALL)
    assert (found.expected, found.missing, found.twice) == (8, [], 0)


@pytest.mark.parametrize("lost", ALL)
def test_whatever_did_not_run_is_named(tmp_path: Path, lost: str) -> None:
    """A job, a link, a member, a callback, a payload."""
    assert balance(tmp_path, [mark for mark in ALL if mark != lost]).missing == [lost]


def test_what_ran_twice_is_counted_and_not_taken_for_another(tmp_path: Path) -> None:
    found = balance(tmp_path, [*ALL[1:], "link 2.0", "link 2.0"])
    assert (found.missing, found.twice) == (["job 1"], 2)


def test_an_occurrence_that_was_left_out_is_seen(tmp_path: Path) -> None:
    """One that ran twice does not stand in for it."""
    moments = [NOON + timedelta(seconds=n) for n in (0, 1, 3, 3)]
    found = balance(tmp_path, [f"occurrence second {moment.isoformat()}" for moment in moments])
    assert gaps(found.fired("second"), timedelta(seconds=1)) == 1
    assert gaps(found.fired("seven"), timedelta(seconds=7)) == 1, "none at all"


def test_what_grows_slopes_and_what_only_wavers_does_not() -> None:
    """A megabyte an hour is seen within ten minutes of noise that is larger than it."""
    chance = random.Random(9)
    leak, steady = Series("MB"), Series("MB")
    for at in range(0, 600, 3):
        noise = chance.uniform(-0.2, 0.2)
        leak.add(at, 40 + at / 3600 * 6 + noise)
        steady.add(at, 40 + noise)
    assert leak.slope - leak.noise > 0
    assert abs(leak.slope - 6) < leak.noise
    assert abs(steady.slope) < steady.noise * 1.5
    assert leak.growth > 0.5 > steady.growth
