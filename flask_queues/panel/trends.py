"""What goes wrong slowly, told from the kept figures once in a while: for the note on every page."""

from __future__ import annotations

import time
from datetime import datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

from flask import Flask

from ..manager import Manager
from ..metrics import Forecast
from ..record import Counts

#: Seconds for which an answer holds in this process: it takes the sheets of an hour, and changes by the minute.
HOLDS = 30.0
#: A queue grows where so many jobs wait in it at least, and so many more come in a minute than can be done.
WAITING, GROWS = 100, 1.0
#: Failures share a cause where so many of this hour and the one before do, and they are most of them.
SAME = 20


class Trend(NamedTuple):
    """A queue that grows, or a cause that failures share."""

    #: `grows` or `cause`.
    kind: str
    #: The queue, or the class of the error.
    name: str
    #: By how many a minute it grows, or how many failed so.
    number: float
    #: Of a cause.
    key: str = ""


class Told(NamedTuple):
    """What was found, and when."""

    at: float
    worst: Trend | None


_known: WeakKeyDictionary[Flask, Told] = WeakKeyDictionary()


def worst_trend(manager: Manager, counts: Counts, now: datetime) -> Trend | None:
    """The worse of the two, where there is one."""
    known, moment = _known.get(manager.app), time.monotonic()
    if known is None or known.at + HOLDS < moment:
        worst = growing(manager, counts, now) or shared_cause(manager, counts, now)
        known = _known[manager.app] = Told(moment, worst)
    return known.worst


def growing(manager: Manager, counts: Counts, now: datetime) -> Trend | None:
    """The queue that grows fastest; nothing is read where none is long."""
    long = {name: numbers["pending"] for name, numbers in counts.queues.items() if numbers["pending"] >= WAITING}
    if not long:
        return None
    forecast: Forecast = manager.forecast(now)
    found = ((forecast.outlook(name, pending), name) for name, pending in long.items())
    by = [(outlook.value, name) for outlook, name in found if outlook.what == "grows" and outlook.value >= GROWS]
    return Trend("grows", max(by)[1], max(by)[0]) if by else None


def shared_cause(manager: Manager, counts: Counts, now: datetime) -> Trend | None:
    """The cause of most failures of the last hours; nothing is read where few have failed."""
    if counts.statuses["failed"] < SAME:
        return None
    lately = [(sum(one.lately(now, 2)), one.cause) for one in manager.causes()]
    most, cause = max(lately, key=lambda one: one[0], default=(0, None))
    if cause is None or most < SAME or 2 * most <= sum(n for n, _ in lately):
        return None
    return Trend("cause", cause.type.rpartition(".")[2], most, cause.key)
