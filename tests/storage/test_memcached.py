"""What only Memcached can get wrong: lost answers, lost servers, dropped values, connections and forks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import memcache
import pytest
from flask_caching.backends import MemcachedCache

from flask_queues.errors import ConfigError, StorageError, StorageUnavailable
from flask_queues.record import Outcome, Status
from flask_queues.storage import CacheStorage
from flask_queues.storage.cache import archive, log
from flask_queues.storage.cache.backends import port_for
from flask_queues.storage.values import Settlement, Severity, Wanted
from flask_queues.testing.storage.contract import (
    LONG,
    complete,
    everything,
    fill,
    ids,
    new,
    take,
    take_one,
    the,
)
from flask_queues.testing.storage.processes import eventually
from tests.support.servers.memcached import Memcached
from tests.support.servers.proxy import Proxy

pytestmark = [
    pytest.mark.servers,
    # python-memcached leaves sockets that cannot connect to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPENED: list[CacheStorage] = []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Memcached]:
    """A server of this test's own, which it may kill."""
    with Memcached(tmp_path / "memcached") as server:
        yield server


@pytest.fixture
def network(server: Memcached) -> Iterator[Proxy]:
    """A network before it that can be cut."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test has opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def opened(port: int, prefix: str = "shop:") -> CacheStorage:
    """A storage with a connection and a memory of its own."""
    storage = CacheStorage(port_for(MemcachedCache([f"127.0.0.1:{port}"], key_prefix=prefix)))
    OPENED.append(storage)
    return storage


def backend_of(storage: CacheStorage) -> Any:
    """The backend that a storage stands on."""
    return storage._port._backend


def next_place(storage: CacheStorage, ahead: int = 0) -> str:
    """The key of the next entry."""
    return log.place(storage._log._now(), ahead)


class TestLostAnswers:
    """The server did it; nobody was told."""

    def test_a_push_whose_answer_is_lost_is_stored_once(self, server: Memcached, network: Proxy) -> None:
        """What was added is read back, and known by its name."""
        storage, other = opened(network.port), opened(server.port)
        fill(storage, "before")
        network.drop_replies(to=b"add ")
        assert storage.push([new("a")]) == [True]
        assert network.dropped == 1
        assert sorted(ids(everything(other))) == ["a", "before"]

    def test_a_step_whose_answer_is_lost_gives_its_claims(self, server: Memcached, network: Proxy) -> None:
        """Nobody else has them, and the settlement is not told as lost."""
        storage, other = opened(network.port), opened(server.port)
        fill(storage, *"ab")
        first = take_one(storage)
        network.drop_replies(to=b"add ")
        done = Settlement(first.id, first.token, Status.COMPLETED, Outcome.COMPLETED)
        step = storage.step("w", [done], Wanted(["q"], ["t"], LONG))
        assert network.dropped == 1
        assert (ids(step.claims), step.lost) == (["b"], [])
        assert ids(other.claims_of("w")) == ["b"]

    @pytest.mark.parametrize("stored", [True, False])
    def test_a_step_that_failed_may_be_taken_again(self, server: Memcached, network: Proxy, stored: bool) -> None:
        """Whether it was stored or not before the network went: each job is settled once and claimed once."""
        storage, other = opened(network.port), opened(server.port)
        fill(storage, *"abc")
        first = take_one(storage)
        done = [Settlement(first.id, first.token, Status.COMPLETED, Outcome.COMPLETED)]
        wanted = Wanted(["q"], ["t"], LONG)

        backend = backend_of(storage)
        add = backend.add

        def add_and_cut(*arguments: Any, **options: Any) -> bool:
            if stored:
                add(*arguments, **options)
            network.cut()
            raise OSError("the network is gone")

        with mock.patch.object(backend, "add", add_and_cut), pytest.raises(StorageUnavailable):
            storage.step("w", done, wanted)
        assert ids(other.claims_of("w")) == (["b"] if stored else ["a"])

        network.heal()
        step = eventually(lambda: again(storage, done, wanted), "the network is back")
        assert (ids(step.claims), step.lost) == (["b"], [])
        assert ids(other.claims_of("w")) == ["b"]
        assert the(other, "a").status is Status.COMPLETED


def again(storage: CacheStorage, done: list[Settlement], wanted: Wanted) -> Any:
    """Take the step once more, as a worker does until it works."""
    try:
        return storage.step("w", done, wanted)
    except StorageUnavailable:
        return None


def works(storage: CacheStorage) -> bool:
    """Whether the storage answers."""
    try:
        storage.counts()
    except StorageUnavailable:
        return False
    return True


class TestOutOfReach:
    """A server that does not answer has not lost anything yet."""

    def test_a_cut_network_is_an_error_and_no_loss(self, network: Proxy) -> None:
        """A client says of a broken connection that there is no value: that must not be taken for an empty server."""
        storage = opened(network.port)
        fill(storage, "a")
        network.cut()
        for call in (storage.counts, lambda: fill(storage, "b"), lambda: opened(network.port).counts()):
            with pytest.raises(
                StorageUnavailable, match=f"memcached 127.0.0.1:{network.port} cannot be (used now|reached)"
            ):
                call()
        network.heal()
        eventually(lambda: works(storage), "the storage works again by itself")
        assert ids(everything(storage)) == ["a"]

    def test_a_server_that_hangs_is_not_waited_for_long(self, server: Memcached) -> None:
        """It answers again, and all is there."""
        storage = opened(server.port)
        fill(storage, "a")
        server.pause()
        eventually(lambda: not works(storage), "the storage gives up")
        server.resume()
        eventually(lambda: works(storage), "the storage works again by itself")
        assert ids(everything(storage)) == ["a"]

    def test_a_server_that_was_not_there_is_used_once_it_is(self, server: Memcached) -> None:
        """An application may start first."""
        server.kill()
        storage = opened(server.port)
        with pytest.raises(StorageUnavailable):
            storage.counts()
        server.restart()
        eventually(lambda: works(storage), "the storage works")
        fill(storage, "a")
        assert ids(everything(opened(server.port))) == ["a"]


class TestForgetting:
    """A cache may forget. Nobody crashes or loops, and it is said."""

    def test_a_restart_is_told_once_and_work_goes_on(self, server: Memcached) -> None:
        """The jobs are gone; every process says so once."""
        storages = [opened(server.port) for _ in range(2)]
        fill(storages[0], "a")
        assert storages[1].counts().statuses["pending"] == 1
        server.kill()
        server.restart()

        for storage in storages:
            said = eventually(partial(lost, storage), "the storage answers")
            assert "Jobs were lost in the memcached" in said
            assert "use the default storage, or Redis" in said
            fill(storage, f"new {storages.index(storage)}")
        assert [sorted(ids(everything(storage))) for storage in storages] == [["new 0", "new 1"]] * 2

    @pytest.mark.parametrize("missing", ["entry", "last entries", "snapshot", "piece"])
    def test_a_worker_stores_again_what_was_dropped(self, server: Memcached, missing: str) -> None:
        """Whoever has the jobs in memory helps a newcomer who cannot read them any more."""
        keeper, newcomer = opened(server.port), opened(server.port)
        with mock.patch.multiple(log, EPOCH=20):
            fill(keeper, *[f"{n}" for n in range(100)], payload=json.dumps("x" * 5000))
            for n in range(30):
                fill(keeper, f"more {n}")
            if missing in ("snapshot", "piece"):
                for _ in range(2):
                    keeper.maintain()
                    fill(keeper, *[f"again {keeper._log._now().epoch} {n}" for n in range(5)])
                    for n in range(25):
                        fill(keeper, f"{keeper._log._now().epoch} {n}")
        self.drop(keeper, missing)
        before = keeper.counts()

        def read() -> Any:
            try:
                return newcomer.counts()
            except StorageUnavailable:
                keeper.maintain()
                return None

        assert eventually(read, "the keeper mends it") == before
        fill(newcomer, "after")
        assert keeper.get("after") is not None

    def drop(self, storage: CacheStorage, what: str) -> None:
        """Let the server drop something."""
        state, backend = storage._log._now(), backend_of(storage)
        lineage, epoch = state.lineage, state.epoch
        if what == "entry":
            backend.delete(archive.entry_key(lineage, epoch, 5))
        elif what == "last entries":
            for n in range(3, state.n):
                backend.delete(archive.entry_key(lineage, epoch, n))
        else:
            for one in (epoch, epoch - 1):
                backend.delete(archive.snap_key(lineage, one, 0 if what == "snapshot" else 1))

    def test_where_nobody_can_help_the_log_begins_anew(self, server: Memcached) -> None:
        """It is said that jobs were lost, and what is pushed after that is kept."""
        gone = opened(server.port)
        for n in range(20):
            fill(gone, f"{n}")
        self.drop(gone, "entry")
        newcomer = opened(server.port)
        with mock.patch.object(log, "PATIENCE", 0.2):
            said = eventually(lambda: lost(newcomer), "the newcomer gives up")
        assert "it has dropped entries of the log" in said
        fill(newcomer, "a")
        assert ids(everything(opened(server.port))) == ["a"]

    def test_a_server_too_small_for_the_jobs_says_so(self, tmp_path: Path) -> None:
        """Neither a crash nor a loop; the examination names the memory."""

        class Small(Memcached):
            def arguments(self) -> list[str]:
                return [*super().arguments(), "-m", "2"]

        with Small(tmp_path / "small") as server:
            storage = opened(server.port)
            for n in range(600):
                try:
                    fill(storage, f"{n}", payload=json.dumps("x" * 20_000))
                except StorageError:
                    continue
            codes = {finding.code: finding for finding in storage._port.findings()}
            worst = codes.get("memcached-evictions") or codes["memcached-memory"]
            assert worst.severity is Severity.LOSES
            assert "-m" in worst.fix


def lost(storage: CacheStorage) -> str | None:
    """What is said of a loss; None while there is hope."""
    try:
        storage.counts()
    except StorageUnavailable:
        return None
    except StorageError as error:
        return str(error)
    return None


class TestKeysAndValues:
    """What memcached takes."""

    @pytest.mark.parametrize("prefix", ["my shop:", "tab\t", "x" * 200, "nul\x00"])
    def test_a_prefix_that_is_no_key_is_refused(self, prefix: str) -> None:
        """The client would say nothing and find nothing."""
        with pytest.raises(ConfigError, match=r"QUEUES_CACHE_KEY_PREFIX.*without spaces"):
            opened(11211, prefix)

    def test_a_push_of_many_megabytes_is_stored(self, server: Memcached) -> None:
        """In pieces, of text that takes four bytes a character too."""
        storage = opened(server.port, "größe:")
        text = {"text": "𝄞" * 600_000}
        payload = json.dumps(text, ensure_ascii=False)
        storage.push([new(f"{n}", payload=payload) for n in range(3)])
        assert the(opened(server.port, "größe:"), "2").payload == text
        with mock.patch.multiple(log, EPOCH=1):
            fill(storage, *"abc")
            storage.maintain()
        newcomer = opened(server.port, "größe:")
        assert newcomer._log._state is None
        assert the(newcomer, "1").payload == text

    def test_two_prefixes_are_two_storages(self, server: Memcached) -> None:
        """On one server."""
        one, two = opened(server.port, "one:"), opened(server.port, "two:")
        fill(one, "a")
        fill(two, "b")
        assert (ids(everything(one)), ids(everything(two))) == (["a"], ["b"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_no_connection_crosses_a_fork(server: Memcached) -> None:
    """Parent and child talk over connections of their own, and none hears the other's answers."""
    storage = opened(server.port)
    fill(storage, "before")
    children = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                for m in range(50):
                    fill(storage, f"{n}.{m}")
                    assert storage.get(f"{n}.{m}") is not None
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    for m in range(50):
        fill(storage, f"parent.{m}")
        assert storage.get(f"parent.{m}") is not None
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    assert storage.counts().statuses["pending"] == 201


