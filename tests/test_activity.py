"""The diary of what people did: complete, in order, bounded, and never in the way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flask_queues.activity import LINES, SHEETS, acts, note
from flask_queues.storage import Storage
from tests.storage.engines import SQLiteEngine


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """A storage for sheets."""
    storage = SQLiteEngine(tmp_path).open()
    yield storage
    storage.close()


def test_what_somebody_did_is_told_the_last_first(storage: Storage) -> None:
    """With who, what, on what, how many and why."""
    note(storage, "anna", "retry", "cause", "0123", 64)
    note(storage, "otto", "pause", "queue", "mail", reason="provider is down")
    last, first = acts(storage)
    assert last[1:] == ("otto", "pause", "queue", "mail", 0, "provider is down")
    assert first[1:] == ("anna", "retry", "cause", "0123", 64, "")
    assert first.when <= last.when


def test_people_who_act_at_once_are_all_noted(storage: Storage) -> None:
    """Neither overwrites the other."""
    with ThreadPoolExecutor(4) as people:
        list(people.map(lambda n: note(storage, f"p{n % 4}", "retry", "job", str(n)), range(40)))
    assert sorted(int(act.name) for act in acts(storage)) == list(range(40))


def test_only_the_last_lines_are_kept(storage: Storage) -> None:
    """So that it never fills the storage."""
    for n in range(LINES * (SHEETS + 1) + 5):
        note(storage, "anna", "retry", "job", str(n))
    kept = [int(act.name) for act in acts(storage)]
    assert kept == list(range(kept[0], kept[-1] - 1, -1))
    assert kept[0] == LINES * (SHEETS + 1) + 4
    assert LINES * (SHEETS - 1) < len(kept) <= LINES * SHEETS


def test_what_cannot_be_noted_is_said_and_fails_nothing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was done is done."""
    monkeypatch.setattr(storage, "write_sheets", lambda *_: False)
    with caplog.at_level(logging.WARNING, "flask_queues"):
        note(storage, "anna", "delete", "job", "x")
    assert "Not noted in the activity: delete by anna on job x" in caplog.text
