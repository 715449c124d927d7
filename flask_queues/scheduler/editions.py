"""Which schedules of the code are stored, while old and new code may run side by side.

An edition is the set of schedules that one version of an application's code defines. Of the editions that
have a worker which lives, the one that was seen first most recently is right: its schedules are stored, and
those it does not have are deleted. So new code takes over with its first worker, old workers that are
restarted meanwhile change nothing, and a rollback takes over like any other deployment, once
the last worker of that code had gone before. A schedule whose job type is unknown here, and known to another
edition that lives, is left alone as long as that one lives: its code may be another application's. Every
worker looks once a minute, so whatever a crash or a race leaves behind is put right by the next look.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..record import to_datetime
from ..storage import Storage
from ..storage.values import Schedule
from .definition import RESERVED, Definition
from .state import VERSION, State, is_damaged, read_state

#: Milliseconds that a worker has for its first sign of life, after which its edition counts no more.
ARRIVAL = 90_000
#: The queue of the row that lists the editions; only a cluster needs to know one.
PLACE = "default"
EMPTY = json.dumps({"v": VERSION, "editions": {}})


@dataclass(frozen=True, slots=True)
class Publisher:
    """Keeps the schedules of one application's code stored."""

    storage: Storage
    #: The application, which may share its storage with others.
    source: str
    definitions: Mapping[str, Definition]
    #: The job types of this application.
    types: Collection[str]
    #: Milliseconds without a sign of life after which a worker is gone.
    lease: int

    def publish(self, worker: str) -> list[str]:
        """Make what is stored fit this application's code, if that is the newest that lives.

        `worker` is the name of the worker that asks. Returns the names that are taken by schedules
        of another application or made at run time: those of the code are not stored.
        """
        while True:
            rows = {row.name: row for row in self.storage.schedules()}
            if not self.definitions and self._name not in rows:
                return []
            row = rows.get(self._name, Schedule(self._name, PLACE, EMPTY))
            editions = self._with_mine(read_editions(row), worker)
            if not self._announce(row, editions):
                continue
            if max(editions, key=lambda one: editions[one]["seen"]) != self.edition:
                return []
            if self._store(rows, self._of_others(editions)):
                return self._clashes(rows)

    @property
    def edition(self) -> str:
        """What the definitions are, in short."""
        told = [self.definitions[name].dump() for name in sorted(self.definitions)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def _name(self) -> str:
        return f"{RESERVED}{self.source}"

    def _with_mine(self, editions: dict[str, Any], worker: str) -> dict[str, Any]:
        """The editions that have a worker which lives, with ours."""
        now = self.storage.now()
        moment = to_datetime(now)
        alive = {one.name for one in self.storage.workers() if one.silence(moment) * 1000 <= self.lease}
        living = {}
        for edition, about in editions.items():
            workers = {name: at for name, at in about["workers"].items() if name in alive or now - at < ARRIVAL}
            if workers:
                living[edition] = {**about, "workers": workers}
        latest = max((about["seen"] for about in living.values()), default=0)
        mine = living.get(self.edition, {"seen": max(now, latest + 1), "workers": {}})
        types = sorted({*self.types, *mine.get("types", ())})
        living[self.edition] = {**mine, "workers": {worker: now, **mine["workers"]}, "types": types}
        return living

    def _of_others(self, editions: dict[str, Any]) -> set[str]:
        """The job types that only other editions know."""
        known = {type_ for about in editions.values() for type_ in about.get("types", ())}
        return known.difference(self.types)

    def _announce(self, row: Schedule, editions: dict[str, Any]) -> bool:
        about = json.dumps({"v": VERSION, "editions": editions}, sort_keys=True)
        return about == row.about or bool(self.storage.put_schedule(row._replace(about=about)))

    def _store(self, rows: Mapping[str, Schedule], of_others: Collection[str]) -> bool:
        """Put, change and delete what must be; False where somebody else did something meanwhile."""
        now = self.storage.now()
        stored = {name: state for name, row in rows.items() if (state := read_state(row)) is not None}
        ours = {
            name: state
            for name, state in stored.items()
            if state.source == self.source and state.definition.type not in of_others
        }
        missing = [one for name, one in self.definitions.items() if name not in rows or is_damaged(rows[name])]
        done = [self._put_new(definition, rows.get(definition.name), now) for definition in missing]
        for name, state in ours.items():
            definition = self.definitions.get(name)
            done.append(self._put(definition, state, now) if definition else self.storage.delete_schedule(rows[name]))
        return all(done)

    def _put_new(self, definition: Definition, damaged: Schedule | None, now: int) -> bool:
        """Store a schedule that is not there, or in place of one that cannot be read."""
        if damaged is not None and not self.storage.delete_schedule(damaged):
            return False
        return bool(self.storage.put_schedule(State.new(definition, self.source, now).row()))

    def _put(self, definition: Definition, state: State, now: int) -> bool:
        if state.definition == definition:
            return True
        return put_changed(self.storage, state, state.redefined(definition, self.source, now)) is not None

    def _clashes(self, rows: Mapping[str, Schedule]) -> list[str]:
        others = [read_state(rows[name]) for name in self.definitions if name in rows]
        return [state.definition.name for state in others if state is not None and state.source != self.source]


def read_editions(row: Schedule) -> dict[str, Any]:
    """The editions that are stored; none where they cannot be read, so that each living one is told again."""
    try:
        return {name: one for name, one in json.loads(row.about)["editions"].items() if is_edition(one)}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def is_edition(about: dict[str, Any]) -> bool:
    """Whether it is told of an edition when it was seen, and by whom."""
    return all(isinstance(moment, int) for moment in (about["seen"], *about["workers"].values()))


def put_changed(storage: Storage, old: State, new: State) -> State | None:
    """Store a changed schedule over the one that was read; None where somebody was faster.

    One whose queue is another is deleted and stored anew, without its history: it lies with its queue.
    """
    if old.definition.queue != new.definition.queue and old.revision:
        if not storage.delete_schedule(old.row()):
            return None
        new = replace(new, revision=0)
    revision = storage.put_schedule(new.row())
    return replace(new, revision=revision) if revision else None
