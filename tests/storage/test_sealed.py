"""Encryption: the whole contract holds behind it, and nothing of a job's matter can be read without a key."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import ConfigError, Progress, Queues, Status
from flask_queues.record import Outcome
from flask_queues.storage import Storage
from flask_queues.storage.base import Schedule
from flask_queues.storage.sealed import CLOSED, Sealed, sealed
from flask_queues.testing.storage import StorageContract
from flask_queues.testing.storage.contract import complete, error_text, fill, line, settle, take_one, the

from .engines import SQLiteEngine

#: The same in each process of a test.
KEY = base64.urlsafe_b64encode(b"0123456789abcdef" * 2).decode()
OTHER = base64.urlsafe_b64encode(b"fedcba9876543210" * 2).decode()
#: What carries no text that is anybody's matter, or is the storage's own. A method that is new belongs here, or gets
#: its encryption in `Sealed`.
CARRY_NOTHING = {
    "describe", "close", "now", "examine", "forget_worker", "release_held", "maintain", "watcher", "pending",
    "next_due", "cancel", "retry", "delete", "purge", "delete_schedule", "schedules_changed", "occurrences",
    "identity", "hand_out", "take_in", "let_go", "on_the_way", "counts", "queues", "workers", "stop", "go_on", "stops",
    "oldest", "tallies", "forget_tallies", "drop_outdated",
}  # fmt: skip


class SealedEngine(SQLiteEngine):
    """A file with a key."""

    name = "sealed"

    def open(self) -> Storage:
        """Open it with the key."""
        return sealed(super().open(), [KEY])


class TestSealed(StorageContract):
    """Encryption changes nothing but who can read."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> SealedEngine:
        return SealedEngine(tmp_path)


def test_every_method_is_decided_on() -> None:
    """Whoever adds one to the contract says whether it carries something secret."""
    assert vars(Sealed).keys() & CARRY_NOTHING == set()
    assert Storage.__abstractmethods__ <= vars(Sealed).keys() | CARRY_NOTHING


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Storage]:
    """The file as it is."""
    storage = SQLiteEngine(tmp_path).open()
    yield storage
    storage.close()


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("queues.sqlite3*"))


class TestSecrecy:
    def test_nothing_of_a_jobs_matter_is_in_the_storage(self, plain: Storage, tmp_path: Path) -> None:
        """Payload, result, error, log, progress, what is kept, follow-ups and schedules."""
        storage = sealed(plain, [KEY])
        fill(storage, "a", "b", payload='{"iban":"hunter2"}')
        storage.put_schedule(Schedule("daily", "q", '{"payload":{"iban":"hunter2"}}'))
        claim = take_one(storage)
        lines = [line("hunter2", context={"hunter2": "hunter2"})]
        storage.note(claim.id, claim.token, Progress(5, "hunter2 begins"), lines)
        storage.keep(claim.id, claim.token, '{"cursor":"hunter2"}')
        complete(storage, claim, result='"hunter2"', logs=[line("hunter2 too")])
        settle(storage, take_one(storage), Status.FAILED, Outcome.FAILED, error=error_text("hunter2", trace="hunter2"))
        plain.close()
        assert b"hunter2" not in stored_bytes(tmp_path)

        assert the(storage, "a").payload == {"iban": "hunter2"}
        assert the(storage, "a").result == "hunter2"
        assert the(storage, "a").progress == Progress(5, "hunter2 begins")
        assert [(one.message, one.context) for one in storage.logs("a")] == [
            ("hunter2", {"hunter2": "hunter2"}), ("hunter2 too", {}),
        ]  # fmt: skip
        failed = the(storage, "b").error
        assert failed is not None
        assert (failed.message, failed.traceback) == ("hunter2", "hunter2")
        assert storage.kept("a") == '{"cursor":"hunter2"}'
        assert storage.schedules()[0].about == '{"payload":{"iban":"hunter2"}}'


