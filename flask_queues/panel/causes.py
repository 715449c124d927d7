"""Failures by cause: how many problems there are, and whether one is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..errors import JobNotFound
from ..manager import Manager, current_queues
from ..metrics import FailureCause
from ..record import JobRecord, Page, Status, to_milliseconds
from ..shapes import cause_fields, job_fields, secrets_of
from . import charts, reads
from .deeds import for_status
from .formats import now
from .language import gettext as _
from .pages import run_view
from .render import page
from .sorting import Order, Sorted, in_order
from .words import job_type_name, process_of

#: Jobs of a cause that are looked at to tell what they have in common, and that stand on its page.
LOOKED, SHOWN = 200, 20
#: What no fewer of them have in common is said.
SHARE = 50
HOUR = 3_600_000
#: Within how many hours a cause has failed last, as the address says.
RANGES = {"1h": 1, "24h": 24, "7d": 168}
ORDERS: dict[str, Order[FailureCause]] = {
    "last": Order(lambda one: one.last),
    "jobs": Order(lambda one: (one.number, one.last)),
    "first": Order(lambda one: one.first),
}


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/failed", "causes", causes)
    blueprint.add_url_rule("/failed/<key>", "cause", cause)
    blueprint.add_url_rule("/api/failed", "api_causes", api_causes)
    blueprint.add_url_rule("/api/failed/<key>", "api_cause", api_cause)


def current(manager: Manager) -> list[FailureCause]:
    """The causes of which jobs are failed, the last first."""
    return [one for one in manager.causes() if one.number]


class Narrowed(NamedTuple):
    """Which causes are wanted, as the address says."""

    range: str | None
    queue: str | None
    type: str | None

    @classmethod
    def of_request(cls) -> Narrowed:
        """Read the address; an unknown range is none."""
        range_ = request.args.get("range", "")
        return cls(
            range_ if range_ in RANGES else None, request.args.get("queue") or None, request.args.get("type") or None
        )

    @property
    def given(self) -> dict[str, str]:
        """What is set."""
        return {name: value for name, value in self._asdict().items() if value}

    @property
    def place(self) -> dict[str, str]:
        """Queue and type, where they are set."""
        return {name: value for name, value in self.given.items() if name != "range"}

    def count(self, one: FailureCause) -> int:
        """How many failed jobs of a cause are wanted."""
        return one.count(self.queue, self.type)

    def sum(self, causes: Iterable[FailureCause]) -> int:
        """How many failed jobs of all these are wanted."""
        return sum(map(self.count, causes))

    def holds(self, one: FailureCause) -> bool:
        """Whether a cause is wanted."""
        lately = self.range is None or to_milliseconds(now()) - one.last <= RANGES[self.range] * HOUR
        return lately and self.count(one) > 0


def found(manager: Manager, key: str) -> FailureCause:
    """One cause, also where none of its jobs is failed any more."""
    for one in manager.causes():
        if one.cause.key == key:
            return one
    raise NotFound


def jobs_of(manager: Manager, one: FailureCause, n: int) -> Page:
    """The newest of its jobs, at least so many where there are."""
    only = one.types[0] if len(one.types) == 1 else None
    return manager.jobs_of(type=only, statuses=[Status.FAILED], cause=one.cause.key, limit=n)


def number_of(one: FailureCause, found: Page) -> int:
    """How many they are: as a worker has counted within the last minute, but for those few that are all at hand."""
    return len(found.jobs) if found.after is None else one.number


def chosen(known: Iterable[FailureCause], asked: Narrowed) -> Sorted[FailureCause]:
    """Those that are wanted, in the order that the address says."""
    return in_order(filter(asked.holds, known), {**ORDERS, "jobs": Order(lambda one: (asked.count(one), one.last))})


def causes() -> ResponseReturnValue:
    """All causes."""
    overview = reads.Overview.read(current_queues, now())
    known, asked = current(current_queues), Narrowed.of_request()
    order = chosen(known, asked)
    return page(
        "causes.html",
        overview=overview,
        asked=asked,
        place=asked.place,
        queues=sorted({queue for one in known for queue in one.queues} | ({asked.queue} if asked.queue else set())),
        types=sorted({type_ for one in known for type_ in one.types} | ({asked.type} if asked.type else set())),
        rows=order.rows,
        order=order,
        status=Status.FAILED,
        actions=for_status(Status.FAILED),
        charts=charts,
        unread=current_queues.unread_causes(),
    )


def cause(key: str) -> ResponseReturnValue:
    """One cause: is it one bug, since when, is it over?"""
    one = found(current_queues, key)
    newest = jobs_of(current_queues, one, LOOKED)
    jobs = newest.jobs[:LOOKED]
    hours = since_the_first(one)
    return page(
        "cause.html",
        one=one,
        number=number_of(one, newest),
        jobs=jobs[:SHOWN],
        looked=len(jobs),
        run=last_run(jobs[0]) if jobs else None,
        tried=tried(),
        common=in_common(jobs),
        hours=hours,
        zeros=[0] * len(hours),
        status=Status.FAILED,
        actions=for_status(Status.FAILED),
        charts=charts,
    )


def since_the_first(one: FailureCause) -> list[int]:
    """How many failed in each hour since the first that is kept, a few of them at least."""
    begin = min(one.hours, default=to_milliseconds(one.begin) // HOUR)
    return one.lately(now(), max(6, to_milliseconds(now()) // HOUR - begin + 1))


def last_run(job: JobRecord) -> dict[str, Any] | None:
    """The run that failed last, as it stands on the job's own page."""
    last = next((attempt for attempt in reversed(job.history) if attempt.error is not None), None)
    return run_view(job, last, secrets_of(current_queues, job)) if last is not None else None


def tried() -> JobRecord | None:
    """The job that was retried before the others."""
    try:
        return current_queues.find(request.args["tried"][:64]) if "tried" in request.args else None
    except JobNotFound:
        return None


def in_common(jobs: Sequence[JobRecord]) -> list[tuple[str, str, float]]:
    """What half of the jobs or more have in common: its name, what it is, the share of the jobs in per cent."""
    asked: list[tuple[str, Callable[[JobRecord], Iterable[str]]]] = [
        (_("Job type"), lambda job: [job_type_name(current_queues.name_of(job.type), job.type)]),
        (_("Queue"), lambda job: [job.queue]),
        (_("Host"), lambda job: [process_of(job.worker)[0]] if job.worker else []),
        (_("Tag"), lambda job: job.tags),
    ]
    shares = []
    for label, values in asked:
        for value, n in Counter(value for job in jobs for value in set(values(job))).most_common(3):
            if n * 100 >= SHARE * len(jobs):
                shares.append((label, value, 100 * n / len(jobs)))
    return shares


def api_causes() -> ResponseReturnValue:
    """All causes, for programs: of a queue or type, with as many jobs as failed there."""
    asked = Narrowed.of_request()
    found = chosen(current(current_queues), asked).rows
    causes = [{**cause_fields(one), "jobs": asked.count(one)} for one in found]
    return jsonify(causes=causes, unread=current_queues.unread_causes())


def api_cause(key: str) -> ResponseReturnValue:
    """One cause with its newest jobs, for programs."""
    one = found(current_queues, key)
    jobs = [job_fields(current_queues, job) for job in jobs_of(current_queues, one, SHOWN).jobs[:SHOWN]]
    return jsonify({**cause_fields(one), "newest": jobs})
