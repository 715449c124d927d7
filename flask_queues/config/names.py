"""Names that a setting takes as keys of its own: a misspelt one is told which was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ConfigError


def nearest(name: str, known: Iterable[str]) -> str:
    """Name in brackets what was probably meant, to stand behind what is not known; nothing where none is near."""
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def check_name(key: str, name: Any, known: Sequence[str]) -> str:
    """Return a known name, or raise `ConfigError` that says which was meant, or which there are."""
    if name in known:
        return str(name)
    near = difflib.get_close_matches(str(name), known, 1, 0.6)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
    raise ConfigError(f"{key}: {str(name)[:80]!r} is not known. {hint}")
