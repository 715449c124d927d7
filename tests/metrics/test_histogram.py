"""Durations in slots: percentiles of any span, with an error that is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_queues.metrics.histogram import ERROR, Histogram, slot_of

MONTH = 31 * 86_400_000
durations = st.lists(st.integers(0, MONTH), min_size=1, max_size=200)


def histogram(values: list[int]) -> Histogram:
    """A histogram of these durations."""
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(durations, st.floats(0, 1))
def test_percentile_is_right_within_its_error(values: list[int], share: float) -> None:
    """Whatever was counted, a percentile is at most 5 % off."""
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert histogram(values).percentile(share) == pytest.approx(exact, rel=ERROR * 1.0001)


@given(durations, durations)
def test_merged_is_as_if_counted_together(one: list[int], other: list[int]) -> None:
    """Buckets of time, queues and types may be added up."""
    merged = histogram(one)
    merged.merge(histogram(other))
    assert merged.slots == histogram(one + other).slots


@given(durations)
def test_text_holds_all_of_it(values: list[int]) -> None:
    """What was dumped is loaded as it was."""
    made = histogram(values)
    loaded = Histogram.load(made.dump())
    assert (loaded.slots, loaded.total) == (made.slots, len(values))


def test_nothing_counted_has_no_percentile() -> None:
    """A gap is a gap, not zero."""
    assert Histogram.load("").percentile(0.95) is None


def test_size_is_bounded() -> None:
    """A month has no more than 230 slots."""
    assert slot_of(MONTH) <= 230
