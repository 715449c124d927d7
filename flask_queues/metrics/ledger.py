"""The sheets on which figures are kept: a bucket for each minute, half hour and two hours, and an index of them.

A minute is added to the longer spans when it is over; until then readers add it themselves. So each bucket of
the past is written once, and a reader may keep it. It is also added to what was ever done (`totals.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..storage import Storage
from ..storage.sheets import Found, expect, look
from .bucket import Bucket, all_of, found_in
from .totals import TOTALS, Totals, totals_in

MINUTE = 60_000
#: Minutes that a bucket spans, and how many of them are kept: twice the longest range that is shown of them.
SPANS: Mapping[int, int] = {1: 120, 30: 96, 120: 168}
INDEX = "index"
#: The names of buckets' sheets.
BUCKET = re.compile(r"(\d{1,3}):(\d{1,9})")
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
    def load(cls, text: str) -> Index:
        """Read what `dump` has written; raises whatever is wrong with it."""
        said = json.loads(text)
        expect([said["until"], said["recounted"]], [int])
        expect([said["open"], said["starts"]], ({str: int}, {str: [int]}))
        starts = {span: said["starts"].get(str(span), []) for span in SPANS}
        return cls(said["until"], said["open"], starts, said["recounted"])

    @classmethod
    def rebuilt(cls, names: Iterable[str], until: int, still_open: dict[str, int]) -> Index:
        """Tell from the names of all sheets which buckets there are, where the index itself cannot be read."""
        index = cls(until, still_open)
        for name in names:
            if (found := BUCKET.fullmatch(name)) and (span := int(found[1])) in SPANS:
                index.starts[span].append(int(found[2]))
        for starts in index.starts.values():
            starts.sort()
        return index


def index_in(text: str | None) -> Found[Index]:
    """Read the index."""
    return look(INDEX, text, Index.load)


class Ledger:
    """Reads the sheets of one storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._past: dict[str, Bucket] = {}
        #: The names of buckets that could not be read when they last were wanted.
        self.damaged: set[str] = set()

    def index(self) -> Index | None:
        """Which buckets there are; None before anything was counted."""
        found = index_in(self._storage.sheets([INDEX]).get(INDEX))
        return Index.rebuilt(self._storage.sheet_names(), 0, {}) if found.damage else found.value

    def buckets(self, span: int, first: int, last: int) -> dict[int, Bucket]:
        """Buckets of a span of minutes that begin from one minute to another, by their beginning.

        A time in which no worker was there to count has none, nor has one of which they cannot be read.
        """
        index = self.index()
        if index is None or index.minute is None:
            return {}
        starts = [start for start in index.starts[span] if first <= start <= last]
        found = self._read([sheet(span, start) for start in starts], index)
        whole = {start: found[name] for start in starts if (name := sheet(span, start)) in found}
        current = index.minute - index.minute % span
        if span > 1 and first <= current <= last:
            whole[current] = self._unfinished(span, index)
        return whole

    def totals(self) -> Bucket:
        """All that was ever done, by queue and type; it never falls, but where its queues and types are too many.

        The minute that is not over is the one that the sheet names: whenever that is closed, both go together.
        """
        totals = totals_in(self._storage.sheets([TOTALS]).get(TOTALS)).value
        if totals is None:
            return Bucket()
        found = self._found(sheet(1, totals.minute))
        return all_of([totals.bucket, *found.values()])

    def _unfinished(self, span: int, index: Index) -> Bucket:
        """The longer bucket that is not over, with the minute that is not added to it yet."""
        assert index.minute is not None
        return all_of(self._found(sheet(span, index.minute - index.minute % span), sheet(1, index.minute)).values())

    def _read(self, names: Sequence[str], index: Index) -> dict[str, Bucket]:
        """Read buckets, those of the past once."""
        past = self._past
        known = {name: past[name] for name in names if name in past}
        read = self._found(*(name for name in names if name not in known))
        if len(past) > MOST:
            past = self._past = {}
        past.update((name, bucket) for name, bucket in read.items() if is_past(name, index))
        return known | read

    def _found(self, *names: str) -> dict[str, Bucket]:
        """Read buckets; those that cannot be read are left out, and noted."""
        texts = self._storage.sheets(names)
        found = {name: found_in(name, texts.get(name)) for name in names}
        damaged = {name for name, one in found.items() if one.damage}
        self.damaged = (self.damaged - found.keys()) | damaged
        return {name: one.value or Bucket() for name, one in found.items() if name not in damaged}


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
        done = found_in(sheet(1, over), texts.get(sheet(1, over))).value or Bucket()
        for span in (span for span in SPANS if span > 1):
            name = sheet(span, over - over % span)
            found = found_in(name, texts.get(name))
            whole = found.value or Bucket()
            whole.merge(done)
            changes |= {name: whole.dump(), **found.aside}
            add_start(index, span, over - over % span)
    totals = totals_in(texts.get(TOTALS))
    changes |= {TOTALS: Totals.after(totals.value, done, minute).dump(), **totals.aside}
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
