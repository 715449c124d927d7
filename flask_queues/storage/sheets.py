"""Sheets as they are read: what one says, and what becomes of one that cannot be read.

Nobody stumbles over such a one: it says nothing, and the log tells of it. Whoever writes another in the place of a
damaged one writes its text aside in the same step, under a name by which it is found again. One that is encrypted with
a key which this process lacks is never written over: somebody else may have that key.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..damaged import why
from ..errors import DamagedRecord, KeyMissing, StorageError
from .figures import legible

logger = logging.getLogger("flask_queues")

T = TypeVar("T")
#: What the names of sheets begin with that hold what could not be read.
ASIDE = "damaged:"
#: What this process has told of already: names, those of damaged sheets with the sums of their texts.
_told: set[str] = set()
#: Of so many it begins anew.
MOST_TOLD = 1000


@dataclass(frozen=True)
class Found(Generic[T]):
    """What a sheet says."""

    #: None where there is no such sheet, or nobody here can read it.
    value: T | None
    #: What is wrong with it; empty where nothing is.
    damage: str = ""
    #: Its text once more, where it is damaged: to be written with what takes its place.
    aside: Mapping[str, str] = field(default_factory=dict)
    #: Whether it is encrypted with a key that this process lacks, so that nothing may take its place.
    closed: bool = False


def look(name: str, text: str | None, load: Callable[[str], T]) -> Found[T]:
    """Read a sheet with `load`, which may raise whatever it likes where the text is damaged.

    Raises `StorageFormatError`, as `load` does, where a newer version has written it.
    """
    if text is None:
        return Found(None)
    if is_closed(text):
        tell_closed(name)
        return Found(None, closed=True)
    try:
        check_text(text)
        return Found(load(text))
    except StorageError:
        raise
    except Exception as error:
        tell(name, text, why(error))
        return Found(None, why(error), {aside_of(name, text): printable(text)})


def is_closed(text: str) -> bool:
    """Whether a text is encrypted, and whole: only its key is missing here, and somebody else may have that."""
    if legible(text) is not None:
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def check_text(text: str) -> None:
    """Raise `DamagedRecord` where halves of surrogate pairs stand for bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DamagedRecord("It holds bytes that are no text.") from error


def tell(name: str, text: str, damage: str) -> None:
    """Say in the log that a sheet cannot be read, once in a process."""
    if is_news(aside_of(name, text)):
        logger.error(
            "The sheet %s in the storage cannot be read, so it is left out: flask queues damaged shows it. %s",
            name,
            damage[:500],
        )


def tell_closed(name: str) -> None:
    """Say in the log that a sheet is encrypted with a key that is missing here, once in a process."""
    if is_news(name):
        logger.warning("%s It is left out, and left as it is.", closed_words(name))


def is_news(what: str) -> bool:
    """Whether this process has not told of something yet."""
    if what in _told:
        return False
    if len(_told) >= MOST_TOLD:
        _told.clear()
    _told.add(what)
    return True


def closed_words(name: str) -> str:
    """Say what is missing."""
    return (
        f"The sheet {name} in the storage is encrypted with a key that QUEUES_ENCRYPTION_KEYS lacks in this process. "
        "Give every process of the application, and every worker, the same keys."
    )


def refuse_closed(name: str, found: Found[Any]) -> None:
    """Raise `KeyMissing` where a sheet would be changed that nobody here can read."""
    if found.closed:
        raise KeyMissing(f"{closed_words(name)} Nothing was changed.")


def aside_of(name: str, text: str) -> str:
    """The name under which a damaged text is kept: the same for the same text, whoever finds it."""
    return f"{ASIDE}{name}:{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}"


def printable(text: str) -> str:
    """A text that can be stored: bytes that were no characters are written out."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def expect(value: Any, shape: Any, what: str = "what it says") -> None:
    """Raise `DamagedRecord` where a value that was read from JSON is something else."""
    if not fits(value, shape):
        raise DamagedRecord(f"In it, {what} is {str(value)[:80]!r}.")


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has a shape.

    That is a type, a question, `[shape]` for a list of such, `{str: shape}` for an object of such, or a tuple for a
    list of just these.
    """
    if isinstance(shape, list):
        return isinstance(value, list) and all_fit(value, shape[0])
    if isinstance(shape, dict):
        return isinstance(value, dict) and all_fit(value.values(), shape[str])
    if isinstance(shape, tuple):
        return isinstance(value, list) and len(value) == len(shape) and all(map(fits, value, shape))
    return isinstance(value, shape) if isinstance(shape, type) or not callable(shape) else bool(shape(value))


def all_fit(values: Collection[Any], shape: Any) -> bool:
    """Whether each of these has it; a sheet has ten thousand numbers, which are looked at in one go."""
    same = isinstance(shape, type) and set(map(type, values)) <= {shape}
    return same or all(fits(one, shape) for one in values)
