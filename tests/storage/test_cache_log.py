"""What only a log by `add` can get wrong: epochs, newcomers, sleepers, crashes between two writes, clocks."""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cachelib import FileSystemCache, SimpleCache

from flask_queues.errors import StorageError, StorageFormatError
from flask_queues.record import Outcome, Status
from flask_queues.storage import CacheStorage, Storage
from flask_queues.storage.cache import archive, clock, log
from flask_queues.storage.cache.backends import port_for
from flask_queues.storage.values import Settlement, Wanted
from flask_queues.testing.storage import Engine
from flask_queues.testing.storage.contract import (
    LONG,
    a_worker,
    complete,
    counted,
    everything,
    fill,
    ids,
    new,
    take,
    take_one,
    the,
)
from flask_queues.testing.storage.processes import eventually, running

from .engines import FilesEngine

#: Entries of an epoch, where a test is to see several of them end.
SHORT_EPOCH = 10


@pytest.fixture
def short_epochs() -> Iterator[None]:
    """Let an epoch end after a few entries."""
    with mock.patch.multiple(log, EPOCH=SHORT_EPOCH, OVERDUE=10**9):
        yield


@pytest.fixture
def cache() -> SimpleCache:
    """A backend that several storages of this process can stand on."""
    return SimpleCache()


def opened(cache: Any) -> CacheStorage:
    """A storage with a memory of its own, as in another process."""
    return CacheStorage(port_for(cache))


def keys(cache: SimpleCache, kind: str) -> list[str]:
    """The keys of one kind that are stored."""
    return [key for key in cache._cache if key.startswith(f"queues-{kind}:")]


def state_of(storage: Storage) -> Any:
    """Everything that a storage knows, as a snapshot has it."""
    assert isinstance(storage, CacheStorage)
    storage.counts()
    dumped = storage._log._now().dump()
    dumped[-1].sort()
    return json.loads(archive.encode(dumped))


def live_on(storage: CacheStorage, rounds: int, name: str = "") -> None:
    """Do a bit of everything."""
    for n in range(rounds):
        fill(storage, f"{name}{n}", tags=("x",))
        storage.heartbeat(a_worker(f"boss {name}", "w"), LONG)
        for claim in take(storage, types=["t", f"u{n}"]):
            status = (Status.COMPLETED, Status.FAILED, Status.PENDING)[n % 3]
            storage.step("w", [Settlement(claim.id, claim.token, status, Outcome.FAILED)])
        storage.maintain()


