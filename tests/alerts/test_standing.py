"""What is said of a value beside its threshold: once when it is crossed, once when it is over."""

from __future__ import annotations

import pytest

from flask_queues.alerts.standing import FORGOTTEN, GAP, Key, Reading, Sheet, found_in, judge

NOW = 1_700_000_000_000
WAIT = Key("longest_wait", "mail")
WORKER = Key("no_worker", "mail")


class Story:
    """Looks, one after another, at one value."""

    def __init__(self, key: Key = WAIT, threshold: float = 100) -> None:
        self.key, self.threshold = key, threshold
        self.sheet = Sheet()
        self.now = NOW

    def look(self, value: float | None, after: int = 5_000) -> list[str]:
        """What is said; the sheet is written and read between."""
        self.now += after
        return self._judge([] if value is None else [Reading(self.key, value, self.threshold)])

    def look_blindly(self) -> list[str]:
        """The same, where it is measured and nobody can tell."""
        self.now += 5_000
        return self._judge([Reading(self.key, None, self.threshold)])

    def _judge(self, readings: list[Reading]) -> list[str]:
        sheet, changes = judge(Sheet.load(self.sheet.dump()), readings, self.now)
        self.sheet = sheet
        return [str(change) for change in changes]


def test_a_threshold_is_said_once_when_it_is_crossed_and_once_when_it_is_over() -> None:
    """However often somebody looks meanwhile."""
    story = Story()
    assert story.look(100) == []
    assert story.look(101) == ["A job in mail has waited for 101 s; 100 s are allowed."]
    assert [story.look(value) for value in (150, 1_000_000, 101)] == [[], [], []]
    assert story.look(3) == ["Over: jobs in mail have waited for 3 s at most."]
    assert story.look(3) == []
    assert len(story.look(200)) == 1


def test_a_value_that_wavers_about_its_threshold_is_one_alert() -> None:
    """It is over at four fifths."""
    story = Story()
    assert len(story.look(101)) == 1
    assert [story.look(value) for value in (99, 101, 81, 200, 90)] == [[]] * 5
    assert len(story.look(80)) == 1


def test_with_a_threshold_of_nothing_it_is_over_when_nothing_is_left() -> None:
    """One failure is too many."""
    story = Story(Key("failures_per_hour", "mail"), 0)
    assert story.look(0) == []
    assert story.look(1) == ["Jobs of mail that failed within an hour: 1; 0 are allowed."]
    assert story.look(1) == []
    assert story.look(0) == ["Over: jobs of mail that failed within the last hour: 0."]


def test_a_worker_has_to_be_missing_for_a_while() -> None:
    """A restart says nothing; how long it was is said."""
    story = Story(WORKER, 30)
    assert [story.look(1) for _ in range(6)] == [[]] * 6
    assert story.look(0) == []
    assert [story.look(1) for _ in range(6)] == [[]] * 6
    assert story.look(1) == ["No worker has served mail for 30 s."]
    assert story.look(1) == []
    assert story.look(0) == ["Over: a worker serves mail again."]


def test_a_queue_has_to_grow_for_a_while_and_to_be_well_below_that_again() -> None:
    """Told is a share of what can be done; about 1 it is said once, and while nobody can tell it stands."""
    story = Story(Key("grows", "mail"), 30)
    assert [story.look(1.2) for _ in range(6)] == [[]] * 6
    assert story.look(0.99) == []  # from the start again
    assert [story.look(1.0) for _ in range(6)] == [[]] * 6
    assert story.look(1.0) == ["For 30 s more has come into mail than can be done."]
    assert [story.look(value) for value in (0.9, 1.5, 0.81, 1.0)] == [[]] * 4
    [standing] = story.sheet.standing.values()
    assert standing.value == 50
    assert [story.look_blindly() for _ in range(3)] == [[]] * 3
    assert story.look(0.8) == ["Over: mail does not grow any more."]
    assert story.look(1.5) == []


def test_what_nobody_can_tell_says_nothing() -> None:
    """No alert comes of it, and none of what was not said yet."""
    story = Story(Key("grows", "mail"), 30)
    assert [story.look_blindly() for _ in range(10)] == [[]] * 10
    assert story.look(1.0, after=25_000) == []
    story.look_blindly()
    assert story.look(1.0) == []


def test_a_time_in_which_nobody_looked_does_not_count() -> None:
    """The worker that looks now has just started."""
    story = Story(WORKER, 30)
    assert story.look(1) == []
    assert story.look(1, after=GAP) == []
    assert story.look(1, after=29_000) == []
    assert story.look(1, after=1_000) == ["No worker has served mail for 30 s."]


def test_what_is_not_measured_any_more_is_over_after_a_while() -> None:
    """Its threshold is gone, or its schedule; a worker that never had it says nothing before that."""
    story = Story()
    assert len(story.look(101)) == 1
    assert story.look(None) == []
    assert story.look(102) == []
    assert story.look(None, after=FORGOTTEN) == []
    assert story.look(None, after=1) == ["Over: jobs in mail have waited for 102 s at most."]
    assert story.look(None) == []


def test_an_alert_outlives_a_night_without_workers() -> None:
    """It is neither said again nor over, where the value still is too much."""
    story = Story()
    assert len(story.look(101)) == 1
    assert story.look(50_000, after=40 * FORGOTTEN) == []
    assert len(story.look(1)) == 1


@pytest.mark.parametrize("text", [None, '{"encrypted": "x"}'])
def test_no_sheet_is_an_empty_one(text: str | None) -> None:
    """Nobody has looked."""
    if text is not None:
        from flask_queues.payload import MARK

        text = text.replace("encrypted", MARK)
    assert found_in(text).value is None
