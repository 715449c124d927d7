"""Pages of jobs: each partition gives its part of a page, and the parts are merged.

A place on the list is the moment at which a job came into its status, the number of its push within its
partition, and the queue. A job's queue is fixed for life, so that a page shows each job once, although
the partitions are read one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...errors import OptionError
from ...record import JobRecord, Page, Status
from ..values import Query
from .calls import Calls, Command
from .keys import Keys, structures
from .names import QueueNames
from .records import DIGITS, decoded, record_of
from .scripts import PAGE

#: How many jobs of each queue a filter without an index looks at before it offers to go on.
LOOK_AT = 2_000
#: Later than any moment, and exact in a double.
TOP = 2**53


class Place(NamedTuple):
    """Where a job stands on a list; the greater comes first, or last where the oldest are on top."""

    moment: int
    number: int
    queue: str

    def __str__(self) -> str:
        return f"{self.moment}:{self.number}:{self.queue}"


def page(calls: Calls, keys: Keys, names: QueueNames, query: Query) -> Page:
    """Read one page; newest in their status first, or last."""
    begin = read_place(query)
    if query.queue is None:
        answers = names.ask_all(lambda queue: command(keys, queue, query, begin))
    else:
        answers = [(query.queue, calls.ask(command(keys, query.queue, query, begin)))]
    ends: list[Place] = []
    rows: list[tuple[Place, Any]] = []
    for queue, (end, *found) in answers:
        if end:
            ends.append(Place(int(end[0]), int(end[1]), queue))
        rows += [(Place(int(row[0]), int(row[1]), queue), row) for row in found]
    rows.sort(key=lambda row: row[0], reverse=not query.oldest)
    end = min(ends, default=None) if query.oldest else max(ends, default=None)
    return cut(rows, end, query)


def cut(rows: Sequence[tuple[Place, Any]], end: Place | None, query: Query) -> Page:
    """Make the page of what was found up to where the look ended."""
    limit = query.limit
    seen = [(place, row) for place, row in rows if end is None or (place <= end if query.oldest else place >= end)]
    jobs = tuple(read_row(place.queue, row) for place, row in seen[:limit])
    if len(seen) > limit:
        return Page(jobs, str(seen[limit - 1][0]))
    return Page(jobs, str(end) if end is not None else None)


def read_place(query: Query) -> Place:
    """Read where the page before ended; no text is before the first."""
    text = query.after
    if text is None and query.begin is not None and query.tag is None:
        return Place(query.begin, -1, "")
    if text is None:
        return Place(-1, -1, "") if query.oldest else Place(TOP, TOP, "")
    moment, _, rest = text.partition(":")
    number, _, queue = rest.partition(":")
    try:
        return Place(int(moment), int(number), queue)
    except ValueError:
        raise OptionError(f"after: {text[:64]!r} is not where a page ended; hand in a page's own after.") from None


def command(keys: Keys, queue: str, query: Query, begin: Place) -> Command:
    """Ask a partition for its part of a page."""
    partition = keys.partition(queue)
    wanted = dict.fromkeys(query.statuses or Status)
    # Of two queues with the same moment and number, the one that comes later in the alphabet is the greater.
    number = begin.number
    if query.oldest:
        number -= queue > begin.queue
    else:
        number += queue < begin.queue
    arguments = [
        keys.root,
        partition,
        "".join(DIGITS[status] for status in wanted),
        query.type or "",
        "" if query.tag is None else f"t{query.tag}",
        query.limit,
        LOOK_AT,
        "1" if query.oldest else "",
        begin.moment,
        number,
    ]
    tags = [] if query.tag is None else [f"{partition}t:{query.tag}"]
    return Command(partition, PAGE, arguments, [*structures(partition), *tags])


def read_row(queue: str, row: Sequence[bytes]) -> JobRecord:
    """Read one job of a page."""
    _, _, status, held, member, claim, text = map(decoded, row)
    stem, _, job_id = member.partition("\t")
    return record_of(queue, job_id, status, held, claim, text, stem)
