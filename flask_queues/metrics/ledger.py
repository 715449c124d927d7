"""The sheets on which figures are kept: a bucket for each minute, half hour and two hours, and an index of them.

A minute is added to the longer spans when it is over; until then readers add it themselves. So each bucket of
the past is written once, and a reader may keep it. It is also added to what was ever done (`totals.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..storage import Storage
from ..storage.figures import legible
from .bucket import Bucket, all_of
from .totals import TOTALS, Totals

MINUTE = 60_000
#: Minutes that a bucket spans, and how many of them are kept: twice the longest range that is shown of them.
SPANS: Mapping[int, int] = {1: 120, 30: 96, 120: 168}
INDEX = "index"
#: Buckets of the past that a reader keeps in memory.
MOST = 1000


@dataclass
class Index:
    """Which buckets there are, and how far the count has come."""

    #: The moment before which everything that ended is counted.
    until: int
    #: By queue and type, with a tab between: jobs that had not ended then.
    open: dict[str, int]
    #: By span: the minutes since 1970 with which buckets begin, in order.
    starts: dict[int, list[int]] = field(default_factory=lambda: {span: [] for span in SPANS})
    #: The minute in which failed jobs were last counted anew by their causes.
    recounted: int = 0

    @property
    def minute(self) -> int | None:
        """The last minute for which there is a bucket: the one that is not over, or was not when its worker stopped."""
        return self.starts[1][-1] if self.starts[1] else None

    def dump(self) -> str:
        """Write it as JSON text."""
        starts = {str(span): starts for span, starts in self.starts.items()}
        said = {"until": self.until, "open": self.open, "starts": starts, "recounted": self.recounted}
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> Index | None:
        """Read what `dump` has written; None where there is nothing that can be read."""
        if (text := legible(text)) is None:
            return None
        said = json.loads(text)
        starts = {span: said["starts"].get(str(span), []) for span in SPANS}
        return cls(said["until"], said["open"], starts, said["recounted"])


class Ledger:
    """Reads the sheets of one storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._past: dict[str, Bucket] = {}

    def index(self) -> Index | None:
        """Which buckets there are; None before anything was counted."""
        return Index.load(self._storage.sheets([INDEX]).get(INDEX))

    def buckets(self, span: int, first: int, last: int) -> dict[int, Bucket]:
        """Buckets of a span of minutes that begin from one minute to another, by their beginning.

        A time in which no worker was there to count has none.
        """
        index = self.index()
        if index is None or index.minute is None:
            return {}
        starts = [start for start in index.starts[span] if first <= start <= last]
        found = self._read([sheet(span, start) for start in starts], index)
        if span == 1:
            return {start: found[sheet(1, start)] for start in starts}
        current = index.minute - index.minute % span
        return {start: found[sheet(span, start)] for start in starts if start != current} | (
            {current: self._unfinished(span, index)} if first <= current <= last else {}
        )

    def totals(self) -> Bucket:
        """All that was ever done, by queue and type; it never falls, but where its queues and types are too many.

        The minute that is not over is the one that the sheet names: whenever that is closed, both go together.
        """
        totals = Totals.load(self._storage.sheets([TOTALS]).get(TOTALS))
        if totals is None:
            return Bucket()
        current = sheet(1, totals.minute)
        return all_of([totals.bucket, Bucket.load(self._storage.sheets([current]).get(current))])

    def _unfinished(self, span: int, index: Index) -> Bucket:
        """The longer bucket that is not over, with the minute that is not added to it yet."""
        assert index.minute is not None
        names = [sheet(span, index.minute - index.minute % span), sheet(1, index.minute)]
        texts = self._storage.sheets(names)
        return all_of(Bucket.load(texts.get(name)) for name in names)

    def _read(self, names: Iterable[str], index: Index) -> dict[str, Bucket]:
        """Read buckets, those of the past once."""
        wanted = list(names)
        texts = self._storage.sheets([name for name in wanted if name not in self._past])
        read = {name: self._past.get(name) or Bucket.load(texts.get(name)) for name in wanted}
        if len(self._past) > MOST:
            self._past = {}
        self._past.update((name, bucket) for name, bucket in read.items() if is_past(name, index))
        return read


def sheet(span: int, start: int) -> str:
    """The name of a bucket's sheet."""
    return f"{span}:{start}"


def is_past(name: str, index: Index) -> bool:
    """Whether nothing is added to a bucket any more."""
    span, _, start = name.partition(":")
    return index.minute is not None and int(start) + int(span) <= index.minute


def close(index: Index, minute: int, texts: Mapping[str, str]) -> dict[str, str | None]:
    """Begin a minute: add the one before to the longer spans, and delete what is too old.

    `texts` holds the sheets that `needed` names. Returns the sheets to write; the index is changed.
    """
    over, changes, done = index.minute, dict[str, str | None](), Bucket()
    if over is not None:
        done = Bucket.load(texts.get(sheet(1, over)))
        for span in (span for span in SPANS if span > 1):
            name = sheet(span, over - over % span)
            whole = Bucket.load(texts.get(name))
            whole.merge(done)
            changes[name] = whole.dump()
            add_start(index, span, over - over % span)
    changes |= {TOTALS: Totals.after(texts.get(TOTALS), done, minute).dump()}
    add_start(index, 1, minute)
    return changes | forget(index, minute)


def needed(index: Index) -> list[str]:
    """The sheets that are changed when a minute is over."""
    over = index.minute
    return [TOTALS, *([] if over is None else [sheet(span, over - over % span) for span in SPANS])]


def add_start(index: Index, span: int, start: int) -> None:
    """Note that there is a bucket."""
    starts = index.starts[span]
    if not starts or starts[-1] < start:
        starts.append(start)


def forget(index: Index, minute: int) -> dict[str, str | None]:
    """Take buckets off the index that are too old; returns their sheets, to be deleted."""
    gone: dict[str, str | None] = {}
    for span, kept in SPANS.items():
        oldest = minute - kept * span
        gone.update((sheet(span, start), None) for start in index.starts[span] if start < oldest)
        index.starts[span] = [start for start in index.starts[span] if start >= oldest]
    return gone
