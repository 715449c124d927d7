"""What is Redis's own: what a broken connection, a restart, a full server and a wrong configuration do."""

from __future__ import annotations

import os
import re
import shlex
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis.exceptions import NoPermissionError

from flask_queues import Queues
from flask_queues.backend import build_backend
from flask_queues.config import Config
from flask_queues.damaged import options_of
from flask_queues.errors import (
    ConfigError,
    PushUncertain,
    StorageError,
    StorageFormatError,
    StorageFull,
    StorageUnavailable,
)
from flask_queues.ids import new_id
from flask_queues.moving import move
from flask_queues.record import Outcome, Status
from flask_queues.storage import Storage, storage_for
from flask_queues.storage.limits import CONCURRENCY, RATE, Limit
from flask_queues.storage.outdated import Outdated
from flask_queues.storage.redis import jobs as redis_jobs
from flask_queues.storage.redis import keys as redis_keys
from flask_queues.storage.redis import names as redis_names
from flask_queues.storage.redis.connection import Node
from flask_queues.storage.unique import TIME, Unique
from flask_queues.storage.values import NewJob, Occurrence, Query, Schedule, Settlement, Wanted
from flask_queues.testing.storage.contract import LONG, a_worker, complete, ids, line, settle, take, take_one, the
from flask_queues.testing.storage.processes import eventually, python
from tests.support.servers.proxy import Proxy
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.servers


def job(queue: str = "q", **options: Any) -> NewJob:
    """A job with an id as the manager makes it."""
    return NewJob(**{"id": new_id(f"{queue}:0"), "queue": queue, "type": "t", "payload": "{}", **options})


def opened(*, owner: str = "tests", wait: int = 0, **settings: Any) -> Storage:
    """The storage of an application with these settings for flask-caching."""
    given = {"CACHE_TYPE": "RedisCache", **settings}
    return storage_for(build_backend(Flask(__name__), given), owner=owner, wait=wait)


@contextmanager
def traced() -> Iterator[None]:
    """Let every allocation be traced."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def at(port: int, **settings: Any) -> Storage:
    """The storage on a server of this machine."""
    return opened(CACHE_REDIS_HOST="127.0.0.1", CACHE_REDIS_PORT=port, **settings)


@pytest.fixture
def network(server: RedisServer) -> Iterator[Proxy]:
    """A network to the server that can be harmed."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def storage(network: Proxy) -> Iterator[Storage]:
    """The storage behind that network, connected."""
    made = at(network.port)
    made.counts()
    yield made
    made.close()


