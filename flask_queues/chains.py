"""Jobs that run one after another: each exists from the step that settles the one before.

What comes after a job travels with it, in its options: its place in the chain under `chain`, the rest of the chain
as JSON text under `rest`. The ids of all links are fixed when the chain is pushed, so that a settlement that is
repeated pushes the same job, which is stored once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import transitions
from .errors import OptionError
from .record import ChainPlace, Status
from .storage.base import Claim, NewJob, Settlement

if TYPE_CHECKING:
    from .handles import ChainHandle

#: Links of one chain: the rest of it is stored with each.
MAX_LINKS = 1_000
#: Bytes of what a link carries for those after it.
MAX_REST = 1_048_576

#: After which end of the link before it a link runs.
ENDS = {
    "success": frozenset({Status.COMPLETED}),
    "failure": frozenset({Status.FAILED}),
    "end": frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
}


class Link(NamedTuple):
    """A link as the caller gives it."""

    job: Any
    payload: dict[str, Any] | None
    #: `success`, `failure` or `end`.
    on: str = "success"
    #: The argument that gets the result of the link before it.
    result_as: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


class Made(NamedTuple):
    """A link, checked, as it will be stored."""

    job: NewJob
    on: str
    result_as: str | None


class Chain:
    """A chain on its way: `queues.chain([Fetch, Resize]).then(Mail, on="end").push()`."""

    def __init__(self, links: Iterable[Any], push: Callable[[Sequence[Link], dict[str, Any]], ChainHandle]) -> None:
        self._links = [as_link(link) for link in links]
        self._push = push

    def then(
        self,
        job: Any,
        payload: dict[str, Any] | None = None,
        *,
        on: str = "success",
        result_as: str | None = None,
        **options: Any,
    ) -> Chain:
        """Add a link, and return the chain.

        It runs when the link before it has completed (`on="success"`), has failed for good (`"failure"`), or has
        ended in whatever way, also cancelled (`"end"`). A link that does not fit is passed over, and the next one
        looked at. `result_as` names the argument that gets the result of the job before it: null where that has not
        completed, or has returned more than 64 KiB. Options are those of a push; a `delay` counts from the end of the
        job before it.
        """
        self._links.append(Link(job, payload, on, result_as, options))
        return self

    def push(self, **options: Any) -> ChainHandle:
        """Store the first job, with the rest of the chain; once this returns, the chain is not lost.

        Every link is checked before. Options are those of a push, for each link that does not say otherwise.
        Raises what a push raises, and `OptionError` for a chain that cannot be: none or more than 1,000 links, more
        than 1 MB, a unique job in it, or a first link that waits for another.
        """
        return self._push(self._links, options)


def as_link(given: Any) -> Link:
    """Read one item of a list of links: a job, or a pair of job and payload."""
    if isinstance(given, Link):
        return given
    return Link(*given) if isinstance(given, tuple) else Link(given, None)


def check_links(links: Sequence[Link]) -> None:
    """Raise `OptionError` for a chain that cannot be."""
    if not links:
        raise OptionError("A chain has at least one link.")
    if len(links) > MAX_LINKS:
        raise OptionError(
            f"A chain has at most {MAX_LINKS:,} links, not {len(links):,}. Let its last link push the rest."
        )
    for link in links:
        if link.on not in ENDS:
            raise OptionError(f"on: {str(link.on)[:80]!r} is none of {', '.join(ENDS)}.")
    if links[0].on != "success" or links[0].result_as is not None:
        raise OptionError("The first link of a chain waits for none: leave out on and result_as.")


def joined(links: Sequence[Made]) -> NewJob:
    """Make the job that begins a chain; raises `OptionError` where a link is unique, or the chain too large."""
    for link in links:
        if link.job.unique is not None:
            raise OptionError(f"{link.job.type}: a unique job may not come to be, so it cannot be a link of a chain.")
    first = links[0].job
    rest = [written(link) for link in links[1:]]
    job = placed(first, ChainPlace(first.id, 1, len(links), None, *followers(rest)), rest)
    size = len((job.options or "").encode())
    if size > MAX_REST:
        raise OptionError(
            f"The chain has {size:,} bytes; {MAX_REST:,} are allowed. Store the data elsewhere and push its id."
        )
    return job


def followed(claim: Claim, settlement: Settlement) -> Settlement:
    """Add to the end of a link what comes after it; anything else stays as it is.

    Where it is to run again, that is what comes after its cancellation: the storage may have been asked for that.
    """
    if claim.options is None or '"chain"' not in claim.options:
        return settlement
    said = json.loads(claim.options)
    end = settlement.status if settlement.status.final else Status.CANCELLED
    if ChainPlace(*said["chain"]).after(end) is None:
        return settlement
    coming = json.loads(said["rest"])
    if not isinstance(coming, list):  # encrypted with a key that is gone, as the payload: a retry finds it again
        return settlement
    at, rest = first_of(coming, end)
    before = ChainPlace(*said["chain"])
    place = ChainPlace(before.id, before.at + at + 1, before.of, claim.id, *followers(rest[1:]))
    job = placed(with_result(rest[0], settlement), place, rest[1:])
    return settlement._replace(follows=(*settlement.follows, job))


def given_back(claim: Claim, *, begun: bool) -> Settlement:
    """Its worker stops, or has no time for it: as in `transitions`, for a link too."""
    return followed(claim, transitions.given_back(claim, begun=begun))


def types_of(first: str, options: str | None) -> list[str]:
    """The job types of a chain whose first job is of this type, and has these options."""
    said = json.loads(options) if options else {}
    return [first, *(link[2]["type"] for link in json.loads(said.get("rest", "[]")))]


def first_of(rest: list[Any], status: Status) -> tuple[int, list[Any]]:
    """Drop the links that do not run after such an end; tells how many, too."""
    for n, link in enumerate(rest):
        if status in ENDS[link[0]]:
            return n, rest[n:]
    return len(rest), []


def followers(rest: list[Any]) -> list[str | None]:
    """The ids of what would come next after each end."""
    found = [first_of(rest, status)[1] for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)]
    return [links[0][2]["id"] if links else None for links in found]


def placed(job: NewJob, place: ChainPlace, rest: list[Any]) -> NewJob:
    """Give a job its place, and what comes after it."""
    said = json.loads(job.options) if job.options else {}
    said |= {"chain": place, "rest": json.dumps(rest, ensure_ascii=False, separators=(",", ":"))}
    return job._replace(options=json.dumps(said, ensure_ascii=False, separators=(",", ":")))


def written(link: Made) -> list[Any]:
    """Write a link as it travels."""
    return [link.on, link.result_as, link.job.said()]


def with_result(link: list[Any], settlement: Settlement) -> NewJob:
    """Read a link as it travels, with the result of the job before it where it wants that."""
    _, result_as, fields = link
    job = NewJob.read(fields)
    if result_as is None:
        return job
    payload = json.loads(job.payload)
    payload[result_as] = json.loads(settlement.result) if settlement.result is not None else None
    return job._replace(payload=json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