class TestKeys:
    def test_what_was_stored_before_there_was_a_key_can_be_read(self, plain: Storage) -> None:
        """Encryption can be switched on at any time."""
        fill(plain, "a", payload='{"n":1}')
        storage = sealed(plain, [KEY])
        assert the(storage, "a").payload == {"n": 1}
        assert json.loads(take_one(storage).payload) == {"n": 1}

    def test_keys_can_be_changed(self, plain: Storage) -> None:
        """The first encrypts, each decrypts."""
        fill(sealed(plain, [KEY]), "a", payload='{"n":1}')
        both = sealed(plain, [OTHER, KEY])
        fill(both, "b", payload='{"n":2}')
        assert [the(both, one).payload for one in "ab"] == [{"n": 1}, {"n": 2}]
        assert the(sealed(plain, [OTHER]), "b").payload == {"n": 2}

    def test_what_no_key_opens_stays_closed(self, plain: Storage) -> None:
        """Records can be listed all the same; texts say why they cannot be read."""
        storage = sealed(plain, [KEY])
        fill(storage, "a", payload='{"n":1}')
        claim = take_one(storage)
        storage.note("a", claim.token, Progress(5, "half"), [line("secret")])
        storage.keep("a", claim.token, "x")
        settle(storage, claim, Status.FAILED, Outcome.FAILED, error=error_text("secret"))
        stranger = sealed(plain, [OTHER])
        record = the(stranger, "a")
        assert record.payload.keys() == {"flask_queues:encrypted"}
        assert record.progress == Progress(5, CLOSED)
        assert record.error is not None
        assert record.error.message == CLOSED
        assert [one.message for one in stranger.logs("a")] == [CLOSED]
        assert stranger.kept("a") is None

    def test_a_worker_without_the_key_fails_the_job_with_the_reason(self, make_site: Any) -> None:
        """It is not lost: with the key back it can be retried."""
        site = make_site(QUEUES_ENCRYPTION_KEYS=[KEY])
        job = site.push("add", {"a": 3}, tries=1)
        site.configure(QUEUES_ENCRYPTION_KEYS=[OTHER])
        assert site.start("--stop-when-empty").wait() == 0
        record = site.job(job)
        assert record.status is Status.FAILED
        assert record.error.type == "flask_queues.errors.PayloadError"
        site.configure(QUEUES_ENCRYPTION_KEYS=[OTHER, KEY])
        site.manager.retry(job)
        assert site.start("--stop-when-empty").wait() == 0
        assert site.status(job) is Status.COMPLETED


class TestConfiguration:
    @pytest.mark.parametrize("keys", ["short", [KEY, "x" * 44], [b"\xff" * 44]])
    def test_a_key_that_is_none_is_refused_without_being_shown(self, keys: Any) -> None:
        """The message says how to make one."""
        app = Flask("site")
        app.config["QUEUES_ENCRYPTION_KEYS"] = keys
        with pytest.raises(
            ConfigError, match=r"QUEUES_ENCRYPTION_KEYS: key \d is none of Fernet.*generate_key"
        ) as error:
            Queues(app)
        assert "xxxx" not in str(error.value)

    @pytest.mark.parametrize("keys", [f"{KEY}, {OTHER}", [KEY.encode(), OTHER]])
    def test_keys_come_as_text_or_list(self, keys: Any, tmp_path: Path) -> None:
        """As the environment has them, or a configuration file; none of them is in a representation."""
        app = Flask("site", instance_path=str(tmp_path))
        app.config["QUEUES_ENCRYPTION_KEYS"] = keys
        queues = Queues(app)
        assert queues.manager.config.encryption_keys == (KEY, OTHER)
        assert KEY not in repr(queues.manager.config)
        assert queues.manager.engine == "SQLite"

    def test_no_key_is_no_encryption(self, tmp_path: Path) -> None:
        """As the default is."""
        app = Flask("site", instance_path=str(tmp_path))
        app.config["QUEUES_ENCRYPTION_KEYS"] = None
        assert not isinstance(Queues(app).manager.storage, Sealed)
