"""Jobs and storages for tests of what is Redis's own."""

from __future__ import annotations

from typing import Any

from flask import Flask

from flask_queues.backend import build_backend
from flask_queues.ids import new_id
from flask_queues.storage import Storage, storage_for
from flask_queues.storage.values import NewJob

#: The prefix of every key.
PREFIX = "jobs"


def job(queue: str = "q", **options: Any) -> NewJob:
    """A job with an id as the manager makes it."""
    return NewJob(**{"id": new_id(f"{queue}:0"), "queue": queue, "type": "t", "payload": "{}", **options})


def opened(settings: dict[str, Any], **options: Any) -> Storage:
    """The storage of an application with these settings."""
    given = {name.removeprefix("QUEUES_"): value for name, value in settings.items()}
    return storage_for(build_backend(Flask(__name__), {"CACHE_KEY_PREFIX": PREFIX, **given}), **options)


def key_of(queue: str, name: str = "ready") -> str:
    """A key of a queue's partition."""
    return f"{{{PREFIX}:{queue}:0}}:{name}"
