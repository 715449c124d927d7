"""Secrets are hidden before anything that a person reads is made of a payload or a result."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

from .config import CREDENTIALS

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

#: `password=…`, `"api-key": "…"`, `Authorization: Bearer …` in a line that somebody wrote.
NAMED = re.compile(
    rf"""((?:{"|".join(word.replace("_", "[-_]?") for word in WORDS)})[\w-]{{0,64}}["']?\s{{0,4}}[:=]\s{{0,4}})"""
    r"""("[^"\n]*"|'[^'\n]*'|(?:(?:Bearer|Basic)\s+)?[^\s,;&)}\]]+)""",
    re.IGNORECASE,
)
#: Where none of these stands, nothing is named like a secret, which takes a hundredth of the time to find out.
BEGINNINGS = frozenset(word.partition("_")[0] for word in WORDS)
#: A shorter value would be found in half of all words.
SHORTEST = 4
#: So many are looked for one by one; of more, only those whose beginning stands in a text.
FEW = 100
#: Where still more might stand in a text, it is hidden whole: looking for each would hold up the page.
MOST = 1000


class Secrets(set[str]):
    """Texts to hide, which are looked for in many others; a payload may hold a hundred thousand."""

    @cached_property
    def _by_beginning(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for secret in self:
            found[secret[:SHORTEST]].append(secret)
        return found

    def near(self, text: str) -> list[str] | None:
        """Those that may stand in a text, the longest first; None where they are too many."""
        near: Iterable[str] = self
        if len(self) > FEW:
            known = self._by_beginning
            parts = {text[n : n + SHORTEST] for n in range(len(text) - SHORTEST + 1)}
            alike = [known[part] for part in parts & known.keys()]
            if sum(map(len, alike)) > MOST:
                return None
            near = chain.from_iterable(alike)
        return sorted(near, key=len, reverse=True)


def masked(value: Any, sensitive: Collection[str] = ()) -> Any:
    """Return a copy in which the values of secret fields are replaced, however deep they are."""
    if isinstance(value, dict):
        return {name: MASK if is_secret(name, sensitive) else masked(inner, sensitive) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, sensitive) for inner in value]
    return value


def unmasked(value: Any, stored: Any, sensitive: Collection[str] = ()) -> Any:
    """Put back what `masked` has hidden, where a person has left it as it was.

    Raises `LookupError` where the mask stands for nothing that was stored there.
    """
    if isinstance(value, dict):
        names: dict[str, Any] = stored if isinstance(stored, dict) else {}
        return {
            name: names[name]
            if inner == MASK and is_secret(name, sensitive)
            else unmasked(inner, names.get(name), sensitive)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        known: list[Any] = stored if isinstance(stored, list) else []
        return [unmasked(inner, known[n] if n < len(known) else None, sensitive) for n, inner in enumerate(value)]
    return value


def is_secret(name: str, sensitive: Collection[str] = ()) -> bool:
    """Whether a field of this name is hidden: a name the job type gave, or one that sounds like a secret."""
    return name in sensitive or sounds_secret(name)


@lru_cache(1024)
def sounds_secret(name: str) -> bool:
    """Whether a name has one of our words in it; a list has the same few names in each of its rows."""
    return any(word in name.lower().replace("-", "_") for word in WORDS)


def secrets_in(value: Any, sensitive: Collection[str] = ()) -> Iterator[str]:
    """Tell the texts that `masked` hides, so that they can be hidden where a job has repeated them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts_in(inner) if is_secret(name, sensitive) else secrets_in(inner, sensitive)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_in(inner, sensitive)


def texts_in(value: Any) -> Iterator[str]:
    """Tell every text and number in a value that is as long as a secret."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
    elif value is not None and not isinstance(value, bool) and len(str(value)) >= SHORTEST:
        yield str(value)


def masked_texts(value: Any, secrets: Collection[str]) -> Any:
    """A copy in which every text, however deep, is without the secrets that it repeats."""
    if isinstance(value, dict):
        return {name: masked_texts(inner, secrets) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked_texts(inner, secrets) for inner in value]
    return masked_text(value, secrets) if isinstance(value, str) else value


def masked_text(text: str, secrets: Collection[str] = ()) -> str:
    """Hide secrets in a log line, an error or a source line: those given, and what is named like one."""
    near = (secrets if isinstance(secrets, Secrets) else Secrets(secrets)).near(text)
    if near is None:
        return MASK
    for secret in near:
        text = text.replace(secret, MASK)
    if may_name_a_secret(text):
        text = NAMED.sub(hidden, text)
    return CREDENTIALS.sub(lambda found: f"{hidden(found)}@", text)


def hidden(found: re.Match[str]) -> str:
    """What stands before a secret, and the mask.

    For a template CPython up to 3.11 looks up what reads it, with each text, by a name that it makes anew and keeps
    in a cache of attributes: 32 kB in the life of a process, among what is to be used again.
    """
    return f"{found[1]}{MASK}"


def may_name_a_secret(text: str) -> bool:
    """Whether it is worth to look closely; beyond ASCII there are other ways to write a small letter."""
    if not text.isascii():
        return True
    small = text.lower()
    return any(beginning in small for beginning in BEGINNINGS)
