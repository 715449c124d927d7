"""The part of the contract that keeps older code away from what newer code wrote."""

from __future__ import annotations

import pytest

from ...errors import StorageFormatError
from ...storage import Storage
from .contract import LONG, a_worker, fill, new, take
from .engine import Engine
from .fixtures import OpenedTwice


class FormatContract(OpenedTwice):
    """What becomes of a storage that a newer version has written to."""

    def test_older_code_takes_nothing_from_a_newer_storage(self, engine: Engine, storage: Storage) -> None:
        """Neither pushes, nor claims, nor reads: it says that a newer version is needed."""
        fill(storage, "a")
        storage.close()
        engine.become_newer()
        opened = engine.open()
        with pytest.raises(StorageFormatError, match="newer"):
            take(opened)
        with pytest.raises(StorageFormatError, match="newer"):
            opened.push([new("b")])
        with pytest.raises(StorageFormatError, match="newer"):
            opened.counts()
        opened.close()

    def test_a_worker_learns_from_its_heartbeat_that_the_storage_became_newer(
        self, engine: Engine, storage: Storage
    ) -> None:
        """Whatever is open keeps working until then, a second at most."""
        fill(storage, "a")
        storage.heartbeat(a_worker("boss", "w"), LONG)
        engine.become_newer()
        with pytest.raises(StorageFormatError, match="newer"):
            storage.heartbeat(a_worker("boss", "w"), LONG)
