"""The keys for flask-caching, `QUEUES_CACHE_*`: what each takes, and its value as the backends want it.

Values may come from the environment, so a number or a list may be given as text. No message shows a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigError

PLACE = re.compile(r"(?P<host>[^\s:,/@]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
URL_FORMS = "redis://user:password@host:6379/0, rediss://… or unix:///path/to/redis.sock"
ENCODED = "Special characters in user and password must be percent-encoded: # as %23, / as %2F, ? as %3F, @ as %40."
FLAGS = {"true": True, "1": True, "false": False, "0": False}


def check_cache_value(key: str, value: Any) -> Any:
    """Return the value of a key as its backend wants it, or raise `ConfigError` that says what is allowed.

    None stands for the default of any key.
    """
    check = CHECKS.get(key.removeprefix("QUEUES_"))
    return value if check is None or value is None else check(key, value)


def check_cache_together(settings: dict[str, Any]) -> None:
    """Raise `ConfigError` where one key does not go with another."""
    if str(settings.get("CACHE_TYPE")).endswith("RedisClusterCache"):
        url = settings.get("CACHE_REDIS_URL")
        if not url and not settings.get("CACHE_REDIS_CLUSTER"):
            raise ConfigError(
                "QUEUES_CACHE_TYPE is RedisClusterCache, and no node of the cluster is named: set "
                'QUEUES_CACHE_REDIS_CLUSTER, such as "10.0.0.1:6379,10.0.0.2:6379".'
            )
        for key, number in (
            ("QUEUES_CACHE_REDIS_DB", settings.get("CACHE_REDIS_DB")),
            ("QUEUES_CACHE_REDIS_URL", url and urlsplit(url).path.strip("/")),
        ):
            if int(number or 0):
                raise ConfigError(f"{key} asks for database {number}, but a Redis Cluster has database 0 alone.")


def refused(key: str, value: Any, allowed: str) -> ConfigError:
    """Say what a key takes."""
    text = repr(value)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return ConfigError(f"{key} = {shown} is not allowed: it takes {allowed}.")


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """Return a check for a whole number in this range, given as such or as text."""

    def check(key: str, value: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()) else value
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise refused(key, value, f"a whole number from {low} to {high:,}")
        return number

    return check


def check_timeout(key: str, value: Any) -> Any:
    """Return seconds, or a timedelta."""
    return value if hasattr(value, "total_seconds") else whole(0, 10**12)(key, value)


def check_flag(key: str, value: Any) -> bool:
    """Return True or False."""
    found = FLAGS.get(str(value).lower())
    if found is None:
        raise refused(key, value, "True or False")
    return found


def check_text(key: str, value: Any) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise refused(key, value, "a text that is not empty")
    return value


def check_secret(key: str, value: Any) -> str:
    """Return a text; what it is instead is not shown."""
    if not isinstance(value, str):
        raise ConfigError(f"{key} is of type {type(value).__name__}: it takes a text.")
    return value


def check_prefix(key: str, value: Any) -> Any:
    """Return what keys begin with: a text, or a function that makes it."""
    if callable(value):
        return value
    if not isinstance(value, str) or not value.isprintable() or " " in value or len(value) > 200:
        raise refused(key, value, "up to 200 characters without spaces, tabs or line breaks")
    return value


def check_dir(key: str, value: Any) -> Any:
    """Return a folder."""
    if not isinstance(value, (str, os.PathLike)) or not str(value) or "\0" in str(value):
        raise refused(key, value, "the path of a folder")
    return value


def check_options(key: str, value: Any) -> Any:
    """Return options of the backend's client, which may hold secrets."""
    if not isinstance(value, dict):
        raise ConfigError(f"{key} is of type {type(value).__name__}: it takes a dict of options of the backend.")
    return value


def check_arguments(key: str, value: Any) -> Any:
    """Return arguments of the backend, which may hold secrets."""
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{key} is of type {type(value).__name__}: it takes a list of arguments of the backend.")
    return value


def check_host(key: str, value: Any) -> Any:
    """Return a host, or a client that somebody has made."""
    if hasattr(value, "execute_command"):
        return value
    allowed = "the name or the address of a host"
    if isinstance(value, str) and "://" in value:
        raise ConfigError(f"{key} is a URL: it takes {allowed}. Set QUEUES_CACHE_REDIS_URL instead.")
    if isinstance(value, str) and PLACE.fullmatch(value):
        raise refused(key, value, f"{allowed}; the port has a key of its own, QUEUES_CACHE_REDIS_PORT")
    if not isinstance(value, str) or not re.fullmatch(r"[^\s/@]+", value):
        raise refused(key, value, allowed)
    return value


