"""How a job type or a push says that one job of its kind is enough: as the storage takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from ..errors import OptionError
from ..options import Options
from ..registry import JobType
from ..storage.unique import END, START, TIME, Unique

#: Characters of a key.
MOST = 250


def unique_of(job_type: JobType, options: Options, payload: dict[str, Any], text: str) -> Unique | None:
    """What makes a job unique, None where nothing does; raises `OptionError` for a key that cannot be."""
    said = job_type.unique_key if options.unique is None else options.unique
    if said is None and options.debounce is None and options.throttle is None:
        return None
    if said is False:
        return None
    key = f"{job_type.type}:{key_of(job_type, said, payload, text)}"
    if options.debounce is not None:
        return Unique(key, START, 0, True)
    if options.throttle is not None:
        return Unique(key, TIME, max(1, round(options.throttle * 1000)))
    return Unique(key, options.unique_until or END, 0, bool(options.replace))


def key_of(job_type: JobType, said: bool | str | Callable[..., Any] | None, payload: dict[str, Any], text: str) -> str:
    """The key: as given, as the job type's method says, or else the payload itself."""
    if said is None or said is True:
        return blake2b(json.dumps(json.loads(text), sort_keys=True).encode(), digest_size=16).hexdigest()
    key = said(payload) if callable(said) else said
    if not isinstance(key, str) or not 0 < len(key) <= MOST:
        raise OptionError(f"{job_type.type}: unique gave {str(key)[:80]!r}; a key is a text of 1 to {MOST} characters.")
    return key
