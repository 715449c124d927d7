"""What the queues of one application stand on: its configuration, its job types, its storage."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from typing import Any

from flask import Flask

from ..backend import storage_of
from ..config import Config, keys_of, release_of
from ..janitor import Janitor
from ..record import to_datetime
from ..registry import Registry
from ..storage import Storage
from ..storage.sealed import unsealed
from ..telling import Teller


class Ground:
    """One application with its storage, which is built on first use in each process."""

    def __init__(self, app: Flask, config: Config, jobs: Registry, cache: Any = None) -> None:
        self.app = app
        self.config = config
        self._given = keys_of(app.config)
        #: The job types of this application, by type string.
        self.jobs = jobs
        self._cache = cache
        self._storage: Storage | None = None
        self._building = threading.Lock()
        #: Deletes what was kept long enough.
        self.janitor = Janitor(app, lambda: self.config, jobs, lambda: self.storage)
        #: Sends the signals.
        self.teller = Teller(app, lambda: self.storage)

    @property
    def storage(self) -> Storage:
        """The engine, built on first use: setting up an application connects to nothing."""
        if self._storage is None:
            with self._building:
                if self._storage is None:
                    self._storage = storage_of(self.app, self.config, self._cache)
        return self._storage

    @property
    def release(self) -> str:
        """The release of the application that runs here; empty where nobody tells it."""
        return release_of(self.config, os.environ)

    @property
    def shares_cache(self) -> bool:
        """Whether the jobs are in a cache that the application has made, and may use and clear itself."""
        return self._cache is not None

    @property
    def engine(self) -> str:
        """What kind of storage holds the jobs, for people; never where it is."""
        return type(unsealed(self.storage)).__name__.removesuffix("Storage")

    def now(self) -> datetime:
        """The time by the storage's clock, which every moment in a record is of; this host's may differ."""
        return to_datetime(self.storage.now())

    @property
    def lease(self) -> int:
        """Milliseconds that a claim is valid without a heartbeat."""
        return round(self.config.lease * 1000)

    def changed_too_late(self) -> list[str]:
        """The `QUEUES_*` keys that were set, or taken out, after the extension had read them."""
        now = keys_of(self.app.config)
        return sorted(key for key in {*now, *self._given} if now.get(key) != self._given.get(key))
