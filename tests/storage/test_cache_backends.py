"""What each flask-caching backend would do to jobs, and what is done about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import FileSystemSerializer, RedisSerializer
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import FileSystemCache
from flask_caching.backends.base import BaseCache

from flask_queues import Queues
from flask_queues.errors import ConfigError, StorageFull, StorageUnavailable
from flask_queues.record import Status
from flask_queues.storage import CacheStorage
from flask_queues.storage.cache.archive import POINTER
from flask_queues.storage.cache.backends import port_for
from flask_queues.storage.cache.files import FileLock
from flask_queues.storage.values import Severity
from flask_queues.testing.storage.contract import complete, everything, fill, ids, new, take_one, the
from flask_queues.testing.storage.processes import python


class DictCache(BaseCache):
    """A backend that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """The value."""
        return self.values.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value."""
        self.values[key] = value
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value where none is."""
        return self.values.setdefault(key, value) is value

    def delete(self, key: str) -> bool:
        """Delete a value."""
        return self.values.pop(key, None) is not None


class Opened:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


class PicklingCache(DictCache):
    """A backend that pickles, as all of cachelib's do."""

    def __init__(self, serializer: Any) -> None:
        super().__init__()
        self.serializer = serializer

    def get(self, key: str) -> Any:
        """The value."""
        return self.serializer.loads(self.values.get(key)) if key in self.values else None

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value."""
        self.values[key] = self.serializer.dumps(value)
        return True


class JsonSerializer:
    """One of an application's own."""

    dumps, loads = staticmethod(json.dumps), staticmethod(json.loads)


class Sieve(DictCache):
    """A backend that keeps nothing and does not say so."""

    def get(self, key: str) -> Any:
        """Nothing."""
        return None


def app_with(tmp_path: Path, **settings: Any) -> Queues:
    """Queues of an application with these settings."""
    app = Flask("shop", instance_path=str(tmp_path / "instance"))
    app.config |= settings
    return Queues(app)


def codes(storage: CacheStorage) -> dict[str, Severity]:
    """What an examination finds."""
    return {finding.code: finding.severity for finding in storage.examine()}


class TestThreshold:
    """Above it, a cache deletes what never expires first."""

    def test_files_are_never_deleted_by_the_cache(self, tmp_path: Path) -> None:
        """An application that only names the backend and the folder has no threshold."""
        settings = {"QUEUES_CACHE_TYPE": "FileSystemCache", "QUEUES_CACHE_DIR": str(tmp_path / "jobs")}
        storage = app_with(tmp_path, **settings).manager.storage
        for n in range(700):
            fill(storage, f"{n}")
        again = app_with(tmp_path, **settings).manager.storage
        assert again.counts().statuses["pending"] == 700
        assert not (tmp_path / "instance").exists()

    def test_simple_cache_deletes_nothing_either(self, tmp_path: Path) -> None:
        """Though it takes a threshold of 0 for 500."""
        manager = app_with(tmp_path, QUEUES_CACHE_TYPE="SimpleCache").manager
        for n in range(700):
            fill(manager.storage, f"{n}")
        reader = CacheStorage(port_for(manager.storage._port._backend))  # type: ignore[attr-defined]
        assert reader.counts().statuses["pending"] == 700

    def test_a_threshold_for_files_is_refused(self, tmp_path: Path) -> None:
        """With the setting to leave out; in a cache that was handed in, too."""
        settings = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path / "jobs")}
        queues = app_with(tmp_path, **{f"QUEUES_{key}": value for key, value in settings.items()},
                          QUEUES_CACHE_THRESHOLD=5000)  # fmt: skip
        with pytest.raises(ConfigError, match=r"threshold of 5000.*Leave QUEUES_CACHE_THRESHOLD out"):
            queues.manager.storage.counts()

        app = Flask("host")
        handed_in = Queues(app, cache=Cache(app, config=settings))
        with pytest.raises(ConfigError, match=r"threshold of 500.*set CACHE_THRESHOLD to 0"):
            handed_in.manager.storage.counts()


class TestForeignCode:
    """What somebody has put into a backend that pickles."""

    @pytest.mark.parametrize("serializer", [FileSystemSerializer, RedisSerializer])
    def test_is_not_run(self, tmp_path: Path, serializer: type) -> None:
        """Neither where a pickle stands alone nor where it is marked; what we store ourselves is read."""
        backend = PicklingCache(serializer())
        port, trace = port_for(backend), tmp_path / "it ran"
        port.put("ours", "text")
        backend.set("theirs", Opened(str(trace)))
        assert port.get("ours") == "text"
        assert port.get("nothing") is None
        with pytest.raises(StorageUnavailable, match="should be a text"):
            port.get("theirs")
        assert not trace.exists()

    def test_is_the_applications_own_matter_where_it_does_not_pickle(self) -> None:
        """A serializer of its own stays, and so does that of the cache which it handed in."""
        own, plain = PicklingCache(JsonSerializer()), PicklingCache(FileSystemSerializer())
        port_for(plain)
        assert port_for(own)._backend is own
        assert type(plain.serializer) is FileSystemSerializer


