"""A backend as the log uses it: a place for texts by key, whose every failure is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ...errors import ConfigError, StorageUnavailable
from ..values import Finding, Severity

#: Stored and read again where it is to be known whether the backend works at all.
PROOF = "queues-proof"


class Port:
    """Any flask-caching backend, of which nothing is known but its `get`, `set`, `add` and `delete`.

    All is stored with a timeout of 0, which is for ever whatever the default timeout.
    """

    #: Whether other processes see the same.
    shared = True
    #: Whether entries may vanish while their neighbours stay.
    forgets = True
    #: Whether whoever is within `gate` is alone in writing.
    exclusive = False
    #: Characters that one value may have: at four bytes each, less than the megabyte that memcached takes.
    limit: int | None = 200_000
    #: Values that are read at a time, at most.
    slice = 64
    #: How often (s) to look for news.
    interval = 0.02
    #: What its promise, for an operator, may cost; and the promise.
    severity = Severity.NOTE
    promise = "What this backend loses, and when, is known to its own documentation alone."

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def describe(self) -> str:
        """What and where it is, in a few words."""
        return type(self._backend).__name__

    def gate(self) -> AbstractContextManager[object]:
        """Wait for one's turn to write, where there is such a thing."""
        return nullcontext()

    def get(self, key: str) -> str | None:
        """The text, None where there is none."""
        value = self._call(self._backend.get, key)
        return value if isinstance(value, str) else None

    def peek(self, key: str) -> str | None:
        """The text, of which whoever asks knows that it hardly ever changes."""
        return self.get(key)

    def get_many(self, keys: Sequence[str]) -> list[str | None]:
        """The texts of several keys, in their order."""
        values = self._call(self._backend.get_many, *keys) if keys else []
        return [value if isinstance(value, str) else None for value in values]

    def add(self, key: str, text: str) -> str | None:
        """Store a text where none is; returns the other one where one is. Raises where nobody knows."""
        if self._call(self._backend.add, key, text, timeout=0):
            return None
        found = self.get(key)
        if found is None:
            raise self._failed("it stored nothing")
        return found if found != text else None

    def put(self, key: str, text: str) -> None:
        """Store a text over any other."""
        if self._call(self._backend.set, key, text, timeout=0) is False:
            raise self._failed("it stored nothing")

    def delete(self, key: str) -> None:
        """Delete a text; it may be gone."""
        self._call(self._backend.delete, key)

    def prove(self) -> None:
        """Raise unless the backend stores and returns: what it says is missing may only be out of reach."""
        token = secrets.token_hex(4)
        self.put(PROOF, token)
        if self.get(PROOF) is None:
            raise ConfigError(
                f"QUEUES_CACHE_TYPE: jobs cannot be kept in the {self.describe()}: what is stored there is gone at "
                "once. Use flask_queues.SQLiteCache, the default."
            )

    def disconnect(self) -> None:
        """Let go of connections; they are made again with the next call."""

    def findings(self) -> list[Finding]:
        """What an operator should know."""
        name = type(self._backend).__name__
        return [
            Finding(
                Severity.DOUBLES,
                "cache-add-unproved",
                f"Nobody has shown that of two processes which call {name}.add at the same moment only one succeeds. "
                "Where both do, jobs run twice or are lost.",
                "Use flask_queues.SQLiteCache, the default, or Redis, unless its documentation says so.",
            )
        ]

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except Exception as error:
            raise self._failed(str(error).rstrip(".") or type(error).__name__) from error

    def _failed(self, why: str) -> StorageUnavailable:
        return StorageUnavailable(f"The {self.describe()} cannot be used now: {why}.")
