"""Sheets that cannot be read: lists of batches, figures, the diary of what people did. Each stands alone."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from flask_queues import Breaker, Status, doctor, transitions
from flask_queues.alerts.lookout import look
from flask_queues.alerts.readings import Instruments
from flask_queues.batches.book import shard_of
from flask_queues.errors import StorageFormatError
from flask_queues.managing.sheets import FORMS, MANY
from flask_queues.metrics import gather
from flask_queues.metrics.ledger import INDEX
from flask_queues.orders import SHEET as ORDERS
from flask_queues.storage.sheets import ASIDE, printable
from tests.support.servers.kinds import Servers

from .conftest import INSIGHT, LISTS, Shop

#: What a foreign hand, or a lost page, may leave of a text.
DAMAGES: dict[str, Callable[[str], bytes]] = {
    "cut off": lambda text: text.encode()[: len(text) // 2] if len(text) > 1 else b"",
    "lists": lambda _: b"[[1],[2],[3]]",
    "an object": lambda _: b'{"a":1}',
    "no text": lambda text: b"\xff\xfe" + text.encode(),
    "texts for numbers": lambda text: re.sub(r"\d+", '"x"', text).encode(),
    "letters that are none": lambda text: text.replace("a", "\0").encode().replace(b"\0", b"\xff"),
}
COMMANDS = (["status", "--json"], ["status"], ["causes"], ["batches"], ["damaged"], ["damaged", "--json"], ["health"])
APIS = ("/api/activity", "/api/failed", "/api/metrics", "/api/batches", "/api/status", "/prometheus", "/health")


#: What does not hang on the engine is tried on one.
on_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


class Place:
    """Where an application's jobs are, so that a foreign hand can write there."""

    def __init__(self, kind: str, folder: Path, servers: Callable[[], Servers]) -> None:
        self.kind = kind
        self.folder = folder
        self.settings: dict[str, Any] = {}
        if kind == "redis":
            self.server: Any = servers().empty("redis")
            self.settings = self.server.settings
        elif kind == "encrypted":
            self.settings = {"QUEUES_ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
        elif kind == "files":
            self.settings = {"QUEUES_CACHE_TYPE": "FileSystemCache", "QUEUES_CACHE_DIR": str(folder / "cache")}

    def write(self, shop: Shop, name: str, data: bytes) -> None:
        """Write over a sheet."""
        if self.kind == "sqlite":
            with closing(sqlite3.connect(next(self.folder.glob("**/*.sqlite3")))) as file, file:
                assert file.execute("UPDATE sheets SET text=? WHERE name=?", (data, name)).rowcount == 1
        elif self.kind == "redis":
            with self.server.client() as client:
                (key,) = client.keys("*}:figures")
                assert client.hset(key, name, data) == 0
        else:
            storage = shop.manager.storage
            text = data.decode("utf-8", "backslashreplace")
            assert storage.write_sheets((name, storage.sheets([name])[name]), {name: text})


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.servers), "files"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place of each kind."""
    return Place(request.param, tmp_path, lambda: request.getfixturevalue("servers"))


@pytest.fixture
def shop(place: Place, tmp_path: Path) -> Iterator[Shop]:
    """A shop in which every kind of sheet has been written."""
    shop = Shop(tmp_path, QUEUES_ALERTS={"*": {"pending": 1}}, QUEUES_PUSH_LIMIT="1000/m", **place.settings)

    @shop.queues.job("shop:call", breaker=Breaker(failures=1, pause=60))
    def call() -> None: ...

    with shop.flask.app_context():
        shop.work()
        shop.one_of_each()
        shop.batch()
        shop.schedule()
        call.push()
        settle_failed(shop)
        shop.queues.chain([("shop:resize", {"file_id": n}) for n in range(30)]).push()
        shop.manager.note_act("anna", "retry", "job", "x")
        shop.manager.be_quiet(["gone:1:1"])
        keep(shop)
        yield shop


def settle_failed(shop: Shop) -> None:
    """Let the job with the breaker fail."""
    claim = shop.claim()
    while claim.type != "shop:call":
        shop.settle(transitions.completed(claim, None))
        claim = shop.claim()
    error = transitions.describe_exception(ValueError("no"))
    settlement = transitions.failed(claim, shop.manager.terms(claim)._replace(tries=1), error)
    shop.manager.breakers.learn(claim, settlement)
    shop.settle(settlement)


def keep(shop: Shop) -> None:
    """What keepers do about sheets, once."""
    manager = shop.manager
    manager.batches.tending.next_look = manager.batches.tending._next_tidy = 0.0
    manager.tend_batches()
    for _ in range(100):
        if not gather(manager.storage, manager.cause_of):
            break
    config = manager.config
    look(manager.storage, Instruments(manager.storage, config.alerts, {config.default}, config.lease), manager._herald)
    manager.janitor._take_turn()
    manager.breakers.mend()
    manager.orders()
    manager.chain_pages.tend()


def damage_all(shop: Shop, place: Place, damage: Callable[[str], bytes]) -> dict[str, str]:
    """Write over every sheet of which the code knows how to read it; returns what they say now."""
    storage = shop.manager.storage
    forms = [re.compile(form) for form in {**FORMS, **MANY}]
    names = [name for name in storage.sheet_names() if any(form.fullmatch(name) for form in forms)]
    before = storage.sheets(names)
    for name, text in before.items():
        place.write(shop, name, damage(text))
    return {name: text for name, text in storage.sheets(names).items() if text != before[name]}


@pytest.mark.parametrize("what", DAMAGES)
def test_nothing_else_fails_and_no_damaged_text_is_lost(shop: Shop, place: Place, what: str) -> None:
    """Pages and answers, commands, keepers, and whoever pushes."""
    written = damage_all(shop, place, DAMAGES[what])
    client, terminal = shop.client(), shop.flask.test_cli_runner()
    for _ in range(2):
        for url in (*LISTS, *INSIGHT, *APIS):
            assert client.get(f"/queues{url}").status_code == 200, url
        for args in COMMANDS:
            said = terminal.invoke(args=["queues", *args])
            assert said.exception is None or isinstance(said.exception, SystemExit), args
        shop.manager.note_act("anna", "retry", "job", "y")
        shop.manager.be_quiet(["gone:1:2"])
        shop.pending()
        assert shop.queues.batch([("shop:resize", {})]).push().record.status is Status.PENDING
        keep(shop)
    now = shop.manager.storage.sheets(shop.manager.storage.sheet_names())
    asides = {text for name, text in now.items() if name.startswith(ASIDE)}
    damaged = {one.name for one in shop.manager.damaged_sheets(every=True) if one.why}
    for name, text in written.items():
        assert now.get(name) == text or printable(text) in asides, name
        assert name not in damaged or now[name] == text
    assert shop.manager.acts_on("job", "y")
    assert "gone:1:2" in shop.manager.orders().quiet


def damage(shop: Shop, place: Place, name: str) -> None:
    """Cut a sheet off."""
    place.write(shop, name, DAMAGES["cut off"](shop.manager.storage.sheets([name])[name]))


@pytest.mark.parametrize("place", ["encrypted"], indirect=True)
def test_an_encrypted_sheet_that_is_cut_off_is_damaged_and_kept_aside(shop: Shop, place: Place) -> None:
    """It is not one whose key another process may have."""
    with closing(sqlite3.connect(next(place.folder.glob("**/*.sqlite3")))) as file, file:
        file.execute("UPDATE sheets SET text=substr(text, 1, length(text) - 3) WHERE name=?", (ORDERS,))
        (cut,) = file.execute("SELECT text FROM sheets WHERE name=?", (ORDERS,)).fetchone()
    assert shop.manager.orders().quiet == set()
    shop.manager.be_quiet(["here:1:1"])
    assert [(one.why, one.text) for one in shop.manager.damaged_sheets()] == [("", cut)]
    assert shop.manager.orders().quiet == {"here:1:1"}


@on_a_file
def test_a_list_of_batches_is_made_anew_of_their_sheets(shop: Shop, place: Place) -> None:
    """None is forgotten: neither by who pushes another one, nor by keepers; each comes to its end."""
    batches = [shop.queues.batch([("shop:resize", {})]).finally_("shop:resize").push() for _ in range(40)]
    known = {record.id for record in shop.queues.batches.all(100)[0]}
    for name in {shard_of(batch_id) for batch_id in known}:
        damage(shop, place, name)
    assert {record.id for record in shop.queues.batches.all(100)[0]} == known
    known.add(shop.queues.batch([("shop:resize", {})]).push().id)
    keep(shop)
    assert not [one for one in shop.manager.damaged_sheets() if one.why]
    assert {record.id for record in shop.queues.batches.all(100)[0]} == known
    for batch in batches:
        batch.cancel()
    keep(shop)
    assert {batch.record.fired for batch in batches} == {("finally",)}


@on_a_file
def test_one_unreadable_batch_of_a_list_that_is_made_anew_is_still_told(shop: Shop, place: Place) -> None:
    """It counts as one that is not over, as before."""
    batch = shop.queues.batch([("shop:resize", {})]).push()
    damage(shop, place, f"batch:{batch.id}")
    damage(shop, place, shard_of(batch.id))
    assert batch.id in shop.queues.batches.closed()
    keep(shop)
    assert batch.id in shop.queues.batches.closed()
    assert batch.id in shop.client().get("/queues/batches").text
    assert shop.client().get("/queues/api/batches").get_json()["unread"] == [batch.id]


@on_a_file
def test_figures_whose_index_is_damaged_are_found_by_their_names(shop: Shop, place: Place) -> None:
    """Readers at once; the keeper writes it anew, and counts nothing twice."""
    before = shop.manager.report().whole.some()
    damage(shop, place, INDEX)
    assert shop.manager.report().whole.some().completed == before.completed > 0
    keep(shop)
    assert not [one for one in shop.manager.damaged_sheets() if one.why]
    assert shop.manager.report().whole.some().completed == before.completed


@on_a_file
def test_a_bucket_that_is_damaged_is_a_gap_and_is_told(shop: Shop, place: Place) -> None:
    """On the page and in JSON; the others are shown."""
    index = shop.manager.ledger.index()
    assert index is not None
    name = f"1:{index.starts[1][0]}"
    damage(shop, place, name)
    shop.manager._ledger = None  # as another process
    assert name in shop.client().get("/queues/metrics?range=1h").text
    said = shop.client().get("/queues/api/metrics?range=1h").get_json()
    assert (said["unread"], said["whole"]["completed"]) == ([name], shop.manager.report().whole.some().completed)
    assert shop.client().get("/queues/api/metrics?range=7d").get_json()["unread"] == []


@on_a_file
def test_causes_that_are_damaged_are_counted_anew(shop: Shop, place: Place) -> None:
    """Of the jobs that are failed; until then the page says why there are none."""
    before = {one.cause.key: one.number for one in shop.manager.causes()}
    damage(shop, place, "causes")
    assert "cannot be read in the storage" in shop.client().get("/queues/failed").text
    assert shop.client().get("/queues/api/failed").get_json()["unread"] == ["causes"]
    shop.failed()
    keep_until(shop, lambda: bool(shop.manager.causes()))
    assert shop.client().get("/queues/api/failed").get_json()["unread"] == []
    assert before.keys() <= {one.cause.key for one in shop.manager.causes()}


def keep_until(shop: Shop, done: Callable[[], bool]) -> None:
    """Do as a keeper does when a minute is over."""
    index = json.loads(shop.manager.storage.sheets([INDEX])[INDEX])
    text = json.dumps({**index, "recounted": 0})
    shop.manager.storage.write_sheets((INDEX, shop.manager.storage.sheets([INDEX])[INDEX]), {INDEX: text})
    keep(shop)
    assert done()


@on_a_file
def test_lines_that_cannot_be_read_stay_and_the_next_ones_are_shown(shop: Shop, place: Place) -> None:
    """A new sheet is begun; the page says which one it leaves out."""
    damage(shop, place, "activity:0")
    shop.manager.note_act("otto", "pause", "queue", "mail")
    assert [act.who for act in shop.manager.acts()] == ["otto"]
    assert "activity:0" in shop.client().get("/queues/activity").text
    assert shop.client().get("/queues/api/activity").get_json()["unread"] == ["activity:0"]
    place.write(shop, "activity", b"??")
    shop.manager.note_act("otto", "resume", "queue", "mail")
    assert [act.action for act in shop.manager.acts()] == ["resume", "pause"]


@on_a_file
def test_what_was_kept_aside_is_told_shown_and_forgotten(shop: Shop, place: Place) -> None:
    """By the doctor and at the terminal; a sheet in use is not deleted so."""
    text = shop.manager.storage.sheets([ORDERS])[ORDERS]
    place.write(shop, ORDERS, text.encode()[:-1])
    (finding,) = [one for one in doctor.examine(shop.manager) if one.code == "storage-damaged"]
    assert (finding.severity.name, ORDERS in finding.problem) == ("DELAYS", True)
    shop.manager.be_quiet(["here:1:1"])
    (finding,) = [one for one in doctor.examine(shop.manager) if one.code == "storage-damaged"]
    assert (finding.severity.name, ORDERS in finding.problem) == ("NOTE", True)
    (kept,) = shop.manager.damaged_sheets()
    run = shop.flask.test_cli_runner().invoke
    assert run(args=["queues", "damaged", kept.name]).output == text[:-1] + "\n"
    assert run(args=["queues", "damaged", ORDERS, "--forget"]).exit_code == 1
    assert run(args=["queues", "damaged", "damaged:no", "--forget"]).exit_code == 3
    assert run(args=["queues", "damaged", kept.name, "--forget"]).output == "Forgotten.\n"
    assert run(args=["queues", "damaged"]).output == "Everything can be read.\n"
    assert shop.manager.orders().quiet == {"here:1:1"}


@on_a_file
def test_what_a_newer_version_wrote_is_not_taken_for_damaged(shop: Shop, place: Place) -> None:
    """It says so, and nothing is written in its place."""
    batch = shop.queues.batch([("shop:resize", {})]).push()
    name = shard_of(batch.id)
    number, opened, ended, _ = json.loads(shop.manager.storage.sheets([name])[name])
    place.write(shop, name, json.dumps([number, opened, ended, 99]).encode())
    with pytest.raises(StorageFormatError):
        batch.cancel()
    with pytest.raises(StorageFormatError):
        shop.queues.batches.all()
