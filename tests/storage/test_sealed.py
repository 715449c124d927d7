"""Encryption: the whole contract holds behind it, and nothing of a job's matter can be read without a key."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken
from flask import Flask

from flask_queues import ConfigError, Progress, Queues, Status
from flask_queues.record import Outcome
from flask_queues.rekeying import reencrypt
from flask_queues.storage import Storage
from flask_queues.storage.sealed import CLOSED, Sealed, sealed, unsealed
from flask_queues.storage.values import Schedule
from flask_queues.testing.storage import StorageContract
from flask_queues.testing.storage.contract import (
    LONG,
    RewriteContract,
    complete,
    error_text,
    everything,
    fill,
    line,
    new,
    settle,
    take_one,
    the,
)

from .engines import SQLiteEngine

#: The same in each process of a test.
KEY = base64.urlsafe_b64encode(b"0123456789abcdef" * 2).decode()
OTHER = base64.urlsafe_b64encode(b"fedcba9876543210" * 2).decode()
#: What carries no text that is anybody's matter, or is the storage's own. A method that is new belongs here, or gets
#: its encryption in `Sealed`.
CARRY_NOTHING = {
    "describe", "close", "now", "examine", "forget_worker", "release_held", "maintain", "watcher", "pending",
    "next_due", "cancel", "retry", "hurry", "delete", "purge", "delete_schedule", "schedules_changed", "occurrences",
    "identity", "hand_out", "take_in", "let_go", "on_the_way", "counts", "queues", "workers", "stop", "go_on", "stops",
    "oldest", "tallies", "forget_tallies", "drop_outdated", "rewrite", "sheet_names", "places",
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


# These look at what is stored as it is stored, which is the storage's own matter behind the encryption.
for name in [name for name in vars(RewriteContract) if name.startswith("test_")]:
    setattr(TestSealed, name, None)


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


class Spy:
    """Reads what is stored as it is stored, and knows which key has encrypted it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def texts(self) -> str:
        """All of it, in one text."""
        said: list[str] = []

        def look(text: str) -> str:
            said.append(text)
            return text

        for job in everything(self._storage):
            self._storage.rewrite(job.id, look)
        said += [one.about for one in self._storage.schedules()]
        said += self._storage.sheets(self._storage.sheet_names()).values()
        return "\n".join(said)

    def tokens(self, key: str) -> int:
        """How many different tokens there are that this key opens."""
        cipher, found = Fernet(key), 0
        for token in set(re.findall(r"gAAAA[A-Za-z0-9_-]+={0,2}", self.texts())):
            with suppress(InvalidToken):
                cipher.decrypt(token)
                found += 1
        return found


def fill_all(storage: Storage) -> None:
    """Something of everything that is encrypted, in five jobs."""
    rest = json.dumps([["success", None, {"id": "z"}]])
    options = json.dumps({"chain": ["a", 1, 2, None, "z", None, None], "rest": rest})
    storage.push([new("a", payload='{"n":1}', options=options), *(new(name, payload='{"n":2}') for name in "bcd")])
    fill(storage, "e", payload='{"n":5}', delay=3_600_000)
    for job_id in "abc":
        claim = storage.claim("w", job_id, LONG)
        assert claim is not None
        storage.note(job_id, claim.token, Progress(5, "half"), [line("logged", context={"n": 1})])
        storage.keep(job_id, claim.token, '{"cursor":7}')
        if job_id == "a":
            error = error_text("broken", trace="line")
            settle(storage, claim, Status.PENDING, Outcome.FAILED, counted=True, error=error)
        if job_id == "b":
            complete(storage, claim, result='"done"', logs=[line("more")])
    storage.put_schedule(Schedule("daily", "q", '{"payload":{"n":6}}'))
    storage.write_sheets(("s", None), {"s": '{"sheet":1}'})


def all_of(storage: Storage) -> list[Any]:
    """Everything as whoever has the key reads it."""
    jobs = everything(storage)
    lines = [storage.logs(job.id) for job in jobs]
    kept = [storage.kept(job.id) for job in jobs]
    return [jobs, lines, kept, [one.about for one in storage.schedules()], storage.sheets(["s"])]


class TestReencryption:
    """`flask queues reencrypt`, on every engine: the form of a record is another one in each."""

    def test_everything_is_encrypted_with_the_first_key(self, storage: Storage) -> None:
        """No token of the old one is left, and everything reads as before; a second run finds nothing to do."""
        fill_all(sealed(storage, [KEY]))
        both, only = sealed(storage, [OTHER, KEY]), sealed(storage, [OTHER])
        before, counts, old = all_of(both), storage.counts(), Spy(storage).tokens(KEY)
        assert old > 15

        written: Counter[str] = Counter()
        for part in reencrypt(both):
            written[part.kind] += part.written
            assert part.closed == 0

        assert written == {"jobs": 5, "schedules": 1, "sheets": 1}
        assert Spy(storage).tokens(KEY) == 0
        assert Spy(storage).tokens(OTHER) >= old
        assert all_of(only) == before
        assert storage.counts() == counts
        assert sum(part.written for part in reencrypt(both)) == 0
        claim = only.claim("w", "a", LONG)
        assert claim is not None
        assert (claim.payload, json.loads(json.loads(claim.options or "")["rest"])[0][0]) == ('{"n":1}', "success")

    def test_it_goes_on_where_it_was_interrupted(self, storage: Storage) -> None:
        """After any of its steps: what is done is passed over."""
        fill_all(sealed(storage, [KEY]))
        both = sealed(storage, [OTHER, KEY])
        written = 0
        for n in range(1, 5):
            walk = reencrypt(both)
            written += sum(next(walk).written for _ in range(n))
        written += sum(part.written for part in reencrypt(both))
        assert written == 7
        assert Spy(storage).tokens(KEY) == 0


