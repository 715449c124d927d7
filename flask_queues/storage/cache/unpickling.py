"""Values of a backend that pickles, read without running what somebody else has put there: ours are texts."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any, NoReturn

from cachelib.serializers import BaseSerializer

#: How a pickle begins, and what backends like Redis's write before it.
PICKLE, MARK = b"\x80", b"!"


class ClassRefused(pickle.UnpicklingError):
    """Raised where a pickle names a class or a function."""


class PlainUnpickler(pickle.Unpickler):
    """Reads texts, numbers, lists and dicts; whatever names a class or a function is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse it: a pickle runs code by nothing else."""
        raise ClassRefused(f"{module}.{name} stands in a value that should be a text; it was not read")


class PlainSerializer(BaseSerializer):
    """Writes what cachelib's own write; what is refused is raised, not taken for nothing there."""

    def load(self, f: Any) -> Any:
        """Read a value from a file; one that a power cut has torn is not there, as with cachelib's own."""
        try:
            return PlainUnpickler(f).load()
        except ClassRefused:
            raise
        except Exception:
            return None

    def loads(self, bvalue: bytes) -> Any:
        """Read a value."""
        return PlainUnpickler(io.BytesIO(bvalue)).load()


class MarkedSerializer:
    """The same where a mark stands before each pickle, as in backends that are made like Redis's."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self.dumps = given.dumps

    def loads(self, value: bytes | None) -> Any:
        """Read a value."""
        if value is None or not value.startswith(MARK):
            return self._given.loads(value)
        return PlainUnpickler(io.BytesIO(value[len(MARK) :])).load()


def without_code(backend: Any) -> Any:
    """A copy of a backend that reads no classes, where it pickles; else the backend itself.

    The application's own cache, which may hold whatever it likes, stays as it is.
    """
    given = getattr(backend, "serializer", None)
    dumps = getattr(given, "dumps", None)
    written = dumps("") if dumps is not None else b""
    if not isinstance(written, bytes) or not written.removeprefix(MARK).startswith(PICKLE):
        return backend
    copied = copy.copy(backend)
    copied.serializer = MarkedSerializer(given) if written.startswith(MARK) else PlainSerializer()
    return copied
