"""The keys for flask-caching: what may be given as text, and a sentence with key and rule for what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues import ConfigError, Queues
from flask_queues.config import CACHE_KEYS, Config
from flask_queues.config.cachekeys import CHECKS

SECRET = "hunter2"


def read(**settings: Any) -> dict[str, Any]:
    """What the backend is given."""
    return Config.read({f"QUEUES_CACHE_{name}": value for name, value in settings.items()}).cache


@pytest.mark.parametrize(
    ("key", "given", "read_as"),
    [
        ("REDIS_PORT", "6379", 6379),
        ("REDIS_DB", "3", 3),
        ("DEFAULT_TIMEOUT", "300", 300),
        ("IGNORE_ERRORS", "false", False),
        ("REDIS_SENTINELS", "10.0.0.1:26379, [::1]:26380", [("10.0.0.1", 26379), ("::1", 26380)]),
        ("REDIS_SENTINELS", ["10.0.0.1:26379"], [("10.0.0.1", 26379)]),
        ("REDIS_SENTINELS", [["10.0.0.1", "26379"]], [("10.0.0.1", 26379)]),
        ("REDIS_CLUSTER", ["10.0.0.1:6379", "10.0.0.2:6379"], "10.0.0.1:6379,10.0.0.2:6379"),
        ("MEMCACHED_SERVERS", "10.0.0.1:11211,10.0.0.2:11211", ["10.0.0.1:11211", "10.0.0.2:11211"]),
        ("REDIS_URL", "rediss://me:a%23b@10.0.0.1:6379/2?ssl_cert_reqs=none", None),
        ("REDIS_URL", "unix:///run/redis.sock?db=1", None),
        ("KEY_PREFIX", "shop:", None),
        ("REDIS_PASSWORD", None, None),
    ],
)
def test_what_is_given_as_text_just_works(key, given, read_as):
    """As it comes from the environment; the backend gets what it wants."""
    assert read(**{key: given})[f"CACHE_{key}"] == (given if read_as is None else read_as)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("TYPE", 5, "a text"),
        ("ARGS", 5, "a list"),
        ("OPTIONS", "x", "a dict"),
        ("DEFAULT_TIMEOUT", "soon", "a whole number"),
        ("THRESHOLD", -1, "a whole number"),
        ("IGNORE_ERRORS", "maybe", "True or False"),
        ("KEY_PREFIX", 5, "without spaces"),
        ("KEY_PREFIX", "a\tb\n c", "without spaces"),
        ("DIR", "", "the path of a folder"),
        ("DIR", 5, "the path of a folder"),
        ("REDIS_HOST", 5, "a host"),
        ("REDIS_HOST", "10.0.0.1:6379", "QUEUES_CACHE_REDIS_PORT"),
        ("REDIS_HOST", f"redis://:{SECRET}@10.0.0.1", "QUEUES_CACHE_REDIS_URL"),
        ("REDIS_PORT", "abc", "a whole number from 1 to 65,535"),
        ("REDIS_PORT", True, "a whole number"),
        ("REDIS_DB", "x", "a whole number"),
        ("REDIS_PASSWORD", SECRET.encode(), "a text"),
        ("REDIS_SENTINELS", "10.0.0.1", "a list of pairs"),
        ("REDIS_SENTINELS", [("10.0.0.1", "x")], "a list of pairs"),
        ("REDIS_SENTINELS", 5, "a list of pairs"),
        ("REDIS_SENTINEL_MASTER", "", "a text"),
        ("REDIS_CLUSTER", "10.0.0.1", "10.0.0.1:26379,10.0.0.2:26379"),
        ("MEMCACHED_SERVERS", 5, "a list"),
        ("MEMCACHED_SERVERS", [("10.0.0.1", 11211)], "a list"),
        ("REDIS_URL", f"redis://:{SECRET}#x@10.0.0.1:6379/0", "# as %23"),
        ("REDIS_URL", f"redis://:{SECRET}/x@10.0.0.1:6379/0", "/ as %2F"),
        ("REDIS_URL", f"redis://:{SECRET}?x@10.0.0.1:6379/0", "? as %3F"),
        ("REDIS_URL", f"http://:{SECRET}@10.0.0.1", "redis://"),
        ("REDIS_URL", f"redis://:{SECRET}@[::1", "redis://"),
        ("REDIS_URL", f"redis://:{SECRET}@10.0.0.1/abc", "the number of a database"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(key, value, says):
    """It names the key and what is allowed, and never repeats what may be a secret."""
    with pytest.raises(ConfigError) as raised:
        read(**{key: value})
    said = str(raised.value)
    assert said.startswith(f"QUEUES_CACHE_{key} ")
    assert says in said
    assert SECRET not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "QUEUES_CACHE_REDIS_CLUSTER"),
        ({"REDIS_CLUSTER": "10.0.0.1:6379", "REDIS_DB": 3}, "QUEUES_CACHE_REDIS_DB asks for database 3"),
        ({"REDIS_URL": f"redis://:{SECRET}@10.0.0.1/3"}, "QUEUES_CACHE_REDIS_URL asks for database 3"),
    ],
)
def test_a_cluster_has_nodes_and_one_database(settings, says):
    """What another key asks for and a cluster has not is refused."""
    with pytest.raises(ConfigError, match=says) as raised:
        read(TYPE="RedisClusterCache", **settings)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("nonsense.Foo", "'nonsense.Foo' names nothing that can be imported"),
        ("Nonsense", "'Nonsense' names nothing that can be imported"),
        ("os.path", "'os.path' cannot be made"),
        ("NullCache", "NullCache, which stores nothing"),
    ],
)
def test_a_backend_that_is_none(tmp_path: Path, kind, says):
    """The first use says so, in one line and without a warning of Python's."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_CACHE_TYPE"] = kind
    queues = Queues(app)
    with app.app_context(), pytest.raises(ConfigError, match=says) as raised:
        queues.counts()
    assert "\n" not in str(raised.value)


def test_what_a_backend_says_repeats_no_password(tmp_path: Path):
    """Whatever it complains of."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(QUEUES_CACHE_TYPE="RedisCache", QUEUES_CACHE_OPTIONS={"password": SECRET, SECRET: 1})
    queues = Queues(app)
    with app.app_context(), pytest.raises(ConfigError, match="cannot be made") as raised:
        queues.counts()
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("key", ["QUEUES_CACHE_TYPE", "QUEUES_STORAGE"])
def test_an_address_in_the_wrong_key_is_told_without_its_password(tmp_path: Path, key: str):
    """As other products have it."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config[key] = f"redis://ann:{SECRET}@cache:6379/0"
    with pytest.raises(ConfigError, match="://…@cache:6379/0") as raised:
        Queues(app).manager.counts()
    assert SECRET not in str(raised.value)


def test_every_key_that_is_checked_is_known():
    """So that a misspelt one is not taken for it."""
    assert CHECKS.keys() <= CACHE_KEYS
