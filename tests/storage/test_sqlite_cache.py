"""SQLiteCache as what it says it is: a complete backend of flask-caching, shared by all processes."""

from __future__ import annotations

import itertools
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_caching import Cache

from flask_queues import SQLiteCache
from flask_queues.storage.sqlite import cache as cache_module
from flask_queues.testing.storage.processes import python, together


class Time:
    """The time of day as the cache sees it."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """A clock that stands still until it is told to move on."""
    clock = Time()
    monkeypatch.setattr(cache_module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SQLiteCache]:
    """A cache in a folder."""
    made = SQLiteCache(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def host(tmp_path: Path) -> Flask:
    """An application that caches in its instance folder."""
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config |= {"CACHE_TYPE": "flask_queues.SQLiteCache", "CACHE_KEY_PREFIX": "pages:"}
    return app


@pytest.fixture
def cache(host: Flask) -> Iterator[Cache]:
    """Its cache, in its context."""
    made = Cache(host)
    with host.app_context():
        yield made
        made.cache.database.close()  # type: ignore[attr-defined]


def rows(folder: Path) -> int:
    """How many entries the file holds."""
    with closing(sqlite3.connect(folder / cache_module.FILE_NAME)) as connection:
        n: int = connection.execute("SELECT count(*) FROM cache").fetchone()[0]
    return n


class TestWithFlaskCaching:
    """What an application does with its Cache."""

    def test_it_lies_in_the_instance_folder(self, host: Flask, cache: Cache, tmp_path: Path) -> None:
        """Or where CACHE_DIR says."""
        cache.set("key", "value")
        assert (tmp_path / "instance" / "queues.sqlite3").exists()
        other = Cache(host, config={"CACHE_TYPE": "flask_queues.SQLiteCache", "CACHE_DIR": str(tmp_path / "dir")})
        other.set("key", "other")
        assert (tmp_path / "dir" / "queues.sqlite3").exists()
        assert cache.get("key") == "value"
        assert other.get("key") == "other"
        other.cache.database.close()  # type: ignore[attr-defined]

    def test_a_cached_view_runs_once(self, host: Flask, cache: Cache, time: Time) -> None:
        """Until its time is over, or the cache is cleared; each query string for itself where asked."""
        calls = itertools.count(1)

        @host.route("/")
        @cache.cached(timeout=50, query_string=True)
        def view() -> str:
            return f"call {next(calls)}"

        client = host.test_client()
        assert [client.get("/?a=1").text for _ in range(3)] == ["call 1"] * 3
        assert client.get("/?a=2").text == "call 2"
        time.pass_by(51)
        assert [client.get("/?a=1").text for _ in range(2)] == ["call 3"] * 2
        cache.clear()
        assert client.get("/?a=1").text == "call 4"

    def test_memoized_functions_are_forgotten_one_by_one(self, cache: Cache) -> None:
        """`delete_memoized` for one call, or for all of a function; None is kept where asked."""
        calls: list[Any] = []

        @cache.memoize()
        def double(n: int) -> int:
            calls.append(n)
            return 2 * n

        @cache.memoize(cache_none=True)
        def nothing(n: int) -> None:
            calls.append(f"nothing {n}")

        assert [double(1), double(2), double(1), double(2)] == [2, 4, 2, 4]
        assert calls == [1, 2]
        cache.delete_memoized(double, 1)
        assert [double(1), double(2)] == [2, 4]
        assert calls == [1, 2, 1]
        cache.delete_memoized(double)
        assert [double(1), double(2)] == [2, 4]
        assert calls == [1, 2, 1, 1, 2]
        assert [nothing(1), nothing(1)] == [None, None]
        assert calls[5:] == ["nothing 1"]

    def test_every_method_of_a_cache_works(self, cache: Cache) -> None:
        """get, set, add, has, delete, their forms for many, unlink and get_dict."""
        assert cache.set("a", {"x": [1, None]})
        assert cache.set_many({"b": 2, "c": 3}) == ["b", "c"]
        assert cache.get("a") == {"x": [1, None]}
        assert cache.get_many("a", "missing", "c") == [{"x": [1, None]}, None, 3]
        assert cache.get_dict("b", "missing") == {"b": 2, "missing": None}
        assert cache.has("a")
        assert not cache.has("missing")
        assert cache.add("a", "other") is False
        assert cache.add("d", "new") is True
        assert cache.delete("d") is True
        assert cache.delete("d") is False
        assert cache.delete_many("b", "missing", "c") == ["b", "missing", "c"]
        assert cache.get_many("b", "c") == [None, None]
        cache.unlink("a")
        assert not cache.has("a")
        assert cache.clear() is True

    def test_prefixes_keep_caches_apart(self, tmp_path: Path) -> None:
        """In one file: the same key twice, and clear empties one of them."""
        caches = [SQLiteCache(tmp_path, key_prefix=prefix) for prefix in ("one:", "one%", "two:", "")]
        for cache in caches:
            cache.set("key", cache._prefix)
        assert [cache.get("key") for cache in caches] == ["one:", "one%", "two:", ""]
        caches[0].clear()
        assert [cache.get("key") for cache in caches] == [None, "one%", "two:", ""]
        caches[1].clear()
        assert [cache.get("key") for cache in caches] == [None, None, "two:", ""]
        caches[3].clear()
        assert [cache.get("key") for cache in caches] == [None] * 4
        for cache in caches:
            cache.database.close()

    def test_options_reach_the_backend(self, host: Flask, tmp_path: Path) -> None:
        """CACHE_DEFAULT_TIMEOUT, and what CACHE_ARGS and CACHE_OPTIONS give."""
        host.config |= {"CACHE_DEFAULT_TIMEOUT": 7, "CACHE_OPTIONS": {"key_prefix": "options:"}}
        cache = Cache(host)
        with host.app_context():
            cache.set("key", "value")
            backend: Any = cache.cache
            backend.database.close()
        assert backend.default_timeout == 7
        again = SQLiteCache(tmp_path / "instance", key_prefix="options:")
        assert again.get("key") == "value"
        again.database.close()


class TestTimeouts:
    """How long a value stays."""

    @pytest.mark.parametrize("timeout", [20, timedelta(seconds=20), timedelta(seconds=19, milliseconds=1)])
    def test_a_value_is_gone_after_its_timeout(self, backend: SQLiteCache, time: Time, timeout: Any) -> None:
        """Not a second before; a part of a second counts as one."""
        backend.set("set", 1, timeout)
        backend.set_many({"many": 2}, timeout)
        backend.add("add", 3, timeout)
        keys = ("set", "many", "add")
        time.pass_by(19.5)
        assert backend.get_many(*keys) == [1, 2, 3]
        assert all(backend.has(key) for key in keys)
        time.pass_by(0.6)
        assert backend.get_many(*keys) == [None] * 3
        assert not any(backend.has(key) for key in keys)
        assert backend.delete("set") is False

    @pytest.mark.parametrize("timeout", [0, timedelta()])
    def test_no_timeout_is_for_ever(self, backend: SQLiteCache, time: Time, timeout: Any) -> None:
        """0 never expires."""
        backend.set("key", "value", timeout)
        time.pass_by(1e9)
        assert backend.get("key") == "value"

    @pytest.mark.parametrize("default", [100, timedelta(seconds=100), 0])
    def test_none_is_the_default(self, tmp_path: Path, time: Time, default: Any) -> None:
        """What the cache was made with, in seconds or as a timedelta; 0 there is for ever too."""
        backend = SQLiteCache(tmp_path, default_timeout=default)
        backend.set("a", 1)
        backend.set("b", 1, None)
        backend.add("c", 1)
        time.pass_by(99)
        assert backend.get_many("a", "b", "c") == [1, 1, 1]
        time.pass_by(2)
        assert backend.get_many("a", "b", "c") == [None if default else 1] * 3
        backend.database.close()

    def test_the_place_of_an_expired_value_is_free(self, backend: SQLiteCache, time: Time) -> None:
        """`add` and `inc` begin anew."""
        backend.set("a", "old", 5)
        backend.set("n", 40, 5)
        time.pass_by(6)
        assert backend.add("a", "new") is True
        assert backend.inc("n") == 1

    def test_a_number_keeps_its_time(self, backend: SQLiteCache, time: Time) -> None:
        """`inc` does not put off the end of what it adds to."""
        backend.set("n", 1, 10)
        time.pass_by(9)
        assert backend.inc("n") == 2
        time.pass_by(2)
        assert backend.get("n") is None

    def test_expired_values_leave_the_file(self, backend: SQLiteCache, time: Time, tmp_path: Path) -> None:
        """With the next write, whatever it is about."""
        backend.set_many({f"{n}": n for n in range(50)}, 5)
        backend.set("stays", 1, 0)
        time.pass_by(6)
        backend.set("key", "value")
        assert rows(tmp_path) == 2

    def test_nothing_is_evicted_before_its_time(self, backend: SQLiteCache, time: Time) -> None:
        """However many there are."""
        many = {f"{n}": n for n in range(3000)}
        backend.set_many(many, 0)
        assert backend.get_dict(*many) == many


class TestValues:
    """What can be kept."""

    @pytest.mark.parametrize("key", ["key", "Schlüssel 🔑", "nul\x00a", "x" * 2000, "%_'\"", ""])
    def test_any_text_is_a_key(self, backend: SQLiteCache, key: str) -> None:
        """And none is taken for another."""
        backend.set(key, 1)
        backend.set(key + "\x00", 2)
        assert backend.get_many(key, key + "\x00") == [1, 2]
        backend.delete(key)
        assert backend.get_many(key, key + "\x00") == [None, 2]

    def test_none_is_a_value(self, backend: SQLiteCache) -> None:
        """It is there, although get cannot tell."""
        backend.set("key", None)
        assert backend.get("key") is None
        assert backend.has("key")
        assert backend.add("key", 1) is False

    def test_a_value_that_cannot_be_pickled_is_an_error_and_stores_nothing(self, backend: SQLiteCache) -> None:
        """As in any backend, the pickle error goes to the caller; of many values, none is stored."""
        with pytest.raises((pickle.PickleError, AttributeError, TypeError)):
            backend.set_many({"a": 1, "b": lambda: None})
        assert not backend.has("a")

    def test_another_serializer_may_be_set(self, backend: SQLiteCache, tmp_path: Path) -> None:
        """Then nothing is pickled."""
        backend.serializer = JSONSerializer()
        backend.set("key", {"a": [1, "ü"]})
        assert backend.get("key") == {"a": [1, "ü"]}
        assert backend.inc("n", 3) == 3
        assert backend.get("n") == 3


def add_all(folder: Path, worker: int, keys: list[str]) -> list[str]:
    """Add every key; returns those that this process won."""
    cache = SQLiteCache(folder)
    won = [key for key in keys if cache.add(key, worker)]
    cache.database.close()
    return won


def count_up_and_down(folder: Path, times: int) -> None:
    """Add 3 and subtract 1, so many times."""
    cache = SQLiteCache(folder)
    for _ in range(times):
        cache.inc("n", 3)
        cache.dec("n")
    cache.database.close()


class TestBetweenProcesses:
    """One file, many processes."""

    def test_add_has_one_winner(self, tmp_path: Path) -> None:
        """Of processes that add the same key, exactly one is told that it did, and its value is there."""
        keys = [f"{n}" for n in range(200)]
        won = together(add_all, *[(tmp_path, worker, keys) for worker in range(3)])
        assert sorted(itertools.chain(*won)) == sorted(keys)
        cache = SQLiteCache(tmp_path)
        for worker, mine in enumerate(won):
            assert set(cache.get_many(*mine)) <= {worker}
        cache.database.close()

    def test_no_step_of_a_counter_is_lost(self, tmp_path: Path) -> None:
        """`inc` and `dec` are one step each, whoever else counts."""
        together(count_up_and_down, *[(tmp_path, 100)] * 3)
        cache = SQLiteCache(tmp_path)
        assert cache.get("n") == 3 * 100 * 2
        cache.database.close()

    def test_a_value_is_seen_by_other_processes_and_after_a_fork(self, tmp_path: Path) -> None:
        """Each opens the file for itself."""
        told = python(
            """
import os, sys
from flask_queues import SQLiteCache
cache = SQLiteCache(sys.argv[1])
cache.set("before", 1)
if (pid := os.fork()) == 0:
    cache.set("child", cache.get("before") + 1)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
cache.set("after", 3)
print(cache.get_many("before", "child", "after"))
""",
            tmp_path,
        )
        assert told == "[1, 2, 3]\n"
        cache = SQLiteCache(tmp_path)
        assert cache.get_many("before", "child", "after") == [1, 2, 3]
        cache.database.close()
