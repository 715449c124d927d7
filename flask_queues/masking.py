"""Secrets are hidden before anything that a person reads is made of a payload or a result."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

MASK = "••••••••"
#: A field whose name contains one of these is taken for a secret.
WORDS = (
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "authorization",
    "cookie",
    "card",
)


def masked(value: Any, sensitive: Collection[str] = ()) -> Any:
    """Return a copy in which the values of secret fields are replaced, however deep they are."""
    if isinstance(value, dict):
        return {name: MASK if is_secret(name, sensitive) else masked(inner, sensitive) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, sensitive) for inner in value]
    return value


def is_secret(name: str, sensitive: Collection[str] = ()) -> bool:
    """Whether a field of this name is hidden: a name the job type gave, or one that sounds like a secret."""
    return name in sensitive or any(word in name.lower().replace("-", "_") for word in WORDS)
