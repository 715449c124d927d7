"""The lists of jobs: which of them a page shows, in which order, how many match, and where other pages begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from ..manager import Manager
from ..record import Counts, JobRecord, Page, Status
from ..searching import Where, ran
from ..shapes import iso, job_fields

PAGE = 50
PAGES = (25, 50, 100)
#: The orders of a list, as the address calls them: those that are claimed next first, or that came into the status
#: first, or last; and one that no storage keeps, for which so many of the newest are sorted by how long they ran.
NEXT, OLDEST, NEWEST, SLOWEST = "next", "oldest", "newest", "slowest"
AMONG = 1000
#: Those that a list has, its usual one first. Those that came first start next, or may be stuck.
ORDERS = {
    Status.PENDING: (NEXT, OLDEST, NEWEST),
    Status.RUNNING: (OLDEST, NEWEST),
    Status.SCHEDULED: (OLDEST, NEWEST),
    Status.COMPLETED: (NEWEST, OLDEST, SLOWEST),
    Status.FAILED: (NEWEST, OLDEST),
    Status.CANCELLED: (NEWEST, OLDEST),
}
#: The one that the head of the column turns to by which a list is sorted.
TURNED = {NEXT: OLDEST, OLDEST: NEWEST, NEWEST: OLDEST, SLOWEST: NEWEST}
#: As many failed jobs are read for those of a cause to be counted: in 5 ms.
FEW = 100
#: Pages that one can go back, one by one, before the first is next.
TRAIL = 20
#: Filters that can be typed in front of a text: `tag:news error:KeyError anna`.
TYPED = ("tag", "error", "cause", "worker", "chain", "attempts", "ran")
#: Those of them that have a field of their own on the list of a status.
OWN = {Status.COMPLETED: "ran", Status.FAILED: "attempts", Status.SCHEDULED: "attempts"}

#: Filters that are moments.
MOMENTS = ("since", "until")


class Filters(NamedTuple):
    """Which jobs a list shows; part of its address."""

    queue: str | None = None
    type: str | None = None
    tag: str | None = None
    #: When they ended, the latter moment not included.
    since: datetime | None = None
    until: datetime | None = None
    #: From here on: what no index serves, so that jobs are read until enough match.
    text: str | None = None
    error: str | None = None
    cause: str | None = None
    worker: str | None = None
    chain: str | None = None
    attempts: int | None = None
    #: Seconds.
    ran: float | None = None

    @property
    def given(self) -> dict[str, str]:
        """Those that are set."""
        return {
            name: str(iso(value)) if isinstance(value, datetime) else str(value)
            for name, value in self._asdict().items()
            if value
        }

    @property
    def timeless(self) -> dict[str, str]:
        """Those that are set and are no moment."""
        return {name: text for name, text in self.given.items() if name not in MOMENTS}

    @property
    def moments(self) -> dict[str, str]:
        """Those that are set and are one."""
        return {name: text for name, text in self.given.items() if name in MOMENTS}

    @property
    def searching(self) -> bool:
        """Whether jobs have to be read to be found."""
        return any(getattr(self, name) is not None for name in Where._fields)

    def typed_beside(self, own: str | None) -> str:
        """What stands in the search field: the text, and what has no field of its own."""
        named = [f"{name}:{value}" for name, value in self.given.items() if name in TYPED and name != own]
        return " ".join([*named, *([self.text] if self.text else [])])


@dataclass(frozen=True)
class Listing:
    """One page of the jobs in one status."""

    status: Status
    filters: Filters
    jobs: tuple[JobRecord, ...]
    #: Where this page began; None for the first.
    began: str | None
    #: Where the next page begins.
    after: str | None
    #: How many jobs a page has.
    limit: int
    #: The order, as the address has it; of one that no index serves for these filters, `order` is what stands for it.
    sort: str
    #: How many jobs stand on the pages before.
    before: int
    #: Where the pages before began that are behind the first, the last of them last.
    trail: tuple[str, ...]
    #: How many match, as kept by the storage; None with filters for which no count is kept.
    total: int | None
    #: The queues and types that hold jobs in this status.
    queues: tuple[str, ...]
    types: tuple[str, ...]
    #: Of how many of the newest these are the slowest; None where they are not.
    among: int | None = None

    @property
    def own(self) -> str | None:
        """The filter that has a field of its own here, beside queue and type."""
        return OWN.get(self.status)

    @property
    def order(self) -> str:
        """The order in which the jobs stand."""
        return order_of(self.sort, self.filters)

    @property
    def oldest(self) -> bool:
        """Whether those stand first that came first into their status, or with a tag were pushed first."""
        return self.order == OLDEST

    @property
    def others(self) -> tuple[str, ...]:
        """The other orders in which it can be shown, the nearest first."""
        there = {order_of(name, self.filters): None for name in (TURNED[self.order], *ORDERS[self.status])}
        return tuple(name for name in there if name != self.order)

    @property
    def kept(self) -> dict[str, str]:
        """What the address of another page of this list says."""
        return self.sorted_by(self.sort)

    @property
    def way(self) -> dict[str, str]:
        """What the address says of the order, where it is not the usual one."""
        return {} if self.sort == ORDERS[self.status][0] else {"sort": self.sort}

    def sorted_by(self, name: str) -> dict[str, str]:
        """What the address of this list in an order says."""
        way = {} if name == ORDERS[self.status][0] else {"sort": name}
        return {**self.filters.given, **way, **({} if self.limit == PAGE else {"limit": str(self.limit)})}

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many jobs a page may have."""
        return PAGES

    @property
    def here(self) -> tuple[str, ...]:
        """The trail of the next page."""
        return (*self.trail, *([self.began] if self.began else []))[-TRAIL:]

    @property
    def first_page(self) -> bool:
        """Whether new jobs may come onto this page."""
        return self.before == 0


