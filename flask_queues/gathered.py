"""Job types whose payloads are collected for a while and come as one list."""

from __future__ import annotations

import dataclasses
import typing
import zlib
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

from .errors import ConfigError
from .job import GatheredJob
from .options import check_seconds, check_whole
from .payload import Shape, annotations_of

#: Characters of a key.
MAX_KEY = 250


class Gathering(NamedTuple):
    """How a job type gathers its payloads."""

    #: The argument of `handle` that gets the list.
    argument: str
    #: Milliseconds.
    window: int
    size: int
    key: Callable[[dict[str, Any]], Any]
    #: Makes of the arguments of a payload what is in the list.
    item: Callable[..., Any]

    def key_of(self, payload: dict[str, Any]) -> str:
        """What payloads have in common that come as one list."""
        return str(self.key(payload))[:MAX_KEY]

    def group_of(self, type_string: str, payload: dict[str, Any]) -> str:
        """Name what waits together in a queue: as long for any key, of which nothing can be read in it."""
        return blake2b(f"{type_string} {self.key_of(payload)}".encode(), digest_size=16).hexdigest()

    def closes(self, payload: dict[str, Any], now: int) -> int:
        """When the window is over into which a payload falls that is pushed at this moment, in milliseconds.

        Windows of different keys end at different moments, so that not all are due at once.
        """
        phase = zlib.crc32(self.key_of(payload).encode()) % self.window
        return now - (now - phase) % self.window + self.window


def read_gathering(type_string: str, job_class: type[GatheredJob]) -> tuple[Gathering, Shape]:
    """Read how a job type gathers, and the shape of one payload; raises `ConfigError`."""
    shape = Shape(type_string, job_class.handle, method=True)
    if len(shape.names) != 1 or shape.open:
        raise ConfigError(f"{type_string}: handle of a gathered job takes one argument, the list of payloads.")
    window = check_seconds("window", job_class.window, 0.001)
    size = check_whole(1, 1000)("size", job_class.size)
    item = item_of(annotations_of(job_class.handle).get(shape.names[0]))
    gathering = Gathering(shape.names[0], round(window * 1000), size, job_class().key, item or dict)
    return gathering, Shape(type_string, item or any_payload, method=False)


def item_of(hint: Any) -> type | None:
    """The dataclass of which the list is made; None where it is made of dicts."""
    of = typing.get_args(hint)
    return of[0] if of and isinstance(of[0], type) and dataclasses.is_dataclass(of[0]) else None


def any_payload(**_payload: Any) -> None:
    """The shape of a payload that is a plain dict."""
