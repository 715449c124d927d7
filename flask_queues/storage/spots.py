"""Where a page of the jobs that are claimed next ended: in the line of a queue, or among what is held back of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

from ..errors import OptionError

#: What the text of one begins with; that of a page in another order does not.
MARK = "next"


class Spot(NamedTuple):
    """The last job of a page."""

    #: By what it stands in its line, in the engine's own way; the less the earlier.
    place: tuple[int, ...]
    queue: str
    #: What holds it back, in the engine's own words; empty where nothing does.
    held: str = ""

    def __str__(self) -> str:
        return ":".join([MARK, ".".join(map(str, self.place)), quote(self.held, safe=""), self.queue])

    def onward(self, line: Sequence[str]) -> Sequence[str]:
        """Its queue and those that come after it."""
        if self.queue not in line:
            raise OptionError(f"after: the page before ended in {self.queue!r}, which is not among the queues given.")
        return line[line.index(self.queue) :]


def read_spot(text: str | None, numbers: int) -> Spot | None:
    """Read where the page before ended, in so many numbers; None where there was none."""
    if text is None:
        return None
    mark, _, rest = text.partition(":")
    place, _, rest = rest.partition(":")
    held, _, queue = rest.partition(":")
    try:
        found = tuple(map(int, place.split(".")))
    except ValueError:
        found = ()
    if mark != MARK or len(found) != numbers:
        raise OptionError(f"after: {text[:64]!r} is not where a page ended; hand in a page's own after.")
    return Spot(found, queue, unquote(held))


def queue_in(text: str | None) -> list[str]:
    """The queue in which the page before ended, if there was one."""
    return text.split(":", 3)[3:] if text is not None and text.startswith(f"{MARK}:") else []
