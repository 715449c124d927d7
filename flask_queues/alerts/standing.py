"""Which alerts stand, as the storage keeps it, and what becomes of them by what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..record import to_datetime
from ..storage import Storage
from ..storage.sheets import Found, expect, look
from ..storage.stops import is_moment
from .alert import Alert

#: The name of the sheet.
SHEET = "alerts"
#: Part of its threshold to which a value has to fall before an alert is over, so that none comes and goes with one job.
CALM = 0.8
#: Milliseconds between two looks after which nobody knows what was between them.
GAP = 30_000
#: Thresholds that are a time for which something has to last: that a value is 1 or more.
LASTING = frozenset({"no_worker", "grows"})
#: Milliseconds after which an alert is over that nobody measures any more: its threshold or its schedule is gone.
FORGOTTEN = 600_000


class Key(NamedTuple):
    """What an alert is about."""

    kind: str
    queue: str
    #: Empty for all but schedules.
    schedule: str = ""


class Reading(NamedTuple):
    """A value beside its threshold."""

    key: Key
    #: None where nobody can tell now; what stands then stands on.
    value: float | None
    threshold: float


class Standing(NamedTuple):
    """An alert that stands, or will if it lasts."""

    #: Milliseconds: since when, and when it was measured last.
    since: int
    seen: int
    value: float
    threshold: float
    #: Whether it was said. One that was not may have to last first.
    said: bool


class Sheet:
    """The alerts of a storage, and when somebody looked last."""

    def __init__(self, looked: int = 0, standing: Mapping[Key, Standing] | None = None) -> None:
        self.looked = looked
        self.standing = dict(standing or {})

    def dump(self) -> str:
        """Write it as JSON text."""
        rows = [[*key, *one] for key, one in self.standing.items()]
        return json.dumps({"looked": self.looked, "standing": rows}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Sheet:
        """Read what `dump` has written; raises whatever is wrong with it."""
        said = json.loads(text)
        number = int | float
        expect(said["looked"], int)
        expect(said["standing"], [(str, str, str, is_moment, is_moment, number, number, bool)])
        return cls(said["looked"], {Key(*row[:3]): Standing(*row[3:]) for row in said["standing"]})


def standing_alerts(storage: Storage) -> list[Alert]:
    """The alerts that stand and were said, the last first."""
    sheet = found_in(storage.sheets([SHEET]).get(SHEET)).value or Sheet()
    found = [alert_of(key, one) for key, one in sheet.standing.items() if one.said]
    return sorted(found, key=lambda alert: alert.since, reverse=True)


def found_in(text: str | None) -> Found[Sheet]:
    """Read the sheet; no alert stands where that cannot be read, and what still is so is said anew."""
    return look(SHEET, text, Sheet.load)


def judge(sheet: Sheet, readings: Iterable[Reading], now: int) -> tuple[Sheet, list[Alert]]:
    """What stands after a look, and what is to be said of it."""
    after, changes = Sheet(now), list[Alert]()
    left = dict(sheet.standing)
    for reading in readings:
        one, change = judge_one(left.pop(reading.key, None), reading, now)
        if one is not None:
            after.standing[reading.key] = one
        if change is not None:
            changes.append(change)
    for key, known in left.items():
        if known.seen >= now - FORGOTTEN:
            after.standing[key] = known
        elif known.said:
            changes.append(alert_of(key, known, ended=now))
    return after, changes


def judge_one(known: Standing | None, reading: Reading, now: int) -> tuple[Standing | None, Alert | None]:
    """What becomes of one alert, and what is to be said of it."""
    key, value, threshold = reading
    if value is None:
        return (known._replace(seen=now), None) if known is not None and known.said else (None, None)
    if known is not None and known.said:
        shown = (now - known.since) / 1000 if is_lasting(key) else value
        one = known._replace(seen=now, value=shown, threshold=threshold)
        if value > CALM * (1 if is_lasting(key) else threshold):
            return one, None
        return None, alert_of(key, one, ended=now)
    if not is_lasting(key):
        one = Standing(now, now, value, threshold, said=True)
        return (one, alert_of(key, one)) if value > threshold else (None, None)
    if value < 1:
        return None, None
    since = known.since if known is not None and known.seen > now - GAP else now
    seconds = (now - since) / 1000
    one = Standing(since, now, seconds, threshold, said=seconds >= threshold)
    return one, alert_of(key, one) if one.said else None


def is_lasting(key: Key) -> bool:
    """Whether the threshold is a time for which something has to last; what was measured only says that it is so."""
    return key.kind in LASTING


def alert_of(key: Key, one: Standing, ended: int | None = None) -> Alert:
    """An alert for people."""
    return Alert(
        kind=key.kind,
        queue=key.queue,
        schedule=key.schedule or None,
        value=one.value,
        threshold=one.threshold,
        since=to_datetime(one.since),
        ended=None if ended is None else to_datetime(ended),
    )