class TestFiles:
    """`FileSystemCache`."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the files are."""
        return tmp_path / "jobs"

    @pytest.fixture
    def storage(self, folder: Path) -> CacheStorage:
        """The storage in the folder."""
        return CacheStorage(port_for(FileSystemCache(str(folder), threshold=0)))

    def test_what_somebody_else_wrote_runs_no_code(self, storage: CacheStorage, folder: Path, tmp_path: Path) -> None:
        """A cache unpickles what it reads; of ours only texts are read, and the refusal names what was found."""
        trace = tmp_path / "it ran"
        storage._port.put(POINTER, Opened(str(trace)))  # type: ignore[arg-type]
        with pytest.raises(StorageUnavailable, match="open stands in a value that should be a text"):
            CacheStorage(port_for(FileSystemCache(str(folder), threshold=0))).counts()
        assert not trace.exists()

    def test_the_lock_is_beside_the_folder(self, storage: CacheStorage, folder: Path) -> None:
        """What is in the folder, the cache may delete."""
        fill(storage, "a")
        assert folder.with_name("jobs.lock").exists()
        assert "lock" not in {path.suffix for path in folder.iterdir()}

    def test_a_lock_whose_holder_hangs_is_waited_for_in_vain(self, tmp_path: Path, monkeypatch) -> None:
        """It is told in a sentence who that is, and the lock is free for all once he has let go."""
        monkeypatch.setattr("flask_queues.storage.sqlite.gate.PATIENCE", 0.2)
        holder, one, two = (FileLock(tmp_path / "lock") for _ in range(3))
        holder.take()
        for lock in (one, one, two):
            with pytest.raises(StorageUnavailable, match=f"held for 0.2 s by process {os.getpid()}"):
                lock.take()
        holder.free()
        monkeypatch.setattr("flask_queues.storage.sqlite.gate.PATIENCE", 60)
        for lock in (two, one, holder):
            lock.take()
            lock.free()

    def test_a_lock_that_was_deleted_is_made_again(self, tmp_path: Path) -> None:
        """Whoever still has the old one open takes the new one: two locks would be none."""
        one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
        one.take()
        one.free()
        (tmp_path / "lock").unlink()
        two.take()
        assert python(TRY_LOCK, tmp_path / "lock").strip() == "taken by another"
        two.free()
        one.take()
        assert python(TRY_LOCK, tmp_path / "lock").strip() == "taken by another"

    def test_a_full_disk_refuses_a_push_and_loses_nothing(self, tmp_path: Path) -> None:
        """On a file system of a megabyte: pushes until it is full, then the error."""
        disk = tmp_path / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        try:
            storage = CacheStorage(port_for(FileSystemCache(str(disk / "jobs"), threshold=0)))
            assert codes(storage)["files-disk-full"] is Severity.LOSES
            pushed: list[str] = []

            def push_on() -> None:
                for n in range(10_000):
                    storage.push([new(f"{n}", payload=json.dumps("x" * 500))])
                    pushed.append(f"{n}")

            with pytest.raises(StorageFull, match=r"No room left.*Free some space"):
                push_on()
            assert len(pushed) > 10
            assert sorted(ids(everything(storage))) == sorted(pushed)
            newcomer = CacheStorage(port_for(FileSystemCache(str(disk / "jobs"), threshold=0)))
            assert sorted(ids(everything(newcomer))) == sorted(pushed)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)

    def test_a_folder_that_is_gone_is_told(self, storage: CacheStorage, folder: Path) -> None:
        """Neither taken for an empty one, nor for lost jobs."""
        fill(storage, "a")
        away = folder.rename(folder.with_name("away"))
        for call in (storage.counts, lambda: fill(storage, "b")):
            with pytest.raises(StorageUnavailable, match=r"jobs is gone\. Put it back"):
                call()
        away.rename(folder)
        fill(storage, "c")
        assert sorted(ids(everything(storage))) == ["a", "c"]

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
    @pytest.mark.parametrize("mode", [0o600, 0o666])
    def test_files_of_another_user_are_never_written_over(self, mode: int) -> None:
        """They are read where their mode lets us; else it is said what to configure."""
        place = Path(tempfile.mkdtemp(prefix="queues-"))
        try:
            place.chmod(0o777)
            storage = CacheStorage(port_for(FileSystemCache(str(place / "jobs"), threshold=0, mode=mode)))
            fill(storage, "a")
            (place / "jobs").chmod(0o777)
            (place / "jobs.lock").chmod(0o666)
            said = python(AS_ANOTHER, place / "jobs", mode)
            if mode == 0o600:
                assert "cannot be read by this user" in said
                assert '"mode": 0o660' in said
                assert ids(everything(storage)) == ["a"]
            else:
                assert "done" in said
                assert sorted(ids(everything(storage))) == ["a", "b"]
        finally:
            shutil.rmtree(place)

    def test_what_it_promises_is_told(self, storage: CacheStorage) -> None:
        """In words, with the number of jobs that it is made for."""
        notes = {finding.code: finding.problem for finding in storage.examine()}
        assert "a power cut may lose what was pushed or done last" in notes["cache-promise"]
        assert "10,000" in notes["storage-load"]

    def test_too_many_jobs_are_told_and_still_taken(self, storage: CacheStorage) -> None:
        """With the engines that suit them."""
        assert codes(storage)["storage-load"] is Severity.NOTE
        for start in range(0, 10_001, 500):
            storage.push([new(f"{n}") for n in range(start, min(start + 500, 10_001))])
        (finding,) = [one for one in storage.examine() if one.code == "storage-load"]
        assert finding.severity is Severity.DELAYS
        assert "there are 10,001" in finding.problem
        assert "SQLiteCache" in finding.fix
        assert "Redis" in finding.fix
        fill(storage, "one more")
        assert the(storage, "one more").status is Status.PENDING


