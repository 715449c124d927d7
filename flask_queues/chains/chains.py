"""Jobs that run one after another: each exists from the step that settles the one before.

What comes after a job travels with it, in its options: its place in the chain under `chain`, the rest of its page of
the chain as JSON text under `rest`, and under `beyond` where the chain goes on after that (`pages.py`). What was let
follow it after its push (`followers.py`) stands under `then`, as JSON text of lists of links. The ids of
all links are fixed before, so that a settlement that is repeated pushes the same job, which is stored once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import damaged, transitions
from ..config import shortened
from ..errors import OptionError
from ..record import ChainPlace, Status
from ..storage.values import Claim, NewJob, Settlement
from .pages import ALL, ENDS, NOWHERE, Beyond, Page, first_of, followers, paged, tag_of

if TYPE_CHECKING:
    from ..handles import ChainHandle

logger = logging.getLogger("flask_queues")

#: Links of one chain, and bytes of all of them.
MAX_LINKS, MAX_BYTES = 100_000, 33_554_432
#: In place of a job type: a link that is still on its page, which is read before the storage hears of it.
ON_ITS_PAGE = ""

#: Reads a page of a chain, by the id of that and its number.
ReadPage = Callable[[str, int], "Page | None"]


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
        Raises what a push raises, and `OptionError` for a chain that cannot be: none or more than 100,000 links, more
        than 32 MB, a unique job in it, or a first link that waits for another.
        """
        return self._push(self._links, options)


def as_link(given: Any) -> Link:
    """Read one item of a list of links: a job, or a pair of job and payload."""
    if isinstance(given, Link):
        return given
    if not isinstance(given, tuple):
        return Link(given, None)
    if not 2 <= len(given) <= len(Link._fields):
        raise OptionError(f"{shortened(given)}: a link of a chain is a job, or a pair (job, payload).")
    return Link(*given)


def check_links(links: Sequence[Link]) -> None:
    """Raise `OptionError` for a chain that cannot be."""
    if not links:
        raise OptionError("A chain has at least one link.")
    if len(links) > MAX_LINKS:
        raise OptionError(
            f"A chain has at most {MAX_LINKS:,} links, not {len(links):,}. Let its last link push the rest."
        )
    for link in links:
        check_end(link)
    if links[0].on != "success" or links[0].result_as is not None:
        raise OptionError("The first link of a chain waits for none: leave out on and result_as.")


def check_end(link: Link) -> None:
    """Raise `OptionError` where a link waits for what is no end."""
    if link.on not in ENDS:
        raise OptionError(f"on: {str(link.on)[:80]!r} is none of {', '.join(ENDS)}.")


def check_not_unique(link: Made) -> None:
    """Raise `OptionError` for a unique job."""
    if link.job.unique is not None:
        raise OptionError(f"{link.job.type}: a unique job may not come to be, so it cannot be a link of a chain.")


class Joined(NamedTuple):
    """A chain as it is stored."""

    #: The job that begins it.
    first: NewJob
    #: Page 0 travels with the first job; the others are to be kept before it is stored.
    pages: Sequence[Page]


def joined(links: Sequence[Made]) -> Joined:
    """Make what is stored of a chain; raises `OptionError` where a link is unique, or the chain too large."""
    for link in links:
        check_not_unique(link)
    travelling = [written(link) for link in links]
    size = sum(len(json.dumps(link, ensure_ascii=False).encode()) for link in travelling)
    if size > MAX_BYTES:
        raise OptionError(
            f"The chain has {size:,} bytes; {MAX_BYTES:,} are allowed. Store the data elsewhere and push its id."
        )
    pages = paged(travelling)
    if len(pages) > 1:
        pages = paged([written(tagged(link, links[0].job.id)) for link in links])
    begin = Following(links[0].job.id, len(links), None)
    return Joined(begin.next(pages[0].links, 1, pages[0].beyond, None), pages)