def check_url(key: str, value: Any) -> str | None:
    """Return the URL of a Redis; of one that cannot be read nothing is shown, since a password may be anywhere."""
    if not value:
        return None
    if not isinstance(value, str):
        raise ConfigError(f"{key} is of type {type(value).__name__}: it takes a text such as {URL_FORMS}.")
    numbers: list[str] = []
    try:
        parts = urlsplit(value)
        numbers = [parts.path.strip("/"), *parse_qs(parts.query).get("db", [])]
        readable = parts.scheme in ("redis", "rediss", "unix") and not parts.fragment and value.isprintable()
        if parts.scheme == "unix":
            numbers.pop(0)
        elif parts.port == 0 or not parts.hostname:
            readable = False
    except ValueError:
        readable = False
    if not readable:
        raise ConfigError(f"{key} cannot be read: it takes {URL_FORMS}. {ENCODED}")
    if any(number and not number.isdecimal() for number in numbers):
        raise ConfigError(f"{key} does not end in the number of a database: it takes {URL_FORMS}. {ENCODED}")
    return value


def check_places(key: str, value: Any) -> list[tuple[str, int]]:
    """Return hosts with their ports, given as pairs, as texts or as one text with commas."""
    given = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    allowed = 'a list of pairs such as [("10.0.0.1", 26379)], or a text such as "10.0.0.1:26379,10.0.0.2:26379"'
    if not isinstance(given, (list, tuple)) or not given:
        raise refused(key, value, allowed)
    return [read_place(key, one, value, allowed) for one in given]


def read_place(key: str, one: Any, value: Any, allowed: str) -> tuple[str, int]:
    """Read a host with its port."""
    pair = tuple(one) if isinstance(one, (list, tuple)) else ()
    if isinstance(one, str) and (found := PLACE.fullmatch(one)):
        pair = (found["host"].strip("[]"), found["port"])
    if len(pair) != 2 or not isinstance(pair[0], str) or not pair[0]:
        raise refused(key, value, allowed)
    try:
        return pair[0], whole(1, 65_535)(key, pair[1])
    except ConfigError:
        raise refused(key, value, allowed) from None


def check_cluster(key: str, value: Any) -> str:
    """Return the nodes of a cluster as one text, as flask-caching wants them."""
    if not value:
        return ""
    return ",".join(f"{host}:{port}" for host, port in check_places(key, value))


def check_memcached(key: str, value: Any) -> Any:
    """Return servers of memcached, or a client that somebody has made."""
    if hasattr(value, "get_multi"):
        return value
    given = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    good = isinstance(given, (list, tuple)) and all(isinstance(one, str) and one.strip() for one in given)
    if not good or not given:
        raise refused(key, value, 'a list such as ["127.0.0.1:11211"], or a text with commas')
    return list(given)


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "CACHE_TYPE": check_text,
    "CACHE_ARGS": check_arguments,
    "CACHE_OPTIONS": check_options,
    "CACHE_DEFAULT_TIMEOUT": check_timeout,
    "CACHE_IGNORE_ERRORS": check_flag,
    "CACHE_THRESHOLD": whole(0, 10**12),
    "CACHE_KEY_PREFIX": check_prefix,
    "CACHE_DIR": check_dir,
    "CACHE_NO_NULL_WARNING": check_flag,
    "CACHE_SOURCE_CHECK": check_flag,
    "CACHE_MEMCACHED_SERVERS": check_memcached,
    "CACHE_MEMCACHED_USERNAME": check_secret,
    "CACHE_MEMCACHED_PASSWORD": check_secret,
    "CACHE_REDIS_HOST": check_host,
    "CACHE_REDIS_PORT": whole(1, 65_535),
    "CACHE_REDIS_PASSWORD": check_secret,
    "CACHE_REDIS_DB": whole(0, 1_000_000),
    "CACHE_REDIS_URL": check_url,
    "CACHE_REDIS_SENTINELS": check_places,
    "CACHE_REDIS_SENTINEL_MASTER": check_text,
    "CACHE_REDIS_SENTINEL_PASSWORD": check_secret,
    "CACHE_REDIS_CLUSTER": check_cluster,
}
