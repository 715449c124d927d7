"""Jobs that follow one that was pushed before anybody knew of them: `queues.push(A).then(B)`.

They travel in the options of that job, as the rest of a chain does: each in a line of its own, with those that follow
it. So the step that settles the job pushes the first of each line that fits, which takes the others of its line along.
Where the job has ended already, whoever lets another follow it pushes that; a retry finds it in the options, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..errors import JobNotFound, OptionError, StorageError
from ..handles import is_stopped
from ..record import ChainPlace, Follower, JobRecord, Status
from ..storage import Storage
from ..storage.values import NewJob
from ..telling import Teller
from .chains import Ended, follower_of
from .pages import LINKS, NOWHERE, followers, id_of

#: Bytes of all that waits behind one job.
MAX_BYTES = 1_048_576
#: Seconds for which a job that was pushed a moment ago may be on its way to another queue, and between two looks.
ON_ITS_WAY, LOOK = 1.0, 0.01

Said = dict[str, Any]
#: What links one behind another become, given those; None where it is not about them.
Update = Callable[[list[Any]], "list[Any] | None"]


class Line(NamedTuple):
    """Links that wait one behind another for the end of a job, as they travel."""

    links: list[Any]
    #: The job's place in its chain, where they are the rest of that.
    place: ChainPlace | None

    def after(self, job_id: str, end: Status, before: JobRecord | None) -> NewJob | None:
        """What of it follows the job after such an end."""
        result = json.dumps(before.result) if before is not None and end is Status.COMPLETED else None
        if self.place is None:
            return follower_of(job_id, self.links, end, result)
        if before is not None and is_stopped(before):
            end = Status.CANCELLED
        return next(iter(Ended(job_id, self.place, self.links, NOWHERE, result).pushes(end)), None)


class Changed(NamedTuple):
    """What has become of a line, and how the job stood in that moment."""

    status: Status
    line: Line


class Followers:
    """Those of one storage."""

    def __init__(self, storage: Callable[[], Storage], teller: Teller) -> None:
        self._storage = storage
        self._teller = teller

    def attach(self, after: str, link: list[Any], owner: str | None = None) -> str:
        """Let a link come after a job; returns the id of the job in whose options it waits.

        `owner` is that of `after`, where that follows another itself. Raises `JobNotFound` where it is not there.
        """

        def appended(links: list[Any]) -> list[Any] | None:
            if link in links:
                return links
            if not links or id_of(links[-1]) != after:
                return None
            if len(links) >= LINKS:
                raise OptionError(f"Up to {LINKS} jobs follow one another so: push a chain instead.")
            return [*links, link]

        place = owner or after
        while place != after:
            changed = self._change(place, lambda said: with_line(said, appended))
            first = None if changed is None else self._first(place, changed)
            if changed is not None and (first is None or first.id == id_of(link)):
                self._push(first)
                return place
            place = after if first is None else first.id
        return self._begin(after, link, patient=owner is not None)

    def _begin(self, after: str, link: list[Any], *, patient: bool) -> str:
        """Begin a line behind a job."""
        until = time.monotonic() + ON_ITS_WAY if patient else 0.0
        while (changed := self._change(after, lambda said: with_new_line(said, link))) is None:
            if time.monotonic() >= until:
                raise JobNotFound(
                    f"There is no job {after} that another could follow: it was deleted, it waits for a commit, it "
                    "follows a job that was deleted, or another job follows it already."
                )
            time.sleep(LOOK)
        self._push(self._first(after, changed))
        return after

    def detach(self, owner: str, job_id: str) -> bool:
        """Let a link, and those behind it, not come; False where it waits no more."""

        def cut(links: list[Any]) -> list[Any] | None:
            ids = [id_of(link) for link in links]
            return links[: ids.index(job_id)] if job_id in ids else None

        place: str | None = owner
        while place is not None:
            changed = self._change(place, lambda said: with_line(said, cut))
            if changed is None or not changed.status.final:
                return changed is not None
            first = self._first(place, changed)  # it has taken along what was behind it
            place = None if first is None else first.id
        return False

    def _first(self, job_id: str, changed: Changed) -> NewJob | None:
        """What of a line has followed a job that has ended, or is to follow it now."""
        if not changed.status.final:
            return None
        return changed.line.after(job_id, changed.status, self._storage().get(job_id))

    def _push(self, job: NewJob | None) -> None:
        if job is not None:
            self._teller.pushed([job], self._storage().push([job]))

    def _change(self, job_id: str, change: Callable[[Said], tuple[Said, Line] | None]) -> Changed | None:
        """Change what waits behind a job; None where that is not there, or nothing of it is meant."""
        lines: list[Line] = []

        def turn(text: str | None) -> str | None:
            lines.clear()
            said = json.loads(text) if text else {}
            changed = change(said)
            if changed is None:
                return text
            lines.append(changed[1])
            return text if changed[0] == said else written(changed[0])

        status = self._storage().change_options(job_id, turn)
        return Changed(status, lines[0]) if status is not None and lines else None


def with_new_line(said: Said, link: list[Any]) -> tuple[Said, Line]:
    """The options of a job with a line more behind it."""
    lines = read_lines(said)
    new = [link]
    return (said if new in lines else with_lines(said, [*lines, new])), Line(new, None)


def with_line(said: Said, update: Update) -> tuple[Said, Line] | None:
    """The options of a job where one of the lines behind it has become another, and that; None where none has."""
    lines = read_lines(said)
    for n, line in enumerate(lines):
        if (changed := update(line)) is not None:
            return with_lines(said, [*lines[:n], changed, *lines[n + 1 :]]), Line(changed, None)
    if "chain" not in said or "beyond" in said:
        return None
    rest = readable(said["rest"])
    changed = update(rest)
    if changed is None:
        return None
    place = ChainPlace(*said["chain"])
    ends = followers(changed, NOWHERE)
    place = ChainPlace(place.id, place.at, place.of + len(changed) - len(rest), place.before, *ends)
    return {**said, "chain": list(place), "rest": as_text(changed)}, Line(changed, place)


def with_lines(said: Said, lines: list[list[Any]]) -> Said:
    """The options of a job with these lines behind it."""
    text = as_text([line for line in lines if line])
    if len(text.encode()) > MAX_BYTES:
        raise OptionError(
            f"More than {MAX_BYTES:,} bytes would wait for the end of the job. Let one job follow it that pushes them."
        )
    others = {name: value for name, value in said.items() if name not in ("then", "followers")}
    return others if text == "[]" else {**others, "then": text, "followers": [list(one) for one in told(lines)]}


def told(lines: list[list[Any]]) -> Iterator[Follower]:
    """What people may know of the lines, without their payloads."""
    for line in lines:
        before = None
        for link in line:
            yield Follower(id_of(link), link[2]["type"], link[0], before)
            before = id_of(link)


def read_lines(said: Said) -> list[list[Any]]:
    """The lines behind a job, as they are stored."""
    return readable(said.get("then", "[]"))


def readable(text: str) -> list[Any]:
    """Read links; raises `StorageError` where no key here opens them."""
    links = json.loads(text)
    if not isinstance(links, list):
        raise StorageError("What follows the job is encrypted with a key that QUEUES_ENCRYPTION_KEYS does not hold.")
    return links


def written(said: Said) -> str | None:
    """Write options as they are kept; None where there are none."""
    return as_text(said) if said else None


def as_text(value: Any) -> str:
    """Write JSON as it is kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