class Following(NamedTuple):
    """What the next link of a chain is told of the chain."""

    #: The id of its first job.
    chain: str
    #: How many links there are.
    of: int
    #: The job that it comes after; None for the first.
    before: str | None

    def next(self, links: list[Any], at: int, beyond: Beyond, result: str | None) -> NewJob:
        """Make the job of the first of these links, which is the `at`-th of the chain; the others travel with it."""
        rest = links[1:]
        place = ChainPlace(self.chain, at, self.of, self.before, *followers(rest, beyond))
        return placed(with_result(links[0], result), place, rest, beyond)

    def to_be_read(self, page: int, link: str, end: Status) -> NewJob:
        """Stand in for a link of a page that was not read yet."""
        return NewJob(link, "", ON_ITS_PAGE, json.dumps([*self, page, end.value]))


def followed(claim: Claim, settlement: Settlement) -> Settlement:
    """Add to the end of a job what comes after it, as its claim tells: the next link of its chain, and its followers.

    Where it is to run again, that is what comes after its cancellation: the storage may have been asked for that. So
    it may where the link has completed or failed: then the chain goes no further than to what comes after any end.
    What is on a page that was not read yet has to be read, with `read_out`, before the storage gets it.
    """
    if claim.changes:
        settlement = settlement._replace(changes=claim.changes)
    if claim.options is None or ('"chain"' not in claim.options and '"then"' not in claim.options):
        return settlement
    said, damage = damaged.options_of(claim)
    if damage is not None:
        logger.error("Nothing comes after job %s. %s", claim.id, damage)
        return settlement
    end = settlement.status if settlement.status.final else Status.CANCELLED
    behind = [follower_of(claim.id, line, end, settlement.result) for line in lines_of(said)]
    settlement = settlement._replace(follows=(*settlement.follows, *(job for job in behind if job is not None)))
    return with_next_link(claim, said, settlement, end) if "chain" in said else settlement


def anew(settled: Sequence[Settlement], outdated: Iterable[Claim]) -> list[Settlement]:
    """Make those settlements again that were made from other options than these claims have now."""
    known = {(one.id, one.token): one._replace(follows=(), if_cancelled=None) for one in settled}
    return [followed(claim, known[claim.id, claim.token]) for claim in outdated]


def lines_of(said: Mapping[str, Any]) -> list[list[Any]]:
    """The lines that were let follow a job of these options; none where no key here opens them."""
    lines = json.loads(said.get("then", "[]"))
    return lines if isinstance(lines, list) else []  # as the payload: a retry finds them again


def follower_of(job_id: str, line: list[Any], end: Status, result: str | None) -> NewJob | None:
    """The job that follows another after such an end: the first of a line that fits, with those behind it."""
    passed, links = first_of(line, end)
    if not links:
        return None
    return Following(job_id, 1 + len(line), job_id).next(links, 2 + passed, NOWHERE, result)


def with_next_link(claim: Claim, said: dict[str, Any], settlement: Settlement, end: Status) -> Settlement:
    """Add the next link of a job's chain."""
    place = ChainPlace(*said["chain"])
    if place.after(end) is None:
        return settlement
    coming, beyond = json.loads(said["rest"]), said.get("beyond", NOWHERE)
    if not isinstance(coming, list):  # encrypted with a key that is gone, as the payload: a retry finds it again
        return settlement
    link = Ended(claim.id, place, coming, beyond, settlement.result)
    follows = (*settlement.follows, *link.pushes(end))
    if place.after(end) == place.after(Status.CANCELLED):
        return settlement._replace(follows=follows)
    return settlement._replace(follows=follows, if_cancelled=(*settlement.follows, *link.pushes(Status.CANCELLED)))


