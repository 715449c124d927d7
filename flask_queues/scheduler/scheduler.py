"""The schedules of one application: those of its code, and those made while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any, overload

from ..config import Config, shortened
from ..errors import DuplicateSchedule, ScheduleError, ScheduleNotFound
from ..record import to_datetime
from ..registry import Registry
from ..storage import Storage
from ..storage.values import Occurrence
from ..telling import Teller
from .decide import BY_HAND, Decision, latest, occurrences
from .definition import Definition, define
from .editions import Publisher, put_changed
from .record import OccurrenceRecord, ScheduleRecord, occurrence_of, record_of
from .state import State, is_damaged, read_state
from .ticker import Ticker, put
from .timing import Every, read_timing

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Before the first moment of any schedule.
BEGINNING = -(2**53)


class Scheduler:
    """At `queues.scheduler`. What it changes, every worker heeds within a second.

    A schedule is named by its name. Where only times are asked for, a cron expression or a
    timedelta may be given as well, with a zone.
    """

    def __init__(
        self, jobs: Registry, config: Config, source: str, storage: Callable[[], Storage], teller: Teller
    ) -> None:
        self._jobs = jobs
        self._config = config
        self._source = source
        self._storage = storage
        self._teller = teller
        self._defined: dict[str, Definition] = {}

    # In the code

    def define(self, when: Any, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> Definition:
        """Take a schedule of the code; workers store it when they start.

        Raises `DuplicateSchedule`, or what `add` raises.
        """
        definition = define(self._jobs, self._config, when, job, payload, **options)
        known = self._defined.get(definition.name)
        if known is not None:
            hint = "" if options.get("name") else ", which is its job's type: give one of them another name"
            raise DuplicateSchedule(f"Two schedules are called {definition.name}{hint}.")
        self._defined[definition.name] = definition
        return definition

    def forget(self, name: str) -> None:
        """Drop a schedule of the code, or remove one made at run time; raises `ScheduleNotFound`."""
        if self._defined.pop(name, None) is None:
            self.remove(name)

    def publish(self, worker: str) -> list[str]:
        """Store the schedules of the code, as `Publisher` says; a worker calls it when it starts and once a minute."""
        lease = round(self._config.lease * 1000)
        return Publisher(self._storage(), self._source, self._defined, self._jobs.keys(), lease).publish(worker)

    def ticker(self) -> Ticker:
        """Return what fires the schedules; a worker's keeper has one."""
        return Ticker(self._storage(), self._teller)

    def run_due(self, worker: str = "run-due") -> int:
        """Fire what is due now, without a worker; returns how many jobs were pushed."""
        self.publish(worker)
        return self.ticker().drain()

    # Reading

    def all(self) -> list[ScheduleRecord]:
        """Every schedule, by name; with those of the code that no worker has stored yet."""
        states = self._states()
        return [record_of(states[name]) for name in sorted(states)]

    def find(self, name: str) -> ScheduleRecord:
        """Return a schedule; raises `ScheduleNotFound`."""
        return record_of(self._state(name))

    def history(self, name: str, limit: int = 100) -> list[OccurrenceRecord]:
        """What became of its occurrences, the last decided first, up to 100."""
        return [occurrence_of(line) for line in self._storage().occurrences(self._state(name).row(), limit)]

    def outcomes(self, names: Iterable[str], limit: int = 100) -> dict[str, list[tuple[str, str | None]]]:
        """Of several, what became of each occurrence and the id of its job, the last first.

        One look for all schedules, and one for each of these; without those that nobody has stored.
        """
        storage, wanted = self._storage(), set(names)
        known = [row for row in storage.schedules() if row.name in wanted]  # as they are: nothing of them is read
        return {row.name: [(line.outcome, line.job) for line in storage.occurrences(row, limit)] for row in known}

    # At run time

    def add(self, when: Any, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> ScheduleRecord:
        """Make a schedule that is kept in the storage until it is removed.

        Arguments are those of `Queues.schedule`. Raises `ScheduleError` for a wrong one, `DuplicateSchedule`
        where the name is taken, and what a push raises for the job, its payload and its options.
        """
        definition = define(self._jobs, self._config, when, job, payload, **options)
        state = State.new(definition, "", self._storage().now())
        taken = {*self._defined, *(row.name for row in self._storage().schedules())}
        revision = 0 if definition.name in taken else self._storage().put_schedule(state.row())
        if not revision:
            raise DuplicateSchedule(f"There is a schedule called {definition.name} already.")
        return record_of(replace(state, revision=revision))

    def change(self, name: str, **changes: Any) -> ScheduleRecord:
        """Change a schedule made at run time: `when`, `job`, `payload` or any option of `add` but the name.

        Where its times are changed, they count from now on. Raises as `add` does, or `ScheduleNotFound`.
        """
        if "name" in changes:
            raise ScheduleError("A schedule's name cannot be changed; add it under another name and remove this one.")

        def changed(state: State) -> State:
            self._refuse_code(state, "change it there")
            definition = state.definition.changed(self._jobs, self._config, changes)
            return state.redefined(definition, "", self._storage().now())

        return self._update(name, changed)

    def pause(self, name: str, reason: str = "") -> ScheduleRecord:
        """Leave out its occurrences until it is resumed; raises `ScheduleNotFound`."""
        return self._update(name, lambda state: replace(state, paused=str(reason)[:500]))

    def resume(self, name: str) -> ScheduleRecord:
        """Let a paused schedule go on from now; raises `ScheduleNotFound`."""

        def resumed(state: State) -> State:
            if state.paused is None:
                return state
            return replace(state, paused=None, cursor=max(state.cursor, self._storage().now()))

        return self._update(name, resumed)

    def remove(self, name: str) -> None:
        """Delete a schedule made at run time, or one that is damaged, with its history; raises `ScheduleNotFound`."""
        while True:
            damaged = [row for row in self._storage().schedules() if row.name == name and is_damaged(row)]
            if damaged and self._storage().delete_schedule(damaged[0]):
                return
            state = self._state(name)
            self._refuse_code(state, "remove it there, or pause it")
            if self._storage().delete_schedule(state.row()):
                return

    def run(self, name: str) -> str:
        """Push its job now, besides what is due; returns the job's id. Raises `ScheduleNotFound`."""
        while True:
            state = self._state(name)
            now = self._storage().now()
            job = state.definition.job(now)
            lines = [Occurrence(now, 0, BY_HAND, job.id)]
            decision = Decision(replace(state, job=job.id, last=(now, BY_HAND)), [job], lines)
            if put(self._storage(), decision, self._teller) is not None:
                return job.id

    # Times

    def is_valid(self, when: Any, timezone: str | None = None) -> bool:
        """Whether something is a cron expression, or a time span, that a schedule takes."""
        try:
            read_timing(when, self._config.timezone if timezone is None else timezone)
        except ScheduleError:
            return False
        return True

    def is_due(self, schedule: Any, at: datetime | None = None, timezone: str | None = None) -> bool:
        """Whether it is due in the minute of `at`, or of now."""
        minute = self._moment(at) // 60_000 * 60_000
        found = next(occurrences(self._meant(schedule, timezone).definition, minute - 1, minute + 59_999), None)
        return found is not None

    @overload
    def next(
        self, schedule: Any, after: datetime | None = None, count: None = None, timezone: str | None = None
    ) -> datetime | None: ...

    @overload
    def next(
        self, schedule: Any, after: datetime | None = None, count: int = ..., timezone: str | None = None
    ) -> list[datetime]: ...

    def next(
        self,
        schedule: Any,
        after: datetime | None = None,
        count: int | None = None,
        timezone: str | None = None,
    ) -> Any:
        """When it is due next after a moment, or after now: in UTC, None for never. With `count`, a list.

        Raises `ScheduleNotFound` for what is no schedule, or `ScheduleError` for a moment without a zone.
        """
        state = self._meant(schedule, timezone)
        since = self._moment(after)
        wanted = 1 if count is None else count
        if state.left is not None and since >= state.cursor:
            wanted = min(wanted, state.left)
        found = [to_datetime(due) for due in islice(occurrences(state.definition, since), max(0, wanted))]
        return found if count is not None else next(iter(found), None)

    def previous(self, schedule: Any, before: datetime | None = None, timezone: str | None = None) -> datetime | None:
        """When it was due last before a moment, or before now, by its times; None for never. Raises as `next`."""
        found = latest(self._meant(schedule, timezone).definition, BEGINNING, self._moment(before) - 1, 1)
        return to_datetime(found[0]) if found else None

    def _meant(self, schedule: Any, timezone: str | None) -> State:
        """The schedule of this name, or one that is made of an expression or a time span for the question."""
        own = self._defined.get(schedule) if isinstance(schedule, str) else None
        if own is not None and own.times is None:
            return State.new(own, self._source, 0)
        if isinstance(schedule, str) and (known := self._states().get(schedule)) is not None:
            return known
        if isinstance(schedule, str) and len(schedule.split()) == 1 and not schedule.startswith("@"):
            raise not_found(schedule)
        zone = self._config.timezone if timezone is None else timezone
        when = read_timing(schedule, zone)
        text = when.seconds if isinstance(when, Every) else when.text
        return State.new(Definition(name="", when=text, timezone=zone, type="", queue="", payload="{}"), "", 0)

    def _moment(self, given: Any) -> int:
        if given is None:
            return self._storage().now()
        if not isinstance(given, datetime) or given.utcoffset() is None:
            raise ScheduleError(f"{shortened(given)} is not an aware datetime, such as datetime.now(timezone.utc).")
        return (given - EPOCH) // timedelta(milliseconds=1)

    # What is stored

    def _states(self) -> dict[str, State]:
        """Every schedule by name: as it is stored, or as the code defines it where it is not."""
        read = [state for row in self._storage().schedules() if (state := read_state(row)) is not None]
        stored = {state.definition.name: state for state in read}
        missing = [definition for name, definition in self._defined.items() if name not in stored]
        now = self._storage().now() if missing else 0
        return stored | {one.name: State.new(one, self._source, now) for one in missing}

    def _state(self, name: str) -> State:
        state = self._states().get(name)
        if state is None:
            raise not_found(name)
        return state

    def _update(self, name: str, change: Callable[[State], State]) -> ScheduleRecord:
        """Change what is stored; again, where somebody else did so meanwhile."""
        while True:
            state = self._state(name)
            changed = change(state)
            if changed == state:
                return record_of(state)
            stored = put_changed(self._storage(), state, changed)
            if stored is not None:
                return record_of(stored)

    def _refuse_code(self, state: State, hint: str) -> None:
        if state.source:
            raise ScheduleError(
                f"The schedule {state.definition.name} is defined in the code of {state.source}: {hint}."
            )


def not_found(name: str) -> ScheduleNotFound:
    """Say that there is no such schedule, and where to look."""
    return ScheduleNotFound(f"There is no schedule called {shortened(name)}; flask queues schedule lists them.")