class TestMemory:
    """A process that lives for weeks holds no more for all that it has asked."""

    def test_no_step_leaves_behind_what_it_wanted(self, storage: Storage) -> None:
        """Of hundreds of combinations of queues, types and numbers few are kept as they go over the wire."""

        def ask(first: int, last: int) -> None:
            for n in range(first, last):
                short = [f"t{bit}" for bit in range(11) if n >> bit & 1]
                storage.step("w", [], Wanted([f"q{n}"], ["t"], LONG + n, 1 + n % 32, short))

        def kept() -> int:
            own = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/storage/redis/*")])
            return sum(one.size for one in own.statistics("filename"))

        with traced():
            ask(1, 200)
            before = kept()
            ask(200, 1500)
            grown = kept() - before
        assert grown < 150_000, f"{grown} bytes more after 1,300 steps"

    def test_names_of_queues_are_forgotten(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        """An application with a queue for each customer pushes to another one each time."""
        monkeypatch.setattr(redis_names, "STORED_FOR", 0.0)
        monkeypatch.setattr(redis_names, "MANY", 20)
        monkeypatch.setattr(redis_keys, "KNOWN", 20)
        for n in range(100):
            storage.push([job(f"customer-{n}")])
        engine: Any = storage
        assert len(engine._names._stored) <= 21
        assert len(engine._keys._partitions) <= 20


class TestLostAnswer:
    """The server did what was asked; the answer was lost on the way, and the engine asks again."""

    def test_a_push_is_stored_once_and_told_as_new(self, storage: Storage, network: Proxy) -> None:
        """Whoever pushed cannot tell the difference."""
        network.drop_replies(to=b"EVAL")
        assert storage.push([job(), job()]) == [True, True]
        assert network.dropped == 1
        assert storage.counts().statuses["pending"] == 2

    def test_a_job_that_was_there_before_is_not_told_as_new(self, storage: Storage, network: Proxy) -> None:
        """Only what came with this very push is."""
        known = job(payload='{"n": 1}')
        storage.push([known])
        network.drop_replies(to=b"EVAL")
        assert storage.push([known._replace(payload='{"n": 2}'), job()]) == [False, True]

    def test_a_step_settles_and_claims_once(self, storage: Storage, network: Proxy) -> None:
        """The same claims come with the second answer, and what was settled is not told as lost."""
        storage.push([job() for _ in range(6)])
        first = take(storage, limit=2, short=["t"])
        settled = [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED, follows=[job()]) for one in first]
        network.drop_replies(to=b"EVAL")
        step = storage.step("w", settled, Wanted(["q"], ["t"], LONG, 2, ["t"]))
        assert network.dropped == 1
        assert step.lost == []
        assert len(step.claims) == 2
        assert sorted(storage.claims_of("w")) == sorted(step.claims)
        statuses = storage.counts().statuses
        assert (statuses["completed"], statuses["running"], statuses["pending"]) == (2, 2, 4)

    def test_a_step_on_its_way_is_carried_out_once(self, storage: Storage, network: Proxy) -> None:
        """Also where the answer is waited for later."""
        storage.push([job() for _ in range(3)])
        network.drop_replies(to=b"EVAL")
        pending = storage.begin_step("w", [], Wanted(["q"], ["t"], LONG, 1, ["t"], True))
        assert pending is not None
        (claim,) = pending.answer().claims
        assert network.dropped == 1
        assert storage.claims_of("w") == [claim]

    def test_a_claim_by_id_is_made_once(self, storage: Storage, network: Proxy) -> None:
        """And is not taken for somebody else's."""
        one = job()
        storage.push([one])
        network.drop_replies(to=b"600000")
        claim = storage.claim("w", one.id, LONG)
        assert network.dropped == 1
        assert claim is not None
        assert storage.claims_of("w") == [claim]

    @pytest.mark.parametrize("what", ["cancel", "retry"])
    def test_a_change_by_hand_tells_the_status_before(self, storage: Storage, network: Proxy, what: str) -> None:
        """Not the one that it has made."""
        one = job(delay=LONG)
        storage.push([one])
        network.drop_replies(to=what.encode())
        had = storage.cancel(one.id, "why") if what == "cancel" else storage.retry(one.id)
        assert network.dropped == 1
        assert had is Status.SCHEDULED

    def test_a_job_is_hurried_although_nobody_heard_the_answer(self, storage: Storage, network: Proxy) -> None:
        """It is done again, which changes nothing."""
        one = job(delay=LONG)
        storage.push([job(priority=100), one])
        network.drop_replies(to=b"hurry")
        assert storage.hurry(one.id) in (Status.SCHEDULED, Status.PENDING)
        assert network.dropped == 1
        assert storage.counts().statuses["pending"] == 2
        assert take_one(storage).id == one.id

    def test_a_schedule_is_changed_once(self, storage: Storage, network: Proxy) -> None:
        """And its job pushed once."""
        revision = storage.put_schedule(Schedule("s", "q", "1"))
        network.drop_replies(to=b"next text")
        fired = Occurrence(1, 0, "fired")
        changed = storage.put_schedule(Schedule("s", "q", "next text", revision), [job()], [fired])
        assert network.dropped == 1
        assert changed not in (0, revision)
        assert storage.counts().statuses["pending"] == 1
        assert len(storage.occurrences(Schedule("s", "q", "", 0))) == 1

    def test_claims_of_a_step_that_was_given_up_come_with_the_next(self, storage: Storage, network: Proxy) -> None:
        """A claim that nobody knows of would be extended for ever, since its worker lives."""
        storage.push([job() for _ in range(3)])
        first = take_one(storage)
        done = Settlement(first.id, first.token, Status.COMPLETED, Outcome.COMPLETED)
        network.drop_replies(1000, to=b"EVAL")
        with pytest.raises(StorageUnavailable):
            storage.step("w", [done], Wanted(["q"], ["t"], LONG))
        network.drop_replies(0)
        step = storage.step("w", [done], Wanted(["q"], ["t"], LONG))
        assert step.lost == []
        assert storage.claims_of("w") == step.claims
        assert len(step.claims) == 1


class TestBrokenServer:
    """A server that restarts, hangs, is emptied or full."""

    def test_a_restart_is_survived(self, tmp_path: Path) -> None:
        """With AOF nothing is lost; scripts are sent again, connections made anew."""
        with RedisServer(tmp_path, appendonly="yes", appendfsync="always") as own:
            storage = at(own.port)
            watcher = storage.watcher()
            storage.push([job(), job()])
            claim = take_one(storage)
            watcher.changed()
            own.kill()
            own.restart()
            assert complete(storage, claim).lost == []
            assert len(take(storage)) == 1
            eventually(watcher.changed, "the watcher tells that it may have missed something")
            watcher.close()
            storage.close()

    def test_a_server_that_is_away_is_told_and_found_again(self, tmp_path: Path) -> None:
        """The error names it; nothing has to be restarted here."""
        with RedisServer(tmp_path, appendonly="yes") as own:
            storage = at(own.port)
            storage.push([job()])
            own.kill()
            with pytest.raises(StorageUnavailable, match=rf"127\.0\.0\.1:{own.port}.* cannot be reached"):
                storage.push([job()])
            assert not storage.busy
            own.restart()
            assert storage.push([job()]) == [True]
            storage.close()

    def test_a_forgotten_settlement_is_not_for_ever(self, tmp_path: Path) -> None:
        """A server that comes back as it was may hold claims whose workers are done with them: they get them again.

        Their heartbeat would keep them from everybody else.
        """
        with RedisServer(tmp_path) as own, own.client() as client:
            storage = at(own.port)
            storage.push([job(), job()])
            claim = take_one(storage)
            client.save()
            assert complete(storage, claim).lost == []
            own.kill()
            own.restart()
            seen = take(storage) + take(storage) + take(storage)
            assert sorted(ids(seen)) == sorted(ids(storage.claims_of("w")))
            assert len(seen) == 2
            assert claim in seen
            storage.close()

    @pytest.mark.slow
    def test_what_a_hung_server_was_sent_is_not_done_when_nobody_waits_any_more(self, tmp_path: Path) -> None:
        """It would claim a job for a child that has gone on without."""
        with RedisServer(tmp_path) as own:
            storage = at(own.port)
            storage.push([job() for _ in range(3)])
            own.pause()
            try:
                with pytest.raises(StorageUnavailable, match="does not answer"):
                    take(storage)
            finally:
                own.resume()
            claims = take(storage)
            assert storage.claims_of("w") == claims
            assert storage.counts().statuses["running"] == 1
            storage.close()

    def test_a_worker_is_told_once_that_its_server_was_emptied(self, server: RedisServer, storage: Storage) -> None:
        """With the first sign of life after it, also where others have pushed meanwhile."""
        me, another = a_worker("w"), at(server.port)
        assert [storage.heartbeat(me, LONG).emptied for _ in range(2)] == [False, False]
        born = storage.now()
        eventually(lambda: storage.now() > born + 1, "a later millisecond")
        server.empty()
        another.push([job()])
        another.heartbeat(a_worker("v"), LONG)
        assert [storage.heartbeat(me, LONG).emptied for _ in range(2)] == [True, False]
        another.close()

    def test_tokens_rise_after_the_server_s_clock_was_set_back(self, server: RedisServer, storage: Storage) -> None:
        """Those of claims that come together and those that come alone: none is given a second time."""
        storage.push([job() for _ in range(6)])
        given = [take_one(storage).token]
        with server.client() as client:
            (meta,) = client.keys("*:q:0}:meta")
            ahead = client.hincrby(meta, "token", 3_600_000_000)
        given += [claim.token for n in (2, 1, 2) for claim in take(storage, limit=n, short=["t"])]
        assert given[1:] == list(range(ahead + 1, ahead + 6))

    @pytest.mark.parametrize("by_id", [False, True])
    def test_a_claim_is_made_although_the_server_s_clock_was_set_forward(
        self, server: RedisServer, storage: Storage, by_id: bool
    ) -> None:
        """By what was known of its clock nobody waits for the answer any more; it tells the time and is asked again."""
        one = job()
        storage.push([one])
        engine: Any = storage
        engine._calls.clock.learn(1)
        claims = [storage.claim("w", one.id, LONG)] if by_id else take(storage)
        assert [claim and claim.id for claim in claims] == [one.id]

    def test_an_emptied_server_is_filled_again(self, server: RedisServer, storage: Storage) -> None:
        """Whoever holds a claim learns that it is lost; new jobs are seen by everybody."""
        storage.push([job(), job()])
        claim = take_one(storage)
        server.empty()
        assert complete(storage, claim).lost == [claim.id]
        assert storage.push([job()]) == [True]
        assert storage.queues() == ["q"]
        other = at(server.port)
        assert len(take(other)) == 1
        other.close()

    def test_forgotten_scripts_are_sent_again(self, server: RedisServer, storage: Storage) -> None:
        """As after a failover."""
        storage.push([job()])
        with server.client() as client:
            client.script_flush()
        pending = storage.begin_step("w", [], Wanted(["q"], ["t"], LONG))
        assert pending is not None
        assert len(pending.answer().claims) == 1

    def test_a_full_server_refuses_pushes_and_lets_jobs_run(self, tmp_path: Path) -> None:
        """Claims and settlements go on, so that room can come free."""
        with RedisServer(tmp_path, maxmemory_policy="noeviction") as own:
            storage = at(own.port)
            storage.push([job(), job()])
            with own.client() as client:
                client.config_set("maxmemory", "1mb")
                client.config_set("maxmemory", "1")
            with pytest.raises(StorageFull, match="no memory left"):
                storage.push([job()])
            assert complete(storage, take_one(storage)).lost == []
            statuses = storage.counts().statuses
            assert (statuses["pending"], statuses["completed"]) == (1, 1)
            storage.close()

    def test_a_record_that_was_evicted_does_not_stop_the_line(self, server: RedisServer, storage: Storage) -> None:
        """What the server has thrown away is gone; what is behind it runs."""
        gone, there = job(), job()
        storage.push([gone, there])
        with server.client() as client:
            (key,) = client.keys(f"*j:{gone.id}")
            client.delete(key)
        assert ids(take(storage) + take(storage)) == [there.id]
        assert storage.counts().statuses["pending"] == 0

    @pytest.mark.parametrize("replace", [False, True])
    def test_a_record_that_was_evicted_holds_no_key_and_leaves_nothing(
        self, server: RedisServer, storage: Storage, replace: bool
    ) -> None:
        """Who comes with its key gets it when it would have been its turn, or at once where it may replace."""
        gone, next_one = (job(unique=Unique("k", replace=replace), limits=[Limit(CONCURRENCY, "c", 1)]) for _ in "ab")
        storage.push([gone])
        settle(storage, take_one(storage), Status.PENDING, alone=True, logs=[line("said")])
        with server.client() as client:
            client.delete(*client.keys(f"*j:{gone.id}"))
            if not replace:
                assert take(storage) == []
            assert storage.push([next_one]) == [True]
            assert ids(take(storage) + take(storage)) == [next_one.id]
            assert keys_that_name(client, gone.id) == []


class TestWrongConfiguration:
    """A sentence that says what to change, without a password."""

    def refusal(self, storage: Storage) -> Exception:
        """What the first push says."""
        with pytest.raises((StorageError, ConfigError)) as caught:
            storage.push([job()])
        text = str(caught.value)
        assert "secret" not in text
        assert "secret" not in storage.describe()
        assert len(text.splitlines()) == 1
        return caught.value

    def test_passwords(self, tmp_path: Path) -> None:
        """Missing, wrong, and one that the server does not ask for."""
        with RedisServer(tmp_path, requirepass="right secret") as own:
            assert "asks for a password" in str(self.refusal(at(own.port)))
            for wrong in (at(own.port, CACHE_REDIS_PASSWORD="secret"),
                          opened(CACHE_REDIS_URL=f"redis://:secret@127.0.0.1:{own.port}/0")):  # fmt: skip
                assert "refuses the password" in str(self.refusal(wrong))
            assert at(own.port, CACHE_REDIS_PASSWORD="right secret").push([job()]) == [True]

    def test_a_password_that_nobody_asks_for(self, server: RedisServer) -> None:
        """The server has none."""
        assert "has no password" in str(self.refusal(at(server.port, CACHE_REDIS_PASSWORD="secret")))

    def test_a_server_without_tls(self, server: RedisServer) -> None:
        """It says nothing to a handshake: TLS is named as what may be wrong."""
        storage = opened(CACHE_REDIS_URL=f"rediss://:secret@127.0.0.1:{server.port}/0")
        assert "does not answer over TLS" in str(self.refusal(storage))

    def test_a_database_that_is_not_there(self, server: RedisServer) -> None:
        """The number is named as what is wrong."""
        assert "QUEUES_CACHE_REDIS_DB" in str(self.refusal(at(server.port, CACHE_REDIS_DB=77)))

    def test_a_read_only_replica(self, server: RedisServer, tmp_path: Path) -> None:
        """Jobs are kept on the master."""
        with RedisServer(tmp_path, replicaof=f"127.0.0.1 {server.port}") as replica:
            assert "read-only replica" in str(self.refusal(at(replica.port)))

    @pytest.mark.parametrize("given", [{"commands": ["+@all", "-zadd"], "channels": ["*"]}, {"commands": ["+@all"]}])
    def test_a_user_who_may_not(self, tmp_path: Path, given: dict[str, list[str]]) -> None:
        """A command or the channel that is missing is told before anything is half done."""
        with RedisServer(tmp_path) as own, own.client() as client:
            client.acl_setuser("weak", enabled=True, passwords=["+secret"], keys=["*"], **given)
            storage = opened(CACHE_REDIS_URL=f"redis://weak:secret@127.0.0.1:{own.port}/0")
            assert "may not do" in str(self.refusal(storage))
            assert client.keys("*") == []

    def test_the_rights_that_the_documents_name(self, tmp_path: Path) -> None:
        """They are enough for everything, the doctor's questions too, and reach nothing else on that server."""
        text = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()
        (line,) = re.findall(r"^redis-cli (ACL SETUSER shop .+)$", text, re.MULTILINE)
        with RedisServer(tmp_path) as own, own.client() as client:
            client.execute_command(*shlex.split(line.replace("PASSWORD", "secret")))
            app = Flask("shop")
            app.config["QUEUES_CACHE_TYPE"] = "RedisCache"
            app.config["QUEUES_CACHE_REDIS_URL"] = f"redis://shop:secret@127.0.0.1:{own.port}/0"
            storage = Queues(app).manager.storage
            watcher = storage.watcher()
            watcher.changed()
            assert storage.push([job(), job()]) == [True, True]
            eventually(watcher.changed, "The push was heard")
            watcher.close()
            complete(storage, take_one(storage))
            storage.heartbeat(a_worker("w"), LONG)
            storage.maintain()
            assert "redis-unknown" not in {finding.code for finding in storage.examine()}
            assert storage.counts().queues["q"]["completed"] == 1
            storage.close()
            with own.client(username="shop", password="secret") as weak:
                for command in (["FLUSHALL"], ["KEYS", "*"], ["GET", "{queues:other}:meta"], ["PUBLISH", "x", "y"]):
                    with pytest.raises(NoPermissionError):
                        weak.execute_command(*command)

    @pytest.mark.parametrize("prefix", ["{mine}", "a{b", "a}b"])
    def test_braces_in_the_prefix(self, server: RedisServer, prefix: str) -> None:
        """They would part a queue's keys over the nodes of a cluster."""
        with pytest.raises(ConfigError, match="QUEUES_CACHE_KEY_PREFIX"):
            at(server.port, CACHE_KEY_PREFIX=prefix)

    def test_two_applications_with_one_prefix(self, server: RedisServer) -> None:
        """The second is refused, and told whose the prefix is."""
        first = at(server.port, CACHE_KEY_PREFIX="jobs")
        first.push([job()])
        second = opened(
            owner="another", CACHE_REDIS_HOST="127.0.0.1", CACHE_REDIS_PORT=server.port, CACHE_KEY_PREFIX="jobs"
        )
        with pytest.raises(StorageFormatError, match="belongs to the application 'tests'"):
            second.push([job()])
        assert len(take(first)) == 1

    @pytest.mark.parametrize("name", ["ready", "due", "counts"])
    def test_keys_of_something_else(self, server: RedisServer, name: str) -> None:
        """Nothing of theirs is changed, and nothing of ours is stored beside them."""
        key = f"{{jobs:q:0}}:{name}"
        with server.client() as client:
            client.set(key, "theirs")
            assert "keys of something else" in str(self.refusal(at(server.port, CACHE_KEY_PREFIX="jobs")))
            assert client.get(key) == "theirs"
            assert client.keys("{jobs:q:0}*") == [key]

    def test_a_newer_format(self, server: RedisServer) -> None:
        """An older version claims nothing from it, also if it comes while the worker runs."""
        storage = at(server.port, CACHE_KEY_PREFIX="jobs")
        storage.push([job()])
        with server.client() as client:
            client.hset("{jobs}:meta", "format", 99)
        with pytest.raises(StorageFormatError, match="format 99"):
            at(server.port, CACHE_KEY_PREFIX="jobs").counts()
        from flask_queues.testing.storage.contract import a_worker

        with pytest.raises(StorageFormatError, match="format 99"):
            storage.heartbeat(a_worker("w"), LONG)

    def test_clearing_the_cache_leaves_the_jobs(self, server: RedisServer) -> None:
        """`Cache.clear()` deletes what begins with its prefix; our keys do not."""
        backend = build_backend(
            Flask(__name__),
            {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": server.port},
        )
        storage = storage_for(backend)
        storage.push([job()])
        backend.set("a", 1)
        backend.clear()
        assert storage.counts().statuses["pending"] == 1


class TestReplicas:
    """`QUEUES_REDIS_WAIT`."""

    def test_a_push_waits_for_replicas(self, server: RedisServer, tmp_path: Path) -> None:
        """With one in step it returns; without, it says that the job is stored and not confirmed."""
        storage = opened(CACHE_REDIS_HOST="127.0.0.1", CACHE_REDIS_PORT=server.port, wait=1)
        one = job()
        with pytest.raises(PushUncertain, match="0 of the 1 replicas"):
            storage.push([one])
        with RedisServer(tmp_path, replicaof=f"127.0.0.1 {server.port}") as replica, replica.client() as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
            assert storage.push([one, job()]) == [False, True]

    def test_a_push_that_is_uncertain_is_repeated_by_its_id(self, server: RedisServer, tmp_path: Path) -> None:
        """It is stored once, and the repeated push waits for the replicas again; a unique one too."""
        app = Flask("shop", instance_path=str(tmp_path / "shop"))
        app.config.update(
            QUEUES_REDIS_WAIT=1,
            QUEUES_CACHE_TYPE="RedisCache",
            QUEUES_CACHE_REDIS_URL=f"redis://127.0.0.1:{server.port}/0",
        )
        queues = Queues(app)
        mail = queues.job("shop:mail", queue="mail")(lambda: None)
        asked: list[tuple[dict[str, str], str]] = []
        for options in ({}, {"unique": "k"}):
            with pytest.raises(PushUncertain) as first:
                mail.using(**options).push()
            [job_id] = first.value.ids
            with pytest.raises(PushUncertain) as second:
                mail.using(**options, id=job_id).push()
            assert second.value.ids == (job_id,)
            asked.append((options, job_id))
        with RedisServer(tmp_path, replicaof=f"127.0.0.1 {server.port}") as replica, replica.client() as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
            for options, job_id in asked:
                handle = mail.using(**options, id=job_id).push()
                assert (handle.id, handle.created) == (job_id, False)
        assert queues.counts().statuses["pending"] == 2

    def test_a_move_waits_for_replicas(self, server: RedisServer, tmp_path: Path) -> None:
        """A load is not let go before they have it; repeated, it waits again and still arrives once."""
        source = at(server.port, CACHE_KEY_PREFIX="old")
        target = at(server.port, CACHE_KEY_PREFIX="new", wait=1)
        source.push([job(), job("r")])
        with pytest.raises(PushUncertain, match=r"0 of the 1 replicas .* Run the same command again"):
            list(move(source, target))
        assert source.on_the_way() == 1
        with RedisServer(tmp_path, replicaof=f"127.0.0.1 {server.port}") as replica, replica.client() as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
            assert len(list(move(source, target))) == 2
        assert target.counts().statuses["pending"] == 2

    def test_the_application_s_setting_arrives(self, server: RedisServer) -> None:
        """From the configuration to the push."""
        from flask_queues.backend import storage_of

        config = Config.read({
            "QUEUES_REDIS_WAIT": 1, "QUEUES_CACHE_TYPE": "RedisCache",
            "QUEUES_CACHE_REDIS_URL": f"redis://127.0.0.1:{server.port}/0",
        })  # fmt: skip
        with pytest.raises(PushUncertain):
            storage_of(Flask(__name__), config).push([job()])


class TestProcess:
    """One process and its connections."""

    def test_redis_is_not_imported_where_it_is_not_used(self) -> None:
        """It is an optional package."""
        assert python("import sys, flask_queues; print('redis' in sys.modules)").strip() == "False"

    def test_no_connection_crosses_a_fork(self, storage: Storage) -> None:
        """Parent and child each get their own answers."""
        jobs = [job() for _ in range(200)]
        storage.push(jobs)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            found = sum(the(storage, one.id).id == one.id for one in jobs)
            os.write(writer, str(found).encode())
            os._exit(0)
        assert all(the(storage, one.id).id == one.id for one in jobs)
        os.waitpid(child, 0)
        assert os.read(reader, 10) == b"200"
        os.close(reader)
        os.close(writer)

    def test_a_thread_that_waits_for_an_answer_is_busy(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing may be thrown into it then. Another one is not, nor is it afterwards, whatever came of the call."""
        told: dict[str, bool] = {}

        def receive(*_: Any) -> list[Any]:
            told["inside"] = storage.busy
            thread = threading.Thread(target=lambda: told.update(elsewhere=storage.busy))
            thread.start()
            thread.join()
            raise ValueError("broken on purpose")

        with monkeypatch.context() as patched:
            patched.setattr(Node, "receive", receive)
            with pytest.raises(ValueError, match="broken on purpose"):
                storage.counts()
        assert told == {"inside": True, "elsewhere": False}
        assert storage.busy is False

    def test_closing_lets_go_of_every_connection(self, server: RedisServer) -> None:
        """And of the watcher's."""
        storage = at(server.port)
        watcher = storage.watcher()
        with server.client() as client:
            before = client.info("clients")["connected_clients"]
            threads = [threading.Thread(target=storage.counts) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            watcher.changed()
            assert watcher.fileno() is not None
            storage.close()
            watcher.close()
            eventually(lambda: client.info("clients")["connected_clients"] <= before, "all connections are closed")

    def test_a_waiting_job_costs_little(self, server: RedisServer) -> None:
        """450 bytes with a small payload, all that is kept for it counted."""
        storage = at(server.port, CACHE_KEY_PREFIX="queues:example:")
        with server.client() as client:
            storage.push([job("default", type="shop:mail")])
            before = client.info("memory")["used_memory"]
            for _ in range(40):
                storage.push([job("default", type="shop:mail", payload='{"to":"ada@example.com"}') for _ in range(500)])
            assert (client.info("memory")["used_memory"] - before) / 20_000 <= 450


def test_jobs_of_other_types_are_passed_over_a_slice_at_a_time(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was passed over once is not looked at again, until a look has come to the end and some time is over."""
    storage = at(server.port)
    monkeypatch.setattr(redis_jobs, "LOOK_AT", 4)
    others = [job(type="u") for _ in range(10)]
    wanted = [job() for _ in range(2)]
    for one in [*others, wanted[0], job(type="u"), wanted[1]]:
        storage.push([one])
        storage.cancel(one.id, "no")
    which = Outdated("q", "t", Status.CANCELLED)

    assert [storage.drop_outdated(which) for _ in range(5)] == [0, 0, 1, 1, 0]
    assert storage.counts().statuses["cancelled"] == 11
    monkeypatch.setattr(redis_jobs, "ANEW", -1.0)
    late = job()
    storage.push([late])
    storage.cancel(late.id, "no")
    assert storage.drop_outdated(which) == 1
    assert [storage.drop_outdated(which._replace(type="u")) for _ in range(4)] == [4, 4, 3, 0]


def test_ids_tell_where_a_job_is(server: RedisServer) -> None:
    """Only the queues whose hash it carries are asked."""
    storage = at(server.port)
    jobs = [job(f"queue-{n}") for n in range(50)]
    storage.push(jobs)
    for one in jobs:
        assert the(storage, one.id).queue == one.queue
    assert storage.get(new_id("nowhere:0")) is None
    assert len(storage.page(Query(limit=20)).jobs) == 20


def test_a_gate_that_opens_too_late_by_a_clock_set_back_opens_in_its_time(running_server: RedisServer) -> None:
    """The server's clock has gone back an hour since a job passed and another came to wait."""
    storage = at(running_server.port, CACHE_KEY_PREFIX="gates")
    limit = Limit(RATE, "r", 1, 200)
    first, second = job(limits=[limit]), job(limits=[limit])
    storage.push([first, second])
    assert take_one(storage).id == first.id
    assert take(storage) == []
    client: Any = running_server.client()
    (gates,) = client.keys("*:gates")
    ((name, text),) = client.hgetall(gates).items()
    used, after, about = text.split("\t", 2)
    client.hset(gates, name, f"{used}\t{int(after) + 3_600_000_000}\t{about}")
    client.zincrby(gates.replace(":gates", ":opens"), 3_600_000, name)
    assert (storage.next_due() or 0) > 3_000_000
    storage.release_held(["t"])
    assert 0 < (storage.next_due() or 0) <= 200
    eventually(lambda: take(storage), "the gate opens")


def test_a_record_of_which_nothing_can_be_read_keeps_nobody_from_the_others(running_server: RedisServer) -> None:
    """It is listed, claimed and settled with what else is known of it."""
    storage = at(running_server.port, CACHE_KEY_PREFIX="damaged")
    jobs = [job() for _ in range(3)]
    storage.push(jobs)
    client: Any = running_server.client()
    (key,) = client.keys(f"*j:{jobs[1].id}")
    client.set(key, "no record")
    assert [record.error is not None for record in storage.page(Query(oldest=True)).jobs] == [False, True, False]
    claims = [take_one(storage) for _ in range(3)]
    assert [options_of(claim)[1] is not None for claim in claims] == [False, True, False]
    assert [claim.type for claim in claims] == ["t", "t", "t"]
    assert complete(storage, claims[1]).lost == []
    (ended,) = storage.page(Query(statuses=[Status.COMPLETED])).jobs
    assert (ended.id, ended.error is not None) == (jobs[1].id, True)


#: What reads everything of a key, by its kind.
READ_ALL = {
    "string": ("GET",), "list": ("LRANGE", 0, -1), "set": ("SMEMBERS",), "zset": ("ZRANGE", 0, -1),
    "hash": ("HGETALL",),
}  # fmt: skip


def keys_that_name(client: Any, job_id: str) -> list[str]:
    """The keys in whose name or content an id is."""
    found = []
    for key in client.scan_iter():
        command, *more = READ_ALL[client.type(key)]
        if job_id in f"{key} {client.execute_command(command, key, *more)}":
            found.append(key)
    return found


@pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED, Status.FAILED])
@pytest.mark.parametrize(
    "remove",
    [
        lambda storage, there, one: storage.delete(one.id),
        lambda storage, there, one: storage.purge(list(Status)),
        lambda storage, there, one: list(move(storage, there)),
    ],
    ids=["deleted", "purged", "moved"],
)
def test_nothing_is_kept_of_a_job_that_is_gone(server: RedisServer, remove: Any, status: Status) -> None:
    """Whatever was known of it: what is left would stay for ever, since no key has an end of its own."""
    storage, there = (at(server.port, CACHE_KEY_PREFIX=prefix) for prefix in ("from", "to"))
    one = job(tags=("x",), unique=Unique("k", TIME, LONG), limits=[Limit(CONCURRENCY, "c", 1)], batch="b")
    storage.push([one])
    claim = take_one(storage)
    storage.keep(one.id, claim.token, "a place")
    settle(storage, claim, status, Outcome.FAILED, alone=True, delay=LONG, logs=[line("said")])
    with server.client() as client:
        assert len(keys_that_name(client, one.id)) >= 9
        remove(storage, there, one)
        assert [key for key in keys_that_name(client, one.id) if "from" in key] == []
