"""Long work that goes on where it was interrupted: loops with a cursor, and steps that are not repeated.

What a job has come to is one JSON text, which the storage keeps with it: `{"loops": {name: [cursor, passed, whether it
is over]}, "steps": {name: result}}`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

from flask import current_app

from .errors import OptionError, Retry, StorageError
from .payload import MAX_RESULT, dump_json

T = TypeVar("T")

#: Seconds between two times that the cursor is kept: what a kill repeats at most.
KEEP_EVERY = 1.0
#: The part of the job's timeout after which a loop puts the job off, to go on in its next run.
PART = 0.8
#: Rows of a database that are read at a time.
SLICE = 500


class Keeping(Protocol):
    """What a run offers to keep what it has come to."""

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""

    @property
    def timeout(self) -> float:
        """Seconds that the run may take."""

    def keep(self, text: str) -> bool:
        """Keep a text for this run and the next; False where the claim is lost."""

    def kept(self) -> str | None:
        """The text that was kept last."""

    def passed(self, count: int, total: int | None) -> None:
        """Tell people how many items are done."""


class Kept:
    """What one job has come to, over all its runs."""

    def __init__(self, run: Keeping, type_string: str) -> None:
        self._run = run
        self._type = type_string
        self._began = time.monotonic()
        text = run.kept()
        state = json.loads(text) if text else {}
        self._loops: dict[str, list[Any]] = state.get("loops", {})
        self._steps: dict[str, Any] = state.get("steps", {})

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do something unless an earlier run has done it, and return what it returned, as JSON can hold it.

        Raises `StorageError` where its end cannot be kept; it is repeated then.
        """
        if name not in self._steps:
            self._steps[name] = json.loads(dump_json(f"{self._type}, step {name}", work()))
            self._save()
        return self._steps[name]  # type: ignore[no-any-return]

    def iterate(self, source: Any, key: Any, total: int | None, name: str) -> Iterator[Any]:
        """Walk through what an earlier run has not come to.

        Raises `Retry` where the worker is to stop or most of the timeout is over, so that the job goes on later.
        """
        cursor, passed, over = self._loops.get(name, [None, 0, False])
        if over:
            return
        kept_at = time.monotonic()
        for place, item in places(source, key, cursor):
            yield item
            passed += 1
            self._loops[name] = [place, passed, False]
            now = time.monotonic()
            pause = self._run.stopping or now - self._began > PART * self._run.timeout
            if pause or now - kept_at > KEEP_EVERY:
                kept_at = now
                self._save_if_possible()
                self._run.passed(passed, total)
            if pause:
                raise Retry(0)
        self._loops[name] = [None, passed, True]
        self._save_if_possible()
        self._run.passed(passed, total)

    def _save_if_possible(self) -> None:
        try:
            self._save()
        except StorageError:  # a kill would repeat more; no reason to fail
            return

    def _save(self) -> None:
        text = dump_json(self._type, {"loops": self._loops, "steps": self._steps})
        if len(text.encode()) > MAX_RESULT:
            raise OptionError(
                f"{self._type}: what the job keeps of its steps and loops has more than {MAX_RESULT:,} bytes."
            )
        if not self._run.keep(text):
            raise Retry(0)  # the claim is lost: somebody else goes on with the job


def places(source: Any, key: Any, cursor: Any) -> Iterator[tuple[Any, Any]]:
    """Tell every item behind the cursor, and the cursor to go on with behind that."""
    if callable(source):
        if not callable(key):
            raise OptionError("iterate(function, key=…): key is a function that tells the cursor of an item.")
        return ((key(item), item) for item in source(cursor))
    if hasattr(source, "order_by") and hasattr(source, "limit"):
        if not hasattr(key, "key"):
            raise OptionError("iterate(query, key=…): key is the column that the query is walked by, such as User.id.")
        return rows(source, key, cursor)
    return counted(source, cursor or 0)


def counted(items: Iterable[Any], start: int) -> Iterator[tuple[int, Any]]:
    """Walk through a list, or whatever gives the same items in the same order in each run, by number."""
    if isinstance(items, Sequence):
        yield from ((n + 1, items[n]) for n in range(start, len(items)))
    else:
        yield from enumerate(islice(items, start, None), start + 1)


def rows(query: Any, key: Any, cursor: Any) -> Iterator[tuple[Any, Any]]:
    """Walk through a query of SQLAlchemy in slices by a unique column, over Flask-SQLAlchemy's session."""
    session = current_app.extensions["sqlalchemy"].session
    while True:
        part = query if cursor is None else query.where(key > cursor)
        found = session.scalars(part.order_by(None).order_by(key).limit(SLICE)).all()
        for item in found:
            cursor = getattr(item, key.key)
            yield cursor, item
        if len(found) < SLICE:
            return