class Ended(NamedTuple):
    """A link that has ended, with what may come after it."""

    id: str
    place: ChainPlace
    coming: list[Any]
    beyond: Beyond
    result: str | None

    def pushes(self, end: Status) -> list[NewJob]:
        """The one job that comes after such an end, or none."""
        if (after := self.place.after(end)) is None:
            return []
        then = Following(self.place.id, self.place.of, self.id)
        passed, links = first_of(self.coming, end)
        if links:
            return [then.next(links, self.place.at + passed + 1, self.beyond, self.result)]
        there = self.beyond[ALL.index(end)]
        return [] if there is None else [then.to_be_read(there[0], after, end)]


def is_read_out(settlement: Settlement) -> bool:
    """Whether nothing of what follows a settlement is on a page that was not read yet."""
    return all(job.type != ON_ITS_PAGE for job in (*settlement.follows, *(settlement.if_cancelled or ())))


def read_out(settlement: Settlement, read: ReadPage) -> Settlement:
    """Read what follows a settlement where it is on a page; raises what `read` raises."""
    if is_read_out(settlement):
        return settlement
    follows = all_read(settlement.follows, settlement, read)
    if settlement.if_cancelled is None:
        return settlement._replace(follows=follows)
    return settlement._replace(follows=follows, if_cancelled=all_read(settlement.if_cancelled, settlement, read))


def all_read(jobs: Sequence[NewJob], settlement: Settlement, read: ReadPage) -> tuple[NewJob, ...]:
    """Turn stand-ins into what they stand for, where that is there."""
    found = [job if job.type != ON_ITS_PAGE else turned_to(job, settlement, read) for job in jobs]
    return tuple(job for job in found if job is not None)


def turned_to(stand_in: NewJob, settlement: Settlement, read: ReadPage) -> NewJob | None:
    """Read the page on which a link is; None, and it is said in the log, where that is gone."""
    chain, of, before, number, end = json.loads(stand_in.payload)
    page = read(chain, number)
    if page is None:
        logger.error(
            "The chain %s does not go on after job %s: what comes next is no longer in the storage, or encrypted with "
            "a key that QUEUES_ENCRYPTION_KEYS does not hold.",
            chain,
            before,
        )
        return None
    passed, links = first_of(page.links, Status(end))
    return Following(chain, of, before).next(links, page.first + passed, page.beyond, settlement.result)


def given_back(claim: Claim, *, begun: bool) -> Settlement:
    """Its worker stops, or has no time for it: as in `transitions`, for a link too."""
    return followed(claim, transitions.given_back(claim, begun=begun))


def types_of(first: str, options: str | None, read: ReadPage) -> list[str]:
    """The job types of a chain whose first job is of this type, and has these options."""
    said = json.loads(options) if options else {}
    types = [first, *(link[2]["type"] for link in json.loads(said.get("rest", "[]")))]
    number = 1
    while "beyond" in said and (page := read(said["chain"][0], number)) is not None:
        types += [link[2]["type"] for link in page.links]
        number += 1
    return types


def placed(job: NewJob, place: ChainPlace, rest: list[Any], beyond: Beyond) -> NewJob:
    """Give a job its place, and what comes after it."""
    said = json.loads(job.options) if job.options else {}
    said |= {"chain": place, "rest": json.dumps(rest, ensure_ascii=False, separators=(",", ":"))}
    if any(beyond):
        said["beyond"] = beyond
    return job._replace(options=json.dumps(said, ensure_ascii=False, separators=(",", ":")))


def tagged(link: Made, chain_id: str) -> Made:
    """Give a link the tag by which the jobs of a long chain are found."""
    return link._replace(job=link.job._replace(tags=(*link.job.tags, tag_of(chain_id))))


def written(link: Made) -> list[Any]:
    """Write a link as it travels."""
    return [link.on, link.result_as, link.job.said()]


def with_result(link: list[Any], result: str | None) -> NewJob:
    """Read a link as it travels, with the result of the job before it where it wants that."""
    _, result_as, fields = link
    job = NewJob.read(fields)
    if result_as is None:
        return job
    payload = json.loads(job.payload)
    payload[result_as] = json.loads(result) if result is not None else None
    return job._replace(payload=json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