class TestEpochs:
    """A log that begins anew before it is long."""

    @pytest.mark.usefixtures("short_epochs")
    def test_newcomers_hold_what_the_old_ones_hold(self, cache: SimpleCache) -> None:
        """After any number of epochs, from snapshot or from the first entry on, everybody has the same state."""
        writer, reader = opened(cache), opened(cache)
        for n in range(6):
            live_on(writer, 7, f"{n} ")
            live_on(reader, 2, f"r{n} ")
            assert state_of(opened(cache)) == state_of(reader) == state_of(writer)
        assert writer._log._now().epoch > 5
        assert writer.counts().cells == counted(writer)

    @pytest.mark.usefixtures("short_epochs")
    def test_what_is_two_epochs_old_is_deleted(self, cache: SimpleCache) -> None:
        """However long it lives, a log takes no more room than its last epochs."""
        storage = opened(cache)
        sizes = []
        for n in range(30):
            fill(storage, *[f"{m}" for m in range(8)])
            storage.purge([Status.PENDING])
            live_on(storage, 5, f"{n}")
            storage.purge([Status.PENDING, Status.FAILED, Status.COMPLETED])
            sizes.append(len(cache._cache))
        assert max(sizes) < 6 * SHORT_EPOCH
        assert storage._log._now().epoch > 20

    @pytest.mark.usefixtures("short_epochs")
    def test_who_slept_for_many_epochs_reads_on_and_writes_into_the_present(self, cache: SimpleCache) -> None:
        """The log that a sleeper knew is deleted, so it must not take its end for the log's."""
        sleeper, other = opened(cache), opened(cache)
        fill(sleeper, "old")
        live_on(other, 60)
        assert sleeper.counts() == other.counts()

        live_on(other, 60, "again ")
        fill(sleeper, "mine")
        assert other.get("mine") is not None
        assert opened(cache).get("mine") is not None
        assert state_of(sleeper) == state_of(other)

    @pytest.mark.usefixtures("short_epochs")
    @pytest.mark.parametrize("after", ["entry", "snapshot", "pointer"])
    def test_a_death_while_an_epoch_ends_loses_nothing(self, cache: SimpleCache, after: str) -> None:
        """Whatever was not done is done by whoever ends the next one."""

        class Death(Exception):
            pass

        victim, heir = opened(cache), opened(cache)
        fill(victim, *[f"{n}" for n in range(5)])
        while victim._log._now().n <= SHORT_EPOCH:
            fill(victim, f"more {victim._log._now().n}")
        where = {"entry": "write", "snapshot": "pointer", "pointer": "_delete_epoch"}[after]
        if after == "pointer":
            live_on(heir, 30, "before ")
        with mock.patch.object(archive.Archive, where, side_effect=Death), pytest.raises(Death):
            live_on(victim, 2 * SHORT_EPOCH, "last ")

        for n in range(3):
            live_on(heir, 10, f"after {n} ")
            assert state_of(opened(cache)) == state_of(heir)
        assert heir.counts().cells == counted(heir)
        assert heir.get("0") is not None
        assert len(keys(cache, "log")) < 5 * SHORT_EPOCH

    def test_without_a_keeper_anybody_ends_an_epoch(self, cache: SimpleCache) -> None:
        """Where only pushes come, the log does not grow without end; in a worker the others leave it to the keeper."""
        storage, child = opened(cache), opened(cache)
        child.maintained = True
        with mock.patch.multiple(log, EPOCH=10, OVERDUE=30):
            for n in range(100):
                fill(child, f"c{n}")
            assert len(keys(cache, "log")) == 100
            for n in range(100):
                fill(storage, f"s{n}")
        assert len(keys(cache, "log")) < 100
        assert opened(cache).counts().statuses["pending"] == 200

    @pytest.mark.usefixtures("short_epochs")
    def test_a_long_entry_and_a_long_snapshot_are_stored_in_pieces(self, cache: SimpleCache) -> None:
        """No value is longer than the backend takes, and the pieces are deleted with their epoch."""
        port = port_for(cache)
        with mock.patch.object(type(port), "limit", 1000):
            storage = CacheStorage(port)
            fill(storage, *[f"{n}" for n in range(100)], payload=json.dumps("ü" * 100))
            assert len(keys(cache, "part")) > 10
            newcomer = opened(cache)
            assert newcomer.counts().statuses["pending"] == 100
            live_on(storage, 5)
            assert len(keys(cache, "snap")) > 10
            assert opened(cache).counts() == storage.counts()
            while storage.purge([Status.PENDING]):
                pass
            live_on(storage, 60)
        assert keys(cache, "part") == []
        assert max(len(cache.get(key)) for key in cache._cache) <= 1010