TRY_LOCK = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("taken by another")
else:
    print("free")
"""
AS_ANOTHER = """
import os, sys
from flask_caching.backends import FileSystemCache
from flask_queues.errors import StorageError
from flask_queues.storage import CacheStorage
from flask_queues.storage.values import NewJob
from flask_queues.storage.cache.backends import port_for
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
storage = CacheStorage(port_for(FileSystemCache(sys.argv[1], threshold=0, mode=int(sys.argv[2]))))
try:
    storage.push([NewJob("b", "q", "t", "{}")])
    print("done")
except StorageError as error:
    print(error)
"""


class TestSimpleCache:
    """`SimpleCache`."""

    def test_a_worker_process_says_that_it_would_wait_for_ever(self, tmp_path: Path) -> None:
        """And ends, with the way out."""
        queues = app_with(tmp_path, QUEUES_CACHE_TYPE="SimpleCache")
        result = queues.manager.app.test_cli_runner().invoke(args=["queues", "work"])
        assert result.exit_code != 0
        said = result.output + str(result.exception or "")
        assert "is private to one process: a worker would wait for ever. Use the default storage, or Redis." in said

    def test_it_serves_the_threads_of_its_process(self, tmp_path: Path) -> None:
        """For development and tests."""
        queues = app_with(tmp_path, QUEUES_CACHE_TYPE="SimpleCache")
        storage = queues.manager.storage
        fill(storage, "a")
        assert complete(storage, take_one(storage)).lost == []
        assert not storage.shared
        assert "loses everything with its process" in storage.examine()[0].problem


class TestOthers:
    """Backends that nobody here has seen."""

    def test_a_backend_that_can_add_holds_jobs_and_says_what_is_not_known(self) -> None:
        """Whether its add is atomic cannot be tried."""
        cache = DictCache()
        storage = CacheStorage(port_for(cache))
        fill(storage, "a")
        complete(storage, take_one(storage))
        assert the(CacheStorage(port_for(cache)), "a").status is Status.COMPLETED
        (finding,) = [one for one in storage.examine() if one.code == "cache-add-unproved"]
        assert finding.severity is Severity.DOUBLES
        assert "DictCache.add" in finding.problem

    def test_a_backend_that_keeps_nothing_is_refused(self) -> None:
        """However it is named."""
        storage = CacheStorage(port_for(Sieve()))
        for call in (storage.counts, lambda: fill(storage, "a")):
            with pytest.raises(ConfigError, match=r"jobs cannot be kept in the Sieve.*Use flask_queues\.SQLiteCache"):
                call()

    def test_null_cache_is_refused(self, tmp_path: Path) -> None:
        """By name, so that nothing is tried."""
        queues = app_with(tmp_path, QUEUES_CACHE_TYPE="NullCache", QUEUES_CACHE_NO_NULL_WARNING=True)
        with pytest.raises(ConfigError, match="jobs cannot be kept in NullCache"):
            queues.manager.storage.counts()

    def test_an_error_of_the_backend_is_the_storage_s(self) -> None:
        """With its words; nothing is changed."""

        class Broken(DictCache):
            broken = False

            def set(self, key: str, value: Any, timeout: Any = None) -> bool:
                if self.broken:
                    raise OSError("the moon is full.")
                return super().set(key, value, timeout)

            def add(self, key: str, value: Any, timeout: Any = None) -> bool:
                return self.set(key, value, timeout)

        cache = Broken()
        storage = CacheStorage(port_for(cache))
        fill(storage, "a")
        cache.broken = True
        with pytest.raises(StorageUnavailable, match=r"The Broken cannot be used now: the moon is full\.$"):
            fill(storage, "b")
        cache.broken = False
        fill(storage, "c")
        assert sorted(ids(everything(storage))) == ["a", "c"]