class TestReencryptionAmongOthers:
    def test_what_no_key_opens_is_told_and_stays(self, plain: Storage) -> None:
        """With its key back it can still be read."""
        third = Fernet.generate_key().decode()
        fill(sealed(plain, [third]), "a", payload='{"n":1}')
        fill(sealed(plain, [KEY]), "b", payload='{"n":2}')
        parts = list(reencrypt(sealed(plain, [OTHER, KEY])))
        last = max(part.round for part in parts)
        assert sum(part.written for part in parts) == 1
        assert sum(part.closed for part in parts if part.round == last) == 1
        assert the(sealed(plain, [third]), "a").payload == {"n": 1}

    def test_who_goes_on_with_an_old_key_is_found_out(self, plain: Storage) -> None:
        """It ends in a sentence, not never."""
        old, both = sealed(plain, [KEY]), sealed(plain, [OTHER, KEY])
        rounds = set()

        def work_meanwhile() -> None:
            for part in reencrypt(both):
                if part.kind == "sheets":
                    rounds.add(part.round)
                    fill(old, f"late-{part.round}")

        with pytest.raises(ConfigError, match="goes on writing with an old key"):
            work_meanwhile()
        assert rounds == set(range(1, 11))

    def test_jobs_that_leave_meanwhile_are_not_passed_over(self, plain: Storage) -> None:
        """They are in no list then: who dropped the old key after that could never read them again."""
        fill(sealed(plain, [KEY]), "a")
        walk = reencrypt(sealed(plain, [OTHER, KEY]))
        next(walk)
        load = plain.hand_out("elsewhere")
        assert load is not None
        with pytest.raises(ConfigError, match="on their way to another storage"):
            list(walk)

    def test_without_keys_there_is_nothing_to_do(self, plain: Storage) -> None:
        """And not while jobs are between two storages."""
        with pytest.raises(ConfigError, match="QUEUES_ENCRYPTION_KEYS is not set"):
            list(reencrypt(plain))
        storage = sealed(plain, [KEY])
        fill(storage, "a")
        plain.hand_out("elsewhere")
        with pytest.raises(ConfigError, match="flask queues move again"):
            list(reencrypt(storage))

    def test_workers_go_on_meanwhile(self, make_site: Any) -> None:
        """Whatever is rewritten while it is claimed, run and settled: each job ends once, and the new key opens it."""
        site = make_site(QUEUES_ENCRYPTION_KEYS=[KEY])
        jobs = [handle.id for handle in site.manager.push_many([("add", {"a": n}) for n in range(400)])]
        site.configure(QUEUES_ENCRYPTION_KEYS=[OTHER, KEY])
        both = sealed(unsealed(site.manager.storage), [OTHER, KEY])
        worker = site.start("--stop-when-empty", "--processes", "2")
        while both.counts().statuses["completed"] < len(jobs):
            list(reencrypt(both))
        assert worker.wait() == 0
        list(reencrypt(both))
        only = sealed(unsealed(both), [OTHER])
        records = [the(only, job_id) for job_id in jobs]
        assert [record.result for record in records] == [n + 1 for n in range(400)]
        assert {len(record.history) for record in records} == {1}

    def test_the_command_says_what_it_did(self, tmp_path: Path) -> None:
        """Numbers, then that nothing is left; the old key can be dropped."""

        def app(*keys: str) -> Flask:
            made = Flask("site", instance_path=str(tmp_path))
            made.config["QUEUES_ENCRYPTION_KEYS"] = list(keys)
            Queues(made).job("t:work")(lambda n=0: None)
            return made

        first = app(KEY).extensions["queues"]
        made = [first.push("t:work", {"n": n}).id for n in range(3)]
        runner = app(OTHER, KEY).test_cli_runner()
        done, again = runner.invoke(args=["queues", "reencrypt"]), runner.invoke(args=["queues", "reencrypt"])
        assert (done.exit_code, again.exit_code) == (0, 3), done.output
        assert "3 jobs, 0 schedules and 0 sheets of figures are encrypted with the first key now." in done.output
        assert "Nothing was left" in again.output
        last = app(OTHER).extensions["queues"]
        assert [last.find(job_id).payload for job_id in made] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert app().test_cli_runner().invoke(args=["queues", "reencrypt"]).exit_code == 1