class TestEntries:
    """What is written, and what is not."""

    def written(self, cache: SimpleCache) -> int:
        """How many entries there are."""
        return len(keys(cache, "log"))

    def test_what_changes_nothing_is_not_written(self, cache: SimpleCache) -> None:
        """Idle children and a keeper that tidies up add nothing to the log."""
        storage = opened(cache)
        fill(storage, "later", delay=LONG)
        fill(storage, "other", queue="elsewhere")
        fill(storage, "done")
        complete(storage, take_one(storage))
        before = self.written(cache)
        for _ in range(3):
            assert take(storage) == []
            assert storage.purge(list(Status), older=LONG) == 0
            assert storage.release_held(["t"]) == 0
            assert storage.cancel("done", "late") is Status.COMPLETED
            assert storage.retry("nowhere") is None
            assert storage.claim("w", "done", LONG) is None
            assert storage.note("done", 1) is False
            storage.forget_worker("nobody")
            storage.maintain()
        assert self.written(cache) == before

    def test_a_heartbeat_is_written_in_a_few_bytes(self, cache: SimpleCache) -> None:
        """What a worker is and which types it knows is said once; after that, only what changes."""
        storage = opened(cache)
        worker = a_worker(
            "boss", *(f"host:{n}:1234567" for n in range(4)), types=[f"shop:type {n}" for n in range(100)]
        )
        sizes = []
        for n in range(3):
            grown = tuple(replace(child, memory=50.5 + n) for child in worker.children)
            storage.heartbeat(replace(worker, children=grown), LONG)
            sizes.append(len(cache.get(keys(cache, "log")[-1])))
        (told,) = storage.workers()
        assert (len(told.types), [child.memory for child in told.children]) == (100, [52.5] * 4)
        assert sizes[0] > 1000
        assert max(sizes[1:]) < 150

    def test_the_types_that_a_worker_knows_are_written_once(self, cache: SimpleCache) -> None:
        """Not with every claim."""
        storage = opened(cache)
        types = ["t", *(f"a type with a long name {n}" for n in range(100))]
        for n in range(3):
            fill(storage, f"{n}")
            take(storage, types=types)
        sizes = [len(cache.get(key)) for key in keys(cache, "log")]
        assert max(sizes) > 2000
        assert sizes[-1] < 200

    def test_only_text_is_stored_and_nothing_expires(self, cache: SimpleCache) -> None:
        """Whatever the backend's default timeout: nothing of ours is unpickled into objects."""
        cache.default_timeout = 1
        storage = opened(cache)
        with mock.patch.multiple(log, EPOCH=5):
            live_on(storage, 10)
        assert {type(cache.get(key)) for key in cache._cache} == {str}
        assert {expires for expires, _ in cache._cache.values()} == {0}

    def test_a_newer_format_is_refused(self, cache: SimpleCache) -> None:
        """By whoever reads it first, and by those who have it open already, with what to do."""
        storage = opened(cache)
        fill(storage, "a")
        lineage = json.loads(cache.get(archive.POINTER))[1]
        newer = rf"format {archive.FORMAT + 1}.*reads up to {archive.FORMAT}\. Install the newer version"
        cache.set(archive.POINTER, json.dumps([archive.FORMAT + 1, lineage, 0, "something new"]), timeout=0)
        for one in (storage, opened(cache)):
            for call in (one.counts, lambda one=one: one.heartbeat(a_worker("w"), LONG), lambda one=one: take(one)):
                with pytest.raises(StorageFormatError, match=newer):
                    call()
        assert self.written(cache) == 1

    def test_an_emptied_backend_is_told_once_and_then_used_again(self, cache: SimpleCache) -> None:
        """As after `Cache.clear()`: the jobs are gone, which somebody must learn; nobody may crash or loop."""
        storage, other = opened(cache), opened(cache)
        fill(storage, "a")
        assert other.counts().statuses["pending"] == 1
        cache.clear()
        for one in (storage, other):
            with pytest.raises(StorageError, match=r"Jobs were lost in the memory of process .*emptied or restarted"):
                one.counts()
            fill(one, f"after {one is storage}")
        assert sorted(ids(everything(storage))) == ["after False", "after True"]
        assert sorted(ids(everything(other))) == ["after False", "after True"]


class TestTime:
    """A log's time."""

    def test_the_highest_time_that_anybody_saw_is_everybody_s(self, cache: SimpleCache) -> None:
        """A process whose clock is behind goes on from there: a lease is as long for all."""
        ahead, behind = opened(cache), opened(cache)
        real = clock.wall()
        with mock.patch.object(clock, "wall", return_value=real + 3_600_000):
            fill(ahead, "a")
            claim = take_one(ahead, lease=50)
        assert behind.now() >= claim.started
        assert eventually(behind.stalled, "the lease runs out by the pace of this machine") == [claim]

    def test_time_goes_on_while_the_time_of_day_is_set_back(self, cache: SimpleCache) -> None:
        """No lease and no delay becomes longer by it."""
        storage = opened(cache)
        fill(storage, "a")
        real = clock.wall()
        with mock.patch.object(clock, "wall", return_value=real - 3_600_000):
            fill(storage, "b", delay=30)
            assert the(storage, "b").created >= the(storage, "a").created
            eventually(lambda: storage.next_due() == 0, "the delay passes")


class TestAfterAPowerCut:
    """Files of which the last were not written to the disk."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the files are."""
        return tmp_path / "jobs"

    def on(self, folder: Path) -> CacheStorage:
        """The storage in the folder."""
        return opened(FileSystemCache(str(folder), threshold=0))

    def file_of(self, folder: Path, storage: CacheStorage, n: int, epoch: int = 0) -> Path:
        """The file of an entry."""
        cache: Any = FileSystemCache(str(folder), threshold=0)
        return Path(cache._get_filename(archive.entry_key(storage._log._now().lineage, epoch, n)))

    @pytest.mark.parametrize("content", [b"", b"\0" * 300, b"\0\0\0\0garbage"])
    def test_the_log_ends_before_the_first_broken_entry(self, folder: Path, content: bytes) -> None:
        """What came before is there; what is left of later entries is overwritten, and no longer in the way."""
        storage = self.on(folder)
        for n in range(10):
            fill(storage, f"{n}")
        self.file_of(folder, storage, 6).write_bytes(content)

        after = self.on(folder)
        assert sorted(ids(everything(after))) == [f"{n}" for n in range(6)]
        for n in range(20):
            fill(after, f"new {n}")
        assert len(everything(after)) == len(everything(self.on(folder))) == 26

    def test_a_broken_snapshot_is_replaced_by_the_one_before(self, folder: Path) -> None:
        """With all that came after it."""
        storage = self.on(folder)
        with mock.patch.multiple(log, EPOCH=10):
            while storage._log._now().epoch < 3:
                live_on(storage, 3, f"{storage._log._now().epoch}")
        before = state_of(storage)
        cache: Any = FileSystemCache(str(folder), threshold=0)
        pointer = json.loads(cache.get(archive.POINTER))
        Path(cache._get_filename(archive.snap_key(pointer[1], pointer[2], 0))).write_bytes(b"")
        assert state_of(self.on(folder)) == before


