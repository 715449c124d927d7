"""Sheets that are encrypted with a key which a process lacks: it leaves them as they are, and says so once."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from flask_queues import Breaker, KeyMissing, Queues, TransitionError, doctor
from flask_queues.errors import OptionError
from flask_queues.managing import asides
from flask_queues.managing.asides import MOST, Asides
from flask_queues.orders import SHEET as ORDERS
from flask_queues.orders import forget
from flask_queues.record import WorkerRecord
from flask_queues.storage.sealed import names_of
from flask_queues.storage.sheets import ASIDE, aside_of
from tests.storage.engines import SQLiteEngine
from tests.storage.test_sealed import KEY, OTHER


def process_with(folder: Path, *keys: str) -> Queues:
    """An application whose process has these keys, over the same storage."""
    app = Flask("shop", instance_path=str(folder))
    app.config["QUEUES_ENCRYPTION_KEYS"] = list(keys) or None
    queues = Queues(app)
    queues.job("shop:fetch", breaker=Breaker(failures=2))(lambda: None)
    return queues


@pytest.fixture(params=[(), (OTHER,)], ids=["none", "another"])
def stranger(tmp_path: Path, request: pytest.FixtureRequest) -> Queues:
    """A process that lacks the key with which everything was written."""
    queues = process_with(tmp_path, KEY)
    queues.manager.note_act("anna", "pause", "queue", "mail")
    queues.manager.be_quiet(["here:1:1"])
    return process_with(tmp_path, *request.param)


def test_what_others_can_read_is_not_written_over(
    stranger: Queues, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what workers are asked, nor a line of the activity, which the log has instead."""
    raw = process_with(tmp_path).manager.storage
    before = raw.sheets(raw.sheet_names())
    for n in range(300):  # more than a sheet has lines
        stranger.manager.note_act("otto", "retry", "job", f"j{n}")
    assert "retry by otto on job j299" in caplog.text
    with pytest.raises(KeyMissing, match="orders in the storage is encrypted with a key"):
        stranger.manager.be_quiet(["there:1:1"])
    forget(stranger.manager.storage, "here:1:1")
    assert raw.sheets(raw.sheet_names()) == before
    owner = process_with(tmp_path, KEY).manager
    assert [act.who for act in owner.acts()] == ["anna"]
    assert owner.orders().quiet == {"here:1:1"}


def test_it_is_said_once_and_by_pages_and_the_doctor(stranger: Queues, caplog: pytest.LogCaptureFixture) -> None:
    """With the names of what is left out."""
    caplog.set_level(logging.WARNING)
    caplog.clear()
    unread: list[str] = []
    list(stranger.manager.acts(unread))
    assert unread == ["activity:0"]
    (finding,) = [one for one in doctor.examine(stranger.manager) if one.code == "storage-closed"]
    assert all(name in finding.problem for name in ("activity:0", ORDERS))
    for _ in range(3):
        stranger.manager.orders()
    assert sum("The sheet orders in" in one.getMessage() for one in caplog.records) <= 1


def test_one_whose_key_is_gone_for_good_is_begun_anew(stranger: Queues, tmp_path: Path) -> None:
    """Where somebody says so, and no worker runs that may read it."""
    manager = stranger.manager
    now = manager.now()
    worker = WorkerRecord(
        name="there:1:1", host="there", pid=1, started=now, heartbeat=now, queues=(), keys=names_of([KEY])
    )
    manager.heartbeat(worker)
    with pytest.raises(TransitionError, match=r"there:1:1 has a key .* may read the sheet orders"):
        manager.forget_aside(ORDERS)
    manager.storage.forget_worker(worker.name)
    assert manager.forget_aside(ORDERS)
    manager.be_quiet(["there:1:1"])
    assert manager.orders().quiet == {"there:1:1"}
    with pytest.raises(OptionError, match="is in use"):
        manager.forget_aside(ORDERS)


@pytest.mark.parametrize("keys", [(), (OTHER,)])
def test_a_breaker_counts_for_all_whatever_their_keys(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """So the keeper of one does not end the pause that another has made."""
    owner, stranger = process_with(tmp_path, KEY), process_with(tmp_path, *keys)
    storage, now = owner.manager.storage, owner.manager.storage.now()
    storage.write_sheets(
        ("breaker:shop:fetch", None), {"breaker:shop:fetch": f'{{"":[[{now}],{now},{now + 60_000},null,"E"]}}'}
    )
    storage.stop("default", "shop:fetch", lasts=60_000, reason="Circuit breaker: E.")
    stranger.manager.breakers.mend()
    assert [one.state for one in stranger.manager.breakers.states()] == ["open"]
    assert len(storage.stops()) == 1


def test_the_last_texts_that_were_kept_aside_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those found first go first, and the log says how many."""
    engine = SQLiteEngine(tmp_path)
    with engine.clock() as clock, closing(engine.open()) as storage:
        tended = Asides(lambda: storage)
        names = [aside_of("causes", f"text {n}") for n in range(MOST + 3)]
        for name in names:
            storage.write_sheets((name, None), {name: "{"})
            clock.advance(1000)
            tended.tend()
        assert {name for name in storage.sheet_names() if name.startswith(ASIDE)} == set(names[3:])
        assert "the oldest 1 were deleted" in caplog.text
        assert tended.tend() == []
        for name in names:
            storage.write_sheets((name, storage.sheets([name]).get(name)), {name: None})
        tended.tend()
        assert storage.sheet_names() == []


def test_a_keeper_looks_for_texts_that_were_kept_aside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """After its first minute, and then rarely."""
    monkeypatch.setattr(asides, "SOON", 0.0)
    queues = process_with(tmp_path)
    storage = queues.manager.storage
    names = {f"{ASIDE}causes:{n}" for n in range(MOST + 1)}
    storage.write_sheets((f"{ASIDE}causes:0", None), dict.fromkeys(names, "{"))
    queues.manager.tend_asides()
    assert len(names.intersection(storage.sheet_names())) == MOST
    storage.write_sheets((f"{ASIDE}more:1", None), {f"{ASIDE}more:{n}": "{" for n in range(9)})
    queues.manager.tend_asides()
    assert len(storage.sheet_names()) == MOST + 9 + 1