def test_what_it_promises_is_told(server: Memcached) -> None:
    """In the words of the contract."""
    storage = opened(server.port)
    assert storage.examine()[0].problem.startswith("Memcached loses everything with its server")
    assert storage.describe() == f"memcached 127.0.0.1:{server.port}"
    fill(storage, "a")
    assert complete(storage, take(storage)[0]).lost == []


class Opened:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_python_memcached_runs_nothing_that_somebody_else_stored(server: Memcached, tmp_path: Path) -> None:
    """It unpickles what it gets; of ours only texts are read, and the rest is not there."""
    backend = MemcachedCache(memcache.Client([f"127.0.0.1:{server.port}"]))
    port, trace = port_for(backend), tmp_path / "it ran"
    port.put("ours", "text")
    backend.set("theirs", Opened(str(trace)))
    assert port.get("ours") == "text"
    assert port.get("theirs") is None
    assert not trace.exists()


class LikePylibmc:
    """A client that nobody can tell how to read pickles."""

    def __init__(self, client: memcache.Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name == "unpickler":
            raise AttributeError(name)
        return getattr(self._client, name)


def test_a_client_that_unpickles_by_itself_is_a_finding(server: Memcached) -> None:
    """And one that lets us read is none."""
    client = memcache.Client([f"127.0.0.1:{server.port}"])
    found = [
        {finding.code for finding in port_for(MemcachedCache(one)).findings()} for one in (LikePylibmc(client), client)
    ]
    assert found == [{"memcached-unpickles"}, set()]