# Killed at random


def push_for_ever(pipe: Any, engine: Engine, who: str) -> None:
    """Push jobs, and tell of each once it is acknowledged."""
    storage = engine.open()
    with mock.patch.multiple(log, EPOCH=60, OVERDUE=200):
        for n in itertools.count():
            name = f"{who}.{n}"
            storage.push([new(name)])
            pipe.send(name)


def work_for_ever(pipe: Any, engine: Engine, worker: str) -> None:
    """Claim, tell that the job ran, and settle; keep house now and then."""
    storage = engine.open()
    settled: list[Settlement] = []
    wanted = Wanted(["q"], ["t"], 600_000, 1)
    with mock.patch.multiple(log, EPOCH=60, OVERDUE=200):
        for n in itertools.count():
            step = storage.step(worker, settled, wanted)
            for one in settled:
                pipe.send(("settled", one.id))
            for claim in step.claims:
                pipe.send(("ran", claim.id))
            settled = [Settlement(one.id, one.token, Status.COMPLETED, Outcome.COMPLETED) for one in step.claims]
            if n % 20 == 0:
                storage.maintain()
            if not step.claims:
                time.sleep(0.002)


@pytest.mark.slow
def test_processes_that_are_killed_at_random_lose_and_double_nothing(tmp_path: Path) -> None:
    """Every acknowledged push runs to its end; only what was in a dead process's hand runs again."""
    engine = FilesEngine(tmp_path)
    dice = random.Random(20260101)
    keeper = engine.open()
    pushed: set[str] = set()
    ran: Counter[str] = Counter()
    in_hands_of_the_dead: set[str] = set()
    for n in range(5):
        with (
            running(push_for_ever, engine, f"p{n}") as pusher,
            running(work_for_ever, engine, f"w{n}a") as one,
            running(work_for_ever, engine, f"w{n}b") as two,
        ):
            heard = [pusher.hear() for _ in range(dice.randrange(20, 60))]
            for process in dice.sample([pusher, one, two], 3):
                process.kill()
                time.sleep(dice.random() * 0.02)  # anywhere in what the others do next
            pushed.update(heard, pusher.hear_all())
            for name, worker in ((f"w{n}a", one), (f"w{n}b", two)):
                ran.update(job for what, job in worker.hear_all() if what == "ran")
                claims = keeper.claims_of(name)
                in_hands_of_the_dead.update(claim.id for claim in claims)
                keeper.step("keeper", [Settlement(c.id, c.token, Status.PENDING, Outcome.KILLED) for c in claims])
        assert state_of(engine.open()) == state_of(keeper)
    while claims := take(keeper):
        ran.update(ids(claims))
        complete(keeper, claims[0])

    done = {job.id for job in everything(keeper, statuses=[Status.COMPLETED])}
    assert pushed <= done
    assert keeper.counts().cells == counted(keeper)
    assert {job for job, times in ran.items() if times > 1} <= in_hands_of_the_dead
    assert state_of(keeper)[0][1] > 1, "no epoch has ended"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_goes_on_with_what_its_parent_knew(tmp_path: Path) -> None:
    """Parent and child write under names of their own, and behind locks of their own."""
    engine = FilesEngine(tmp_path)
    storage = engine.open()
    fill(storage, "before")
    children = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                for m in range(30):
                    fill(storage, f"{n}.{m}")
            finally:
                os._exit(0)
        children.append(pid)
    for m in range(30):
        fill(storage, f"parent.{m}")
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    assert storage.counts().statuses["pending"] == 121
    assert state_of(engine.open()) == state_of(storage)