def listing(
    manager: Manager,
    counts: Counts,
    status: Status,
    filters: Filters,
    after: str | None,
    before: int,
    limit: int,
    trail: tuple[str, ...] = (),
    sort: str = "",
) -> Listing:
    """Read a page of jobs, in this order or the usual one of their status."""
    sort = sort if sort in ORDERS[status] else ORDERS[status][0]
    page = manager.jobs_of(
        **filters._asdict(), statuses=[status], limit=limit, after=after, **flags_of(order_of(sort, filters))
    )
    cells = [(queue, type_, n) for (queue, type_, name), n in counts.cells.items() if name == status.value and n]
    return Listing(
        status=status,
        filters=filters,
        jobs=page.jobs,
        began=after,
        after=page.after,
        limit=limit,
        sort=sort,
        before=before if after else 0,
        trail=trail if after else (),
        total=total(manager, counts, status, filters, None if after else page),
        queues=tuple(sorted({queue for queue, _, _ in cells} | ({filters.queue} if filters.queue else set()))),
        types=tuple(sorted({type_ for _, type_, _ in cells} | ({filters.type} if filters.type else set()))),
    )


def order_of(sort: str, filters: Filters) -> str:
    """The order in which a list can be read: of a type or a tag it is not known who is next."""
    return OLDEST if sort == NEXT and (filters.type or filters.tag) else sort


def flags_of(order: str) -> dict[str, Any]:
    """How it is asked for."""
    return {"next_first": True} if order == NEXT else {"oldest": order == OLDEST}


def slowest(manager: Manager, counts: Counts, filters: Filters, limit: int) -> Listing:
    """Read those of the newest completed jobs that ran longest: one page, and no more."""
    newest = listing(manager, counts, Status.COMPLETED, filters, None, 0, AMONG, sort=NEWEST)
    jobs = sorted(newest.jobs, key=ran, reverse=True)[:limit]
    return replace(newest, jobs=tuple(jobs), sort=SLOWEST, among=len(newest.jobs), after=None, limit=limit)


def total(manager: Manager, counts: Counts, status: Status, filters: Filters, first: Page | None = None) -> int | None:
    """How many jobs match, from what is kept, or from the `first` page of them; None where that is not."""
    if filters.cause and set(filters.given) <= {"cause", "queue", "type"} and status is Status.FAILED:
        return len(first.jobs) if first is not None and first.after is None else total_of_cause(manager, filters)
    if filters.tag or filters.moments or filters.searching:
        return None
    return sum(
        n
        for (queue, type_, name), n in counts.cells.items()
        if name == status.value and filters.queue in (None, queue) and filters.type in (None, type_)
    )


def total_of_cause(manager: Manager, filters: Filters) -> int:
    """How many jobs have failed of a cause: read where few have, since what is kept of causes is a minute old."""
    known = next((one for one in manager.causes() if one.cause.key == filters.cause), None)
    only = known.types[0] if known is not None and len(known.types) == 1 else None
    few = manager.jobs_of(
        queue=filters.queue, type=filters.type or only, statuses=[Status.FAILED], limit=FEW
    )  # of any cause: those of one are no index, and may lie behind thousands
    if few.after is None:
        return sum((cause := manager.cause_of(job)) is not None and cause.key == filters.cause for job in few.jobs)
    return known.count(filters.queue, filters.type) if known is not None else 0


def listing_fields(manager: Manager, page: Listing) -> dict[str, Any]:
    """A page of jobs for programs."""
    return {
        "jobs": [job_fields(manager, record) for record in page.jobs],
        "after": page.after,
        "total": page.total,
    }
