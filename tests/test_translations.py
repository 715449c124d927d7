"""The catalogues: complete, and where the package finds them."""

from __future__ import annotations

from pathlib import Path

from babel.messages.pofile import read_po

from flask_queues.record import Status

FOLDER = Path(__file__).parent.parent / "translations"


def test_every_status_has_a_german_word() -> None:
    """No message is missing or fuzzy."""
    with (FOLDER / "de" / "LC_MESSAGES" / "flask_queues.po").open("rb") as file:
        catalogue = read_po(file)

    assert {status.value for status in Status} <= {message.id for message in catalogue}
    assert [message.id for message in catalogue if message.id and (not message.string or message.fuzzy)] == []
