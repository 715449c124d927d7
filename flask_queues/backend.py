"""Where an application's jobs are kept: in a flask-caching cache of our own or handed in, or in its own storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_caching import Cache

from .config import Config
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
    return storage_for(backend, owner=app.name, wait=config.redis_wait)


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
        **settings,
    }
    cache = Cache(with_jinja2_ext=False)
    try:
        cache.init_app(bare)
    except Exception as error:
        raise failure(bare.config["CACHE_TYPE"], error) from error
    return backend_of(bare, cache)


def failure(kind: str, error: Exception) -> QueuesError:
    """Say why a cache cannot be made: some connect at once, so it may be that nobody answers."""
    if type(error).__module__.startswith("redis."):
        from .storage.redis.sentences import translate  # only where there is a redis

        return translate(error, f"The server of QUEUES_CACHE_TYPE = {kind!r}")
    why = str(error).strip().partition("\n")[0].rstrip(".:")
    return ConfigError(f"The cache of QUEUES_CACHE_TYPE = {kind!r} cannot be made: {why}.")


def backend_of(app: Flask, cache: Cache) -> Any:
    """Return the backend object of a cache that was initialised on this application."""
    backend = app.extensions.get("cache", {}).get(cache)
    if backend is None:
        raise ConfigError("The cache given to Queues was not initialised on this application: call cache.init_app.")
    return backend
