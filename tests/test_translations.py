"""The catalogues: complete, and where the package finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from flask_queues.record import Status

FOLDER = Path(__file__).parent.parent / "translations"


def german() -> Catalog:
    """The catalogue as it is written."""
    with (FOLDER / "de" / "LC_MESSAGES" / "flask_queues.po").open("rb") as file:
        return read_po(file)


def texts(catalogue: Catalog) -> Iterator[str]:
    """Every German text, with each of its forms."""
    for message in catalogue:
        if message.id:
            yield from [message.string] if isinstance(message.string, str) else message.string or ()


def glossary() -> Iterator[tuple[str, str, list[str]]]:
    """The lines of the table without explanations: the English word, the German one, and what it is not called."""
    for line in (FOLDER / "README.md").read_text("utf-8").splitlines():
        cells = [re.sub(r" \(.*?\)", "", cell).strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and set(cells[0]) != {"-"} and cells[0] != "English":
            yield cells[0], cells[1], [word for word in cells[2].split(", ") if word]


def test_every_status_has_a_german_word() -> None:
    """No message is missing or fuzzy."""
    catalogue = german()

    assert {status.value for status in Status} <= {message.id for message in catalogue}
    assert [message.id for message in catalogue if message.id and (not message.string or message.fuzzy)] == []


def test_one_thing_has_one_german_word() -> None:
    """As the glossary says: in messages that are nothing but the word, and nowhere is another word for it."""
    catalogue, words = german(), list(glossary())
    written = {str(message.id).lower(): str(message.string).lower() for message in catalogue}

    assert len(words) > 50
    for english, wanted, others in words:
        if english in written:
            assert written[english] == wanted.lower(), english
        for other in others:
            found = [text for text in texts(catalogue) if re.search(rf"\b{other}(s|en|e)?\b", text)]
            assert found == [], (other, wanted)


def test_german_addresses_nobody_and_is_typeset() -> None:
    """No „Sie“ for the reader, no „bitte“, no exclamation; no straight quotes; no-break spaces where they belong."""
    for text in texts(german()):
        assert not re.search(r"\b(bitte|Ihr|Ihre[nmrs]?|Ihnen|du|dein)\b|!|\"|\.\.\.| - | …", text), text
        assert not re.search(r"\bSie\b", re.sub(r"(^|[.:] )Sie (werden|warten)\b", "", text)), text
