"""Where an application's jobs are kept: in a flask-caching cache of our own or handed in, or in its own storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cachelib.redis import RedisCache
from flask import Flask
from flask_caching import Cache

from .config import Config, shortened
from .errors import ConfigError, QueuesError
from .storage import Storage, storage_for
from .storage.custom import custom_storage
from .storage.sealed import sealed

DEFAULT_TYPE = "flask_queues.SQLiteCache"


def storage_of(app: Flask, config: Config, cache: Cache | None = None) -> Storage:
    """Make the storage that an application's configuration names."""
    storage = open_storage(app, config, cache)
    return sealed(storage, config.encryption_keys) if config.encryption_keys else storage


def open_storage(app: Flask, config: Config, cache: Cache | None) -> Storage:
    """Make it as it is without encryption."""
    if config.storage is not None:
        return custom_storage(config.storage, app)
    backend = backend_of(app, cache) if cache is not None else build_backend(app, config.cache)
    if cache is not None:
        refuse_unprefixed(backend)
    storage = storage_for(backend, owner=app.name, wait=config.redis_wait)
    storage.backend = backend
    return storage


def refuse_unprefixed(backend: Any) -> None:
    """Refuse a cache of the application's whose `clear()` empties the whole database of a Redis, jobs and all."""
    if isinstance(backend, RedisCache) and not backend._get_prefix():
        raise ConfigError(
            "The cache given to Queues has no CACHE_KEY_PREFIX: its `clear()` would empty the whole database, jobs and "
            'all. Set CACHE_KEY_PREFIX, such as "pages:", or give the jobs a cache of their own with QUEUES_CACHE_*.'
        )


def build_backend(app: Flask, settings: dict[str, Any]) -> Any:
    """Build the backend that `QUEUES_CACHE_*` asks for.

    The cache is made on a bare application whose configuration holds only our keys: flask-caching
    starts from the whole `app.config`, so the host's own `CACHE_*` would lead to its page cache.
    """
    bare = Flask(app.import_name, instance_path=app.instance_path)
    bare.config.clear()
    if str(settings.get("CACHE_TYPE")).endswith("FileSystemCache"):
        bare.config["CACHE_DIR"] = str(Path(app.instance_path) / "queues")
    bare.config |= {
        "CACHE_TYPE": DEFAULT_TYPE,
        "CACHE_DEFAULT_TIMEOUT": 0,
        "CACHE_THRESHOLD": 0,
        "CACHE_KEY_PREFIX": f"queues:{app.name}:",
        "CACHE_NO_NULL_WARNING": True,  # it is refused
        **{key: value for key, value in settings.items() if value is not None},
    }
    cache = Cache(with_jinja2_ext=False)
    try:
        cache.init_app(bare)
    except Exception as error:
        raise failure(bare.config["CACHE_TYPE"], error, secrets_in(settings)) from error
    return backend_of(bare, cache)


def secrets_in(settings: dict[str, Any]) -> list[str]:
    """What no message may repeat."""
    options = settings.get("CACHE_OPTIONS") or {}
    found = [settings.get("CACHE_REDIS_URL"), *(value for key, value in settings.items() if key.endswith("PASSWORD"))]
    found += [urlsplit(str(found[0])).password, *(value for key, value in options.items() if "password" in str(key))]
    return [str(one) for one in found if one]


def failure(kind: str, error: Exception, secrets: Sequence[str] = ()) -> QueuesError:
    """Say why a cache cannot be made: some connect at once, so it may be that nobody answers."""
    if isinstance(error, ImportError) or "import_string" in str(error):
        return not_importable(kind, error)
    if type(error).__module__.startswith("redis."):
        from .storage.redis.sentences import translate  # only where there is a redis

        return translate(error, f"The server of QUEUES_CACHE_TYPE = {kind!r}")
    why = str(error).strip().partition("\n")[0].rstrip(".:")
    if any(secret in why for secret in secrets):
        why = f"a {type(error).__name__} in one of its QUEUES_CACHE_* keys"
    return ConfigError(f"The cache of QUEUES_CACHE_TYPE = {shortened(kind)} cannot be made: {why}.")


def not_importable(kind: str, error: Exception) -> ConfigError:
    """Say that there is no such backend, or what it needs that is not installed."""
    missing, kind = getattr(error, "name", None) or "", shortened(kind)
    if missing and missing.split(".")[0] not in kind:
        return ConfigError(f"QUEUES_CACHE_TYPE = {kind} needs the package {missing}, which is not installed.")
    return ConfigError(
        f"QUEUES_CACHE_TYPE = {kind} names nothing that can be imported. Take a backend of flask-caching, such as "
        "RedisCache, or flask_queues.SQLiteCache, the default."
    )


def backend_of(app: Flask, cache: Cache) -> Any:
    """Return the backend object of a cache that was initialised on this application."""
    backend = app.extensions.get("cache", {}).get(cache)
    if backend is None:
        raise ConfigError("The cache given to Queues was not initialised on this application: call cache.init_app.")
    return backend
